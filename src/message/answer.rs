//! What an upstream said, in the form in which it is kept, judged and handed out.
//!
//! The message is kept as it came, cut after the last section a client needs: the question stands
//! at octet 12 in every copy, so its compression pointers stay true, and handing it out is one copy
//! with a new id, flags, letter case and TTLs. Behind it, in the same piece of memory, stand the
//! places of its TTLs and the names and addresses a verdict looks at, read once, so that judging a
//! cached answer searches nothing.

mod fact;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::ops::Range;

use smallvec::{SmallVec, smallvec};
use triomphe::ThinArc;

use self::fact::FactOctets;
pub use self::fact::{Fact, Facts};
use super::Question;
use super::query::{Query, options};
use super::reply::{Extra, close};
use super::wire::{HEADER, Record, WireError, rcode, read_name, read_name_beside, read_u16, rtype};
use crate::name::NameBuf;

/// An upstream's answer; cheap to clone, what it says is shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer(ThinArc<Head, u8>);

/// What is known of an answer. Behind it stand its octets: header, question and the records that are
/// handed out, no OPT; where TTLs stand in them, two octets each; the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    /// The time all of it may be kept, in seconds; none if it must not be.
    ttl: Option<NonZeroU32>,
    /// Where the message ends in the octets.
    wire_end: u16,
    question_end: u16,
    /// How many TTLs there are.
    ttls: u16,
    /// The code of an Extended DNS Error that goes with it, 0 for none.
    note: u16,
    /// Whether a service record in it has an `ech` or `dohpath` parameter.
    leads_round: bool,
    /// Whether its server said that its filter was at work.
    is_filtered: bool,
    /// [`AD`] if all of it was checked and is signed.
    authentic: u8,
}

/// An answer that is not finished.
struct Draft {
    head: Head,
    octets: Vec<u8>,
}

impl From<Draft> for Answer {
    fn from(Draft { head, octets }: Draft) -> Self {
        Self(ThinArc::from_header_and_slice(head, &octets))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("head", self.head())
            .field("octets", &self.octets().escape_ascii().to_string())
            .finish()
    }
}

/// AD in the fourth octet of a message (RFC 4035 section 3.1.6).
const AD: u8 = 0x20;

/// What a check of signatures says of an answer.
#[derive(Clone, Debug)]
pub struct Authenticity<'a> {
    /// Whether all of it is signed, up to a trust anchor.
    pub is_secure: bool,
    /// The RRsets of the authority section that were checked, where it is: nothing else of that section
    /// is handed out (RFC 4035 section 3.2.3).
    pub proofs: &'a [(NameBuf, u16)],
    /// The longest it may be kept, in seconds.
    pub ceiling: u32,
    /// The code of an Extended DNS Error that goes with it.
    pub note: Option<u16>,
}

/// Why an upstream's message is no answer to our question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not a DNS message.
    #[error("the message is {0}")]
    Malformed(#[from] WireError),
    /// The question section is not ours.
    #[error("the question in the message is not the one asked")]
    Question,
    /// An RCODE that needs EDNS to be said; no answer has one.
    #[error("the response code is {0}")]
    Extended(u16),
    /// The codec could not take it apart.
    #[error("the message has records that cannot be read")]
    Codec,
    /// An alias chain with no end in sight.
    #[error("the alias chain has more than {MAX_CHAIN} links or runs in a circle")]
    Chain,
}

/// The longest alias chain we follow; resolvers in the field stop between 8 and 16.
const MAX_CHAIN: usize = 16;
/// The longest TTL that is one; a larger number means 0 (RFC 2181 section 8).
const MAX_TTL: u32 = i32::MAX as u32;

/// Reads an answer as [`Answer::from_upstream`] says; with `proofs` of its authority section these alone.
fn read(
    bytes: &[u8],
    question: &Question,
    proofs: Option<&[(NameBuf, u16)]>,
) -> Result<Draft, AnswerError> {
    if read_u16(bytes, 4)? != 1 {
        return Err(AnswerError::Question);
    }
    let (asked, after) = read_name(bytes, HEADER)?;
    let (qtype, qclass) = (read_u16(bytes, after)?, read_u16(bytes, after + 2)?);
    // Written out: nothing stands before it that a pointer could lead to.
    let is_plain = after - HEADER == question.qname.as_ref().as_wire().len();
    if !is_plain || (asked, qtype, qclass) != (question.qname, question.qtype, 1) {
        return Err(AnswerError::Question);
    }
    let question_end = after + 4;
    let mut reader = Reader::new(bytes, question, proofs);
    let answer_end = reader.read_answers(question_end, read_u16(bytes, 6)?)?;
    let authority_end = reader.read_authorities(answer_end, read_u16(bytes, 8)?)?;
    let extended = reader.read_extended_rcode(authority_end, read_u16(bytes, 10)?)?;
    if extended != 0 {
        // An extended RCODE is about the exchange, not about the name (BADVERS, BADCOOKIE).
        return Err(AnswerError::Extended(
            extended << 4 | u16::from(bytes[3] & 0xf),
        ));
    }
    let code = u16::from(bytes[3] & 0xf);
    reader.draft(code, question_end)
}

impl Answer {
    /// Takes `bytes`, a response whose id and QR bit were already checked, keeps what belongs to
    /// `question` (the alias chain, the records at its end and their signatures; for a "no" the SOA
    /// and the proofs a client that checks signatures needs), and drops all else.
    ///
    /// A record the question has no claim to (another owner: outside the bailiwick of what was
    /// asked) is dropped, never kept for another question.
    ///
    /// # Errors
    /// When it cannot be read or answers another question.
    pub fn from_upstream(bytes: &[u8], question: &Question) -> Result<Self, AnswerError> {
        read(bytes, question, None).map(Self::from)
    }

    /// This answer, which was asked for with signatures and checked, as it is for those who asked
    /// `question`: without signatures and proofs where they were not asked for.
    ///
    /// # Errors
    /// As [`Self::from_upstream`], which has read all of it before.
    pub fn checked(
        &self,
        question: &Question,
        authenticity: &Authenticity<'_>,
    ) -> Result<Self, AnswerError> {
        let proofs = authenticity.is_secure.then_some(authenticity.proofs);
        let Draft {
            mut head,
            mut octets,
        } = read(self.wire(), question, proofs)?;
        let ceiling = authenticity.ceiling;
        let ttl = head.ttl.map(|ttl| ttl.get().min(ceiling));
        head.ttl = ttl.and_then(NonZeroU32::new);
        let shortest = Ttl {
            ceiling,
            ..Ttl::FRESH
        };
        if let Some((wire, rest)) = octets.split_at_mut_checked(head.wire_end.into()) {
            let (ttls, _) = rest.as_chunks();
            adapt_ttls(
                ttls.get(..head.ttls.into()).unwrap_or_default(),
                shortest,
                wire,
            );
        }
        head.authentic = if authenticity.is_secure { AD } else { 0 };
        head.note = authenticity.note.unwrap_or(0);
        head.is_filtered = self.head().is_filtered;
        Ok(Draft { head, octets }.into())
    }

    fn head(&self) -> &Head {
        &self.0.header.header
    }

    fn octets(&self) -> &[u8] {
        &self.0.slice
    }

    /// RCODE.
    pub fn rcode(&self) -> u16 {
        self.octets()
            .get(3)
            .map_or(0, |octet| u16::from(octet & 0xf))
    }

    /// How long it may be kept, in seconds; none if it must not be.
    pub fn ttl(&self) -> Option<u32> {
        self.head().ttl.map(NonZeroU32::get)
    }

    /// What in it is judged.
    pub fn facts(&self) -> Facts<'_> {
        let begin = usize::from(self.head().wire_end) + 2 * usize::from(self.head().ttls);
        Facts(self.octets().get(begin..).unwrap_or_default())
    }

    /// Where TTLs stand in the message.
    fn ttls(&self) -> &[[u8; 2]] {
        let rest = self.octets().get(usize::from(self.head().wire_end)..);
        let (places, _) = rest.unwrap_or_default().as_chunks();
        places
            .get(..usize::from(self.head().ttls))
            .unwrap_or_default()
    }

    /// Whether it answers this name and type.
    pub fn is_to(&self, question: &Question) -> bool {
        let name = question.qname.as_ref().as_wire();
        let [high, low] = question.qtype.to_be_bytes();
        let section = self
            .octets()
            .get(HEADER..usize::from(self.head().question_end));
        section.and_then(|section| section.split_at_checked(name.len()))
            == Some((name, &[high, low, 0, 1]))
    }

    /// Whether a service record in it could lead round the filter: by a hello that hides the name
    /// (`ech`, RFC 9848), or to another resolver (`dohpath`, RFC 9461).
    pub fn leads_round(&self) -> bool {
        self.head().leads_round
    }

    /// Whether the answer holds a record of its own (NODATA and NXDOMAIN do not).
    pub fn is_positive(&self) -> bool {
        self.rcode() == rcode::NOERROR && self.wire()[6..8] != [0, 0]
    }

    /// The name in the first record of this TYPE, whose data must be one, such as PTR.
    pub fn target(&self, rtype: u16) -> Option<NameBuf> {
        let mut at = usize::from(self.head().question_end);
        for _ in 0..read_u16(self.wire(), 6).ok()? {
            let record = Record::read(self.wire(), at).ok()?;
            if record.rtype == rtype {
                return Some(read_name(self.wire(), record.data).ok()?.0);
            }
            at = record.end;
        }
        None
    }

    /// The message, as it was kept.
    pub fn wire(&self) -> &[u8] {
        self.octets()
            .get(..self.head().wire_end.into())
            .unwrap_or_default()
    }

    /// The records of its answer and authority sections, each with whether it stands in the first.
    pub fn records(&self) -> impl Iterator<Item = (bool, Result<Record, WireError>)> {
        let count = |at| read_u16(self.wire(), at).unwrap_or(0);
        let (answers, authorities) = (u32::from(count(6)), u32::from(count(8)));
        let (mut at, end) = (usize::from(self.head().question_end), self.wire_len());
        (0..answers + authorities).map(move |number| {
            let record = Record::read(self.wire(), at);
            at = record.map_or(end, |record| record.end);
            (number < answers, record)
        })
    }

    /// The name at `at` in its message, which no client reads differently: see [`read_name_beside`].
    ///
    /// # Errors
    /// As there.
    #[cfg_attr(
        not(feature = "dnssec"),
        expect(dead_code, reason = "nobody else needs it")
    )]
    pub(crate) fn name_at(&self, at: usize) -> Result<(NameBuf, usize), WireError> {
        let place = |at: &[u8; 2]| usize::from(u16::from_le_bytes(*at));
        read_name_beside(self.wire(), at, |run| touches(self.ttls(), place, &run))
    }

    /// Whether its server said that its filter made it (RFC 8914 section 4.5 and 4.16 to 4.18).
    pub fn is_filtered(&self) -> bool {
        self.head().is_filtered
    }

    /// Whether all of it was checked and is signed.
    pub fn is_authentic(&self) -> bool {
        self.head().authentic != 0
    }

    /// The code of an Extended DNS Error that goes with it.
    pub fn note(&self) -> Option<u16> {
        match self.head().note {
            0 => None,
            code => Some(code),
        }
    }

    /// Octets it has on the wire.
    pub fn wire_len(&self) -> usize {
        self.head().wire_end as usize
    }

    /// Octets it takes in memory, for the cache's bound: with what allocators add to a piece.
    pub fn weight(&self) -> usize {
        const COUNT_AND_LENGTH: usize = 16;
        let octets = COUNT_AND_LENGTH + size_of::<Head>() + self.octets().len();
        (octets + 8).next_multiple_of(16)
    }

    /// Writes it as the answer to `query`: its id and question, TTLs as `age` makes them, at most
    /// `limit` octets.
    pub fn write(
        &self,
        query: &Query<'_>,
        age: Ttl,
        limit: usize,
        extra: Extra<'_>,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.extend_from_slice(self.wire());
        self.adapt_header(query, out);
        out[HEADER..query.question_end].copy_from_slice(&query.raw[HEADER..query.question_end]);
        adapt_ttls(self.ttls(), age, out);
        close(
            out,
            query.question_end,
            query.edns,
            self.rcode(),
            limit,
            extra,
        );
    }

    /// Writes it behind an alias: `query`'s name is a CNAME for the name this answers.
    ///
    /// The question's name differs in length from the one the pointers in our records were made
    /// for, so each record is written out in full.
    ///
    /// # Errors
    /// A record whose names cannot be read; [`Self::from_upstream`] read them all, so this is a
    /// message from a broken cache.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one answer, all borrowed"
    )]
    pub fn write_behind_alias(
        &self,
        query: &Query<'_>,
        alias_ttl: u32,
        age: Ttl,
        limit: usize,
        services: Services,
        extra: Extra<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let mut reply = super::reply::Reply::to_query(query, self.rcode(), out);
        let (target, _) = read_name(self.wire(), HEADER)?;
        reply.cname(target.as_ref(), alias_ttl);
        self.copy_records(&mut reply, target, alias_ttl, age, services)?;
        reply.finish(limit, extra);
        Ok(())
    }

    /// Writes it as [`Self::write`] does, but without what could lead round the filter.
    ///
    /// What is cut moves all that stands behind it, so each record is written out in full. The
    /// signatures go, since they would no longer be true.
    ///
    /// # Errors
    /// As [`Self::write_behind_alias`].
    pub fn write_without_ech(
        &self,
        query: &Query<'_>,
        age: Ttl,
        limit: usize,
        extra: Extra<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        /// How long a client may keep that there is nothing but what was left out.
        const NOTHING_TTL: u32 = 60;
        let mut reply = super::reply::Reply::to_query(query, self.rcode(), out);
        let (name, _) = read_name(self.wire(), HEADER)?;
        self.copy_records(&mut reply, name, NOTHING_TTL, age, Services::WithoutEch)?;
        reply.finish(limit, extra);
        Ok(())
    }

    /// Writes the answer section in full, from `end` on along the aliases, and a "no" where nothing
    /// is left.
    fn copy_records(
        &self,
        reply: &mut super::reply::Reply<'_>,
        mut end: NameBuf,
        no_ttl: u32,
        age: Ttl,
        services: Services,
    ) -> Result<(), WireError> {
        let count = read_u16(self.wire(), 6)?;
        let mut at = usize::from(self.head().question_end);
        let mut answered = false;
        for _ in 0..count {
            let record = Record::read(self.wire(), at)?;
            at = record.end;
            let owner = record.owner(self.wire())?;
            let ttl = age.apply(record.ttl);
            if record.rtype == rtype::CNAME {
                let (name, _) = read_name(self.wire(), record.data)?;
                reply.record(owner.as_ref(), rtype::CNAME, ttl, name.as_ref().as_wire());
                end = name;
            } else if matches!(
                record.rtype,
                rtype::A | rtype::AAAA | rtype::HTTPS | rtype::SVCB
            ) {
                // These hold no compressed name (RFC 9460 section 2.2).
                let data = record.data(self.wire());
                let is_service = matches!(record.rtype, rtype::HTTPS | rtype::SVCB);
                let parts = if is_service && services == Services::WithoutEch {
                    without_ech(data)
                } else {
                    Some([data, &[]])
                };
                if let Some(parts) = parts {
                    reply.record_of_parts(owner.as_ref(), record.rtype, ttl, parts);
                    answered = true;
                }
            }
        }
        if !answered {
            // A "no" belongs to the name at the end of the chain, not to the alias.
            reply.soa_of(end.as_ref(), no_ttl);
        }
        Ok(())
    }

    fn adapt_header(&self, query: &Query<'_>, out: &mut [u8]) {
        out[..2].copy_from_slice(&query.id());
        // Never AA: what is handed on is not authoritative. AD only of what was checked here, and
        // for who understands it (RFC 6840 section 5.8).
        let dnssec_ok = query.question.dnssec_ok;
        let authentic = self.head().authentic & (query.raw[3] | if dnssec_ok { AD } else { 0 });
        out[2] = 0x80 | query.raw[2] & 0x01;
        out[3] = 0x80 | query.raw[3] & 0x10 | authentic | (self.rcode() & 0xf) as u8;
    }
}

/// Whether `run` has an octet of a TTL; `place` tells where one begins, rising from one to the next.
fn touches<T>(ttls: &[T], place: impl Fn(&T) -> usize, run: &Range<usize>) -> bool {
    const OCTETS: usize = size_of::<u32>();
    let next = ttls.partition_point(|ttl| place(ttl) + OCTETS <= run.start);
    ttls.get(next).is_some_and(|ttl| place(ttl) < run.end)
}

/// Makes the TTLs at these places what `age` makes of them.
fn adapt_ttls(places: &[[u8; 2]], age: Ttl, out: &mut [u8]) {
    for at in places {
        if let Some(place) = out
            .get_mut(usize::from(u16::from_le_bytes(*at))..)
            .and_then(|rest| rest.first_chunk_mut::<4>())
        {
            *place = age.apply(u32::from_be_bytes(*place)).to_be_bytes();
        }
    }
}

/// How service records are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Services {
    /// As upstream said them.
    Whole,
    /// Without what hides the name of the server or leads to another resolver.
    WithoutEch,
}

/// The parameters of a service record that matter here (RFC 9460 section 14.3.2).
const MANDATORY: u16 = 0;
const ECH: u16 = 5;
const DOH_PATH: u16 = 7;

/// The two parts of a service record before and behind its `ech`; none if nothing of it may be left:
/// it demands `ech`, or is about a resolver.
fn without_ech(data: &[u8]) -> Option<[&[u8]; 2]> {
    let (_, used) = NameBuf::read_wire(data.get(2..)?).ok()?;
    let mut at = 2 + used;
    let mut parts = [data, &[][..]];
    while at < data.len() {
        let key = read_u16(data, at).ok()?;
        let end = at + 4 + usize::from(read_u16(data, at + 2).ok()?);
        let value = data.get(at + 4..end)?;
        match key {
            MANDATORY if value.chunks(2).any(|key| key == ECH.to_be_bytes()) => return None,
            ECH => parts = [&data[..at], &data[end..]],
            DOH_PATH => return None,
            _ => {}
        }
        at = end;
    }
    Some(parts)
}

/// How the TTLs of an answer change on their way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// Seconds since it was stored.
    pub age: u32,
    /// No TTL leaves below this, for an answer past its time (RFC 8767 section 4).
    pub floor: u32,
    /// No TTL leaves above this: the policy may change then.
    pub ceiling: u32,
}

impl Ttl {
    /// An answer just received.
    pub const FRESH: Self = Self {
        age: 0,
        floor: 0,
        ceiling: MAX_TTL,
    };

    fn apply(self, ttl: u32) -> u32 {
        let ttl = if ttl > MAX_TTL { 0 } else { ttl };
        ttl.saturating_sub(self.age)
            .max(self.floor)
            .min(self.ceiling)
    }
}

/// Records of an answer: room on the stack for those of most.
type Records = SmallVec<[Record; 4]>;

/// Reads a response once, collecting what is kept.
struct Reader<'m> {
    bytes: &'m [u8],
    question: &'m Question,
    /// What of the authority section is kept, if not all of it.
    proofs: Option<&'m [(NameBuf, u16)]>,
    /// Where the TTLs of the records read so far stand.
    ttls: SmallVec<[usize; 8]>,
    /// The names of the alias chain so far.
    chain: SmallVec<[NameBuf; 2]>,
    kept_answers: Records,
    kept_authorities: Records,
    dropped: bool,
    negative_ttl: Option<u32>,
    /// As [`Facts`] reads them.
    facts: FactOctets,
    leads_round: bool,
    is_filtered: bool,
}

impl<'m> Reader<'m> {
    fn new(bytes: &'m [u8], question: &'m Question, proofs: Option<&'m [(NameBuf, u16)]>) -> Self {
        Self {
            bytes,
            question,
            proofs,
            ttls: SmallVec::new(),
            chain: smallvec![question.qname],
            kept_answers: Records::new(),
            kept_authorities: Records::new(),
            dropped: false,
            negative_ttl: None,
            facts: FactOctets::new(),
            leads_round: false,
            is_filtered: false,
        }
    }

    /// Reads the record at `at` and its owner.
    fn read_record(&mut self, at: usize) -> Result<(Record, NameBuf), WireError> {
        let record = Record::read(self.bytes, at)?;
        self.ttls.push(record.ttl_at);
        Ok((record, self.name_at(at)?.0))
    }

    /// The name at `at`, and the octet after it; one that no client reads differently.
    fn name_at(&self, at: usize) -> Result<(NameBuf, usize), WireError> {
        read_name_beside(self.bytes, at, |run| touches(&self.ttls, |at| *at, &run))
    }

    /// The name that is all the data of a record.
    fn target(&self, record: &Record) -> Result<NameBuf, WireError> {
        let (target, after) = self.name_at(record.data)?;
        if after != record.end {
            return Err(WireError { at: record.data });
        }
        Ok(target)
    }

    /// Reads the answer section; gives the octet after it.
    fn read_answers(&mut self, mut at: usize, count: u16) -> Result<usize, AnswerError> {
        let mut records = SmallVec::<[(Record, NameBuf); 3]>::new();
        for _ in 0..count {
            let read = self.read_record(at)?;
            at = read.0.end;
            records.push(read);
        }
        self.follow_chain(&records)?;
        for (record, owner) in &records {
            if self.belongs(record, owner)? {
                self.note_facts(record)?;
                self.kept_answers.push(*record);
            } else {
                self.dropped = true;
            }
        }
        Ok(at)
    }

    /// Collects the names the question leads to, in whatever order their aliases stand.
    fn follow_chain(&mut self, records: &[(Record, NameBuf)]) -> Result<(), AnswerError> {
        if self.question.qtype == rtype::CNAME {
            return Ok(());
        }
        loop {
            let end = self.chain[self.chain.len() - 1];
            let next = records.iter().find(|(record, owner)| {
                record.rtype == rtype::CNAME && record.class == 1 && *owner == end
            });
            let Some((alias, _)) = next else {
                return Ok(());
            };
            let target = self.target(alias)?;
            if self.chain.contains(&target) || self.chain.len() > MAX_CHAIN {
                return Err(AnswerError::Chain);
            }
            self.chain.push(target);
        }
    }

    fn belongs(&self, record: &Record, owner: &NameBuf) -> Result<bool, AnswerError> {
        if record.class != 1 {
            return Ok(false);
        }
        let in_chain = self.chain.contains(owner);
        Ok(match record.rtype {
            // A DNAME stands above the names it renames (RFC 6672 section 3).
            rtype::DNAME => self
                .chain
                .iter()
                .any(|name| name.as_ref().is_within(owner.as_ref())),
            rtype::RRSIG if self.question.qtype == rtype::RRSIG => in_chain,
            // The signature of a DNAME stands where the DNAME does.
            rtype::RRSIG => {
                let covers_dname = read_u16(self.bytes, record.data)? == rtype::DNAME;
                let above = |name: &NameBuf| name.as_ref().is_within(owner.as_ref());
                self.question.dnssec_ok
                    && (in_chain || covers_dname && self.chain.iter().any(above))
            }
            kind if kind == rtype::CNAME || kind == self.question.qtype => in_chain,
            _ => in_chain && self.question.qtype == rtype::ANY,
        })
    }

    fn note_facts(&mut self, record: &Record) -> Result<(), AnswerError> {
        let malformed = WireError { at: record.data };
        let data = record.data(self.bytes);
        match record.rtype {
            rtype::CNAME | rtype::DNAME => {
                let target = self.target(record)?;
                Fact::Cname(target.as_ref()).write(&mut self.facts);
            }
            rtype::A => {
                let octets: [u8; 4] = data.try_into().map_err(|_| malformed)?;
                Fact::Address(Ipv4Addr::from(octets).into()).write(&mut self.facts);
            }
            rtype::AAAA => {
                let octets: [u8; 16] = data.try_into().map_err(|_| malformed)?;
                Fact::Address(Ipv6Addr::from(octets).into()).write(&mut self.facts);
            }
            rtype::SVCB | rtype::HTTPS => self.note_service(data).ok_or(malformed)?,
            _ => {}
        }
        Ok(())
    }

    /// The target and address hints of an SVCB or HTTPS record (RFC 9460 section 2.2).
    fn note_service(&mut self, data: &[u8]) -> Option<()> {
        const IPV4_HINT: u16 = 4;
        const IPV6_HINT: u16 = 6;
        let (target, used) = NameBuf::read_wire(data.get(2..)?).ok()?;
        // `.` stands for the owner, which was judged already (RFC 9460 section 2.5).
        if !target.as_ref().is_root() {
            Fact::SvcbTarget(target.as_ref()).write(&mut self.facts);
        }
        let mut rest = data.get(2 + used..)?;
        while !rest.is_empty() {
            let key = read_u16(rest, 0).ok()?;
            let length = usize::from(read_u16(rest, 2).ok()?);
            let value = rest.get(4..4 + length)?;
            rest = &rest[4 + length..];
            match key {
                ECH | DOH_PATH => self.leads_round = true,
                IPV4_HINT => {
                    let (hints, []) = value.as_chunks::<4>() else {
                        return None;
                    };
                    for octets in hints {
                        let hint = Ipv4Addr::from(*octets).into();
                        Fact::SvcbHint(hint).write(&mut self.facts);
                    }
                }
                IPV6_HINT => {
                    let (hints, []) = value.as_chunks::<16>() else {
                        return None;
                    };
                    for octets in hints {
                        let hint = Ipv6Addr::from(*octets).into();
                        Fact::SvcbHint(hint).write(&mut self.facts);
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Reads the authority section; gives the octet after it.
    fn read_authorities(&mut self, mut at: usize, count: u16) -> Result<usize, AnswerError> {
        let end = self.chain[self.chain.len() - 1];
        for _ in 0..count {
            let (record, owner) = self.read_record(at)?;
            at = record.end;
            let above = end.as_ref().is_within(owner.as_ref());
            if !self.is_kept_of_authority(&record, &owner)? {
                self.dropped = true;
            } else if record.rtype == rtype::SOA && record.class == 1 && above {
                let minimum_at = record.end.checked_sub(4).filter(|&at| at > record.data);
                let minimum_at = minimum_at.ok_or(WireError { at: record.data })?;
                let minimum = super::wire::read_u32(self.bytes, minimum_at)?;
                // RFC 2308 section 5: the smaller of the two.
                self.negative_ttl = Some(minimum.min(record.ttl));
                self.kept_authorities.push(record);
            } else if self.question.dnssec_ok && record.class == 1 {
                self.kept_authorities.push(record);
            } else {
                self.dropped = true;
            }
        }
        Ok(at)
    }

    fn is_kept_of_authority(&self, record: &Record, owner: &NameBuf) -> Result<bool, WireError> {
        let Some(proofs) = self.proofs else {
            return Ok(true);
        };
        let kind = match record.rtype {
            rtype::RRSIG => read_u16(self.bytes, record.data)?,
            kind => kind,
        };
        Ok(proofs.contains(&(*owner, kind)))
    }

    /// The upper bits of RCODE, in the OPT of the additional section; takes note of what else it says.
    fn read_extended_rcode(&mut self, mut at: usize, count: u16) -> Result<u16, AnswerError> {
        for _ in 0..count {
            let record = Record::read(self.bytes, at)?;
            at = record.end;
            if record.rtype == rtype::OPT {
                const EXTENDED_ERROR: u16 = 15;
                self.is_filtered = options(record.data(self.bytes))
                    .filter(|(option, _)| *option == EXTENDED_ERROR)
                    .any(|(_, error)| matches!(read_u16(error, 0), Ok(4 | 15..=17)));
                return Ok((record.ttl >> 24) as u16);
            }
        }
        Ok(0)
    }

    fn draft(&mut self, code: u16, question_end: usize) -> Result<Draft, AnswerError> {
        let has_data = self.kept_answers.iter().any(|record| {
            record.rtype == self.question.qtype
                || !matches!(record.rtype, rtype::CNAME | rtype::DNAME | rtype::RRSIG)
        });
        let positive = code == rcode::NOERROR
            && (has_data || self.question.qtype == rtype::CNAME && !self.kept_answers.is_empty());
        let answers = self.kept_answers.len();
        let mut kept = std::mem::take(&mut self.kept_answers);
        // The proofs and the SOA belong to a "no", or to a client that checks a wildcard's proof.
        if !positive || self.question.dnssec_ok {
            kept.extend_from_slice(&self.kept_authorities);
        }
        let authorities = kept.len() - answers;
        let negative_ttl = self.negative_ttl;
        let ttl_of_records = kept
            .iter()
            .map(|record| if record.ttl > MAX_TTL { 0 } else { record.ttl })
            .min();
        let ttl = match code {
            rcode::NOERROR if positive => ttl_of_records,
            // A "no" without an SOA says not how long; it is not kept (RFC 2308 section 5).
            rcode::NOERROR | rcode::NXDOMAIN => negative_ttl
                .map(|ttl| if ttl > MAX_TTL { 0 } else { ttl })
                .map(|ttl| ttl_of_records.map_or(ttl, |least| ttl.min(least))),
            _ => None,
        };
        let (mut octets, wire_end) = copy_records(self.bytes, question_end, &kept, &self.facts)?;
        // However its letters came, so that [`Answer::is_to`] need not look at their case.
        let name = self.question.qname.as_ref().as_wire();
        octets[HEADER..HEADER + name.len()].copy_from_slice(name);
        // At most as many as the 16-bit counts they came from.
        octets[4..6].copy_from_slice(&1_u16.to_be_bytes());
        octets[6..8].copy_from_slice(&(answers as u16).to_be_bytes());
        octets[8..10].copy_from_slice(&(authorities as u16).to_be_bytes());
        octets[10..12].fill(0);
        let head = Head {
            ttl: ttl.and_then(NonZeroU32::new),
            wire_end,
            question_end: question_end as u16,
            ttls: kept.len() as u16,
            note: 0,
            leads_round: self.leads_round,
            is_filtered: self.is_filtered,
            authentic: 0,
        };
        Ok(Draft { head, octets })
    }
}

/// Header, question and the records that are kept, where that ends, and behind it where their TTLs
/// stand and the facts.
///
/// While nothing is left out in front of a kept record, the octets stand where they stood and the
/// pointers in them stay true. Otherwise the codec takes the message apart and puts it together
/// again without the rest.
fn copy_records(
    bytes: &[u8],
    question_end: usize,
    kept: &[Record],
    facts: &[u8],
) -> Result<(Vec<u8>, u16), AnswerError> {
    let mut end = question_end;
    let in_place = kept.iter().all(|record| {
        let adjacent = record.start == end;
        end = record.end;
        adjacent
    });
    let anew = match in_place {
        true => None,
        false => Some(without_the_rest(bytes, question_end, kept).ok_or(AnswerError::Codec)?),
    };
    let wire = anew.as_deref().unwrap_or(&bytes[..end]);
    let wire_end = u16::try_from(wire.len()).map_err(|_| AnswerError::Codec)?;
    let mut octets = Vec::with_capacity(wire.len() + 2 * kept.len() + facts.len());
    octets.extend_from_slice(wire);
    let mut at = question_end;
    for _ in kept {
        let record = Record::read(wire, at)?;
        // It stands before `wire_end`.
        octets.extend_from_slice(&(record.ttl_at as u16).to_le_bytes());
        at = record.end;
    }
    octets.extend_from_slice(facts);
    Ok((octets, wire_end))
}

/// The message with the records that are kept and no others, pointers made anew.
fn without_the_rest(bytes: &[u8], question_end: usize, kept: &[Record]) -> Option<Vec<u8>> {
    let mut message = hickory_proto::op::Message::from_vec(bytes).ok()?;
    // The codec gives the sections in the order of the octets, so places tell who is who.
    let mut at = question_end;
    let mut is_kept = |_: &hickory_proto::rr::Record| {
        let start = at;
        at = Record::read(bytes, at).map_or(bytes.len(), |record| record.end);
        kept.iter().any(|record| record.start == start)
    };
    message.answers.retain(&mut is_kept);
    message.authorities.retain(&mut is_kept);
    message.additionals.clear();
    message.edns = None;
    message.signature = None;
    message.to_vec().ok()
}

#[cfg(test)]
mod tests;
