//! The messages that put a pair into a set of nftables (`linux/netfilter/nf_tables.h`).

use std::net::IpAddr;
use std::time::Duration;

use super::{SET_V4, SET_V6, TABLE};
use crate::mac::Mac;

/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`.
const BATCH_BEGIN: u16 = 0x10;
/// `NFNL_MSG_BATCH_END`.
const BATCH_END: u16 = 0x11;
/// `NFT_MSG_NEWSETELEM`.
const NEW_ELEMENT: u16 = NFTABLES << 8 | 12;
/// `NFT_MSG_DELSETELEM`.
const DELETE_ELEMENT: u16 = NFTABLES << 8 | 14;
/// `NLMSG_ERROR`, which is also how success is told.
const ERROR: u16 = 2;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
const ACKNOWLEDGE: u16 = 0x4;
/// `NLM_F_CREATE`.
const CREATE: u16 = 0x400;

/// `NFPROTO_INET`.
const INET: u8 = 1;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

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

/// Writes into `out` a transaction that puts a pair into its set, for as long as `hold`; where it is
/// put in `anew`, it is taken out before. What concerns the pair is numbered `sequence + 1` and, if
/// anew, `sequence + 2`; the last of them is answered.
pub(super) fn write(
    out: &mut Vec<u8>,
    sequence: u32,
    mac: Mac,
    address: IpAddr,
    hold: Duration,
    anew: bool,
) {
    out.clear();
    message(out, BATCH_BEGIN, REQUEST, sequence, 0, NFTABLES, |_| {});
    let changes: &[(u16, u16)] = if anew {
        &[(DELETE_ELEMENT, 0), (NEW_ELEMENT, CREATE)]
    } else {
        &[(NEW_ELEMENT, CREATE)]
    };
    for (number, (kind, flags)) in (1..).zip(changes) {
        let flags = REQUEST | ACKNOWLEDGE | flags;
        message(out, *kind, flags, sequence + number, INET, 0, |out| {
            let is_new = *kind == NEW_ELEMENT;
            element(out, mac, address, is_new.then_some(hold));
        });
    }
    let last = sequence + 3;
    message(out, BATCH_END, REQUEST, last, 0, NFTABLES, |_| {});
}

/// What the kernel says of the transaction that began with `sequence`: 0 for done, or why not; none
/// if it speaks of something else.
pub(super) fn verdict(answer: &[u8], sequence: u32) -> Option<i32> {
    let mut rest = answer;
    let mut said = None;
    while let Some((header, _)) = rest.split_at_checked(HEADER) {
        let length = u32::from_ne_bytes(header[..4].try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
        let number = u32::from_ne_bytes(header[8..12].try_into().ok()?);
        let body = rest.get(HEADER..length)?;
        if kind == ERROR && (sequence..=sequence.wrapping_add(3)).contains(&number) {
            let errno = i32::from_ne_bytes(body.get(..4)?.try_into().ok()?);
            // The first failure is the cause.
            if said.is_none_or(|said| said == 0) {
                said = Some(errno.saturating_neg());
            }
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    said
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
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend(text.as_bytes());
        out.push(0);
    };
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

/// One attribute around what `body` writes, filled up to four octets.
fn attribute(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 2]);
    out.extend(kind.to_ne_bytes());
    body(out);
    // Far below 65,536: the longest holds a name and a key.
    let length = (out.len() - start) as u16;
    out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    out.resize(start + usize::from(length).next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(number: u32, errno: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        message(&mut bytes, ERROR, 0, number, 0, 0, |_| {});
        // The body of an error is its number, where another message has its family.
        bytes[HEADER..HEADER + 4].copy_from_slice(&(-errno).to_ne_bytes());
        bytes
    }

    #[test]
    fn the_first_failure_of_a_transaction_is_its_verdict() {
        let enoent = 2;
        let both = [told(9, enoent), told(10, 0)].concat();
        assert_eq!(verdict(&both, 8), Some(enoent));
        assert_eq!(verdict(&[told(9, 0), told(10, 17)].concat(), 8), Some(17));
        assert_eq!(verdict(&told(9, 0), 8), Some(0));
        // Of one before, of none, and cut off anywhere.
        assert_eq!(verdict(&told(3, 1), 8), None);
        assert_eq!(verdict(&[], 8), None);
        for end in 0..20 {
            assert_eq!(verdict(&told(9, 1)[..end], 8), None);
        }
    }

    #[test]
    fn lengths_are_those_of_what_is_inside() {
        let mac: Mac = "00:00:5e:00:53:14".parse().unwrap();
        for (address, anew) in [("192.0.2.1", false), ("2001:db8::1", true)] {
            let mut out = Vec::new();
            let hold = Duration::from_secs(1);
            write(&mut out, 8, mac, address.parse().unwrap(), hold, anew);
            let mut rest = &out[..];
            let mut kinds = Vec::new();
            while !rest.is_empty() {
                let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
                kinds.push(u16::from_ne_bytes(rest[4..6].try_into().unwrap()));
                rest = &rest[length..];
            }
            let mut expected = vec![BATCH_BEGIN, NEW_ELEMENT, BATCH_END];
            if anew {
                expected.insert(1, DELETE_ELEMENT);
            }
            assert_eq!(kinds, expected);
        }
    }
}
