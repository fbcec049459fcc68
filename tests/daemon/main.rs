//! The real binary on loopback, with an upstream of the test's own.
//!
//! No test leaves loopback or waits for a time to pass where it can wait for a thing to happen.
//! `HEDGEROW_SKIP_CLIENTS=1` leaves out what needs dig, kdig or dnspython;
//! `HEDGEROW_FLOOD_SECONDS=60` floods for a minute instead of five seconds.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[cfg(feature = "acme")]
#[path = "../support/pebble.rs"]
mod pebble;
#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/daemon/mod.rs"]
mod support;

#[cfg(feature = "acme")]
mod acme;
mod apart;
mod control;
mod devices;
mod encrypted;
mod family;
mod life;
mod limits;
mod names;
mod privacy;
mod proof;
mod regression;
mod reload;
mod resolvers;
mod transport;
mod ways_round;

#[cfg(feature = "acme")]
use support::home::free_port;
