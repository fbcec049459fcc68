//! What a test says that cannot run here.

#![allow(dead_code, reason = "many test binaries share this, each uses a part")]

/// Says that a test is skipped, and why. Where `CI` says that nothing it needs is missing, the test
/// fails.
#[track_caller]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped: {why}");
    eprintln!("skipped: {why}");
}

/// The same for want of a program that is good to have: other people's servers and clients, which not
/// every system has. The test fails where `HEDGEROW_PEERS` says that they are all there.
#[track_caller]
pub(crate) fn skip_peer(why: &str) {
    let is_there = std::env::var_os("HEDGEROW_PEERS").is_some();
    assert!(!is_there, "skipped: {why}");
    eprintln!("skipped: {why}");
}
