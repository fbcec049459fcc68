//! RFC 8767: an answer past its time is better than none.

use std::time::Instant;

use crate::support::upstream::address;
use crate::support::wire::{ask, rtype};
use crate::support::{Home, Say, wait_for};

/// Asks until the answer is past its time.
fn wait_until_stale(home: &Home, name: &str) -> crate::support::Reply {
    wait_for("a stale answer", || {
        let reply = home.ask(&ask(name, rtype::A).edns(1232));
        assert_eq!(reply.answers(), ["A 192.0.2.1"], "{:?}", reply.ede());
        (reply.ede_code() == Some(3)).then_some(reply)
    })
}

#[test]
fn section_4_when_upstream_falls_silent_the_last_answer_serves_with_ede_3() {
    let home = crate::home();
    let say = Say::one(address("192.0.2.1").ttl(1));
    home.upstream.on_name("www.example.org", say);
    home.ask(&ask("www.example.org", rtype::A));
    home.upstream.be_silent(true);
    let reply = wait_until_stale(&home, "www.example.org");
    // Section 4 recommends a TTL of 30 seconds for it.
    assert_eq!(reply.ttls(), [30]);
    assert_eq!(reply.rcode(), 0);
    // From now on at once (section 5: a recent failure need not be found out again).
    let start = Instant::now();
    let reply = home.ask(&ask("www.example.org", rtype::A).edns(1232));
    assert_eq!(reply.ede_code(), Some(3));
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
    // A name nobody ever knew fails.
    let reply = home.ask(&ask("other.example.org", rtype::A).edns(1232));
    assert_eq!(reply.rcode(), 2);
    // Upstream speaks again, and so do we.
    home.upstream.be_silent(false);
    let say = Say::one(address("192.0.2.2").ttl(60));
    home.upstream.on_name("www.example.org", say);
    wait_for("the fresh answer", || {
        let reply = home.ask(&ask("www.example.org", rtype::A).edns(1232));
        (reply.answers() == ["A 192.0.2.2"] && reply.ede().is_none()).then_some(())
    });
}

#[test]
fn section_4_a_no_past_its_time_serves_too() {
    let home = crate::home();
    home.upstream.on_name("gone.example.org", Say::NxDomain(1));
    home.ask(&ask("gone.example.org", rtype::A));
    home.upstream.be_silent(true);
    wait_for("a stale no", || {
        let reply = home.ask(&ask("gone.example.org", rtype::A).edns(1232));
        assert_eq!(reply.rcode(), 3);
        (reply.ede_code() == Some(3)).then_some(())
    });
}

#[test]
fn a_stale_answer_is_judged_like_a_fresh_one() {
    let home = Home::family();
    let say = Say::one(address("192.0.2.1").ttl(1));
    home.upstream.on_name("casino.example", say);
    let parent = || ask("casino.example", rtype::A).from("127.0.0.5").edns(1232);
    home.ask(&parent());
    home.upstream.be_silent(true);
    wait_for("a stale answer", || {
        (home.ask(&parent()).ede_code() == Some(3)).then_some(())
    });
    let reply = home.look_up("127.0.0.3", "casino.example", rtype::A);
    assert_eq!(reply.answers(), ["A 0.0.0.0"]);
    assert_eq!(reply.ede_code(), Some(17));
}

/// Section 5 lets any other RCODE count as an outage. A filter that refuses has decided.
#[test]
fn section_5_what_upstream_refuses_by_now_is_not_answered_from_the_past() {
    let home = crate::home();
    for (name, rcode, is_answered) in [
        ("refused.example.org", 5, false),
        ("broken.example.org", 2, true),
    ] {
        let say = Say::one(address("192.0.2.1").ttl(1));
        home.upstream.on_name(name, say);
        let query = || ask(name, rtype::A).edns(1232);
        assert_eq!(home.ask(&query()).answers(), ["A 192.0.2.1"]);
        home.upstream.on_name(name, Say::Rcode(rcode));
        let reply = wait_for("what comes of it", || {
            let reply = home.ask(&query());
            let is_past = reply.rcode() != 0 || reply.ede_code().is_some();
            is_past.then_some(reply)
        });
        match is_answered {
            true => assert_eq!((reply.rcode(), reply.ede_code()), (0, Some(3)), "{name}"),
            false => assert_eq!((reply.rcode(), reply.ede_code()), (2, Some(22)), "{name}"),
        }
        // And so again, as long as the failure is remembered.
        assert_eq!(home.ask(&query()).ede_code(), reply.ede_code(), "{name}");
    }
}

#[test]
fn section_4_it_can_be_switched_off() {
    let config = format!("{}[cache]\nserve-stale = \"0\"\n", crate::GROWN_UPS);
    let home = Home::start(&config);
    let say = Say::one(address("192.0.2.1").ttl(1));
    home.upstream.on_name("www.example.org", say);
    home.ask(&ask("www.example.org", rtype::A));
    home.upstream.be_silent(true);
    wait_for("a failure", || {
        let reply = home.ask(&ask("www.example.org", rtype::A).edns(1232));
        (reply.rcode() == 2).then_some(())
    });
}
