//! RFC 6891: EDNS(0).

use crate::support::upstream::unknown;
use crate::support::wire::{self, ask, rtype};
use crate::support::{Reply, Say};

#[test]
fn section_7_an_opt_exactly_if_the_query_had_one() {
    let home = crate::home();
    home.upstream.on_name("gone.example.org", Say::NxDomain(60));
    home.upstream.on_name("bad.example.org", Say::Rcode(2));
    for name in [
        "www.example.org",
        "gone.example.org",
        "bad.example.org",
        "localhost",
        "x.test",
    ] {
        for qtype in [rtype::A, rtype::ANY, rtype::AXFR] {
            let bare = home.ask(&ask(name, qtype));
            assert!(bare.message.edns.is_none(), "{name} {qtype}");
            let reply = home.ask(&ask(name, qtype).edns(4096));
            let edns = reply.message.edns.as_ref().expect(name);
            assert_eq!((edns.version(), edns.max_payload()), (0, 1232), "{name}");
        }
    }
}

#[test]
fn section_6_1_3_a_version_we_do_not_know_gets_badvers_and_ours() {
    let home = crate::home();
    for version in [1, 2, 100, 255] {
        let asked = ask("www.example.org", rtype::A)
            .edns(1232)
            .edns_version(version)
            .option(65_001, b"of another time");
        let reply = home.ask(&asked);
        assert_eq!(reply.rcode(), 16, "version {version}");
        assert_eq!(reply.message.edns.as_ref().unwrap().version(), 0);
        assert_eq!(reply.answers(), [""; 0]);
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn section_6_1_1_two_opts_are_a_format_error() {
    let home = crate::home();
    let asked = ask("www.example.org", rtype::A).edns(1232).opts(2);
    let octets = wire::exchange(home.v4, asked.from, &asked.octets()).unwrap();
    assert_eq!(octets[3] & 0xf, 1);
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn section_6_1_2_an_opt_belongs_to_the_root() {
    let home = crate::home();
    let mut octets = ask("www.example.org", rtype::A).octets();
    octets[11] = 1;
    octets.extend(b"\x01x\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    let from = std::net::IpAddr::from([127, 0, 0, 1]);
    let reply = wire::exchange(home.v4, from, &octets).unwrap();
    assert_eq!(reply[3] & 0xf, 1);
}

#[test]
fn section_6_1_4_do_is_copied_and_other_flags_are_not() {
    // RFC 3225 section 3.
    let home = crate::home();
    for (flags, expected) in [(0, false), (0x8000, true), (0x7fff, false), (0xffff, true)] {
        let asked = ask("www.example.org", rtype::A)
            .edns(1232)
            .edns_flags(flags);
        let reply = home.ask(&asked);
        let edns = reply.message.edns.as_ref().unwrap();
        assert_eq!(edns.flags().dnssec_ok, expected, "{flags:#x}");
        assert_eq!(edns.flags().z, 0, "{flags:#x}");
    }
}

#[test]
fn section_6_1_2_unknown_options_are_dropped_here() {
    let home = crate::home();
    let asked = ask("www.example.org", rtype::A)
        .option(65_001, b"hello")
        .option(8, &[0, 1, 24, 0, 192, 0, 2])
        .option(3, b"")
        .option(12, &[0; 64]);
    let reply = home.ask(&asked);
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    for code in [65_001, 8, 3, 12] {
        assert_eq!(reply.option(code), None, "option {code}");
    }
    // Nor do they go on: a client subnet tells where the family lives.
    let seen = home.upstream.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].octets.windows(5).any(|w| w == b"hello"));
    let opt = &seen[0].octets[seen[0].octets.len() - 11..];
    assert_eq!(opt[..3], [0, 0, 41], "an OPT without options");
    assert_eq!(opt[9..], [0, 0]);
}

#[test]
fn section_6_1_2_a_cut_option_is_a_format_error() {
    let home = crate::home();
    let mut octets = ask("www.example.org", rtype::A)
        .option(10, &[1; 8])
        .octets();
    let length = octets.len();
    // The option says that it is longer than the record.
    octets[length - 9] = 200;
    let from = std::net::IpAddr::from([127, 0, 0, 1]);
    let reply = wire::exchange(home.v4, from, &octets).unwrap();
    assert_eq!(reply[3] & 0xf, 1);
}

#[test]
fn section_6_2_3_less_than_512_counts_as_512() {
    let home = crate::home();
    home.upstream
        .on_name("www.example.org", Say::one(unknown(65_280, &[1; 400])));
    for payload in [0, 1, 511, 512] {
        let reply = home.ask(&ask("www.example.org", 65_280).edns(payload));
        assert!(!reply.is_truncated(), "{payload}");
        assert!(reply.octets.len() > 400, "{payload}");
    }
}

#[test]
fn section_6_1_1_the_opt_may_stand_before_other_records() {
    // Which mean nothing in a query, and do no harm.
    let home = crate::home();
    let mut octets = ask("www.example.org", rtype::A).edns(1232).octets();
    octets[11] = 2;
    octets.extend(b"\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\xc0\x00\x02\x01");
    let from = std::net::IpAddr::from([127, 0, 0, 1]);
    let reply = Reply::read(wire::exchange(home.v4, from, &octets).unwrap());
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    assert!(reply.message.edns.is_some());
}
