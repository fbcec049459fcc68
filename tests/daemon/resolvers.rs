//! Profiles with resolvers of their own.

use crate::control::told;
use crate::support::Home;
use crate::support::home::FAMILY;
use crate::support::upstream::{Say, Upstream, address};
use crate::support::wire::rtype;

const TABLET: &str = "127.0.0.2";
const PARENT: &str = "127.0.0.5";

/// What a login page said must not be answered once somebody has signed in.
#[test]
fn what_a_login_page_said_is_forgotten() {
    let home = Home::start(FAMILY);
    let names: Vec<String> = (0..6).map(|it| format!("www.site{it}.example")).collect();
    for name in &names {
        let portal = Say::one(address("10.0.0.1").ttl(3600));
        home.upstream.on_name(name, portal);
        home.look_up(PARENT, name, rtype::A);
    }
    for name in &names {
        home.upstream
            .on_name(name, Say::one(address("192.0.2.9").ttl(60)));
    }
    assert_eq!(
        home.look_up(PARENT, "signed-in.example", rtype::A).rcode(),
        0
    );
    for name in &names {
        let reply = home.look_up(PARENT, name, rtype::A);
        assert_eq!(reply.answers(), ["A 192.0.2.9"], "{name}");
    }
}

#[test]
fn a_profile_asks_its_own_resolvers_and_lifelines_the_household_s() {
    let small = Upstream::start();
    let config = format!(
        "{FAMILY}\n[resolvers.small]\nservers = [\"{}\"]\n\
         [profile.preschooler]\nallow-only = false\nresolvers = \"small\"\n",
        small.address
    );
    let home = Home::start(&config);
    small.on_name("news.example", Say::NxDomain(60));
    small.on_name("helpline.example", Say::NxDomain(60));
    for _ in 0..2 {
        // In turn, so that each would find the other's answer in the cache if it were the same.
        assert_eq!(home.look_up(TABLET, "news.example", rtype::A).rcode(), 3);
        assert_eq!(home.look_up(PARENT, "news.example", rtype::A).rcode(), 0);
    }
    assert_eq!(small.times("news.example"), 1);
    assert_eq!(home.upstream.times("news.example"), 1);
    let helpline = home.look_up(TABLET, "helpline.example", rtype::A);
    assert_eq!(helpline.rcode(), 0, "no filter of theirs closes it");
    assert_eq!(small.times("helpline.example"), 0);
    let status = told(&home, &["status"]);
    let line = format!("{} udp of small: answers", small.address);
    assert!(status.contains(&line), "{status}");
    let why = told(&home, &["explain", "news.example", "--device", "tablet"]);
    assert!(why.contains("asked of the resolvers `small`"), "{why}");
    let why = told(
        &home,
        &["explain", "helpline.example", "--device", "tablet"],
    );
    assert!(!why.contains("`small`"), "{why}");
    assert!(why.contains("asked of the household's resolvers"), "{why}");
    let shown = told(&home, &["profile", "show", "preschooler"]);
    let line = |key: &str| {
        let mut lines = shown.lines();
        let line = lines.find(|line| line.starts_with(key));
        line.map(|line| line[key.len()..].trim().to_owned())
    };
    assert_eq!(line("resolvers").as_deref(), Some("small"), "{shown}");
}
