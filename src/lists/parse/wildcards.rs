//! Wildcard lists: `*.name` a line, `#` comments.
//!
//! Their publishers mean the name and everything below it, although the `*` of RFC 4592 would
//! leave the name itself out; so do we. A name without `*.` in such a list means the same.

use super::text;
use crate::lists::{Item, LineFault, Unsupported};

/// `*.example.org`, `example.org`, `=www.example.org`.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    let Some(word) = text::only_word(text::without_comment(line))? else {
        return Ok(());
    };
    let name = word.strip_prefix("*.").unwrap_or(word);
    if name.contains('*') && name != "*" {
        return Err(Unsupported::Wildcard.into());
    }
    if name.len() < word.len() && name.starts_with('=') {
        return Err(crate::name::NameError::Character('=').into());
    }
    into.push(text::plain_item(name)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use super::*;
    use crate::lists::ListFormat::Wildcards;
    use crate::name::NameError;

    #[test]
    fn lines_understood() {
        for (line, expected) in [
            ("*.example.org", "||example.org^"),
            ("example.org # plain", "||example.org^"),
            ("=www.example.org", "|www.example.org^"),
        ] {
            assert_eq!(entries(Wildcards, line), [expected]);
        }
        assert!(entries(Wildcards, "# Title: Wildcards").is_empty());
    }

    #[test]
    fn lines_not_understood() {
        for (line, expected) in [
            (
                "*.ads*.example.org",
                LineFault::Unsupported(Unsupported::Wildcard),
            ),
            (
                "ads*.example.org",
                LineFault::Unsupported(Unsupported::Wildcard),
            ),
            ("*", LineFault::Everything("*")),
            ("*.*", LineFault::Everything("*")),
            ("*.org", LineFault::TopLevel("org".into())),
            ("*.", LineFault::Name(NameError::Empty)),
            ("*.=example.org", LineFault::Name(NameError::Character('='))),
        ] {
            assert_eq!(fault(Wildcards, line), expected);
        }
    }
}
