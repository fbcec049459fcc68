//! Answers we make ourselves: to what is blocked, to names that mean something only here, to ANY,
//! and to failures.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::BlockAnswer;
use crate::message::{Extra, Query, Reply, ede, rcode, rtype};
use crate::name::NameRef;
use crate::profile::Profile;
use crate::verdict::{Cause, Reason, Tier};

/// How long a client may keep what we say of special-use names.
const SPECIAL_USE_TTL: u32 = 3600;
/// How long a client may keep the answer to ANY (RFC 8482 section 4.3 leaves it to us).
const ANY_TTL: u32 = 3600;

/// What the OPT of every answer to one query carries, and how long the answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'t> {
    /// The most octets.
    pub limit: usize,
    /// Cookie and keep-alive.
    pub extra: Extra<'t>,
}

/// Answers `query` as `profile` answers blocks, with `reason` as Extended DNS Error.
pub fn block(
    query: &Query<'_>,
    profile: &Profile,
    reason: &Reason,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let ttl = profile.block_ttl;
    // A canary must hear "no such name": any address, a null one too, would mean "go ahead".
    let answer = match (reason.cause, &profile.block_answer) {
        (Cause::Canary, _) => &BlockAnswer::NxDomain,
        (_, answer) => answer,
    };
    let code = match answer {
        BlockAnswer::NxDomain => rcode::NXDOMAIN,
        BlockAnswer::Refused => rcode::REFUSED,
        BlockAnswer::Null | BlockAnswer::NoData | BlockAnswer::Addresses(_) => rcode::NOERROR,
    };
    let mut reply = Reply::to_query(query, code, out);
    let mut answered = false;
    let mut add = |address: IpAddr| {
        let kind = if address.is_ipv4() {
            rtype::A
        } else {
            rtype::AAAA
        };
        if kind == query.question.qtype {
            reply.address(address, ttl);
            answered = true;
        }
    };
    match answer {
        BlockAnswer::Null => {
            add(Ipv4Addr::UNSPECIFIED.into());
            add(Ipv6Addr::UNSPECIFIED.into());
        }
        BlockAnswer::Addresses(addresses) => addresses.iter().copied().for_each(add),
        BlockAnswer::NxDomain | BlockAnswer::NoData | BlockAnswer::Refused => {}
    }
    if !answered && code != rcode::REFUSED {
        reply.soa(ttl);
    }
    let mut text = ShortText::default();
    // Cannot fail: what does not fit is cut.
    let _cut = write!(text, "{reason}");
    let extra = Extra {
        error: Some((error_code(reason), text.as_str())),
        ..frame.extra
    };
    reply.finish(frame.limit, extra);
    code
}

/// The Extended DNS Error code for a block (RFC 8914 sections 4.16 to 4.18).
pub const fn error_code(reason: &Reason) -> u16 {
    match reason.tier {
        Tier::Sealed => ede::CENSORED,
        Tier::Security => ede::BLOCKED,
        Tier::Lifeline | Tier::Household | Tier::ChildSafety | Tier::Lists => ede::FILTERED,
    }
}

/// Answers with an error of our own.
pub fn error(
    query: &Query<'_>,
    code: u16,
    why: Option<(u16, &str)>,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let extra = Extra {
        error: why,
        ..frame.extra
    };
    Reply::to_query(query, code, out).finish(frame.limit, extra);
    code
}

/// Answers ANY with little, whatever there is (RFC 8482 section 4.2): a household's resolver must
/// be no lever for a flood.
pub fn any(query: &Query<'_>, frame: Frame<'_>, out: &mut Vec<u8>) -> u16 {
    let mut reply = Reply::to_query(query, rcode::NOERROR, out);
    reply.record_of_question(rtype::HINFO, ANY_TTL, b"\x07RFC8482\x00");
    reply.finish(frame.limit, frame.extra);
    rcode::NOERROR
}

/// A name that is never asked of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialUse {
    /// This machine (RFC 6761 section 6.3).
    Localhost,
    /// There is no such name (RFC 6761 sections 6.2 and 6.4, RFC 6762, RFC 7686, RFC 8375,
    /// RFC 9476), or a private address whose owner only the home could know (RFC 6303).
    Nowhere,
    /// The name exists and has no data: we offer no encrypted DNS by discovery (RFC 9462
    /// section 6.4).
    NoData,
}

impl SpecialUse {
    /// Whether `name` is one.
    pub fn of(name: NameRef<'_>) -> Option<Self> {
        let wire = name.as_wire();
        let within = |suffix: &[u8]| {
            wire.ends_with(suffix)
                // At a label's border: a suffix of octets may begin inside a label.
                && name.suffixes().any(|parent| parent.as_wire() == suffix)
        };
        if within(b"\x04arpa\x00") {
            if within(b"\x08resolver\x04arpa\x00") {
                return Some(Self::NoData);
            }
            let nowhere = within(b"\x04home\x04arpa\x00") || is_private_reverse(name);
            return nowhere.then_some(Self::Nowhere);
        }
        if within(b"\x09localhost\x00") {
            return Some(Self::Localhost);
        }
        const NOWHERE: [&[u8]; 5] = [
            b"\x07invalid\x00",
            b"\x04test\x00",
            b"\x05local\x00",
            b"\x05onion\x00",
            b"\x03alt\x00",
        ];
        NOWHERE
            .iter()
            .any(|suffix| within(suffix))
            .then_some(Self::Nowhere)
    }

    /// Answers a query for such a name.
    pub fn answer(self, query: &Query<'_>, frame: Frame<'_>, out: &mut Vec<u8>) -> u16 {
        let code = match self {
            Self::Localhost | Self::NoData => rcode::NOERROR,
            Self::Nowhere => rcode::NXDOMAIN,
        };
        let mut reply = Reply::to_query(query, code, out);
        match (self, query.question.qtype) {
            (Self::Localhost, rtype::A) => {
                reply.address(Ipv4Addr::LOCALHOST.into(), SPECIAL_USE_TTL);
            }
            (Self::Localhost, rtype::AAAA) => {
                reply.address(Ipv6Addr::LOCALHOST.into(), SPECIAL_USE_TTL);
            }
            _ => reply.soa(SPECIAL_USE_TTL),
        }
        reply.finish(frame.limit, frame.extra);
        code
    }
}

/// Whether `name` is the reverse of an address that means something only inside a home (RFC 6303
/// sections 4.2 to 4.6, RFC 7793).
fn is_private_reverse(name: NameRef<'_>) -> bool {
    // The labels before `in-addr.arpa` or `ip6.arpa`, nearest to the root first.
    let mut nearest = [&[][..]; 3];
    let count = name.label_count();
    for (place, from_end) in nearest.iter_mut().zip(3..) {
        let at = count.checked_sub(from_end);
        *place = at.and_then(|at| name.labels().nth(at)).unwrap_or_default();
    }
    let zone = count.checked_sub(2).and_then(|at| name.labels().nth(at));
    let number = |label: &[u8]| -> Option<u8> { std::str::from_utf8(label).ok()?.parse().ok() };
    match zone {
        Some(b"in-addr") => match (number(nearest[0]), number(nearest[1])) {
            (Some(0 | 10 | 127), _) | (Some(192), Some(168)) | (Some(169), Some(254)) => true,
            (Some(172), Some(second)) => (16..32).contains(&second),
            (Some(100), Some(second)) => (64..128).contains(&second),
            (Some(255), Some(255)) => true,
            _ => false,
        },
        Some(b"ip6") => match (nearest[0], nearest[1], nearest[2]) {
            // fc00::/7 and fe80::/10.
            ([b'f'], [b'c' | b'd'], _) | ([b'f'], [b'e'], [b'8' | b'9' | b'a' | b'b']) => true,
            // The loopback and the unspecified address, thirty-two labels each.
            ([b'0'], [b'0'], [b'0']) => {
                count == 34 && name.labels().take(32).skip(1).all(|label| label == b"0")
            }
            _ => false,
        },
        _ => false,
    }
}

/// A short text on the stack; what does not fit is cut.
#[derive(Debug)]
struct ShortText {
    octets: [u8; 192],
    length: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        Self {
            octets: [0; 192],
            length: 0,
        }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        let octets = &self.octets[..self.length];
        match std::str::from_utf8(octets) {
            Ok(text) => text,
            // Cut inside a character: keep what is whole.
            Err(error) => std::str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.octets[self.length..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn special_names() {
        for (text, expected) in [
            ("localhost", Some(SpecialUse::Localhost)),
            ("a.localhost", Some(SpecialUse::Localhost)),
            ("notlocalhost", None),
            ("printer.local", Some(SpecialUse::Nowhere)),
            ("x.onion", Some(SpecialUse::Nowhere)),
            ("example.org", None),
            ("_dns.resolver.arpa", Some(SpecialUse::NoData)),
            ("tablet.home.arpa", Some(SpecialUse::Nowhere)),
            ("ipv4only.arpa", None),
            ("1.1.168.192.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("168.192.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("10.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("1.1.32.172.in-addr.arpa", None),
            ("1.1.31.172.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("1.2.0.192.in-addr.arpa", None),
            ("d.f.ip6.arpa", Some(SpecialUse::Nowhere)),
            ("1.0.8.e.f.ip6.arpa", Some(SpecialUse::Nowhere)),
            ("1.0.0.2.ip6.arpa", None),
            ("in-addr.arpa", None),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(SpecialUse::of(name.as_ref()), expected, "{text}");
        }
        let loopback = crate::name::NameBuf::reverse_of(Ipv6Addr::LOCALHOST.into());
        assert_eq!(SpecialUse::of(loopback.as_ref()), Some(SpecialUse::Nowhere));
        let public = crate::name::NameBuf::reverse_of("2001:db8::1".parse().unwrap());
        assert_eq!(SpecialUse::of(public.as_ref()), None);
    }

    #[test]
    fn a_short_text_is_cut_between_characters() {
        let mut text = ShortText::default();
        write!(text, "{}ü", "x".repeat(191)).unwrap();
        assert_eq!(text.as_str().len(), 191);
    }
}
