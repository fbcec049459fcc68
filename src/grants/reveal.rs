//! Reveals: names of a profile that are kept in the log for a while, for a reason, and told to the
//! child.

use std::time::Duration;

use super::{Grant, GrantError, Grants, KEEP, MAX_WHY, Said, What, bounded_words};
use crate::clock::Timestamp;
use crate::wall::Wall;

/// The shortest time.
pub const SHORTEST_REVEAL: Duration = Duration::from_mins(10);
/// The longest time.
pub const LONGEST_REVEAL: Duration = Duration::from_hours(24);
/// How many that ended are remembered.
pub const MAX_REVEALS: usize = 100;
/// How long those are: a child who looks once a month finds them.
const KEEP_REVEALS: Duration = Duration::from_hours(90 * 24);

/// Whether names may be revealed like this.
pub(super) fn check(said: &Said, now: Timestamp) -> Result<(), GrantError> {
    let until = said.until;
    let time = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    if !(SHORTEST_REVEAL..=LONGEST_REVEAL).contains(&time) {
        return Err(GrantError::RevealTime { until });
    }
    if !bounded_words(&said.why, MAX_WHY).chars().any(is_visible) {
        return Err(GrantError::NoReason);
    }
    Ok(())
}

/// Whether a letter or a digit can be seen: some letters of Hangul fill a place and show nothing.
fn is_visible(letter: char) -> bool {
    letter.is_alphanumeric() && !matches!(u32::from(letter), 0x115f | 0x1160 | 0x3164 | 0xffa0)
}

/// How long something that ended is remembered.
pub(super) const fn keep(what: &What) -> Duration {
    match what {
        What::Reveal => KEEP_REVEALS,
        _ => KEEP,
    }
}

impl Grants {
    /// Remembers that the reveal with the number `id` concerns `devices`; says whether that is new.
    pub fn note_devices<'d>(&mut self, id: u32, devices: impl Iterator<Item = &'d str>) -> bool {
        let mut grants = self.grants.iter_mut();
        let Some(grant) = grants.find(|it| it.id == id) else {
            return false;
        };
        let before = grant.devices.len();
        for device in devices {
            if grant.devices.iter().all(|known| known != device) {
                grant.devices.push(device.to_owned());
            }
        }
        grant.devices.len() > before
    }

    /// The reveals that hold at `wall`.
    pub fn revealing(&self, wall: Wall) -> impl Iterator<Item = &Grant> {
        let reveals = self.grants.iter().filter(|it| it.what == What::Reveal);
        reveals.filter(move |grant| grant.holds(wall))
    }
}
