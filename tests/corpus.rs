//! The seeds of the fuzz targets, run as plain tests.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

#[path = "../fuzz/checks/list_line.rs"]
mod list_line;

/// Runs `check` over the seeds of a target and says how many there were.
fn run(target: &str, check: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut count = 0;
    for seed in std::fs::read_dir(folder.join(target)).unwrap() {
        let path = seed.unwrap().path();
        // Shown when the check fails.
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        count += 1;
    }
    count
}

#[test]
fn list_line() {
    assert!(run("list_line", list_line::check) >= 30);
}
