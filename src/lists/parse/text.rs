//! What all syntaxes share: blanks, comments, and what counts as a name.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::str;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::super::fault::quoted;
use super::super::{Action, Effect, Entry, Item, LineFault, Modifiers, Reach};
use crate::name::{MAX_LABEL, MAX_NAME, Name, NameError, NameRef};

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

/// What stands for each octet of a name in wire format: lower case, dots as they are, zero for what
/// no name holds.
const FOLDED: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0_usize;
    while octet < 256 {
        // Below 256, by the loop.
        let this = octet as u8;
        if this.is_ascii_alphanumeric() || matches!(this, b'-' | b'_' | b'.') {
            table[octet] = this.to_ascii_lowercase();
        }
        octet += 1;
    }
    table
};

/// The name that a word of ASCII is, in one pass; none for all that needs a second look, be it
/// Unicode, an address, a single label or a mistake.
///
/// Nearly every line of millions comes this way; [`name`] says what is wrong with the others.
pub(super) fn plain_name(word: &[u8]) -> Option<Name> {
    if word.len() > MAX_NAME - 2 {
        return None;
    }
    let mut wire = [0_u8; MAX_NAME];
    // Where the length of this label goes, and where its next octet does; both stay within, by the
    // check above.
    let (mut head, mut at) = (0, 1);
    let mut dots = 0;
    for octet in word {
        match FOLDED[usize::from(*octet)] {
            0 => return None,
            b'.' => {
                wire[head] = label_length(head, at)?;
                head = at;
                at += 1;
                dots += 1;
            }
            kept => {
                wire[at] = kept;
                at += 1;
            }
        }
    }
    wire[head] = label_length(head, at)?;
    let top = wire.get(head + 1..at)?;
    if dots == 0 || top.iter().all(u8::is_ascii_digit) {
        return None;
    }
    NameRef::from_wire(wire.get(..=at)?)
        .ok()
        .map(NameRef::to_name)
}

/// The length of the label between its own place and the next one, if it is one.
fn label_length(head: usize, at: usize) -> Option<u8> {
    let length = at - head - 1;
    (1..=MAX_LABEL)
        .contains(&length)
        .then(|| u8::try_from(length).ok())?
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
    Ok(listed(name(text)?, reach))
}

/// A name that is listed without conditions.
pub(super) fn listed(name: Name, reach: Reach) -> Item {
    Item::Name(Entry {
        name,
        reach,
        effect: Effect::Listed,
        modifiers: None,
    })
}

/// A name as lists write it: any case, final dot or not, Unicode or A-labels; at least two labels.
pub(super) fn name(text: &str) -> Result<Name, LineFault> {
    if let Some(name) = plain_name(text.as_bytes()) {
        return Ok(name);
    }
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
    host_name(&to_ascii(text)?)
}

/// A name that no list could block but another rule may mention: a top-level domain is fine, the
/// root and an address are not.
pub(super) fn mentioned_name(text: &str) -> Result<Name, LineFault> {
    match name(text) {
        Err(LineFault::TopLevel(_)) => Ok(Name::parse(&to_ascii(text)?)?),
        other => other,
    }
}

/// The name with A-labels for U-labels.
fn to_ascii(text: &str) -> Result<Cow<'_, str>, LineFault> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    // Checks of the ASCII part and of lengths are those of `Name`, so that an underscore is fine.
    Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::EMPTY,
            Hyphens::Allow,
            DnsLength::Ignore,
        )
        .map_err(|_| LineFault::Idna(quoted(text)))
}

/// What to answer with `address`: a null or loopback address is how hosts files and the syntaxes
/// that grew out of them say "block".
pub(super) fn answer(address: IpAddr) -> Action {
    if address.is_unspecified() || address.is_loopback() {
        Action::Block
    } else {
        Action::Addresses(vec![address])
    }
}

/// The modifiers of a rule with this action; none for a plain block.
pub(super) fn with_action(action: Action) -> Option<Box<Modifiers>> {
    (action != Action::Block).then(|| {
        Box::new(Modifiers {
            action,
            ..Modifiers::default()
        })
    })
}

/// Whether text from a list may be shown as it is: nothing in it acts on a terminal or turns the
/// direction of what follows.
pub(super) fn is_shown_as_is(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    })
}

/// What stands between quotes, if something does, and else the word itself.
pub(super) fn unquoted(word: &str) -> &str {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| word.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(word)
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
    fn the_short_way_to_a_name_says_what_the_long_one_says() {
        let label = "a".repeat(MAX_LABEL);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        for text in [
            "example.org",
            "Example.ORG",
            "_dmarc.a-b.example",
            "a.b",
            "1.2.x3",
            longest.as_str(),
        ] {
            let short = plain_name(text.as_bytes()).unwrap();
            assert_eq!(short, host_name(text).unwrap(), "{text}");
        }
        let too_long = format!("{longest}a");
        for text in [
            "",
            "org",
            ".",
            ".a.org",
            "a..org",
            "a.org.",
            "192.0.2.1",
            "a.1",
            "m\u{fc}nchen.example",
            "a b.org",
            "*.org",
            &format!("{label}a.org"),
            too_long.as_str(),
        ] {
            assert_eq!(plain_name(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_only_mentioned_may_be_a_top_level_domain() {
        assert_eq!(mentioned_name("Com").unwrap().to_string(), "com");
        assert_eq!(mentioned_name("a.com.").unwrap().to_string(), "a.com");
        assert_eq!(mentioned_name("*").unwrap_err(), LineFault::Everything("*"));
    }

    #[test]
    fn comments_need_a_blank_in_front() {
        assert_eq!(without_comment(b"# all"), b"");
        assert_eq!(without_comment(b"a.org  # needed by: b.org"), b"a.org");
        assert_eq!(without_comment(b" a.org##.ad "), b"a.org##.ad");
    }
}
