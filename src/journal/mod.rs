//! What happened: one [`Outcome`] per query into counters, a bounded log in memory and statistics
//! per device, after the answer was sent.
//!
//! What may be kept is the profile's privacy setting; a lifeline is counted as nothing but a query.

use std::time::Duration;

use crate::clock::Moment;
use crate::config::Privacy;
use crate::name::NameBuf;
use crate::verdict::Verdict;

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
    /// Where the answer came from.
    pub source: Source,
    /// RCODE of the answer.
    pub rcode: u8,
    /// From arrival to the last octet handed to the system.
    pub took: Duration,
}

/// How a query arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A TCP connection.
    Tcp,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
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
