//! Out of the index again: a list's names in the syntax of another program.
//!
//! What stands in an index was said by a list; here it is said once more, so that what was compiled
//! can be looked at, compared, and used elsewhere. Where a syntax cannot say something (an exception
//! in a hosts file), that is left out and counted: said half it would mean something else.

use std::io::{self, Write};

use super::modifiers::decode;
use super::{
    Action, Effect, Entry, Index, Item, ListFormat, ListId, ListKind, Modifiers, Posting, Reach,
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

/// Hands every entry of `selection` to `each`, in the order of names; entries that several lists
/// have come once. Sealed lists have none: what they hold cannot be read.
///
/// # Errors
/// What `each` said.
pub fn entries<E>(
    index: &Index,
    selection: Selection,
    mut each: impl FnMut(&Entry) -> Result<(), E>,
) -> Result<Exported, E> {
    let chosen: Vec<bool> = index
        .lists()
        .map(|(id, info)| match selection {
            Selection::List(list) => list == id && info.kind != ListKind::Sealed,
            Selection::Blocklists => info.kind == ListKind::Block,
        })
        .collect();
    let mut done = Exported::default();
    let mut failed = None;
    index.walk(|name, postings| {
        let mut said: Vec<Posting<'_>> = Vec::new();
        for posting in postings {
            let is_chosen = chosen.get(usize::from(posting.list.0)).copied();
            if failed.is_some() || !is_chosen.unwrap_or(false) {
                continue;
            }
            if selection == Selection::Blocklists && posting.effect == Effect::Excepted {
                done.left_out += 1;
                continue;
            }
            let same = Posting {
                list: ListId(0),
                ..*posting
            };
            if said.contains(&same) {
                continue;
            }
            said.push(same);
            let entry = Entry {
                name: name.to_name(),
                reach: posting.reach,
                effect: posting.effect,
                modifiers: modifiers_of(posting),
            };
            match each(&entry) {
                Ok(()) => done.entries += 1,
                Err(error) => failed = Some(error),
            }
        }
    });
    failed.map_or(Ok(done), Err)
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
    let mut done = entries(index, selection, |entry| {
        let text = line(&Item::Name(entry.clone()), format);
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
    if format == ListFormat::Adblock {
        return Some(item.to_string());
    }
    let Item::Name(entry) = item else {
        return None;
    };
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
            let target = match (entry.effect, action) {
                (Effect::Listed, Action::Block | Action::NxDomain) => ".",
                (Effect::Listed, Action::NoData) => "*.",
                (Effect::Listed, Action::Drop) => "rpz-drop.",
                (Effect::Listed, Action::TcpOnly) => "rpz-tcp-only.",
                (Effect::Excepted, Action::Block) => "rpz-passthru.",
                _ => return None,
            };
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
