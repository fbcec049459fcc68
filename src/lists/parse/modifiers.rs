//! What stands behind the `$` of an adblock rule: AdGuard's DNS modifiers.
//!
//! `important`, `badfilter`, `denyallow`, `dnstype`, `dnsrewrite`, `client` and `ctag` are read;
//! with any other word the rule is refused as a whole, as AdGuard's documentation demands. That
//! holds for words AdGuard's browser filters know (`third-party`, `script`, `document`, `popup`,
//! `all`, `domain`, `match-case`) and for `respgeo`, which needs a database of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::fault::quoted;
use super::super::rule::type_number;
use super::text;
use crate::lists::{Action, Client, Condition, LineFault, Modifiers, Unsupported};

/// Reads the words behind `$`; a comma in a value has a `\` in front.
///
/// As in AdGuard the last of several equal words counts, but each `dnsrewrite` of a line adds to
/// the answer.
pub(super) fn read(words: &str, is_exception: bool) -> Result<Modifiers, LineFault> {
    let mut modifiers = Modifiers::default();
    let mut rewrite: Option<Action> = None;
    for word in split(words, ',').filter(|word| !word.is_empty()) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "important" => modifiers.important = true,
            "badfilter" => modifiers.badfilter = true,
            "denyallow" => {
                let names = value.split('|').map(text::mentioned_name);
                modifiers.denyallow = sorted(names.collect::<Result<_, _>>()?);
            }
            "dnstype" => {
                modifiers.types = conditions(value.split('|'), |text| {
                    type_number(text).ok_or_else(|| bad_value("dnstype", text))
                })?;
            }
            "client" => modifiers.clients = conditions(split(value, '|'), client)?,
            "ctag" => modifiers.tags = conditions(value.split('|'), tag)?,
            "dnsrewrite" => {
                let next = self::rewrite(value, is_exception)?;
                rewrite = Some(match rewrite {
                    Some(before) => joined(before, next, value)?,
                    None => next,
                });
            }
            _ => return Err(Unsupported::Modifier(quoted(key)).into()),
        }
    }
    modifiers.action = rewrite.unwrap_or_default();
    Ok(modifiers)
}

/// The parts of a text between separators that have no `\` in front, with their escapes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_escaped = false;
    text.split(move |c| {
        let splits = c == separator && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        splits
    })
}

/// Values of which each may have a `~` in front.
fn conditions<'t, T: Ord>(
    values: impl Iterator<Item = &'t str>,
    read: impl Fn(&str) -> Result<T, LineFault>,
) -> Result<Vec<Condition<T>>, LineFault> {
    let all: Result<_, _> = values
        .map(|text| {
            let positive = text.strip_prefix('~');
            Ok(Condition {
                negated: positive.is_some(),
                value: read(positive.unwrap_or(text))?,
            })
        })
        .collect();
    all.map(sorted)
}

/// In an order and without repetition, so that what means the same is the same.
fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all.dedup();
    all
}

fn bad_value(word: &'static str, value: &str) -> LineFault {
    LineFault::Value {
        word,
        value: quoted(value),
    }
}

/// An address, a prefix, or a name that may stand in quotes.
fn client(text: &str) -> Result<Client, LineFault> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Client::Prefix(address.into()));
    }
    if let Ok(prefix) = text.parse::<IpNet>() {
        return Ok(Client::Prefix(prefix.trunc()));
    }
    let mut name = String::new();
    let mut is_escaped = false;
    for c in text::unquoted(text).chars() {
        if c == '\\' && !is_escaped {
            is_escaped = true;
            continue;
        }
        is_escaped = false;
        name.push(c);
    }
    if name.trim().is_empty() || !text::is_shown_as_is(&name) {
        return Err(bad_value("client", text));
    }
    Ok(Client::Name(name))
}

fn tag(text: &str) -> Result<String, LineFault> {
    let is_tag = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
    if text.is_empty() || !text.bytes().all(is_tag) {
        return Err(bad_value("ctag", text));
    }
    Ok(text.to_owned())
}

/// The value of `dnsrewrite`, short (`192.0.2.1`, `example.net`, `REFUSED`) or in full
/// (`NOERROR;A;192.0.2.1`).
///
/// Without a value it is for exceptions only and means every rewrite: no address at all.
fn rewrite(value: &str, is_exception: bool) -> Result<Action, LineFault> {
    if value.is_empty() && is_exception {
        return Ok(Action::Addresses(Vec::new()));
    }
    if let Some((rcode, rest)) = value.split_once(';') {
        let (rtype, data) = rest
            .split_once(';')
            .ok_or_else(|| bad_value("dnsrewrite", value))?;
        return match keyword(&rcode.to_ascii_uppercase()) {
            Some(Action::NoData) if !(rtype.is_empty() && data.is_empty()) => record(rtype, data),
            Some(action) => Ok(action),
            None => Err(Unsupported::Answer(quoted(rcode)).into()),
        };
    }
    if !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_uppercase()) {
        return keyword(value).ok_or_else(|| Unsupported::Answer(quoted(value)).into());
    }
    if let Ok(address) = value.parse() {
        return Ok(Action::Addresses(vec![address]));
    }
    text::mentioned_name(value)
        .map(Action::Alias)
        .map_err(|_| bad_value("dnsrewrite", value))
}

/// What an RCODE alone answers.
fn keyword(rcode: &str) -> Option<Action> {
    Some(match rcode {
        "NOERROR" => Action::NoData,
        "NXDOMAIN" => Action::NxDomain,
        "REFUSED" => Action::Refused,
        _ => return None,
    })
}

/// A record of an answer.
fn record(rtype: &str, data: &str) -> Result<Action, LineFault> {
    let rtype = type_number(rtype).ok_or_else(|| bad_value("dnsrewrite", rtype))?;
    let bad = || bad_value("dnsrewrite", data);
    match rtype {
        1 => data
            .parse()
            .map(|address| Action::Addresses(vec![IpAddr::V4(address)]))
            .map_err(|_| bad()),
        28 => data
            .parse()
            .map(|address| Action::Addresses(vec![IpAddr::V6(address)]))
            .map_err(|_| bad()),
        5 => text::mentioned_name(data)
            .map(Action::Alias)
            .map_err(|_| bad()),
        _ if data.trim().is_empty() || !text::is_shown_as_is(data) => Err(bad()),
        _ => Ok(Action::Record {
            rtype,
            data: data.to_owned(),
        }),
    }
}

/// Both answers in one: addresses add up, and the same said twice is said once.
fn joined(before: Action, next: Action, value: &str) -> Result<Action, LineFault> {
    match (before, next) {
        (Action::Addresses(mut all), Action::Addresses(more)) => {
            all.extend(more);
            Ok(Action::Addresses(sorted(all)))
        }
        (before, next) if before == next => Ok(before),
        _ => Err(bad_value("dnsrewrite", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn one(words: &str) -> Modifiers {
        read(words, false).unwrap()
    }

    fn condition<T>(negated: bool, value: T) -> Condition<T> {
        Condition { negated, value }
    }

    fn client_names(words: &str) -> Vec<(bool, String)> {
        let each = |it: Condition<Client>| match it.value {
            Client::Name(name) => (it.negated, name),
            Client::Prefix(net) => (it.negated, net.to_string()),
        };
        one(words).clients.into_iter().map(each).collect()
    }

    #[test]
    fn flags_and_conditions() {
        let said = one("important,badfilter,denyallow=com|Sub.Example.org,dnstype=aaaa|~A|TYPE65");
        assert!(said.important && said.badfilter);
        let name = |text: &str| Name::parse(text).unwrap();
        assert_eq!(said.denyallow, [name("com"), name("sub.example.org")]);
        assert_eq!(
            said.types,
            [
                condition(false, 28),
                condition(false, 65),
                condition(true, 1)
            ]
        );
        assert_eq!(
            one("ctag=device_pc|~user_child").tags,
            [
                condition(false, "device_pc".to_owned()),
                condition(true, "user_child".to_owned())
            ]
        );
        assert_eq!(one("dnstype=A,dnstype=MX").types, [condition(false, 15)]);
        assert!(one(",important,,").important);
    }

    /// The examples of AdGuard's documentation.
    #[test]
    fn clients_are_addresses_prefixes_and_names_in_quotes() {
        let plain = |text: &str| (false, text.to_owned());
        for (words, expected) in [
            ("client=127.0.0.1", vec![plain("127.0.0.1/32")]),
            ("client=192.168.0.9/24", vec![plain("192.168.0.0/24")]),
            ("client=2001:db8::/64", vec![plain("2001:db8::/64")]),
            (r"client='Frank\'s laptop'", vec![plain("Frank's laptop")]),
            ("client=\"Frank's phone\"", vec![plain("Frank's phone")]),
            (
                r"client=~'Mary\'s\, John\'s\, and Boris\'s laptops'",
                vec![(true, "Mary's, John's, and Boris's laptops".to_owned())],
            ),
            (
                "client=~Mom|~Dad|Kids",
                vec![
                    plain("Kids"),
                    (true, "Dad".to_owned()),
                    (true, "Mom".to_owned()),
                ],
            ),
            (r"client=a\|b|c\\", vec![plain("a|b"), plain("c\\")]),
        ] {
            assert_eq!(client_names(words), expected, "{words}");
        }
    }

    #[test]
    fn rewrites_short_and_in_full() {
        let addresses =
            |all: &[&str]| Action::Addresses(all.iter().map(|it| it.parse().unwrap()).collect());
        let alias = Action::Alias(Name::parse("example.net").unwrap());
        for (words, action) in [
            ("dnsrewrite=192.0.2.1", addresses(&["192.0.2.1"])),
            ("dnsrewrite=2001:db8::1", addresses(&["2001:db8::1"])),
            ("dnsrewrite=example.net", alias.clone()),
            ("dnsrewrite=NOERROR;CNAME;example.net", alias),
            ("dnsrewrite=REFUSED", Action::Refused),
            ("dnsrewrite=refused;;", Action::Refused),
            ("dnsrewrite=NXDOMAIN;;", Action::NxDomain),
            ("dnsrewrite=NXDOMAIN;A;192.0.2.1", Action::NxDomain),
            ("dnsrewrite=NOERROR", Action::NoData),
            ("dnsrewrite=NOERROR;;", Action::NoData),
            ("dnsrewrite=NOERROR;A;192.0.2.1", addresses(&["192.0.2.1"])),
            (
                "dnsrewrite=192.0.2.2,dnsrewrite=NOERROR;A;192.0.2.1",
                addresses(&["192.0.2.1", "192.0.2.2"]),
            ),
            (
                "dnsrewrite=NOERROR;MX;32 example.mail",
                Action::Record {
                    rtype: 15,
                    data: "32 example.mail".into(),
                },
            ),
        ] {
            assert_eq!(one(words).action, action, "{words}");
        }
        assert_eq!(
            read("dnsrewrite", true).unwrap().action,
            Action::Addresses(Vec::new())
        );
    }

    #[test]
    fn what_is_not_understood_costs_the_rule() {
        for word in [
            "third-party",
            "~script",
            "document",
            "all",
            "popup",
            "respgeo=US",
        ] {
            let key = word.split('=').next().unwrap();
            assert_eq!(
                read(word, false).unwrap_err(),
                Unsupported::Modifier(key.into()).into()
            );
        }
        for (words, said) in [
            ("denyallow", "the name is empty"),
            ("denyallow=~com", "`~` cannot stand in a domain name"),
            ("denyallow=example.*", "`*` cannot stand in a domain name"),
            ("dnstype", "`` is no value of `dnstype`"),
            ("dnstype=A|B", "`B` is no value of `dnstype`"),
            ("client", "`` is no value of `client`"),
            ("client=''", "`''` is no value of `client`"),
            ("client=a\u{202e}b", "`a\\u{202e}b` is no value of `client`"),
            ("ctag=PC", "`PC` is no value of `ctag`"),
            ("dnsrewrite", "`` is no value of `dnsrewrite`"),
            ("dnsrewrite=a b", "`a b` is no value of `dnsrewrite`"),
            (
                "dnsrewrite=NOERROR;A",
                "`NOERROR;A` is no value of `dnsrewrite`",
            ),
            (
                "dnsrewrite=NOERROR;A;::1",
                "`::1` is no value of `dnsrewrite`",
            ),
            (
                "dnsrewrite=SERVFAIL",
                "not supported: to answer with `SERVFAIL`",
            ),
            (
                "dnsrewrite=192.0.2.1,dnsrewrite=REFUSED",
                "`REFUSED` is no value of `dnsrewrite`",
            ),
        ] {
            assert_eq!(read(words, false).unwrap_err().to_string(), said, "{words}");
        }
    }
}
