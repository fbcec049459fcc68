//! Plain totals: how many queries, by a few words each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::ToSchema;

use super::labels::rcode_label;
use super::words::Words;
use super::{Action, Source, Transport};

/// Everything counted since the start, as read out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct Totals {
    /// Queries answered.
    pub queries: u64,
    /// By verdict: `allow`, `block`, `rewrite`.
    pub verdicts: BTreeMap<String, u64>,
    /// By where the answer came from: `own`, `cache`, `stale`, `upstream`, `failure`.
    pub sources: BTreeMap<String, u64>,
    /// By RCODE: `NOERROR`, `NXDOMAIN`, …, `other`.
    pub rcodes: BTreeMap<String, u64>,
    /// By how the query arrived: `udp`, `tcp`.
    pub transports: BTreeMap<String, u64>,
    /// By QTYPE: `A`, `AAAA`, `HTTPS`, `PTR`, `other`.
    pub qtypes: BTreeMap<String, u64>,
    /// By transport, family of the client's address and QTYPE together; only what occurred.
    pub kinds: Vec<KindCount>,
    /// By verdict and RCODE together; only what occurred.
    pub responses: Vec<ResponseCount>,
    /// By the short form of the reason: a category or the kind of rule.
    pub reasons: Vec<ReasonCount>,
    /// How long answers took, by where they came from.
    pub durations: BTreeMap<String, Durations>,
}

/// How often one kind of query arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct KindCount {
    /// `udp`, `tcp`, `dot`, `doh`, `doh3` or `doq`.
    pub transport: String,
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// `A`, `AAAA`, `HTTPS`, `PTR`, `other`.
    pub qtype: String,
    /// How many.
    pub count: u64,
}

/// How often one kind of answer was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct ResponseCount {
    /// `allow`, `block` or `rewrite`.
    pub verdict: String,
    /// `NOERROR`, `NXDOMAIN`, …, `other`.
    pub rcode: String,
    /// How many.
    pub count: u64,
}

/// How often one reason decided, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct ReasonCount {
    /// The category or the kind of rule.
    pub reason: String,
    /// Queries let through for it.
    pub allowed: u64,
    /// Queries blocked for it.
    pub blocked: u64,
    /// Queries answered with a safe form for it.
    pub rewritten: u64,
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct Durations {
    /// How many were measured.
    pub count: u64,
    /// Their sum in seconds.
    pub sum_s: f64,
    /// How many fell into each span; the last has no end.
    pub buckets: Vec<Bucket>,
}

/// One span of a histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct Bucket {
    /// The end of the span in seconds; it begins where the one before ends.
    pub up_to_s: Option<f64>,
    /// How many fell into it.
    pub count: u64,
}

/// The ends of the spans, in microseconds: fine where an answer of our own lies, coarse where an
/// upstream's does.
const BOUNDS_US: [u64; 12] = [
    100, 250, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000,
];

/// The QTYPEs counted by themselves, the rest last.
const QTYPE_CLASSES: [&str; 5] = ["A", "AAAA", "HTTPS", "PTR", "other"];

/// Families of client addresses.
const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

/// RCODEs counted by themselves, one more for the rest.
const RCODE_CLASSES: [u8; RCODES] = [0, 1, 2, 3, 4, 5, u8::MAX];
const RCODES: usize = 7;

/// Reasons counted by themselves; each category of the configuration is one.
const REASONS: u16 = 128;

const fn qtype_class(qtype: u16) -> usize {
    match qtype {
        1 => 0,
        28 => 1,
        65 => 2,
        12 => 3,
        _ => 4,
    }
}

/// What is counted of one query.
pub(super) struct Counted {
    pub(super) action: Action,
    pub(super) reason: &'static str,
    pub(super) source: Source,
    pub(super) rcode: u8,
    pub(super) transport: Transport,
    pub(super) client: IpAddr,
    pub(super) qtype: u16,
    pub(super) took: Duration,
}

/// The counters themselves.
#[derive(Debug)]
pub(super) struct Counters {
    queries: u64,
    sources: [u64; Source::ALL.len()],
    kinds: [[[u64; QTYPE_CLASSES.len()]; FAMILIES.len()]; Transport::ALL.len()],
    responses: [[u64; RCODES]; Action::ALL.len()],
    reason_words: Words,
    /// By the number of the word, by verdict; the first place is for what had none left.
    reasons: Vec<[u64; Action::ALL.len()]>,
    spans: [[u64; BOUNDS_US.len() + 1]; Source::ALL.len()],
    took_us: [u64; Source::ALL.len()],
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            queries: 0,
            sources: [0; Source::ALL.len()],
            kinds: [[[0; QTYPE_CLASSES.len()]; FAMILIES.len()]; Transport::ALL.len()],
            responses: [[0; RCODES]; Action::ALL.len()],
            reason_words: Words::new(REASONS),
            reasons: vec![[0; Action::ALL.len()]],
            spans: [[0; BOUNDS_US.len() + 1]; Source::ALL.len()],
            took_us: [0; Source::ALL.len()],
        }
    }

    /// Counts one query.
    pub(super) fn add(&mut self, query: &Counted) {
        let action = query.action as usize;
        let source = query.source as usize;
        self.queries += 1;
        self.sources[source] += 1;
        let family = usize::from(query.client.is_ipv6());
        self.kinds[query.transport as usize][family][qtype_class(query.qtype)] += 1;
        self.responses[action][usize::from(query.rcode).min(RCODES - 1)] += 1;
        let place = self
            .reason_words
            .id(query.reason)
            .map_or(0, |id| usize::from(id) + 1);
        if self.reasons.len() <= place {
            self.reasons.resize(place + 1, [0; Action::ALL.len()]);
        }
        self.reasons[place][action] += 1;
        let took = u64::try_from(query.took.as_micros()).unwrap_or(u64::MAX);
        let span = BOUNDS_US.partition_point(|&bound| bound < took);
        self.spans[source][span] += 1;
        self.took_us[source] = self.took_us[source].saturating_add(took);
    }

    /// Reads everything out.
    pub(super) fn read(&self) -> Totals {
        let mut totals = Totals {
            queries: self.queries,
            verdicts: labelled(Action::ALL.map(Action::label), &[0; Action::ALL.len()]),
            sources: labelled(Source::ALL.map(Source::label), &self.sources),
            rcodes: labelled(RCODE_CLASSES.map(rcode_label), &[0; RCODES]),
            transports: labelled(
                Transport::ALL.map(Transport::label),
                &[0; Transport::ALL.len()],
            ),
            qtypes: labelled(QTYPE_CLASSES, &[0; QTYPE_CLASSES.len()]),
            kinds: self.read_kinds(),
            responses: self.read_responses(),
            reasons: self.read_reasons(),
            durations: Source::ALL
                .into_iter()
                .map(|source| (source.label().to_owned(), self.read_durations(source)))
                .collect(),
        };
        for kind in &totals.kinds {
            *totals.transports.entry(kind.transport.clone()).or_default() += kind.count;
            *totals.qtypes.entry(kind.qtype.clone()).or_default() += kind.count;
        }
        for response in &totals.responses {
            *totals.verdicts.entry(response.verdict.clone()).or_default() += response.count;
            *totals.rcodes.entry(response.rcode.clone()).or_default() += response.count;
        }
        totals
    }

    fn read_kinds(&self) -> Vec<KindCount> {
        let mut kinds = Vec::new();
        for (transport, families) in Transport::ALL.into_iter().zip(&self.kinds) {
            for (family, types) in FAMILIES.into_iter().zip(families) {
                for (qtype, &count) in QTYPE_CLASSES.into_iter().zip(types) {
                    kinds.push(KindCount {
                        transport: transport.label().to_owned(),
                        family: family.to_owned(),
                        qtype: qtype.to_owned(),
                        count,
                    });
                }
            }
        }
        kinds.retain(|kind| kind.count > 0);
        kinds
    }

    fn read_responses(&self) -> Vec<ResponseCount> {
        let mut responses = Vec::new();
        for (action, rcodes) in Action::ALL.into_iter().zip(&self.responses) {
            for (rcode, &count) in RCODE_CLASSES.into_iter().zip(rcodes) {
                responses.push(ResponseCount {
                    verdict: action.label().to_owned(),
                    rcode: rcode_label(rcode).to_owned(),
                    count,
                });
            }
        }
        responses.retain(|response| response.count > 0);
        responses
    }

    fn read_reasons(&self) -> Vec<ReasonCount> {
        let names = std::iter::once("other").chain(self.reason_words.list().iter().copied());
        let mut reasons: Vec<_> = names
            .zip(&self.reasons)
            .filter(|(_, counts)| counts.iter().any(|&count| count > 0))
            .map(|(name, &[allowed, blocked, rewritten])| ReasonCount {
                reason: name.to_owned(),
                allowed,
                blocked,
                rewritten,
            })
            .collect();
        reasons.sort_by(|a, b| a.reason.cmp(&b.reason));
        reasons
    }

    fn read_durations(&self, source: Source) -> Durations {
        let spans = &self.spans[source as usize];
        let ends = BOUNDS_US
            .iter()
            .map(|&bound| Some(seconds(bound)))
            .chain([None]);
        Durations {
            count: spans.iter().sum(),
            sum_s: seconds(self.took_us[source as usize]),
            buckets: ends
                .zip(spans)
                .map(|(up_to_s, &count)| Bucket { up_to_s, count })
                .collect(),
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.reason_words.memory_bytes()
            + self.reasons.capacity() * size_of::<[u64; Action::ALL.len()]>()
    }
}

fn labelled<const N: usize>(labels: [&str; N], counts: &[u64; N]) -> BTreeMap<String, u64> {
    labels
        .into_iter()
        .zip(counts)
        .map(|(label, &count)| (label.to_owned(), count))
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of durations needs no more than 53 bits of precision"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_query_is_in_one_span_and_one_reason() {
        let mut counters = Counters::new();
        for (took, source) in [
            (100, Source::Own),
            (101, Source::Own),
            (9_000_000, Source::Failure),
        ] {
            counters.add(&Counted {
                action: Action::Block,
                reason: "gambling",
                source,
                rcode: 23,
                transport: Transport::Udp,
                client: "2001:db8::7".parse().unwrap(),
                qtype: 65,
                took: Duration::from_micros(took),
            });
        }
        let totals = counters.read();
        assert_eq!(totals.queries, 3);
        assert_eq!(totals.rcodes["other"], 3);
        assert_eq!(totals.qtypes["HTTPS"], 3);
        assert_eq!(totals.reasons[0].blocked, 3);
        assert_eq!((totals.kinds.len(), totals.responses.len()), (1, 1));
        assert_eq!(totals.kinds[0].family, "ipv6");
        assert_eq!(totals.verdicts["block"], 3);
        let own = &totals.durations["own"];
        assert_eq!((own.buckets[0].count, own.buckets[1].count), (1, 1));
        assert_eq!(totals.durations["failure"].buckets.last().unwrap().count, 1);
        assert!((own.sum_s - 0.000_201).abs() < 1e-9);
    }
}
