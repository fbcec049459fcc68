//! Encrypted DNS through the real binary: over TLS ([`dot`]), HTTPS ([`doh`]), and QUIC ([`quic`]); by
//! what people ask with ([`clients`]); by id, at home and from elsewhere ([`ids`]); and under clients
//! that dawdle ([`patience`]); and with the household's own authority ([`authority`]).
//!
//! On loopback 127.0.0.1 is at home, and every other address is somewhere on the internet.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/daemon/mod.rs"]
mod support;

mod authority;
mod clients;
mod doh;
mod dot;
mod greed;
mod house;
mod ids;
mod patience;
#[cfg(feature = "quic")]
mod quic;
