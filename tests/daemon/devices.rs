//! Devices nobody named, and how they get names.

use crate::control::told;
use crate::support::wire::{ask, rtype};
use crate::support::{Home, wait_for};

fn new_devices(home: &Home) -> Vec<serde_json::Value> {
    let text = told(home, &["device", "list", "--new", "--json"]);
    serde_json::from_str(&text).unwrap()
}

/// Whether the client at `from` is blocked where its profile blocks games, which guests may play.
fn is_blocked(home: &Home, from: &str, name: &str) -> bool {
    home.look_up(from, name, rtype::A).ede().is_some()
}

const CONFIG: &str = r#"
[profile.mia]
inherits = "schoolchild"
block-names = ["game.example"]

[[device]]
name = "elsewhere"
profile = "adult"
address = ["127.0.0.5"]
"#;

#[test]
fn a_new_device_is_shown_named_assigned_and_forgotten() {
    let home = Home::start(CONFIG);
    assert!(!is_blocked(&home, "127.0.0.9", "game.example"));
    let new = wait_for("the new device", || {
        let new = new_devices(&home);
        let mut its = new.iter().filter(|it| it["addresses"][0] == "127.0.0.9");
        its.next().cloned()
    });
    assert_eq!(new["mac"], serde_json::Value::Null);
    let number = new["number"].to_string();

    let text = told(&home, &["device", "name", &number, "Mia's \"TV\""]);
    assert!(text.contains("profile guest, known by 127.0.0.9"), "{text}");
    assert!(!is_blocked(&home, "127.0.0.9", "game.example"));
    let text = told(
        &home,
        &["device", "assign", "127.0.0.9", "--profile", "mia"],
    );
    assert!(text.contains("profile mia"), "{text}");
    assert!(is_blocked(&home, "127.0.0.9", "game.example"), "at once");
    let file = home.path("../state/devices.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(
        written.starts_with("# Devices that were named"),
        "{written}"
    );
    assert!(
        written.contains("profile = \"mia\"\naddress = [\"127.0.0.9\"]\n"),
        "{written}"
    );

    // What a person writes into it stays, and is in force without a word.
    let own = "\n[[device]]  # ours\nname = 'own'\nprofile = \"mia\"\naddress = [\"127.0.0.8\"]\n";
    std::fs::write(&file, format!("{written}{own}")).unwrap();
    wait_for("the file to be read", || {
        is_blocked(&home, "127.0.0.8", "game.example").then_some(())
    });
    told(&home, &["device", "forget", "Mia's \"TV\""]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.ends_with(&own[1..]), "{written}");
    assert!(!written.contains("Mia"), "{written}");
    assert!(!is_blocked(&home, "127.0.0.9", "game.example"));
    let log = home.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn what_was_done_to_a_device_is_told_to_programs() {
    let home = Home::start(CONFIG);
    let file = home.path("../state/devices.toml");
    let said = |arguments: &[&str]| -> serde_json::Value {
        let all = [&["device"], arguments, &["--json"]].concat();
        serde_json::from_str(&told(&home, &all)).unwrap()
    };
    let mac = "02:00:5e:10:00:01";
    let named = said(&["name", mac, "tablet"]);
    assert_eq!(named["device"], "tablet", "{named}");
    assert_eq!(named["done"], "added", "{named}");
    assert_eq!(named["profile"], "guest", "{named}");
    assert_eq!(named["known_by"], serde_json::json!([mac]), "{named}");
    let written = file.canonicalize().unwrap();
    assert_eq!(named["file"], written.to_str().unwrap(), "{named}");
    let assigned = said(&["assign", "tablet", "--profile", "mia"]);
    assert_eq!(assigned["profile"], "mia", "{assigned}");
    assert_eq!(assigned["device"], "tablet", "{assigned}");
    let forgotten = said(&["forget", "tablet"]);
    assert_eq!(forgotten["device"], "tablet", "{forgotten}");
    assert_eq!(forgotten["profile"], serde_json::Value::Null, "{forgotten}");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("tablet"));
}

#[test]
fn what_would_be_wrong_or_stands_elsewhere_is_not_changed() {
    let home = Home::start(CONFIG);
    let refused = |arguments: &[&str]| {
        let socket = home.path("../run/control.sock");
        let mut all = vec!["--socket", socket.to_str().unwrap(), "device"];
        all.extend(arguments);
        let output = home.hedgerow(&all);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    told(&home, &["device", "name", "02:00:5e:10:00:01", "tablet"]);
    let file = home.path("../state/devices.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    for (arguments, expected) in [
        (
            &["assign", "tablet", "--profile", "mai"][..],
            "unknown profile `mai`",
        ),
        (
            &["name", "127.0.0.7", "tablet"],
            "device `tablet` is defined twice",
        ),
        (
            &["name", "127.0.0.7", "a\u{1b}b"],
            "the name of a device cannot be used",
        ),
        (
            &["name", "127.0.0.5", "x"],
            "conf.d/test.toml:6, which is yours to change",
        ),
        (&["forget", "elsewhere"], "help: take it out there"),
        (&["name", "nobody", "x"], "nobody is known as `nobody`"),
        (&["name", "77", "x"], "no new device has the number 77"),
        (&["assign", "127.0.0.7", "--profile", "mia"], "has no name"),
        (
            &["assign", "127.0.0.7", "--mac", "02:00:5e:10:00:02"],
            "needs a device that has a name",
        ),
    ] {
        let said = refused(arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    }
    let line = [
        "assign",
        "tablet",
        "--mac",
        "02:00:5e:10:00:02",
        "--profile",
        "adult",
    ];
    told(&home, &[&["device"], &line[..]].concat());
    let written = std::fs::read_to_string(&file).unwrap();
    let macs = "mac = [\"02:00:5e:10:00:01\", \"02:00:5e:10:00:02\"]";
    assert!(written.contains(macs), "{written}");
    // A file that somebody broke is left alone.
    std::fs::write(&file, "[[device]\n").unwrap();
    let said = refused(&["name", "127.0.0.7", "x"]);
    assert!(said.contains("it is broken"), "{said}");
    assert!(said.contains("devices.toml.good"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "[[device]\n");
    let good = std::fs::read_to_string(home.path("../state/devices.toml.good")).unwrap();
    assert_eq!(good, written);
}

#[test]
fn new_devices_and_a_broken_file_survive_a_restart() {
    let mut home = Home::start(CONFIG);
    home.look_up("127.0.0.9", "www.example.org", rtype::A);
    wait_for("the new device", || {
        (!new_devices(&home).is_empty()).then_some(())
    });
    told(
        &home,
        &[
            "device",
            "assign",
            "127.0.0.6",
            "--profile",
            "mia",
            "--name",
            "tablet",
        ],
    );
    let before = new_devices(&home);
    home.signal("TERM");
    home.wait_for_end();
    std::fs::write(home.path("../state/devices.toml"), "[[device]\n").unwrap();
    home.restart();
    assert!(
        is_blocked(&home, "127.0.0.6", "game.example"),
        "the last good copy"
    );
    home.has_said("its last good copy is in force");
    let mut after = new_devices(&home);
    after.retain(|it| before.iter().any(|old| old["number"] == it["number"]));
    assert_eq!(after.len(), before.len());
    let reply = home.ask(&ask("localhost", rtype::A));
    assert_eq!(reply.rcode(), 0);
}

#[test]
fn explain_shows_the_chain() {
    let home = Home::start(CONFIG);
    let text = told(&home, &["explain", "game.example", "--client", "127.0.0.5"]);
    let chain = "  chain    127.0.0.5 → elsewhere → profile adult\n";
    assert!(text.contains(chain), "{text}");
    assert!(
        text.contains("known by address 127.0.0.5 (low confidence)"),
        "{text}"
    );
    let text = told(
        &home,
        &["explain", "game.example", "--client", "fe80::1%lo"],
    );
    let chain = "  chain    fe80::1%lo → nobody named it → guest, profile guest\n";
    assert!(text.contains(chain), "{text}");
    let new = new_devices(&home);
    let is_it = |it: &serde_json::Value| it["addresses"][0] == "fe80::1";
    assert!(!new.iter().any(is_it), "explaining is no asking");
}
