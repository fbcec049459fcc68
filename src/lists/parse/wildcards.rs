//! Wildcard lists: `*.name` a line, `#` comments.
//!
//! Their publishers mean the name and everything below it, although the `*` of RFC 4592 would
//! leave the name itself out; so do we. A name without `*.` in such a list means the same.

use super::{mask, pattern, text};
use crate::lists::{Effect, Item, LineFault, Pattern, PatternKind, Reach};
use crate::name::NameError;

/// `*.example.org`, `example.org`, `=www.example.org`, `*.ads-*.example.org`.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    let line = line.trim_ascii();
    if let Some(name) = text::plain_name(line.strip_prefix(b"*.").unwrap_or(line)) {
        into.push(text::listed(name, Reach::Subtree));
        return Ok(());
    }
    let Some(word) = text::only_word(text::without_comment(line))? else {
        return Ok(());
    };
    let name = word.strip_prefix("*.").unwrap_or(word);
    if name.len() < word.len() && name.starts_with('=') {
        return Err(NameError::Character('=').into());
    }
    into.push(if name.contains('*') {
        pattern::item(Pattern {
            kind: PatternKind::WildcardSubtree,
            text: mask::wildcard(name)?,
            effect: Effect::Listed,
            modifiers: None,
        })?
    } else {
        text::plain_item(name)?
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use super::*;
    use crate::lists::ListFormat::Wildcards;

    #[test]
    fn lines_understood() {
        for (line, expected) in [
            ("*.example.org", "||example.org^"),
            ("example.org # plain", "||example.org^"),
            ("=www.example.org", "|www.example.org^"),
            ("*.ads*.example.org", "||ads*.example.org^"),
            ("Ads-**.example.org", "||ads-*.example.org^"),
            ("example.*", "||example.*^"),
        ] {
            assert_eq!(entries(Wildcards, line), [expected]);
        }
        assert!(entries(Wildcards, "# Title: Wildcards").is_empty());
    }

    #[test]
    fn lines_not_understood() {
        for (line, expected) in [
            ("*", LineFault::Everything("*")),
            ("*.*", LineFault::Everything("*")),
            ("*.*.*", LineFault::Everything("*")),
            ("=ads*.org", LineFault::Name(NameError::Character('='))),
            ("*.ads*/.org", LineFault::Name(NameError::Character('/'))),
            ("ads*..org", LineFault::Name(NameError::EmptyLabel)),
            ("münchen*.org", LineFault::Idna("münchen*.org".into())),
            ("*.org", LineFault::TopLevel("org".into())),
            ("*.", LineFault::Name(NameError::Empty)),
            ("*.=example.org", LineFault::Name(NameError::Character('='))),
        ] {
            assert_eq!(fault(Wildcards, line), expected);
        }
    }
}
