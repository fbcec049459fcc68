//! What a test says that cannot run here.

/// Says that a test is skipped, and why. Where `CI` says that nothing it needs is missing, the test
/// fails.
#[track_caller]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped: {why}");
    eprintln!("skipped: {why}");
}
