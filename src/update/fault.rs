//! Why a download failed.

use std::fmt;
use std::net::IpAddr;

use super::fetch::MAX_REDIRECTS;
use super::url::UrlFault;

/// Why a download failed.
///
/// The texts hold nothing that changes from one attempt to the next while the cause stays the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be used.
    #[error("`{url}`: {fault}")]
    Url {
        /// The URL, without what may be secret.
        url: String,
        /// Why.
        fault: UrlFault,
    },
    /// The server sends us where we do not go.
    #[error("redirected from {from} to `{to}`: {fault}")]
    Redirect {
        /// From where.
        from: String,
        /// Where to.
        to: String,
        /// Why not.
        fault: UrlFault,
    },
    /// More redirects than anybody needs.
    #[error("more than {max} redirects", max = MAX_REDIRECTS)]
    TooManyRedirects,
    /// The server's name leads nowhere.
    #[error("cannot look up `{host}`: {why}")]
    LookUp {
        /// The name.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// The server is inside the home, and nobody said that it may.
    #[error("{}", inside(.host, *.address))]
    Inside {
        /// Its name.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// There is no connection, or it broke.
    #[error("no connection to {host}: {why}")]
    Connection {
        /// The server.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// The server did not prove who it is.
    #[error("no safe connection to {host}: {why}")]
    Tls {
        /// The server.
        host: String,
        /// Why.
        why: String,
    },
    /// It took too long.
    #[error("{host}: {phase}")]
    TimedOut {
        /// The server.
        host: String,
        /// What took too long.
        phase: Phase,
    },
    /// The server has no list for us.
    #[error("{url}: the server answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// More than a list may have.
    #[error("{url}: larger than {max} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The bound.
        max: u64,
    },
    /// The end is missing.
    #[error("{url}: cut short")]
    CutShort {
        /// What was asked for.
        url: String,
    },
    /// The server does not say how long the list is, so nobody could tell if its end is missing.
    #[error("{url}: sent without its length, so a missing end would not be noticed")]
    NoLength {
        /// What was asked for.
        url: String,
    },
    /// Packed in a way that was not asked for.
    #[error("{url}: sent with content encoding `{encoding}`")]
    Encoding {
        /// What was asked for.
        url: String,
        /// The encoding's name.
        encoding: String,
    },
    /// The server does not speak HTTP as it should.
    #[error("{host}: {why}")]
    Http {
        /// The server.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The working file cannot be written.
    #[error("cannot write the working file: {0}")]
    Write(String),
    /// The settings are wrong.
    #[error("the extra root certificates cannot be used: {0}")]
    Roots(String),
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the server, connecting, agreeing on TLS.
    Connect,
    /// Waiting for the answer to begin.
    FirstByte,
    /// Waiting for the next piece.
    Stall,
    /// The whole of it.
    Total,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection in time",
            Self::FirstByte => "no answer in time",
            Self::Stall => "the download stalled",
            Self::Total => "the download took too long",
        })
    }
}

fn inside(host: &str, address: IpAddr) -> String {
    if host.parse() == Ok(address) {
        return format!("`{host}` is an address inside the home");
    }
    format!("`{host}` has the address {address}, which is inside the home")
}
