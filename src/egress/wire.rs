//! The messages that put pairs into the sets of nftables (`linux/netfilter/nf_tables.h`).

use std::net::IpAddr;
use std::time::Duration;

use super::{MOST_ADDRESSES, SET_V4, SET_V6, TABLE};
use crate::mac::Mac;

/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`.
const BATCH_BEGIN: u16 = 0x10;
/// `NFNL_MSG_BATCH_END`.
const BATCH_END: u16 = 0x11;
/// `NFT_MSG_GETTABLE`.
const GET_TABLE: u16 = NFTABLES << 8 | 1;
/// `NFT_MSG_NEWSETELEM`.
const NEW_ELEMENT: u16 = NFTABLES << 8 | 12;
/// `NFT_MSG_DELSETELEM`.
const DELETE_ELEMENT: u16 = NFTABLES << 8 | 14;
/// `NFT_MSG_GETGEN`.
const GET_GENERATION: u16 = NFTABLES << 8 | 16;
/// `NLMSG_ERROR`, which is also how success is told.
const ERROR: u16 = 2;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
const ACKNOWLEDGE: u16 = 0x4;
/// `NLM_F_EXCL`: an error if it is there.
const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`.
const CREATE: u16 = 0x400;

/// `NFPROTO_INET`.
const INET: u8 = 1;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;
/// `NFTA_SET_ELEM_LIST_TABLE`.
const LIST_TABLE: u16 = 1;
/// `NFTA_SET_ELEM_LIST_SET`.
const LIST_SET: u16 = 2;
/// `NFTA_SET_ELEM_LIST_ELEMENTS`.
const LIST_ELEMENTS: u16 = 3;
/// `NFTA_LIST_ELEM`.
const ELEMENT: u16 = 1;
/// `NFTA_SET_ELEM_KEY`.
const KEY: u16 = 1;
/// `NFTA_SET_ELEM_TIMEOUT`, in milliseconds.
const TIMEOUT: u16 = 4;
/// `NFTA_DATA_VALUE`.
const VALUE: u16 = 1;

/// Octets of a netlink header.
const HEADER: usize = 16;

/// Devices that one message puts into a set: an attribute is less than 65,536 octets long, and each
/// takes twenty.
const MOST_MEMBERS: usize = 2000;

/// A set of devices, and those in it.
#[derive(Clone, Copy, Debug)]
pub struct Members<'m> {
    /// The name of the set.
    pub name: &'m str,
    /// Their MAC addresses, each once.
    pub macs: &'m [Mac],
}

/// The messages of the largest transaction: two for each pair, a begin and an end.
pub(super) const MOST_MESSAGES: u32 = 2 * MOST_ADDRESSES as u32 + 2;

/// What happens to a pair of a device and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    mac: Mac,
    pub(super) address: IpAddr,
    /// Whether it is there and taken out.
    takes_out: bool,
    /// How long it is put in for, if it is.
    puts_in: Option<Duration>,
}

impl Change {
    /// It is not there and put in.
    pub(super) const fn add(mac: Mac, address: IpAddr, hold: Duration) -> Self {
        Self {
            mac,
            address,
            takes_out: false,
            puts_in: Some(hold),
        }
    }

    /// It is there and put in with another end.
    pub(super) const fn anew(mac: Mac, address: IpAddr, hold: Duration) -> Self {
        Self {
            takes_out: true,
            ..Self::add(mac, address, hold)
        }
    }

    /// It is taken out.
    pub(super) const fn drop(mac: Mac, address: IpAddr) -> Self {
        Self {
            mac,
            address,
            takes_out: true,
            puts_in: None,
        }
    }

    /// The same if it is not there after all, or is.
    pub(super) fn otherwise(self) -> Option<Self> {
        self.puts_in.map(|_| Self {
            takes_out: !self.takes_out,
            ..self
        })
    }
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// How many changes there were, by anybody.
    Generation,
    /// Whether the table is there.
    Table,
}

/// Writes into `out` a transaction of `changes`, whose messages are numbered from `first` on, and
/// gives the number of the one whose success is told.
pub(super) fn write(out: &mut Vec<u8>, first: u32, changes: &[Change]) -> u32 {
    out.clear();
    message(out, BATCH_BEGIN, REQUEST, first, 0, NFTABLES, |_| {});
    let mut last = first;
    for (place, change) in changes.iter().enumerate() {
        let parts = [
            change.takes_out.then_some((DELETE_ELEMENT, 0, None)),
            change
                .puts_in
                .map(|hold| (NEW_ELEMENT, CREATE | EXCLUSIVE, Some(hold))),
        ];
        let count = parts.iter().flatten().count();
        for (part, (kind, flags, hold)) in parts.into_iter().flatten().enumerate() {
            last += 1;
            let is_last = place + 1 == changes.len() && part + 1 == count;
            let flags = REQUEST | flags | if is_last { ACKNOWLEDGE } else { 0 };
            message(out, kind, flags, last, INET, 0, |out| {
                element(out, change.mac, change.address, hold);
            });
        }
    }
    message(out, BATCH_END, REQUEST, last + 1, 0, NFTABLES, |_| {});
    last
}

/// Writes into `out` a transaction after which each of `sets` holds these devices and no others; its
/// messages are numbered from `first` on. Gives the number of the one whose success is told.
pub(super) fn write_members(out: &mut Vec<u8>, first: u32, sets: &[Members<'_>]) -> u32 {
    out.clear();
    message(out, BATCH_BEGIN, REQUEST, first, 0, NFTABLES, |_| {});
    let mut last = first;
    for (place, set) in sets.iter().enumerate() {
        let named = |out: &mut Vec<u8>| {
            attribute(out, LIST_TABLE, |out| text(out, TABLE));
            attribute(out, LIST_SET, |out| text(out, set.name));
        };
        let is_last = |more: usize| place + 1 == sets.len() && more == 0;
        let told = |more| REQUEST | if is_last(more) { ACKNOWLEDGE } else { 0 };
        let parts = set.macs.chunks(MOST_MEMBERS);
        last += 1;
        // Without elements: all of them.
        message(out, DELETE_ELEMENT, told(parts.len()), last, INET, 0, named);
        let count = parts.len();
        for (part, macs) in parts.enumerate() {
            last += 1;
            let flags = told(count - part - 1) | CREATE;
            message(out, NEW_ELEMENT, flags, last, INET, 0, |out| {
                named(out);
                attribute(out, LIST_ELEMENTS | NESTED, |out| {
                    for mac in macs {
                        attribute(out, ELEMENT | NESTED, |out| {
                            attribute(out, KEY | NESTED, |out| {
                                attribute(out, VALUE, |out| out.extend(mac.octets()));
                            });
                        });
                    }
                });
            });
        }
    }
    message(out, BATCH_END, REQUEST, last + 1, 0, NFTABLES, |_| {});
    last
}

/// Writes a question into `out`.
pub(super) fn ask(out: &mut Vec<u8>, sequence: u32, query: Query) {
    out.clear();
    match query {
        Query::Generation => message(out, GET_GENERATION, REQUEST, sequence, 0, 0, |_| {}),
        Query::Table => message(out, GET_TABLE, REQUEST, sequence, INET, 0, |out| {
            attribute(out, TABLE_NAME, |out| text(out, TABLE));
        }),
    }
}

/// What the kernel says of the transaction with the messages `first` to `last`: zero for done, or
/// why not; none if it speaks of something else.
pub(super) fn verdict(answer: &[u8], first: u32, last: u32) -> Option<Result<u32, i32>> {
    messages(answer).find_map(|it| match it.errno() {
        Some(0) if it.number == last => Some(Ok(0)),
        // The first failure is the cause.
        Some(errno) if errno != 0 && (first..=last).contains(&it.number) => Some(Err(errno)),
        _ => None,
    })
}

/// What the kernel answers to a question: a number where it is one, or why not; none if it speaks
/// of something else.
pub(super) fn told(answer: &[u8], sequence: u32, query: Query) -> Option<Result<u32, i32>> {
    let said = messages(answer).find(|it| it.number == sequence)?;
    if let Some(errno) = said.errno() {
        return Some(Err(errno));
    }
    Some(Ok(match query {
        Query::Table => 0,
        // The first attribute, behind a header of four octets.
        Query::Generation => {
            let value = said.body.get(8..12)?;
            u32::from_be_bytes(value.try_into().ok()?)
        }
    }))
}

/// A message of the kernel.
struct Said<'a> {
    kind: u16,
    number: u32,
    body: &'a [u8],
}

impl Said<'_> {
    /// Why not, or zero for done, if that is what it says.
    fn errno(&self) -> Option<i32> {
        let octets = self.body.get(..4).filter(|_| self.kind == ERROR)?;
        let errno = i32::from_ne_bytes(octets.try_into().ok()?);
        Some(errno.saturating_neg())
    }
}

fn messages(answer: &[u8]) -> impl Iterator<Item = Said<'_>> {
    let mut rest = answer;
    std::iter::from_fn(move || {
        let header = rest.get(..HEADER)?;
        let length = u32::from_ne_bytes(header[..4].try_into().ok()?) as usize;
        let said = Said {
            kind: u16::from_ne_bytes(header[4..6].try_into().ok()?),
            number: u32::from_ne_bytes(header[8..12].try_into().ok()?),
            body: rest.get(HEADER..length)?,
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(said)
    })
}

/// One message with its headers around what `body` writes.
fn message(
    out: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    out.extend([0; 4]);
    out.extend([family, 0]);
    out.extend(resource.to_be_bytes());
    body(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

/// The attributes that name the set and one pair.
fn element(out: &mut Vec<u8>, mac: Mac, address: IpAddr, hold: Option<Duration>) {
    attribute(out, LIST_TABLE, |out| text(out, TABLE));
    let set = if address.is_ipv4() { SET_V4 } else { SET_V6 };
    attribute(out, LIST_SET, |out| text(out, set));
    attribute(out, LIST_ELEMENTS | NESTED, |out| {
        attribute(out, ELEMENT | NESTED, |out| {
            attribute(out, KEY | NESTED, |out| {
                attribute(out, VALUE, |out| {
                    // Each part of a key fills whole registers of four octets.
                    out.extend(mac.octets());
                    out.extend([0; 2]);
                    match address {
                        IpAddr::V4(v4) => out.extend(v4.octets()),
                        IpAddr::V6(v6) => out.extend(v6.octets()),
                    }
                });
            });
            if let Some(hold) = hold {
                let millis = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
                attribute(out, TIMEOUT, |out| out.extend(millis.to_be_bytes()));
            }
        });
    });
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.as_bytes());
    out.push(0);
}

/// One attribute around what `body` writes, filled up to four octets.
fn attribute(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 2]);
    out.extend(kind.to_ne_bytes());
    body(out);
    // Below 65,536: the longest holds as many keys as is allowed for that.
    let length = (out.len() - start) as u16;
    out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    out.resize(start + usize::from(length).next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(number: u32, errno: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        message(&mut bytes, ERROR, 0, number, 0, 0, |_| {});
        // The body of an error is its number, where another message has its family.
        bytes[HEADER..HEADER + 4].copy_from_slice(&(-errno).to_ne_bytes());
        bytes
    }

    #[test]
    fn the_first_failure_of_a_transaction_is_its_verdict() {
        let enoent = 2;
        let both = [told_of(9, enoent), told_of(10, 0)].concat();
        assert_eq!(verdict(&both, 8, 10), Some(Err(enoent)));
        let both = [told_of(9, 0), told_of(10, 17)].concat();
        assert_eq!(verdict(&both, 8, 10), Some(Err(17)));
        assert_eq!(verdict(&told_of(10, 0), 8, 10), Some(Ok(0)));
        // Refused as a whole.
        assert_eq!(verdict(&told_of(8, 1), 8, 10), Some(Err(1)));
        // Of one before, of none, of its middle, and cut off anywhere.
        assert_eq!(verdict(&told_of(3, 1), 8, 10), None);
        assert_eq!(verdict(&told_of(9, 0), 8, 10), None);
        assert_eq!(verdict(&[], 8, 10), None);
        for end in 0..20 {
            assert_eq!(verdict(&told_of(9, 1)[..end], 8, 10), None);
            assert_eq!(told(&told_of(9, 1)[..end], 9, Query::Generation), None);
        }
        assert_eq!(told(&told_of(9, 1), 9, Query::Table), Some(Err(1)));
    }

    #[test]
    fn lengths_are_those_of_what_is_inside() {
        let mac: Mac = "00:00:5e:00:53:14".parse().unwrap();
        let hold = Duration::from_secs(1);
        let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|it| it.parse().unwrap());
        let add = Change::add(mac, v4, hold);
        let anew = Change::anew(mac, v6, hold);
        assert_eq!(add.otherwise(), Some(Change::anew(mac, v4, hold)));
        assert_eq!(anew.otherwise(), Some(Change::add(mac, v6, hold)));
        assert_eq!(Change::drop(mac, v4).otherwise(), None);
        let mut out = Vec::new();
        let last = write(&mut out, 8, &[add, anew, Change::drop(mac, v4)]);
        let all: Vec<_> = messages(&out).map(|it| (it.kind, it.number)).collect();
        let expected = [
            (BATCH_BEGIN, 8),
            (NEW_ELEMENT, 9),
            (DELETE_ELEMENT, 10),
            (NEW_ELEMENT, 11),
            (DELETE_ELEMENT, 12),
            (BATCH_END, 13),
        ];
        assert_eq!((all.as_slice(), last), (expected.as_slice(), 12));
        let octets: usize = messages(&out).map(|it| HEADER + it.body.len()).sum();
        assert_eq!(octets, out.len());
    }
}
