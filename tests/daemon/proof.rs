//! What must stay so, what a new configuration would have done, and what a change means.

use std::process::Output;

use serde_json::Value;

use crate::support::wire::rtype;
use crate::support::{Home, wait_for};

/// Bedtime was on one evening long ago: the hour at which this runs makes no difference.
const FAMILY: &str = r#"
[household]
time-zone = "CET-1CEST,M3.5.0,M10.5.0/3"

[lists]
starter = false

[schedule.bedtime]
windows = ["sun-thu 20:30-06:30", "fri,sat 22:00-07:30"]
dates = ["2020-01-06"]

[profile.leo]
inherits = "adult"
block-names = ["game.example"]
privacy = "names"
[[profile.leo.during]]
schedule = "bedtime"
close = ["everything"]

[[device]]
name = "tablet"
profile = "leo"
address = ["127.0.0.2"]
allow = ["school.game.example"]

[profile.quiet]
inherits = "leo"
privacy = "categories"

[[device]]
name = "diary"
profile = "quiet"
address = ["127.0.0.3"]

[[list]]
id = "our-lifelines"
category = "lifelines"
kind = "lifeline"
lines = ["helpline.example"]
"#;

const TESTS: &str = r#"
[[test]]
title = "Leo's games are blocked"
name = "www.game.example"
profile = "leo"
expect = "block"
because = "rule"

[[test]]
name = "school.game.example"
device = "tablet"
at = "sat 15:00"
expect = "allow"

[[test]]
name = "example.org"
device = "tablet"
at = "2020-01-06 21:00"
expect = "block"
because = "bedtime"

[[test]]
name = "helpline.example"
device = "tablet"
at = "2020-01-06T21:00:00+01:00"
expect = "allow"
because = "lifeline"
"#;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A further configuration of a home, out of the daemon's sight.
fn beside(home: &Home, name: &str, config: &str) -> String {
    let folder = home.path("../beside");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, config).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn tests_are_tried_with_the_whole_chain_of_reasons() {
    let home = Home::start(&format!("{FAMILY}{TESTS}"));
    let path = home.path("hedgerow.toml");
    let tried = home.hedgerow(&["test", "--config", path.to_str().unwrap()]);
    let text = out(&tried);
    assert!(tried.status.success(), "{text}");
    assert_eq!(text.matches("ok ").count(), 4, "{text}");
    assert!(text.contains("Leo's games are blocked: www.game.example is blocked"));
    assert!(text.contains("profile rule `game.example` [household]"));
    assert!(text.contains("2020-01-06T21:00:00+01:00: schedule bedtime closes everything"));
    assert!(text.ends_with("4 tests, 0 failed\n"), "{text}");

    let wrong = TESTS.replace(
        "expect = \"block\"\nbecause = \"rule\"",
        "expect = \"allow\"",
    );
    let wrong = beside(&home, "wrong.toml", &format!("{FAMILY}{wrong}"));
    let tried = home.hedgerow(&["test", "--config", &wrong, "--json"]);
    assert_eq!(tried.status.code(), Some(1));
    let tried = json(&tried);
    let ok: Vec<_> = tried
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["ok"])
        .collect();
    assert_eq!(ok, [false, true, true, true]);
    assert_eq!(tried[0]["verdict"], "block");
    assert_eq!(
        tried[0]["chain"][0],
        "profile rule `game.example` [household]"
    );
    let checked = home.hedgerow(&["check", "--config", &wrong]);
    assert_eq!(checked.status.code(), Some(78));
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(
        told.contains("the test `Leo's games are blocked` fails"),
        "{told}"
    );
}

#[test]
fn a_configuration_that_breaks_a_test_does_not_take_effect() {
    let mut home = Home::start(&format!("{FAMILY}{TESTS}"));
    let socket = home.path("../run/control.sock");
    let socket = socket.to_str().unwrap().to_owned();
    let blocked = |home: &Home| {
        let reply = home.look_up("127.0.0.2", "www.game.example", rtype::A);
        reply.ede().is_some()
    };
    assert!(blocked(&home));
    let broken = FAMILY.replace("block-names = [\"game.example\"]", "");
    home.write_config(&format!("{broken}{TESTS}"));
    let reload = home.hedgerow(&["--socket", &socket, "reload"]);
    assert_eq!(reload.status.code(), Some(78));
    let told = out(&reload) + &String::from_utf8(reload.stderr).unwrap();
    assert!(
        told.contains("the test `Leo's games are blocked` fails"),
        "{told}"
    );
    assert!(blocked(&home), "the one before is in force");

    // A home without DNS is worse.
    home.signal("TERM");
    home.wait_for_end();
    home.restart();
    assert!(!blocked(&home));
    assert!(
        home.log()
            .contains("the test `Leo's games are blocked` fails")
    );

    // What is broken already holds nothing up, what makes it whole is welcome.
    let louder = broken.replace("privacy = \"categories\"", "privacy = \"none\"");
    home.write_config(&format!("{louder}{TESTS}"));
    let reload = home.hedgerow(&["--socket", &socket, "reload"]);
    assert!(reload.status.success(), "{reload:?}");
    home.write_config(&format!("{FAMILY}{TESTS}"));
    wait_for("the rule to hold again", || blocked(&home).then_some(()));
}

#[test]
fn a_log_is_judged_again_under_a_new_configuration() {
    let family = FAMILY;
    let home = Home::start(family);
    let socket = home.path("../run/control.sock");
    let new = family.replace(
        "block-names = [\"game.example\"]",
        "block-names = [\"news.example\"]\nallow = [\"=www.game.example\"]",
    );
    let new = new.replace(
        "lines = [\"helpline.example\"]",
        "lines = [\"other.example\"]",
    );
    let new = beside(&home, "new.toml", &new);
    let arguments = [
        "--socket",
        socket.to_str().unwrap(),
        "simulate",
        "--config",
        &new,
        "--since",
        "2h",
    ];
    let replay = || {
        let output = home.hedgerow(&[&arguments[..], &["--json"]].concat());
        assert!(output.status.success(), "{output:?}");
        json(&output)
    };
    // What asked whether the daemon is ready is a guest's, whose names are not kept.
    let nameless = replay()["without-name"].as_u64().unwrap();
    for name in [
        "www.game.example",
        "www.game.example",
        "news.example",
        "same.example",
    ] {
        home.look_up("127.0.0.2", name, rtype::A);
    }
    home.look_up("127.0.0.2", "helpline.example", rtype::A);
    home.look_up("127.0.0.3", "secret.example", rtype::A);
    // An entry stands in the log after its answer went out.
    let replay = wait_for("all questions in the log", || {
        let replay = replay();
        let seen = (&replay["changed"], &replay["without-name"]);
        (seen == (&3.into(), &(nameless + 1).into())).then_some(replay)
    });
    assert_eq!(replay["undecided"], 0);
    assert!(replay["judged"].as_u64().unwrap() >= 4, "{replay}");
    let changes = replay["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0]["name"], "www.game.example");
    assert_eq!(changes[0]["count"], 2);
    assert_eq!(
        (&changes[0]["before"], &changes[0]["after"]),
        (&"block".into(), &"allow".into())
    );
    assert_eq!(changes[1]["name"], "news.example");
    assert_eq!(changes[1]["profile"], "leo");
    assert_eq!(changes[1]["reason-after"], "profile rule `news.example`");
    let text = out(&home.hedgerow(&arguments));
    assert!(text.contains("Would be blocked now, 1 question:"), "{text}");
    assert!(
        text.contains("Would be let through now, 2 questions:"),
        "{text}"
    );
    assert!(text.contains(" could not be judged: privacy"), "{text}");
    for hidden in ["helpline", "secret", "same.example"] {
        assert!(!text.contains(hidden), "{text}");
    }
}

#[test]
fn a_change_is_told_in_words() {
    let home = Home::start("");
    // Services are among what comes with the program.
    let family = FAMILY.replace("starter = false", "starter = true");
    let old = beside(&home, "old.toml", &family);
    let formatted = family.replace('\n', "\n# a remark\n");
    let formatted = beside(&home, "formatted.toml", &formatted);
    let same = home.hedgerow(&["diff", &old, &formatted]);
    assert_eq!(out(&same), "nothing is different\n");
    let new = family
        .replace("sun-thu 20:30", "sun-thu 20:00")
        .replace(
            "block-names = [\"game.example\"]",
            "block = [\"games\", \"roblox\"]\nsafe-search = true",
        )
        .replace(
            "name = \"diary\"\nprofile = \"quiet\"",
            "name = \"diary\"\nprofile = \"leo\"",
        )
        + "[[profile.quiet.quota]]\nof = [\"video\"]\ntime = \"1h\"\n";
    let new = beside(&home, "new.toml", &new);
    let text = out(&home.hedgerow(&["diff", &old, &new]));
    let lines: Vec<_> = text.lines().collect();
    for line in [
        "leo: blocks games now",
        "leo: blocks the service roblox now",
        "leo: no longer blocks the name game.example",
        "leo: safe search is on now",
        "leo: bedtime begins 20:00 instead of 20:30 (sun-thu)",
        "quiet: has 1h a day for video now",
        "quiet: bedtime begins 20:00 instead of 20:30 (sun-thu)",
        "device diary: belongs to leo instead of quiet",
    ] {
        assert!(lines.contains(&line), "{line}: {text}");
    }
    let told = json(&home.hedgerow(&["diff", "--json", &old, &new]));
    let differences = told["differences"].as_array().unwrap();
    assert_eq!(differences.len(), lines.len());
    assert_eq!(differences[0]["kind"], "profile");
}
