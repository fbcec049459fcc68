//! Whether a household's own line matches a name.

use super::Pattern;
use crate::name::NameRef;

impl Pattern {
    /// How many labels of `name` it means, if it matches: the whole labels of one with a `*`.
    pub fn labels_of(&self, name: NameRef<'_>) -> Option<u8> {
        let (matches, labels) = match self {
            Self::Subtree(own) => (name.is_within(own.as_ref()), own.as_ref().label_count()),
            Self::Exact(own) => (name == own.as_ref(), own.as_ref().label_count()),
            Self::Below(own) => (
                name != own.as_ref() && name.is_within(own.as_ref()),
                own.as_ref().label_count(),
            ),
            Self::Glob(glob) => (matches_glob(name, glob), whole_labels(glob)),
        };
        matches.then_some(u8::try_from(labels).unwrap_or(u8::MAX))
    }
}

/// How many labels of a glob have no `*`.
pub fn whole_labels(glob: &str) -> usize {
    glob.split('.').filter(|label| !label.contains('*')).count()
}

/// Whether the whole of `name`, as text without the final dot, matches `pattern`, in which `*`
/// stands for any octets, dots included.
///
/// Goes through the name once and steps back at most to the last `*`, so no pattern is slow.
pub fn matches_glob(name: NameRef<'_>, pattern: &str) -> bool {
    let wire = name.as_wire();
    // The wire form is the text with each dot replaced by a length, one in front and a zero behind.
    let length = wire.len().saturating_sub(2);
    let mut dots = [false; crate::name::MAX_NAME];
    let mut at = 0;
    for label in name.labels() {
        dots[at] = true;
        at += 1 + label.len();
    }
    let octet = |index: usize| {
        if dots[index + 1] {
            b'.'
        } else {
            wire[index + 1]
        }
    };
    let pattern = pattern.as_bytes();
    let (mut seen, mut used) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < length {
        if pattern.get(used) == Some(&b'*') {
            star = Some((seen, used));
            used += 1;
        } else if pattern.get(used) == Some(&octet(seen)) {
            seen += 1;
            used += 1;
        } else if let Some((from, star_at)) = star {
            star = Some((from + 1, star_at));
            seen = from + 1;
            used = star_at + 1;
        } else {
            return false;
        }
    }
    pattern[used..].iter().all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn globs_match_whole_names_across_dots() {
        for (pattern, text, expected) in [
            ("cdn*-x.example.org", "cdn12-x.example.org", true),
            ("cdn*-x.example.org", "cdn-x.example.org", true),
            ("cdn*-x.example.org", "acdn-x.example.org", false),
            ("*ads*.example.org", "a.myads.b.example.org", true),
            ("a*b*c.test", "axxbxxbyc.test", true),
            ("a*b*c.test", "axxc.test", false),
            ("*.test", "a.b.test", true),
            ("a.test*", "a.test", true),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(
                matches_glob(name.as_ref(), pattern),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
