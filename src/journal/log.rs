//! Pages of the log for people and programs.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::{IntoParams, ToSchema};

use super::record::Record;
use super::segments::SegmentCopy;
use super::{Action, Journal, Source, Transport, qtype_label, rcode_label, record};

/// One query, as far as its profile lets it be remembered.
///
/// Where a profile keeps categories only, `name`, `qtype`, `client`, `transport`, `took_us` and
/// `reason` are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct LogEntry {
    /// Its number; grows by one with every entry since the start.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The device.
    pub device: String,
    /// Its profile.
    pub profile: String,
    /// What was done.
    pub verdict: Action,
    /// The category or the kind of rule that decided.
    pub category: String,
    /// The weight of what decided, as in `child-safety`.
    pub tier: String,
    /// What was looked at: `qname`, or a part of the answer.
    pub trigger: String,
    /// Where the answer came from.
    pub source: Source,
    /// The answer's RCODE.
    pub rcode: String,
    /// QNAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// QTYPE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qtype: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// How it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// From arrival to answer, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A page of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct LogPage {
    /// The entries, the oldest first.
    pub entries: Vec<LogEntry>,
    /// What to pass as `after` to go on from here.
    pub next_after: u64,
    /// Entries after the one asked for that are no longer there.
    pub lost: u64,
}

/// Which entries are wanted; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema, IntoParams), into_params(parameter_in = Query))]
#[serde(default)]
pub struct LogFilter {
    /// Only of this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Only of this profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Only what was blocked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
}

impl LogFilter {
    fn lets_pass(&self, record: &Record<'_>) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        same(&self.device, record.device)
            && same(&self.profile, record.profile)
            && (!self.blocked || record.action == Action::Block)
    }
}

/// See [`Journal::log`].
pub(super) fn page(
    journal: &Journal,
    after: Option<u64>,
    limit: usize,
    filter: &LogFilter,
) -> LogPage {
    match after {
        Some(after) => following(journal, after, limit, filter),
        None => newest(journal, limit, filter),
    }
}

fn following(journal: &Journal, after: u64, limit: usize, filter: &LogFilter) -> LogPage {
    let wall = journal.wall();
    let (oldest, newest) = bounds(journal);
    let mut page = LogPage {
        // A number we never gave out is from before a restart: go on with what comes now.
        next_after: after.min(newest),
        lost: oldest.saturating_sub(after.min(newest) + 1),
        ..LogPage::default()
    };
    journal.read_from(page.next_after + 1, |seq, record| {
        if page.entries.len() >= limit {
            return false;
        }
        page.next_after = seq;
        if filter.lets_pass(record) {
            page.entries.push(entry(seq, record, &wall));
        }
        true
    });
    if page.entries.len() < limit {
        // Erased entries at the end count as seen.
        page.next_after = page.next_after.max(newest);
    }
    page
}

fn newest(journal: &Journal, limit: usize, filter: &LogFilter) -> LogPage {
    let wall = journal.wall();
    let (oldest, newest) = bounds(journal);
    let mut found = VecDeque::new();
    let mut words = Vec::new();
    let mut copy = SegmentCopy::default();
    let mut before = newest + 1;
    while before > oldest && found.len() < limit {
        if !journal.copy_segment(before - 1, &mut copy, &mut words) || copy.first() >= before {
            break;
        }
        let passing: Vec<_> = copy
            .entries()
            .take_while(|(seq, _)| *seq < before)
            .filter_map(|(seq, bytes)| Some((seq, record::read(bytes, &words)?)))
            .filter(|(_, record)| filter.lets_pass(record))
            .collect();
        for (seq, record) in passing.iter().rev().take(limit - found.len()) {
            found.push_front(entry(*seq, record, &wall));
        }
        before = copy.first();
    }
    LogPage {
        entries: found.into(),
        next_after: newest,
        lost: 0,
    }
}

fn bounds(journal: &Journal) -> (u64, u64) {
    let inner = journal.locked();
    (inner.log.oldest(), inner.log.newest())
}

fn entry(seq: u64, record: &Record<'_>, wall: impl Fn(crate::clock::Moment) -> String) -> LogEntry {
    let details = record.details.as_ref();
    LogEntry {
        seq,
        at: wall(record.at),
        device: record.device.to_owned(),
        profile: record.profile.to_owned(),
        verdict: record.action,
        category: record.label.to_owned(),
        tier: record.tier.label().to_owned(),
        trigger: record.trigger.label().to_owned(),
        source: record.source,
        rcode: rcode_label(record.rcode).to_owned(),
        name: details.map(|d| d.qname.to_string()),
        qtype: details.map(|d| qtype_label(d.qtype).into_owned()),
        client: details.map(|d| d.client.to_string()),
        transport: details.map(|d| d.transport),
        took_us: details.map(|d| u64::from(d.took_us)),
        reason: details.map(|d| d.reason.to_string()),
    }
}
