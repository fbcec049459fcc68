//! What holds for any bytes given as a delta between two versions of a list.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use hedgerow::files::MemoryFiles;
use hedgerow::lists::ListFormat;
use hedgerow::lists::parse::ReadOptions;
use hedgerow::update::{Workshop, apply, diff, version};

/// The version at hand.
const BASE: &str = "! Title: Names\n||a.example^\n||b.example^\n||c.example^$dnstype=A\n";

/// Applying it panics on nothing, and what it gives is the version it says, which another delta leads
/// to as well.
pub(crate) fn check(bytes: &[u8]) {
    applies(bytes);
}

/// The same; whether it can be applied.
pub(crate) fn applies(bytes: &[u8]) -> bool {
    let files = MemoryFiles::new().files();
    let workshop = Workshop {
        files: &files,
        folder: "/run".as_ref(),
        memory: 0,
    };
    let options = ReadOptions::format(Some(ListFormat::Adblock));
    let mut result = Vec::new();
    let Ok(done) = apply(BASE.as_bytes(), bytes, &options, &workshop, &mut result) else {
        return false;
    };
    let found = version(&*result, &options, &workshop).expect("a list");
    assert_eq!(done.to, found, "{:?}", String::from_utf8_lossy(&result));
    let mut again = Vec::new();
    let same = diff(BASE.as_bytes(), &*result, &options, &workshop, &mut again);
    assert_eq!(same, Ok(done));
    true
}
