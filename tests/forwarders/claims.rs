//! EDNS options: from the listed forwarder they count, from others they do not, and nobody's go on.

use crate::support::wire::{ask, rtype};
use crate::support::{Home, Reply, Upstream};
use crate::{FAMILY, client_in_log, reload, subnet, taken_for};

const FORWARDER: &str = r#"
[[forwarder]]
address = ["127.0.0.9"]
trust = ["mac", "cpe-id", "subscriber", "client-subnet"]
"#;

const TABLET: &[u8] = &[2, 0, 0x5e, 0x10, 0, 1];
const PARENT: &[u8] = &[2, 0, 0x5e, 0x10, 0, 2];

type Options<'o> = &'o [(u16, &'o [u8])];

fn home() -> Home {
    Home::start(&format!("{FAMILY}{FORWARDER}"))
}

/// The answer to `name` from `from` with these options.
fn look_up(home: &Home, from: &str, name: &str, options: Options<'_>) -> Reply {
    let mut asked = ask(name, rtype::A).from(from).edns(1232);
    for (code, value) in options {
        asked = asked.option(*code, value);
    }
    home.ask(&asked)
}

/// Whom a query from `from` with these options is taken for.
fn identity(home: &Home, from: &str, options: Options<'_>) -> &'static str {
    taken_for(|name| {
        let reply = look_up(home, from, name, options);
        reply.answers() == ["A 0.0.0.0"]
    })
}

#[test]
fn a_forged_option_of_an_ordinary_host_is_ignored_and_the_forwarders_is_used() {
    let home = home();
    let printer = subnet("10.0.0.9");
    let cases: [(Options<'_>, &str); 11] = [
        (&[(65_001, TABLET)], "tablet"),
        (&[(65_001, PARENT)], "parent"),
        (&[(65_073, b"02:00:5e:10:00:01")], "tablet"),
        (&[(65_073, b"AgBeEAAC")], "parent"),
        (&[(65_074, b"line-1")], "line"),
        (&[(65_280, b"family-4711")], "family"),
        (&[(8, &printer)], "printer"),
        (&[(65_001, &[2, 0, 0x5e, 0x10, 0, 3])], "guest"),
        (&[(65_001, PARENT), (65_001, TABLET)], "guest"),
        (&[(65_001, b"junk")], "guest"),
        (&[(8, &[0, 1, 32, 0, 10])], "guest"),
    ];
    for (options, expected) in cases {
        assert_eq!(
            identity(&home, "127.0.0.9", options),
            expected,
            "{options:?}"
        );
        assert_eq!(
            identity(&home, "127.0.0.8", options),
            "guest",
            "{options:?}"
        );
    }
    // Without a word of its clients it asks for itself.
    assert_eq!(identity(&home, "127.0.0.9", &[]), "router");
    let cookie: Options<'_> = &[(10, b"abcdefgh")];
    assert_eq!(identity(&home, "127.0.0.9", cookie), "router");
    // The same over TCP.
    let mut connection = crate::support::Connection::open_from(home.v4, "127.0.0.9");
    let asked = ask("tablet.example", rtype::A).option(65_001, TABLET);
    assert_eq!(connection.ask(&asked).answers(), ["A 0.0.0.0"]);
}

#[test]
fn only_what_is_trusted_counts_and_a_reload_changes_it() {
    let line = "[[forwarder]]\naddress = [\"127.0.0.9\"]\ntrust = [\"cpe-id\"]\n";
    let home = Home::start(&format!("{FAMILY}{line}"));
    let both: Options<'_> = &[(65_001, PARENT), (65_074, b"line-1")];
    assert_eq!(identity(&home, "127.0.0.9", both), "line");
    assert_eq!(identity(&home, "127.0.0.9", &both[..1]), "router");
    reload(&home, FAMILY, FORWARDER);
    assert_eq!(identity(&home, "127.0.0.9", both), "parent");
}

/// The log shows the client where the forwarder says all of its address, the forwarder elsewhere;
/// claims that cannot be believed are told in `status`.
#[test]
fn the_log_shows_whose_query_it_was() {
    let home = home();
    let cases: [(&str, Options<'_>); 3] = [
        ("whole.example.org", &[(8, &subnet("10.0.0.9"))]),
        ("prefix.example.org", &[(8, &[0, 1, 24, 0, 10, 0, 0])]),
        ("void.example.org", &[(65_001, b"")]),
    ];
    for (name, options) in cases {
        look_up(&home, "127.0.0.9", name, options);
    }
    assert_eq!(client_in_log(&home, "whole.example.org"), "10.0.0.9");
    assert_eq!(client_in_log(&home, "prefix.example.org"), "127.0.0.9");
    assert_eq!(client_in_log(&home, "void.example.org"), "127.0.0.9");
    let socket = home.path("../run/control.sock");
    let status = home.hedgerow(&["status", "--socket", socket.to_str().unwrap()]);
    let status = String::from_utf8(status.stdout).unwrap();
    let joined = status.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(joined.contains("1 queries of a forwarder were"), "{status}");
    assert!(!joined.contains("lies outside"), "{status}");
}

/// Programs on this machine may walk through all names; who stands behind a forwarder that runs
/// here may not, unless it is a device.
#[test]
fn a_forwarder_on_this_machine_does_not_ask_for_itself() {
    let family = FAMILY.replace("address = [\"127.0.0.9\"]", "interface = \"nothing0\"");
    let home = Home::start(&format!("{family}{FORWARDER}"));
    let hears = |from: &str, options: Options<'_>| {
        let mut asked = ask("9.0.0.10.in-addr.arpa", rtype::PTR)
            .from(from)
            .edns(1232);
        for (code, value) in options {
            asked = asked.option(*code, value);
        }
        !home.ask(&asked).answers().is_empty()
    };
    assert!(hears("127.0.0.8", &[]));
    assert!(!hears("127.0.0.9", &[]));
    assert!(!hears("127.0.0.9", &[(65_001, &[2, 0, 0x5e, 0x10, 0, 9])]));
    assert!(hears("127.0.0.9", &[(65_001, TABLET)]));
}

/// Whoever is identified has a rate of his own, also behind a forwarder on this machine; the rest
/// share one. What the machine asks for itself has none.
#[test]
fn each_device_behind_a_forwarder_has_its_own_rate() {
    let limits = "[limits]\nqueries-per-second = 1\nburst = 5\n";
    let home = Home::start(&format!("{FAMILY}{FORWARDER}{limits}"));
    let answered = |options: Options<'_>| {
        let mut connection = crate::support::Connection::open_from(home.v4, "127.0.0.9");
        let mut asked = ask("localhost", rtype::A).edns(1232);
        for (code, value) in options {
            asked = asked.option(*code, value);
        }
        (0..20)
            .filter(|_| connection.ask(&asked).rcode() == 0)
            .count()
    };
    // Five that anybody may ask, and five more since a connection shows who it is; while they were
    // asked some more may have come in.
    let tablet = answered(&[(65_001, TABLET)]);
    assert!((10..15).contains(&tablet), "{tablet}");
    let parent = answered(&[(65_001, PARENT)]);
    assert!((10..15).contains(&parent), "{parent}");
    let stranger = answered(&[(65_001, &[2, 0, 0, 0, 0, 9])]);
    assert!((10..15).contains(&stranger), "{stranger}");
    let other = answered(&[(65_001, &[2, 0, 0, 0, 0, 8])]);
    assert!(other < 5, "{other}");
    assert_eq!(answered(&[]), 20);
}

/// The numbers of the EDNS options in a message that has EDNS.
fn options_in(octets: &[u8]) -> Vec<u16> {
    let message = hickory_proto::op::Message::from_vec(octets).unwrap();
    let edns = message.edns.expect("the question upstream has EDNS");
    let all = edns.options().as_ref().iter();
    all.map(|(code, _)| u16::from(*code)).collect()
}

#[test]
fn no_option_of_a_client_travels_on() {
    let home = home();
    let everything: Options<'_> = &[
        (8, &subnet("10.0.0.9")),
        (65_001, TABLET),
        (65_073, b"02:00:5e:10:00:01"),
        (65_074, b"line-1"),
        (65_280, b"family-4711"),
        (10, b"abcdefgh"),
        (11, &[]),
        (12, &[0; 32]),
        (3, b"nsid"),
        (64_123, b"from the child"),
    ];
    let secrets: [&[u8]; 8] = [
        TABLET,
        b"02:00:5e:10:00:01",
        b"line-1",
        b"family-4711",
        b"abcdefgh",
        b"nsid",
        b"from the child",
        &[10, 0, 0, 9],
    ];
    let truncated =
        crate::support::Say::Truncated(Box::new(crate::support::Say::address("192.0.2.1")));
    home.upstream.on_name("big.example.org", truncated);
    let mut asked_for = Vec::new();
    for (from, label) in [("127.0.0.9", "forwarder"), ("127.0.0.8", "host")] {
        for name in [format!("{label}.example.org"), "big.example.org".to_owned()] {
            look_up(&home, from, &name, everything);
            let mut connection = crate::support::Connection::open_from(home.v4, from);
            let name = format!("tcp.{name}");
            let mut asked = ask(&name, rtype::A).edns(1232);
            for (code, value) in everything {
                asked = asked.option(*code, value);
            }
            connection.ask(&asked);
            asked_for.push(name);
        }
    }
    assert!(asked_for.iter().all(|name| home.upstream.times(name) > 0));
    assert_nothing_personal(&home.upstream, &secrets);
}

/// Nothing that a client wrote stands in any question that came to the upstream.
fn assert_nothing_personal(upstream: &Upstream, secrets: &[&[u8]]) {
    let seen = upstream.seen();
    assert!(seen.len() >= 6, "{}", seen.len());
    assert!(seen.iter().any(|asked| asked.is_tcp));
    for asked in seen {
        assert_eq!(options_in(&asked.octets), [0; 0], "{}", asked.name);
        for secret in secrets {
            let mut windows = asked.octets.windows(secret.len());
            assert!(!windows.any(|it| it == *secret), "{}", asked.name);
        }
    }
}
