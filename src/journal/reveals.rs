//! Names that are kept for a while although the privacy of their profile says otherwise.

use super::Outcome;
use crate::clock::Moment;
use crate::config::Privacy;

/// From when to when the names of a profile are kept. Nothing of before can come back: it was never
/// kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// The name of the profile.
    pub profile: String,
    /// The first moment.
    pub from: Moment,
    /// The first moment after it.
    pub until: Moment,
}

impl Reveal {
    fn covers(&self, outcome: &Outcome) -> bool {
        self.profile == outcome.profile && self.from <= outcome.at && outcome.at < self.until
    }
}

/// `outcome` as it is kept while one of `reveals` covers it; none is as it was.
pub(super) fn revealed(reveals: &[Reveal], outcome: &Outcome) -> Option<Outcome> {
    let is_revealed = reveals.iter().any(|reveal| reveal.covers(outcome));
    is_revealed.then_some(Outcome {
        privacy: Privacy::Names,
        ..*outcome
    })
}
