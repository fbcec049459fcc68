//! DNSSEC: whether an answer is what the owner of its zone signed.
//!
//! An [`Answer`] enters with the question it answers, and a [`Fetch`] that brings DS and DNSKEY
//! records; [`Validator::judge`] walks from a trust anchor down to the zones that signed it (RFC 4035
//! section 5) and says whether it is secure, insecure (by proof, or because the household wants that)
//! or bogus, with the [`Fault`]. Nothing here sends or waits for anything else.
//!
//! Read `walk` first: the way down and the verdict. `rrset` takes messages apart, `denial` has the
//! proofs that something does not exist, `ahead` what is asked before it is needed, `key` and `crypto` have
//! keys and signatures, `anchors` where trust begins, `points` what was found out before. What all of it
//! may cost stands in `effort`.

mod ahead;
mod anchors;
mod crypto;
mod denial;
mod effort;
mod fault;
mod key;
mod points;
mod rrset;
mod walk;

use std::sync::atomic::{AtomicU64, Ordering};

pub use fault::{Fault, Flaw};

use crate::clock::{self, Clock, Timestamp};
use crate::config;
use crate::message::{Answer, Authenticity, Question};
use crate::name::{Name, NameBuf, NameRef};
use anchors::{Anchors, Kind};
use points::Points;
use walk::Walk;

/// Checks answers.
#[derive(Debug)]
pub struct Validator {
    anchors: Anchors,
    points: Points,
    clock: Clock,
    counters: Counters,
}

/// What came of checks, since the start.
#[derive(Debug, Default)]
struct Counters {
    secure: AtomicU64,
    insecure: AtomicU64,
    bogus: AtomicU64,
    signatures: AtomicU64,
}

/// How often what came of checks, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgements {
    /// Signed, and right.
    pub secure: u64,
    /// Not signed, by proof or by the household's wish.
    pub insecure: u64,
    /// Wrong.
    pub bogus: u64,
    /// Signatures looked at, right or wrong.
    pub signatures: u64,
}

/// An answer that may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whether all of it is signed, up to a trust anchor.
    pub is_secure: bool,
    /// The RRsets of its authority section that were checked.
    pub proofs: Vec<(NameBuf, u16)>,
    /// Why it is not, as an Extended DNS Error, where that is out of the ordinary.
    pub note: Option<u16>,
    /// The longest it may be kept, in seconds: what was signed for, and until when (RFC 4035 section
    /// 5.3.3).
    pub ceiling: u32,
}

impl Judged {
    /// The same in the words of [`Answer::checked`].
    pub fn authenticity(&self) -> Authenticity<'_> {
        Authenticity {
            is_secure: self.is_secure,
            proofs: &self.proofs,
            ceiling: self.ceiling,
            note: self.note,
        }
    }
}

/// Why an answer may not be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop<E> {
    /// It is wrong.
    Fault(Fault),
    /// What was needed to check it could not be had.
    Fetch(E),
}

/// Who brings what a check needs.
pub trait Fetch: Sync {
    /// Why it could not.
    type Error: Send;

    /// The answer to `question` as upstream gives it, with signatures, unchecked.
    fn fetch(&self, question: Question)
    -> impl Future<Output = Result<Answer, Self::Error>> + Send;
}

/// Whether what was found to be bogus a moment ago is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It is not.
    Trusted,
    /// It is: another server may know better.
    Doubted,
}

impl Validator {
    /// Checks as `settings` say; `forwarded` are domains with servers of their own.
    pub fn new<'n>(
        settings: &config::Validation,
        forwarded: impl Iterator<Item = &'n Name>,
        clock: Clock,
    ) -> Self {
        Self {
            anchors: Anchors::new(settings, forwarded),
            points: Points::new(),
            clock,
            counters: Counters::default(),
        }
    }

    /// Whether answers about `name` are checked at all.
    pub fn concerns(&self, name: NameRef<'_>) -> bool {
        matches!(self.anchors.above(name), Some((_, Kind::Keys(_))))
    }

    /// Whether `answer` is what was signed. It must have been asked for with DO.
    ///
    /// # Errors
    /// When it is not, or when that could not be found out.
    pub async fn judge<F: Fetch>(
        &self,
        answer: &Answer,
        question: &Question,
        fetch: &F,
        memory: Memory,
    ) -> Result<Judged, Stop<F::Error>> {
        let mut walk = Walk::new(self, fetch, memory, self.dates());
        let judged = walk.judge(answer, question).await;
        let count = |counter: &AtomicU64, more| counter.fetch_add(more, Ordering::Relaxed);
        count(&self.counters.signatures, walk.signatures_checked().into());
        match &judged {
            Ok(judged) if judged.is_secure => count(&self.counters.secure, 1),
            Ok(_) => count(&self.counters.insecure, 1),
            Err(Stop::Fault(_)) => count(&self.counters.bogus, 1),
            Err(Stop::Fetch(_)) => 0,
        };
        judged
    }

    /// How often what came of it.
    pub fn judgements(&self) -> Judgements {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Judgements {
            secure: of(&self.counters.secure),
            insecure: of(&self.counters.insecure),
            bogus: of(&self.counters.bogus),
            signatures: of(&self.counters.signatures),
        }
    }

    /// What the dates of signatures are held against now.
    fn dates(&self) -> Dates {
        let clock = &self.clock;
        let (wall, earliest) = (clock.wall(), clock.earliest());
        let needs_time = clock.needs_time();
        let now = match clock::can_be(wall) {
            true => wall.max(earliest),
            false => earliest,
        };
        let ahead = match (needs_time, clock.is_confirmed()) {
            (true, _) => None,
            (_, true) => Some(SKEW),
            (_, false) => Some(UNCONFIRMED),
        };
        Dates {
            // Times of signatures wrap as well (RFC 4034 section 3.1.5).
            now: now.as_second() as u32,
            ahead,
            is_known: !needs_time || clock.is_lent(),
            generation: clock.generation(),
        }
    }

    /// Notes that what begins to hold at `inception` came from where trust begins.
    fn note_inception(&self, inception: u32, dates: &Dates) {
        if let Some(then) = dates.time_of(inception) {
            self.clock.doubt(then);
            self.clock.note_begun(then);
        }
    }

    /// Notes that what came from where trust begins is in force.
    fn note_in_force(&self) {
        self.clock.note_in_force();
    }

    /// Notes that what is over since `expiration` came from where trust begins.
    fn note_end(&self, expiration: u32, dates: &Dates) {
        if let Some(then) = dates.time_of(expiration) {
            self.clock.note_ended(then);
        }
    }
}

/// How wrong a clock may be before a signature is expired or not valid yet: homes have bad ones.
const SKEW: u32 = 3600;
/// How far ahead a signature may begin while nobody confirmed the clock: as long as what is nearest to the
/// root and may be out of a cache can be without a new signature.
const UNCONFIRMED: u32 = 31 * 86_400;

/// What the dates of signatures are held against.
///
/// A router starts in 1970, or at the time of some file, and must be able to look up the server of the
/// time. That a signature holds from later on only says then that the clock is behind, and would protect
/// nobody: who can show a signature of a time to come has it from the owner of the zone. That one is
/// over protects from old answers shown again, so that is never waived: nothing may have ended before
/// the time the clock shows, or before the time that is proven to be past.
#[derive(Clone, Copy, Debug)]
struct Dates {
    /// The time, or the earliest that can be; in seconds since 1970 modulo 2³².
    now: u32,
    /// How far ahead a signature may begin, in seconds; none for however far.
    ahead: Option<u32>,
    /// Whether there is a time.
    is_known: bool,
    /// [`Clock::generation`].
    generation: u64,
}

impl Dates {
    /// The time that is nearest to ours of those that `seconds` may mean; before 2106 that is itself.
    fn time_of(&self, seconds: u32) -> Option<Timestamp> {
        let ahead = i64::from(seconds.wrapping_sub(self.now).cast_signed());
        Timestamp::from_second(i64::from(self.now) + ahead).ok()
    }
}

/// Reads `bytes` as the answer to a question for `qname` and `qtype` and takes it apart; nothing else. For
/// what is thrown at it on purpose.
#[doc(hidden)]
pub fn take_apart(bytes: &[u8], question: &Question) -> usize {
    let Ok(answer) = Answer::from_upstream(bytes, question) else {
        return 0;
    };
    let Ok(sets) = rrset::sets(&answer) else {
        return 0;
    };
    let all: Vec<&rrset::Rrset> = sets.iter().collect();
    let mut effort = effort::Effort::new();
    let qname = question.qname.as_ref();
    for zone in qname.suffixes().chain([NameRef::ROOT]) {
        let mut denial = denial::Denial::new(zone, &all);
        // Whatever is proved: it comes to an end.
        let _name = denial.no_name(qname, &mut effort);
        let _data = denial.no_data(qname, question.qtype, &mut effort);
        let _child = denial.child(qname, &mut effort);
        let _closer = denial.no_closer(qname, zone, &mut effort);
    }
    for set in &sets {
        for data in &set.data {
            let (_key, _ds) = (key::Key::read(data), key::Ds::read(data));
        }
        for signature in &set.signatures {
            let _data = set.signed_data(signature, set.owner.as_ref());
        }
    }
    sets.len()
}

#[cfg(test)]
mod tests;
