//! Which texts a name must hold for a pattern to match.
//!
//! A name is taken with a mark in front and one behind, so that `^ads` needs the text
//! `BEGIN a d s`. For each pattern we look for a set of texts of which every name that matches
//! holds at least one, each of three octets or more. `(^|\.)(ads|ad[0-9])\.` has the texts
//! `BEGIN ads.`, `.ads.`, `BEGIN ad0.` and so on; `[a-z]+[0-9]+` has none, and must be tried for
//! every name.

use super::syntax::Node;

/// Stands in front of a name.
pub(super) const BEGIN: u8 = 2;
/// Stands behind a name.
pub(super) const END: u8 = 3;
/// The shortest text that is of use: the search goes by three octets.
pub(super) const SHORTEST: usize = 3;

/// The texts of which one must be in every name that `node` matches; none if there are no useful
/// ones.
pub(super) fn literals(node: &Node) -> Option<Vec<Vec<u8>>> {
    let found = Found::in_node(node);
    let mut texts = found.needed()?;
    texts.sort();
    texts.dedup();
    (worth(&texts) >= LEAST_WORTH).then_some(texts)
}

/// Where in `text` three octets begin that few names have.
pub(super) fn rarest(text: &[u8]) -> usize {
    let weights = weights(text);
    let triples = weights.windows(SHORTEST).map(|three| three.iter().sum());
    let best = triples
        .enumerate()
        .max_by_key(|(at, weight): &(usize, u32)| (*weight, usize::MAX - at));
    best.map_or(0, |(at, _)| at)
}

/// Texts that are worth less are in so many names that looking for them saves nothing.
const LEAST_WORTH: u32 = 8;
/// Words in so many names that they say nothing.
const COMMON: [&[u8]; 5] = [b".com", b".net", b".org", b"www.", b"\x02www"];
/// The most texts of a set.
const MOST_TEXTS: usize = 24;
/// The longest of them.
const LONGEST: usize = 32;
/// A class of more octets than these is taken for anything.
const MOST_OCTETS: usize = 10;

/// What is known of a part of an expression.
struct Found {
    /// All texts it matches, if they are few.
    exact: Option<Vec<Vec<u8>>>,
    /// The best set of texts of which it needs one.
    best: Option<Vec<Vec<u8>>>,
}

impl Found {
    const fn exactly(texts: Vec<Vec<u8>>) -> Self {
        Self {
            exact: Some(texts),
            best: None,
        }
    }

    const NOTHING: Self = Self {
        exact: None,
        best: None,
    };

    fn in_node(node: &Node) -> Self {
        match node {
            Node::Empty | Node::Edge(_) => Self::exactly(vec![Vec::new()]),
            Node::Begin => Self::exactly(vec![vec![BEGIN]]),
            Node::End => Self::exactly(vec![vec![END]]),
            Node::Octet(set) => {
                let octets: Vec<Vec<u8>> = set
                    .octets()
                    .take(MOST_OCTETS + 1)
                    .map(|it| vec![it])
                    .collect();
                if octets.len() > MOST_OCTETS {
                    Self::NOTHING
                } else {
                    Self::exactly(octets)
                }
            }
            Node::Row(all) => Self::in_row(all.iter().map(Self::in_node)),
            Node::Either(all) => Self::in_either(all),
            Node::Repeat {
                node,
                least,
                most: Some(most),
            } if least == most && *most <= 8 => {
                Self::in_row((0..*most).map(|_| Self::in_node(node)))
            }
            Node::Repeat {
                node,
                least: 0,
                most: Some(1),
            } => {
                let mut exact = Self::in_node(node).exact;
                if let Some(texts) = &mut exact {
                    texts.push(Vec::new());
                }
                Self { exact, best: None }
            }
            Node::Repeat { least: 0, .. } => Self::NOTHING,
            Node::Repeat { node, .. } => Self {
                exact: None,
                best: Self::in_node(node).needed(),
            },
        }
    }

    fn in_row(parts: impl Iterator<Item = Self>) -> Self {
        let mut best = None;
        let mut whole = true;
        // All texts that the parts since the last unknown one match together.
        let mut texts = vec![Vec::new()];
        for part in parts {
            match part.exact {
                Some(exact) => match joined(&texts, &exact) {
                    Some(both) => texts = both,
                    None => {
                        whole = false;
                        choose(&mut best, std::mem::replace(&mut texts, exact));
                    }
                },
                None => {
                    whole = false;
                    choose(&mut best, std::mem::replace(&mut texts, vec![Vec::new()]));
                    if let Some(needed) = part.best {
                        choose(&mut best, needed);
                    }
                }
            }
        }
        if whole {
            return Self::exactly(texts);
        }
        choose(&mut best, texts);
        Self { exact: None, best }
    }

    fn in_either(all: &[Node]) -> Self {
        let parts: Vec<Self> = all.iter().map(Self::in_node).collect();
        let exact: Option<Vec<&Vec<Vec<u8>>>> = parts.iter().map(|it| it.exact.as_ref()).collect();
        if let Some(exact) = exact {
            let texts: Vec<Vec<u8>> = exact.into_iter().flatten().cloned().collect();
            if texts.len() <= MOST_TEXTS {
                return Self::exactly(texts);
            }
        }
        let needed: Option<Vec<Vec<Vec<u8>>>> = parts.into_iter().map(Self::needed).collect();
        let texts = needed.map(|needed| needed.concat());
        Self {
            exact: None,
            best: texts.filter(|texts| texts.len() <= 4 * MOST_TEXTS),
        }
    }

    /// The texts of which one is needed.
    fn needed(self) -> Option<Vec<Vec<u8>>> {
        let mut best = self.best;
        if let Some(exact) = self.exact {
            choose(&mut best, exact);
        }
        best
    }
}

/// Every text of `left` with every one of `right` behind it, unless that makes too many or too
/// long ones.
fn joined(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len() * right.len() > MOST_TEXTS {
        return None;
    }
    let mut all = Vec::with_capacity(left.len() * right.len());
    for front in left {
        for back in right {
            let mut text = front.clone();
            // Two marks for the same place are one: `^^a`.
            let again =
                matches!(back.first(), Some(first @ &(BEGIN | END)) if text.last() == Some(first));
            text.extend_from_slice(back.get(usize::from(again)..).unwrap_or_default());
            if text.len() > LONGEST {
                return None;
            }
            all.push(text);
        }
    }
    Some(all)
}

/// Takes `texts` if they are worth more than `best`.
fn choose(best: &mut Option<Vec<Vec<u8>>>, texts: Vec<Vec<u8>>) {
    if best
        .as_deref()
        .is_none_or(|known| worth(known) < worth(&texts))
    {
        *best = Some(texts);
    }
}

/// How seldom a name holds one of `texts`, roughly in bits; 0 for those that are of no use.
fn worth(texts: &[Vec<u8>]) -> u32 {
    if texts.is_empty() || texts.iter().any(|text| text.len() < SHORTEST) {
        return 0;
    }
    let least = texts.iter().map(|text| weights(text).iter().sum());
    let least: u32 = least.min().unwrap_or(0);
    (least + 1).saturating_sub(texts.len().ilog2()).max(1)
}

/// How seldom each octet of a text is, in bits. What stands behind the last dot of a name says
/// little, and `www` nothing.
fn weights(text: &[u8]) -> Vec<u32> {
    let top = if text.last() == Some(&END) {
        text.iter().rposition(|octet| *octet == b'.')
    } else {
        None
    };
    let octets = text.iter().enumerate();
    let weights = octets.map(|(at, octet)| match *octet {
        _ if top.is_some_and(|top| at > top) => 0,
        b'.' | BEGIN | END => 1,
        b'w' => 2,
        b'a' | b'c' | b'e' | b'i' | b'l' | b'm' | b'n' | b'o' | b'r' | b's' | b't' => 4,
        b'b' | b'd' | b'f' | b'g' | b'h' | b'k' | b'p' | b'u' | b'y' | b'v' => 5,
        _ => 6,
    });
    let mut weights: Vec<u32> = weights.collect();
    for word in COMMON {
        for at in 0..text.len() {
            let rest = text.get(at..).unwrap_or_default();
            if let Some(inside) = weights.get_mut(at..at + word.len())
                && rest.starts_with(word)
            {
                inside.fill(0);
            }
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::super::syntax::parse;
    use super::*;

    /// The texts of an expression, `^` and `$` for the marks.
    fn texts(expression: &str) -> Vec<String> {
        let readable = |text: Vec<u8>| {
            let text = String::from_utf8(text).unwrap();
            text.replace('\u{2}', "^").replace('\u{3}', "$")
        };
        let texts = literals(&parse(expression).unwrap()).unwrap_or_default();
        texts.into_iter().map(readable).collect()
    }

    #[test]
    fn the_texts_that_a_match_must_hold() {
        for (expression, expected) in [
            ("doubleclick", &["doubleclick"][..]),
            (r"(^|\.)ads\.example$", &["^ads.example$", ".ads.example$"]),
            ("^ads?[0-9]*[-.]", &["^ad", "^ads"]),
            (r"^(.+\.)?tracker[0-9]+\.", &["tracker"]),
            ("(one|two|three).*four", &["four"]),
            ("(banner|banners)", &["banner", "banners"]),
            ("(ad|ads){2}x", &["adadsx", "adadx", "adsadsx", "adsadx"]),
            ("ab[cd]ef", &["abcef", "abdef"]),
            ("^^ads$$", &["^ads$"]),
            (r"\bads\b", &["ads"]),
            ("(porn|sex)+tube", &["tube"]),
            // What many names have is worth less than what few have.
            (r"quiz.*\.com$", &["quiz"]),
            (r"^www\..*pixel", &["pixel"]),
        ] {
            assert_eq!(texts(expression), expected, "{expression}");
        }
    }

    #[test]
    fn some_have_none() {
        for expression in [
            "[a-z]+[0-9]+",
            "(abc)?",
            "(abc)*",
            "ad",
            "a.d.s",
            "(doubleclick|[0-9]+)",
            "",
            // In every other name.
            r"\.com",
            r"^www\.",
            r"\.example$",
            r"[0-9]+\.(com|net|org)$",
        ] {
            assert_eq!(texts(expression), [""; 0], "{expression}");
        }
    }

    #[test]
    fn the_rarest_octets_are_not_those_of_the_top() {
        assert_eq!(rarest(b"\x02www.quiz.com\x03"), 5);
        assert_eq!(rarest(b"com\x03"), 0);
    }
}
