//! What all syntaxes share: blanks, comments, and what counts as a name.

use std::net::{IpAddr, Ipv6Addr};
use std::str;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::super::fault::quoted;
use super::super::{Effect, Entry, Item, LineFault, Reach};
use crate::name::{Name, NameError};

/// Whether no text should hold this octet.
pub(super) fn is_control(octet: u8) -> bool {
    octet.is_ascii_control() && !matches!(octet, b'\t' | b'\n' | b'\r')
}

/// The line up to a comment: a `#` in front or after a blank.
///
/// A `#` inside a word begins no comment, or the cosmetic rule `example.org##.banner` in a list of
/// names would block the site it only tidies.
pub(super) fn without_comment(line: &[u8]) -> &[u8] {
    let end = line.iter().enumerate().position(|(at, octet)| {
        *octet == b'#'
            && at
                .checked_sub(1)
                .is_none_or(|before| is_blank(line, before))
    });
    line.get(..end.unwrap_or(line.len()))
        .unwrap_or(line)
        .trim_ascii()
}

/// Whether the octet at `at` is a blank.
fn is_blank(line: &[u8], at: usize) -> bool {
    line.get(at).is_some_and(u8::is_ascii_whitespace)
}

/// The one word of a line; none on a blank line.
pub(super) fn only_word(line: &[u8]) -> Result<Option<&str>, LineFault> {
    let mut words = checked(line)?.split_ascii_whitespace();
    let word = words.next();
    match words.next() {
        Some(second) => Err(LineFault::SecondWord(quoted(second))),
        None => Ok(word),
    }
}

/// The line as text without control characters.
pub(super) fn checked(line: &[u8]) -> Result<&str, LineFault> {
    if let Some(octet) = line
        .iter()
        .find(|octet| is_control(**octet) || matches!(**octet, b'\n' | b'\r'))
    {
        return Err(LineFault::Control(*octet));
    }
    str::from_utf8(line).map_err(|error| LineFault::NotUtf8 {
        at: error.valid_up_to() + 1,
    })
}

/// `name` for it and all below, `=name` for it alone.
pub(super) fn plain_item(word: &str) -> Result<Item, LineFault> {
    let (reach, text) = match word.strip_prefix('=') {
        Some(text) => (Reach::Exact, text),
        None => (Reach::Subtree, word),
    };
    Ok(Item::Name(Entry {
        name: name(text)?,
        reach,
        effect: Effect::Listed,
        modifiers: None,
    }))
}

/// A name as lists write it: any case, final dot or not, Unicode or A-labels; at least two labels.
pub(super) fn name(text: &str) -> Result<Name, LineFault> {
    match text {
        "*" => return Err(LineFault::Everything("*")),
        "." => return Err(LineFault::Everything(".")),
        _ => {}
    }
    if text.contains(':')
        && let Ok(address) = text.parse::<Ipv6Addr>()
    {
        return Err(LineFault::Address(address.into()));
    }
    if text.is_ascii() {
        return host_name(text);
    }
    // Checks of the ASCII part and of lengths are those of `Name`, so that an underscore is fine.
    let ascii = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::EMPTY,
            Hyphens::Allow,
            DnsLength::Ignore,
        )
        .map_err(|_| LineFault::Idna(quoted(text)))?;
    host_name(&ascii)
}

/// The same, in ASCII.
fn host_name(text: &str) -> Result<Name, LineFault> {
    let name = Name::parse(text)?;
    let body = text.strip_suffix('.').unwrap_or(text);
    let Some((_, top)) = body.rsplit_once('.') else {
        // The root can be left when Unicode was mapped to ASCII.
        return Err(if name.as_ref().is_root() {
            NameError::Empty.into()
        } else {
            LineFault::TopLevel(quoted(body))
        });
    };
    if top.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(match body.parse::<IpAddr>() {
            Ok(address) => LineFault::Address(address),
            Err(_) => LineFault::NumericTop(quoted(body)),
        });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_dress() {
        for (text, expected) in [
            ("Example.ORG.", "example.org"),
            ("_dmarc.example.org", "_dmarc.example.org"),
            ("münchen.example", "xn--mnchen-3ya.example"),
            ("MÜNCHEN.Example", "xn--mnchen-3ya.example"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("1.2.3.example", "1.2.3.example"),
            ("-a-.example", "-a-.example"),
        ] {
            assert_eq!(name(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_name_for_a_list() {
        let long = format!("{}.org", "a".repeat(64));
        for (text, said) in [
            ("", "the name is empty"),
            ("a..org", "the name has an empty label"),
            (long.as_str(), "a label has 64 octets; 63 is the most"),
            ("ex*mple.org", "`*` cannot stand in a domain name"),
            ("example.org/path", "`/` cannot stand in a domain name"),
            (
                "org",
                "`org` is a top-level domain; a list cannot name all of it",
            ),
            (
                "org.",
                "`org` is a top-level domain; a list cannot name all of it",
            ),
            ("*", "`*` matches every name"),
            (".", "`.` matches every name"),
            ("192.0.2.1", "`192.0.2.1` is an address, not a name"),
            ("2001:db8::1", "`2001:db8::1` is an address, not a name"),
            (
                "192.0.2.300",
                "`192.0.2.300` ends in a number like an address",
            ),
            ("１９２.0.2.1", "`192.0.2.1` is an address, not a name"),
            ("\u{ad}。", "the name is empty"),
            (
                "a\u{202e}b.example",
                "`a\\u{202e}b.example` is not a valid internationalised name",
            ),
        ] {
            assert_eq!(name(text).unwrap_err().to_string(), said, "{text}");
        }
    }

    #[test]
    fn comments_need_a_blank_in_front() {
        assert_eq!(without_comment(b"# all"), b"");
        assert_eq!(without_comment(b"a.org  # needed by: b.org"), b"a.org");
        assert_eq!(without_comment(b" a.org##.ad "), b"a.org##.ad");
    }
}
