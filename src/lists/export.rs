//! Out of the index again: a list's names in the syntax of another program.
//!
//! What stands in an index was said by a list; here it is said once more, so that what was compiled
//! can be looked at, compared, and used elsewhere. Where a syntax cannot say something (an exception
//! in a hosts file), that is left out and counted: said half it would mean something else.

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::IpAddr;

use super::addresses::Addresses;
use super::modifiers::decode;
use super::patterns::Patterns;
use super::{
    Action, AddressEntry, Effect, Entry, Index, Item, ListFormat, ListId, ListKind, Modifiers,
    PatternKind, Posting, Reach,
};

/// What an export came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Entries written.
    pub entries: u64,
    /// Entries the syntax cannot say.
    pub left_out: u64,
}

/// Which lists are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This one, with its exceptions.
    List(ListId),
    /// All blocklists as one, without exceptions: one that takes back a line of its own list would
    /// take back those of all others too.
    Blocklists,
}

/// Hands everything that `selection` says to `each`: names in their order, then patterns, then
/// addresses; what several lists say comes once. Sealed lists say nothing: what they hold cannot be
/// read.
///
/// # Errors
/// What `each` said.
pub fn items<E>(
    index: &Index,
    selection: Selection,
    mut each: impl FnMut(&Item) -> Result<(), E>,
) -> Result<Exported, E> {
    let mut taken = Taken {
        chosen: index
            .lists()
            .map(|(id, info)| match selection {
                Selection::List(list) => list == id && info.kind != ListKind::Sealed,
                // Which services count is a choice of each household.
                Selection::Blocklists => info.kind == ListKind::Block && info.service.is_none(),
            })
            .collect(),
        with_exceptions: selection != Selection::Blocklists,
        each: &mut each,
        done: Exported::default(),
        failed: None,
    };
    index.walk(|name, postings| {
        let mut said: Vec<Posting<'_>> = Vec::new();
        for posting in postings {
            let same = Posting {
                list: ListId(0),
                ..*posting
            };
            if !taken.wants(posting.list, posting.effect) || said.contains(&same) {
                continue;
            }
            said.push(same);
            taken.take(&Item::Name(Entry {
                name: name.to_name(),
                reach: posting.reach,
                effect: posting.effect,
                modifiers: modifiers_of(posting),
            }));
        }
    });
    let mut said: HashSet<Item> = HashSet::new();
    let mut beside = |list: ListId, effect: Effect, item: Item| {
        if taken.wants(list, effect) && said.insert(item.clone()) {
            taken.take(&item);
        }
    };
    // Few, beside the names: the index bounds both.
    let section = index.patterns_section();
    if let Ok(patterns) = Patterns::open(section) {
        patterns.walk(section, |list, pattern| {
            beside(list, pattern.effect, Item::Pattern(pattern));
        });
    }
    let section = index.addresses_section();
    if let Ok(addresses) = Addresses::open(section) {
        addresses.walk(section, |list, entry| {
            beside(list, entry.effect, Item::Address(entry));
        });
    }
    taken.failed.map_or(Ok(taken.done), Err)
}

/// What is handed out.
struct Taken<'e, E> {
    /// For each list whether it is exported.
    chosen: Vec<bool>,
    with_exceptions: bool,
    each: &'e mut dyn FnMut(&Item) -> Result<(), E>,
    done: Exported,
    failed: Option<E>,
}

impl<E> Taken<'_, E> {
    /// Whether what `list` says with this effect is exported; counts what is left out of it.
    fn wants(&mut self, list: ListId, effect: Effect) -> bool {
        let is_chosen = self.chosen.get(usize::from(list.0)).copied();
        if self.failed.is_some() || !is_chosen.unwrap_or(false) {
            return false;
        }
        let left_out = !self.with_exceptions && effect == Effect::Excepted;
        self.done.left_out += u64::from(left_out);
        !left_out
    }

    fn take(&mut self, item: &Item) {
        match (self.each)(item) {
            Ok(()) => self.done.entries += 1,
            Err(error) => self.failed = Some(error),
        }
    }
}

/// What restricts or changes a posting, understood.
fn modifiers_of(posting: &Posting<'_>) -> Option<Box<Modifiers>> {
    let written = posting.modifiers.and_then(decode);
    let modifiers = Modifiers {
        important: posting.important,
        ..written.unwrap_or_default()
    };
    (modifiers != Modifiers::default()).then(|| Box::new(modifiers))
}

/// Writes the lists of `selection` in `format`; what is not [`can_export`]ed is all left out.
///
/// # Errors
/// What `out` said.
pub fn export(
    index: &Index,
    selection: Selection,
    format: ListFormat,
    out: &mut dyn Write,
) -> io::Result<Exported> {
    if format == ListFormat::Rpz {
        out.write_all(RPZ_HEAD.as_bytes())?;
    }
    let mut left_out = 0;
    let mut done = items(index, selection, |item| {
        let text = line(item, format);
        left_out += u64::from(text.is_none());
        text.map_or(Ok(()), |text| writeln!(out, "{text}"))
    })?;
    done.entries -= left_out;
    done.left_out += left_out;
    Ok(done)
}

/// Whether lists can be written in `format`.
pub const fn can_export(format: ListFormat) -> bool {
    matches!(
        format,
        ListFormat::Domains
            | ListFormat::Hosts
            | ListFormat::Adblock
            | ListFormat::Dnsmasq
            | ListFormat::Unbound
            | ListFormat::Rpz
    )
}

/// What a zone must begin with.
const RPZ_HEAD: &str = "\
$TTL 300
@ IN SOA localhost. root.localhost. 1 3600 600 86400 300
@ IN NS localhost.
";

/// `item` in `format`, one line or several; none if it cannot be said there.
fn line(item: &Item, format: ListFormat) -> Option<String> {
    match (format, item) {
        // No adblock syntax knows addresses of answers.
        (ListFormat::Adblock, Item::Address(_) | Item::Sealed(_)) => None,
        (ListFormat::Adblock, Item::Name(_)) => Some(item.to_string()),
        (ListFormat::Adblock, Item::Pattern(pattern)) => {
            let inverted = pattern.kind == PatternKind::InvertedRegex;
            (!inverted).then(|| item.to_string())
        }
        (ListFormat::Rpz, Item::Address(entry)) => zone_address(entry),
        (_, Item::Name(entry)) => name_line(entry, format),
        _ => None,
    }
}

/// An address of an answer as an RPZ trigger: `24.0.2.0.192.rpz-ip`.
fn zone_address(entry: &AddressEntry) -> Option<String> {
    let target = zone_target(entry.effect, plain_action(entry.modifiers.as_deref())?)?;
    let length = entry.prefix.prefix_len();
    let mut labels: Vec<String> = match entry.prefix.network() {
        IpAddr::V4(v4) => v4.octets().iter().map(ToString::to_string).collect(),
        IpAddr::V6(v6) => v6.segments().iter().map(|it| format!("{it:x}")).collect(),
    };
    labels.reverse();
    Some(format!(
        "{length}.{}.rpz-ip CNAME {target}",
        labels.join(".")
    ))
}

/// What an RPZ zone says instead of an alias.
const fn zone_target(effect: Effect, action: &Action) -> Option<&'static str> {
    Some(match (effect, action) {
        (Effect::Listed, Action::Block | Action::NxDomain) => ".",
        (Effect::Listed, Action::NoData) => "*.",
        (Effect::Listed, Action::Drop) => "rpz-drop.",
        (Effect::Listed, Action::TcpOnly) => "rpz-tcp-only.",
        (Effect::Excepted, Action::Block) => "rpz-passthru.",
        _ => return None,
    })
}

/// A name and what holds for it.
fn name_line(entry: &Entry, format: ListFormat) -> Option<String> {
    let action = plain_action(entry.modifiers.as_deref())?;
    let name = &entry.name;
    let plain = entry.effect == Effect::Listed && *action == Action::Block;
    match (format, entry.reach) {
        (ListFormat::Domains, Reach::Subtree) if plain => Some(name.to_string()),
        (ListFormat::Domains, Reach::Exact) if plain => Some(format!("={name}")),
        (ListFormat::Hosts, Reach::Subtree) if plain => Some(format!("0.0.0.0 {name}")),
        (ListFormat::Dnsmasq, Reach::Subtree) => match (entry.effect, action) {
            (Effect::Listed, Action::Block) => Some(format!("address=/{name}/#")),
            (Effect::Listed, Action::NxDomain) => Some(format!("address=/{name}/")),
            (Effect::Excepted, Action::Block) => Some(format!("server=/{name}/#")),
            _ => None,
        },
        (ListFormat::Unbound, Reach::Subtree) => {
            let kind = match (entry.effect, action) {
                (Effect::Listed, Action::Block) => "always_null",
                (Effect::Listed, Action::NxDomain) => "always_nxdomain",
                (Effect::Listed, Action::NoData) => "always_nodata",
                (Effect::Listed, Action::Refused) => "always_refuse",
                (Effect::Listed, Action::Drop) => "always_deny",
                (Effect::Excepted, Action::Block) => "always_transparent",
                _ => return None,
            };
            Some(format!("local-zone: \"{name}.\" {kind}"))
        }
        (ListFormat::Rpz, reach) => {
            let target = zone_target(entry.effect, action)?;
            let this = format!("{name} CNAME {target}");
            let below = format!("*.{name} CNAME {target}");
            Some(match reach {
                Reach::Exact => this,
                Reach::Below => below,
                Reach::Subtree => format!("{this}\n{below}"),
            })
        }
        _ => None,
    }
}

/// What is to be answered, if nothing else restricts the rule.
fn plain_action(modifiers: Option<&Modifiers>) -> Option<&Action> {
    let Some(modifiers) = modifiers else {
        return Some(&Action::Block);
    };
    let Modifiers {
        important,
        badfilter,
        denyallow,
        types,
        clients,
        tags,
        action,
    } = modifiers;
    let restricted = *important
        || *badfilter
        || !denyallow.is_empty()
        || !types.is_empty()
        || !clients.is_empty()
        || !tags.is_empty();
    (!restricted).then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn entry(reach: Reach, effect: Effect, action: Action) -> Item {
        let modifiers = Modifiers {
            action,
            ..Modifiers::default()
        };
        Item::Name(Entry {
            name: Name::parse("example.org").unwrap(),
            reach,
            effect,
            modifiers: (modifiers != Modifiers::default()).then(|| Box::new(modifiers)),
        })
    }

    #[test]
    fn every_syntax_says_what_it_can() {
        use Effect::{Excepted, Listed};
        use Reach::{Below, Exact, Subtree};
        let block = || Action::Block;
        for (reach, effect, action, format, text) in [
            (
                Subtree,
                Listed,
                block(),
                ListFormat::Adblock,
                Some("||example.org^"),
            ),
            (
                Below,
                Excepted,
                block(),
                ListFormat::Adblock,
                Some("@@||*.example.org^"),
            ),
            (
                Subtree,
                Listed,
                block(),
                ListFormat::Domains,
                Some("example.org"),
            ),
            (
                Exact,
                Listed,
                block(),
                ListFormat::Domains,
                Some("=example.org"),
            ),
            (Below, Listed, block(), ListFormat::Domains, None),
            (Subtree, Excepted, block(), ListFormat::Domains, None),
            (
                Subtree,
                Listed,
                block(),
                ListFormat::Hosts,
                Some("0.0.0.0 example.org"),
            ),
            (Exact, Listed, block(), ListFormat::Hosts, None),
            (Subtree, Listed, Action::NxDomain, ListFormat::Hosts, None),
            (
                Subtree,
                Listed,
                block(),
                ListFormat::Dnsmasq,
                Some("address=/example.org/#"),
            ),
            (
                Subtree,
                Excepted,
                block(),
                ListFormat::Dnsmasq,
                Some("server=/example.org/#"),
            ),
            (Subtree, Listed, Action::Drop, ListFormat::Dnsmasq, None),
            (
                Subtree,
                Listed,
                Action::Drop,
                ListFormat::Unbound,
                Some("local-zone: \"example.org.\" always_deny"),
            ),
            (Exact, Listed, block(), ListFormat::Unbound, None),
            (
                Subtree,
                Listed,
                block(),
                ListFormat::Rpz,
                Some("example.org CNAME .\n*.example.org CNAME ."),
            ),
            (
                Exact,
                Excepted,
                block(),
                ListFormat::Rpz,
                Some("example.org CNAME rpz-passthru."),
            ),
            (
                Below,
                Listed,
                Action::NoData,
                ListFormat::Rpz,
                Some("*.example.org CNAME *."),
            ),
            (Subtree, Listed, Action::Refused, ListFormat::Rpz, None),
        ] {
            let item = entry(reach, effect, action.clone());
            let told = line(&item, format);
            assert_eq!(
                told.as_deref(),
                text,
                "{reach:?} {effect:?} {action:?} {format}"
            );
        }
    }

    #[test]
    fn addresses_are_triggers_of_a_zone() {
        for (prefix, text) in [
            ("192.0.2.0/24", "24.0.2.0.192.rpz-ip CNAME ."),
            ("2001:db8::/32", "32.0.0.0.0.0.0.db8.2001.rpz-ip CNAME ."),
        ] {
            let item = Item::Address(AddressEntry {
                prefix: prefix.parse().unwrap(),
                effect: Effect::Listed,
                modifiers: None,
            });
            assert_eq!(line(&item, ListFormat::Rpz).as_deref(), Some(text));
            assert_eq!(line(&item, ListFormat::Adblock), None);
        }
    }

    #[test]
    fn what_is_restricted_is_left_out_where_that_cannot_be_said() {
        let modifiers = Modifiers {
            types: vec![super::super::Condition {
                negated: false,
                value: 28,
            }],
            ..Modifiers::default()
        };
        let item = Item::Name(Entry {
            name: Name::parse("example.org").unwrap(),
            reach: Reach::Subtree,
            effect: Effect::Listed,
            modifiers: Some(Box::new(modifiers)),
        });
        assert_eq!(
            line(&item, ListFormat::Adblock).as_deref(),
            Some("||example.org^$dnstype=AAAA")
        );
        let formats = ListFormat::ALL.into_iter().filter(|it| can_export(*it));
        for format in formats.filter(|format| *format != ListFormat::Adblock) {
            assert_eq!(line(&item, format), None, "{format}");
        }
    }
}
