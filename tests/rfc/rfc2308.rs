//! RFC 2308: a "no" is kept as long as its SOA allows.

use crate::support::wire::{ask, rtype};
use crate::support::{Home, Say, wait_for};

#[test]
fn section_5_the_smaller_of_the_soa_s_ttl_and_minimum_counts() {
    let home = crate::home();
    let up = &home.upstream;
    up.on_name("gone.example.org", Say::NxDomain(40));
    up.on_name("empty.example.org", Say::NoData(40));
    for (name, rcode) in [("gone.example.org", 3), ("empty.example.org", 0)] {
        for _ in 0..3 {
            let reply = home.ask(&ask(name, rtype::A));
            assert_eq!((reply.rcode(), reply.answers()), (rcode, vec![]), "{name}");
            let ttl = reply.soa_ttl().expect("the SOA goes along (section 3)");
            assert!((35..=40).contains(&ttl), "{name}: {ttl}");
        }
        assert_eq!(up.times(name), 1, "{name} is kept");
    }
}

#[test]
fn section_2_2_nodata_is_of_one_type() {
    let home = crate::home();
    home.upstream
        .on_question("www.example.org", rtype::AAAA, Say::NoData(60));
    let reply = home.ask(&ask("www.example.org", rtype::AAAA));
    assert_eq!((reply.rcode(), reply.answers()), (0, vec![]));
    let reply = home.ask(&ask("www.example.org", rtype::A));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
}

#[test]
fn section_5_without_an_soa_nothing_is_kept() {
    let home = crate::home();
    home.upstream.on_name("gone.example.org", Say::Rcode(3));
    for _ in 0..2 {
        assert_eq!(home.ask(&ask("gone.example.org", rtype::A)).rcode(), 3);
    }
    assert_eq!(home.upstream.times("gone.example.org"), 2);
}

#[test]
fn section_5_a_no_ends_with_its_time() {
    let home = crate::home();
    home.upstream.on_name("new.example.org", Say::NxDomain(1));
    assert_eq!(home.ask(&ask("new.example.org", rtype::A)).rcode(), 3);
    home.upstream
        .on_name("new.example.org", Say::address("192.0.2.5"));
    wait_for("the new name", || {
        let reply = home.ask(&ask("new.example.org", rtype::A));
        (reply.answers() == ["A 192.0.2.5"]).then_some(())
    });
    assert_eq!(home.upstream.times("new.example.org"), 2);
}

#[test]
fn section_5_the_longest_time_is_ours_to_set() {
    let config = format!("{}[cache]\nmax-negative-ttl = \"1s\"\n", crate::GROWN_UPS);
    let home = Home::start(&config);
    home.upstream
        .on_name("gone.example.org", Say::NxDomain(3600));
    home.ask(&ask("gone.example.org", rtype::A));
    wait_for("the second question", || {
        home.ask(&ask("gone.example.org", rtype::A));
        (home.upstream.times("gone.example.org") == 2).then_some(())
    });
}

#[test]
fn section_7_1_a_failure_is_kept_for_a_moment_and_answered_at_once() {
    let home = crate::home();
    home.upstream.on_name("broken.example.org", Say::Rcode(2));
    let reply = home.ask(&ask("broken.example.org", rtype::A).edns(1232));
    assert_eq!((reply.rcode(), reply.ede_code()), (2, Some(23)));
    let asked = home.upstream.times("broken.example.org");
    for _ in 0..5 {
        let reply = home.ask(&ask("broken.example.org", rtype::A).edns(1232));
        assert_eq!(reply.rcode(), 2);
        let (code, text) = reply.ede().expect("why");
        assert_eq!(code, 23, "{text}");
        assert!(text.starts_with("failed before"), "{text}");
    }
    assert_eq!(home.upstream.times("broken.example.org"), asked);
}
