//! Changing the configuration and the lists under a running daemon.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use crate::support::wire::{self, ask, rtype};
use crate::support::{Gate, Home, Reply, Say, wait_for};

/// Devices under load, each with a profile of its own.
const DEVICES: u8 = 4;
/// Questions a second that are tried for, all together.
const RATE: usize = 10_000;
/// Changes of the configuration.
const CHANGES: usize = 20;
/// Questions one client has under way at once.
const WINDOW: usize = 64;

/// A configuration in which a device's block shows three settings at once: address, TTL and rule.
fn world(second: bool) -> String {
    let (address, ttl, rule) = if second {
        (2, 22, "=blocked.example")
    } else {
        (1, 11, "blocked.example")
    };
    let mut text = "[lists]\nstarter = false\n".to_owned();
    for device in 1..=DEVICES {
        text += &format!(
            "[[device]]\nname = \"d{device}\"\nprofile = \"p{device}\"\n\
             address = [\"127.0.1.{device}\"]\n\
             [profile.p{device}]\ninherits = \"adult\"\nblock-names = [\"{rule}\"]\n\
             block-answer = \"address\"\nblock-addresses = [\"192.0.2.{address}\"]\n\
             block-ttl = \"{ttl}s\"\n"
        );
    }
    text
}

/// Which of the two worlds an answer is from; none if from a mixture.
fn world_of(reply: &Reply) -> Option<bool> {
    let (answers, ttls) = (reply.answers(), reply.ttls());
    let text = reply.ede()?.1;
    match (answers[0].as_str(), ttls[0], text.as_str()) {
        ("A 192.0.2.1", 11, "profile rule `blocked.example`") => Some(false),
        ("A 192.0.2.2", 22, "profile rule `=blocked.example`") => Some(true),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Load {
    asked: usize,
    longest: Duration,
    worlds: [usize; 2],
}

/// Asks from `device` until `is_over`, `rate` a second, half of it blocked and half cached.
fn load(home: &Home, device: u8, rate: usize, is_over: &AtomicBool) -> Load {
    let socket: UdpSocket = wire::udp([127, 0, 1, device].into(), home.v4);
    let mut under_way: HashMap<u16, Instant> = HashMap::new();
    let mut load = Load::default();
    let start = Instant::now();
    loop {
        let over = is_over.load(Ordering::SeqCst);
        if over && under_way.is_empty() {
            return load;
        }
        let due = (start.elapsed().as_secs_f64() * rate as f64) as usize;
        if !over && load.asked < due && under_way.len() < WINDOW {
            let name = ["blocked.example", "www.example.org"][load.asked % 2];
            let mut asked = ask(name, rtype::A).edns(1232);
            asked.id = load.asked as u16;
            socket.send(&asked.octets()).unwrap();
            under_way.insert(asked.id, Instant::now());
            load.asked += 1;
            continue;
        }
        if under_way.is_empty() {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        let octets = wire::receive(&socket).expect("no query is lost");
        let reply = Reply::read(octets);
        let sent = under_way.remove(&reply.id()).expect("one answer for each");
        load.longest = load.longest.max(sent.elapsed());
        if reply.id().is_multiple_of(2) {
            let world = world_of(&reply).unwrap_or_else(|| panic!("a mixture: {reply:?}"));
            load.worlds[usize::from(world)] += 1;
        } else {
            assert_eq!(reply.answers(), ["A 192.0.2.1"], "what is allowed stays so");
        }
    }
}

#[test]
fn twenty_reloads_under_load_lose_no_query_and_mix_nothing() {
    let home = Home::start(&world(false));
    home.look_up("127.0.1.1", "www.example.org", rtype::A);
    let is_over = AtomicBool::new(false);
    let start = Instant::now();
    let loads: Vec<Load> = scope(|scope| {
        let (home, is_over) = (&home, &is_over);
        let rate = RATE / usize::from(DEVICES);
        let running: Vec<_> = (1..=DEVICES)
            .map(|device| scope.spawn(move || load(home, device, rate, is_over)))
            .collect();
        for change in 1..=CHANGES {
            let second = change % 2 == 1;
            home.write_config(&world(second));
            wait_for("the change", || {
                let reply = home.look_up("127.0.1.1", "blocked.example", rtype::A);
                (world_of(&reply) == Some(second)).then_some(())
            });
        }
        is_over.store(true, Ordering::SeqCst);
        running.into_iter().map(|l| l.join().unwrap()).collect()
    });
    let took = start.elapsed();
    let asked: usize = loads.iter().map(|load| load.asked).sum();
    let longest = loads.iter().map(|load| load.longest).max().unwrap();
    println!(
        "{CHANGES} changes in {took:?}; {asked} queries, {:.0} a second, none lost; \
         longest {longest:?}",
        asked as f64 / took.as_secs_f64()
    );
    for load in &loads {
        assert!(load.worlds.iter().all(|count| *count > 0), "{loads:?}");
    }
    // Once, or a repeat more where the machine is busy; each of so many changes that took the cache
    // with it would ask anew.
    let times = home.upstream.times("www.example.org");
    assert!(times <= 3, "{times}: the cache lives on");
}

const RULES: &str = "[household]\nguest-profile = \"adult\"\nblock = [\"first.example\"]\n\
                     [lists]\nstarter = false\n";

fn is_blocked(home: &Home, name: &str) -> bool {
    home.look_up("127.0.0.1", name, rtype::A).ede_code() == Some(17)
}

/// Waits until the log has `text` `times` times.
fn wait_for_log(home: &Home, text: &str, times: usize) {
    wait_for(text, || {
        (home.log().matches(text).count() >= times).then_some(())
    });
}

#[test]
fn a_new_rule_holds_without_a_signal() {
    let home = Home::start(RULES);
    assert!(is_blocked(&home, "first.example"));
    assert!(!is_blocked(&home, "second.example"));
    home.write_config(&RULES.replace("first", "second"));
    wait_for("the rule", || {
        is_blocked(&home, "second.example").then_some(())
    });
    assert!(!is_blocked(&home, "first.example"));
    // Written in place, as some editors do.
    std::fs::write(home.path("conf.d/test.toml"), RULES).unwrap();
    wait_for("the rule", || {
        is_blocked(&home, "first.example").then_some(())
    });
    assert!(!is_blocked(&home, "second.example"));
}

#[test]
fn a_file_that_comes_and_goes_is_noticed() {
    let home = Home::start(RULES);
    home.write(
        "conf.d/20-more.toml",
        "[[device]]\nname = \"x\"\nprofile = \"adult\"\naddress = [\"127.0.0.1\"]\n\
         block = [\"more.example\"]\n",
    );
    wait_for("the rule", || {
        is_blocked(&home, "more.example").then_some(())
    });
    std::fs::remove_file(home.path("conf.d/20-more.toml")).unwrap();
    wait_for("its end", || {
        (!is_blocked(&home, "more.example")).then_some(())
    });
    assert!(is_blocked(&home, "first.example"));
}

#[test]
fn a_broken_configuration_leaves_the_old_one_in_force() {
    let home = Home::start(RULES);
    let broken = [
        ("syntax", "[household\n".to_owned()),
        ("a key", format!("{RULES}[cache]\nsise = \"1 MiB\"\n")),
        ("a profile", RULES.replace("\"adult\"", "\"nobody\"")),
        ("a value", format!("{RULES}[limits]\nburst = -1\n")),
        ("an empty byte", "\0".to_owned()),
    ];
    for ((what, text), times) in broken.iter().zip(1..) {
        let text = text.replace("first.example", "second.example");
        home.write_config(&text);
        wait_for_log(&home, "the one before stays in force", times);
        assert!(is_blocked(&home, "first.example"), "{what}");
        assert!(!is_blocked(&home, "second.example"), "{what}");
    }
    home.has_said("sise");
    home.has_said("conf.d/test.toml");
    home.write_config(&RULES.replace("first", "third"));
    wait_for("the repaired one", || {
        is_blocked(&home, "third.example").then_some(())
    });
}

#[test]
fn what_editors_leave_about_triggers_nothing() {
    let home = Home::start(RULES);
    for name in [
        ".test.toml.swp",
        ".test.toml.swx",
        "test.toml~",
        "4913",
        "#test.toml#",
        ".#test.toml",
        "test.toml.tmp",
    ] {
        for folder in ["conf.d", "."] {
            let path = home.path(folder).join(name);
            std::fs::write(&path, "[household\n").unwrap();
            std::fs::write(&path, "[household\nblock").unwrap();
            std::fs::remove_file(&path).unwrap();
        }
    }
    // These would have been read before what comes now.
    home.write_config(&RULES.replace("first", "second"));
    wait_for("the rule", || {
        is_blocked(&home, "second.example").then_some(())
    });
    // The rule holds a moment before that is said.
    home.has_said("reloaded");
    let log = home.log();
    assert_eq!(log.matches("nothing changed").count(), 0, "{log}");
    assert_eq!(log.matches("reloaded").count(), 1, "{log}");
    assert!(!log.contains("stays in force"), "{log}");
}

const LISTED: &str = "[household]\nguest-profile = \"x\"\n[lists]\nstarter = false\n\
                      [profile.x]\ninherits = \"adult\"\nblock = [\"games\"]\n\
                      [[list]]\nid = \"games\"\ncategory = \"games\"\nfile = \"games.txt\"\n\
                      format = \"domains\"\n";

#[test]
fn a_list_that_changed_is_read_and_one_that_vanished_still_holds() {
    let home = Home::start_with(LISTED, &[("games.txt", "one.example\n")]);
    assert!(is_blocked(&home, "www.one.example"));
    assert!(!is_blocked(&home, "two.example"));
    home.write("games.txt", "one.example\ntwo.example\n");
    wait_for("the new line", || {
        is_blocked(&home, "two.example").then_some(())
    });
    assert!(is_blocked(&home, "one.example"));
    // Deleted: an update that broke off must open nothing.
    std::fs::remove_file(home.path("games.txt")).unwrap();
    wait_for_log(&home, "list `games`", 1);
    assert!(is_blocked(&home, "one.example"));
    assert!(is_blocked(&home, "two.example"));
    // Reloaded for another reason, it still holds.
    home.write_config(&LISTED.replace("[household]\n", "[household]\nblock = [\"x.example\"]\n"));
    wait_for("the rule", || is_blocked(&home, "x.example").then_some(()));
    assert!(is_blocked(&home, "two.example"), "the list was lost");
    // It comes back with other content.
    home.write("games.txt", "three.example\n");
    wait_for("the list", || {
        is_blocked(&home, "three.example").then_some(())
    });
    assert!(!is_blocked(&home, "one.example"));
}

#[test]
fn hang_up_reads_what_the_watch_overlooks() {
    // A file with a number for a name looks like an editor's.
    let config = LISTED.replace("games.txt", "4913");
    let home = Home::start_with(&config, &[("4913", "one.example\n")]);
    assert!(is_blocked(&home, "one.example"));
    home.write("4913", "two.example\n");
    home.signal("HUP");
    wait_for("the list", || {
        is_blocked(&home, "two.example").then_some(())
    });
    assert!(!is_blocked(&home, "one.example"));
}

#[test]
fn a_storm_of_hang_ups_is_survived() {
    let home = Home::start(RULES);
    for number in 0..50 {
        home.signal("HUP");
        assert!(is_blocked(&home, "first.example"), "{number}");
    }
    home.write_config(&RULES.replace("first", "second"));
    wait_for("the rule", || {
        is_blocked(&home, "second.example").then_some(())
    });
}

#[test]
fn a_reload_does_not_lose_the_questions_under_way() {
    let home = Home::start(RULES);
    let gate = Gate::default();
    let held = Say::Held(gate.clone(), Box::new(Say::address("192.0.2.9")));
    home.upstream.on_name("slow.example.org", held);
    let asked = ask("slow.example.org", rtype::A).edns(1232);
    let socket = wire::udp(asked.from, home.v4);
    socket.send(&asked.octets()).unwrap();
    wait_for("the question at upstream", || {
        (home.upstream.times("slow.example.org") > 0).then_some(())
    });
    // Even the table of questions is another one after this.
    let changed = format!("{RULES}[limits]\nin-flight = 300\n[upstream]\nbudget = \"1.4s\"\n");
    home.write_config(&changed);
    wait_for_log(&home, "reloaded", 1);
    gate.open();
    let reply = Reply::read(wire::receive(&socket).expect("an answer"));
    assert_eq!(reply.answers(), ["A 192.0.2.9"], "{:?}", reply.ede());
}
