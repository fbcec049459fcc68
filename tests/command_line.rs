//! The real binary: exit codes and pipes as a shell sees them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::process::{Command, Stdio};

fn hedgerow() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hedgerow"));
    command.env("HEDGEROW_SOCKET", "/nowhere/control.sock");
    // A folder that cannot be: what is on this machine must not matter.
    command.env("STATE_DIRECTORY", "/dev/null/state");
    command
}

#[test]
fn a_shell_sees_the_exit_codes() {
    for (arguments, code) in [
        (&["--version"][..], 0),
        (&["completions", "bash"], 0),
        (&["frobnicate"], 2),
        (&["status"], 3),
        (&["reload"], 3),
        (&["lists", "catalogue"], 0),
        (&["lists", "frobnicate"], 2),
        (&["lists", "diff", "/nowhere/a", "/nowhere/b"], 1),
        (&["lists", "compile", "--config", "/nowhere/c.toml"], 78),
    ] {
        let output = hedgerow().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn the_environment_names_the_socket_and_an_argument_goes_before_it() {
    let said = |arguments: &[&str]| {
        let output = hedgerow().args(arguments).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&["status"]).contains("/nowhere/control.sock"));
    assert!(said(&["status", "--socket", "/else/x.sock"]).contains("/else/x.sock"));
}

#[test]
fn nothing_is_coloured_off_a_terminal() {
    let output = hedgerow().arg("status").output().unwrap();
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = hedgerow()
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
