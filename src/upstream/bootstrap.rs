//! Finding servers that are given by name: by asking the bootstrap servers, which are given by
//! address. Never through the filter and never ourselves; what is found is checked by the
//! certificate of the server it leads to.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::exchange;
use super::fault::Fault;
use super::group::Group;
use super::server::Shown;
use crate::clock::{Clock, Moment};
use crate::message::{Fact, Question};
use crate::name::NameBuf;

/// The servers that know where servers are.
#[derive(Debug)]
pub(super) struct Bootstrap {
    group: Arc<Group>,
    clock: Clock,
    budget: Duration,
}

/// Where a name leads.
#[derive(Debug)]
pub(super) struct Found {
    /// One at least.
    pub(super) addresses: Vec<IpAddr>,
    /// When to look again.
    pub(super) until: Moment,
}

/// The shortest and the longest time that addresses are believed without looking again.
const TTLS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_hours(24));
/// How soon a name that could not be found again is looked for once more.
const RETRY: Duration = Duration::from_secs(30);
/// Addresses of one name that are used.
const ADDRESSES: usize = 8;
/// Types of address records.
const TYPES: [u16; 2] = [1, 28];

impl Bootstrap {
    pub(super) fn new(group: Group, clock: Clock, budget: Duration) -> Arc<Self> {
        Arc::new(Self {
            group: Arc::new(group),
            clock,
            budget,
        })
    }

    /// The time by which [`Found::until`] goes.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// When to look again for a name that could not be found.
    pub(super) fn next_try(&self) -> Moment {
        self.now().after(RETRY)
    }

    /// Looks for the addresses of `name`, both kinds at once, IPv4 first.
    pub(super) fn look_up(
        &self,
        name: NameBuf,
    ) -> Pin<Box<dyn Future<Output = Result<Found, Fault>> + Send + '_>> {
        // Boxed, since a bootstrap server may be reached over TLS, which looks here for addresses.
        Box::pin(async move {
            let [v4, v6] = TYPES.map(|qtype| self.ask(name, qtype));
            let (v4, v6) = tokio::join!(v4, v6);
            let mut addresses = Vec::new();
            let mut ttl = TTLS.1;
            let mut fault = None;
            for part in [v4, v6] {
                match part {
                    Ok((more, its)) if !more.is_empty() => {
                        addresses.extend(more);
                        ttl = ttl.min(its);
                    }
                    Ok(_) => {}
                    Err(failure) => fault = Some(failure),
                }
            }
            addresses.truncate(ADDRESSES);
            if addresses.is_empty() {
                let name = name.as_ref().to_name();
                let why = fault.unwrap_or_else(|| "it has no address".to_owned());
                return Err(Fault::said(format!("cannot find `{name}`: {why}")));
            }
            Ok(Found {
                addresses,
                until: self.now().after(ttl.max(TTLS.0)),
            })
        })
    }

    /// The addresses of one kind, and how long they may be kept.
    async fn ask(&self, qname: NameBuf, qtype: u16) -> Result<(Vec<IpAddr>, Duration), String> {
        let question = Question {
            qname,
            qtype,
            dnssec_ok: false,
            checking_disabled: false,
        };
        let answer = exchange::exchange(
            &self.group,
            &question,
            &self.clock,
            self.budget,
            // These are our own questions, not the household's.
            Shown::Yes,
        )
        .await
        .map_err(|failure| failure.to_string())?;
        let addresses = answer.facts().iter().filter_map(|fact| match fact {
            Fact::Address(address) => Some(*address),
            _ => None,
        });
        let ttl = Duration::from_secs(u64::from(answer.ttl().unwrap_or(0)));
        Ok((addresses.collect(), ttl))
    }
}
