//! The real binary on loopback, and what a test needs around it: a configuration of its own
//! ([`home`]), an upstream of its own ([`upstream`]), questions and answers ([`wire`]) and the
//! clients people use ([`clients`]).
//!
//! Answers are decoded with hickory, which the daemon does not use to write them: a second opinion.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "many test binaries share this, each uses a part"
)]

pub mod clients;
pub mod home;
#[path = "../ports.rs"]
pub mod ports;
#[path = "../programs.rs"]
pub mod programs;
pub mod upstream;
pub mod wire;

pub use home::Home;
pub use upstream::{Gate, Say, Upstream};
pub use wire::{Ask, Connection, Reply};

use std::time::{Duration, Instant};

/// How long a test waits for what must happen. Far more than it takes, since the machine may be
/// busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at `condition` until it gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
