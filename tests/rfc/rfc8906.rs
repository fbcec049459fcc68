//! RFC 8906: every question gets an answer, and what is no question gets none.

use crate::support::wire::{self, ask, rtype};
use crate::support::{Reply, Say};

/// The answer to something that `Home::ask` would not call a sound question.
fn answer(home: &crate::support::Home, octets: &[u8]) -> Vec<u8> {
    let from = std::net::IpAddr::from([127, 0, 0, 1]);
    wire::exchange(home.v4, from, octets).expect("an answer")
}

#[test]
fn section_3_1_3_unknown_opcodes_are_not_implemented() {
    let home = crate::home();
    for opcode in 1..16_u8 {
        let asked = ask("www.example.org", rtype::A).flags(opcode << 3, 0);
        for octets in [asked.octets(), asked.clone().edns(1232).octets()] {
            let reply = answer(&home, &octets);
            assert_eq!(reply[..2], octets[..2], "ID");
            assert_eq!(reply[2] & 0xf8, 0x80 | opcode << 3, "QR and the opcode");
            assert_eq!(reply[3] & 0xf, 4, "opcode {opcode}: NOTIMP");
        }
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn section_3_1_1_unknown_types_are_asked() {
    let home = crate::home();
    for qtype in [
        2, 6, 11, 13, 15, 16, 24, 33, 35, 43, 44, 46, 48, 52, 64, 65, 99, 100, 127, 128, 256, 257,
        258, 1000, 32_768, 65_280, 65_534,
    ] {
        let reply = home.ask(&ask("www.example.org", qtype));
        assert_eq!(reply.rcode(), 0, "type {qtype}");
        let times = home.upstream.times_of_type("www.example.org", qtype);
        assert_eq!(times, 1, "type {qtype}");
    }
}

#[test]
fn section_3_1_2_unknown_flags_are_ignored() {
    // Z, the last reserved bit of the header.
    let home = crate::home();
    let reply = home.ask(&ask("www.example.org", rtype::A).flags(1, 0x40));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    // AA, TC and RA, which mean nothing in a query.
    let reply = home.ask(&ask("www.example.org", rtype::A).flags(1 | 0x04 | 0x02, 0x80));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    assert!(!reply.is_truncated());
    // An RCODE in a query means nothing either.
    let reply = home.ask(&ask("www.example.org", rtype::A).flags(1, 0x05));
    assert_eq!(reply.rcode(), 0);
}

#[test]
fn a_response_gets_silence() {
    let home = crate::home();
    for first in [0x80, 0x81, 0xff] {
        let octets = ask("www.example.org", rtype::A).flags(first, 0).octets();
        assert!(home.is_silent_to(&octets), "{first:#x}");
    }
    // So does what has no header.
    for length in 0..12 {
        assert!(home.is_silent_to(&vec![1; length]), "{length} octets");
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn no_question_or_two_are_a_format_error() {
    // RFC 9619 section 4.
    let home = crate::home();
    for count in [0, 2, 3, 255] {
        let asked = ask("www.example.org", rtype::A).questions(count);
        let reply = answer(&home, &asked.octets());
        assert_eq!(reply[..2], asked.octets()[..2]);
        assert_eq!(reply[3] & 0xf, 1, "{count} questions");
    }
    // One that is told and not there, and octets after the end.
    let whole = ask("www.example.org", rtype::A).octets();
    for cut in 12..whole.len() {
        assert_eq!(answer(&home, &whole[..cut])[3] & 0xf, 1, "cut at {cut}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(answer(&home, &longer)[3] & 0xf, 1);
    // Records where only a question belongs.
    for section in [7, 9] {
        let mut octets = whole.clone();
        octets[section] = 1;
        octets.extend(b"\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\xc0\x00\x02\x01");
        assert_eq!(answer(&home, &octets)[3] & 0xf, 1, "section at {section}");
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn section_3_2_unknown_edns_things_are_survived() {
    let home = crate::home();
    let asked = ask("www.example.org", rtype::A).option(100, b"");
    assert_eq!(home.ask(&asked).answers(), ["A 192.0.2.1"]);
    let asked = ask("www.example.org", rtype::A)
        .edns(1232)
        .edns_flags(0x0040);
    assert_eq!(home.ask(&asked).answers(), ["A 192.0.2.1"]);
    let asked = ask("www.example.org", rtype::A)
        .edns_version(1)
        .option(100, b"");
    assert_eq!(home.ask(&asked.edns_flags(0x0040)).rcode(), 16);
}

#[test]
fn types_that_are_no_data_are_told_apart() {
    let home = crate::home();
    for (qtype, rcode) in [
        (0, 1),
        (41, 1),
        (249, 4),
        (250, 4),
        (251, 5),
        (252, 5),
        (253, 4),
        (254, 4),
    ] {
        let reply = home.ask(&ask("www.example.org", qtype).edns(1232));
        assert_eq!(reply.rcode(), rcode, "type {qtype}");
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn whatever_upstream_fails_with_the_client_hears_servfail() {
    let home = crate::home();
    for rcode in [1, 2, 4, 5] {
        let name = format!("r{rcode}.example.org");
        home.upstream.on_name(&name, Say::Rcode(rcode));
        let reply: Reply = home.ask(&ask(&name, rtype::A).edns(1232));
        assert_eq!(reply.rcode(), 2, "upstream said {rcode}");
        let (code, text) = reply.ede().expect("why");
        assert!(matches!(code, 22 | 23), "{rcode}: {code} {text}");
    }
}
