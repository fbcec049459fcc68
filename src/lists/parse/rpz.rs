//! Response policy zones (draft-vixie-dnsop-dns-rpz) as zone files.
//!
//! A trigger means what it means there: `example.org` the name alone, `*.example.org` all below it.
//! `rpz-client-ip` becomes a rule for all names that holds for those clients, `rpz-ip` an address
//! in the answer. `rpz-nsdname` and `rpz-nsip` look at the name servers of a name, which only a
//! resolver that asks them itself knows.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::super::fault::quoted;
use super::super::rule::type_number;
use super::zone::{Record, Records, is_ttl, unescaped, word};
use super::{pattern, text};
use crate::lists::{
    Action, AddressEntry, Client, Condition, Effect, Entry, Item, LineFault, Modifiers, Pattern,
    PatternKind, Reach, Unsupported,
};
use crate::name::Name;

/// Reads the lines of one zone file.
#[derive(Debug, Default)]
pub(super) struct Reader {
    records: Records,
    scope: Scope,
}

/// Where the names of a zone file are relative to.
#[derive(Debug, Default)]
struct Scope {
    /// The name of the zone, without its final dot, once the file said it.
    apex: Option<String>,
    /// What `$ORIGIN` says: an absolute name, or one relative to a zone whose name is unknown.
    origin: String,
    is_absolute: bool,
    /// The owner of the last record, as a trigger.
    owner: String,
}

/// What a record's owner is about.
#[derive(Debug, PartialEq, Eq)]
enum Trigger {
    /// The zone itself: its own records.
    Apex,
    Name(Name, Reach),
    Client(IpNet),
    Address(IpNet),
}

impl Reader {
    /// `example.org CNAME .`, with all that a zone file may hold.
    pub(super) fn read(&mut self, line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
        let line = match text::checked(line) {
            Ok(line) => line,
            // French in a comment.
            Err(LineFault::NotUtf8 { .. }) if line.trim_ascii_start().starts_with(b";") => "",
            Err(fault) => return Err(fault),
        };
        if let Some(record) = self.records.add(line)? {
            into.extend(self.scope.read(record)?);
        }
        Ok(())
    }

    /// Whether a record has begun that has not ended.
    pub(super) const fn is_inside(&self) -> bool {
        self.records.is_open()
    }
}

impl Scope {
    fn read(&mut self, record: Record<'_>) -> Result<Option<Item>, LineFault> {
        if record.text.is_empty() {
            return Ok(None);
        }
        let (owner, rest) = if record.has_owner {
            word(record.text)
        } else {
            ("", record.text)
        };
        if owner.starts_with('$') {
            return self.directive(owner, rest).map(|()| None);
        }
        let (mut rtype, mut data) = word(rest);
        while is_ttl(rtype) || rtype.eq_ignore_ascii_case("IN") {
            (rtype, data) = word(data);
        }
        if rtype.eq_ignore_ascii_case("SOA") {
            self.learn_apex(owner);
        }
        if record.has_owner {
            let trigger = self.relative(owner)?.into_owned();
            self.owner = trigger;
        }
        let number = match type_number(rtype) {
            Some(number) => number,
            None if matches!(rtype, "CH" | "HS" | "ch" | "hs") => {
                return Err(Unsupported::Record(rtype.to_owned()).into());
            }
            None => return Err(LineFault::Expected("a record type")),
        };
        // SOA, and the signatures of a signed zone.
        if matches!(number, 6 | 46..=48 | 50 | 51 | 59 | 60 | 63) {
            return Ok(None);
        }
        let trigger = trigger(&self.owner)?;
        if trigger == Trigger::Apex {
            return Ok(None);
        }
        let (effect, action) = self.action(number, data)?;
        Ok(Some(item(trigger, effect, action)?))
    }

    /// The owner of the SOA record is the zone.
    fn learn_apex(&mut self, owner: &str) {
        if let Some(absolute) = owner.strip_suffix('.') {
            self.apex = Some(absolute.to_ascii_lowercase());
        } else if owner == "@" && self.is_absolute {
            self.apex = Some(self.origin.clone());
        }
    }

    /// `$ORIGIN`, `$TTL`.
    fn directive(&mut self, word: &str, rest: &str) -> Result<(), LineFault> {
        let (value, _) = self::word(rest);
        match word.to_ascii_uppercase().as_str() {
            "$TTL" if is_ttl(value) => Ok(()),
            "$ORIGIN" if !value.is_empty() => {
                let value = unescaped(value)?;
                if let Some(absolute) = value.strip_suffix('.') {
                    // Before a SOA record says it: the zone is what comes first.
                    if self.apex.is_none() {
                        self.apex = Some(absolute.to_ascii_lowercase());
                    }
                    self.origin = absolute.to_ascii_lowercase();
                    self.is_absolute = true;
                } else {
                    self.origin = join(&value, &self.origin).to_ascii_lowercase();
                }
                Ok(())
            }
            _ => Err(Unsupported::Option(quoted(word)).into()),
        }
    }

    /// An owner's name without the zone's; empty for the zone itself.
    fn relative<'n>(&self, owner: &'n str) -> Result<Cow<'n, str>, LineFault> {
        let owner = unescaped(owner)?;
        let outside = |name: &str| LineFault::OutsideZone(quoted(name));
        if let Some(absolute) = owner.strip_suffix('.') {
            let apex = self.apex.as_deref().ok_or_else(|| outside(&owner))?;
            let inside = below(absolute, apex).ok_or_else(|| outside(&owner))?;
            return Ok(Cow::Owned(inside.to_owned()));
        }
        let origin = if self.is_absolute {
            let apex = self.apex.as_deref().unwrap_or_default();
            below(&self.origin, apex).ok_or_else(|| outside(&owner))?
        } else {
            &self.origin
        };
        Ok(match (owner.as_ref(), origin) {
            ("@", origin) => Cow::Owned(origin.to_owned()),
            (_, "") => owner,
            (name, origin) => Cow::Owned(join(name, origin)),
        })
    }

    /// What a record with a policy says.
    fn action(&self, number: u16, data: &str) -> Result<(Effect, Action), LineFault> {
        let bad = || LineFault::Value {
            word: "record",
            value: quoted(data),
        };
        let listed = |action| Ok((Effect::Listed, action));
        match number {
            5 => {
                let (target, more) = word(data);
                if !more.is_empty() {
                    return Err(LineFault::SecondWord(quoted(more)));
                }
                self.alias(target)
            }
            1 | 28 => match data.parse() {
                Ok(address) if matches!(address, IpAddr::V4(_)) == (number == 1) => {
                    listed(text::answer(address))
                }
                _ => Err(bad()),
            },
            2 | 39 => Err(Unsupported::Record(super::super::rule::type_text(number)).into()),
            _ if data.is_empty() || !text::is_shown_as_is(data) => Err(bad()),
            rtype => listed(Action::Record {
                rtype,
                data: data.to_owned(),
            }),
        }
    }

    /// What `CNAME target` says.
    fn alias(&self, target: &str) -> Result<(Effect, Action), LineFault> {
        let bad = || LineFault::Value {
            word: "CNAME",
            value: quoted(target),
        };
        let action = match target.to_ascii_lowercase().as_str() {
            "." => Action::Block,
            "*." => Action::NoData,
            "rpz-passthru." => return Ok((Effect::Excepted, Action::Block)),
            "rpz-drop." => Action::Drop,
            "rpz-tcp-only." => Action::TcpOnly,
            target
                if target.starts_with("rpz-") && !target.contains("..") && is_one_label(target) =>
            {
                return Err(bad());
            }
            // `*.garden.example.`: the name asked for in front of another.
            target if target.starts_with("*.") && text::is_shown_as_is(target) => Action::Record {
                rtype: 5,
                data: target.to_owned(),
            },
            target => {
                let absolute = match target.strip_suffix('.') {
                    Some(absolute) => Cow::Borrowed(absolute),
                    None if self.is_absolute => Cow::Owned(join(target, &self.origin)),
                    None => return Err(bad()),
                };
                // How passthru was written before it had a name of its own.
                if absolute.eq_ignore_ascii_case(&self.owner) {
                    return Ok((Effect::Excepted, Action::Block));
                }
                Action::Alias(text::mentioned_name(&absolute).map_err(|_| bad())?)
            }
        };
        Ok((Effect::Listed, action))
    }
}

/// Whether a name with its final dot has one label.
fn is_one_label(name: &str) -> bool {
    name.strip_suffix('.')
        .is_some_and(|label| !label.contains('.'))
}

/// `name` below `origin`.
fn join(name: &str, origin: &str) -> String {
    if origin.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{origin}")
    }
}

/// What stands in front of `apex` in a name; empty for `apex` itself.
fn below<'n>(name: &'n str, apex: &str) -> Option<&'n str> {
    if apex.is_empty() {
        return Some(name);
    }
    let cut = name.len().checked_sub(apex.len())?;
    let (front, end) = name.split_at_checked(cut)?;
    if !end.eq_ignore_ascii_case(apex) {
        return None;
    }
    if front.is_empty() {
        Some(front)
    } else {
        front.strip_suffix('.')
    }
}

/// What an owner's name, without the zone's, is about.
fn trigger(owner: &str) -> Result<Trigger, LineFault> {
    if owner.is_empty() {
        return Ok(Trigger::Apex);
    }
    let (front, last) = owner.rsplit_once('.').unwrap_or(("", owner));
    if last.len() > 4 && last.as_bytes().starts_with(b"rpz-") {
        return match last {
            "rpz-client-ip" => prefix(front).map(Trigger::Client),
            "rpz-ip" => prefix(front).map(Trigger::Address),
            "rpz-nsdname" | "rpz-nsip" => Err(Unsupported::NameServer.into()),
            _ => Err(LineFault::Value {
                word: "trigger",
                value: quoted(last),
            }),
        };
    }
    if last.len() > 4
        && last
            .get(..4)
            .is_some_and(|it| it.eq_ignore_ascii_case("rpz-"))
    {
        return trigger(&owner.to_ascii_lowercase());
    }
    Ok(match owner.strip_prefix("*.") {
        Some(parent) => Trigger::Name(text::name(parent)?, Reach::Below),
        None => Trigger::Name(text::name(owner)?, Reach::Exact),
    })
}

/// The prefix that stands in front of `rpz-ip`: its length, then the address in reverse order,
/// `zz` for the `::` of IPv6.
fn prefix(labels: &str) -> Result<IpNet, LineFault> {
    let bad = || LineFault::Value {
        word: "trigger",
        value: quoted(labels),
    };
    let (length, reversed) = labels.split_once('.').ok_or_else(bad)?;
    let length = length.parse::<u8>().map_err(|_| bad())?;
    let parts: Vec<&str> = reversed.rsplit('.').take(9).collect();
    let dotted = parts.len() == 4 && !parts.contains(&"zz");
    let address = if dotted {
        parts.join(".").parse::<Ipv4Addr>().map(IpAddr::V4)
    } else {
        let text = parts.join(":");
        let text = match text.as_str() {
            "zz" => "::".to_owned(),
            _ => match (text.strip_prefix("zz:"), text.strip_suffix(":zz")) {
                (Some(rest), _) => format!("::{rest}"),
                (None, Some(rest)) => format!("{rest}::"),
                (None, None) => text.replace(":zz:", "::"),
            },
        };
        text.parse::<Ipv6Addr>().map(IpAddr::V6)
    };
    let address = address.map_err(|_| bad())?;
    let net = IpNet::new(address, length).map_err(|_| bad())?;
    if net.prefix_len() == 0 {
        return Err(LineFault::Everything("/0"));
    }
    // Bits behind the prefix are a mistake, by the draft.
    (net == net.trunc()).then_some(net).ok_or_else(bad)
}

/// The rule that a trigger and what it does make.
fn item(trigger: Trigger, effect: Effect, action: Action) -> Result<Item, LineFault> {
    let modifiers = text::with_action(action);
    Ok(match trigger {
        Trigger::Apex => return Err(LineFault::Everything("@")),
        Trigger::Name(name, reach) => Item::Name(Entry {
            name,
            reach,
            effect,
            modifiers,
        }),
        Trigger::Address(prefix) => Item::Address(AddressEntry {
            prefix,
            effect,
            modifiers,
        }),
        Trigger::Client(prefix) => pattern::item(Pattern {
            kind: PatternKind::Substring,
            text: "*".to_owned(),
            effect,
            modifiers: Some(Box::new(Modifiers {
                clients: vec![Condition {
                    negated: false,
                    value: Client::Prefix(prefix),
                }],
                ..modifiers.map(|it| *it).unwrap_or_default()
            })),
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::rules;
    use crate::lists::ListFormat::Rpz;

    /// What one line in a zone `rpz.test.` says.
    fn rule(line: &str) -> String {
        let mut said = rules(Rpz, &format!("$ORIGIN rpz.test.\n{line}\n"));
        assert_eq!(said.len(), 1, "{line}: {said:?}");
        said.remove(0)
    }

    #[test]
    fn a_name_means_itself_and_a_wildcard_what_is_below() {
        for (owner, expected) in [
            ("Example.org", "|example.org^"),
            ("*.example.org", "||*.example.org^"),
            ("example.org.rpz.test.", "|example.org^"),
            ("*.example.org.RPZ.test.", "||*.example.org^"),
            ("ex\\097mple.org", "|example.org^"),
        ] {
            assert_eq!(rule(&format!("{owner} A 0.0.0.0")), expected, "{owner}");
        }
    }

    #[test]
    fn each_action_is_kept() {
        for (record, expected) in [
            ("CNAME .", "|a.test^"),
            ("300 IN CNAME *.", "|a.test^$dnsrewrite=NOERROR;;"),
            ("IN 1h cname rpz-passthru.", "@@|a.test^"),
            ("CNAME a.test.", "@@|a.test^"),
            ("CNAME RPZ-DROP.", "|a.test^$dnsrewrite=drop"),
            ("CNAME rpz-tcp-only.", "|a.test^$dnsrewrite=tcp-only"),
            (
                "CNAME garden.example.",
                "|a.test^$dnsrewrite=garden.example",
            ),
            ("CNAME garden", "|a.test^$dnsrewrite=garden.rpz.test"),
            (
                "CNAME *.garden.example.",
                "|a.test^$dnsrewrite=NOERROR;CNAME;*.garden.example.",
            ),
            ("A 192.0.2.1", "|a.test^$dnsrewrite=192.0.2.1"),
            ("AAAA 2001:db8::1", "|a.test^$dnsrewrite=2001:db8::1"),
            ("TXT \"a; b\"", "|a.test^$dnsrewrite=NOERROR;TXT;\"a; b\""),
        ] {
            assert_eq!(rule(&format!("a.test {record}")), expected, "{record}");
        }
    }

    #[test]
    fn addresses_of_clients_and_answers() {
        for (owner, expected) in [
            ("24.0.2.0.192.rpz-ip", "address 192.0.2.0/24"),
            ("128.1.zz.db8.2001.rpz-ip", "address 2001:db8::1/128"),
            ("32.zz.db8.2001.RPZ-IP", "address 2001:db8::/32"),
            ("128.1.zz.rpz-ip", "address ::1/128"),
            ("128.8.7.6.5.4.3.2.1.rpz-ip", "address 1:2:3:4:5:6:7:8/128"),
            ("32.1.2.0.192.rpz-client-ip", "*$client=192.0.2.1"),
            ("48.zz.1.db8.2001.rpz-client-ip", "*$client=2001:db8:1::/48"),
        ] {
            assert_eq!(rule(&format!("{owner} A 0.0.0.0")), expected, "{owner}");
        }
        assert_eq!(
            rule("32.1.2.0.192.rpz-client-ip CNAME rpz-passthru."),
            "@@*$client=192.0.2.1"
        );
    }

    #[test]
    fn a_zone_file_has_an_order() {
        let zone = "$TTL 2h ; two hours\n\
            @ SOA localhost. root.localhost. (\n    1 1h 15m 30d 2h )\n\
            \x20 NS localhost.\n\
            a.test CNAME .\n\
            \x20 TXT more\n\
            $ORIGIN test\n\
            b CNAME .\n\
            *.b CNAME .\n";
        assert_eq!(
            rules(Rpz, zone),
            [
                "|a.test^",
                "|a.test^$dnsrewrite=NOERROR;TXT;more",
                "|b.test^",
                "||*.b.test^",
            ]
        );
        let zone = "$ORIGIN rpz.test.\n@ SOA a. b. 1 1 1 1 1\n$ORIGIN org.rpz.test.\n\
            example CNAME .\n$ORIGIN elsewhere.\nexample CNAME .\nexample.net.rpz.test. CNAME .\n";
        assert_eq!(
            rules(Rpz, zone),
            [
                "|example.org^",
                "`example` lies outside of the zone",
                "|example.net^",
            ]
        );
    }

    #[test]
    fn what_is_not_understood_says_why() {
        for (line, said) in [
            ("*  CNAME .", "`*` matches every name"),
            (
                "org CNAME .",
                "`org` is a top-level domain; a list cannot name all of it",
            ),
            (
                "ns.example.org.rpz-nsdname CNAME .",
                "not supported: a trigger on name servers, which a forwarding resolver never sees",
            ),
            (
                "32.1.2.0.192.rpz-nsip CNAME .",
                "not supported: a trigger on name servers, which a forwarding resolver never sees",
            ),
            (
                "24.1.2.0.192.rpz-ip CNAME .",
                "`24.1.2.0.192` is no value of `trigger`",
            ),
            ("0.0.0.0.0.rpz-ip CNAME .", "`/0` matches every name"),
            (
                "33.1.2.0.192.rpz-ip CNAME .",
                "`33.1.2.0.192` is no value of `trigger`",
            ),
            ("rpz-ip CNAME .", "`` is no value of `trigger`"),
            ("a.rpz-odd CNAME .", "`rpz-odd` is no value of `trigger`"),
            ("a.test CNAME rpz-odd.", "`rpz-odd.` is no value of `CNAME`"),
            ("a.test CNAME", "`` is no value of `CNAME`"),
            ("a.test CNAME . x", "`x` stands after the name"),
            ("a.test DNAME b.test.", "not supported: a DNAME record"),
            ("a.test NS b.test.", "not supported: a NS record"),
            ("a.test A ::1", "`::1` is no value of `record`"),
            ("a.test", "expected a record type"),
            ("a.test CH TXT x", "not supported: a CH record"),
            (
                "a.test.elsewhere. CNAME .",
                "`a.test.elsewhere.` lies outside of the zone",
            ),
            (
                "$GENERATE 1-9 a$ A 0.0.0.0",
                "not supported: the option `$GENERATE`",
            ),
            ("$INCLUDE more", "not supported: the option `$INCLUDE`"),
            ("a\\.b.test CNAME .", "`.` cannot stand in a domain name"),
        ] {
            assert_eq!(rule(line), said, "{line}");
        }
        assert_eq!(
            rules(Rpz, "a.test. CNAME .\n"),
            ["`a.test.` lies outside of the zone"]
        );
        let zone = "rpz.test. SOA a. b. 1 1 1 1 1\na.test.rpz.test. CNAME .\n";
        assert_eq!(rules(Rpz, zone), ["|a.test^"]);
    }
}
