//! Datagrams and connections: sizes, order, patience and bounds.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::support::clients::{self, dig, kdig};
use crate::support::upstream::{address, unknown};
use crate::support::wire::{self, ask, frame, rtype};
use crate::support::{Connection, Gate, Home, PATIENCE, Reply, Say, wait_for};

const PARENT: &str = "[household]\nguest-profile = \"adult\"\n";

fn home() -> Home {
    Home::start(PARENT)
}

fn with_limits(limits: &str) -> Home {
    Home::start(&format!("{PARENT}[limits]\n{limits}\n"))
}

/// `count` addresses, 16 octets each in an answer.
fn many(count: u8) -> Say {
    let numbers = 1..=count;
    Say::Records(
        numbers
            .map(|last| address(&format!("192.0.2.{last}")))
            .collect(),
    )
}

#[test]
fn both_families_over_both_transports() {
    let home = home();
    for (to, name) in [(home.v4, "v4.example.org"), (home.v6, "v6.example.org")] {
        let asked = ask(name, rtype::A);
        let octets = wire::exchange(to, asked.from, &asked.octets()).unwrap();
        let reply = Reply::read(octets);
        assert_eq!(reply.answers(), ["A 192.0.2.1"], "UDP to {to}");
        let reply = Connection::open(to).ask(&ask(name, rtype::AAAA));
        assert_eq!(reply.answers(), ["AAAA 2001:db8::1"], "TCP to {to}");
    }
}

/// A busy socket is read without being watched: then it must be watched again.
#[test]
fn after_a_flood_a_single_query_is_answered() {
    let home = home();
    home.look_up("127.0.0.1", "www.example.org", rtype::A);
    let asked = ask("www.example.org", rtype::A);
    let socket = wire::udp(asked.from, home.v4);
    let stat = format!("/proc/{}/stat", home.pid());
    for _ in 0..3 {
        home.signal("STOP");
        wait_for("it to stand still", || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            let (_, state) = stat.rsplit_once(')')?;
            state.starts_with(" T").then_some(())
        });
        // Six batches and a part of one, all to the same worker.
        for _ in 0..200 {
            socket.send(&asked.octets()).unwrap();
        }
        home.signal("CONT");
        for count in [200, 1, 1] {
            if count == 1 {
                socket.send(&asked.octets()).unwrap();
            }
            for number in 0..count {
                let octets = wire::receive(&socket);
                let reply = Reply::read(octets.unwrap_or_else(|| panic!("none to {number}")));
                assert_eq!(reply.answers(), ["A 192.0.2.1"]);
            }
        }
    }
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    // Bound to every address of the loopback: 127.0.0.77 must answer as 127.0.0.77.
    let port = crate::support::home::free_port();
    let config = format!("{PARENT}[server]\nlisten = [\"0.0.0.0:{port}\"]\n");
    let mut home = None;
    // Readiness is asked of 127.0.0.1 at the port of the base configuration, which this replaces.
    let folder = tempfile::TempDir::new().unwrap();
    let upstream = crate::support::Upstream::start();
    crate::support::home::lay_out(folder.path(), port, upstream.address, &config);
    let child = crate::support::home::command(folder.path())
        .spawn()
        .unwrap();
    let child = crate::support::home::Running(child);
    let asked = ask("www.example.org", rtype::A);
    let socket = wire::udp(IpAddr::from([127, 0, 0, 1]), ([127, 0, 0, 77], port).into());
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    // A connected socket takes nothing that comes from another address.
    wait_for("an answer from 127.0.0.77", || {
        // Nobody may listen yet.
        drop(socket.send(&asked.octets()));
        home = wire::receive(&socket);
        home.is_some().then_some(())
    });
    drop(child);
}

#[test]
fn questions_on_one_connection_are_answered_as_they_are_ready() {
    let home = home();
    let gate = Gate::default();
    let held = Say::Held(gate.clone(), Box::new(Say::address("192.0.2.9")));
    home.upstream.on_name("slow.example.org", held);
    let mut connection = home.connect();
    let slow = ask("slow.example.org", rtype::A);
    let fast: Vec<_> = (0..20)
        .map(|n| ask(&format!("fast{n}.example.org"), rtype::A))
        .collect();
    // All in one segment, the slow one first (RFC 7766 section 6.2.1.1).
    let mut octets = frame(&slow.octets());
    for fast in &fast {
        octets.extend(frame(&fast.octets()));
    }
    connection.send_octets(&octets);
    let mut answered: Vec<u16> = (0..fast.len())
        .map(|_| connection.receive().expect("a fast answer").id())
        .collect();
    answered.sort_unstable();
    let mut expected: Vec<u16> = fast.iter().map(|fast| fast.id).collect();
    expected.sort_unstable();
    assert_eq!(answered, expected, "all fast ones before the slow one");
    gate.open();
    let reply = connection.receive().expect("the slow answer");
    assert_eq!(
        (reply.id(), reply.answers()),
        (slow.id, vec!["A 192.0.2.9".to_owned()])
    );
}

#[test]
fn more_questions_than_may_wait_at_once_are_all_answered() {
    let home = with_limits("in-flight-per-client = 512");
    let mut connection = home.connect();
    let questions: Vec<_> = (0..300)
        .map(|n| ask(&format!("www.name{n}.example"), rtype::A))
        .collect();
    let octets: Vec<u8> = questions.iter().flat_map(|q| frame(&q.octets())).collect();
    connection.send_octets(&octets);
    connection.shut();
    let mut answered = Vec::new();
    while let Some(reply) = connection.receive() {
        assert_eq!(reply.rcode(), 0, "{:?}", reply.ede());
        answered.push(reply.id());
    }
    answered.sort_unstable();
    let mut expected: Vec<u16> = questions.iter().map(|question| question.id).collect();
    expected.sort_unstable();
    assert_eq!(answered, expected);
}

#[test]
fn a_half_closed_client_still_gets_its_answers() {
    let home = home();
    let gate = Gate::default();
    let held = Say::Held(gate.clone(), Box::new(Say::address("192.0.2.9")));
    home.upstream.on_name("slow.example.org", held);
    let mut connection = home.connect();
    connection.send(&ask("slow.example.org", rtype::A));
    connection.shut();
    wait_for("the question at upstream", || {
        (home.upstream.times("slow.example.org") > 0).then_some(())
    });
    gate.open();
    let reply = connection.receive().expect("the answer");
    assert_eq!(reply.answers(), ["A 192.0.2.9"]);
    assert!(connection.receive().is_none(), "then the daemon closes too");
}

#[test]
fn an_idle_connection_is_ended_after_its_time() {
    let home = with_limits("tcp-idle = \"300ms\"\ntcp-read = \"30s\"");
    let mut connection = home.connect();
    connection.ask(&ask("www.example.org", rtype::A));
    let took = connection.time_to_end();
    assert!(took >= Duration::from_millis(290), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_connection_that_never_asks_is_ended_too() {
    let home = with_limits("tcp-idle = \"30s\"\ntcp-read = \"300ms\"");
    let took = home.connect().time_to_end();
    assert!(took >= Duration::from_millis(290), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_message_that_drips_is_ended_however_steadily() {
    let home = with_limits("tcp-idle = \"30s\"\ntcp-read = \"500ms\"");
    let mut connection = home.connect();
    let octets = frame(&ask("www.example.org", rtype::A).octets());
    connection
        .stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let start = Instant::now();
    let mut dripped = 0;
    // An octet each 50 ms would take 1.6 s: each is in time, the message is not.
    for octet in &octets {
        use std::io::{Read, Write};
        if connection.stream.write_all(&[*octet]).is_err() {
            break;
        }
        dripped += 1;
        // Waits for an end, for 50 ms.
        match connection.stream.read(&mut [0; 1]) {
            Ok(0) => break,
            Ok(_) => panic!("an answer to half a message"),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    let took = start.elapsed();
    assert!(dripped < octets.len(), "the whole message went through");
    assert!(took >= Duration::from_millis(490), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_message_in_pieces_is_answered() {
    let home = home();
    let mut connection = home.connect();
    for cut in [1, 2, 3, 14, 20] {
        let asked = ask("www.example.org", rtype::A);
        let octets = frame(&asked.octets());
        connection.send_octets(&octets[..cut]);
        connection.send_octets(&octets[cut..]);
        let reply = connection.receive().expect("an answer");
        assert_eq!(reply.id(), asked.id);
    }
}

#[test]
fn one_client_has_so_many_connections_and_all_together_so_many() {
    let home = with_limits("tcp-per-client = 2\ntcp-connections = 3");
    let open = |from: &str| {
        let mut connection = Connection::open_from(home.v4, from);
        connection.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let asked = ask("www.example.org", rtype::A);
        use std::io::Write;
        // It may be closed before the question is written.
        let sent = connection.stream.write_all(&frame(&asked.octets())).is_ok();
        let answered = sent && connection.receive().is_some();
        (connection, answered)
    };
    let (mut first, answered) = open("127.0.0.2");
    assert!(answered);
    let (second, answered) = open("127.0.0.2");
    assert!(answered);
    assert!(!open("127.0.0.2").1, "the third of one client");
    let (_third, answered) = open("127.0.0.3");
    assert!(answered, "another client has its own");
    // All places are taken: whoever has two gives up the older for one who has none.
    let (_fourth, answered) = open("127.0.0.4");
    assert!(answered, "a newcomer");
    assert!(first.receive().is_none(), "the older of two was ended");
    assert!(!open("127.0.0.5").1, "nobody has two any more");
    // Who goes makes room.
    drop(second);
    wait_for("the place", || open("127.0.0.5").1.then_some(()));
}

#[test]
fn junk_on_a_connection_ends_it_and_hurts_nobody_else() {
    let home = home();
    let mut other = home.connect();
    other.ask(&ask("before.example.org", rtype::A));
    for (what, octets) in [
        ("a message of no octets", vec![0, 0]),
        ("less than a header", vec![0, 3, 1, 2, 3]),
        ("a response", {
            let mut response = ask("www.example.org", rtype::A).octets();
            response[2] |= 0x80;
            frame(&response)
        }),
    ] {
        let mut connection = home.connect();
        connection.send_octets(&octets);
        assert!(connection.receive().is_none(), "{what}");
    }
    // What has a header gets an answer: FORMERR.
    let mut connection = home.connect();
    connection.send_octets(&frame(&[0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, 1]));
    let reply = connection.receive().expect("FORMERR");
    assert_eq!((reply.id(), reply.rcode()), (0xabcd, 1));
    // Random octets, every length up to a hundred: whatever comes of it, the next is served.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for length in 0..100_usize {
        let junk: Vec<u8> = (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        let mut connection = home.connect();
        connection.send_octets(&frame(&junk));
        connection.shut();
        while connection.receive().is_some() {}
        let socket = wire::udp(IpAddr::from([127, 0, 0, 1]), home.v4);
        socket.send(&junk).unwrap();
    }
    other.ask(&ask("after.example.org", rtype::A));
    let reply = home.ask(&ask("after.example.org", rtype::A));
    assert_eq!(reply.rcode(), 0);
}

#[test]
fn a_udp_answer_keeps_to_what_the_client_takes_and_we_give() {
    let home = home();
    // 25 records of 16 octets fit 512, 40 fit 1232, 80 fit TCP only.
    for (name, count) in [
        ("n25.example.org", 25),
        ("n40.example.org", 40),
        ("n80.example.org", 80),
    ] {
        home.upstream.on_name(name, many(count));
    }
    let mut cases = 0;
    for (name, count, payload, whole) in [
        ("n25.example.org", 25, None, true),
        ("n40.example.org", 40, None, false),
        ("n40.example.org", 40, Some(0), false),
        ("n40.example.org", 40, Some(512), false),
        ("n40.example.org", 40, Some(700), true),
        ("n40.example.org", 40, Some(1232), true),
        ("n80.example.org", 80, Some(1232), false),
        ("n80.example.org", 80, Some(4096), false),
        ("n80.example.org", 80, Some(65_535), false),
    ] {
        let mut asked = ask(name, rtype::A);
        if let Some(payload) = payload {
            asked = asked.edns(payload);
        }
        let reply = home.ask(&asked);
        let what = format!("{name} {payload:?}");
        let limit = payload.map_or(512, |payload: u16| payload.clamp(512, 1232));
        assert!(reply.octets.len() <= usize::from(limit), "{what}");
        assert_eq!(reply.is_truncated(), !whole, "{what}");
        let answers = if whole { count } else { 0 };
        assert_eq!(
            reply.answers().len(),
            answers,
            "{what}: whole or not at all"
        );
        // Over TCP all of it.
        let reply = home.connect().ask(&asked);
        assert!(!reply.is_truncated(), "{what}");
        assert_eq!(reply.answers().len(), count, "{what}");
        cases += 1;
    }
    assert_eq!(cases, 9);
}

#[test]
fn an_exact_fit_is_sent_whole() {
    const UNKNOWN: u16 = 65_280;
    let home = home();
    // Header and question, then one record: 12 octets and its data.
    let question = 12 + wire::name("fit.example").len() + 4;
    for (spare, truncated) in [(0, false), (1, true)] {
        let name = if truncated {
            "fat.example"
        } else {
            "fit.example"
        };
        let data = 512 + spare - question - 12;
        let record = unknown(UNKNOWN, &vec![7; data]);
        home.upstream.on_name(name, Say::one(record));
        let reply = home.ask(&ask(name, UNKNOWN));
        assert_eq!(reply.is_truncated(), truncated, "{spare}");
        if !truncated {
            assert_eq!(reply.octets.len(), 512);
        }
    }
}

#[test]
fn an_answer_that_upstream_cut_is_fetched_over_tcp() {
    let home = home();
    let cut = Say::Truncated(Box::new(many(60)));
    home.upstream.on_name("big.example.org", cut);
    let reply = home.ask(&ask("big.example.org", rtype::A).edns(1232));
    assert_eq!(reply.answers().len(), 60);
    let by_tcp: Vec<bool> = home
        .upstream
        .seen()
        .iter()
        .filter(|asked| asked.name == "big.example.org")
        .map(|asked| asked.is_tcp)
        .collect();
    assert_eq!(by_tcp, [false, true]);
}

#[test]
fn dig_comes_again_over_tcp_and_kdig_asks_over_tcp() {
    let home = home();
    home.upstream.on_name("big.example.org", many(100));
    if let Some(shown) = dig(home.v4, "", &["big.example.org", "A", "+bufsize=512"]) {
        assert!(shown.contains("Truncated, retrying in TCP mode"), "{shown}");
        assert_eq!(clients::records(&shown).len(), 100, "{shown}");
    }
    if let Some(shown) = dig(home.v4, "", &["big.example.org", "A", "+ignore"]) {
        assert!(shown.contains(" tc"), "{shown}");
        assert_eq!(clients::records(&shown).len(), 0, "{shown}");
    }
    if let Some(shown) = kdig(home.v4, "", &["+tcp", "big.example.org", "A"]) {
        assert_eq!(clients::records(&shown).len(), 100, "{shown}");
        assert!(shown.contains("(TCP)"), "{shown}");
    }
    if let Some(shown) = kdig(home.v6, "", &["+tcp", "www.example.org", "AAAA"]) {
        assert_eq!(clients::records(&shown), ["AAAA 2001:db8::1"], "{shown}");
    }
}

#[test]
fn a_padded_question_is_answered_and_one_without_end_hurts_nobody() {
    let home = home();
    // We say that we take 1,232 octets over UDP.
    for padding in [0, 128, 468, 1180, 3000] {
        let asked = ask("www.example.org", rtype::A).option(12, &vec![0; padding]);
        if padding < 1232 {
            assert_eq!(home.ask(&asked).rcode(), 0, "{padding} octets over UDP");
        }
        let reply = home.connect().ask(&asked);
        assert_eq!(reply.rcode(), 0, "{padding} octets over TCP");
    }
    let huge = ask("www.example.org", rtype::A).option(12, &[0; 60_000]);
    let socket = wire::udp(huge.from, home.v4);
    socket.send(&huge.octets()).unwrap();
    let next = ask("www.example.org", rtype::A);
    socket.send(&next.octets()).unwrap();
    // FORMERR or silence for the first, but the second is answered.
    let mut ids = Vec::new();
    while !ids.contains(&next.id) {
        let octets = wire::receive(&socket).expect("an answer to what follows");
        ids.push(u16::from_be_bytes([octets[0], octets[1]]));
        assert!(octets[0..2] == next.id.to_be_bytes() || octets[3] & 0xf == 1);
    }
    // A connection that sends 64 KiB at a time for ever is ended or answered, and costs no more.
    let mut connection = home.connect();
    for _ in 0..20 {
        use std::io::Write;
        if connection.stream.write_all(&frame(&huge.octets())).is_err() {
            break;
        }
    }
    assert_eq!(home.ask(&ask("www.example.org", rtype::A)).rcode(), 0);
}

#[test]
fn what_goes_upstream_after_any_number_of_known_answers_is_answered() {
    let home = Home::start(PARENT);
    let socket = wire::udp("127.0.0.3".parse().unwrap(), home.v4);
    let answer_to = |name: &str| {
        socket.send(&ask(name, rtype::A).octets()).unwrap();
        let reply = wire::receive(&socket).map(Reply::read);
        reply
            .unwrap_or_else(|| panic!("no answer to {name}"))
            .answers()
    };
    // A thread that only has known answers to give waits in other ways than one that asks upstream.
    for (round, known) in [0, 1, 15, 16, 17, 40, 3, 18, 0, 0].into_iter().enumerate() {
        for _ in 0..known {
            assert_eq!(answer_to("www.example.org"), ["A 192.0.2.1"]);
        }
        let name = format!("new{round}.example.org");
        assert_eq!(answer_to(&name), ["A 192.0.2.1"], "after {known}");
    }
}
