//! What restricts a rule, as octets: made by the compiler, asked in place by the index.
//!
//! The form is a row of *fields*, each at most once and in ascending order:
//!
//! ```text
//! field   tag (1 octet), length of the content (LEB128), content
//! 1       denyallow: names in wire format, one after the other
//! 2       dnstype: (flags, type in little-endian order) for each condition
//! 3       client: (flags, prefix length, address) or (flags, length, name in lower case) for each
//! 4       ctag: (flags, length, tag in lower case) for each
//! 5       action: its kind, then what belongs to it
//! flags   1 negated; of a client also 2 for an IPv6 prefix and 4 for a name
//! ```
//!
//! Conditions are sorted and stand there once, addresses without host bits, so that modifiers that
//! mean the same are the same octets. `important` stands in the posting, and `badfilter` is of no
//! use once the index is made: neither is here.

mod read;
pub(super) mod table;

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Action, Client, Condition, Modifiers};

use read::take_length;
pub use read::{ActionKind, action, applies, decode, guesses};

/// `modifiers` as octets, without `important` and `badfilter`; empty when nothing else is left,
/// and the rule is then one without modifiers.
///
/// Modifiers that mean the same give the same octets. So the line that a `badfilter` takes out is
/// the one of the same list with the same name or pattern, reach, effect, `important` and octets.
pub fn encode(modifiers: &Modifiers) -> Vec<u8> {
    let mut fields = Vec::new();

    let mut names: Vec<&[u8]> = modifiers
        .denyallow
        .iter()
        .map(|name| name.as_ref().as_wire())
        .collect();
    names.sort_unstable();
    names.dedup();
    write_field(DENYALLOW, &names.concat(), &mut fields);

    let types = sorted(&modifiers.types, |condition| {
        let mut one = vec![flag(condition.negated)];
        one.extend(condition.value.to_le_bytes());
        one
    });
    write_field(TYPES, &types, &mut fields);
    write_field(CLIENTS, &sorted(&modifiers.clients, client), &mut fields);
    let tags = sorted(&modifiers.tags, |condition| {
        let mut one = vec![flag(condition.negated)];
        write_text(&lower(&condition.value), &mut one);
        one
    });
    write_field(TAGS, &tags, &mut fields);
    write_field(ACTION, &action_octets(&modifiers.action), &mut fields);
    fields
}

/// Whether two rules about the same are the same but for `badfilter`.
pub fn same_but_for_badfilter(left: Option<&Modifiers>, right: Option<&Modifiers>) -> bool {
    let key = |modifiers: Option<&Modifiers>| {
        modifiers.map_or((false, Vec::new()), |it| (it.important, encode(it)))
    };
    key(left) == key(right)
}

const DENYALLOW: u8 = 1;
const TYPES: u8 = 2;
const CLIENTS: u8 = 3;
const TAGS: u8 = 4;
const ACTION: u8 = 5;

const NEGATED: u8 = 1;
const IPV6: u8 = 2;
const NAME: u8 = 4;

const NX_DOMAIN: u8 = 1;
const NO_DATA: u8 = 2;
const REFUSED: u8 = 3;
const DROP: u8 = 4;
const TCP_ONLY: u8 = 5;
const ADDRESSES: u8 = 6;
const ALIAS: u8 = 7;
const RECORD: u8 = 8;

const fn flag(negated: bool) -> u8 {
    if negated { NEGATED } else { 0 }
}

/// Letter case of device names means nothing, in any script.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The octets of all conditions, sorted, each once.
fn sorted<T>(conditions: &[Condition<T>], octets: impl Fn(&Condition<T>) -> Vec<u8>) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> = conditions.iter().map(octets).collect();
    all.sort_unstable();
    all.dedup();
    all.concat()
}

fn client(condition: &Condition<Client>) -> Vec<u8> {
    let flags = flag(condition.negated);
    match &condition.value {
        Client::Prefix(IpNet::V4(net)) => {
            let mut one = vec![flags, net.prefix_len()];
            one.extend(net.network().octets());
            one
        }
        Client::Prefix(IpNet::V6(net)) => {
            let mut one = vec![flags | IPV6, net.prefix_len()];
            one.extend(net.network().octets());
            one
        }
        Client::Name(name) => {
            let mut one = vec![flags | NAME];
            write_text(&lower(name), &mut one);
            one
        }
    }
}

fn action_octets(action: &Action) -> Vec<u8> {
    match action {
        Action::Block => Vec::new(),
        Action::NxDomain => vec![NX_DOMAIN],
        Action::NoData => vec![NO_DATA],
        Action::Refused => vec![REFUSED],
        Action::Drop => vec![DROP],
        Action::TcpOnly => vec![TCP_ONLY],
        Action::Addresses(addresses) => {
            let mut sorted: Vec<IpAddr> = addresses.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let mut all = vec![ADDRESSES];
            for address in sorted {
                match address {
                    IpAddr::V4(v4) => {
                        all.push(0);
                        all.extend(v4.octets());
                    }
                    IpAddr::V6(v6) => {
                        all.push(IPV6);
                        all.extend(v6.octets());
                    }
                }
            }
            all
        }
        Action::Alias(name) => {
            let mut all = vec![ALIAS];
            all.extend(name.as_ref().as_wire());
            all
        }
        Action::Record { rtype, data } => {
            let mut all = vec![RECORD];
            all.extend(rtype.to_le_bytes());
            all.extend(data.as_bytes());
            all
        }
    }
}

/// Appends a field unless it is empty.
fn write_field(tag: u8, content: &[u8], into: &mut Vec<u8>) {
    if !content.is_empty() {
        into.push(tag);
        write_length(content.len(), into);
        into.extend_from_slice(content);
    }
}

fn write_text(text: &str, into: &mut Vec<u8>) {
    write_length(text.len(), into);
    into.extend_from_slice(text.as_bytes());
}

/// LEB128: seven bits an octet, the lowest first, the eighth bit says that more follow.
pub(super) fn write_length(mut length: usize, into: &mut Vec<u8>) {
    while length > 0x7f {
        into.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    into.push(length as u8);
}

#[cfg(test)]
mod tests;
