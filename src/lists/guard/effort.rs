//! What comparing the patterns of a list with what is protected may take.
//!
//! A pattern can be written so that comparing it takes long, and a list may have thousands of them.
//! Each of them gets a part of what is spent on its list; one that needs more is not obeyed, since
//! nobody knows what it would take.

use crate::lists::patterns::SinglePattern;
use crate::name::NameRef;

/// The work that is left for the patterns of a list.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Of [`SinglePattern::matches_within`].
    left: u32,
}

impl Effort {
    /// For the patterns of one list: a second on the machine it was measured on.
    pub const fn of_list() -> Self {
        Self { left: OF_LIST }
    }

    /// The part of one pattern.
    pub(super) fn of_pattern(&mut self) -> Part<'_> {
        Part {
            left: self.left.min(OF_PATTERN),
            effort: self,
        }
    }
}

/// The work that is left for one pattern.
pub(super) struct Part<'e> {
    left: u32,
    effort: &'e mut Effort,
}

impl Part<'_> {
    /// Whether `pattern` matches `name`; none where it takes too long to find out.
    pub(super) fn matches(&mut self, pattern: &SinglePattern, name: NameRef<'_>) -> Option<bool> {
        let before = self.left;
        let matches = pattern.matches_within(name, &mut self.left);
        self.effort.left -= before - self.left;
        matches
    }
}

const OF_LIST: u32 = 200_000_000;
/// Twenty times what a pattern takes that is tried for every name, as people write them.
const OF_PATTERN: u32 = 5_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::guard::Protected;
    use crate::lists::{Effect, Item, Pattern, PatternKind};

    fn pattern(text: &str) -> Item {
        Item::Pattern(Pattern {
            kind: PatternKind::Regex,
            text: text.to_owned(),
            effect: Effect::Listed,
            modifiers: None,
        })
    }

    /// What comparing it takes; none if that is too much.
    fn cost(protected: &Protected, text: &str) -> Option<u32> {
        let mut effort = Effort::of_list();
        let taken = protected.taken_within(&pattern(text), &mut effort);
        let is_known = taken.is_none_or(|taken| !taken.unsure);
        is_known.then_some(OF_LIST - effort.left)
    }

    #[test]
    fn patterns_as_people_write_them_are_compared_with_everything() {
        let protected = Protected::starter();
        for (text, most) in [
            ("doubleclick", 40_000),
            (
                r"^ad([sxv]?[0-9]*|system)[_.-]([^.[:space:]]+\.){1,}|[_.-]ad([sxv]?[0-9]*|system)[_.-]",
                500_000,
            ),
            (r"^(.+[_.-])?telemetry[_.-]", 100_000),
            (r"^[a-z]{5,12}[0-9]{2,}\.(com|net)$", 300_000),
        ] {
            let cost = cost(&protected, text);
            assert!(cost.is_some_and(|cost| cost < most), "{text}: {cost:?}");
            assert!(cost.is_some_and(|cost| cost > 0), "{text}: {cost:?}");
        }
    }

    #[test]
    fn what_takes_too_long_is_not_obeyed_and_told_as_that() {
        let protected = Protected::starter();
        let slow = pattern("([a-z.]?){300}!");
        let mut effort = Effort::of_list();
        let taken = protected.taken_within(&slow, &mut effort).unwrap();
        assert!(taken.unsure && !taken.harmless);
        assert_eq!(
            taken.told(crate::lists::ListKind::Block, &slow),
            "`/([a-z.]?){300}!/` takes too long to be compared with the protected names"
        );
        assert_eq!(OF_LIST - effort.left, OF_PATTERN);
        // What the list has left is spent on the others.
        let quick = pattern(r"^samaritans\.");
        let taken = protected.taken_within(&quick, &mut effort).unwrap();
        assert!(!taken.unsure);
        effort.left = 100;
        let taken = protected.taken_within(&quick, &mut effort).unwrap();
        assert!(taken.unsure);
        assert_eq!(effort.left, 0);
    }
}
