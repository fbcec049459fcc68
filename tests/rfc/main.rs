//! Conformance: a module for each RFC, a test for each sentence that binds a resolver like this one,
//! against the real binary. `cargo test --test rfc rfc6891` runs one of them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/daemon/mod.rs"]
mod support;

mod rfc1035;
mod rfc2308;
mod rfc6761;
mod rfc6891;
mod rfc7766;
mod rfc7873;
mod rfc8482;
mod rfc8767;
mod rfc8906;
mod rfc8914;

use support::Home;

/// A home of grown-ups: nothing in the way of the protocol.
fn home() -> Home {
    Home::start(GROWN_UPS)
}

const GROWN_UPS: &str = "[household]\nguest-profile = \"adult\"\n[lists]\nstarter = false\n";
