//! Names of which nobody is told.

use crate::lists::{Effect, Index, ListKind, starter};
use crate::name::NameRef;

/// The longest search suffix that is looked behind, in labels.
const LONGEST_SUFFIX: usize = 3;

/// Whether `name` is on a list of lifelines.
pub fn is_lifeline(name: NameRef<'_>, lists: &Index) -> bool {
    let mut is_lifeline = false;
    let is_whole = lists.look_up(name, |hit| {
        let kind = lists.list(hit.list).kind;
        is_lifeline |= hit.effect == Effect::Listed && kind == ListKind::Lifeline;
    });
    is_lifeline || !is_whole && starter::lifeline_labels(name).is_some()
}

/// Whether `name` is a lifeline once a search suffix is taken off, as `helpline.example.fritz.box`
/// is: stub resolvers ask for such names by themselves. It opens nothing; nobody is to be told of it where
/// the name does not exist.
pub fn is_suffixed_lifeline(name: NameRef<'_>, lists: &Index) -> bool {
    // What is left has at least two labels, since no list has a whole top-level domain.
    let longest = name.label_count().saturating_sub(2).min(LONGEST_SUFFIX);
    let mut shorter = (1..=longest).filter_map(|labels| name.without_last(labels));
    shorter.any(|shorter| is_lifeline(shorter.as_ref(), lists))
}
