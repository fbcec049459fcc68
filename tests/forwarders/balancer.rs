//! PROXY headers on connections from 127.0.0.9, a load balancer, and from elsewhere.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::skip::skip;
use crate::support::wire::{Ask, ask, frame, rtype};
use crate::support::{Connection, Home, clients, home, wait_for};
use crate::{FAMILY, client_in_log, reload, taken_for};

const BALANCER: &str = r#"
[[forwarder]]
address = ["127.0.0.9"]
trust = ["mac"]
proxy = true

[server]
serve = ["127.0.0.0/28", "10.0.0.0/8", "2001:db8::/32"]

[limits]
tcp-read = "500ms"
tcp-per-client = 3
"#;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn start() -> Home {
    Home::start(&format!("{FAMILY}{BALANCER}"))
}

/// A header of version 2.
fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

/// The header of a client at `address`, with fields behind the addresses.
fn from_client(address: &str, fields: &[u8]) -> Vec<u8> {
    match address.parse().unwrap() {
        std::net::IpAddr::V4(v4) => {
            let rest = [127, 0, 0, 1, 0x30, 0x39, 0, 53];
            header(0x21, 0x11, &[&v4.octets()[..], &rest, fields].concat())
        }
        std::net::IpAddr::V6(v6) => {
            let rest = [&[0; 16][..], &[0x30, 0x39, 0, 53]].concat();
            header(0x21, 0x21, &[&v6.octets()[..], &rest, fields].concat())
        }
    }
}

fn subscriber(id: &[u8]) -> Vec<u8> {
    [&[0xe0][..], &(id.len() as u16).to_be_bytes(), id].concat()
}

/// A connection of the load balancer that begins with `octets`.
fn opened(home: &Home, octets: &[u8]) -> Connection {
    let mut connection = Connection::open_from(home.v4, "127.0.0.9");
    connection.send_octets(octets);
    connection
}

/// Whom the client of a connection that begins with `octets` is taken for.
fn identity(home: &Home, octets: &[u8]) -> &'static str {
    let mut connection = opened(home, octets);
    taken_for(|name| connection.ask(&ask(name, rtype::A)).answers() == ["A 0.0.0.0"])
}

#[test]
fn a_header_says_who_the_client_is() {
    let home = start();
    for (octets, expected) in [
        (from_client("10.0.0.9", &[]), "printer"),
        (from_client("2001:db8::9", &[]), "printer"),
        (from_client("10.0.0.8", &[]), "guest"),
        (
            from_client("10.0.0.9", &subscriber(b"family-4711")),
            "family",
        ),
        (
            from_client("10.0.0.9", &subscriber(b"family-4712")),
            "printer",
        ),
        // Its own, and that of somebody it does not name.
        (header(0x20, 0x00, &[]), "router"),
        (header(0x21, 0x00, &[]), "guest"),
    ] {
        assert_eq!(identity(&home, &octets), expected, "{octets:02x?}");
    }
    // What the client wrote is not the load balancer's word, and its header no client's.
    let forged = ask("parent.example", rtype::A).option(65_001, &[2, 0, 0x5e, 0x10, 0, 2]);
    for octets in [from_client("10.0.0.9", &[]), header(0x21, 0x00, &[])] {
        let reply = opened(&home, &octets).ask(&forged);
        assert_eq!(reply.answers(), ["A 192.0.2.1"], "not the parent");
    }
    let named = ask("named.example.org", rtype::A);
    opened(&home, &from_client("2001:db8::9", &[])).ask(&named);
    assert_eq!(client_in_log(&home, "named.example.org"), "2001:db8::9");
}

#[test]
fn the_question_may_come_with_the_header_or_in_single_octets() {
    let home = start();
    let asked = ask("printer.example", rtype::A);
    let all = [from_client("10.0.0.9", &[]), frame(&asked.octets())].concat();
    let mut connection = opened(&home, &all);
    assert_eq!(connection.receive().unwrap().answers(), ["A 0.0.0.0"]);
    let mut connection = Connection::open_from(home.v4, "127.0.0.9");
    for octet in all {
        connection.send_octets(&[octet]);
    }
    assert_eq!(connection.receive().unwrap().answers(), ["A 0.0.0.0"]);
}

#[test]
fn whoever_is_not_served_is_not_served_through_a_load_balancer() {
    let home = start();
    let outside = from_client("192.0.2.7", &[]);
    assert!(opened(&home, &outside).receive().is_none());
    // The load balancer itself need not be: 127.0.0.9 is within, 127.0.0.200 would not be.
    let elsewhere = BALANCER.replace("127.0.0.9", "127.0.0.200");
    reload(&home, FAMILY, &elsewhere);
    let mut connection = Connection::open_from(home.v4, "127.0.0.200");
    connection.send_octets(&from_client("10.0.0.9", &[]));
    let reply = connection.ask(&ask("printer.example", rtype::A));
    assert_eq!(reply.answers(), ["A 0.0.0.0"]);
    // LOCAL is its own question.
    let mut connection = Connection::open_from(home.v4, "127.0.0.200");
    connection.send_octets(&header(0x20, 0, &[]));
    assert!(connection.receive().is_none());
}

#[test]
fn a_connection_without_its_header_is_closed() {
    let home = start();
    let plain = frame(&ask("www.example.org", rtype::A).octets());
    let good = from_client("10.0.0.9", &subscriber(b"family-4711"));
    let with_length = |length: u16| {
        let mut octets = good.clone();
        octets[14..16].copy_from_slice(&length.to_be_bytes());
        [&octets[..], &plain].concat()
    };
    let told = good.len() as u16 - 16;
    for (what, octets) in [
        ("plain DNS", plain.clone()),
        (
            "version 1",
            b"PROXY TCP4 10.0.0.9 10.0.0.1 12345 53\r\n".to_vec(),
        ),
        ("another version", header(0x31, 0x11, &[10; 12])),
        ("a Unix socket", header(0x21, 0x31, &[0; 216])),
        ("a length without room for addresses", with_length(8)),
        ("a length that cuts a field", with_length(told - 1)),
        ("a length that takes in the question", with_length(told + 2)),
        ("more than any header has", with_length(u16::MAX)),
        (
            "a checksum that is none",
            from_client("10.0.0.9", &[3, 0, 4, 1, 2, 3, 4]),
        ),
        ("nobody", from_client("0.0.0.0", &[])),
        ("two headers", [&good[..], &good].concat()),
    ] {
        let mut connection = opened(&home, &octets);
        assert!(connection.receive().is_none(), "{what}");
    }
    // Cut off, and never ended: closed at once, and after `tcp-read`.
    let mut connection = opened(&home, &good[..20]);
    connection.shut();
    assert!(connection.receive().is_none());
    for begun in [&good[..20], &good[..1], &[]] {
        let took = opened(&home, begun).time_to_end();
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    // It still serves.
    assert_eq!(identity(&home, &good), "family");
    home.has_said("does not begin with a PROXY header");
}

/// 0x0d0a, the first octets of a header, announce a message of 3,338 octets to everybody else.
#[test]
fn elsewhere_connections_are_plain_dns_whatever_they_begin_with() {
    let home = start();
    let mut connection = Connection::open_from(home.v4, "127.0.0.8");
    connection.send_octets(&from_client("10.0.0.9", &subscriber(b"family-4711")));
    let ended = connection.time_to_end();
    assert!(ended < Duration::from_secs(10), "{ended:?}");
    // A whole message of that length is junk, or a question.
    let mut asked: Ask = ask("www.example.org", rtype::A).edns(1232);
    asked = asked.option(64_000, &vec![0; 0x0d0a - 48 - 4 + 4]);
    let mut octets = frame(&asked.octets());
    assert_eq!(octets[..2], [0x0d, 0x0a], "{:02x?}", &octets[..2]);
    octets[2..4].copy_from_slice(&SIGNATURE[2..4]);
    let mut connection = Connection::open_from(home.v4, "127.0.0.8");
    connection.send_octets(&octets);
    let reply = connection.receive().unwrap();
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
}

/// Each client behind a load balancer has places of its own.
#[test]
fn places_are_counted_by_the_real_client() {
    let home = start();
    let asked = ask("localhost", rtype::A);
    let open = |address: &str| {
        let mut connection = opened(&home, &from_client(address, &[]));
        connection.send(&asked);
        (connection.receive().is_some()).then_some(connection)
    };
    let held: Vec<_> = (0..3).map(|_| open("10.0.0.9").unwrap()).collect();
    assert!(open("10.0.0.9").is_none(), "three for each");
    for last in 10..20 {
        assert!(open(&format!("10.0.0.{last}")).is_some(), "{last}");
    }
    drop(held);
    wait_for("a place to come back", || open("10.0.0.9"));
}

/// The header as HAProxy writes it, with its checksum and TLS fields.
#[test]
fn a_real_haproxy_is_understood() {
    let version = Command::new("haproxy").arg("-v").output();
    let Ok(_) = version else {
        skip("haproxy is missing (Debian and Ubuntu: apt install haproxy)");
        return;
    };
    let home = start();
    let port = home::free_port();
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("haproxy.cfg");
    let text = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n\
         listen dns\n bind 127.0.0.1:{port}\n source 127.0.0.9\n \
         server home {} send-proxy-v2 proxy-v2-options crc32c,unique-id\n \
         unique-id-format %{{+X}}o%ci:%cp\n",
        home.v4
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new("haproxy")
        .args(["-db", "-f"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = home::Running(child);
    let to = ([127, 0, 0, 1], port).into();
    wait_for("haproxy to listen", || {
        std::net::TcpStream::connect(to).ok()
    });
    let mut connection = Connection::open_from(to, "127.0.0.7");
    let reply = connection.ask(&ask("www.example.org", rtype::A));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    assert_eq!(client_in_log(&home, "www.example.org"), "127.0.0.7");
    drop(child);
}

/// A header that another program puts together, in the words of the protocol's text.
#[test]
fn a_header_from_python_is_understood() {
    let home = start();
    let program = r#"
import socket, struct
import dns.message
s = socket.socket()
s.bind(("127.0.0.9", 0))
s.connect(("127.0.0.1", PORT))
tlvs = struct.pack("!BH", 0x04, 3) + bytes(3) + struct.pack("!BH", 0xE0, 11) + b"family-4711"
body = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "::1")
body += struct.pack("!HH", 40000, 53) + tlvs
s.sendall(b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A\x21\x21" + struct.pack("!H", len(body)) + body)
query = dns.message.make_query("family.example", "A").to_wire()
s.sendall(struct.pack("!H", len(query)) + query)
f = s.makefile("rb")
print(dns.message.from_wire(f.read(struct.unpack("!H", f.read(2))[0])).answer[0][0])
"#;
    if let Some(said) = clients::dnspython(home.v4, program) {
        assert_eq!(said.trim(), "0.0.0.0");
    }
}
