//! Updates of lists, against servers on loopback that misbehave on purpose.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/http/mod.rs"]
mod http;
#[path = "../support/minisign.rs"]
mod minisign;

mod bad_lists;
mod bad_servers;
mod clock;
mod delta;
mod disk;
mod doubt;
mod everyday;
mod kills;
mod mortal;
mod signed;
mod world;
