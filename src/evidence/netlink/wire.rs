//! Messages of rtnetlink about neighbours: read in place, bounded by the datagram they came in.
//!
//! Numbers are in the order of the machine's own octets, and everything is padded to four octets
//! (netlink(7), rtnetlink(7), `linux/neighbour.h`).

use std::net::IpAddr;

use crate::mac::Mac;

/// Octets of the header of a message.
const HEADER: usize = 16;
/// Octets of `struct ndmsg`, with which every message about a neighbour begins.
const NDMSG: usize = 12;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;

const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_ACK: u16 = 0x004;
/// While the kernel told us all, something changed: it may have left out some.
const NLM_F_DUMP_INTR: u16 = 0x010;
/// `NLM_F_ROOT` and `NLM_F_MATCH`.
const NLM_F_DUMP: u16 = 0x300;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
/// The upper bits of an attribute's type are flags.
const NLA_TYPE: u16 = 0x3fff;

const NUD_REACHABLE: u16 = 0x02;
const NUD_STALE: u16 = 0x04;
const NUD_DELAY: u16 = 0x08;
const NUD_PROBE: u16 = 0x10;
const NUD_FAILED: u16 = 0x20;
const NUD_PERMANENT: u16 = 0x80;
/// In these states the kernel sends to the MAC address of an entry.
const USABLE: u16 = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;

/// An address that this machine answers for on another's behalf: it is nobody's MAC address. (A
/// router is one by `NTF_ROUTER`; it is a neighbour like any other.)
const NTF_PROXY: u8 = 0x08;

/// An IP family, as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4 = 2,
    /// IPv6.
    V6 = 10,
}

/// A message of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What it knows of a neighbour.
    Neighbour(Neighbour),
    /// An address of this machine came or went.
    Address,
    /// An interface of this machine came, went, or changed; perhaps its name.
    Interface,
    /// All was told.
    Done {
        /// The number of the request.
        sequence: u32,
    },
    /// The request was refused, or just confirmed.
    Error {
        /// The number of the request.
        sequence: u32,
        /// The number of the error; 0 for none.
        errno: i32,
    },
    /// Messages were lost.
    Lost,
    /// Something else, or something that is not well formed.
    Other,
}

/// What the kernel says of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// The interface it is on.
    pub interface: u32,
    /// What is known of it.
    pub word: Word,
}

/// What the kernel knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// This MAC address is behind it.
    Is(Mac),
    /// Nothing, or nothing yet.
    Unknown,
    /// It did not answer, or was forgotten.
    Gone,
}

/// The messages of a datagram, one after the other.
#[derive(Clone, Debug)]
pub struct Messages<'d> {
    rest: &'d [u8],
    /// Whether a message said that what is told is not all of it.
    is_interrupted: bool,
}

impl<'d> Messages<'d> {
    /// Those in `datagram`.
    pub const fn new(datagram: &'d [u8]) -> Self {
        Self {
            rest: datagram,
            is_interrupted: false,
        }
    }

    /// Nothing but word that some were lost.
    pub(super) const fn lost() -> Self {
        // A header that is not whole.
        Self::new(&[0])
    }

    /// Whether one of the messages so far said that the kernel may have left out some.
    pub const fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }
}

impl Iterator for Messages<'_> {
    type Item = Message;

    /// A datagram that ends inside a message ends with [`Message::Lost`].
    fn next(&mut self) -> Option<Message> {
        if self.rest.is_empty() {
            return None;
        }
        let header = Header::read(self.rest);
        let Some((header, body)) = header.and_then(|it| Some((it, it.body(self.rest)?))) else {
            self.rest = &[];
            return Some(Message::Lost);
        };
        self.rest = self.rest.get(padded(header.length)..).unwrap_or_default();
        self.is_interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
        let sequence = header.sequence;
        Some(match header.kind {
            RTM_NEWNEIGH | RTM_DELNEIGH => {
                let neighbour = read_neighbour(body, header.kind == RTM_DELNEIGH);
                neighbour.map_or(Message::Other, Message::Neighbour)
            }
            RTM_NEWADDR | RTM_DELADDR => Message::Address,
            RTM_NEWLINK | RTM_DELLINK => Message::Interface,
            NLMSG_DONE => Message::Done { sequence },
            NLMSG_ERROR => Message::Error {
                sequence,
                // The kernel counts errors downwards.
                errno: word(body, 0).map_or(0, |code| (code as i32).wrapping_neg()),
            },
            NLMSG_OVERRUN => Message::Lost,
            _ => Message::Other,
        })
    }
}

/// The beginning of a message.
#[derive(Clone, Copy)]
struct Header {
    /// Octets of the message, this header included.
    length: usize,
    kind: u16,
    flags: u16,
    sequence: u32,
}

impl Header {
    fn read(octets: &[u8]) -> Option<Self> {
        Some(Self {
            length: word(octets, 0)? as usize,
            kind: half(octets, 4)?,
            flags: half(octets, 6)?,
            sequence: word(octets, 8)?,
        })
    }

    fn body(self, octets: &[u8]) -> Option<&[u8]> {
        octets.get(HEADER..self.length)
    }
}

/// Reads `struct ndmsg` and its attributes. None for what is no neighbour with an IP address, such
/// as a port of a bridge, which the same messages tell of.
fn read_neighbour(body: &[u8], is_gone: bool) -> Option<Neighbour> {
    let (family, flags) = (*body.first()?, *body.get(10)?);
    let (interface, state) = (word(body, 4)?, half(body, 8)?);
    if flags & NTF_PROXY != 0 {
        return None;
    }
    let (mut address, mut mac) = (None, None);
    for (kind, value) in attributes(body.get(NDMSG..)?) {
        match kind {
            NDA_DST if family == Family::V4 as u8 => {
                let octets: [u8; 4] = value.try_into().ok()?;
                address = Some(IpAddr::from(octets));
            }
            NDA_DST if family == Family::V6 as u8 => {
                let octets: [u8; 16] = value.try_into().ok()?;
                address = Some(IpAddr::from(octets));
            }
            NDA_LLADDR => mac = Mac::from_slice(value),
            _ => {}
        }
    }
    let word = match mac {
        _ if is_gone || state & NUD_FAILED != 0 => Word::Gone,
        Some(mac) if state & USABLE != 0 => Word::Is(mac),
        _ => Word::Unknown,
    };
    Some(Neighbour {
        address: address?,
        interface,
        word,
    })
}

/// The attributes in `rest`, each with its type and value, up to the first that is not whole.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(half(rest, 0)?);
        let kind = half(rest, 2)? & NLA_TYPE;
        let value = rest.get(4..length)?;
        rest = rest.get(padded(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A request for all neighbours of a family.
pub fn ask_for_all(family: Family, sequence: u32) -> Vec<u8> {
    request(NLM_F_DUMP, sequence, family, 0, &[])
}

/// A request for what is known of one address. Kernels before 5.0 refuse it.
pub fn ask_for_one(address: IpAddr, interface: u32, sequence: u32) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => request(NLM_F_ACK, sequence, Family::V4, interface, &v4.octets()),
        IpAddr::V6(v6) => request(NLM_F_ACK, sequence, Family::V6, interface, &v6.octets()),
    }
}

fn request(flags: u16, sequence: u32, family: Family, interface: u32, address: &[u8]) -> Vec<u8> {
    let attribute = if address.is_empty() {
        0
    } else {
        4 + address.len()
    };
    // At most 48.
    let length = (HEADER + NDMSG + attribute) as u32;
    let mut out = length.to_ne_bytes().to_vec();
    out.extend(RTM_GETNEIGH.to_ne_bytes());
    out.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    // The sender's port, which the kernel knows.
    out.extend([0; 4]);
    out.extend([family as u8, 0, 0, 0]);
    out.extend(interface.to_ne_bytes());
    out.extend([0; 4]);
    if attribute > 0 {
        out.extend((attribute as u16).to_ne_bytes());
        out.extend(NDA_DST.to_ne_bytes());
        out.extend_from_slice(address);
    }
    out
}

/// Rounded up to four octets; never less than that, so that reading goes on.
const fn padded(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn half(octets: &[u8], at: usize) -> Option<u16> {
    let octets = octets.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(octets.try_into().ok()?))
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    let octets = octets.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(octets.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 1];

    /// A message as the kernel writes it.
    fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut out = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(flags.to_ne_bytes());
        out.extend(sequence.to_ne_bytes());
        out.extend([0; 4]);
        out.extend_from_slice(body);
        out.resize(padded(out.len()), 0);
        out
    }

    fn neighbour(family: u8, state: u16, flags: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![family, 0, 0, 0];
        body.extend(7_u32.to_ne_bytes());
        body.extend(state.to_ne_bytes());
        body.extend([flags, 1]);
        for (kind, value) in attributes {
            body.extend((4 + value.len() as u16).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend_from_slice(value);
            body.resize(padded(body.len()), 0);
        }
        body
    }

    fn read(datagram: &[u8]) -> Vec<Message> {
        Messages::new(datagram).collect()
    }

    fn is(address: &str, word: Word) -> Message {
        Message::Neighbour(Neighbour {
            address: address.parse().unwrap(),
            interface: 7,
            word,
        })
    }

    #[test]
    fn states_say_what_is_known() {
        let mac = Mac::new(MAC).unwrap();
        for (state, flags, mac_octets, expected) in [
            (NUD_REACHABLE, 0, &MAC[..], Some(Word::Is(mac))),
            (NUD_STALE, 0, &MAC, Some(Word::Is(mac))),
            (NUD_DELAY, 0, &MAC, Some(Word::Is(mac))),
            (NUD_PROBE, 0, &MAC, Some(Word::Is(mac))),
            (NUD_PERMANENT, 0, &MAC, Some(Word::Is(mac))),
            // A router is a neighbour like others (NTF_ROUTER).
            (NUD_REACHABLE, 0x80, &MAC, Some(Word::Is(mac))),
            // INCOMPLETE, NOARP and NONE.
            (0x01, 0, &[], Some(Word::Unknown)),
            (0x40, 0, &MAC, Some(Word::Unknown)),
            (0, 0, &MAC, Some(Word::Unknown)),
            (NUD_FAILED, 0, &MAC, Some(Word::Gone)),
            // A group's address, and one of InfiniBand's length.
            (
                NUD_REACHABLE,
                0,
                &[1, 0, 0x5e, 0, 0, 1],
                Some(Word::Unknown),
            ),
            (NUD_REACHABLE, 0, &[2; 20], Some(Word::Unknown)),
            (NUD_PERMANENT, NTF_PROXY, &[], None),
        ] {
            let attributes: &[(u16, &[u8])] = &[
                (NDA_DST, &[192, 0, 2, 9]),
                // A cache's statistics, of no interest.
                (3, &[0; 16]),
                (NDA_LLADDR, mac_octets),
            ];
            let body = neighbour(2, state, flags, attributes);
            let expected = expected.map_or(Message::Other, |word| is("192.0.2.9", word));
            let said = read(&message(RTM_NEWNEIGH, 0, 1, &body));
            assert_eq!(said, [expected], "{state:#x} {flags:#x}");
        }
    }

    #[test]
    fn several_messages_in_one_datagram_are_read() {
        let v6 = "2001:db8::9".parse::<std::net::Ipv6Addr>().unwrap();
        let attributes: &[(u16, &[u8])] = &[(NDA_DST, &v6.octets()), (NDA_LLADDR, &MAC)];
        let known = neighbour(10, NUD_STALE, 0, attributes);
        // A port of a bridge has learnt a MAC address.
        let port = neighbour(7, NUD_REACHABLE, 0, &[(NDA_LLADDR, &MAC)]);
        let datagram = [
            message(RTM_NEWNEIGH, 2, 5, &known),
            message(RTM_NEWNEIGH, 2, 5, &port),
            message(RTM_DELNEIGH, 0, 0, &known),
            message(RTM_NEWADDR, 0, 0, &[0; 8]),
            message(RTM_NEWLINK, 0, 0, &[0; 16]),
            message(NLMSG_ERROR, 0, 6, &(-2_i32).to_ne_bytes()),
            message(NLMSG_DONE, NLM_F_DUMP_INTR, 5, &[0; 4]),
        ]
        .concat();
        let mut messages = Messages::new(&datagram);
        let said: Vec<_> = messages.by_ref().collect();
        let expected = [
            is("2001:db8::9", Word::Is(Mac::new(MAC).unwrap())),
            Message::Other,
            is("2001:db8::9", Word::Gone),
            Message::Address,
            Message::Interface,
            Message::Error {
                sequence: 6,
                errno: 2,
            },
            Message::Done { sequence: 5 },
        ];
        assert_eq!(said, expected);
        assert!(messages.is_interrupted());
    }

    #[test]
    fn a_datagram_that_is_cut_says_so() {
        let attributes: &[(u16, &[u8])] = &[(NDA_DST, &[192, 0, 2, 9]), (NDA_LLADDR, &MAC)];
        let whole = message(RTM_NEWNEIGH, 0, 1, &neighbour(2, NUD_STALE, 0, attributes));
        let datagram = [whole.clone(), whole.clone()].concat();
        for length in whole.len() + 1..datagram.len() - 1 {
            let said = read(&datagram[..length]);
            assert_eq!(said.len(), 2, "{length}");
            assert_eq!(said[1], Message::Lost, "{length}");
        }
        for (octets, expected) in [
            (vec![], vec![]),
            (vec![0], vec![Message::Lost]),
            // A length shorter than its own header, and one far beyond the end.
            (message(0, 0, 0, &[])[4..].to_vec(), vec![Message::Lost]),
            ([&[0xff; 8][..], &[0; 40]].concat(), vec![Message::Lost]),
        ] {
            assert_eq!(read(&octets), expected, "{octets:02x?}");
        }
    }

    #[test]
    fn attributes_that_are_not_whole_are_left_out() {
        for (address, length) in [(&[192, 0, 2][..], 7_u16), (&[192, 0, 2, 9], 9), (&[], 0)] {
            let mut body = neighbour(2, NUD_STALE, 0, &[(NDA_LLADDR, &MAC)]);
            body.extend(length.to_ne_bytes());
            body.extend(NDA_DST.to_ne_bytes());
            body.extend_from_slice(address);
            let said = read(&message(RTM_NEWNEIGH, 0, 1, &body));
            assert_eq!(said, [Message::Other], "{length}");
        }
    }

    #[test]
    fn questions_are_messages_too() {
        let address: IpAddr = "fe80::9".parse().unwrap();
        let question = ask_for_one(address, 7, 3);
        assert_eq!(question.len(), HEADER + NDMSG + 20);
        let header = Header::read(&question).unwrap();
        assert_eq!((header.length, header.kind), (48, RTM_GETNEIGH));
        let body = header.body(&question).unwrap();
        let expected = Neighbour {
            address,
            interface: 7,
            word: Word::Unknown,
        };
        assert_eq!(read_neighbour(body, false), Some(expected));
        assert_eq!(ask_for_all(Family::V6, 4).len(), HEADER + NDMSG);
    }
}
