//! RFC 8914: Extended DNS Errors.

use crate::support::wire::{ask, rtype};
use crate::support::{Home, Say};

#[test]
fn section_2_an_error_goes_with_edns_only() {
    let home = crate::home();
    home.upstream.on_name("bad.example.org", Say::Rcode(2));
    let reply = home.ask(&ask("bad.example.org", rtype::A));
    assert_eq!((reply.rcode(), reply.ede()), (2, None));
    let reply = home.ask(&ask("bad.example.org", rtype::A).edns(1232));
    assert!(reply.ede().is_some());
}

#[test]
fn section_4_19_a_client_from_elsewhere_is_told_that_it_may_not_ask() {
    let config = format!(
        "{}[server]\nserve = [\"127.0.0.1/32\", \"::1/128\"]\n",
        crate::GROWN_UPS
    );
    let home = Home::start(&config);
    let reply = home.look_up("127.0.0.66", "www.example.org", rtype::A);
    // Over UDP the address may be forged: it gets no octet that it did not send.
    assert_eq!((reply.rcode(), reply.ede_code()), (5, None));
    assert_eq!(home.upstream.count(), 0);
    // Its junk gets no word at all.
    let reply = home.look_up("127.0.0.1", "www.example.org", rtype::A);
    assert_eq!(reply.rcode(), 0);
}

#[test]
fn section_2_a_long_reason_is_cut_and_never_costs_the_answer() {
    let long = format!("{0}.{0}.{0}.example", "x".repeat(60));
    let config = format!(
        "[household]\nguest-profile = \"x\"\n[profile.x]\ninherits = \"adult\"\n\
         block-names = [\"{long}\"]\n"
    );
    let home = Home::start(&config);
    for payload in [512, 1232] {
        let reply = home.ask(&ask(&long, rtype::A).edns(payload));
        assert_eq!(reply.answers(), ["A 0.0.0.0"]);
        assert!(!reply.is_truncated());
        assert!(reply.octets.len() <= 512);
        let (code, text) = reply.ede().expect("why");
        assert_eq!(code, 17);
        assert!(text.starts_with("profile rule `xxx"), "{text}");
    }
}
