//! Hedgerow: a DNS resolver for home routers and gateways that filters what the children of a
//! household can reach.
//!
//! A query enters as bytes through [`listener`], is matched to a device ([`device`]) and its
//! profile ([`profile`]), judged by name ([`policy`]), answered from [`cache`] or asked of an
//! [`upstream`], judged again by what came back, and leaves as bytes ([`message`], [`synth`]).
//! What happened to it is one [`journal::Outcome`]. The order of these steps stands in
//! [`resolve`], and only there: read that file first.
//!
//! Imports point one way, from the process down to the leaves; `tests/layers.rs` holds the order
//! and fails on a new upward edge.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_macros))]

pub mod cache;
pub mod certificate;
#[allow(
    clippy::disallowed_macros,
    reason = "printing is what commands are for"
)]
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod device;
pub mod discovery;
#[cfg(feature = "dnssec")]
pub mod dnssec;
pub mod egress;
pub mod evidence;
pub mod files;
pub mod firewall;
pub mod footprint;
pub mod grants;
pub mod hash;
pub mod intern;
pub mod journal;
pub mod language;
pub mod limit;
pub mod listener;
pub mod lists;
pub mod logging;
pub mod mac;
pub mod message;
pub mod name;
pub mod policy;
pub mod profile;
pub mod proof;
pub mod quota;
pub mod reload;
pub mod resolve;
pub mod schedule;
pub mod snapshot;
pub mod sntp;
pub mod socket;
pub mod standing;
pub mod synth;
pub(crate) mod tls;
pub(crate) mod trust;
pub mod update;
pub mod upstream;
pub mod verdict;
pub mod wall;

/// Ports of tests: one file for those of the library and those of the program.
#[cfg(test)]
#[path = "../tests/support/ports.rs"]
mod ports;
