//! RFC 7766 and RFC 7828: DNS over TCP. What concerns order and patience is in `tests/daemon`.

use crate::support::Home;
use crate::support::wire::{ask, frame, rtype};

#[test]
fn section_5_tcp_answers_without_any_udp_before() {
    let home = crate::home();
    let reply = home.connect().ask(&ask("www.example.org", rtype::A));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
}

#[test]
fn section_6_2_1_a_connection_serves_many_questions() {
    let home = crate::home();
    let mut connection = home.connect();
    for number in 0..50 {
        let reply = connection.ask(&ask(&format!("n{number}.example.org"), rtype::A));
        assert_eq!(reply.answers(), ["A 192.0.2.1"], "{number}");
    }
}

#[test]
fn section_7_equal_ids_on_one_connection_each_get_an_answer() {
    let home = crate::home();
    let mut connection = home.connect();
    let mut octets = Vec::new();
    for name in ["a.example.org", "b.example.org", "a.example.org"] {
        let mut asked = ask(name, rtype::A);
        asked.id = 7;
        octets.extend(frame(&asked.octets()));
    }
    connection.send_octets(&octets);
    let mut names: Vec<String> = (0..3)
        .map(|_| {
            connection.receive().unwrap().message.queries[0]
                .name()
                .to_string()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["a.example.org.", "a.example.org.", "b.example.org."]
    );
}

#[test]
fn section_8_length_and_message_leave_together() {
    use std::io::Read;
    let home = crate::home();
    let mut connection = home.connect();
    connection.ask(&ask("www.example.org", rtype::A));
    connection.send(&ask("www.example.org", rtype::A));
    // One read gives all: nothing is left for a second segment.
    let mut chunk = [0; 512];
    let length = connection.stream.read(&mut chunk).unwrap();
    let told = usize::from(u16::from_be_bytes([chunk[0], chunk[1]]));
    assert_eq!(length, told + 2);
}

#[test]
fn rfc_7828_section_3_3_keepalive_is_told_to_whom_asks_over_tcp_only() {
    let config = format!("{}[limits]\ntcp-idle = \"12s\"\n", crate::GROWN_UPS);
    let home = Home::start(&config);
    let asked = || ask("www.example.org", rtype::A).option(11, &[]);
    let reply = home.connect().ask(&asked());
    assert_eq!(reply.option(11), Some(vec![0, 120]));
    let reply = home.ask(&asked());
    assert_eq!(reply.option(11), None, "over UDP it is ignored");
    let reply = home
        .connect()
        .ask(&ask("www.example.org", rtype::A).edns(1232));
    assert_eq!(reply.option(11), None, "nobody asked");
}
