//! `hedgerow lists` through the real binary: folders of a test's own, servers on loopback.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/daemon/mod.rs"]
mod daemon;
#[path = "../support/http/mod.rs"]
#[allow(dead_code, reason = "two test binaries share this, each uses a part")]
mod http;
#[path = "../support/minisign.rs"]
#[allow(dead_code, reason = "two test binaries share this, each uses a part")]
mod minisign;

mod bad;
mod beside;
mod deltas;
mod everyday;
mod household;
mod sealed_keys;
mod updates;
mod withheld;
