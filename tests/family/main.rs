//! A family's day through the real binary: what schedules, quotas, grants and pauses say reaches the
//! answers.
//!
//! Windows are written so that they hold now, by the clock of the machine in UTC, with an hour to
//! spare; nothing waits for a time to pass but the second of a quota that has one.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/daemon/mod.rs"]
mod support;

mod growing;
mod hours;

use std::time::{SystemTime, UNIX_EPOCH};

use support::upstream::address;
use support::wire::rtype;
use support::{Home, Say, wait_for};

const TABLET: &str = "127.0.0.2";
const LAPTOP: &str = "127.0.0.3";
const PARENT: &str = "127.0.0.5";

/// Two devices of a child and one of a parent.
const FAMILY: &str = r#"
[household]
time-zone = "UTC0"

[[device]]
name = "tablet"
profile = "mia"
address = ["127.0.0.2"]

[[device]]
name = "laptop"
profile = "mia"
address = ["127.0.0.3"]

[[device]]
name = "parent"
profile = "adult"
address = ["127.0.0.5"]

[[list]]
id = "our-games"
category = "games"
lines = ["play.example"]

[[list]]
id = "our-lifelines"
category = "lifelines"
kind = "lifeline"
lines = ["helpline.example"]
"#;

/// Seconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// The time on the clock so many minutes from now.
fn clock(minutes: i64) -> String {
    let minute = (now().cast_signed() / 60 + minutes).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// A schedule `bedtime` that holds since an hour ago and for two hours.
fn bedtime() -> String {
    let (begin, end) = (clock(-60), clock(120));
    format!("[schedule.bedtime]\nwindows = [\"{begin}-{end}\"]\n")
}

fn config(more: &str) -> String {
    format!("{FAMILY}\n{}\n{more}", bedtime())
}

/// A home in which `more` is said, with the schedule `bedtime` that holds now.
fn home(more: &str) -> Home {
    Home::start(&config(more))
}

/// Mia, who may do all a grown-up may but for what is said behind it.
const MIA: &str = "[profile.mia]\ninherits = \"adult\"\n";

#[track_caller]
fn assert_open(home: &Home, devices: &[&str], names: &[&str]) {
    for device in devices {
        for name in names {
            let reply = home.look_up(device, name, rtype::A);
            assert_eq!(reply.answers(), ["A 192.0.2.1"], "{device} {name}");
            assert_eq!(reply.ede(), None, "{device} {name}");
        }
    }
}

#[track_caller]
fn assert_closed(home: &Home, devices: &[&str], names: &[&str], why: &str) {
    for device in devices {
        for name in names {
            let reply = home.look_up(device, name, rtype::A);
            assert_eq!(reply.answers(), ["A 0.0.0.0"], "{device} {name}");
            let (code, text) = reply.ede().unwrap();
            assert_eq!(code, 17, "{device} {name}");
            assert!(text.starts_with(why), "{device} {name}: {text}");
        }
    }
}

/// What a command prints; it must succeed.
fn told(home: &Home, arguments: &[&str]) -> String {
    let socket = home.path("../run/control.sock");
    let mut all = vec!["--socket", socket.to_str().unwrap()];
    all.extend(arguments);
    let output = home.hedgerow(&all);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {out}{err}");
    out
}

/// The same in words with blanks between them.
fn tell(home: &Home, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    told(home, &words)
}

/// Ends the daemon as a power cut does, and starts it again.
fn cut_power(home: &mut Home) {
    home.signal("KILL");
    let _ = home.wait_for_end();
    home.restart();
}

#[test]
fn bedtime_closes_everything_but_lifelines_and_what_is_open() {
    let home = home(&format!(
        "{MIA}[[profile.mia.during]]\nschedule = \"bedtime\"\nclose = [\"everything\"]\n\
         open = [\"lullaby.example\"]\n"
    ));
    let names = ["www.example.org", "play.example"];
    let why = "schedule bedtime closes everything";
    assert_closed(&home, &[TABLET, LAPTOP], &names, why);
    let open = [
        "lullaby.example",
        "helpline.example",
        "below.helpline.example",
    ];
    assert_open(&home, &[TABLET, LAPTOP], &open);
    assert_open(&home, &[PARENT], &names);
}

#[test]
fn homework_leaves_what_school_needs_and_single_things_can_be_closed() {
    let home = home(&format!(
        "{MIA}[[profile.mia.during]]\nschedule = \"bedtime\"\nonly = [\"school.example\"]\n\
         [profile.adult-with-rules]\ninherits = \"adult\"\n\
         [[profile.adult-with-rules.during]]\nschedule = \"bedtime\"\n\
         close = [\"games\", \"tiktok\"]\n\
         [[device]]\nname = \"console\"\nprofile = \"adult-with-rules\"\naddress = [\"127.0.0.6\"]\n"
    ));
    assert_open(&home, &[TABLET], &["school.example", "www.school.example"]);
    let why = "schedule bedtime closes everything";
    assert_closed(&home, &[TABLET], &["www.example.org"], why);
    let console = "127.0.0.6";
    assert_closed(
        &home,
        &[console],
        &["play.example"],
        "schedule bedtime closes games",
    );
    assert_closed(
        &home,
        &[console],
        &["www.tiktok.com"],
        "schedule bedtime closes tiktok",
    );
    assert_open(&home, &[console], &["www.example.org", "school.example"]);
}

#[test]
fn a_grant_opens_at_once_undone_it_closes_at_once_and_a_power_cut_forgets_neither() {
    let mut home = home(&format!(
        "{MIA}[[profile.mia.during]]\nschedule = \"bedtime\"\nclose = [\"everything\"]\n"
    ));
    let why = "schedule bedtime closes everything";
    let both = [TABLET, LAPTOP];
    assert_closed(&home, &both, &["www.example.org"], why);
    tell(&home, "allow example.org --profile mia --for 30m");
    assert_open(&home, &both, &["www.example.org"]);
    assert_closed(&home, &both, &["play.example"], why);
    tell(&home, "grants undo 1");
    assert_closed(&home, &both, &["www.example.org"], why);
    // A single device, and a category; until the next beginning of a schedule.
    tell(&home, "allow everything --device tablet --until bedtime");
    assert_open(&home, &[TABLET], &["www.example.org", "play.example"]);
    assert_closed(&home, &[LAPTOP], &["www.example.org", "play.example"], why);
    tell(&home, "allow games --device laptop --for 1h");
    assert_open(&home, &[LAPTOP], &["play.example"]);
    cut_power(&mut home);
    assert_open(&home, &[TABLET], &["www.example.org", "play.example"]);
    assert_open(&home, &[LAPTOP], &["play.example"]);
    assert_closed(&home, &[LAPTOP], &["www.example.org"], why);
    tell(&home, "grants undo 2");
    assert_closed(&home, &[TABLET], &["www.example.org"], why);
    // As long as the grant, and no longer: its end is in what is handed out.
    let says = Say::Records(vec![address("192.0.2.1").ttl(86_400)]);
    home.upstream.on_question("long.example", rtype::A, says);
    tell(&home, "allow long.example --profile mia --for 90s");
    let reply = home.look_up(TABLET, "long.example", rtype::A);
    assert!(
        reply.ttls().iter().all(|ttl| *ttl <= 90),
        "{:?}",
        reply.ttls()
    );
    assert_eq!(reply.ttls().len(), 1);
}

#[test]
fn a_pause_closes_for_whom_it_is_said_and_never_a_lifeline() {
    let mut home = home(MIA);
    let name = ["www.example.org"];
    let why = "the internet is paused (by ";
    let all = [TABLET, LAPTOP, PARENT];
    assert_open(&home, &all, &name);
    tell(&home, "pause internet --device tablet --for 1h");
    assert_closed(&home, &[TABLET], &name, why);
    assert_open(&home, &[LAPTOP, PARENT], &name);
    tell(&home, "grants undo 1");
    assert_open(&home, &all, &name);
    tell(&home, "pause internet --profile mia --for 1h");
    assert_closed(&home, &[TABLET, LAPTOP], &name, why);
    assert_open(&home, &[PARENT], &name);
    tell(&home, "pause internet --everybody --for 1h");
    assert_closed(&home, &all, &name, why);
    cut_power(&mut home);
    assert_closed(&home, &all, &name, why);
    assert_open(&home, &all, &["helpline.example"]);
    // No world is served before it knows of the pause.
    for round in 0..5 {
        let more = format!("{MIA}block-names = [\"r{round}.example\"]\n");
        home.write_config(&config(&more));
        home.signal("HUP");
        for _ in 0..100 {
            assert_closed(&home, &[PARENT], &name, why);
        }
    }
    tell(&home, "grants undo 3");
    assert_open(&home, &[PARENT], &name);
    assert_closed(&home, &[TABLET], &name, why);
}

#[test]
fn a_paused_filter_lifts_the_categories_alone() {
    let home = home(&format!(
        "{MIA}block = [\"games\"]\nblock-names = [\"own.example\"]\n"
    ));
    let why = "games (list our-games)";
    assert_closed(&home, &[TABLET, LAPTOP], &["play.example"], why);
    tell(&home, "pause filter --device tablet --for 1h");
    assert_open(&home, &[TABLET], &["play.example"]);
    assert_closed(&home, &[LAPTOP], &["play.example"], why);
    assert_closed(&home, &[TABLET], &["own.example"], "profile rule");
    tell(&home, "grants undo 1");
    assert_closed(&home, &[TABLET], &["play.example"], why);
}

/// What `quota show` says is used of each quota, in seconds.
fn used(home: &Home) -> Vec<u64> {
    let text = tell(home, "quota show --json");
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let all = shown.as_array().or_else(|| shown["quotas"].as_array());
    let all = all.unwrap_or_else(|| panic!("{text}"));
    all.iter()
        .map(|it| it["used_s"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_quota_is_used_up_by_all_devices_and_bonus_gives_more() {
    // Far from the hour at which a day begins.
    let reset = clock(12 * 60);
    let mut home = home(&format!(
        "{MIA}[[profile.mia.quota]]\nof = [\"games\"]\ntime = \"1s\"\nlinger = \"30s\"\n\
         reset = \"{reset}\"\n\
         [[profile.mia.quota]]\nof = [\"closed.example\"]\ntime = \"0\"\nreset = \"{reset}\"\n"
    ));
    let both = [TABLET, LAPTOP];
    let why = "the time for games is used up";
    let closed = "the time for closed.example is used up";
    assert_closed(&home, &both, &["closed.example"], closed);
    let reply = home.look_up(TABLET, "play.example", rtype::A);
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    assert!(reply.ttls()[0] <= 1, "{:?}", reply.ttls());
    wait_for("the second to pass", || {
        let reply = home.look_up(LAPTOP, "play.example", rtype::A);
        (reply.answers() == ["A 0.0.0.0"]).then_some(())
    });
    assert_closed(&home, &both, &["play.example"], why);
    assert_open(&home, &both, &["www.example.org"]);
    assert_open(&home, &[PARENT], &["play.example", "closed.example"]);
    tell(&home, "bonus 30 --profile mia --quota games");
    let reply = home.look_up(LAPTOP, "play.example", rtype::A);
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    assert!(reply.ttls()[0] <= 60, "{:?}", reply.ttls());
    assert_closed(&home, &both, &["closed.example"], closed);
    tell(&home, "grants undo 1");
    assert_closed(&home, &both, &["play.example"], why);
    let ledger = home.path("../state/quota.ledger");
    wait_for("what is used to be written", || {
        std::fs::metadata(&ledger).ok().filter(|it| it.len() > 0)
    });
    cut_power(&mut home);
    assert_closed(&home, &both, &["play.example"], why);
    assert_closed(&home, &both, &["closed.example"], closed);
}

#[test]
fn a_bonus_is_given_once_for_each_quota_and_goes_with_a_new_name() {
    let reset = clock(12 * 60);
    let mia = format!(
        "{MIA}[[profile.mia.quota]]\nof = [\"games\"]\ntime = \"1h\"\nreset = \"{reset}\"\n\
         [[profile.mia.quota]]\nof = [\"games\"]\ntime = \"5h\"\nper = \"week\"\nreset = \"{reset}\"\n"
    );
    let home = home(&mia);
    let json = |home: &Home, words: &str| -> Vec<serde_json::Value> {
        serde_json::from_str(&tell(home, words)).unwrap()
    };
    tell(&home, "bonus 15 --profile mia");
    tell(&home, "bonus 5 --profile mia --quota games");
    let quotas = json(&home, "quota show --json");
    let shown: Vec<_> = quotas
        .iter()
        .map(|it| (&it["quota"], &it["bonus_s"]))
        .collect();
    assert_eq!(
        shown,
        [
            (&"games".into(), &1200.into()),
            (&"games per week".into(), &900.into())
        ]
    );
    let grants = json(&home, "grants list --json");
    for (grant, quota) in grants.iter().zip(&quotas) {
        assert_eq!(grant["quota"], quota["quota"]);
        assert_eq!(grant["until"], quota["until"], "its own day or week");
    }
    // Another name for the same child: what was said goes along.
    tell(&home, "pause internet --profile mia --for 1h");
    let renamed = config(&mia)
        .replace("profile.mia", "profile.mimi")
        .replace("\"mia\"", "\"mimi\"");
    home.write_config(&renamed);
    tell(&home, "reload");
    let grants = json(&home, "grants list --json");
    assert_eq!(grants.len(), 4);
    assert!(
        grants.iter().all(|it| it["profile"] == "mimi"),
        "{grants:?}"
    );
    let reply = home.look_up(TABLET, "www.example.org", rtype::A);
    assert_eq!(reply.answers(), ["A 0.0.0.0"]);
    let checks = ["captive.apple.com", "connectivitycheck.gstatic.com"];
    assert_open(&home, &[TABLET], &checks);
}

#[test]
fn what_devices_ask_for_by_themselves_uses_up_no_quota_and_no_lifeline_does() {
    let reset = clock(12 * 60);
    let home = home(&format!(
        "{MIA}[[profile.mia.quota]]\nof = [\"everything\"]\ntime = \"1h\"\nreset = \"{reset}\"\n"
    ));
    let quiet = [
        "mtalk.google.com",
        "alt1-mtalk.google.com",
        "helpline.example",
    ];
    for _ in 0..3 {
        assert_open(&home, &[TABLET, LAPTOP], &quiet);
    }
    let answers = |name: &str| home.look_up(TABLET, name, rtype::A).ttls()[0];
    // Where time is counted an answer is for a minute at most; where it is not it stays as it was.
    let long = |name: &str| {
        let says = Say::Records(vec![address("192.0.2.1").ttl(3600)]);
        home.upstream.on_question(name, rtype::A, says);
    };
    long("a.mtalk.google.com");
    long("counted.example");
    assert!(answers("a.mtalk.google.com") > 3000);
    assert_eq!(used(&home), [0]);
    assert!(answers("counted.example") <= 60);
    wait_for("the meter to move", || (used(&home)[0] > 0).then_some(()));
}

#[test]
fn a_misspelt_service_is_guessed() {
    let home = home(MIA);
    let output = home.hedgerow(&[
        "allow",
        "robloks",
        "--profile",
        "mia",
        "--for",
        "30m",
        "--socket",
        home.path("../run/control.sock").to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("did you mean `roblox`?"),
        "{said}"
    );
}

#[test]
fn a_child_s_request_opens_when_it_is_granted_and_not_before() {
    let home = home(&format!("{MIA}block = [\"games\"]\n"));
    let why = "games (list our-games)";
    tell(&home, "request play.example --device tablet");
    assert!(tell(&home, "requests list").contains("play.example"));
    assert_closed(&home, &[TABLET], &["play.example"], why);
    tell(&home, "requests grant 1 --for 30m");
    assert_open(&home, &[TABLET], &["play.example"]);
    tell(&home, "request games --device laptop");
    let list = tell(&home, "requests list --json");
    let id: u64 = {
        let value: serde_json::Value = serde_json::from_str(&list).unwrap();
        let all = value.as_array().or_else(|| value["requests"].as_array());
        all.unwrap()[0]["id"].as_u64().unwrap()
    };
    tell(&home, &format!("requests deny {id} --word no"));
    assert!(!tell(&home, "requests list").contains("laptop"));
}

#[test]
fn answers_do_not_outlast_the_hour_they_were_given_in() {
    // Begins in two to three minutes.
    let (begin, end) = (clock(3), clock(120));
    let home = Home::start(&format!(
        "{FAMILY}\n[schedule.soon]\nwindows = [\"{begin}-{end}\"]\n\
         {MIA}[[profile.mia.during]]\nschedule = \"soon\"\nclose = [\"everything\"]\n"
    ));
    let says = || Say::Records(vec![address("192.0.2.1").ttl(86_400)]);
    home.upstream.on_question("long.example", rtype::A, says());
    for device in [PARENT, TABLET, LAPTOP] {
        let reply = home.look_up(device, "long.example", rtype::A);
        assert_eq!(reply.answers(), ["A 192.0.2.1"], "{device}");
        let is_bounded = reply.ttls()[0] <= 180;
        assert_eq!(is_bounded, device != PARENT, "{device} {:?}", reply.ttls());
    }
}

/// What `explain` says of a name for the tablet so many hours from now.
fn verdict_at(home: &Home, hours: u64, more: &[&str]) -> String {
    let at = rfc3339(now() + hours * 3600);
    let mut words = vec!["explain", "www.example.org", "--device", "tablet", "--json"];
    words.extend(["--at", &at]);
    words.extend(more);
    let text = told(home, &words);
    let explained: serde_json::Value = serde_json::from_str(&text).unwrap();
    let reason = explained["reason"].as_str().unwrap().to_owned();
    format!("{}: {reason}", explained["verdict"].as_str().unwrap())
}

/// RFC 3339.
fn rfc3339(seconds: u64) -> String {
    let time = hedgerow::clock::Timestamp::from_second(seconds.cast_signed());
    time.unwrap().to_string()
}

#[test]
fn explain_knows_other_hours() {
    let home = home(&format!(
        "{MIA}[[profile.mia.during]]\nschedule = \"bedtime\"\nclose = [\"everything\"]\n"
    ));
    let path = home.path("hedgerow.toml");
    let offline = ["--config", path.to_str().unwrap()];
    for more in [&[][..], &offline[..]] {
        let bed = "block: schedule bedtime closes everything";
        assert_eq!(verdict_at(&home, 0, more), bed);
        assert_eq!(verdict_at(&home, 3, more), "allow: not on any list");
        assert_eq!(verdict_at(&home, 24, more), bed);
    }
    tell(&home, "allow example.org --profile mia --for 1h");
    assert!(verdict_at(&home, 0, &[]).starts_with("allow: granted"));
    assert!(verdict_at(&home, 24, &[]).starts_with("block: schedule"));
}
