//! The header with which a load balancer opens a connection: who the client is, before its first
//! octet (HAProxy's PROXY protocol, version 2, section 2.2 of its text).
//!
//! ```text
//! 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a   the signature: nothing that DNS or HTTP begin with
//! 21                                    version 2, command PROXY (20 is LOCAL)
//! 11                                    IPv4, TCP (21 is IPv6)
//! 00 0c                                 octets that follow
//! c0 00 02 07  c0 00 02 35  30 39 00 35 client, server, the ports of both
//! 03 00 04 ..                           then fields, each with type, length and value
//! ```
//!
//! Bytes in, [`Header`] or [`ProxyFault`] out; nothing here waits or allocates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::device::{ForeignId, IdKind};

/// The longest header we take, signature included: addresses have 36 octets at most, and the fields
/// that load balancers send fit into a segment.
pub const MAX_HEADER: usize = 2048;

/// The field that holds the id of a subscriber, the first of those left to everybody's own use.
pub const SUBSCRIBER_FIELD: u8 = 0xe0;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// The field with the checksum of the whole header.
const CRC32C: u8 = 0x03;

/// What a load balancer says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// It is the load balancer's own.
    Local,
    /// It is a client's.
    Proxied {
        /// The client's address; none if it is of a kind that has none.
        client: Option<IpAddr>,
        /// Its subscriber's id.
        subscriber: Option<ForeignId>,
    },
}

/// Why the beginning of a connection is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// Something else stands there: DNS, or version 1.
    #[error("the connection does not begin with a PROXY header of version 2")]
    Signature,
    /// Neither LOCAL nor PROXY, or of another version.
    #[error("version and command {found:#04x}; known are 0x20 and 0x21")]
    Command {
        /// What stands there.
        found: u8,
    },
    /// A family or transport that cannot ask DNS, or none at all.
    #[error("family and transport {found:#04x}; known are 0x00 and TCP or UDP over IP")]
    Family {
        /// What stands there.
        found: u8,
    },
    /// More than any load balancer has to say.
    #[error("{octets} octets; the most that are taken are {MAX_HEADER}")]
    TooLong {
        /// How long it says it is.
        octets: usize,
    },
    /// The addresses or a field need more octets than the header has.
    #[error("cut off: addresses or a field go on behind its end")]
    Cut,
    /// The checksum is not that of the header.
    #[error("checksum mismatch: stored {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// What stands there.
        stored: u32,
        /// What it should be.
        computed: u32,
    },
    /// A field that must stand once stands twice, or is of a length it cannot have.
    #[error("field {field:#04x} stands twice or has a length it cannot have")]
    Field {
        /// Its type.
        field: u8,
    },
    /// An address that no client has.
    #[error("the client's address {address} is nobody's")]
    Address {
        /// It.
        address: IpAddr,
    },
}

impl Header {
    /// Reads the header that `octets` begin with, and tells how many it has; none when it goes on
    /// behind their end. What follows it is the client's.
    ///
    /// # Errors
    /// As soon as they cannot become a header any more.
    pub fn read(octets: &[u8]) -> Result<Option<(Self, usize)>, ProxyFault> {
        let known = octets.len().min(SIGNATURE.len());
        if octets[..known] != SIGNATURE[..known] {
            return Err(ProxyFault::Signature);
        }
        let Some(&command) = octets.get(12) else {
            return Ok(None);
        };
        if !matches!(command, 0x20 | 0x21) {
            return Err(ProxyFault::Command { found: command });
        }
        let Some(&[family, high, low]) = octets.get(13..FIXED) else {
            return Ok(None);
        };
        let end = FIXED + usize::from(u16::from_be_bytes([high, low]));
        if end > MAX_HEADER {
            return Err(ProxyFault::TooLong { octets: end });
        }
        let Some(whole) = octets.get(..end) else {
            return Ok(None);
        };
        let header = match command {
            // Whatever else it holds is to be passed over.
            0x20 => Self::Local,
            _ => Self::read_proxied(whole, family)?,
        };
        Ok(Some((header, end)))
    }

    fn read_proxied(whole: &[u8], family: u8) -> Result<Self, ProxyFault> {
        let body = &whole[FIXED..];
        let (client, fields): (Option<IpAddr>, &[u8]) = match family {
            // Of an unknown kind. Addresses may stand there all the same and are passed over, and
            // with them whatever cannot be told from them.
            0x00 => (None, &[]),
            0x11 | 0x12 => {
                let (addresses, fields) = body.split_at_checked(12).ok_or(ProxyFault::Cut)?;
                let client = addresses.first_chunk::<4>().ok_or(ProxyFault::Cut)?;
                (Some(Ipv4Addr::from(*client).into()), fields)
            }
            0x21 | 0x22 => {
                let (addresses, fields) = body.split_at_checked(36).ok_or(ProxyFault::Cut)?;
                let client = addresses.first_chunk::<16>().ok_or(ProxyFault::Cut)?;
                let client = IpAddr::V6(Ipv6Addr::from(*client));
                (Some(client.to_canonical()), fields)
            }
            found => return Err(ProxyFault::Family { found }),
        };
        if let Some(address) = client
            && (address.is_unspecified() || address.is_multicast())
        {
            return Err(ProxyFault::Address { address });
        }
        let subscriber = read_fields(whole, whole.len() - fields.len())?;
        Ok(Self::Proxied { client, subscriber })
    }
}

/// Walks the fields from the octet `at` to the end, checks the checksum if there is one, and gives
/// the subscriber's id.
fn read_fields(whole: &[u8], mut at: usize) -> Result<Option<ForeignId>, ProxyFault> {
    let mut subscriber = None;
    let mut stored = None;
    while at < whole.len() {
        let Some(&[field, high, low]) = whole.get(at..at + 3) else {
            return Err(ProxyFault::Cut);
        };
        let begin = at + 3;
        at = begin + usize::from(u16::from_be_bytes([high, low]));
        let value = whole.get(begin..at).ok_or(ProxyFault::Cut)?;
        let wrong = || ProxyFault::Field { field };
        match field {
            CRC32C => {
                let value: [u8; 4] = value.try_into().map_err(|_| wrong())?;
                if stored.replace((begin, u32::from_be_bytes(value))).is_some() {
                    return Err(wrong());
                }
            }
            SUBSCRIBER_FIELD => {
                let id = ForeignId::new(IdKind::Subscriber, value).ok_or_else(wrong)?;
                if subscriber.replace(id).is_some() {
                    return Err(wrong());
                }
            }
            // Padding, the name the client asked for, an id of the connection, what TLS said (with
            // fields of its own inside): nothing that tells who it is.
            _ => {}
        }
    }
    if let Some((begin, stored)) = stored {
        let computed = checksum(whole, begin);
        if computed != stored {
            return Err(ProxyFault::Checksum { stored, computed });
        }
    }
    Ok(subscriber)
}

/// CRC-32C (RFC 9260 appendix A) of a header whose four octets from `blank` on count as zeroes. A
/// table would be faster; a header comes once for a connection, and has some 30 octets.
fn checksum(whole: &[u8], blank: usize) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let octets = (0..).zip(whole);
    let crc = octets.fold(u32::MAX, |crc, (at, octet): (usize, _)| {
        let is_blank = (blank..blank + 4).contains(&at);
        let octet = if is_blank { 0 } else { *octet };
        (0..8).fold(crc ^ u32::from(octet), |crc, _| {
            let carry = if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            crc >> 1 ^ carry
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with this command, family and body.
    fn header(command: u8, family: u8, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let mut out = SIGNATURE.to_vec();
        out.extend([command, family]);
        out.extend((body.len() as u16).to_be_bytes());
        out.extend(body);
        out
    }

    fn field(kind: u8, value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u16).to_be_bytes();
        [&[kind][..], &length, value].concat()
    }

    /// Fills in the checksum, whose value has its four octets at the end.
    fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
        let at = header.len() - 4;
        let computed = checksum(&header, at);
        header[at..].copy_from_slice(&computed.to_be_bytes());
        header
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 192, 0, 2, 53, 0x30, 0x39, 0, 53];

    fn v6() -> Vec<u8> {
        let client: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let server: Ipv6Addr = "2001:db8::53".parse().unwrap();
        [&client.octets()[..], &server.octets(), &[0x30, 0x39, 0, 53]].concat()
    }

    fn proxied(client: Option<&str>, subscriber: Option<&[u8]>) -> Header {
        let id = |octets| ForeignId::new(IdKind::Subscriber, octets);
        Header::Proxied {
            client: client.map(|it| it.parse().unwrap()),
            subscriber: subscriber.and_then(id),
        }
    }

    #[test]
    fn headers_are_read_to_the_octet() {
        let family = field(SUBSCRIBER_FIELD, b"family-4711");
        let tls = field(0x20, &[7, 0, 0, 0, 0, 0x21, 0, 7, b'T', b'L', b'S']);
        let others = [
            field(0x04, &[0; 9]),
            field(0x02, b"dns.example.org"),
            field(0x05, b"\x01\x02"),
            tls,
            field(0xee, &[]),
        ];
        let others = others.concat();
        for (octets, expected) in [
            (header(0x20, 0, &[]), Header::Local),
            // LOCAL says nothing else, whatever stands there.
            (header(0x20, 0x31, &[&[0xff; 40]]), Header::Local),
            (header(0x21, 0x11, &[&V4]), proxied(Some("192.0.2.7"), None)),
            (header(0x21, 0x12, &[&V4]), proxied(Some("192.0.2.7"), None)),
            (
                header(0x21, 0x21, &[&v6()]),
                proxied(Some("2001:db8::7"), None),
            ),
            (header(0x21, 0x00, &[]), proxied(None, None)),
            (header(0x21, 0x00, &[&[0xff; 9]]), proxied(None, None)),
            (
                header(0x21, 0x11, &[&V4, &family]),
                proxied(Some("192.0.2.7"), Some(b"family-4711")),
            ),
            (
                header(0x21, 0x21, &[&v6(), &others, &family]),
                proxied(Some("2001:db8::7"), Some(b"family-4711")),
            ),
            (
                with_checksum(header(0x21, 0x11, &[&V4, &family, &field(CRC32C, &[0; 4])])),
                proxied(Some("192.0.2.7"), Some(b"family-4711")),
            ),
        ] {
            let length = octets.len();
            assert_eq!(Header::read(&octets), Ok(Some((expected, length))));
            // What follows is not looked at, what is cut off is waited for.
            let more = [&octets[..], b"\0\x1d"].concat();
            assert_eq!(Header::read(&more), Ok(Some((expected, length))));
            for cut in 0..length {
                assert_eq!(Header::read(&octets[..cut]), Ok(None), "{cut} of {length}");
            }
        }
        let mapped: Ipv6Addr = "::ffff:192.0.2.7".parse().unwrap();
        let body = [&mapped.octets()[..], &[0; 20]].concat();
        let (found, _) = Header::read(&header(0x21, 0x21, &[&body]))
            .unwrap()
            .unwrap();
        assert_eq!(found, proxied(Some("192.0.2.7"), None));
    }

    #[test]
    fn what_is_no_header_is_told_at_once() {
        use ProxyFault::*;
        let id = field(SUBSCRIBER_FIELD, b"family-4711");
        let v4 = |fields: &[&[u8]]| {
            let fields = fields.concat();
            header(0x21, 0x11, &[&V4, &fields])
        };
        let nobody = |octets: [u8; 4]| {
            let body = [&octets[..], &V4[4..]].concat();
            header(0x21, 0x11, &[&body])
        };
        let mut long = header(0x21, 0x11, &[&V4]);
        long[14..16].copy_from_slice(&2033_u16.to_be_bytes());
        for (what, octets, fault) in [
            ("version 1", b"PROXY TCP4 192.0.2.7 ".to_vec(), Signature),
            ("DNS", vec![0, 29, 0x12, 0x34, 1, 0], Signature),
            (
                "another version",
                header(0x11, 0x11, &[&V4]),
                Command { found: 0x11 },
            ),
            (
                "another command",
                header(0x22, 0x11, &[&V4]),
                Command { found: 0x22 },
            ),
            (
                "a Unix socket",
                header(0x21, 0x31, &[&[0; 216]]),
                Family { found: 0x31 },
            ),
            (
                "no transport",
                header(0x21, 0x10, &[&V4]),
                Family { found: 0x10 },
            ),
            (
                "no such family",
                header(0x21, 0x41, &[&V4]),
                Family { found: 0x41 },
            ),
            ("too long", long, TooLong { octets: 2049 }),
            ("no addresses", header(0x21, 0x11, &[]), Cut),
            ("half an address", header(0x21, 0x11, &[&V4[..11]]), Cut),
            ("IPv4 called IPv6", header(0x21, 0x21, &[&V4]), Cut),
            ("half a field", v4(&[&[0xe0, 0]]), Cut),
            ("a field that goes on", v4(&[&[0xe0, 0, 9, b'x']]), Cut),
            ("an id twice", v4(&[&id, &id]), Field { field: 0xe0 }),
            (
                "an empty id",
                v4(&[&field(0xe0, b"")]),
                Field { field: 0xe0 },
            ),
            (
                "a long id",
                v4(&[&field(0xe0, &[b'x'; 65])]),
                Field { field: 0xe0 },
            ),
            (
                "half a checksum",
                v4(&[&field(CRC32C, &[0; 3])]),
                Field { field: 3 },
            ),
            (
                "nobody",
                nobody([0; 4]),
                Address {
                    address: [0, 0, 0, 0].into(),
                },
            ),
            (
                "a group",
                nobody([224, 0, 0, 1]),
                Address {
                    address: [224, 0, 0, 1].into(),
                },
            ),
        ] {
            assert_eq!(Header::read(&octets), Err(fault), "{what}");
        }
        let good = with_checksum(v4(&[&id, &field(CRC32C, &[0; 4])]));
        // Where the checksum is taken for another field there is none.
        let kind = good.len() - 7;
        for at in (FIXED..good.len()).filter(|at| *at != kind) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(Header::read(&bad).is_err(), "octet {at} of {}", good.len());
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // RFC 3720 appendix B.4; the four octets that count as zeroes lie behind the end.
        for (octets, expected) in [
            (vec![0; 32], 0x8a91_36aa),
            (vec![0xff; 32], 0x62a8_ab43),
            ((0..32).collect(), 0x46dd_794e),
        ] {
            assert_eq!(checksum(&octets, 32), expected);
        }
    }
}
