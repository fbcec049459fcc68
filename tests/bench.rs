//! The scripts that measure: their own tests, and what shellcheck says of them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::{Command, Output};

/// What a program said, or none, with a line on standard output, where it is not installed.
fn output_of(program: &str, arguments: &[&str]) -> Option<Output> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(top)
        .output();
    if output.is_err() {
        println!("skipped: no {program}");
    }
    output.ok()
}

#[test]
fn what_measures_passes_its_own_tests() {
    for (folder, count) in [
        ("bench/lists/measure", 15),
        ("bench/serve/measure", 18),
        ("bench/count", 4),
        ("bench/sizes", 7),
    ] {
        let arguments = ["-B", "-m", "unittest", "discover", "-s", folder];
        let Some(output) = output_of("python3", &arguments) else {
            return;
        };
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{folder}: {said}");
        assert!(said.contains(&format!("Ran {count} tests")), "{said}");
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    let Some(output) = output_of("shellcheck", &["bench/lists/run", "bench/serve/run"]) else {
        return;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
}
