//! The servers that may be asked about a domain, and what is known of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::server::Server;
use crate::clock::Moment;
use crate::message::Question;
use crate::name::{Name, NameBuf};

/// Servers for a domain and everything below it.
#[derive(Debug)]
pub(super) struct Group {
    /// The domain; the root for everything that has no servers of its own.
    domain: NameBuf,
    servers: Vec<Arc<Server>>,
    /// How many of them are asked first; the others are the fallback.
    first: usize,
    /// When a question was last let through while all were dead, in microseconds.
    let_through: AtomicU64,
}

/// A server and its place among those to be asked.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) server: Arc<Server>,
    /// Whether it is asked only while others are silent.
    pub(super) is_fallback: bool,
}

/// While all servers are dead, one question in this time is sent all the same.
const LET_THROUGH: Duration = Duration::from_millis(250);
/// SOA and NS, which every zone has at its apex.
const TYPE_SOA: u16 = 6;
const TYPE_NS: u16 = 2;

impl Group {
    pub(super) fn new(
        domain: Option<&Name>,
        mut servers: Vec<Arc<Server>>,
        fallback: Vec<Arc<Server>>,
    ) -> Self {
        let first = servers.len();
        servers.extend(fallback);
        Self {
            domain: domain.map_or(NameBuf::ROOT, |domain| domain.as_ref().into()),
            servers,
            first,
            let_through: AtomicU64::new(0),
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

    /// Those that answer first, of them the fallback last, of equals the quickest first; between
    /// servers of about the same speed the order of the configuration decides.
    pub(super) fn ranked(&self) -> Vec<Ranked> {
        let ranked = self
            .servers
            .iter()
            .enumerate()
            .map(|(index, server)| Ranked {
                server: Arc::clone(server),
                is_fallback: index >= self.first,
            });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_cached_key(
            |Ranked {
                 server,
                 is_fallback,
             }| {
                let (is_dead, is_failing) = (server.is_dead(), server.is_failing());
                (is_dead, is_failing, *is_fallback, server.slowness())
            },
        );
        ranked
    }

    /// Whether the server at `index` is asked only while others are silent.
    pub(super) fn is_fallback(&self, index: usize) -> bool {
        index >= self.first
    }

    /// Whether none of them answers.
    pub(super) fn is_dead(&self) -> bool {
        !self.servers.is_empty() && self.servers.iter().all(|server| server.is_dead())
    }

    /// Whether a question would be let through though all are dead.
    pub(super) fn would_let_through(&self, now: Moment) -> bool {
        let last = Moment::from_micros(self.let_through.load(Ordering::Relaxed));
        now.since(last) >= LET_THROUGH
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
        let qtype = if self.domain.as_ref().is_root() {
            TYPE_NS
        } else {
            TYPE_SOA
        };
        Question {
            qname: self.domain,
            qtype,
            dnssec_ok: false,
            checking_disabled: false,
        }
    }
}
