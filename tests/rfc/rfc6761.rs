//! Special-use names (RFC 6761, 6303, 7686, 7793, 8375, 9462, 9476): answered here, never asked.

use crate::support::wire::{ask, rtype};
use crate::support::{Home, Say};

#[test]
fn none_of_them_is_ever_sent_upstream() {
    let home = crate::home();
    let mut cases = 0;
    for (name, rcode) in [
        // RFC 6761 section 6.3.
        ("localhost", 0),
        ("www.localhost", 0),
        // Sections 6.2 and 6.4.
        ("test", 3),
        ("www.test", 3),
        ("invalid", 3),
        ("a.b.invalid", 3),
        // RFC 6762 section 22.1.
        ("printer.local", 3),
        // RFC 7686 section 2.
        ("abcdefghijklmnop.onion", 3),
        // RFC 9476 section 3.
        ("name.alt", 3),
        // RFC 8375 section 4. Names below it may be there, so it is (RFC 8020).
        ("home.arpa", 0),
        ("tablet.home.arpa", 3),
        // RFC 9462 section 6.4.
        ("resolver.arpa", 0),
        ("_dns.resolver.arpa", 0),
        // RFC 6303 sections 4.2 to 4.6.
        ("10.in-addr.arpa", 3),
        ("1.2.3.10.in-addr.arpa", 3),
        ("1.0.16.172.in-addr.arpa", 3),
        ("1.0.31.172.in-addr.arpa", 3),
        ("1.1.168.192.in-addr.arpa", 3),
        ("1.0.0.127.in-addr.arpa", 3),
        ("1.2.254.169.in-addr.arpa", 3),
        ("255.255.255.255.in-addr.arpa", 3),
        ("0.in-addr.arpa", 3),
        ("d.f.ip6.arpa", 3),
        ("1.0.8.e.f.ip6.arpa", 3),
        // RFC 7793.
        ("1.0.64.100.in-addr.arpa", 3),
        ("1.0.127.100.in-addr.arpa", 3),
    ] {
        for qtype in [
            rtype::A,
            rtype::AAAA,
            rtype::PTR,
            rtype::TXT,
            rtype::HTTPS,
            rtype::SOA,
            64,
        ] {
            let reply = home.ask(&ask(name, qtype));
            assert_eq!(reply.rcode(), rcode, "{name} type {qtype}");
            let has_answer = matches!(
                (name, qtype),
                ("localhost" | "www.localhost", rtype::A | rtype::AAAA)
            );
            assert_eq!(
                reply.answers().len(),
                usize::from(has_answer),
                "{name} {qtype}"
            );
            if !has_answer {
                assert!(reply.soa_ttl().is_some(), "{name} {qtype}: may be kept");
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 26 * 7);
    assert_eq!(home.upstream.seen(), []);
}

#[test]
fn rfc_6761_section_6_3_localhost_is_this_machine() {
    let home = crate::home();
    for name in ["localhost", "anything.below.localhost", "LOCALHOST"] {
        assert_eq!(home.ask(&ask(name, rtype::A)).answers(), ["A 127.0.0.1"]);
        assert_eq!(home.ask(&ask(name, rtype::AAAA)).answers(), ["AAAA ::1"]);
    }
}

#[test]
fn their_neighbours_are_asked() {
    let home = crate::home();
    let names = [
        "notlocalhost",
        "mytest",
        "test.example.org",
        "local.example.org",
        "ipv4only.arpa",
        "1.0.32.172.in-addr.arpa",
        "1.0.128.100.in-addr.arpa",
        "1.2.0.192.in-addr.arpa",
        "onion.example.org",
    ];
    for name in names {
        home.ask(&ask(name, rtype::A));
        assert_eq!(home.upstream.times(name), 1, "{name}");
    }
}

#[test]
fn rfc_8375_section_4_a_home_that_has_its_own_zone_is_asked() {
    let asked_at_home = crate::support::Upstream::start();
    asked_at_home.on_name("tablet.home.arpa", Say::address("192.168.1.20"));
    let config = format!(
        "{}[[forward]]\ndomain = \"home.arpa\"\nservers = [\"{}\"]\n",
        crate::GROWN_UPS,
        asked_at_home.address
    );
    let home = Home::start(&config);
    let reply = home.ask(&ask("tablet.home.arpa", rtype::A).edns(1232));
    // And its private addresses are no rebinding: the home said it knows them.
    assert_eq!(reply.answers(), ["A 192.168.1.20"], "{:?}", reply.ede());
    assert_eq!(home.upstream.count(), 0, "the public one is not asked");
    let reply = home.ask(&ask("x.test", rtype::A));
    assert_eq!(reply.rcode(), 3);
}
