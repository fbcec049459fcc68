//! Which programs tests talk with: those that are installed, or others that the environment names.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "many test binaries share this, each uses a part"
)]

use std::ffi::OsString;
use std::process::{Command, Stdio};

/// What `name` is started as; `HEDGEROW_KDIG` names another kdig, and so on.
pub fn program(name: &str) -> OsString {
    let variable = format!("HEDGEROW_{}", name.to_uppercase());
    std::env::var_os(variable).unwrap_or_else(|| name.into())
}

/// A Python that has all of `modules`, as one would import them. Most machines have several, and often it
/// is not the first that has the packages: `HEDGEROW_PYTHON`, the one of the path, the system's.
pub fn python(modules: &str) -> Option<OsString> {
    let has_them = |python: &OsString| {
        let mut command = Command::new(python);
        command.args(["-c", &format!("import {modules}")]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let all = [
        program("python"),
        "python3".into(),
        "/usr/bin/python3".into(),
    ];
    all.into_iter().find(has_them)
}

/// Whether what a program prints of itself has `word`.
pub fn says(name: &str, option: &str, word: &str) -> bool {
    let output = Command::new(program(name)).arg(option).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(word))
}
