//! What handshakes cost who is at home.
//!
//! A handshake costs a thousand times what a query does, and a slow processor signs for some hundred a
//! second at most. A device that opens one connection after the other, out of malice or because it is
//! broken, would leave nothing to its siblings. So each machine has a rate that no program comes near that
//! keeps its connections: a browser opens thirty at a time, and then none for a while. Those who are
//! allowed more connections at a time are many behind one address, and may open more.

use crate::clock::Clock;
use crate::limit::{Client, Rate, RateLimiter, Whereabouts};

/// Handshakes of one machine.
const EACH: Rate = Rate {
    per_second: 10,
    burst: 100,
};

/// Those who come from where everybody is served.
#[derive(Debug)]
pub(super) struct Residents {
    clock: Clock,
    handshakes: RateLimiter,
}

impl Residents {
    /// Those that have not come yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            handshakes: RateLimiter::growing(),
        }
    }

    /// Whether `machine` may shake hands once more, which says where it is or has shown it, and may have
    /// `most` connections: whoever writes another's address uses up nothing of what that one has when it
    /// shows its own.
    pub(super) fn may_shake_hands(
        &self,
        machine: Client,
        whereabouts: Whereabouts,
        most: usize,
    ) -> bool {
        let now = self.clock.now();
        (self.handshakes).admit(machine, whereabouts, rate(most), now)
    }
}

/// What one machine may do that may have `most` connections: all of them twice at once, and again within ten
/// seconds.
fn rate(most: usize) -> Rate {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let burst = EACH.burst.max(most.saturating_mul(2));
    Rate {
        per_second: EACH.per_second.max(burst / 10),
        burst,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualTime, Timestamp};

    /// One device at home could once have as many as the processor could do.
    #[test]
    fn a_machine_has_a_rate_that_a_browser_does_not_notice() {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let residents = Residents::new(time.clock());
        let at = |last: u8| Client::Address([192, 0, 2, last].into());
        let may = |last, whereabouts| residents.may_shake_hands(at(last), whereabouts, 16);
        // Thirty every five seconds.
        for _ in 0..10 {
            assert!((0..30).all(|_| may(1, Whereabouts::Shown)));
            time.advance(Duration::from_secs(5));
        }
        let count = |last, whereabouts| (0..1000).filter(|_| may(last, whereabouts)).count();
        assert_eq!(count(2, Whereabouts::Shown), 100);
        time.advance(Duration::from_secs(3));
        assert_eq!(count(2, Whereabouts::Shown), 30);
        // Somebody wrote its address, and found that he cannot hear what is sent to it.
        assert_eq!(count(3, Whereabouts::Claimed), 100);
        assert_eq!(count(3, Whereabouts::Shown), 100);
        let granted =
            (0..5000).filter(|_| residents.may_shake_hands(at(4), Whereabouts::Shown, 900));
        assert_eq!(granted.count(), 1800);
    }
}
