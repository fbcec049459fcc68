//! What goes through the door: every type of the control API, as it is written in JSON.
//!
//! Times are RFC 3339, sizes bytes, durations seconds (or microseconds where the name ends in
//! `_us`). A field may be added at any time, so a reader ignores what it does not know; a field
//! is never taken away or given another meaning within `/api/v1`.

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::ToSchema;

pub use super::child::ChildStatus;
pub use super::devices::{DeviceChange, DeviceMac, LooksLike, NewDevice};
pub use super::encrypted::{Certificate, Encrypted, Invitation};
pub use super::family::{AccessRequest, Grant, GrantChange, QuotaUse, RequestChange};
pub use super::lists::{
    BadLine, List, ListMatch, ListSearch, ListUpdateReport, ListUpdated, ListUpdates,
};
pub use crate::journal::{
    Action, CategoryCount, DeviceStatistics, LogEntry, LogFilter, LogPage, Ranked, Top, Totals,
};

/// How the daemon is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The configuration it reads.
    pub config: String,
    /// How often a configuration took effect; 1 after the start.
    pub config_generation: u64,
    /// The last attempt to reload, if there was one.
    pub last_reload: Option<ReloadReport>,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Encrypted DNS, if it is served.
    pub encrypted: Option<Encrypted>,
    /// Threads that answer.
    pub workers: u32,
    /// Queries since the start.
    pub totals: Totals,
    /// Questions waiting for upstream now.
    pub in_flight: u64,
    /// Queries dropped because a client sent too many.
    pub rate_limited: u64,
    /// Queries turned away because their address is not served.
    pub refused_clients: u64,
    /// Queries of a forwarder whose client could not be told; guests asked them.
    pub void_claims: u64,
    /// The cache of upstream answers.
    pub cache: CacheStatus,
    /// What came of checking signatures, if they are checked.
    pub dnssec: Option<DnssecStatus>,
    /// The devices in short.
    pub devices: DeviceSummary,
    /// The lists in short.
    pub lists: ListSummary,
    /// Who answers what we cannot.
    pub upstreams: Vec<UpstreamStatus>,
    /// What devices are told apart by beyond their own addresses.
    pub evidence: Vec<Evidence>,
    /// Bytes the query log and the statistics take.
    pub journal_bytes: u64,
    /// Resident memory of the process.
    pub memory_rss_bytes: Option<u64>,
    /// What somebody should know, one sentence each: a list that could not be loaded, a port that
    /// could not be opened.
    pub warnings: Vec<String>,
}

/// One address the daemon listens on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Listener {
    /// Address and port.
    pub address: String,
    /// `udp`, `tcp`, `dot`, `doh`, `doh3` or `doq`.
    pub transport: String,
    /// The name it was given.
    pub name: Option<String>,
}

/// The cache of upstream answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct CacheStatus {
    /// Answers in it.
    pub entries: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Bytes they may take.
    pub max_bytes: u64,
    /// Look-ups that found a fresh answer.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
}

/// What came of checking signatures, since the upstreams were last changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct DnssecStatus {
    /// Answers that are signed, and right.
    pub secure: u64,
    /// Answers that are not signed, by proof.
    pub insecure: u64,
    /// Answers that are wrong.
    pub bogus: u64,
    /// Signatures that were looked at.
    pub signatures: u64,
    /// Questions whose answer was wrong from one upstream and right from another.
    pub elsewhere: u64,
}

/// The devices in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct DeviceSummary {
    /// How many somebody named.
    pub named: u64,
    /// How many asked and have no name.
    pub new: u64,
}

/// The lists in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ListSummary {
    /// How many lists there are.
    pub count: u64,
    /// Names in all of them.
    pub names: u64,
    /// Bytes of the index.
    pub bytes: u64,
    /// Ids of those that could not be loaded.
    pub failed: Vec<String>,
    /// Ids of those that hold what they said before, since what is there now cannot be used.
    pub stale: Vec<String>,
}

/// One resolver we ask.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct UpstreamStatus {
    /// Address or name and port, behind a `#` the name its certificate has to be for.
    pub address: String,
    /// `udp`, `tcp`, `tls`, `https`, `h3` or `quic`.
    pub transport: String,
    /// The domain it answers for; none for everything.
    pub domain: Option<String>,
    /// The groups of resolvers it belongs to, as profiles name them; none where it is the
    /// household's alone.
    pub resolvers: Vec<String>,
    /// Its tier, from 1: each is asked only while those before it are silent.
    pub tier: u8,
    /// Whether it is asked only while others are silent.
    pub fallback: bool,
    /// Whether it answers at the moment.
    pub healthy: bool,
    /// `unknown`, `healthy`, `failing` or `dead`.
    pub state: String,
    /// Questions it did not answer. How many it did is not told: less the queries that the
    /// statistics know of, that would be the number of lifelines asked for.
    pub failures: u64,
    /// What it takes it to answer, smoothed.
    pub latency_us: Option<u64>,
    /// The time within which 19 of 20 of its answers come, roughly.
    pub latency_p95_us: Option<u64>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Something that shows who stands behind an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Evidence {
    /// Such as `neighbour table`.
    pub name: String,
    /// `works`, `off` or `missing`.
    pub state: String,
    /// What there is of it, or why there is none.
    pub detail: String,
}

/// What came of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ReloadReport {
    /// When.
    pub at: String,
    /// Whether the new configuration holds now; if not, the one before still does.
    pub ok: bool,
    /// The generation in force now.
    pub config_generation: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Diagnostics, each as the text an admin reads.
    pub errors: Vec<String>,
    /// What took effect although something is odd.
    pub warnings: Vec<String>,
    /// What is different now, one line each.
    pub changes: Vec<String>,
}

/// Why a name would be answered as it would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Explanation {
    /// What was asked.
    pub question: ExplainedQuestion,
    /// For which device.
    pub device: ExplainedDevice,
    /// Under which profile.
    pub profile: ExplainedProfile,
    /// Everything that had something to say, in the order of authority: the first that decides is
    /// marked, and those after it could not change anything.
    pub voices: Vec<Voice>,
    /// `allow`, `block` or `rewrite`.
    pub verdict: String,
    /// Why, in words.
    pub reason: String,
    /// How it would be answered, as in `0.0.0.0` or `asked of upstream`.
    pub answer: String,
    /// Seconds a client may keep that answer, when we make it.
    pub ttl: Option<u32>,
    /// What else a reader should know, as that the answer is judged once it is there.
    pub notes: Vec<String>,
}

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ExplainedQuestion {
    /// QNAME.
    pub name: String,
    /// QTYPE.
    #[serde(rename = "type")]
    pub qtype: String,
    /// The time it was explained for, if not now.
    pub at: Option<String>,
}

/// The device an explanation is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ExplainedDevice {
    /// Its label.
    pub label: String,
    /// What it was recognised by, as in `address 192.0.2.0/24`.
    pub known_by: String,
    /// How sure that is: `high`, `medium`, `low`, `none`.
    pub confidence: String,
    /// How one thing led to the next, as in `192.0.2.7`, `MAC address 02:00:5e:10:00:01 (neighbour
    /// table)`, `tablet`, `profile mia`.
    pub chain: Vec<String>,
}

/// The profile an explanation is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ExplainedProfile {
    /// Its name.
    pub name: String,
    /// The preset it comes from.
    pub preset: String,
    /// What it inherits from, the nearest first.
    pub inherits: Vec<String>,
}

/// One voice about a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Voice {
    /// Its weight, as in `child-safety`.
    pub tier: String,
    /// Who speaks: `list starter-gambling`, `rule of profile mia`, `safe search`.
    pub who: String,
    /// The category, if a list speaks.
    pub category: Option<String>,
    /// The rule or line as written.
    pub text: Option<String>,
    /// Since when it holds, if it is for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The file it stands in.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// What it wants.
    pub effect: VoiceEffect,
    /// Whether it decided.
    pub decisive: bool,
    /// Why it did not, or what else matters.
    pub note: Option<String>,
}

/// What a voice wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum VoiceEffect {
    /// The name blocked.
    Block,
    /// The name let through.
    #[default]
    Allow,
    /// The name replaced by a safe form.
    Rewrite,
    /// A line of its own list taken back.
    Exception,
    /// Nothing: it is on a list this profile does not use.
    None,
}

impl VoiceEffect {
    /// The word people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
            Self::Rewrite => "rewrite",
            Self::Exception => "exception",
            Self::None => "none",
        }
    }
}

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its profile.
    pub profile: String,
    /// What it is recognised by, as in `192.0.2.7` or `interface wlan1`; empty for whoever nobody
    /// named.
    pub known_by: Vec<String>,
    /// How sure it is now that it is the one: `high`, `medium`, `low`; none if it is not seen.
    pub confidence: Option<String>,
    /// Its MAC addresses.
    pub macs: Vec<DeviceMac>,
    /// The addresses it has now, as far as they can be seen.
    pub addresses: Vec<String>,
    /// What it calls itself, as its DHCP lease says.
    pub host_name: Option<String>,
    /// The file it stands in; none for whoever nobody named.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// Queries since the start; none where the profile keeps totals only.
    pub queries: Option<u64>,
    /// Those that were blocked.
    pub blocked: Option<u64>,
    /// Blocked queries by category.
    pub blocked_by: Vec<CategoryCount>,
    /// Its last query.
    pub last_seen: Option<String>,
}

/// One profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The preset it comes from.
    pub preset: String,
    /// What it inherits from, the nearest first.
    pub inherits: Vec<String>,
    /// Whether it comes with the program.
    pub built_in: bool,
    /// Devices that belong to it.
    pub devices: Vec<String>,
    /// Only what is on an allowlist or in the rules.
    pub allow_only: bool,
    /// Categories that are blocked.
    pub block_categories: Vec<String>,
    /// Services that are blocked by themselves.
    pub block_services: Vec<String>,
    /// Services taken out of what is blocked.
    pub open_services: Vec<String>,
    /// Lists that are blocked beyond the categories.
    pub block_lists: Vec<String>,
    /// Lists that are allowed.
    pub allow_lists: Vec<String>,
    /// Its own rules that allow, as written.
    pub allow: Vec<String>,
    /// Its own rules that block, as written.
    pub block: Vec<String>,
    /// What schedules close, one sentence each.
    pub during: Vec<String>,
    /// What is open for a certain time only, as in `2h a day for games`.
    pub quotas: Vec<String>,
    /// What schedules mean while the clock is not set: `close` or `open`.
    pub when_clock_unset: String,
    /// Search engines in their safe form.
    pub safe_search: bool,
    /// Search engines without a safe form are blocked.
    pub block_unsafe_search: bool,
    /// The video service's restriction: `off`, `moderate`, `strict`.
    pub youtube: String,
    /// The ways round are closed.
    pub close_bypass: bool,
    /// Names in other scripts that look like a blocked one are blocked.
    pub look_alikes: bool,
    /// Types that no ordinary program asks for are blocked.
    pub unusual_types: bool,
    /// Data hidden in names is stopped.
    pub tunnels: bool,
    /// Names that nobody would type and no list knows are blocked.
    pub unusual_names: bool,
    /// Its devices reach only addresses that were just answered to them.
    pub pinned_egress: bool,
    /// Public names that point into the home are not answered.
    pub block_rebinding: bool,
    /// How a block is answered.
    pub block_answer: String,
    /// Seconds a client may keep such an answer.
    pub block_ttl: u32,
    /// What holds when a needed list could not be loaded: `allow` or `block`.
    pub when_unsure: String,
    /// What is remembered of its queries: `names`, `categories`, `none`.
    pub privacy: String,
    /// Which resolvers are asked for it: `household` or the name of a group.
    pub resolvers: String,
    /// The language in which a block is explained.
    pub language: String,
    /// How it grows up, where it has a birth date.
    pub growth: Option<Growth>,
}

/// How a profile grows up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Growth {
    /// The birth date, as in `2015-05-03`.
    pub born: String,
    /// Whole years.
    pub age: u8,
    /// The preset that comes next, if one does.
    pub next_preset: Option<String>,
    /// The first day of it.
    pub next_on: Option<String>,
    /// That day is at most 30 days away.
    pub is_announced: bool,
    /// Its rules do not end at 18.
    pub keeps_controls: bool,
}

impl Growth {
    /// What comes next, in words.
    pub fn next(&self) -> String {
        match (&self.next_preset, &self.next_on) {
            (Some(preset), Some(on)) => format!("{preset} from {on} on"),
            _ => "stays as it is".to_owned(),
        }
    }
}

/// What was thrown away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Flushed {
    /// Answers that were in the cache.
    pub entries: u64,
}

/// Why a request got no answer, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct ErrorBody {
    /// What is wrong, lower-case, without a full stop.
    pub error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The request can't be understood.
    #[error("{}", .0.error)]
    BadRequest(ErrorBody),
    /// It is about something that is not there.
    #[error("{}", .0.error)]
    NotFound(ErrorBody),
    /// It can't be answered now.
    #[error("{}", .0.error)]
    Unavailable(ErrorBody),
}

impl ControlError {
    /// A request that can't be understood.
    pub fn bad_request(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::BadRequest(ErrorBody::new(error, help))
    }

    /// A request about something that is not there.
    pub fn not_found(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::NotFound(ErrorBody::new(error, help))
    }

    /// A request that can't be answered now.
    pub fn unavailable(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Unavailable(ErrorBody::new(error, help))
    }

    /// What the caller reads.
    pub const fn body(&self) -> &ErrorBody {
        match self {
            Self::BadRequest(body) | Self::NotFound(body) | Self::Unavailable(body) => body,
        }
    }
}

impl ErrorBody {
    /// With what is wrong and what to do about it (nothing if empty).
    pub fn new(error: impl Into<String>, help: impl Into<String>) -> Self {
        let help = help.into();
        Self {
            error: error.into(),
            help: (!help.is_empty()).then_some(help),
        }
    }
}
