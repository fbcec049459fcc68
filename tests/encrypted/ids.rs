//! A device shows its id and is known by it, wherever it is.

use hickory_proto::op::ResponseCode;

use crate::house::{House, NAME, PHONE, post};
use crate::support::wire::{ask, rtype};
use crate::support::{Connection, Reply, Say, wait_for};

/// Somewhere on the internet.
const AWAY: &str = "127.0.0.2";

#[test]
fn an_id_names_a_device_from_everywhere() {
    let house = House::open("");
    let upstream = &house.home.upstream;
    upstream.on_name("desk.example", Say::address("192.0.2.1"));
    upstream.on_name("phone.example", Say::address("192.0.2.2"));
    let own_name = format!("{PHONE}.{NAME}");
    let as_phone = |answers: Vec<String>| assert_eq!(answers, ["A 0.0.0.0"]);
    for from in [AWAY, "127.0.0.1"] {
        let mut talk = house.dot_from(from, &own_name);
        as_phone(talk.ask(&ask("phone.example", rtype::A)).answers());
        let other = talk.ask(&ask("desk.example", rtype::A));
        assert_eq!(other.answers(), ["A 192.0.2.1"], "{from}");
        // By the path, by the name, and by both.
        for (name, path) in [
            (NAME, format!("/dns-query/{PHONE}")),
            (&own_name, "/dns-query".to_owned()),
            (&own_name, format!("/dns-query/{}", PHONE.to_uppercase())),
        ] {
            let mut http = house.http(from, name);
            let question = ask("phone.example", rtype::A).octets();
            let (status, _, body) = http.request(&post(&path, &question));
            assert_eq!(status, 200, "{from} {name} {path}");
            as_phone(Reply::read(body).answers());
        }
    }
    // Without one it is who is at its address.
    let mut talk = house.dot();
    as_phone(talk.ask(&ask("desk.example", rtype::A)).answers());
    wait_for("the phone in the log", || {
        house.hedgerow(&["log"]).contains("phone").then_some(())
    });
    let shown = house.hedgerow(&["device", "list"]);
    assert!(
        shown.contains("id mzxw…") && !shown.contains(PHONE),
        "{shown}"
    );
    assert!(!house.home.log().contains(PHONE), "an id in the log");
}

#[test]
fn nobody_from_elsewhere_is_served_without_an_id_that_is_known() {
    let house = House::open("");
    let wrong = PHONE.replace('m', "n");
    let wrong_name = format!("{wrong}.{NAME}");
    for name in [
        NAME,
        &wrong_name,
        &format!("a.{PHONE}.{NAME}"),
        "other.example",
    ] {
        // The handshake is not even finished.
        let mut talk = house.dot_from(AWAY, name);
        let asked = ask("phone.example", rtype::A).octets();
        let framed = crate::support::wire::frame(&asked);
        drop(std::io::Write::write_all(&mut talk.stream, &framed));
        assert!(talk.receive().is_none(), "{name}");
    }
    let question = ask("phone.example", rtype::A).octets();
    for (name, path) in [
        (NAME, "/dns-query".to_owned()),
        (NAME, format!("/dns-query/{wrong}")),
        // Two ids are none.
        (&wrong_name, format!("/dns-query/{PHONE}")),
    ] {
        let mut http = house.http(AWAY, name);
        assert_eq!(
            http.request(&post(&path, &question)).0,
            403,
            "{name} {path}"
        );
    }
    // At home it is told what is wrong.
    let mut talk = house.dot_from("127.0.0.1", &wrong_name);
    let reply = talk.ask(&ask("phone.example", rtype::A).edns(1232));
    assert_eq!(reply.code(), ResponseCode::Refused);
    assert_eq!(reply.ede_code(), Some(18));
}

/// Whether the handshake of a connection ends well.
fn shakes_hands(house: &House, from: &str) -> bool {
    let mut talk = house.http(from, NAME);
    let stream = &mut talk.stream;
    stream.conn.complete_io(&mut stream.sock).is_ok()
}

#[test]
fn a_stranger_that_looks_around_is_sent_away() {
    let house = House::open("");
    let get = |page: usize| format!("GET /{page} HTTP/1.1\r\nhost: {NAME}\r\n\r\n").into_bytes();
    let mut away = house.http(AWAY, NAME);
    for page in 0..4 {
        assert_eq!(away.request(&get(page)).0, 404, "{page}");
    }
    drop(std::io::Write::write_all(&mut away.stream, &get(4)));
    assert!(away.response().is_none(), "that was enough");
    let mut home = house.http("127.0.0.1", NAME);
    for page in 0..9 {
        assert_eq!(home.request(&get(page)).0, 404, "{page}");
    }
}

#[test]
fn handshakes_from_outside_are_not_free() {
    let limits = "[limits]\nencrypted-connections = 1000\nencrypted-per-client = 1000\nmemory = \"64 MiB\"\n";
    let house = House::open(limits);
    let shaken = (0..400).take_while(|_| shakes_hands(&house, AWAY)).count();
    assert!((10..400).contains(&shaken), "{shaken}");
    // Neighbours of his pay for it, nobody else.
    assert!(shakes_hands(&house, "127.0.1.2"));
    assert!(shakes_hands(&house, "127.0.0.1"));
}

/// Strangers at the same carrier's network once used up what a known device needs to come in.
#[test]
fn strangers_around_a_device_use_up_nothing_of_it() {
    let limits = "[limits]\nencrypted-connections = 1000\nencrypted-per-client = 1000\nmemory = \"64 MiB\"\n";
    let house = House::open(limits);
    let own_name = format!("{PHONE}.{NAME}");
    let asked = ask("phone.example", rtype::A);
    let by_path = || {
        let mut http = house.http("127.0.0.7", NAME);
        let request = post(&format!("/dns-query/{PHONE}"), &asked.octets());
        assert_eq!(http.request(&request).0, 200);
    };
    by_path();
    let shaken = (0..400).take_while(|_| shakes_hands(&house, AWAY)).count();
    assert!((10..400).contains(&shaken), "{shaken}");
    for _ in 0..12 {
        // By its name from everywhere, by the path from where it was seen before.
        let mut talk = house.dot_from("127.0.0.3", &own_name);
        assert_eq!(talk.ask(&asked).answers(), ["A 0.0.0.0"]);
        by_path();
    }
}

/// Strangers that hold connections once left no place for a device of the home.
#[test]
fn strangers_that_hold_connections_give_way_to_a_device() {
    let house = House::open("[limits]\nencrypted-connections = 16\nencrypted-per-client = 4\n");
    let own_name = format!("{PHONE}.{NAME}");
    let asked = ask("phone.example", rtype::A);
    let crowd = || {
        let from = [AWAY, AWAY, "127.0.1.2", "127.0.1.2", "127.0.2.2"];
        from.map(|from| Connection::open_from(house.tls, from))
    };
    let held = crowd();
    let mut phone = house.dot_from("127.0.0.3", &own_name);
    assert_eq!(phone.ask(&asked).answers(), ["A 0.0.0.0"]);
    // Whoever comes now takes other strangers' places.
    let more = crowd();
    for _ in 0..12 {
        let mut http = house.http("127.0.0.4", NAME);
        let request = post(&format!("/dns-query/{PHONE}"), &asked.octets());
        assert_eq!(http.request(&request).0, 200);
    }
    assert_eq!(phone.ask(&asked).answers(), ["A 0.0.0.0"]);
    drop((held, more));
}

/// Strangers at more providers than there are places once displaced a phone before it had shown its id.
#[test]
fn strangers_at_many_providers_give_way_to_who_comes_from_where_a_device_was() {
    let house = House::open("[limits]\nencrypted-connections = 16\nencrypted-per-client = 4\n");
    let asked = ask("phone.example", rtype::A);
    let request = post(&format!("/dns-query/{PHONE}"), &asked.octets());
    assert_eq!(house.http("127.50.0.2", NAME).request(&request).0, 200);
    // Somewhere else at the same provider.
    let mut phone = house.http("127.50.99.7", NAME);
    let crowd = (0..40).map(|provider| {
        let from = format!("127.{}.0.2", 100 + provider);
        Connection::open_from(house.https, &from).stream
    });
    let mut crowd: Vec<_> = crowd.collect();
    // It has made room for those behind it.
    let ended = std::io::Read::read(&mut crowd[35], &mut [0]);
    assert!(matches!(ended, Ok(0)), "{ended:?}");
    assert_eq!(phone.request(&request).0, 200);
}

#[test]
fn a_revoked_id_ends_with_the_next_question() {
    let house = House::open("");
    let own_name = format!("{PHONE}.{NAME}");
    let mut talk = house.dot_from(AWAY, &own_name);
    let mut http = house.http(AWAY, NAME);
    let asked = ask("phone.example", rtype::A);
    let path = format!("/dns-query/{PHONE}");
    assert_eq!(talk.ask(&asked).answers(), ["A 0.0.0.0"]);
    assert_eq!(http.request(&post(&path, &asked.octets())).0, 200);
    let config = std::fs::read_to_string(house.home.path("conf.d/test.toml")).unwrap();
    let ids = format!("ids = [\"{PHONE}\"]");
    house
        .home
        .write_config(&config.replace(&ids, "address = [\"192.0.2.200\"]"));
    wait_for("the reload", || {
        let (status, ..) = http.request(&post(&path, &asked.octets()));
        (status == 403).then_some(())
    });
    assert_eq!(talk.ask(&asked).code(), ResponseCode::Refused);
}
