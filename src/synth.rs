//! Answers we make ourselves: to what is blocked, to names that mean something only here, to ANY,
//! and to failures.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::BlockAnswer;
use crate::device::HomeAnswer;
use crate::message::{Extra, Query, Reply, ede, rcode, rtype};
use crate::policy::{self, SpecialUse};
use crate::profile::Profile;
use crate::verdict::{Reason, Tier};

/// How long a client may keep what we say of special-use names.
const SPECIAL_USE_TTL: u32 = 3600;
/// How long a client may keep the answer to ANY (RFC 8482 section 4.3 leaves it to us).
const ANY_TTL: u32 = 3600;

/// How long a client may keep what we say of devices in the home: their addresses change.
const HOME_TTL: u32 = 30;

/// What the OPT of every answer to one query carries, and how long the answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'t> {
    /// The most octets.
    pub limit: usize,
    /// Cookie and keep-alive.
    pub extra: Extra<'t>,
    /// Seconds for which what is answered may be kept at most: the rules change then.
    pub ceiling: u32,
}

/// Answers `query` as `profile` answers blocks, with `reason` as Extended DNS Error.
pub fn block(
    query: &Query<'_>,
    profile: &Profile,
    reason: &Reason,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let ttl = profile.block_ttl.min(frame.ceiling);
    // A canary must hear "no such name": any address, a null one too, would mean "go ahead".
    let answer = if policy::is_canary(query.question.qname.as_ref()) {
        &BlockAnswer::NxDomain
    } else {
        &profile.block_answer
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
    reply.record_of_question(rtype::HINFO, ANY_TTL.min(frame.ceiling), b"\x07RFC8482\x00");
    reply.finish(frame.limit, frame.extra);
    rcode::NOERROR
}

/// Answers a query for a name that is never asked of an upstream.
pub fn special_use(
    special: SpecialUse,
    query: &Query<'_>,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let code = match special {
        SpecialUse::Localhost | SpecialUse::NoData => rcode::NOERROR,
        SpecialUse::Nowhere => rcode::NXDOMAIN,
    };
    let mut reply = Reply::to_query(query, code, out);
    match (special, query.question.qtype) {
        (SpecialUse::Localhost, rtype::A) => {
            reply.address(Ipv4Addr::LOCALHOST.into(), SPECIAL_USE_TTL);
        }
        (SpecialUse::Localhost, rtype::AAAA) => {
            reply.address(Ipv6Addr::LOCALHOST.into(), SPECIAL_USE_TTL);
        }
        _ => reply.soa(SPECIAL_USE_TTL),
    }
    reply.finish(frame.limit, frame.extra);
    code
}

/// Answers a query about a device in the home.
pub fn home(answer: &HomeAnswer, query: &Query<'_>, frame: Frame<'_>, out: &mut Vec<u8>) -> u16 {
    let code = match answer {
        HomeAnswer::Nowhere => rcode::NXDOMAIN,
        _ => rcode::NOERROR,
    };
    let mut reply = Reply::to_query(query, code, out);
    match answer {
        HomeAnswer::Addresses(addresses) => {
            for address in addresses {
                reply.address(*address, HOME_TTL);
            }
        }
        HomeAnswer::Pointer(name) => {
            reply.record_of_question(rtype::PTR, HOME_TTL, name.as_ref().as_wire());
        }
        HomeAnswer::NoData | HomeAnswer::Nowhere => reply.soa(HOME_TTL),
    }
    reply.finish(frame.limit, frame.extra);
    code
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

    #[test]
    fn a_short_text_is_cut_between_characters() {
        let mut text = ShortText::default();
        write!(text, "{}ü", "x".repeat(191)).unwrap();
        assert_eq!(text.as_str().len(), 191);
    }
}
