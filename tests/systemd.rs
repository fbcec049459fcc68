//! systemd reads our units without a complaint, and the service gives away little: an exposure of at
//! most 2.0 by `systemd-analyze security`. Where there is no systemd the tests say so and pass.

#![allow(
    clippy::unwrap_used,
    reason = "a unit that cannot be read is a failed test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Exposure in tenths, as `--threshold` wants it.
const MOST_EXPOSURE: &str = "20";

/// A folder with our units, in which the program is where cargo put it.
struct Units(TempDir);

impl Units {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for unit in ["hedgerow.service", "hedgerow.socket"] {
            let text = std::fs::read_to_string(shipped(unit)).unwrap();
            let text = text.replace("/usr/bin/hedgerow", env!("CARGO_BIN_EXE_hedgerow"));
            std::fs::write(folder.path().join(unit), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, unit: &str) -> PathBuf {
        self.0.path().join(unit)
    }
}

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("systemd")
        .join(file)
}

/// Runs `program`; none, with a message, where it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: cannot run {program}: {error}");
            None
        }
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_units_are_understood() {
    let units = Units::new();
    for unit in ["hedgerow.service", "hedgerow.socket"] {
        let path = units.path(unit);
        let arguments = ["verify", "--man=no", path.to_str().unwrap()];
        let Some(output) = run("systemd-analyze", &arguments) else {
            return;
        };
        // An unknown key is only a warning to systemd, and about other units of this machine it
        // may say what it likes.
        let ours: Vec<String> = said(&output)
            .lines()
            .filter(|line| line.contains("hedgerow"))
            .map(str::to_owned)
            .collect();
        assert!(
            output.status.success() && ours.is_empty(),
            "{unit}: {}",
            said(&output)
        );
    }
}

#[test]
fn the_service_gives_away_little() {
    let units = Units::new();
    let path = units.path("hedgerow.service");
    let threshold = format!("--threshold={MOST_EXPOSURE}");
    let arguments = [
        "security",
        "--offline=true",
        "--no-pager",
        &threshold,
        path.to_str().unwrap(),
    ];
    let Some(output) = run("systemd-analyze", &arguments) else {
        return;
    };
    if said(&output).contains("unrecognized option") {
        // Before version 250 only units of a running system can be judged.
        eprintln!("skipped: this systemd-analyze cannot judge a file");
        return;
    }
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("Overall exposure level"),
        "{}",
        said(&output)
    );
}

#[test]
fn account_and_folders_are_understood() {
    // A machine of its own, in which only names are looked up and nothing is made.
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let at_root = format!("--root={}", root.path().display());

    let sysusers = shipped("hedgerow.sysusers");
    let arguments = ["--dry-run", &at_root, sysusers.to_str().unwrap()];
    if let Some(output) = run("systemd-sysusers", &arguments) {
        assert!(output.status.success(), "{}", said(&output));
    }

    std::fs::write(root.path().join("etc/group"), "hedgerow:x:999:\n").unwrap();
    let account = "root:x:0:0::/:/bin/sh\nhedgerow:x:999:999::/:/bin/false\n";
    std::fs::write(root.path().join("etc/passwd"), account).unwrap();
    let tmpfiles = shipped("hedgerow.tmpfiles");
    // To clean reads every line; since none of our folders ages, it then does nothing.
    let arguments = ["--clean", &at_root, tmpfiles.to_str().unwrap()];
    if let Some(output) = run("systemd-tmpfiles", &arguments) {
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// What the units promise and no tool checks.
#[test]
fn the_promises_stand_in_the_units() {
    let service = std::fs::read_to_string(shipped("hedgerow.service")).unwrap();
    for line in [
        // The exit code of a bad configuration: restarting would not mend it.
        "RestartPreventExitStatus=78",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "Requires=hedgerow.socket",
        "Type=notify",
        "WatchdogSec=30s",
        // The daemon starts itself to compile lists, and dies last when memory runs out.
        "ExecPaths=/usr/bin/hedgerow -/usr/lib -/usr/lib64 -/lib -/lib64",
        "SystemCallFilter=setpriority sched_setscheduler",
        "OOMPolicy=continue",
        // How the neighbour table is read.
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX",
    ] {
        assert!(service.lines().any(|found| found == line), "{line}");
    }
    let socket = std::fs::read_to_string(shipped("hedgerow.socket")).unwrap();
    for line in [
        "ListenDatagram=0.0.0.0:53",
        "ListenDatagram=[::]:53",
        "ListenStream=0.0.0.0:53",
        "ListenStream=[::]:53",
    ] {
        assert!(socket.lines().any(|found| found == line), "{line}");
    }
}
