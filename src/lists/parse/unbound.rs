//! unbound configuration: `local-zone: "example.org" always_nxdomain`, `local-data: "…"`.
//!
//! A zone covers its name and all below it, data the name alone. Where unbound lets the closest
//! zone decide, an exception here (`always_transparent`) takes back whatever the list says about
//! the name and those below it. What clients of a `view:` see is left alone.

use std::net::IpAddr;

use super::super::fault::quoted;
use super::super::rule::type_number;
use super::text;
use crate::lists::{
    Action, Condition, Effect, Entry, Item, LineFault, Modifiers, Reach, Unsupported,
};
use crate::name::Name;

/// Reads the lines of one file, which have an order: a clause (`server:`) holds for those after
/// it, and data for the zone before it.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The clause we are in, if its options are not those of the server.
    clause: Option<String>,
    /// The last zone and what data in it means.
    zone: Option<(Name, Data)>,
}

/// What data of a zone means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    /// The answer for the name.
    Exact,
    /// The answer for all names of the zone (`redirect`).
    Subtree,
    /// The answer for the name although the zone is an exception (`transparent`).
    Despite,
    /// Nothing (`always_…`).
    Ignored,
}

impl Reader {
    /// `local-zone: "example.org" redirect`, `local-data: "example.org A 0.0.0.0"`.
    pub(super) fn read(&mut self, line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
        let mut line = text::checked(without_comment(line))?;
        // `server:` may have an option behind it.
        loop {
            if line.is_empty() {
                return Ok(());
            }
            let (option, value) = line
                .split_once(':')
                .map(|(option, value)| (option.trim(), value.trim()))
                .ok_or(LineFault::Expected("an option and a colon"))?;
            match option {
                "server" => self.clause = None,
                _ if is_clause(option) => self.clause = Some(option.to_owned()),
                _ => return self.option(option, value, into),
            }
            line = value;
        }
    }

    fn option(&mut self, option: &str, value: &str, into: &mut Vec<Item>) -> Result<(), LineFault> {
        if let Some(clause) = &self.clause {
            return Err(Unsupported::Option(quoted(&format!("{clause}: {option}"))).into());
        }
        match option {
            "local-zone" => self.zone(value, into),
            "local-data" => {
                into.extend(self.data(text::unquoted(value))?);
                Ok(())
            }
            _ => Err(Unsupported::Option(quoted(option)).into()),
        }
    }

    /// `"example.org" always_nxdomain`.
    fn zone(&mut self, value: &str, into: &mut Vec<Item>) -> Result<(), LineFault> {
        let mut words = value.split_ascii_whitespace();
        let (Some(name), Some(kind)) = (words.next(), words.next()) else {
            return Err(LineFault::Expected("a name and a type"));
        };
        if let Some(more) = words.next() {
            return Err(LineFault::SecondWord(quoted(more)));
        }
        let (effect, modifiers, data) = zone_type(text::unquoted(kind))?;
        let name = text::name(text::unquoted(name))?;
        self.zone = Some((name.clone(), data));
        into.push(Item::Name(Entry {
            name,
            reach: Reach::Subtree,
            effect,
            modifiers,
        }));
        Ok(())
    }

    /// `example.org. 3600 IN A 192.0.2.1`, without its quotes.
    fn data(&self, record: &str) -> Result<Option<Item>, LineFault> {
        let (owner, rest) = word(record);
        let (mut rtype, mut rest) = word(rest);
        // A TTL and a class, in either order.
        while rtype.bytes().all(|octet| octet.is_ascii_digit()) && !rtype.is_empty()
            || rtype.eq_ignore_ascii_case("IN")
        {
            (rtype, rest) = word(rest);
        }
        let name = text::name(owner)?;
        let (reach, important) = match self.zone.as_ref() {
            Some((zone, data)) if name.as_ref().is_within(zone.as_ref()) => match data {
                Data::Exact => (Reach::Exact, false),
                Data::Subtree => (Reach::Subtree, false),
                Data::Despite => (Reach::Exact, true),
                Data::Ignored => return Ok(None),
            },
            _ => (Reach::Exact, false),
        };
        let modifiers = Modifiers {
            action: action(rtype, text::unquoted(rest))?,
            important,
            ..Modifiers::default()
        };
        Ok(Some(Item::Name(Entry {
            name,
            reach,
            effect: Effect::Listed,
            modifiers: (modifiers != Modifiers::default()).then(|| Box::new(modifiers)),
        })))
    }
}

/// The words that begin a clause, besides `server`.
fn is_clause(option: &str) -> bool {
    matches!(
        option,
        "auth-zone"
            | "cachedb"
            | "dnscrypt"
            | "dnstap"
            | "dynlib"
            | "forward-zone"
            | "ipset"
            | "python"
            | "remote-control"
            | "rpz"
            | "stub-zone"
            | "view"
    )
}

type ZoneType = (Effect, Option<Box<Modifiers>>, Data);

/// What a zone's type does to its names.
fn zone_type(kind: &str) -> Result<ZoneType, LineFault> {
    let listed = |action, data| (Effect::Listed, text::with_action(action), data);
    let excepted = |data| (Effect::Excepted, None, data);
    Ok(match kind {
        // Names without data do not exist.
        "static" => listed(Action::Block, Data::Exact),
        "always_nxdomain" => listed(Action::Block, Data::Ignored),
        "always_nodata" => listed(Action::NoData, Data::Ignored),
        // The null addresses.
        "always_null" => listed(Action::Block, Data::Ignored),
        // What its data says, which comes on another line.
        "redirect" | "inform_redirect" => listed(Action::Block, Data::Subtree),
        "refuse" => listed(Action::Refused, Data::Exact),
        "always_refuse" => listed(Action::Refused, Data::Ignored),
        "deny" | "inform_deny" => listed(Action::Drop, Data::Exact),
        "always_deny" => listed(Action::Drop, Data::Ignored),
        "block_a" => {
            let only_a = Modifiers {
                types: vec![Condition {
                    negated: false,
                    value: 1,
                }],
                action: Action::NoData,
                ..Modifiers::default()
            };
            (Effect::Listed, Some(Box::new(only_a)), Data::Exact)
        }
        // Names without data are resolved as usual.
        "transparent" | "typetransparent" | "inform" | "nodefault" => excepted(Data::Despite),
        "always_transparent" => excepted(Data::Ignored),
        _ => return Err(Unsupported::ZoneType(quoted(kind)).into()),
    })
}

/// What a record of local data answers.
fn action(rtype: &str, data: &str) -> Result<Action, LineFault> {
    let number = type_number(rtype).ok_or(LineFault::Expected("a record type"))?;
    let bad = || LineFault::Value {
        word: "local-data",
        value: quoted(data),
    };
    match number {
        1 | 28 => match data.parse() {
            Ok(address) if matches!(address, IpAddr::V4(_)) == (number == 1) => {
                Ok(text::answer(address))
            }
            _ => Err(bad()),
        },
        5 => text::mentioned_name(data)
            .map(Action::Alias)
            .map_err(|_| bad()),
        _ if data.is_empty() || !text::is_shown_as_is(data) => Err(bad()),
        rtype => Ok(Action::Record {
            rtype,
            data: data.to_owned(),
        }),
    }
}

/// The first word of a text and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text
        .split_once(|c: char| c.is_ascii_whitespace())
        .unwrap_or((text, ""));
    (word, rest.trim())
}

/// The line up to a `#` that stands between no quotes.
fn without_comment(line: &[u8]) -> &[u8] {
    let mut quote = None;
    let end = line.iter().position(|octet| {
        match (quote, octet) {
            (None, b'#') => return true,
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), _) if open == octet => quote = None,
            _ => {}
        }
        false
    });
    line.get(..end.unwrap_or(line.len()))
        .unwrap_or(line)
        .trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault, rules};
    use crate::lists::ListFormat::Unbound;

    #[test]
    fn each_type_of_zone_says_what_it_does() {
        for (kind, expected) in [
            ("static", "||a.test^"),
            ("always_nxdomain", "||a.test^"),
            ("always_nodata", "||a.test^$dnsrewrite=NOERROR;;"),
            ("always_null", "||a.test^"),
            ("redirect", "||a.test^"),
            ("refuse", "||a.test^$dnsrewrite=REFUSED;;"),
            ("always_refuse", "||a.test^$dnsrewrite=REFUSED;;"),
            ("deny", "||a.test^$dnsrewrite=drop"),
            ("always_deny", "||a.test^$dnsrewrite=drop"),
            ("inform_deny", "||a.test^$dnsrewrite=drop"),
            ("inform_redirect", "||a.test^"),
            ("block_a", "||a.test^$dnstype=A,dnsrewrite=NOERROR;;"),
            ("transparent", "@@||a.test^"),
            ("typetransparent", "@@||a.test^"),
            ("inform", "@@||a.test^"),
            ("nodefault", "@@||a.test^"),
            ("always_transparent", "@@||a.test^"),
        ] {
            let line = format!("  local-zone: \"a.test.\" {kind}  # why");
            assert_eq!(entries(Unbound, line), [expected], "{kind}");
        }
        for silent in ["", "# comment", "server:", "  server: # head"] {
            assert!(entries(Unbound, silent).is_empty(), "{silent}");
        }
        for (line, expected) in [
            (
                "local-zone: 'a.test' 'static'",
                "||a.test^",
            ),
            ("server: local-zone: a.test always_null", "||a.test^"),
        ] {
            assert_eq!(entries(Unbound, line), [expected], "{line}");
        }
    }

    #[test]
    fn data_is_for_a_name_alone() {
        for (data, expected) in [
            ("a.test A 0.0.0.0", "|a.test^"),
            ("a.test. 3600 IN AAAA ::", "|a.test^"),
            ("a.test A 192.0.2.1", "|a.test^$dnsrewrite=192.0.2.1"),
            ("a.test IN 60 CNAME b.test.", "|a.test^$dnsrewrite=b.test"),
            (
                "a.test TXT 'x # y'",
                "|a.test^$dnsrewrite=NOERROR;TXT;x # y",
            ),
        ] {
            let line = format!("local-data: \"{data}\"");
            assert_eq!(entries(Unbound, &line), [expected], "{line}");
        }
    }

    #[test]
    fn data_means_what_the_zone_before_it_makes_of_it() {
        let data = "local-data: \"a.test A 192.0.2.1\"";
        for (kind, expected) in [
            ("redirect", Some("||a.test^$dnsrewrite=192.0.2.1")),
            ("static", Some("|a.test^$dnsrewrite=192.0.2.1")),
            (
                "transparent",
                Some("|a.test^$important,dnsrewrite=192.0.2.1"),
            ),
            ("always_nxdomain", None),
        ] {
            let list = format!("local-zone: \"a.test\" {kind}\n{data}\n");
            let said = rules(Unbound, &list);
            assert_eq!(said.get(1).map(String::as_str), expected, "{kind}");
        }
        let list = format!("local-zone: \"b.test\" redirect\n{data}\n");
        assert_eq!(rules(Unbound, &list)[1], "|a.test^$dnsrewrite=192.0.2.1");
    }

    #[test]
    fn what_a_view_shows_is_left_alone() {
        let list = "view:\n name: \"kids\"\n local-zone: \"a.test\" static\n\
            server:\n local-zone: \"b.test\" static\n";
        assert_eq!(
            rules(Unbound, list),
            [
                "not supported: the option `view: name`",
                "not supported: the option `view: local-zone`",
                "||b.test^",
            ]
        );
    }

    #[test]
    fn lines_not_understood() {
        for (line, said) in [
            ("local-zone: \"a.test\"", "expected a name and a type"),
            (
                "local-zone: \"a.test\" ipset",
                "not supported: a zone of type `ipset`",
            ),
            (
                "local-zone: \"a.test\" static x",
                "`x` stands after the name",
            ),
            (
                "local-zone: \"test\" static",
                "`test` is a top-level domain; a list cannot name all of it",
            ),
            ("local-zone: \".\" static", "`.` matches every name"),
            ("local-data: \"a.test\"", "expected a record type"),
            (
                "local-data: \"a.test A ::1\"",
                "`::1` is no value of `local-data`",
            ),
            (
                "local-data-ptr: \"192.0.2.1 a.test\"",
                "not supported: the option `local-data-ptr`",
            ),
            ("verbosity: 1", "not supported: the option `verbosity`"),
            ("example.org", "expected an option and a colon"),
        ] {
            assert_eq!(fault(Unbound, line).to_string(), said, "{line}");
        }
    }
}
