//! How long a server takes, learnt from its replies.

use std::time::Duration;

/// The times of a server's last few hundred replies, by size: enough to say within which time
/// nearly all of them came.
///
/// Each place is half as long again as the one before: 1 ms, 1.5 ms, 2.25 ms and so on to 4 s. When
/// there are [`MANY`] in all, half of each is forgotten, so that what was long ago counts less and
/// less.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    places: [u16; PLACES],
    total: u16,
}

const PLACES: usize = 22;
/// Upper end of the first place, in microseconds.
const FIRST: u64 = 1000;
/// Replies after which half of them are forgotten.
const MANY: u16 = 512;
/// Replies below which nothing can be said.
const FEW: u16 = 16;

impl Latency {
    /// A reply came after `time`.
    pub(super) fn note(&mut self, time: Duration) {
        let mut end = FIRST;
        let mut place = 0;
        while u128::from(end) < time.as_micros() && place + 1 < PLACES {
            end += end / 2;
            place += 1;
        }
        self.places[place] += 1;
        self.total += 1;
        if self.total >= MANY {
            self.total = 0;
            for count in &mut self.places {
                *count /= 2;
                self.total += *count;
            }
        }
    }

    /// The time within which 19 of 20 replies came, rounded up to the end of its place; none while
    /// too few are known.
    pub(super) fn p95(&self) -> Option<Duration> {
        if self.total < FEW {
            return None;
        }
        // All but a twentieth of them, counted from the quickest.
        let mut rest = self.total - self.total / 20;
        let mut end = FIRST;
        for count in self.places {
            if count >= rest {
                return Some(Duration::from_micros(end));
            }
            rest -= count;
            end += end / 2;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nineteen_of_twenty_are_within() {
        let mut latency = Latency::default();
        for index in 0..15 {
            latency.note(millis(10));
            assert_eq!(latency.p95(), None, "{index}");
        }
        for index in 0..385 {
            // One in forty takes longer.
            latency.note(millis(if index % 40 == 39 { 300 } else { 10 }));
        }
        let p95 = latency.p95().unwrap();
        assert!(p95 >= millis(10) && p95 < millis(16), "{p95:?}");
        for index in 0..385 {
            latency.note(millis(if index % 10 == 9 { 300 } else { 10 }));
        }
        let p95 = latency.p95().unwrap();
        assert!(p95 >= millis(300) && p95 < millis(450), "{p95:?}");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut latency = Latency::default();
        for _ in 0..500 {
            latency.note(millis(500));
        }
        for _ in 0..3000 {
            latency.note(millis(2));
        }
        assert!(latency.p95().unwrap() < millis(4));
    }

    #[test]
    fn the_extremes_have_a_place() {
        let mut latency = Latency::default();
        for _ in 0..100 {
            latency.note(Duration::ZERO);
        }
        assert_eq!(latency.p95(), Some(millis(1)));
        for _ in 0..100 {
            latency.note(Duration::from_secs(3600));
        }
        assert!(latency.p95().unwrap() > Duration::from_secs(3));
    }
}
