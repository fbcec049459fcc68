//! What stands between the compiler and the index: names in canonical order, each with its postings.

use std::cmp::Ordering;

use super::{Effect, ListId, Reach};
use crate::name::NameRef;

/// What one line of one list says about a name.
///
/// Postings of a name are in ascending order, the first word that differs deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Posting<'a> {
    /// Which list.
    pub list: ListId,
    /// Which names the line matches.
    pub reach: Reach,
    /// What it says about them.
    pub effect: Effect,
    /// Whether it comes before exceptions of its list that are not important.
    pub important: bool,
    /// What else restricts or changes it, encoded; none for nearly all.
    pub modifiers: Option<&'a [u8]>,
}

/// The order of names in the index: by labels from the root down, octet by octet within a label,
/// a label before those it begins, so that a parent comes right before all that is below it.
pub fn canonical_order(left: NameRef<'_>, right: NameRef<'_>) -> Ordering {
    let (mut left_ends, mut right_ends) = ([0_u8; 128], [0_u8; 128]);
    let (left_count, right_count) = (begins(left, &mut left_ends), begins(right, &mut right_ends));
    let mut left_labels = left_ends.iter().take(left_count).rev();
    let mut right_labels = right_ends.iter().take(right_count).rev();
    loop {
        match (left_labels.next(), right_labels.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(at), Some(other)) => {
                let order = label_at(left, *at).cmp(label_at(right, *other));
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// Notes where each label of `name` begins, from left to right; how many there are.
fn begins(name: NameRef<'_>, into: &mut [u8; 128]) -> usize {
    let mut at = 0;
    let mut count = 0;
    for (label, place) in name.labels().zip(into) {
        // A name has at most 255 octets.
        *place = at as u8;
        at += 1 + label.len();
        count += 1;
    }
    count
}

/// The label of `name` that begins at `at`.
fn label_at(name: NameRef<'_>, at: u8) -> &[u8] {
    let rest = name.as_wire().get(usize::from(at)..).unwrap_or_default();
    match rest.split_first() {
        Some((length, rest)) => rest.get(..usize::from(*length)).unwrap_or_default(),
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn a_parent_comes_right_before_what_is_below_it() {
        let names = [
            "com",
            "ab.com",
            "a.ab.com",
            "b.a.ab.com",
            "aa.ab.com",
            "ab-c.com",
            "abc.com",
            "net",
        ];
        let names = names.map(|name| Name::parse(name).unwrap());
        let mut sorted = names.to_vec();
        sorted.reverse();
        sorted.push(NameRef::ROOT.to_name());
        sorted.sort_by(|left, right| canonical_order(left.as_ref(), right.as_ref()));
        assert_eq!(sorted[0].as_ref(), NameRef::ROOT);
        assert_eq!(sorted[1..], names);
    }
}
