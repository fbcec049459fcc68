//! What a forwarder says of the client it asks for.
//!
//! Resolvers in front of us write it into EDNS options: dnsmasq its `add-mac` and `add-cpe-id`,
//! others the client's subnet (RFC 7871). A client could write the same, so an option counts only
//! from a forwarder somebody listed, and only if it is of a kind that forwarder always writes
//! itself.
//!
//! What counts and cannot be read, or says two things at once, makes the whole claim void: the
//! client is a guest. It is not left out, since whoever could put a second option beside the
//! forwarder's would then choose who he is; nor answered with FORMERR, as RFC 7871 section 7.1.2
//! would have it for a client subnet, since forwarders then ask again without any option, as if for
//! themselves.
//!
//! A query without any option that counts is the forwarder's own. A client could pass for it who
//! keeps the forwarder from writing one, and dnsmasq 2.90 writes none, and takes none away, where a
//! query is signed or has no room left within 512 octets. So such queries are void, too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::config::{Forwarder, MAX_ID, Trust};
use crate::mac::Mac;
use crate::message::Query;
use crate::message::query::options;

/// What a forwarder we trust says of its client. Nobody else's word gets this far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its MAC address.
    pub mac: Option<Mac>,
    /// The id of its line or router.
    pub cpe: Option<ForeignId>,
    /// The id of its subscriber.
    pub subscriber: Option<ForeignId>,
    /// Its address, or the prefix it lies in.
    pub client: Option<IpNet>,
    /// It could not be read or contradicts itself: it says that there is a client, and nothing else.
    pub is_void: bool,
}

/// What somebody in front of us calls a client, compared octet by octet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ForeignId {
    kind: IdKind,
    length: u8,
    /// Zeroes behind `length`.
    octets: [u8; MAX_ID],
}

/// Whose id it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// That of a line or router.
    Cpe,
    /// That of a provider's subscriber.
    Subscriber,
    /// A device's own, shown on an encrypted connection.
    Device,
}

impl ForeignId {
    /// The id of these octets; none if there are none or more than [`MAX_ID`].
    pub fn new(kind: IdKind, id: &[u8]) -> Option<Self> {
        let mut octets = [0; MAX_ID];
        octets.get_mut(..id.len())?.copy_from_slice(id);
        (!id.is_empty()).then_some(Self {
            kind,
            // At most `MAX_ID`.
            length: id.len() as u8,
            octets,
        })
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

impl fmt::Display for ForeignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            IdKind::Cpe => "CPE id",
            IdKind::Subscriber => "subscriber",
            // Whoever reads it would be the device.
            IdKind::Device => return f.write_str("an id of its own"),
        };
        write!(f, "{kind} `{}`", self.octets().escape_ascii())
    }
}

impl fmt::Debug for ForeignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// dnsmasq's `add-mac`: six octets.
const RAW_MAC: u16 = 65_001;
/// dnsmasq's `add-mac=text` and `add-mac=base64`.
const TEXT_MAC: u16 = 65_073;
/// dnsmasq's `add-cpe-id`.
const CPE_ID: u16 = 65_074;
/// RFC 7871.
const CLIENT_SUBNET: u16 = 8;

/// The longest query that every forwarder can write its options into, in octets, those it has
/// written left out: a header, the longest name, EDNS and a cookie have 310. dnsmasq's own options
/// find room in 512 beside them.
const MAX_UNMARKED: usize = 320;

/// An option that cannot be read, or contradicts the one before.
struct Void;

impl Claim {
    /// A claim of which nothing counts.
    pub const VOID: Self = Self {
        mac: None,
        cpe: None,
        subscriber: None,
        client: None,
        is_void: true,
    };

    /// What the EDNS options of a query from `forwarder` say; none when it asks for itself.
    pub fn read(query: &Query<'_>, forwarder: &Forwarder) -> Option<Self> {
        if forwarder.trust == Trust::default() {
            return None;
        }
        let mut claim = Self::default();
        let mut written = 0;
        for (code, value) in options(query.options) {
            match claim.read_option(code, value, forwarder) {
                Ok(true) => written += 4 + value.len(),
                Ok(false) => {}
                Err(Void) => return Some(Self::VOID),
            }
        }
        if query.has_more || query.raw.len() - written > MAX_UNMARKED {
            return Some(Self::VOID);
        }
        (written > 0).then_some(claim)
    }

    /// Takes in one option; tells whether it is one that counts.
    fn read_option(
        &mut self,
        code: u16,
        value: &[u8],
        forwarder: &Forwarder,
    ) -> Result<bool, Void> {
        let trust = forwarder.trust;
        match code {
            RAW_MAC if trust.mac => once(&mut self.mac, Mac::from_slice(value)),
            TEXT_MAC if trust.mac => once(&mut self.mac, read_mac(value)),
            CPE_ID if trust.cpe_id => once(&mut self.cpe, ForeignId::new(IdKind::Cpe, value)),
            CLIENT_SUBNET if trust.client_subnet => once(&mut self.client, read_subnet(value)),
            _ if code == forwarder.subscriber_option && trust.subscriber => once(
                &mut self.subscriber,
                ForeignId::new(IdKind::Subscriber, value),
            ),
            _ => Ok(false),
        }
    }

    /// The client's own address, where the claim has all of it.
    pub fn address(&self) -> Option<IpAddr> {
        let net = self.client?;
        (net.prefix_len() == net.max_prefix_len()).then(|| net.addr().to_canonical())
    }
}

/// Fills `slot`, which may hold the same already.
fn once<T: PartialEq>(slot: &mut Option<T>, said: Option<T>) -> Result<bool, Void> {
    let said = said.ok_or(Void)?;
    match slot {
        Some(before) if *before != said => Err(Void),
        _ => {
            *slot = Some(said);
            Ok(true)
        }
    }
}

/// Reads `02:00:5e:10:00:01`, or the same six octets in base64.
fn read_mac(text: &[u8]) -> Option<Mac> {
    match text {
        pairs if pairs.len() == 17 => std::str::from_utf8(pairs)
            .ok()
            .filter(|pairs| pairs.bytes().skip(2).step_by(3).all(|it| it == b':'))?
            .parse()
            .ok(),
        digits if digits.len() == 8 => {
            let mut bits = 0_u64;
            for digit in digits {
                bits = bits << 6 | u64::from(sextet(*digit)?);
            }
            Mac::from_slice(&bits.to_be_bytes()[2..])
        }
        _ => None,
    }
}

/// The value of a digit of base64 (RFC 4648 section 4).
const fn sextet(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Reads a client subnet (RFC 7871 section 6). One of length 0 says that the client is not to be
/// named; it is kept, since it is not the forwarder who asks then.
fn read_subnet(value: &[u8]) -> Option<IpNet> {
    let &[high, low, length, scope, ref address @ ..] = value else {
        return None;
    };
    // SCOPE is an answer's to fill, and ADDRESS has exactly the octets its length needs.
    if scope != 0 || address.len() != usize::from(length).div_ceil(8) {
        return None;
    }
    let whole: IpAddr = match u16::from_be_bytes([high, low]) {
        0 if length == 0 => Ipv4Addr::UNSPECIFIED.into(),
        1 => Ipv4Addr::from(padded(address)?).into(),
        2 => Ipv6Addr::from(padded(address)?).into(),
        _ => return None,
    };
    let net = IpNet::new(whole, length).ok()?;
    (net.trunc() == net).then_some(net)
}

/// `octets` with zeroes behind them.
fn padded<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    let mut all = [0; N];
    all.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(all)
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        if let Some(mac) = self.mac {
            write!(f, "MAC address {mac}")?;
            between = ", ";
        }
        for id in [self.cpe, self.subscriber].into_iter().flatten() {
            write!(f, "{between}{id}")?;
            between = ", ";
        }
        match (self.address(), self.client) {
            (Some(address), _) => write!(f, "{between}address {address}"),
            (None, Some(prefix)) => write!(f, "{between}prefix {prefix}"),
            (None, None) if between.is_empty() => f.write_str("nothing that can be believed"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Decoded;

    const ALL: Trust = Trust {
        mac: true,
        cpe_id: true,
        subscriber: true,
        client_subnet: true,
    };

    fn forwarder(trust: Trust) -> Forwarder {
        Forwarder {
            addresses: vec![],
            macs: vec![],
            trust,
            subscriber_option: 65_280,
            proxy: false,
        }
    }

    /// A query for the root with these options and what follows them.
    fn message(options: &[(u16, &[u8])], tail: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        for (code, value) in options {
            data.extend(code.to_be_bytes());
            data.extend((value.len() as u16).to_be_bytes());
            data.extend_from_slice(value);
        }
        let records = if tail.is_empty() { 1 } else { 2 };
        let mut out = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, records];
        out.extend([0, 0, 1, 0, 1, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
        out.extend_from_slice(tail);
        out
    }

    fn read_as(message: &[u8], trust: Trust) -> Option<Claim> {
        let Decoded::Ask(query) = Query::decode(message) else {
            panic!("not a query");
        };
        Claim::read(&query, &forwarder(trust))
    }

    fn read(options: &[(u16, &[u8])]) -> Option<Claim> {
        read_as(&message(options, &[]), ALL)
    }

    const MAC: [u8; 6] = [0x02, 0, 0x5e, 0x10, 0, 0x01];

    #[test]
    fn each_option_is_read_to_the_octet() {
        let mac = Claim {
            mac: Mac::from_slice(&MAC),
            ..Claim::default()
        };
        let id = |kind| ForeignId::new(kind, b"family-4711");
        let cpe = Claim {
            cpe: id(IdKind::Cpe),
            ..Claim::default()
        };
        let subscriber = Claim {
            subscriber: id(IdKind::Subscriber),
            ..Claim::default()
        };
        let client = |net: &str| Claim {
            client: Some(net.parse().unwrap()),
            ..Claim::default()
        };
        let v6 = [&[0, 2, 64, 0][..], &[0x20, 1, 0xd, 0xb8, 0, 1, 0, 2]].concat();
        for (code, value, expected) in [
            (RAW_MAC, &MAC[..], mac),
            (TEXT_MAC, b"02:00:5e:10:00:01", mac),
            (TEXT_MAC, b"02:00:5E:10:00:01", mac),
            (TEXT_MAC, b"AgBeEAAB", mac),
            (CPE_ID, b"family-4711", cpe),
            (65_280, b"family-4711", subscriber),
            (
                CLIENT_SUBNET,
                &[0, 1, 32, 0, 192, 0, 2, 7],
                client("192.0.2.7/32"),
            ),
            (
                CLIENT_SUBNET,
                &[0, 1, 25, 0, 192, 0, 2, 128],
                client("192.0.2.128/25"),
            ),
            (CLIENT_SUBNET, &v6, client("2001:db8:1:2::/64")),
            // The client does not want to be named: nobody, rather than the forwarder itself.
            (CLIENT_SUBNET, &[0, 1, 0, 0], client("0.0.0.0/0")),
            (CLIENT_SUBNET, &[0, 2, 0, 0], client("::/0")),
            (CLIENT_SUBNET, &[0, 0, 0, 0], client("0.0.0.0/0")),
        ] {
            assert_eq!(read(&[(code, value)]), Some(expected), "{code} {value:?}");
        }
        assert_eq!(client("192.0.2.0/24").address(), None);
        let whole = client("::ffff:192.0.2.7/128").address();
        assert_eq!(whole, Some([192, 0, 2, 7].into()));
    }

    #[test]
    fn what_cannot_be_read_makes_the_claim_void() {
        let long = [b'x'; MAX_ID + 1];
        let fine = (RAW_MAC, &MAC[..]);
        for (code, value) in [
            (RAW_MAC, &[][..]),
            (RAW_MAC, &MAC[..5]),
            (RAW_MAC, &[2, 0, 0, 0, 0, 0, 0, 1]),
            (RAW_MAC, &[0xff; 6]),
            (RAW_MAC, &[0; 6]),
            (TEXT_MAC, &[]),
            (TEXT_MAC, &MAC),
            (TEXT_MAC, b"02-00-5e-10-00-01"),
            (TEXT_MAC, b"02005e10000100000"),
            (TEXT_MAC, b"02:00:5e:10:00:0g"),
            (TEXT_MAC, b"\xff2:00:5e:10:00:01"),
            (TEXT_MAC, b"AgBeEAA="),
            (TEXT_MAC, b"AgBe EAA"),
            (CPE_ID, &[]),
            (CPE_ID, &long),
            (65_280, &[]),
            (65_280, &long),
            (CLIENT_SUBNET, &[]),
            (CLIENT_SUBNET, &[0, 1, 32]),
            // Too few octets, too many, set bits behind the prefix, a scope, too long, no family.
            (CLIENT_SUBNET, &[0, 1, 32, 0, 192, 0, 2]),
            (CLIENT_SUBNET, &[0, 1, 24, 0, 192, 0, 2, 0]),
            (CLIENT_SUBNET, &[0, 1, 23, 0, 192, 0, 3]),
            (CLIENT_SUBNET, &[0, 1, 24, 24, 192, 0, 2]),
            (CLIENT_SUBNET, &[0, 1, 33, 0, 192, 0, 2, 1, 0]),
            (CLIENT_SUBNET, &[0, 3, 8, 0, 10]),
            (CLIENT_SUBNET, &[0, 0, 8, 0, 10]),
        ] {
            assert_eq!(
                read(&[(code, value)]),
                Some(Claim::VOID),
                "{code} {value:?}"
            );
            let beside = [fine, (code, value)];
            assert_eq!(read(&beside), Some(Claim::VOID), "beside: {code} {value:?}");
        }
        let longest = [b'x'; MAX_ID];
        assert!(read(&[(CPE_ID, &longest)]).is_some_and(|claim| !claim.is_void));
    }

    #[test]
    fn saying_the_same_twice_is_fine_and_two_things_are_nothing() {
        let other: &[u8] = &[2, 0, 0x5e, 0x10, 0, 2];
        let same = [(RAW_MAC, &MAC[..]), (TEXT_MAC, b"AgBeEAAB")];
        assert_eq!(read(&same), read(&same[..1]));
        for two in [
            [(RAW_MAC, &MAC[..]), (RAW_MAC, other)],
            [(RAW_MAC, other), (TEXT_MAC, b"02:00:5e:10:00:01")],
            [(CPE_ID, b"one"), (CPE_ID, b"two")],
            [(65_280, b"one"), (65_280, b"two")],
            [
                (CLIENT_SUBNET, &[0, 1, 8, 0, 10]),
                (CLIENT_SUBNET, &[0, 1, 8, 0, 11]),
            ],
            [
                (CLIENT_SUBNET, &[0, 1, 8, 0, 10]),
                (CLIENT_SUBNET, &[0, 1, 0, 0]),
            ],
        ] {
            assert_eq!(read(&two), Some(Claim::VOID), "{two:?}");
            assert_eq!(read(&[two[1], two[0]]), Some(Claim::VOID), "{two:?}");
        }
    }

    #[test]
    fn only_kinds_that_are_trusted_are_looked_at() {
        let everything: [(u16, &[u8]); 5] = [
            (RAW_MAC, &MAC),
            (TEXT_MAC, b"junk"),
            (CPE_ID, b"line-1"),
            (65_280, b"family-4711"),
            (CLIENT_SUBNET, b"junk"),
        ];
        let message = message(&everything, &[]);
        assert_eq!(read_as(&message, Trust::default()), None);
        let line = Trust {
            cpe_id: true,
            ..Trust::default()
        };
        let claim = read_as(&message, line).unwrap();
        assert_eq!(claim.to_string(), "CPE id `line-1`");
        assert_eq!(read(&[(10, b"cookie00"), (12, &[0; 8])]), None);
    }

    /// dnsmasq hands on a signed or a long query as it came, with what its client wrote into it: both
    /// once passed for the forwarder's own word, or for its own question.
    #[test]
    fn what_a_forwarder_may_have_left_unmarked_is_nobodys() {
        let signature = b"\0\0\xfa\0\xff\0\0\0\0\0\0";
        for options in [&[(RAW_MAC, &MAC[..])][..], &[]] {
            let signed = message(options, signature);
            assert_eq!(read_as(&signed, ALL), Some(Claim::VOID));
            assert_eq!(read_as(&signed, Trust::default()), None);
        }
        let short = message(&[], &[]).len();
        let padding = vec![0; MAX_UNMARKED - short - 4];
        let longer = vec![0; MAX_UNMARKED - short - 3];
        let padded: [(u16, &[u8]); 2] = [(RAW_MAC, &MAC), (12, &padding)];
        assert!(read(&padded).is_some_and(|claim| claim.mac.is_some()));
        assert_eq!(read(&padded[1..]), None);
        let padded: [(u16, &[u8]); 2] = [(RAW_MAC, &MAC), (12, &longer)];
        assert_eq!(read(&padded), Some(Claim::VOID));
        assert_eq!(read(&padded[1..]), Some(Claim::VOID));
    }

    #[test]
    fn a_claim_is_shown_without_what_could_harm_a_terminal() {
        let said = [
            (RAW_MAC, &MAC[..]),
            (65_280, b"a\x1b[2J`\xff"),
            (CLIENT_SUBNET, &[0, 1, 8, 0, 10]),
        ];
        assert_eq!(
            read(&said).unwrap().to_string(),
            "MAC address 02:00:5e:10:00:01, subscriber `a\\x1b[2J`\\xff`, prefix 10.0.0.0/8"
        );
        assert_eq!(Claim::VOID.to_string(), "nothing that can be believed");
    }
}
