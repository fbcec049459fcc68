//! The command line's way into a running daemon.

use crate::support::wire::{ask, rtype};
use crate::support::{Home, wait_for};

/// What a command prints; it must succeed.
pub(crate) fn told(home: &Home, arguments: &[&str]) -> String {
    let socket = home.path("../run/control.sock");
    let mut all = vec!["--socket", socket.to_str().unwrap()];
    all.extend(arguments);
    let output = home.hedgerow(&all);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {out}{err}");
    out
}

#[test]
fn status_says_where_it_listens_and_whom_it_asks() {
    let home = Home::family();
    let text = told(&home, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let text = status.to_string();
    assert!(text.contains(&home.v4.to_string()), "{text}");
    assert!(text.contains(&home.v6.to_string()), "{text}");
    assert!(text.contains(&home.upstream.address.to_string()), "{text}");
}

#[test]
fn flushing_the_cache_has_upstream_asked_again() {
    let home = Home::family();
    for _ in 0..2 {
        home.look_up("127.0.0.5", "www.example.org", rtype::A);
    }
    assert_eq!(home.upstream.times("www.example.org"), 1);
    told(&home, &["cache", "flush"]);
    home.look_up("127.0.0.5", "www.example.org", rtype::A);
    assert_eq!(home.upstream.times("www.example.org"), 2);
}

#[test]
fn explain_says_what_the_answer_said() {
    let home = Home::family();
    let text = told(&home, &["explain", "casino.example", "--device", "laptop"]);
    assert!(text.contains("our-gambling"), "{text}");
    assert_eq!(home.upstream.count(), 0, "explaining asks nobody");
}

#[test]
fn reload_says_what_is_wrong() {
    let home = Home::family();
    told(&home, &["reload"]);
    // A folder the watch does not look into is not needed: a broken file is told at once.
    std::fs::write(home.path("conf.d/test.toml"), "[household]\nalow = []\n").unwrap();
    let socket = home.path("../run/control.sock");
    let output = home.hedgerow(&["--socket", socket.to_str().unwrap(), "reload"]);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("alow"), "{text}");
    let reply = home.look_up("127.0.0.3", "casino.example", rtype::A);
    assert_eq!(reply.ede_code(), Some(17), "the old one holds");
}

#[test]
fn the_log_keeps_what_each_profile_lets_it() {
    let home = Home::family();
    // A schoolchild's names are kept, an adolescent's are not, a lifeline's never.
    home.look_up("127.0.0.3", "kept.example.org", rtype::A);
    home.look_up("127.0.0.4", "private.example.org", rtype::A);
    home.look_up("127.0.0.3", "www.helpline.example", rtype::A);
    home.ask(&ask("later.example.org", rtype::A).from("127.0.0.3"));
    let text = wait_for("the last question in the log", || {
        let text = told(&home, &["log", "--json"]);
        text.contains("later.example.org").then_some(text)
    });
    assert!(text.contains("kept.example.org"), "{text}");
    assert!(!text.contains("private"), "{text}");
    assert!(!text.contains("helpline"), "{text}");
}
