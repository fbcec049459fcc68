//! What a client may send: datagram or TCP message in, [`Query`] or the reason for an error out.
//!
//! What is decided here leaves no state: responses and junk get silence, other opcodes NOTIMP,
//! other classes REFUSED, and all of it before anything is looked up (RFC 8906 names the cases).

use super::Question;
use super::wire::{HEADER, Record, rcode, read_u16, rtype};
use crate::name::NameBuf;

/// A question we will look at.
#[derive(Clone, Copy, Debug)]
pub struct Query<'m> {
    /// The message as it came.
    pub raw: &'m [u8],
    /// What is asked.
    pub question: Question,
    /// The octet after the question section.
    pub question_end: usize,
    /// What EDNS said, if the client speaks it.
    pub edns: Option<Edns>,
    /// All its EDNS options as they came: [`options`] reads them.
    pub options: &'m [u8],
    /// Whether anything but EDNS stands in the additional section, such as a signature. No stub
    /// resolver puts it there.
    pub has_more: bool,
}

/// What a client said by EDNS (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP answer it takes, at least 512.
    pub payload: u16,
    /// DO.
    pub dnssec_ok: bool,
    /// Its cookie (RFC 7873).
    pub cookie: Option<Cookie>,
    /// It asks how long the TCP connection may idle (RFC 7828).
    pub keepalive: bool,
    /// It padded its query, and so takes a padded answer (RFC 7830 section 4).
    pub padded: bool,
    /// It understands Extended DNS Errors in JSON (draft-ietf-dnsop-structured-dns-error).
    pub structured_errors: bool,
}

/// A DNS cookie as sent by a client (RFC 7873 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The client's part.
    pub client: [u8; 8],
    /// Our part, if it has one of the length we make.
    pub server: Option<[u8; 16]>,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a query in a box would be an allocation for each"
)]
pub enum Decoded<'m> {
    /// Look at it.
    Ask(Query<'m>),
    /// Answer with an error and forget it.
    Error(Refusal<'m>),
    /// Not a word.
    Silence,
}

/// An error to answer with, before any look-up.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'m> {
    /// The message as it came, at least a header.
    pub raw: &'m [u8],
    /// RCODE, with the upper bits that EDNS carries.
    pub rcode: u16,
    /// The octet after the question section if it can be repeated, else the header's end.
    pub question_end: usize,
    /// Whether the answer carries EDNS.
    pub edns: Option<Edns>,
}

impl<'m> Query<'m> {
    /// Reads a message from a client.
    pub fn decode(raw: &'m [u8]) -> Decoded<'m> {
        let Some(&[_, _, flags, _]) = raw.first_chunk::<4>() else {
            return Decoded::Silence;
        };
        // A response must never be answered: two servers could shout at each other for ever.
        if raw.len() < HEADER || flags & 0x80 != 0 {
            return Decoded::Silence;
        }
        match Self::decode_checked(raw, flags) {
            Ok(query) => Decoded::Ask(query),
            Err(refusal) => Decoded::Error(refusal),
        }
    }

    fn decode_checked(raw: &'m [u8], flags: u8) -> Result<Self, Refusal<'m>> {
        let refuse = |rcode, question_end, edns| Refusal {
            raw,
            rcode,
            question_end,
            edns,
        };
        let malformed = |_| refuse(rcode::FORMERR, HEADER, None);
        if flags & 0x78 != 0 {
            return Err(refuse(rcode::NOTIMP, HEADER, None));
        }
        let count = |at| read_u16(raw, at).map_err(malformed);
        let (questions, answers, authorities, additionals) =
            (count(4)?, count(6)?, count(8)?, count(10)?);
        if questions > 1 || answers != 0 || authorities != 0 {
            return Err(refuse(rcode::FORMERR, HEADER, None));
        }
        let (qname, qtype, qclass, question_end) = if questions == 1 {
            let (qname, used) = NameBuf::read_wire(&raw[HEADER..])
                .map_err(|_| refuse(rcode::FORMERR, HEADER, None))?;
            let after = HEADER + used;
            let qtype = read_u16(raw, after).map_err(malformed)?;
            let qclass = read_u16(raw, after + 2).map_err(malformed)?;
            (qname, qtype, qclass, after + 4)
        } else {
            (NameBuf::ROOT, 0, 1, HEADER)
        };
        let edns = read_additional(raw, question_end, additionals)
            .map_err(|rcode| refuse(rcode, question_end, None))?;
        let has_more = additionals != u16::from(edns.is_some());
        let options = edns.map_or(&[][..], |opt| opt.options);
        let version = edns.map_or(0, |opt| opt.version);
        let edns = edns.map(|opt| opt.edns);
        let refuse = |rcode| refuse(rcode, question_end, edns);
        if version > 0 {
            return Err(refuse(rcode::BADVERS));
        }
        if questions == 0 {
            // A cookie alone asks for a cookie alone (RFC 7873 section 5.4).
            let wants_cookie = edns.is_some_and(|edns| edns.cookie.is_some());
            return Err(refuse(if wants_cookie {
                rcode::NOERROR
            } else {
                rcode::FORMERR
            }));
        }
        if qclass != 1 {
            return Err(refuse(rcode::REFUSED));
        }
        match qtype {
            0 | rtype::OPT => return Err(refuse(rcode::FORMERR)),
            rtype::AXFR | rtype::IXFR => return Err(refuse(rcode::REFUSED)),
            rtype::TKEY | rtype::TSIG | rtype::MAILA | rtype::MAILB => {
                return Err(refuse(rcode::NOTIMP));
            }
            // The rest of the block of query types that RFC 6895 section 3.1 sets apart.
            128..=248 if qtype != 128 => return Err(refuse(rcode::NOTIMP)),
            _ => {}
        }
        Ok(Self {
            raw,
            question: Question {
                qname,
                qtype,
                dnssec_ok: edns.is_some_and(|edns| edns.dnssec_ok),
                checking_disabled: raw[3] & 0x10 != 0,
                via: 0,
            },
            question_end,
            edns,
            options,
            has_more,
        })
    }

    /// ID.
    pub fn id(&self) -> [u8; 2] {
        [self.raw[0], self.raw[1]]
    }

    /// The largest answer this client takes over UDP when we give `ours` at most.
    pub fn udp_limit(&self, ours: u16) -> usize {
        usize::from(self.edns.map_or(512, |edns| edns.payload.min(ours)))
    }
}

/// The options of an OPT record that was read before: their numbers and what they hold.
pub fn options(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (code, value, rest) = cut_option(octets)?;
        octets = rest;
        Some((code, value))
    })
}

/// The first option, and what follows it; none when there is none or it is cut off.
fn cut_option(octets: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[code, code_low, length, length_low], rest) = octets.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([length, length_low]));
    let (value, rest) = rest.split_at_checked(length)?;
    Some((u16::from_be_bytes([code, code_low]), value, rest))
}

/// An OPT record.
#[derive(Clone, Copy)]
struct Opt<'m> {
    edns: Edns,
    version: u8,
    options: &'m [u8],
}

/// Reads the additional section: only EDNS means anything to us. Gives the RCODE when it is wrong.
fn read_additional(raw: &[u8], mut at: usize, count: u16) -> Result<Option<Opt<'_>>, u16> {
    let mut found = None;
    for _ in 0..count {
        let record = Record::read(raw, at).map_err(|_| rcode::FORMERR)?;
        at = record.end;
        if record.rtype != rtype::OPT {
            continue;
        }
        // One OPT, and it belongs to the root (RFC 6891 section 6.1.1).
        if found.is_some() || raw.get(record.start) != Some(&0) {
            return Err(rcode::FORMERR);
        }
        let [_, version, flags, _] = record.ttl.to_be_bytes();
        let mut edns = Edns {
            payload: record.class.max(512),
            dnssec_ok: flags & 0x80 != 0,
            cookie: None,
            keepalive: false,
            padded: false,
            structured_errors: false,
        };
        if version == 0 {
            read_options(record.data(raw), &mut edns)?;
        }
        found = Some(Opt {
            edns,
            version,
            options: record.data(raw),
        });
    }
    if at == raw.len() {
        Ok(found)
    } else {
        Err(rcode::FORMERR)
    }
}

/// The options we understand; the rest ends here (RFC 6891 section 6.1.2), the client subnet above
/// all, whose privacy we keep. What a forwarder says of its client is read by
/// [`crate::device::claim`], from those we trust.
fn read_options(mut options: &[u8], edns: &mut Edns) -> Result<(), u16> {
    const COOKIE: u16 = 10;
    const KEEPALIVE: u16 = 11;
    const PADDING: u16 = 12;
    // How a client says that it understands structured errors: until draft 16 by an error of its
    // own in the query, since then by an empty option whose number is not assigned yet.
    const EXTENDED_ERROR: u16 = 15;
    while !options.is_empty() {
        let (code, value, rest) = cut_option(options).ok_or(rcode::FORMERR)?;
        options = rest;
        match code {
            COOKIE => {
                // 8 octets, or 8 and 8 to 32 more (RFC 7873 section 5.2.2).
                let (client, server) = value.split_first_chunk::<8>().ok_or(rcode::FORMERR)?;
                if !matches!(server.len(), 0 | 8..=32) {
                    return Err(rcode::FORMERR);
                }
                edns.cookie = Some(Cookie {
                    client: *client,
                    server: server.try_into().ok(),
                });
            }
            KEEPALIVE => edns.keepalive = true,
            PADDING => edns.padded = true,
            EXTENDED_ERROR => edns.structured_errors = true,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `www.example.org A`, with `tail` after the question.
    fn message(flags: [u8; 2], counts: [u16; 4], tail: &[u8]) -> Vec<u8> {
        let mut out = vec![0x12, 0x34, flags[0], flags[1]];
        for count in counts {
            out.extend_from_slice(&count.to_be_bytes());
        }
        if counts[0] > 0 {
            out.extend_from_slice(b"\x03wWw\x07example\x03org\x00\x00\x01\x00\x01");
        }
        out.extend_from_slice(tail);
        out
    }

    fn error_of(raw: &[u8]) -> Option<u16> {
        match Query::decode(raw) {
            Decoded::Error(refusal) => Some(refusal.rcode),
            _ => None,
        }
    }

    #[test]
    fn an_ordinary_query() {
        let raw = message([1, 0x10], [1, 0, 0, 0], &[]);
        let Decoded::Ask(query) = Query::decode(&raw) else {
            panic!("not a query");
        };
        assert_eq!(query.question.qname.to_string(), "www.example.org");
        assert_eq!((query.question.qtype, query.udp_limit(1232)), (1, 512));
        assert!(query.question.checking_disabled);
    }

    #[test]
    fn responses_and_fragments_get_silence() {
        for raw in [&message([0x81, 0], [1, 0, 0, 0], &[])[..], &[], &[0; 11]] {
            assert!(matches!(Query::decode(raw), Decoded::Silence));
        }
    }

    #[test]
    fn errors_come_before_any_look_up() {
        let opt = |version: u8, payload: u16, data: &[u8]| {
            let mut out = vec![0, 0, 41];
            out.extend_from_slice(&payload.to_be_bytes());
            out.extend_from_slice(&[0, version, 0, 0]);
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
            out
        };
        let two_opts = [opt(0, 1232, &[]), opt(0, 1232, &[])].concat();
        for (what, raw, rcode) in [
            ("opcode", message([0x28, 0], [1, 0, 0, 0], &[]), 4),
            ("no question", message([1, 0], [0, 0, 0, 0], &[]), 1),
            ("two questions", message([1, 0], [2, 0, 0, 0], &[]), 1),
            ("an answer", message([1, 0], [1, 1, 0, 0], &[]), 1),
            ("trailing octets", message([1, 0], [1, 0, 0, 0], &[0]), 1),
            (
                "version 1",
                message([1, 0], [1, 0, 0, 1], &opt(1, 1232, &[])),
                16,
            ),
            ("two OPT", message([1, 0], [1, 0, 0, 2], &two_opts), 1),
            (
                "cut option",
                message([1, 0], [1, 0, 0, 1], &opt(0, 1232, &[0, 10, 0, 8, 1])),
                1,
            ),
            (
                "cookie of 9",
                message(
                    [1, 0],
                    [1, 0, 0, 1],
                    &opt(0, 1232, &[0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
                ),
                1,
            ),
            (
                "cookie alone",
                message(
                    [1, 0],
                    [0, 0, 0, 1],
                    &opt(0, 1232, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
                ),
                0,
            ),
        ] {
            assert_eq!(error_of(&raw), Some(rcode), "{what}");
        }
    }

    #[test]
    fn options_are_kept_as_they_came() {
        let data = [0, 8, 0, 4, 0, 1, 0, 0, 0xfd, 0xe9, 0, 0, 0, 12, 0, 2, 0, 0];
        let mut opt = vec![0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, data.len() as u8];
        opt.extend_from_slice(&data);
        let raw = message([1, 0], [1, 0, 0, 1], &opt);
        let Decoded::Ask(query) = Query::decode(&raw) else {
            panic!("not a query");
        };
        assert_eq!(query.options, data);
        let all: Vec<_> = options(query.options).collect();
        let expected: [(u16, &[u8]); 3] = [(8, &[0, 1, 0, 0]), (65_001, &[]), (12, &[0, 0])];
        assert_eq!(all, expected);
        let plain = message([1, 0], [1, 0, 0, 0], &[]);
        let Decoded::Ask(query) = Query::decode(&plain) else {
            panic!("not a query");
        };
        assert_eq!(options(query.options).count(), 0);
        assert!(!query.has_more);
        let signature = b"\0\0\xfa\0\xff\0\0\0\0\0\0";
        let signed = message([1, 0], [1, 0, 0, 2], &[&opt, &signature[..]].concat());
        assert!(matches!(Query::decode(&signed), Decoded::Ask(query) if query.has_more));
        // Reading ends where they are cut off.
        assert_eq!(options(&data[..10]).count(), 1);
    }

    #[test]
    fn types_that_are_no_data_and_other_classes() {
        for (qtype, qclass, rcode) in [
            (252_u16, 1_u16, 5),
            (251, 1, 5),
            (250, 1, 4),
            (254, 1, 4),
            (41, 1, 1),
            (1, 3, 5),
            (1, 255, 5),
        ] {
            let mut raw = message([1, 0], [1, 0, 0, 0], &[]);
            let end = raw.len();
            raw[end - 4..end - 2].copy_from_slice(&qtype.to_be_bytes());
            raw[end - 2..].copy_from_slice(&qclass.to_be_bytes());
            assert_eq!(error_of(&raw), Some(rcode), "type {qtype} class {qclass}");
        }
    }
}
