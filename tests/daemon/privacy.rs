//! What is kept of a child's queries: nothing shows more than the profile allows, and a reveal shows
//! what comes after it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::control::told;
use crate::support::home::{FAMILY, free_port};
use crate::support::upstream::Say;
use crate::support::wire::{ask, rtype};
use crate::support::{Home, wait_for};

const TABLET: &str = "127.0.0.2";
const LAPTOP: &str = "127.0.0.3";
const PHONE: &str = "127.0.0.4";
const PARENT: &str = "127.0.0.5";
const STRANGER: &str = "127.0.0.9";

fn json(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(&told(home, arguments)).unwrap()
}

/// Asks for `name`, whose log keeps names, and waits for it there: all that was asked before is then
/// in the log too, if it ever will be.
fn log_until(home: &Home, name: &str) -> String {
    home.look_up(LAPTOP, name, rtype::A);
    wait_for("the last question in the log", || {
        let text = told(home, &["log", "--json", "-n", "1000"]);
        text.contains(name).then_some(text)
    })
}

/// The metrics page.
fn metrics(at: SocketAddr) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// Whatever can be read out of a home beside the log, each with a word on what it is.
fn all_that_is_told(home: &Home, metrics_at: SocketAddr) -> Vec<(&'static str, String)> {
    let verbs: [(&str, &[&str]); 16] = [
        ("log", &["log", "-n", "1000"]),
        ("log as JSON", &["log", "-n", "1000", "--json"]),
        ("blocked", &["log", "--blocked", "--json"]),
        ("log of the device", &["log", "--device", "phone", "--json"]),
        ("log of the profile", &["log", "--profile", "adolescent"]),
        ("top", &["top", "--once", "-n", "1000"]),
        ("top as JSON", &["top", "--once", "-n", "1000", "--json"]),
        ("devices", &["device", "list", "--json"]),
        ("new devices", &["device", "list", "--new", "--json"]),
        ("a device", &["device", "show", "phone", "--json"]),
        ("profiles", &["profile", "list", "--json"]),
        ("status", &["status", "--json"]),
        ("reveals", &["reveals", "list", "--all", "--json"]),
        ("grants", &["grants", "list", "--all", "--json"]),
        (
            "the child",
            &["child", "status", "--device", "phone", "--json"],
        ),
        ("quotas", &["quota", "show", "--json"]),
    ];
    let told = verbs.map(|(what, arguments)| (what, told(home, arguments)));
    let mut all = Vec::from(told);
    all.push(("metrics", metrics(metrics_at)));
    all.push(("the daemon's own log", home.log()));
    all
}

#[test]
fn nothing_shows_names_that_are_not_kept_nor_lifelines() {
    let port = free_port();
    let metrics_at = SocketAddr::from(([127, 0, 0, 1], port));
    let config = format!(
        "{FAMILY}\n[profile.adult]\nprivacy = \"none\"\n[metrics]\nlisten = \"{metrics_at}\"\n"
    );
    let home = Home::start(&config);
    for device in [PHONE, PARENT, STRANGER] {
        home.look_up(device, "diary.secret.example", rtype::A);
        home.look_up(device, "diary.casino.example", rtype::A);
        home.look_up(device, "diary.secret.example", rtype::TXT);
    }
    for device in [TABLET, LAPTOP, PHONE, PARENT, STRANGER] {
        home.look_up(device, "chat.helpline.example", rtype::A);
    }
    let log = log_until(&home, "kept.example.org");
    assert!(
        log.contains("adolescent"),
        "times and categories are: {log}"
    );
    let mut looked = 0;
    for (what, text) in all_that_is_told(&home, metrics_at) {
        for name in ["diary", "secret", "casino.example", "helpline"] {
            // The configuration names a list; what is asked for is below it.
            assert!(!text.contains(name), "{what} tells of `{name}`: {text}");
        }
        looked += 1;
    }
    assert_eq!(looked, 18);
    let top = told(&home, &["top", "--once", "-n", "1000"]);
    assert!(top.contains("kept.example.org"), "{top}");
    assert!(metrics(metrics_at).contains("hedgerow_queries_total"));
}

#[test]
fn a_reveal_shows_what_comes_after_it_and_the_child_sees_why() {
    let mut home = Home::family();
    home.look_up(PHONE, "before.example.org", rtype::A);
    let added = json(
        &home,
        &[
            "reveal",
            "--profile",
            "adolescent",
            "--for",
            "30m",
            "--why",
            "a stranger wrote",
            "--by",
            "anna",
            "--json",
        ],
    );
    assert_eq!(added["done"], "added");
    let id = added["grant"]["id"].to_string();
    home.look_up(PHONE, "during.example.org", rtype::A);
    home.look_up(PHONE, "chat.helpline.example", rtype::A);
    home.look_up(STRANGER, "stranger.example.org", rtype::A);
    let log = log_until(&home, "first.example.org");
    assert!(log.contains("during.example.org"), "{log}");
    for name in ["before", "helpline", "stranger"] {
        assert!(!log.contains(name), "{name}: {log}");
    }
    let status = json(&home, &["child", "status", "--device", "phone", "--json"]);
    let seen = &status["reveals"][0];
    assert_eq!(status["privacy"], "categories");
    assert_eq!(
        (&seen["why"], &seen["state"]),
        (&"a stranger wrote".into(), &"holds".into())
    );
    assert!(seen["by"].as_str().unwrap().starts_with("anna"), "{seen}");
    assert!(status["seen"].as_str().unwrap().contains("written down"));
    let other = json(&home, &["child", "status", "--device", "laptop", "--json"]);
    assert_eq!(other["reveals"], Value::Array(Vec::new()));
    // It holds on after a restart, which forgets the log.
    home.signal("TERM");
    home.wait_for_end();
    home.restart();
    home.look_up(PHONE, "again.example.org", rtype::A);
    let log = log_until(&home, "second.example.org");
    assert!(
        log.contains("again.example.org") && !log.contains("during"),
        "{log}"
    );
    assert_eq!(
        json(&home, &["reveals", "list", "--json"])[0]["state"],
        "holds"
    );
    told(&home, &["reveals", "end", &id, "--by", "anna"]);
    home.look_up(PHONE, "after.example.org", rtype::A);
    let log = log_until(&home, "third.example.org");
    assert!(!log.contains("after.example.org"), "{log}");
    assert_eq!(told(&home, &["reveals", "list"]), "no names are revealed\n");
    let status = json(&home, &["child", "status", "--device", "phone", "--json"]);
    assert_eq!(
        status["reveals"][0]["state"], "undone",
        "the child still sees it"
    );
}

#[test]
fn names_are_revealed_for_a_reason_and_a_time_only() {
    let home = Home::family();
    let socket = home.path("../run/control.sock");
    let mut cases = 0;
    for (profile, why, time, complaint) in [
        ("adolescent", " ", "30m", "for a reason only"),
        ("adolescent", "why", "9m", "10 minutes to 24 hours"),
        ("adolescent", "why", "25h", "10 minutes to 24 hours"),
        ("nobody", "why", "30m", "there is no profile `nobody`"),
        ("mia", "why", "30m", "in the log already"),
    ] {
        let output = home.hedgerow(&[
            "--socket",
            socket.to_str().unwrap(),
            "reveal",
            "--profile",
            profile,
            "--why",
            why,
            "--for",
            time,
        ]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{profile} {time}: {text}");
        assert!(text.contains(complaint), "{text}");
        cases += 1;
    }
    assert_eq!(cases, 5);
    assert_eq!(
        told(&home, &["reveals", "list", "--all"]),
        "no names are revealed\n"
    );
}

/// The metrics page and the status, without what changes while nothing is asked.
fn numbers(home: &Home, metrics_at: SocketAddr) -> (String, Value) {
    let moves = |line: &&str| !line.contains("_uptime") && !line.contains("_resident_memory");
    let page = metrics(metrics_at);
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    let page: Vec<_> = body.lines().filter(moves).collect();
    let mut status = json(home, &["status", "--json"]);
    for key in ["uptime_s", "memory_rss_bytes"] {
        let before = status.as_object_mut().unwrap().remove(key);
        assert!(before.is_some(), "{key}: {status}");
    }
    (page.join("\n"), status)
}

#[test]
fn the_child_finds_a_reveal_after_its_device_got_another_profile() {
    let home = Home::family();
    let long = "m".repeat(80);
    let told = |arguments: &[&str]| json(&home, arguments);
    let added = told(&[
        "reveal",
        "--profile",
        "adolescent",
        "--for",
        "30m",
        "--why",
        "we look together",
        "--by",
        &long,
        "--json",
    ]);
    let by = added["grant"]["by"].as_str().unwrap();
    assert!(
        by.starts_with("mmm") && by.ends_with(')'),
        "the account is there: {by}"
    );
    let status = || told(&["child", "status", "--device", "phone", "--json"]);
    assert_eq!(status()["reveals"][0]["why"], "we look together");
    let moved = FAMILY.replace(
        "name = \"phone\"\nprofile = \"adolescent\"",
        "name = \"phone\"\nprofile = \"guest\"",
    );
    assert_ne!(moved, FAMILY);
    home.write_config(&moved);
    crate::control::told(&home, &["reload"]);
    let after = status();
    assert_eq!(after["profile"], "guest");
    assert_eq!(after["reveals"][0]["why"], "we look together");
    let seen = after["seen"].as_str().unwrap();
    assert!(
        seen.contains("names only from the time of a reveal"),
        "{seen}"
    );
    let other = told(&["child", "status", "--device", "laptop", "--json"]);
    assert_eq!(other["reveals"], Value::Array(Vec::new()));
}

#[test]
fn who_asks_for_a_lifeline_hears_that_it_is_open_and_nothing_is_kept() {
    let home = Home::family();
    for name in ["helpline.example", "www.helpline.example"] {
        let said = told(&home, &["request", name, "--device", "laptop"]);
        assert!(said.starts_with("it is always open"), "{said}");
    }
    let kept = json(&home, &["requests", "list", "--all", "--json"]);
    assert_eq!(kept, Value::Array(Vec::new()));
    assert!(!home.log().contains("request for access"), "{}", home.log());
}

#[test]
fn nobody_reads_from_an_answer_when_a_lifeline_was_asked_for() {
    let home = Home::family();
    let suffixed = "helpline.example.fritz.box";
    home.upstream.on_name(suffixed, Say::NxDomain(300));
    for (name, rcode) in [("helpline.example", 0), (suffixed, 3)] {
        let before = home.upstream.times(name);
        for device in [LAPTOP, PHONE] {
            let reply = home.look_up(device, name, rtype::A);
            assert_eq!(reply.rcode(), rcode, "{name}");
            let ttls: Vec<u32> = reply.ttls().into_iter().chain(reply.soa_ttl()).collect();
            assert_eq!(ttls, [60], "{name}: none that shrinks");
        }
        let asked = home.upstream.times(name) - before;
        assert_eq!(asked, 2, "{name} is not in the cache");
        let known = home.ask(&ask(name, rtype::A).from(PARENT).flags(0, 0).edns(1232));
        assert_eq!((known.rcode(), known.answers()), (5, vec![]), "{name}");
    }
}

#[test]
fn what_somebody_has_made_of_a_lifeline_is_a_name_like_others() {
    let home = Home::family();
    let name = "x.helpline.example.own.example.net";
    for source in [LAPTOP, LAPTOP] {
        assert_eq!(
            home.look_up(source, name, rtype::A).answers(),
            ["A 192.0.2.1"]
        );
    }
    assert_eq!(home.upstream.times(name), 1, "in the cache");
    let log = log_until(&home, "last.example.org");
    assert_eq!(log.matches(name).count(), 2, "{log}");
}

#[test]
fn lifelines_are_open_in_a_pause_and_leave_no_trace() {
    // `tablet` is allow-only; the list, the household and the profile all block the name.
    let config = FAMILY
        .replace(
            "lines = [\"casino.example\"",
            "lines = [\"helpline.example\", \"casino.example\"",
        )
        .replace(
            "guest-profile",
            "block = [\"helpline.example\"]\nguest-profile",
        )
        .replace("block-names = [", "block-names = [\"helpline.example\", ");
    let metrics_at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = format!("{config}\n[metrics]\nlisten = \"{metrics_at}\"\n");
    let home = Home::start(&config);
    // What it costs upstream to answer is known, and that there is somebody without a name.
    home.look_up(PARENT, "www.example.org", rtype::A);
    home.look_up(STRANGER, "www.example.org", rtype::A);
    log_until(&home, "first.example.org");
    told(&home, &["pause", "internet", "--everybody", "--for", "1h"]);
    let before = numbers(&home, metrics_at);
    // What stub resolvers ask with their search suffixes, and the name for trying it out.
    for (name, answers) in [
        ("helpline.example.lan", 0),
        ("www.helpline.example.home.arpa", 0),
        ("helpline.example.a.fritz.box", 0),
        ("lifelines.hedgerow.test", 0),
    ] {
        for device in [TABLET, LAPTOP, PARENT, STRANGER] {
            let reply = home.look_up(device, name, rtype::TXT);
            assert_eq!(reply.answers().len(), answers, "{device} {name}");
        }
    }
    for device in [TABLET, LAPTOP, PHONE, PARENT, STRANGER] {
        for name in ["helpline.example", "chat.helpline.example"] {
            let reply = home.look_up(device, name, rtype::A);
            assert_eq!(reply.answers(), ["A 192.0.2.1"], "{device} {name}");
            assert_eq!(reply.ede(), None, "{device} {name}");
        }
    }
    assert_eq!(numbers(&home, metrics_at), before);
    let log = log_until(&home, "last.example.org");
    for name in ["helpline", "hedgerow.test"] {
        assert!(!log.contains(name), "{name}: {log}");
        let top = told(&home, &["top", "--once", "--json"]);
        assert!(!top.contains(name), "{name}: {top}");
    }
}
