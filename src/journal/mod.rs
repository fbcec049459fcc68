//! What happened: one [`Outcome`] per query into counters, a bounded log in memory and statistics
//! per device, after the answer was sent.
//!
//! What may be kept is the profile's privacy setting; a lifeline leaves no trace at all, not even in
//! a total, since a total less the sum over devices would be the number of lifelines.
//! A [`Reveal`] lets the names of a profile be kept for a while, and of what comes then only.
//! [`Journal::record`] is where all of it is decided, for everything that can be read out later. What
//! is read out are plain owned values that the control API hands on as they are.

mod devices;
mod labels;
mod log;
mod record;
mod reveals;
mod segments;
mod top;
mod totals;
mod words;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::ToSchema;

pub use devices::{CategoryCount, DeviceStatistics};
pub use labels::{parse_qtype, qtype_label, rcode_label};
pub use log::{LogEntry, LogFilter, LogPage};
pub use reveals::Reveal;
pub use top::{Ranked, Top};
pub use totals::{Bucket, Durations, KindCount, ReasonCount, ResponseCount, Totals};

use crate::clock::{Clock, Moment};
use crate::config::Privacy;
use crate::name::NameBuf;
use crate::verdict::{Tier, Verdict};
use devices::DeviceTable;
use segments::{SegmentCopy, Segments};
use totals::{Counted, Counters};
use words::Words;

/// Everything remembered of queries.
///
/// Written by every worker after its answer has left: one short lock, and no allocation once the
/// tables have grown to their bounds. Read by the control API, a piece at a time.
#[derive(Debug)]
pub struct Journal {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    counters: Counters,
    devices: DeviceTable,
    words: Words,
    log: Segments,
    reveals: Vec<Reveal>,
}

/// Labels the log can refer to: devices, profiles, categories, lists and rules that spoke.
const MAX_WORDS: u16 = 8192;

/// Stands where a name should and none is known.
const UNNAMED: &str = "?";

impl Journal {
    /// An empty journal whose log takes at most `max_bytes`; 0 keeps no log.
    pub fn new(max_bytes: u64, clock: Clock) -> Self {
        Self {
            clock,
            inner: Mutex::new(Inner {
                counters: Counters::new(),
                devices: DeviceTable::new(),
                words: Words::new(MAX_WORDS),
                log: Segments::new(usize::try_from(max_bytes).unwrap_or(usize::MAX)),
                reveals: Vec::new(),
            }),
        }
    }

    /// Remembers what happened to a query, as far as its profile and its reason allow.
    ///
    /// A lifeline is not counted anywhere: whoever reads the journal sees nothing of it.
    pub fn record(&self, outcome: &Outcome) {
        let verdict = outcome.verdict;
        if outcome.is_of_lifeline() {
            return;
        }
        let counted = Counted {
            action: Action::from(&verdict),
            reason: verdict.reason().label(),
            source: outcome.source,
            rcode: outcome.rcode,
            transport: outcome.transport,
            client: outcome.client,
            qtype: outcome.qtype,
            took: outcome.took,
        };
        let mut inner = self.locked();
        inner.counters.add(&counted);
        let revealed = reveals::revealed(&inner.reveals, outcome);
        let outcome = revealed.as_ref().unwrap_or(outcome);
        if matches!(outcome.privacy, Privacy::None) {
            return;
        }
        let blocked_for = verdict.is_block().then_some(counted.reason);
        inner.devices.add(outcome.device, outcome.at, blocked_for);
        if inner.log.keeps() {
            let Inner { words, log, .. } = &mut *inner;
            log.push(record::write(outcome, words).parts());
        }
    }

    /// Whose names are kept for a while although their profile says otherwise, in place of what was
    /// said before.
    pub fn set_reveals(&self, reveals: Vec<Reveal>) {
        self.locked().reveals = reveals;
    }

    /// Changes the bound of the log; the newest entries that fit stay.
    pub fn set_max_bytes(&self, max_bytes: u64) {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        self.locked().log.set_max_bytes(max_bytes);
    }

    /// Forgets the log and statistics of one device, or of all; plain totals stay.
    pub fn forget(&self, device: Option<&str>) {
        let mut inner = self.locked();
        let Inner {
            devices,
            words,
            log,
            ..
        } = &mut *inner;
        devices.forget(device);
        match device {
            None => log.clear(),
            Some(device) => log.for_each_mut(|entry| record::erase(entry, device, words.list())),
        }
    }

    /// Plain totals since the start.
    pub fn totals(&self) -> Totals {
        self.locked().counters.read()
    }

    /// Statistics of every device that asked something and whose profile lets it be remembered.
    pub fn devices(&self) -> Vec<DeviceStatistics> {
        let wall = self.wall();
        self.locked().devices.read(wall)
    }

    /// A page of the log: what came after entry `after`, oldest first, or without it the newest
    /// `limit` entries; only what `filter` lets pass.
    pub fn log(&self, after: Option<u64>, limit: usize, filter: &LogFilter) -> LogPage {
        log::page(self, after, limit, filter)
    }

    /// The first `limit` places of each ranking over what the log holds.
    pub fn top(&self, limit: usize) -> Top {
        let wall = self.wall();
        let mut ranking = top::Ranking::new();
        let mut since = None;
        self.read_from(0, |_, record| {
            since.get_or_insert(record.at);
            ranking.add(record);
            true
        });
        ranking.finish(since.map(wall), limit)
    }

    /// Bytes held in all.
    pub fn memory_bytes(&self) -> usize {
        let inner = self.locked();
        inner.counters.memory_bytes()
            + inner.devices.memory_bytes()
            + inner.words.memory_bytes()
            + inner.log.memory_bytes()
    }

    /// Reads entries from number `from` on, the oldest first, until `visit` has enough.
    ///
    /// The lock is held for one segment at a time.
    fn read_from(&self, from: u64, mut visit: impl FnMut(u64, &record::Record<'_>) -> bool) {
        let mut words = Vec::new();
        let mut copy = SegmentCopy::default();
        let mut next = from;
        while self.copy_segment(next, &mut copy, &mut words) {
            for (seq, entry) in copy.entries().skip_while(|(seq, _)| *seq < next) {
                if let Some(record) = record::read(entry, &words)
                    && !visit(seq, &record)
                {
                    return;
                }
            }
            next = copy.next();
        }
    }

    fn copy_segment(
        &self,
        number: u64,
        copy: &mut SegmentCopy,
        words: &mut Vec<&'static str>,
    ) -> bool {
        let inner = self.locked();
        let known = inner.words.list();
        words.extend_from_slice(&known[words.len()..]);
        inner.log.copy_from(number, copy)
    }

    /// Turns moments into what the household's clock says now about then: on a router that learnt
    /// the time after its first queries, those too are shown right.
    fn wall(&self) -> impl Fn(Moment) -> String + use<> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        move |moment| {
            let ago = now.since(moment);
            let then = wall.checked_sub(ago).unwrap_or(wall);
            format!("{then:.3}")
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        // Counters and log are valid after every single step, so a panic elsewhere is no reason
        // to stop counting.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that happened to one query.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// When it arrived.
    pub at: Moment,
    /// How it arrived.
    pub transport: Transport,
    /// The device, or `guest`'s label for one nobody named.
    pub device: &'static str,
    /// The client's address.
    pub client: std::net::IpAddr,
    /// The profile that held.
    pub profile: &'static str,
    /// What the profile lets be remembered.
    pub privacy: Privacy,
    /// QNAME.
    pub qname: NameBuf,
    /// QTYPE.
    pub qtype: u16,
    /// What was decided.
    pub verdict: Verdict,
    /// Whether it is about a lifeline whatever decided, as where the name has a search suffix behind
    /// it: nobody is told of it.
    pub of_lifeline: bool,
    /// Where the answer came from.
    pub source: Source,
    /// RCODE of the answer.
    pub rcode: u8,
    /// From arrival to the last octet handed to the system.
    pub took: Duration,
}

impl Outcome {
    /// Whether it is about a lifeline: nothing of it is kept or counted.
    pub fn is_of_lifeline(&self) -> bool {
        self.of_lifeline || self.verdict.reason().tier == Tier::Lifeline
    }
}

/// How a query arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A TCP connection.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS, HTTP/1.1 or HTTP/2 (RFC 8484).
    Doh,
    /// DNS over HTTP/3.
    Doh3,
    /// DNS over QUIC (RFC 9250).
    Doq,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Udp,
        Self::Tcp,
        Self::Dot,
        Self::Doh,
        Self::Doh3,
        Self::Doq,
    ];

    /// The word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doh3 => "doh3",
            Self::Doq => "doq",
        }
    }

    /// Whether nobody between us and the client can read what is said.
    pub const fn is_encrypted(self) -> bool {
        !matches!(self, Self::Udp | Self::Tcp)
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Made here: a block, a special-use name, an error.
    Own,
    /// A fresh answer from the cache.
    Cache,
    /// An answer past its time, since upstream was silent (RFC 8767).
    Stale,
    /// An upstream.
    Upstream,
    /// No upstream answered.
    Failure,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Own,
        Self::Cache,
        Self::Stale,
        Self::Upstream,
        Self::Failure,
    ];

    /// The word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Upstream => "upstream",
            Self::Failure => "failure",
        }
    }
}

/// What was done with a query: [`Verdict`] without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Let through.
    Allow,
    /// Blocked.
    Block,
    /// Answered with a provider's own restricted name.
    Rewrite,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Block, Self::Rewrite];

    /// The word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Rewrite => "rewrite",
        }
    }
}

impl From<&Verdict> for Action {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allow(_) => Self::Allow,
            Verdict::Block(_) => Self::Block,
            Verdict::Rewrite(..) => Self::Rewrite,
        }
    }
}

#[cfg(test)]
mod tests;
