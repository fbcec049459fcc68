//! When a list is looked for next.
//!
//! Everything here rests on the clock that only goes forward: a household's clock that is not set,
//! or jumps by fifty years, makes no list wait and no server be asked twice.

use std::time::Duration;

use rand::RngExt;

/// How long after the first failure the next attempt comes.
const FIRST_RETRY: Duration = Duration::from_secs(5 * 60);
/// How long between attempts at most.
const LAST_RETRY: Duration = Duration::from_secs(6 * 60 * 60);
/// The shortest interval of a list: nobody's server is asked more often.
const SHORTEST: Duration = Duration::from_secs(10 * 60);

/// How long to wait after an attempt that brought the list or the word that nothing changed.
pub(super) fn regular(interval: Duration) -> Duration {
    spread(interval.max(SHORTEST))
}

/// How long to wait after the `failures`-th failure in a row: 5 minutes, doubled each time, 6 hours
/// at most, and never longer than the list's own interval.
pub(super) fn retry(failures: u32, interval: Duration) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10));
    spread(doubled.min(LAST_RETRY).min(interval.max(SHORTEST)))
}

/// How long to wait at a start with a last good copy at hand that was looked for `age` ago; none if
/// the clock cannot tell.
///
/// Never at once: right after a power cut the network is not there yet, and many routers start
/// together.
pub(super) fn first(age: Option<Duration>, interval: Duration) -> Duration {
    const SOON: Duration = Duration::from_secs(10 * 60);
    let left = age.map_or(SOON, |age| interval.max(SHORTEST).saturating_sub(age));
    spread(left.max(SOON))
}

/// How long to wait at a start without a copy.
pub(super) fn at_once() -> Duration {
    spread(Duration::from_secs(10))
}

/// `wait` give or take a fifth, so that routers that started together do not ask together.
fn spread(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.8..=1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[track_caller]
    fn about(wait: Duration, minutes: u64) {
        let middle = Duration::from_secs(minutes * 60);
        assert!(
            wait >= middle.mul_f64(0.79) && wait <= middle.mul_f64(1.21),
            "{wait:?} is not about {minutes} minutes"
        );
    }

    #[test]
    fn failures_are_retried_with_growing_patience() {
        for (failures, minutes) in [
            (1, 5),
            (2, 10),
            (3, 20),
            (7, 320),
            (8, 360),
            (u32::MAX, 360),
        ] {
            about(retry(failures, DAY), minutes);
        }
        about(retry(9, Duration::from_secs(3600)), 60);
    }

    #[test]
    fn waits_are_spread() {
        let waits: std::collections::HashSet<Duration> = (0..50).map(|_| regular(DAY)).collect();
        assert!(waits.len() > 40);
        about(regular(DAY), 24 * 60);
        about(regular(Duration::ZERO), 10);
    }

    #[test]
    fn a_start_does_not_ask_again_what_was_asked_today() {
        about(first(Some(Duration::from_secs(3600)), DAY), 23 * 60);
        about(first(Some(DAY * 30), DAY), 10);
        about(first(None, DAY), 10);
    }
}
