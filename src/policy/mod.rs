//! Verdicts: on a name, and on what an answer contains.
//!
//! Plain functions of their arguments: no I/O, no clock, nothing that waits. [`survey`] hears every
//! voice about a name; [`judge_name`] keeps the one that counts, `explain` shows them all: the same
//! code. [`judge_answer`] does for an answer what [`judge_name`] does for a question.
//!
//! # The order of authority
//! A voice may only be relaxed by one above its own: [`ORDER`] is the whole order as a table, the
//! highest first, and says of each row what an approving voice of it opens. Within a row the voice
//! about the longer name counts, and of two about the same name the block; of rules a device's come
//! before its profile's, those before the household's. Two things an approving voice of a list does
//! not do: an allowlist says what is suitable, not what is safe, so it does not open what the
//! security tier blocks; and an exception (`@@`) in a subscribed list speaks in the lowest tier
//! whatever the list, so it lifts ads and trackers only.

mod answer;
mod authority;
mod canary;
mod connectivity;
mod gate;
mod lifeline;
mod lookalike;
mod resolvers;
mod rules;
mod safe_search;
mod special;
mod survey;
#[cfg(test)]
mod tests;
mod tunnel;
mod types;
mod unusual;
mod view;
mod voice;

pub use answer::judge_answer;
pub use authority::{ORDER, Rank, Row};
pub use canary::is_canary;
pub use gate::Gate;
pub use lifeline::{is_lifeline, is_suffixed_lifeline};
pub use resolvers::resolvers;
pub use rules::{RuleBook, RuleOwner};
pub use safe_search::{SafeSearch, SafeSearchError};
pub use special::SpecialUse;
pub use survey::{marks_of, survey};
pub use tunnel::Tunnels;
pub use view::View;
pub(crate) use voice::precision;
pub use voice::{Stance, Voice};

use crate::name::NameRef;
use crate::verdict::{Reason, Verdict};
use authority::Panel;

/// Judges a question: may `name` be asked for records of `qtype` by the one whose `view` this is?
pub fn judge_name(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Verdict {
    let mut panel = Panel::default();
    survey(name, qtype, view, |voice| panel.hear(voice));
    panel.verdict()
}

/// What lets `name` through when its safe form does not count: the reason to judge the answer of a
/// rewritten name by, so that a parent's rule reaches what stands behind the safe form too.
pub fn reason_to_allow(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Reason {
    let mut panel = Panel::default();
    survey(name, qtype, view, |voice| panel.hear(voice));
    panel.without_rewrite().reason()
}
