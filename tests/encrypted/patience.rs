//! Clients that dawdle, at each state of a connection: none holds anything for long, and nobody else
//! waits for them.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::house::{House, NAME, Talk};
use crate::support::wire::{ask, frame, rtype};
use crate::support::{Connection, PATIENCE};

const SHORT: &str = "[limits]\ntcp-read = \"1s\"\nencrypted-idle = \"1s\"\n\
                     encrypted-connections = 1000\nencrypted-per-client = 900\n\
                     memory = \"256 MiB\"\n";

/// Waits until the daemon ends a connection, whatever it says before.
fn end_of(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    let mut chunk = [0; 4096];
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        match std::io::Read::read(stream, &mut chunk) {
            Ok(0) => return start.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return start.elapsed();
            }
            Err(error) => panic!("it is never ended: {error}"),
        }
    }
}

#[test]
fn every_state_ends_in_time() {
    let house = House::open(SHORT);
    let message = frame(&ask("desk.example", rtype::A).octets());
    let ended = |what: &str, stream: &mut TcpStream| {
        let took = end_of(stream);
        assert!(took < Duration::from_secs(8), "{what}: {took:?}");
    };
    // Nothing at all; the beginning of a handshake.
    for to in [house.tls, house.https] {
        ended("silence", &mut Connection::open(to).stream);
        let mut hello = Connection::open(to).stream;
        hello.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
        ended("half a hello", &mut hello);
        // A whole one, and nothing more.
        let client = std::sync::Arc::new(house.client(&[]));
        let mut talk = Talk::open(to, "127.0.0.1", NAME, client);
        let stream = &mut talk.stream;
        stream.conn.write_tls(&mut stream.sock).unwrap();
        ended("half a handshake", &mut stream.sock);
    }
    // Behind the handshake: nothing, half a message, silence after an answer.
    let shaken = |http: bool, sent: &[u8]| -> Talk {
        let mut talk = if http {
            house.http("127.0.0.1", NAME)
        } else {
            house.dot()
        };
        talk.stream.write_all(sent).unwrap();
        talk.stream.flush().unwrap();
        talk
    };
    let mut idle = shaken(false, &message);
    assert!(idle.receive().is_some());
    ended("idle", &mut idle.stream.sock);
    let mut silent = house.dot();
    silent
        .stream
        .conn
        .complete_io(&mut silent.stream.sock)
        .unwrap();
    ended("no message", &mut silent.stream.sock);
    ended(
        "half a message",
        &mut shaken(false, &message[..9]).stream.sock,
    );
    let mut silent = house.http("127.0.0.1", NAME);
    silent
        .stream
        .conn
        .complete_io(&mut silent.stream.sock)
        .unwrap();
    ended("no request", &mut silent.stream.sock);
    let head = format!("POST /dns-query HTTP/1.1\r\nhost: {NAME}\r\n");
    ended(
        "half a head",
        &mut shaken(true, head.as_bytes()).stream.sock,
    );
    let head =
        format!("{head}content-type: application/dns-message\r\ncontent-length: 60\r\n\r\nabc");
    let mut half = shaken(true, head.as_bytes());
    assert_eq!(half.response().map(|it| it.0), Some(408), "half a body");
    ended("half a body", &mut half.stream.sock);
    // HTTP/2: a preface, and then nothing.
    let client = std::sync::Arc::new(house.client(&[b"h2"]));
    let mut h2 = Talk::open(house.https, "127.0.0.1", NAME, client);
    h2.stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    ended("HTTP/2 without a request", &mut h2.stream.sock);
}

#[test]
fn hundreds_that_dawdle_slow_nobody() {
    let house = House::open(SHORT);
    let mut crowd: Vec<TcpStream> = Vec::new();
    for number in 0..600 {
        let to = if number % 2 == 0 {
            house.tls
        } else {
            house.https
        };
        let mut stream = Connection::open(to).stream;
        stream
            .write_all(&[0x16, 3, 1, 2][..number % 4 + 1])
            .unwrap();
        crowd.push(stream);
    }
    // All while they wait: in the clear and encrypted.
    for _ in 0..20 {
        let asked = ask("desk.example", rtype::A);
        let start = Instant::now();
        house.home.ask(&asked);
        let clear = start.elapsed();
        house.dot().ask(&asked);
        let both = start.elapsed();
        assert!(
            clear < Duration::from_millis(500) && both < Duration::from_secs(2),
            "{clear:?} {both:?}"
        );
    }
    for mut stream in crowd {
        end_of(&mut stream);
    }
}

#[test]
fn one_client_holds_no_more_than_its_share() {
    let house = House::open("[limits]\nencrypted-connections = 8\nencrypted-per-client = 3\n");
    let mut held: Vec<Talk> = Vec::new();
    for _ in 0..3 {
        let mut talk = house.dot();
        talk.ask(&ask("desk.example", rtype::A));
        held.push(talk);
    }
    let mut fourth = Connection::open(house.tls).stream;
    end_of(&mut fourth);
    held.pop();
    crate::support::wait_for("a place", || {
        let mut talk = house.dot();
        let sent = talk
            .stream
            .write_all(&frame(&ask("desk.example", rtype::A).octets()));
        sent.is_ok().then(|| talk.receive()).flatten()
    });
    // Those that are held are still served.
    for talk in &mut held {
        talk.ask(&ask("desk.example", rtype::A));
    }
}

/// What an idle connection takes. To measure, say `HEDGEROW_IDLE=10000`, which takes a minute and
/// 20,000 descriptors.
#[test]
fn idle_connections_take_little_memory() {
    let house = House::open(
        "[limits]\nencrypted-connections = 12000\nencrypted-per-client = 12000\n\
         encrypted-idle = \"1h\"\nmemory = \"4 GiB\"\n",
    );
    let client = std::sync::Arc::new(house.client(&[b"dot"]));
    let mut held = Vec::new();
    let mut before = 0;
    const WARM: usize = 100;
    let many = std::env::var("HEDGEROW_IDLE").map_or(1_000, |many| many.parse().unwrap());
    for number in 0..WARM + many {
        if number == WARM {
            before = house.home.resident();
        }
        let mut talk = Talk::open(house.tls, "127.0.0.1", NAME, std::sync::Arc::clone(&client));
        talk.ask(&ask("desk.example", rtype::A));
        held.push(talk.stream.sock);
    }
    let each = (house.home.resident() - before) * 1024 / many as u64;
    eprintln!("{each} octets for each idle connection");
    assert!(each <= 12 << 10, "{each} octets");
    let start = Instant::now();
    house.dot().ask(&ask("desk.example", rtype::A));
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// One device at home could once have the server sign as often as it liked.
#[test]
fn one_machine_at_home_has_a_rate_of_handshakes() {
    let house = House::open_to(
        &["127.0.0.1/32", "127.0.0.4/30"],
        "[limits]\nencrypted-connections = 200\nencrypted-per-client = 50\nmemory = \"64 MiB\"\n\
         [[forwarder]]\naddress = [\"127.0.0.7\"]\ntrust = [\"mac\"]\n",
    );
    let shaken = |from| {
        let shaken = (0..600).take_while(|_| {
            let mut talk = house.dot_from(from, NAME);
            talk.stream.conn.complete_io(&mut talk.stream.sock).is_ok()
        });
        shaken.count()
    };
    let one = shaken("127.0.0.5");
    assert!((100..600).contains(&one), "{one}");
    assert_eq!(shaken("127.0.0.7"), 600, "it speaks for many");
    house.dot().ask(&ask("desk.example", rtype::A));
    #[cfg(feature = "quic")]
    crate::quic::run(async {
        let from = |address: &'static str| {
            let window = quinn::TransportConfig::default();
            crate::quic::connecting_with(&house, house.tls, b"doq", address, NAME, window)
        };
        let mut shaken = 0;
        while shaken < 600 && from("127.0.0.6").await.is_ok() {
            shaken += 1;
        }
        // Those that show where they are have as many beside those that only say so.
        assert!((100..600).contains(&shaken), "{shaken}");
        assert!(from("127.0.0.5").await.is_ok(), "by another way");
        assert!(from("127.0.0.1").await.is_ok());
    });
}
