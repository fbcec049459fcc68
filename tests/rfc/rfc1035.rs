//! RFC 1035 (with RFC 2181, RFC 4343, RFC 4035): the message, its flags and its question.

use crate::support::upstream::{address, unknown};
use crate::support::wire::{self, ask, rtype};
use crate::support::{Say, wait_for};

#[test]
fn section_4_1_1_ra_is_set_and_aa_and_ad_never_are() {
    let home = crate::home();
    let mut cases = 0;
    for (name, say) in [
        ("positive.example.org", Say::address("192.0.2.1")),
        ("negative.example.org", Say::NxDomain(60)),
        ("failing.example.org", Say::Rcode(2)),
        ("localhost", Say::Silence),
    ] {
        home.upstream.on_name(name, say);
        // Twice: from upstream, from the cache. AD and CD asked for as well.
        for second in [0x00, 0x20, 0x10, 0x30] {
            let asked = ask(name, rtype::A).flags(1, second).edns(1232);
            // `ask` looks at AA, AD, Z and RD.
            let reply = home.ask(&asked.edns_flags(0x8000));
            assert!(reply.message.metadata.recursion_available, "{name}");
            let cd = reply.octets[3] & 0x10;
            assert_eq!(cd, second & 0x10, "{name}: CD as it came (RFC 4035 3.2.2)");
            cases += 1;
        }
    }
    assert_eq!(cases, 16);
}

#[test]
fn section_4_3_1_without_rd_nothing_is_told_of_what_others_asked() {
    let home = crate::home();
    let asked = || ask("www.example.org", rtype::A).flags(0, 0).edns(1232);
    let reply = home.ask(&asked());
    assert_eq!((reply.rcode(), reply.answers()), (5, vec![]));
    assert_eq!(home.upstream.count(), 0, "nothing is asked on its behalf");
    home.ask(&ask("www.example.org", rtype::A));
    let again = home.ask(&asked());
    assert_eq!((again.rcode(), again.answers()), (5, vec![]));
    assert_eq!(again.ede(), reply.ede(), "known or not");
    assert_eq!(again.octets[2] & 1, 0, "RD as it came");
    // What is answered here was asked by nobody.
    let own = home.ask(&ask("localhost", rtype::A).flags(0, 0));
    assert_eq!(own.answers(), ["A 127.0.0.1"]);
}

#[test]
fn section_4_1_2_the_question_comes_back_letter_for_letter() {
    // The case of letters is a guard against forged answers (draft-vixie-dnsext-dns0x20).
    let home = crate::home();
    home.upstream.on_name("gone.example.org", Say::NxDomain(60));
    for name in [
        "wWw.eXaMpLe.OrG",
        "WWW.EXAMPLE.ORG",
        "www.example.org",
        "GoNe.example.org",
        "LocalHost",
        "x.ONION",
    ] {
        for _ in 0..2 {
            let asked = ask(name, rtype::A);
            let reply = home.ask(&asked);
            let end = 12 + wire::name(name).len() + 4;
            assert_eq!(reply.octets[12..end], asked.octets()[12..end], "{name}");
        }
    }
    // RFC 4343: three spellings are one name.
    assert_eq!(home.upstream.times("www.example.org"), 1);
}

#[test]
fn section_3_2_4_other_classes_are_refused_before_any_look_up() {
    let home = crate::home();
    for class in [2, 3, 4, 254, 255] {
        for (name, qtype) in [
            ("version.bind", rtype::TXT),
            ("www.example.org", rtype::A),
            ("localhost", rtype::A),
        ] {
            let reply = home.ask(&ask(name, qtype).class(class).edns(1232));
            assert_eq!(reply.rcode(), 5, "class {class} {name}");
            assert_eq!(reply.answers(), [""; 0]);
        }
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn section_3_2_3_zone_transfers_are_refused() {
    let home = crate::home();
    for qtype in [rtype::AXFR, rtype::IXFR] {
        let reply = home.ask(&ask("example.org", qtype));
        assert_eq!(reply.rcode(), 5, "{qtype} over UDP");
        let reply = home.connect().ask(&ask("example.org", qtype));
        assert_eq!(reply.rcode(), 5, "{qtype} over TCP");
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn section_2_3_4_names_at_their_limits() {
    let home = crate::home();
    let label = "x".repeat(63);
    // 3 labels of 63 and one of 61: 255 octets with lengths and root.
    let longest = format!("{label}.{label}.{label}.{}", "y".repeat(61));
    assert_eq!(wire::name(&longest).len(), 255);
    let reply = home.ask(&ask(&longest, rtype::A));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    let too_long = format!("{label}.{label}.{label}.{}", "y".repeat(62));
    let asked = ask(&too_long, rtype::A);
    let octets = wire::exchange(home.v4, asked.from, &asked.octets()).unwrap();
    assert_eq!(octets[3] & 0xf, 1, "FORMERR");
    // A label of 64 is a pointer's or an extension's first octet: not in a question.
    for octet in [0x40, 0x80, 0xc0] {
        let mut octets = ask("www.example.org", rtype::A).octets();
        octets[12] = octet;
        let reply = wire::exchange(home.v4, asked.from, &octets).unwrap();
        assert_eq!(reply[3] & 0xf, 1, "{octet:#x}: FORMERR");
    }
    let reply = home.ask(&ask(".", rtype::NS));
    assert_eq!(reply.rcode(), 0, "the root is a name");
}

#[test]
fn section_3_1_labels_are_octets() {
    // RFC 2181 section 11: any octets may stand in a label.
    let home = crate::home();
    let mut octets = ask("abcde.example.org", rtype::A).octets();
    octets[13..18].copy_from_slice(&[0, b'.', 0xff, b' ', b'\\']);
    let from = std::net::IpAddr::from([127, 0, 0, 1]);
    let reply = wire::exchange(home.v4, from, &octets).unwrap();
    assert_eq!((reply[3] & 0xf, reply[7]), (0, 1));
    assert_eq!(reply[12..18], octets[12..18]);
}

#[test]
fn rfc_3597_section_3_the_whole_rrset_of_an_unknown_type_is_handed_on() {
    // Types nobody knows are octets.
    let home = crate::home();
    let records = vec![unknown(65_280, b"\x01\x02"), unknown(65_280, b"\xff")];
    home.upstream
        .on_name("www.example.org", Say::Records(records));
    let reply = home.ask(&ask("www.example.org", 65_280));
    assert_eq!(reply.message.answers.len(), 2);
    assert!(reply.octets.windows(4).any(|w| w == [0, 2, 1, 2]));
}

#[test]
fn section_3_2_1_ttls_count_down_in_the_cache() {
    let home = crate::home();
    let say = Say::one(address("192.0.2.1").ttl(100));
    home.upstream.on_name("www.example.org", say);
    let first = home.ask(&ask("www.example.org", rtype::A)).ttls()[0];
    assert!((99..=100).contains(&first), "{first}");
    let later = wait_for("a second to pass", || {
        let ttl = home.ask(&ask("www.example.org", rtype::A)).ttls()[0];
        (ttl < first).then_some(ttl)
    });
    assert!(later >= first - 5, "{later}");
    assert_eq!(home.upstream.times("www.example.org"), 1);
}

#[test]
fn rfc_2181_section_8_a_ttl_with_the_top_bit_is_zero() {
    let home = crate::home();
    let say = Say::one(address("192.0.2.1").ttl(0x8000_0001));
    home.upstream.on_name("www.example.org", say);
    assert_eq!(home.ask(&ask("www.example.org", rtype::A)).ttls(), [0]);
    home.ask(&ask("www.example.org", rtype::A));
    assert_eq!(home.upstream.times("www.example.org"), 2, "never kept");
}

#[test]
fn rfc_2181_section_5_4_1_a_record_outside_of_the_question_is_not_kept() {
    let home = crate::home();
    let say = Say::Records(vec![
        address("192.0.2.1"),
        address("192.0.2.66").of("bank.example.net"),
    ]);
    home.upstream.on_name("www.example.org", say);
    let reply = home.ask(&ask("www.example.org", rtype::A));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    home.upstream
        .on_name("bank.example.net", Say::address("192.0.2.2"));
    let reply = home.ask(&ask("bank.example.net", rtype::A));
    assert_eq!(reply.answers(), ["A 192.0.2.2"]);
}

#[test]
fn section_3_6_2_an_alias_that_leads_in_a_circle_is_a_failure() {
    use crate::support::upstream::cname;
    let home = crate::home();
    let circle = Say::Records(vec![
        cname("b.example.org"),
        cname("a.example.org").of("b.example.org"),
    ]);
    home.upstream.on_name("a.example.org", circle);
    home.upstream
        .on_name("self.example.org", Say::one(cname("self.example.org")));
    for name in ["a.example.org", "self.example.org"] {
        let reply = home.ask(&ask(name, rtype::A).edns(1232));
        assert_eq!((reply.rcode(), reply.answers()), (2, vec![]), "{name}");
        assert!(reply.ede().is_some(), "{name}");
    }
    assert_eq!(home.ask(&ask("www.example.org", rtype::A)).rcode(), 0);
}
