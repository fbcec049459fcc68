//! RFC 7873 and RFC 9018: cookies.

use crate::support::wire::{self, ask, rtype};

const CLIENT: [u8; 8] = *b"hedgerow";

#[test]
fn section_5_2_3_the_client_s_part_comes_back_with_ours() {
    let home = crate::home();
    let reply = home.ask(&ask("www.example.org", rtype::A).option(10, &CLIENT));
    let cookie = reply.option(10).expect("a cookie");
    assert_eq!(cookie.len(), 24);
    assert_eq!(cookie[..8], CLIENT);
    // RFC 9018 section 4: version 1, three octets of nothing.
    assert_eq!(cookie[8..12], [1, 0, 0, 0]);
    // Nobody who does not ask gets one.
    let reply = home.ask(&ask("www.example.org", rtype::A).edns(1232));
    assert_eq!(reply.option(10), None);
}

#[test]
fn section_5_2_5_our_part_is_taken_again() {
    let home = crate::home();
    let mut cookie = CLIENT.to_vec();
    for _ in 0..3 {
        let reply = home.ask(&ask("www.example.org", rtype::A).option(10, &cookie));
        assert_eq!(reply.rcode(), 0);
        assert_eq!(reply.answers(), ["A 192.0.2.1"]);
        cookie = reply.option(10).expect("a cookie");
    }
    // A part that is not ours costs nothing but the advantage (section 5.2.4).
    for length in [8, 16, 17, 32] {
        let strange = [&CLIENT[..], &vec![9; length]].concat();
        let reply = home.ask(&ask("www.example.org", rtype::A).option(10, &strange));
        assert_eq!((reply.rcode(), reply.answers().len()), (0, 1), "{length}");
        assert_eq!(reply.option(10).expect("ours").len(), 24);
    }
}

#[test]
fn section_5_2_2_a_malformed_length_is_a_format_error() {
    let home = crate::home();
    for length in [0, 1, 7, 9, 12, 15, 41, 64] {
        let asked = ask("www.example.org", rtype::A).option(10, &vec![1; length]);
        let octets = wire::exchange(home.v4, asked.from, &asked.octets()).unwrap();
        assert_eq!(octets[3] & 0xf, 1, "{length} octets");
    }
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn section_5_4_a_cookie_alone_asks_for_a_cookie_alone() {
    let home = crate::home();
    let asked = ask(".", rtype::A).questions(0).option(10, &CLIENT);
    let reply = home.ask(&asked);
    assert_eq!(reply.rcode(), 0);
    assert_eq!(reply.message.queries.len(), 0);
    assert_eq!(reply.option(10).expect("a cookie").len(), 24);
}

#[test]
fn a_block_carries_the_cookie_too() {
    let home = crate::support::Home::family();
    let asked = ask("casino.example", rtype::A).from("127.0.0.3");
    let reply = home.ask(&asked.option(10, &CLIENT));
    assert_eq!(reply.ede_code(), Some(17));
    assert_eq!(reply.option(10).expect("a cookie")[..8], CLIENT);
}
