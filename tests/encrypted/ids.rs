//! A device shows its id and is known by it, wherever it is.

use hickory_proto::op::ResponseCode;

use crate::house::{House, NAME, PHONE, post};
use crate::support::wire::{ask, rtype};
use crate::support::{Reply, Say, wait_for};

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
    let log = house.hedgerow(&["log"]);
    assert!(log.contains("phone"), "{log}");
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
