//! Reading encoded modifiers, in place and safe on any octets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    ACTION, ADDRESSES, ALIAS, CLIENTS, DENYALLOW, DROP, IPV6, NAME, NEGATED, NO_DATA, NX_DOMAIN,
    RECORD, REFUSED, TAGS, TCP_ONLY, TYPES,
};
use crate::lists::{Action, Asker, Client, Condition, Modifiers};
use crate::name::NameRef;

/// The modifiers that [`encode`] made octets of, each condition once and in order; none for octets
/// it did not make.
pub fn decode(octets: &[u8]) -> Option<Modifiers> {
    let mut modifiers = Modifiers::default();
    for field in Fields::of(octets) {
        let (tag, mut content) = field?;
        match tag {
            DENYALLOW => {
                while !content.is_empty() {
                    modifiers.denyallow.push(take_name(&mut content)?.to_name());
                }
            }
            TYPES => {
                while !content.is_empty() {
                    let (negated, value) = take_type(&mut content)?;
                    modifiers.types.push(Condition { negated, value });
                }
            }
            CLIENTS => {
                while !content.is_empty() {
                    let (negated, seen) = take_client(&mut content)?;
                    let value = match seen {
                        SeenClient::Prefix(net) => Client::Prefix(net),
                        SeenClient::Name(name) => Client::Name(name.to_owned()),
                    };
                    modifiers.clients.push(Condition { negated, value });
                }
            }
            TAGS => {
                while !content.is_empty() {
                    let (negated, tag) = take_tag(&mut content)?;
                    let value = tag.to_owned();
                    modifiers.tags.push(Condition { negated, value });
                }
            }
            ACTION => modifiers.action = take_action(content)?,
            _ => return None,
        }
    }
    Some(modifiers)
}

/// Whether a rule with these modifiers holds when `asker` asks for `name`. Octets that [`encode`]
/// did not make hold for nobody.
pub fn applies(octets: &[u8], name: NameRef<'_>, asker: &Asker<'_>) -> bool {
    let mut holds = take_action_of(octets).is_some();
    for field in Fields::of(octets) {
        let Some((tag, content)) = field else {
            return false;
        };
        let met = match tag {
            DENYALLOW => every(content, take_name, |denied| !name.is_within(denied)),
            TYPES => meets(content, take_type, |rtype| rtype == asker.qtype),
            CLIENTS => meets(content, take_client, |client| is_client(client, asker)),
            TAGS => meets(content, take_tag, |tag| {
                asker.tags.iter().any(|own| own.eq_ignore_ascii_case(tag))
            }),
            ACTION => true,
            _ => false,
        };
        holds &= met;
    }
    holds
}

/// Whether a rule with these modifiers is for all but those with a tag of which nobody knows whether
/// `asker` has it: of people that is known where it has any such tag, of devices and systems never.
pub fn guesses(octets: &[u8], asker: &Asker<'_>) -> bool {
    let mut tags = Fields::of(octets)
        .flatten()
        .filter(|(field, _)| *field == TAGS);
    tags.any(|(_, content)| {
        let is_about_people = |tag: &str| tag.starts_with(PEOPLE);
        let is_known = asker.tags.iter().any(|own| is_about_people(own));
        !every(content, take_tag, |(negated, tag)| {
            !negated || is_known && is_about_people(tag)
        })
    })
}

/// What tags about people begin with.
const PEOPLE: &str = "user_";

/// What is to be answered under modifiers, in place; [`decode`] tells the details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionKind {
    /// As the profile blocks.
    #[default]
    Block,
    /// "No such name".
    NxDomain,
    /// "No such records".
    NoData,
    /// REFUSED.
    Refused,
    /// No answer at all.
    Drop,
    /// An empty, truncated answer over UDP, the true one over TCP.
    TcpOnly,
    /// An address, an alias or a record of the list's choice: answered as a block, see
    /// [`Action`].
    Elsewhere,
}

/// What a rule with these modifiers wants to be answered.
pub fn action(octets: &[u8]) -> ActionKind {
    take_action_of(octets).unwrap_or_default()
}

/// Reads what [`super::write_length`] wrote.
pub(super) fn take_length(octets: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let octet = take_octet(octets)?;
        length |= usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

fn take_octet(octets: &mut &[u8]) -> Option<u8> {
    let (octet, rest) = octets.split_first()?;
    *octets = rest;
    Some(*octet)
}

fn take_array<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*array)
}

fn take_text<'a>(octets: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_length(octets)?;
    let (text, rest) = octets.split_at_checked(length)?;
    *octets = rest;
    str::from_utf8(text).ok()
}

fn take_name<'a>(octets: &mut &'a [u8]) -> Option<NameRef<'a>> {
    let mut length = 0;
    while let label @ 1.. = *octets.get(length)? {
        length += 1 + usize::from(label);
    }
    let (name, rest) = octets.split_at_checked(length + 1)?;
    *octets = rest;
    NameRef::from_wire(name).ok()
}

fn take_type(octets: &mut &[u8]) -> Option<(bool, u16)> {
    let flags = take_octet(octets).filter(|flags| *flags <= NEGATED)?;
    Some((flags == NEGATED, u16::from_le_bytes(take_array(octets)?)))
}

fn take_tag<'a>(octets: &mut &'a [u8]) -> Option<(bool, &'a str)> {
    let flags = take_octet(octets).filter(|flags| *flags <= NEGATED)?;
    Some((flags == NEGATED, take_text(octets)?))
}

/// A client of a condition, borrowed.
enum SeenClient<'a> {
    Prefix(IpNet),
    Name(&'a str),
}

fn take_client<'a>(octets: &mut &'a [u8]) -> Option<(bool, SeenClient<'a>)> {
    let flags = take_octet(octets)?;
    let client = match flags & !NEGATED {
        0 => {
            let length = take_octet(octets)?;
            let address = Ipv4Addr::from(take_array(octets)?);
            SeenClient::Prefix(Ipv4Net::new(address, length).ok()?.trunc().into())
        }
        IPV6 => {
            let length = take_octet(octets)?;
            let address = Ipv6Addr::from(take_array::<16>(octets)?);
            SeenClient::Prefix(Ipv6Net::new(address, length).ok()?.trunc().into())
        }
        NAME => SeenClient::Name(take_text(octets)?),
        _ => return None,
    };
    Some((flags & NEGATED != 0, client))
}

fn take_action(mut content: &[u8]) -> Option<Action> {
    let action = match take_octet(&mut content)? {
        NX_DOMAIN => Action::NxDomain,
        NO_DATA => Action::NoData,
        REFUSED => Action::Refused,
        DROP => Action::Drop,
        TCP_ONLY => Action::TcpOnly,
        ADDRESSES => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            while !content.is_empty() {
                addresses.push(take_address(&mut content)?);
            }
            Action::Addresses(addresses)
        }
        ALIAS => Action::Alias(take_name(&mut content)?.to_name()),
        RECORD => {
            let rtype = u16::from_le_bytes(take_array(&mut content)?);
            let data = str::from_utf8(content).ok()?.to_owned();
            content = &[];
            Action::Record { rtype, data }
        }
        _ => return None,
    };
    content.is_empty().then_some(action)
}

fn take_address(octets: &mut &[u8]) -> Option<IpAddr> {
    match take_octet(octets)? {
        0 => Some(Ipv4Addr::from(take_array(octets)?).into()),
        IPV6 => Some(Ipv6Addr::from(take_array::<16>(octets)?).into()),
        _ => None,
    }
}

/// The kind of the action among the fields, checked as [`take_action`] does, without allocation.
fn take_action_of(octets: &[u8]) -> Option<ActionKind> {
    let mut kind = ActionKind::Block;
    for field in Fields::of(octets) {
        let (ACTION, mut content) = field? else {
            continue;
        };
        kind = match take_octet(&mut content)? {
            NX_DOMAIN => ActionKind::NxDomain,
            NO_DATA => ActionKind::NoData,
            REFUSED => ActionKind::Refused,
            DROP => ActionKind::Drop,
            TCP_ONLY => ActionKind::TcpOnly,
            ADDRESSES => {
                while !content.is_empty() {
                    take_address(&mut content)?;
                }
                ActionKind::Elsewhere
            }
            ALIAS => {
                take_name(&mut content)?;
                ActionKind::Elsewhere
            }
            RECORD => {
                take_array::<2>(&mut content)?;
                str::from_utf8(content).ok()?;
                content = &[];
                ActionKind::Elsewhere
            }
            _ => return None,
        };
        if !content.is_empty() {
            return None;
        }
    }
    Some(kind)
}

/// Whether `is_so` holds for everything that `take` finds in `content`, to its end.
fn every<'a, T>(
    mut content: &'a [u8],
    take: impl Fn(&mut &'a [u8]) -> Option<T>,
    mut is_so: impl FnMut(T) -> bool,
) -> bool {
    let mut all = true;
    while !content.is_empty() {
        let Some(one) = take(&mut content) else {
            return false;
        };
        all &= is_so(one);
    }
    all
}

/// Whether conditions are met: one of those that must hold does, if there are any, and none of
/// those that must not.
fn meets<'a, T>(
    content: &'a [u8],
    take: impl Fn(&mut &'a [u8]) -> Option<(bool, T)>,
    is_so: impl Fn(T) -> bool,
) -> bool {
    let (mut wanted, mut found) = (false, false);
    let none_forbidden = every(content, take, |(negated, value)| {
        let so = is_so(value);
        wanted |= !negated;
        found |= !negated && so;
        !(negated && so)
    });
    none_forbidden && (found || !wanted)
}

fn is_client(client: SeenClient<'_>, asker: &Asker<'_>) -> bool {
    match client {
        SeenClient::Prefix(net) => asker
            .address
            .is_some_and(|address| net.contains(&address.to_canonical())),
        SeenClient::Name(name) => asker
            .device
            .is_some_and(|device| device.chars().flat_map(char::to_lowercase).eq(name.chars())),
    }
}

/// The fields of encoded modifiers: tag and content, or none where they break off or are not in
/// order.
struct Fields<'a> {
    rest: &'a [u8],
    last: u8,
}

impl<'a> Fields<'a> {
    const fn of(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            last: 0,
        }
    }

    fn take(&mut self) -> Option<(u8, &'a [u8])> {
        let tag = take_octet(&mut self.rest).filter(|tag| *tag > self.last)?;
        let length = take_length(&mut self.rest).filter(|length| *length > 0)?;
        let (content, rest) = self.rest.split_at_checked(length)?;
        (self.rest, self.last) = (rest, tag);
        Some((tag, content))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}
