//! Hosts files: `0.0.0.0 name name # comment`, as in hosts(5).

use std::net::IpAddr;

use super::super::fault::quoted;
use super::text;
use crate::lists::{Item, LineFault, Reach};
use crate::name::Name;

/// Names by which a machine calls itself and its network; every hosts file brings some of them.
const OWN_NAMES: [&str; 17] = [
    "0.0.0.0",
    "broadcasthost",
    "ip6-allhosts",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-localhost",
    "ip6-localnet",
    "ip6-loopback",
    "ip6-mcastprefix",
    "local",
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "loopback",
];

/// `0.0.0.0 example.org www.example.org # comment`; one bad name costs the line.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    if let Some(name) = plain(line) {
        into.push(text::listed(name, Reach::Subtree));
        return Ok(());
    }
    // Unlike in other lists a `#` inside a word begins a comment: hosts(5) has no other use for it.
    let end = line.iter().position(|octet| *octet == b'#');
    let line = line.get(..end.unwrap_or(line.len())).unwrap_or(line);
    let mut words = text::checked(line.trim_ascii())?.split_ascii_whitespace();
    let Some(first) = words.next() else {
        return Ok(());
    };
    let address = address(first).ok_or_else(|| LineFault::NotAnAddress(quoted(first)))?;
    let mut names = words.peekable();
    if names.peek().is_none() {
        return Err(LineFault::NoName);
    }
    let before = into.len();
    for name in names.filter(|name| !is_own_name(name)) {
        let entry = if address.is_unspecified() || address.is_loopback() {
            text::plain_item(name)
        } else {
            Err(LineFault::OtherAddress(address))
        };
        match entry {
            Ok(entry) => into.push(entry),
            Err(fault) => {
                into.truncate(before);
                return Err(fault);
            }
        }
    }
    Ok(())
}

/// The name of a line like nearly all: `0.0.0.0 name` or `127.0.0.1 name` and nothing else.
fn plain(line: &[u8]) -> Option<Name> {
    let after = line
        .strip_prefix(b"0.0.0.0")
        .or_else(|| line.strip_prefix(b"127.0.0.1"))?;
    let word = after.trim_ascii();
    let has_blank = after.first().is_some_and(u8::is_ascii_whitespace);
    // All own names of two labels begin so, and those of one label are not plain.
    let may_be_own = word
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"local"));
    if !has_blank || may_be_own {
        return None;
    }
    text::plain_name(word)
}

/// The address a word stands for; `fe80::1%lo0` has a zone that is of no interest.
pub(super) fn address(word: &str) -> Option<IpAddr> {
    let (address, _zone) = word.split_once('%').unwrap_or((word, ""));
    address.parse().ok()
}

/// Whether a name is one by which machines call themselves.
fn is_own_name(name: &str) -> bool {
    OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use super::*;
    use crate::lists::ListFormat::Hosts;
    use crate::name::NameError;

    #[test]
    fn lines_understood() {
        for (line, expected) in [
            ("0.0.0.0 example.org", &["||example.org^"][..]),
            (
                "127.0.0.1\tExample.org www.example.net # ads",
                &["||example.org^", "||www.example.net^"],
            ),
            (":: example.org#glued", &["||example.org^"]),
            ("::1 example.org", &["||example.org^"]),
            ("127.0.0.7 example.org", &["||example.org^"]),
            ("127.0.0.1 localhost example.org", &["||example.org^"]),
        ] {
            assert_eq!(entries(Hosts, line), expected);
        }
        for silent in [
            "",
            "# a comment",
            "127.0.0.1 localhost",
            "127.0.0.1 LocalHost.LocalDomain",
            "255.255.255.255 broadcasthost",
            "fe80::1%lo0 localhost",
            "ff02::1 ip6-allnodes",
            "0.0.0.0 0.0.0.0",
            "0.0.0.0 localhost4.localdomain4",
        ] {
            assert!(entries(Hosts, silent).is_empty(), "{silent}");
        }
    }

    #[test]
    fn lines_not_understood() {
        for (line, expected) in [
            ("example.org", LineFault::NotAnAddress("example.org".into())),
            ("0.0.0.0", LineFault::NoName),
            ("0.0.0.0 # nothing", LineFault::NoName),
            (
                "0.0.0.0x.example ",
                LineFault::NotAnAddress("0.0.0.0x.example".into()),
            ),
            (
                "192.0.2.7 example.org",
                LineFault::OtherAddress("192.0.2.7".parse().unwrap()),
            ),
            (
                "0.0.0.0 example.org exa|mple.net",
                LineFault::Name(NameError::Character('|')),
            ),
            ("0.0.0.0 example.org en", LineFault::TopLevel("en".into())),
            (
                "0.0.0.0 192.0.2.7",
                LineFault::Address("192.0.2.7".parse().unwrap()),
            ),
            ("0.0.0.0 a..org", LineFault::Name(NameError::EmptyLabel)),
        ] {
            assert_eq!(fault(Hosts, line), expected);
        }
    }
}
