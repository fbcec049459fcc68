//! What we write: into a buffer that is kept from query to query, so that nothing is allocated.
//!
//! Every answer begins with the client's own id and question (its letter case included), says RA,
//! never AA (nothing here is authoritative for it), and carries an OPT exactly if the query did
//! (RFC 6891 section 7).

use std::net::IpAddr;

use super::query::{Cookie, Edns, Query, Refusal};
use super::wire::{HEADER, rcode, rtype};
use crate::name::NameRef;

/// Extended DNS Error codes (RFC 8914 section 4).
pub mod ede {
    /// Something else.
    pub const OTHER: u16 = 0;
    /// The answer is past its time, since upstream was silent.
    pub const STALE: u16 = 3;
    /// Made up here for policy.
    pub const FORGED: u16 = 4;
    /// A failure remembered.
    pub const CACHED_ERROR: u16 = 13;
    /// Not ready yet.
    pub const NOT_READY: u16 = 14;
    /// Blocked by the operator of this resolver.
    pub const BLOCKED: u16 = 15;
    /// Blocked by an authority outside the household.
    pub const CENSORED: u16 = 16;
    /// Blocked because the household asked for it.
    pub const FILTERED: u16 = 17;
    /// This client may not ask here.
    pub const PROHIBITED: u16 = 18;
    /// No upstream could be reached.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// The network failed.
    pub const NETWORK_ERROR: u16 = 23;
}

/// The longest EXTRA-TEXT we send; with a question of 259 octets it fits every answer of 512.
const MAX_EXTRA_TEXT: usize = 160;

/// Writes one answer.
#[derive(Debug)]
pub struct Reply<'b> {
    out: &'b mut Vec<u8>,
    question_end: usize,
    edns: Option<Edns>,
    rcode: u16,
    answers: u16,
    authorities: u16,
}

/// What the OPT of an answer carries besides what the query asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'t> {
    /// An Extended DNS Error: code and text.
    pub error: Option<(u16, &'t str)>,
    /// The same for programs: stands in place of the text, and only for clients that ask for it.
    pub structured: Option<Structured<'t>>,
    /// Our cookie, 16 octets, for the client's.
    pub cookie: Option<(Cookie, [u8; 16])>,
    /// How long the TCP connection may idle, in units of 100 ms (RFC 7828).
    pub keepalive: Option<u16>,
    /// Whether a query that was padded gets a padded answer, as it should where its length is all
    /// that somebody on the way can see.
    pub padding: bool,
}

/// What stands in the JSON of an Extended DNS Error (draft-ietf-dnsop-structured-dns-error). Its
/// strings can stand in JSON as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structured<'t> {
    /// Where access can be asked for: URIs in quotes with commas between them; may be empty.
    pub contacts: &'t str,
    /// Why, for people; empty when there is no room for it.
    pub justification: &'t str,
    /// The language of that.
    pub language: &'t str,
    /// Why, for programs.
    pub sub_error: Option<u8>,
}

impl Structured<'_> {
    /// Appends the object, without a blank (section 3: "as short as possible").
    fn append(&self, out: &mut Vec<u8>) {
        let mut lead = b'{';
        let mut begin = |out: &mut Vec<u8>, key: &[u8]| {
            out.push(lead);
            out.extend_from_slice(key);
            lead = b',';
        };
        if !self.contacts.is_empty() {
            begin(out, b"\"c\":[");
            out.extend_from_slice(self.contacts.as_bytes());
            out.push(b']');
        }
        if !self.justification.is_empty() {
            begin(out, b"\"j\":\"");
            out.extend_from_slice(self.justification.as_bytes());
            out.push(b'"');
        }
        if let Some(code @ 0..=9) = self.sub_error {
            begin(out, b"\"s\":");
            out.push(b'0' + code);
        }
        if !self.justification.is_empty() {
            begin(out, b"\"l\":\"");
            out.extend_from_slice(self.language.as_bytes());
            out.push(b'"');
        }
        if lead == b',' {
            out.push(b'}');
        }
    }
}

impl<'b> Reply<'b> {
    /// Begins an answer to `query` with `rcode`.
    pub fn to_query(query: &Query<'_>, rcode: u16, out: &'b mut Vec<u8>) -> Self {
        Self::begin(query.raw, query.question_end, query.edns, rcode, out)
    }

    /// Begins the answer to something that is no query.
    pub fn to_refused(refusal: &Refusal<'_>, out: &'b mut Vec<u8>) -> Self {
        Self::begin(
            refusal.raw,
            refusal.question_end,
            refusal.edns,
            refusal.rcode,
            out,
        )
    }

    fn begin(
        raw: &[u8],
        question_end: usize,
        edns: Option<Edns>,
        rcode: u16,
        out: &'b mut Vec<u8>,
    ) -> Self {
        let questions = u8::from(question_end > HEADER);
        out.clear();
        // QR, the opcode and RD as they came; RA, and CD as it came (RFC 4035 section 3.2.2).
        out.extend_from_slice(&[
            raw[0],
            raw[1],
            0x80 | raw[2] & 0x79,
            0x80 | raw[3] & 0x10 | (rcode & 0xf) as u8,
            0,
            questions,
            0,
            0,
            0,
            0,
            0,
            0,
        ]);
        out.extend_from_slice(raw.get(HEADER..question_end).unwrap_or_default());
        Self {
            out,
            question_end,
            edns,
            rcode,
            answers: 0,
            authorities: 0,
        }
    }

    /// Adds an address record for the question's name.
    pub fn address(&mut self, address: IpAddr, ttl: u32) {
        match address {
            IpAddr::V4(v4) => self.record_of_question(rtype::A, ttl, &v4.octets()),
            IpAddr::V6(v6) => self.record_of_question(rtype::AAAA, ttl, &v6.octets()),
        }
    }

    /// Adds an alias for the question's name.
    pub fn cname(&mut self, target: NameRef<'_>, ttl: u32) {
        self.record_of_question(rtype::CNAME, ttl, target.as_wire());
    }

    /// Adds a record for the question's name.
    pub fn record_of_question(&mut self, kind: u16, ttl: u32, data: &[u8]) {
        // The question's name stands at octet 12 of every answer.
        self.out.extend_from_slice(&[0xc0, HEADER as u8]);
        self.fixed_part(kind, ttl, data.len());
        self.out.extend_from_slice(data);
        self.answers += 1;
    }

    /// Adds a record that owner and data give in full.
    pub fn record(&mut self, owner: NameRef<'_>, kind: u16, ttl: u32, data: &[u8]) {
        self.out.extend_from_slice(owner.as_wire());
        self.fixed_part(kind, ttl, data.len());
        self.out.extend_from_slice(data);
        self.answers += 1;
    }

    /// [`Self::record`] with data in two parts.
    pub fn record_of_parts(&mut self, owner: NameRef<'_>, kind: u16, ttl: u32, parts: [&[u8]; 2]) {
        self.out.extend_from_slice(owner.as_wire());
        self.fixed_part(kind, ttl, parts[0].len() + parts[1].len());
        self.out.extend_from_slice(parts[0]);
        self.out.extend_from_slice(parts[1]);
        self.answers += 1;
    }

    /// Adds the SOA that lets a client keep a "no" for `ttl` seconds (RFC 2308 section 5). Owned
    /// by the question's name, since we know no zone.
    pub fn soa(&mut self, ttl: u32) {
        // The question's name stands at octet 12 of every answer.
        self.out.extend_from_slice(&[0xc0, HEADER as u8]);
        self.soa_data(ttl);
    }

    /// [`Self::soa`] of another name, such as the end of an alias chain.
    pub fn soa_of(&mut self, owner: NameRef<'_>, ttl: u32) {
        self.out.extend_from_slice(owner.as_wire());
        self.soa_data(ttl);
    }

    fn soa_data(&mut self, ttl: u32) {
        // mname and rname are the root's: `.` and `.`; then serial, refresh, retry, expire,
        // minimum.
        let mut data = [0_u8; 22];
        for (at, value) in [(2, 1_u32), (6, 3600), (10, 600), (14, 86_400), (18, ttl)] {
            data[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        self.fixed_part(rtype::SOA, ttl, data.len());
        self.out.extend_from_slice(&data);
        self.authorities += 1;
    }

    fn fixed_part(&mut self, kind: u16, ttl: u32, data_length: usize) {
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&[0, 1]);
        self.out.extend_from_slice(&ttl.to_be_bytes());
        // RDATA of our own making is far below 64 KiB.
        self.out
            .extend_from_slice(&(data_length as u16).to_be_bytes());
    }

    /// Ends it with nothing but TC: "come by TCP".
    pub fn finish_truncated(self) {
        self.out.truncate(self.question_end);
        self.out[2] |= 0x02;
        if let Some(edns) = self.edns {
            append_opt(self.out, edns, self.rcode, Extra::default());
        }
    }

    /// Ends the answer in at most `limit` octets: what does not fit is left out whole and TC is set
    /// (RFC 2181 section 9), so that a client asks again over TCP.
    pub fn finish(self, limit: usize, extra: Extra<'_>) {
        self.out[6..8].copy_from_slice(&self.answers.to_be_bytes());
        self.out[8..10].copy_from_slice(&self.authorities.to_be_bytes());
        close(
            self.out,
            self.question_end,
            self.edns,
            self.rcode,
            limit,
            extra,
        );
    }
}

/// Appends the OPT if the query had one, and cuts the message to `limit` octets.
pub(super) fn close(
    out: &mut Vec<u8>,
    question_end: usize,
    edns: Option<Edns>,
    rcode: u16,
    limit: usize,
    extra: Extra<'_>,
) {
    let body_end = out.len();
    if let Some(edns) = edns {
        append_opt(out, edns, rcode, extra);
    }
    if out.len() <= limit {
        return;
    }
    // First without the words, which help only people; then without the text; then without the
    // records.
    let wordless = Extra {
        structured: extra.structured.map(|structured| Structured {
            justification: "",
            ..structured
        }),
        error: extra.error.map(|(code, _)| (code, "")),
        ..extra
    };
    let terse = Extra {
        structured: None,
        ..wordless
    };
    for less in [wordless, terse] {
        out.truncate(body_end);
        if let Some(edns) = edns {
            append_opt(out, edns, rcode, less);
            if out.len() <= limit {
                return;
            }
        }
    }
    out.truncate(question_end);
    out[2] |= 0x02;
    out[6..12].fill(0);
    if let Some(edns) = edns {
        append_opt(
            out,
            edns,
            rcode,
            Extra {
                error: None,
                structured: None,
                ..extra
            },
        );
    }
}

fn append_opt(out: &mut Vec<u8>, edns: Edns, rcode: u16, extra: Extra<'_>) {
    // What we take over UDP ourselves; DO is repeated (RFC 3225 section 3).
    out.extend_from_slice(&[0, 0, rtype::OPT as u8, 0x04, 0xd0]);
    out.extend_from_slice(&[
        (rcode >> 4) as u8,
        0,
        if edns.dnssec_ok { 0x80 } else { 0 },
        0,
        0,
        0,
    ]);
    let data_start = out.len();
    if let Some((cookie, server)) = extra.cookie {
        out.extend_from_slice(&[0, 10, 0, 24]);
        out.extend_from_slice(&cookie.client);
        out.extend_from_slice(&server);
    }
    if let Some(tenths) = extra.keepalive {
        out.extend_from_slice(&[0, 11, 0, 2]);
        out.extend_from_slice(&tenths.to_be_bytes());
    }
    if let Some((code, text)) = extra.error {
        out.extend_from_slice(&[0, 15, 0, 0]);
        let start = out.len();
        out.extend_from_slice(&code.to_be_bytes());
        match extra.structured.filter(|_| edns.structured_errors) {
            Some(structured) => structured.append(out),
            None => out.extend_from_slice(clip(text).as_bytes()),
        }
        // Contacts are few and a sentence is short, as reading them made sure.
        let length = (out.len() - start) as u16;
        out[start - 2..start].copy_from_slice(&length.to_be_bytes());
    }
    if extra.padding && edns.padded {
        pad(out);
    }
    let data_length = (out.len() - data_start) as u16;
    out[data_start - 2..data_start].copy_from_slice(&data_length.to_be_bytes());
    out[11] = 1;
}

/// Ends a message with padding up to a whole number of blocks of 468 octets, or to the longest
/// message there can be (RFC 8467 section 4.1).
fn pad(out: &mut Vec<u8>) {
    const BLOCK: usize = 468;
    let unpadded = out.len() + 4;
    let padded = unpadded.next_multiple_of(BLOCK).min(usize::from(u16::MAX));
    if let Some(length) = padded.checked_sub(unpadded) {
        out.extend_from_slice(&[0, 12]);
        out.extend_from_slice(&(length as u16).to_be_bytes());
        out.resize(padded, 0);
    }
}

/// The beginning of `text` that fits, cut between characters.
fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_EXTRA_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether an answer with this RCODE says something about the name (and not about us).
pub const fn is_answer(code: u16) -> bool {
    matches!(code, rcode::NOERROR | rcode::NXDOMAIN)
}
