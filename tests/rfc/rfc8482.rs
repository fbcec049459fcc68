//! RFC 8482: ANY gets little.

use crate::support::Say;
use crate::support::upstream::address;
use crate::support::wire::{ask, rtype};

#[test]
fn section_4_2_one_hinfo_and_nothing_is_asked() {
    let home = crate::home();
    let many = (1..=50).map(|n| address(&format!("192.0.2.{n}"))).collect();
    home.upstream.on_name("www.example.org", Say::Records(many));
    home.ask(&ask("www.example.org", rtype::A));
    for asked in [
        ask("www.example.org", rtype::ANY),
        ask("www.example.org", rtype::ANY).edns(4096),
        ask("other.example.org", rtype::ANY),
    ] {
        for reply in [home.ask(&asked), home.connect().ask(&asked)] {
            assert_eq!(reply.rcode(), 0);
            assert_eq!(reply.message.answers.len(), 1);
            let record = &reply.message.answers[0];
            assert_eq!(u16::from(record.record_type()), 13, "HINFO");
            let owner = record.name.to_string();
            assert_eq!(owner, format!("{}.", asked.name));
            assert!(reply.octets.ends_with(b"\x07RFC8482\x00") || asked.edns.is_some());
            assert!(reply.octets.len() < 100, "no lever for a flood");
        }
    }
    assert_eq!(
        home.upstream.times_of_type("www.example.org", rtype::ANY),
        0
    );
    assert_eq!(home.upstream.times("other.example.org"), 0);
}
