//! dnsmasq configuration: `address=/example.org/`, `server=/example.org/`, `local=/example.org/`.
//!
//! Domains mean what they mean in dnsmasq 2.86 and later: the name and all below it, with `*.` in
//! front all below it, with `*` in front every name that ends so. Where dnsmasq lets the longest
//! domain decide, an exception (`server=/example.org/#`) here takes back whatever the list says
//! about the name and those below it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::fault::quoted;
use super::mask::{self, Mask};
use super::{pattern, text};
use crate::lists::{
    Action, AddressEntry, Effect, Entry, Item, LineFault, Modifiers, Pattern, Reach, Unsupported,
};
use crate::name::NameError;

/// `address=/example.org/example.net/0.0.0.0  # comment`; one bad name costs the line.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    let line = text::checked(text::without_comment(line))?;
    if line.is_empty() {
        return Ok(());
    }
    let (option, value) = line
        .split_once('=')
        .map_or((line, ""), |(option, value)| (option.trim(), value.trim()));
    let (effect, action, domains) = match option {
        "address" => {
            let (domains, answer) = domains(value)?;
            (Effect::Listed, address(answer)?, domains)
        }
        "server" | "local" => {
            let (domains, server) = domains(value)?;
            match server {
                "" => (Effect::Listed, Action::Block, domains),
                "#" => (Effect::Excepted, Action::Block, domains),
                _ => return Err(Unsupported::Forwarding.into()),
            }
        }
        "bogus-nxdomain" => {
            into.push(bogus(value)?);
            return Ok(());
        }
        _ => return Err(Unsupported::Option(quoted(option)).into()),
    };
    let before = into.len();
    for domain in domains.split('/') {
        match item(domain, effect, text::with_action(action.clone())) {
            Ok(item) => into.push(item),
            Err(fault) => {
                into.truncate(before);
                return Err(fault);
            }
        }
    }
    Ok(())
}

/// The domains of `/a/b/value`, still joined by slashes, and the value.
fn domains(value: &str) -> Result<(&str, &str), LineFault> {
    let Some(body) = value.strip_prefix('/') else {
        // A server for all names.
        return Err(Unsupported::Forwarding.into());
    };
    body.rsplit_once('/')
        .ok_or(LineFault::Expected("a `/` behind the last name"))
}

/// What `address=/…/` answers.
fn address(text: &str) -> Result<Action, LineFault> {
    match text {
        // "No such name", and the null addresses of both families: listed, like in other syntaxes.
        "" | "#" => Ok(Action::Block),
        _ => text
            .parse::<IpAddr>()
            .map(text::answer)
            .map_err(|_| LineFault::Value {
                word: "address",
                value: quoted(text),
            }),
    }
}

/// What a domain matches.
fn item(
    domain: &str,
    effect: Effect,
    modifiers: Option<Box<Modifiers>>,
) -> Result<Item, LineFault> {
    // Leading dots mean nothing, for historical reasons.
    let bare = domain.trim_start_matches('.');
    if let Some(end) = domain.strip_prefix('*') {
        if end.contains('*') {
            return Err(NameError::Character('*').into());
        }
        return match mask::read(&format!("*{end}|"))? {
            Mask::Name(name, reach) => Ok(Item::Name(Entry {
                name,
                reach,
                effect,
                modifiers,
            })),
            Mask::Pattern(kind, text) => pattern::item(Pattern {
                kind,
                text,
                effect,
                modifiers,
            }),
            Mask::Everything => Err(LineFault::Everything("*")),
        };
    }
    if bare == "#" {
        return Err(LineFault::Everything("#"));
    }
    Ok(Item::Name(Entry {
        name: text::name(bare)?,
        reach: Reach::Subtree,
        effect,
        modifiers,
    }))
}

/// `bogus-nxdomain=192.0.2.1`: an answer with such an address becomes "no such name".
fn bogus(value: &str) -> Result<Item, LineFault> {
    let prefix = value
        .parse::<IpAddr>()
        .map(IpNet::from)
        .or_else(|_| value.parse::<IpNet>());
    match prefix {
        Ok(prefix) if prefix.prefix_len() == 0 => Err(LineFault::Everything("/0")),
        Ok(prefix) => Ok(Item::Address(AddressEntry {
            prefix: prefix.trunc(),
            effect: Effect::Listed,
            modifiers: text::with_action(Action::NxDomain),
        })),
        Err(_) => Err(LineFault::Value {
            word: "bogus-nxdomain",
            value: quoted(value),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use crate::lists::ListFormat::Dnsmasq;

    #[test]
    fn lines_understood() {
        let nxdomain = "||example.org^";
        for (line, expected) in [
            ("address=/Example.org/0.0.0.0", &["||example.org^"][..]),
            ("address=/example.org/::", &["||example.org^"]),
            ("address=/example.org/127.0.0.1", &["||example.org^"]),
            ("address=/example.org/#", &["||example.org^"]),
            ("address=/example.org/", &[nxdomain]),
            ("address=/example.org/ # why", &[nxdomain]),
            ("  address = /example.org/  ", &[nxdomain]),
            ("server=/example.org/", &[nxdomain]),
            ("local=/example.org/", &[nxdomain]),
            ("server=/example.org/#", &["@@||example.org^"]),
            (
                "address=/example.org/a.test/0.0.0.0",
                &["||example.org^", "||a.test^"],
            ),
            (
                "address=/example.org/192.0.2.1",
                &["||example.org^$dnsrewrite=192.0.2.1"],
            ),
            ("address=/.example.org/#", &["||example.org^"]),
            ("address=/*.example.org/#", &["||*.example.org^"]),
            ("address=/*example.org/#", &["*example.org|"]),
            ("address=/münchen.example/#", &["||xn--mnchen-3ya.example^"]),
            (
                "bogus-nxdomain=192.0.2.1",
                &["address 192.0.2.1/32$dnsrewrite=NXDOMAIN;;"],
            ),
        ] {
            assert_eq!(entries(Dnsmasq, line), expected, "{line}");
        }
        for silent in ["", "# comment", " # comment"] {
            assert!(entries(Dnsmasq, silent).is_empty(), "{silent}");
        }
    }

    #[test]
    fn lines_not_understood() {
        for (line, said) in [
            ("address=/#/0.0.0.0", "`#` matches every name"),
            ("address=/*/0.0.0.0", "`*` matches every name"),
            ("address=//0.0.0.0", "the name is empty"),
            (
                "address=/com/0.0.0.0",
                "`com` is a top-level domain; a list cannot name all of it",
            ),
            (
                "address=/example.org",
                "expected a `/` behind the last name",
            ),
            (
                "address=/example.org/nowhere",
                "`nowhere` is no value of `address`",
            ),
            ("address=/a.org/b..org/#", "the name has an empty label"),
            ("address=/a*.org/#", "`*` cannot stand in a domain name"),
            ("address=/*a*.org/#", "`*` cannot stand in a domain name"),
            (
                "server=/example.org/192.0.2.1",
                "not supported: to send a name to a server",
            ),
            (
                "server=192.0.2.1#53",
                "not supported: to send a name to a server",
            ),
            ("port=53", "not supported: the option `port`"),
            ("domain-needed", "not supported: the option `domain-needed`"),
            ("bogus-nxdomain=::/0", "`/0` matches every name"),
            ("example.org", "not supported: the option `example.org`"),
        ] {
            assert_eq!(fault(Dnsmasq, line).to_string(), said, "{line}");
        }
    }
}
