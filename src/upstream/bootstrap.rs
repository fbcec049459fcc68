//! Finding servers that are given by name: by asking the bootstrap servers, which are given by
//! address. Never through the filter and never ourselves; what is found is checked by the
//! certificate of the server it leads to.

use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use super::exchange;
use super::fault::Fault;
use super::group::Group;
use super::server::Shown;
use crate::clock::{Clock, Moment};
use crate::message::Question;
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

/// How long one kind of addresses is waited for when the other is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A moment (RFC 8305 section 3).
    Short,
    /// As long as the budget is: those that are known do not work.
    Long,
}

/// What became of a question for one kind of addresses.
type Part = Result<(Vec<IpAddr>, Duration), String>;

/// RFC 8305 section 8.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Both parts, or the one that has addresses if the other keeps us waiting; and whether they are both
/// there.
async fn both(
    first: impl Future<Output = Part>,
    second: impl Future<Output = Part>,
    patience: Patience,
) -> ([Option<Part>; 2], bool) {
    let mut parts = [None, None];
    let (mut first, mut second) = (pin!(first), pin!(second));
    let mut due = None;
    while parts.iter().any(Option::is_none) {
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            part = &mut first, if parts[0].is_none() => parts[0] = Some(part),
            part = &mut second, if parts[1].is_none() => parts[1] = Some(part),
            () = wait => return (parts, false),
        }
        let has_some =
            |part: &Option<Part>| matches!(part, Some(Ok((found, _))) if !found.is_empty());
        if patience == Patience::Short && parts.iter().any(has_some) {
            due = Some(tokio::time::Instant::now() + RESOLUTION_DELAY);
        }
    }
    (parts, true)
}

/// The addresses of all kinds, one of each in turn (RFC 8305 section 4): where one kind does not work,
/// one that does is among those that are used.
fn in_turn(kinds: &[Vec<IpAddr>]) -> Vec<IpAddr> {
    let longest = kinds.iter().map(Vec::len).max().unwrap_or(0);
    let rows = 0..longest;
    let all = rows.flat_map(|row| kinds.iter().filter_map(move |kind| kind.get(row)));
    all.take(ADDRESSES).copied().collect()
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

    /// Who is asked.
    pub(super) fn group(&self) -> &Group {
        &self.group
    }

    /// The time by which [`Found::until`] goes.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// When to look again for a name that could not be found.
    pub(super) fn next_try(&self) -> Moment {
        self.now().after(RETRY)
    }

    /// Looks for the addresses of `name`, both kinds at once. Who has one kind waits for the other as
    /// `patience` says; they alternate, IPv4 first.
    pub(super) fn look_up(
        &self,
        name: NameBuf,
        patience: Patience,
    ) -> Pin<Box<dyn Future<Output = Result<Found, Fault>> + Send + '_>> {
        // Boxed, since a bootstrap server may be reached over TLS, which looks here for addresses.
        Box::pin(async move {
            let [v4, v6] = TYPES.map(|qtype| self.ask(name, qtype));
            let (parts, is_whole) = both(v4, v6, patience).await;
            let mut kinds = Vec::new();
            let mut ttl = TTLS.1;
            let mut fault = None;
            for part in parts {
                match part {
                    Some(Ok((more, its))) if !more.is_empty() => {
                        kinds.push(more);
                        ttl = ttl.min(its);
                    }
                    Some(Ok(_)) | None => {}
                    Some(Err(failure)) => fault = Some(failure),
                }
            }
            let addresses = in_turn(&kinds);
            if !is_whole {
                // The rest is there by then.
                ttl = ttl.min(RETRY);
            }
            if addresses.is_empty() {
                let name = name.as_ref().to_name();
                let why = fault.unwrap_or_else(|| "it has no address".to_owned());
                return Err(Fault::said(format!("cannot find `{name}`: {why}")));
            }
            Ok(Found {
                addresses,
                until: self
                    .now()
                    .after(if is_whole { ttl.max(TTLS.0) } else { ttl }),
            })
        })
    }

    /// The addresses of one kind, and how long they may be kept.
    async fn ask(&self, qname: NameBuf, qtype: u16) -> Part {
        let question = Question {
            qname,
            qtype,
            dnssec_ok: false,
            checking_disabled: false,
            via: 0,
        };
        let (answer, _) = exchange::exchange(
            &self.group,
            &question,
            &self.clock,
            self.budget,
            // These are our own questions, not the household's.
            Shown::Yes,
            None,
        )
        .await
        .map_err(|failure| failure.to_string())?;
        let addresses = answer.facts().addresses();
        let ttl = Duration::from_secs(u64::from(answer.ttl().unwrap_or(0)));
        Ok((addresses.collect(), ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(addresses: &[&str]) -> Part {
        let addresses = addresses.iter().map(|it| it.parse().unwrap());
        Ok((addresses.collect(), TTLS.0))
    }

    async fn after(millis: u64, part: Part) -> Part {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        part
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_one_kind_waits_a_moment_for_the_other() {
        let (v4, v6) = (found(&["192.0.2.1"]), found(&["2001:db8::1"]));
        let none = found(&[]);
        let cases = [
            // After how long each comes, and what; how long it takes, and whether both are there.
            (10, &v4, 40, &v6, 40, true),
            (10, &v4, 2000, &v6, 60, false),
            (2000, &v4, 10, &v6, 60, false),
            // Who has nothing yet waits as long as it takes.
            (10, &none, 2000, &v6, 2000, true),
            (10, &Err("declined".to_owned()), 2000, &v6, 2000, true),
        ];
        let mut ran = 0;
        for (first_at, first, second_at, second, took, whole) in cases {
            let begun = tokio::time::Instant::now();
            let first = after(first_at, first.clone());
            let second = after(second_at, second.clone());
            let (_, is_whole) = both(first, second, Patience::Short).await;
            assert_eq!(begun.elapsed(), Duration::from_millis(took), "{ran}");
            assert_eq!(is_whole, whole, "{ran}");
            ran += 1;
        }
        assert_eq!(ran, 5);
        let begun = tokio::time::Instant::now();
        let (parts, is_whole) = both(after(10, v4), after(2000, v6), Patience::Long).await;
        assert!(is_whole && parts.iter().all(Option::is_some));
        assert_eq!(begun.elapsed(), Duration::from_millis(2000));
    }

    #[test]
    fn many_of_one_kind_leave_room_for_the_other() {
        let many = (1..=9)
            .map(|last| IpAddr::from([192, 0, 2, last]))
            .collect();
        let v6: Vec<IpAddr> = vec!["2001:db8::1".parse().unwrap()];
        let used = in_turn(&[many, v6.clone()]);
        assert_eq!(used.len(), ADDRESSES);
        assert_eq!(used[1], v6[0]);
    }
}
