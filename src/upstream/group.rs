//! The servers that may be asked about a domain, and what is known of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::failure::Failure;
use super::server::Server;
use crate::clock::Moment;
use crate::message::Question;
use crate::name::{Name, NameBuf};

/// Servers for a domain and everything below it.
#[derive(Debug)]
pub(super) struct Group {
    /// The domain; the root for everything that has no servers of its own.
    domain: NameBuf,
    /// In the order of the configuration, each with its tier: 0 is asked first.
    servers: Vec<Arc<Server>>,
    tiers: Vec<u8>,
    /// When a question was last let through while all were dead, in microseconds.
    let_through: AtomicU64,
    /// When its servers were last looked after by what went the quick way, in microseconds.
    looked_after: AtomicU64,
}

/// A server and its place among those to be asked.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) server: Arc<Server>,
    /// Its tier; each is asked only while those before it are silent.
    pub(super) tier: u8,
}

/// While all servers are dead, one question in this time is sent all the same.
pub(super) const LET_THROUGH: Duration = Duration::from_millis(250);
/// SOA and NS, which every zone has at its apex.
const TYPE_SOA: u16 = 6;
const TYPE_NS: u16 = 2;

/// What every resolver can answer.
pub(super) const NEUTRAL: Question = Question {
    qname: NameBuf::ROOT,
    qtype: TYPE_NS,
    dnssec_ok: false,
    checking_disabled: false,
    via: 0,
};

impl Group {
    /// `tiers` are asked one after the other.
    pub(super) fn new(
        domain: Option<&Name>,
        tiers: impl IntoIterator<Item = Vec<Arc<Server>>>,
    ) -> Self {
        let numbered = (0..=u8::MAX).zip(tiers);
        let pairs = numbered.flat_map(|(tier, servers)| {
            let servers = servers.into_iter();
            servers.map(move |server| (server, tier))
        });
        let (servers, tiers) = pairs.unzip();
        Self {
            domain: domain.map_or(NameBuf::ROOT, |domain| domain.as_ref().into()),
            servers,
            tiers,
            let_through: AtomicU64::new(0),
            looked_after: AtomicU64::new(0),
        }
    }

    /// The domain.
    pub(super) fn domain(&self) -> &NameBuf {
        &self.domain
    }

    /// In the order of the configuration.
    pub(super) fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// Those that answer first, of them tier by tier, of a tier the quickest first; between
    /// servers of about the same speed the order of the configuration decides.
    ///
    /// Who could not be reached again and again rests for a while, unless nobody else is any better.
    pub(super) fn ranked(&self, now: Moment) -> Vec<Ranked> {
        let tiered = self.servers.iter().zip(&self.tiers);
        let ranked = tiered.map(|(server, tier)| Ranked {
            server: Arc::clone(server),
            tier: *tier,
        });
        let mut ranked: Vec<_> = ranked.collect();
        if ranked.iter().any(|it| !it.server.is_failing()) {
            ranked.retain(|it| !it.server.rests(now));
        }
        ranked.sort_by_cached_key(|Ranked { server, tier }| place_of(server, *tier));
        ranked
    }

    /// The first of [`Self::ranked`], unless it does not answer at present.
    pub(super) fn first_choice(&self, now: Moment) -> Option<&Arc<Server>> {
        let tiered = self.servers.iter().zip(&self.tiers);
        let placed = tiered.map(|(server, tier)| (place_of(server, *tier), server));
        let ((is_dead, is_failing, ..), server) = placed.min_by_key(|(place, _)| *place)?;
        (!is_dead && !is_failing && !server.rests(now)).then_some(server)
    }

    /// Whether it is time to look after its servers, which is said once in each `interval`.
    pub(super) fn is_to_be_looked_after(&self, now: Moment, interval: Duration) -> bool {
        let last = Moment::from_micros(self.looked_after.load(Ordering::Relaxed));
        let is_due = now.since(last) >= interval;
        if is_due {
            // That two of them do it now and then is of no harm.
            self.looked_after.store(now.as_micros(), Ordering::Relaxed);
        }
        is_due
    }

    /// That none of them answered in time.
    pub(super) fn timeout(&self) -> Failure {
        let servers = self.servers.iter();
        Failure::Timeout {
            servers: servers.map(|server| Arc::clone(&server.label)).collect(),
        }
    }

    /// The tier of the server at `index`.
    pub(super) fn tier(&self, index: usize) -> u8 {
        self.tiers.get(index).copied().unwrap_or_default()
    }

    /// When one of those was last heard who are at fault for `failure`.
    pub(super) fn heard(&self, failure: &Failure) -> Moment {
        let at_fault = failure.is_fault_of();
        let servers = self.servers.iter();
        let servers = servers.filter(|it| at_fault.is_none_or(|label| it.label == *label));
        let heard = servers.map(|server| server.heard());
        heard.max().unwrap_or_default()
    }

    /// Whether a tier is behind that of the server at `index`.
    pub(super) fn has_tier_behind(&self, index: usize) -> bool {
        self.tiers
            .last()
            .is_some_and(|last| *last > self.tier(index))
    }

    /// Whether none of them answers.
    pub(super) fn is_dead(&self) -> bool {
        !self.servers.is_empty() && self.servers.iter().all(|server| server.is_dead())
    }

    /// Whether a question would be let through now though nobody answers.
    pub(super) fn would_let_through(&self, now: Moment) -> bool {
        self.until_let_through(now).is_zero()
    }

    /// How long it is until a question is let through though nobody answers.
    pub(super) fn until_let_through(&self, now: Moment) -> Duration {
        let last = Moment::from_micros(self.let_through.load(Ordering::Relaxed));
        LET_THROUGH.saturating_sub(now.since(last))
    }

    /// Whether the caller's question is the one that is let through.
    pub(super) fn let_through(&self, now: Moment) -> bool {
        self.let_through
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                (now.since(Moment::from_micros(last)) >= LET_THROUGH).then_some(now.as_micros())
            })
            .is_ok()
    }

    /// A question that these servers can answer if they live, whatever the household asks for: a
    /// flood of names whose own servers are silent must not make them look dead.
    pub(super) fn neutral_question(&self) -> Question {
        if self.domain.as_ref().is_root() {
            return NEUTRAL;
        }
        Question {
            qname: self.domain,
            qtype: TYPE_SOA,
            ..NEUTRAL
        }
    }
}

/// What servers are ranked by, the first choice lowest.
fn place_of(server: &Server, tier: u8) -> (bool, bool, u8, u128) {
    let (is_dead, is_failing) = (server.is_dead(), server.is_failing());
    (is_dead, is_failing, tier, server.slowness())
}
