//! Plain lists: a name a line, `#` comments. Ours are written so.

use super::text;
use crate::lists::{Item, LineFault, Reach};

/// `example.org`, `=www.example.org`, `example.net  # needed by: example.org`.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    if let Some(name) = text::plain_name(line.trim_ascii()) {
        into.push(text::listed(name, Reach::Subtree));
    } else if let Some(word) = text::only_word(text::without_comment(line))? {
        into.push(text::plain_item(word)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use super::*;
    use crate::lists::ListFormat::Domains;
    use crate::name::NameError;

    #[test]
    fn lines_understood() {
        for (line, expected) in [
            ("example.org", "||example.org^"),
            (" \tExample.ORG.\t", "||example.org^"),
            ("=www.example.org", "|www.example.org^"),
            ("example.net  # needed by: example.org", "||example.net^"),
        ] {
            assert_eq!(entries(Domains, line), [expected]);
        }
        for silent in [
            "",
            " ",
            "# a comment",
            "## section",
            "#",
            "  # fran\u{e7}ais",
        ] {
            assert!(entries(Domains, silent).is_empty());
        }
        assert!(entries(Domains, b"# fran\xe7ais, with \x00").is_empty());
    }

    #[test]
    fn lines_not_understood() {
        let character = |c| LineFault::Name(NameError::Character(c));
        for (line, expected) in [
            (
                "example.org example.net",
                LineFault::SecondWord("example.net".into()),
            ),
            ("example.org##.banner", character('#')),
            ("||example.org^", character('|')),
            ("*.example.org", character('*')),
            ("=", LineFault::Name(NameError::Empty)),
            ("a.\u{1b}[2J.org", LineFault::Control(0x1b)),
            ("example\0.org", LineFault::Control(0)),
            ("example\r.org", LineFault::Control(0x0d)),
            (
                "192.0.2.7",
                LineFault::Address("192.0.2.7".parse().unwrap()),
            ),
        ] {
            assert_eq!(fault(Domains, line), expected);
        }
        assert_eq!(
            fault(Domains, b" m\xfcnchen.example"),
            LineFault::NotUtf8 { at: 2 }
        );
    }
}
