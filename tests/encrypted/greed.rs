//! Clients that ask and take nothing, or give an octet at a time: what they hold is bounded, and they
//! are ended, whatever they speak.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::house::{House, NAME, Talk, post};
use crate::support::upstream::unknown;
use crate::support::wire::{ask, frame, rtype};
use crate::support::{Ask, Connection, PATIENCE, Reply, Say};

const SHORT: &str = "[limits]\ntcp-read = \"1s\"\nencrypted-idle = \"1s\"\n\
                     encrypted-connections = 100\nencrypted-per-client = 90\n\
                     memory = \"64 MiB\"\n";
/// How long any of them may last: questions are answered, or not taken for 5 s, and the rest ends a
/// second or two later.
const LONG: Duration = Duration::from_secs(12);
/// Clients, and questions of each, whose answers have 60,000 octets.
const CROWD: usize = 40;
const QUESTIONS: usize = 8;
/// What they may hold: of each a buffer of TLS (16 KiB) and what HTTP keeps beside, and all together
/// less than the 400 KiB of answers that may wait. All answers would be 19 MiB.
const ALLOWED: u64 = 5 << 10;

fn open() -> House {
    let house = House::open(SHORT);
    let big = Say::one(unknown(65_280, &[7; 60_000]));
    house
        .home
        .upstream
        .on_name("big.example", Say::Truncated(Box::new(big)));
    let mut talk = house.dot();
    assert!(talk.ask(&big_question()).octets.len() > 60_000);
    talk.ask(&ask("desk.example", rtype::A));
    house
}

fn big_question() -> Ask {
    Ask {
        id: 0,
        ..ask("big.example", 65_280)
    }
}

/// Looks at what `greedy` clients, which have asked everything, cost the house.
fn cost(house: &House, before: u64) {
    let start = Instant::now();
    for _ in 0..5 {
        house.dot().ask(&ask("desk.example", rtype::A));
    }
    assert!(start.elapsed() < Duration::from_secs(3), "others wait");
    let growth = house.home.resident().saturating_sub(before);
    assert!(growth < ALLOWED, "{growth} KiB");
}

/// Reads until the daemon ends `stream`.
fn drain(stream: &mut impl Read) {
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("it is never ended: {error}"),
        }
    }
}

fn greedy_over_tls(alpn: &[u8], request: &[u8]) {
    let house = open();
    let client = Arc::new(house.client(&[alpn]));
    let to = match alpn {
        b"dot" => house.tls,
        _ => house.https,
    };
    let before = house.home.resident();
    let mut crowd: Vec<Talk> = Vec::new();
    for _ in 0..CROWD {
        let mut talk = Talk::open(to, "127.0.0.1", NAME, Arc::clone(&client));
        // The daemon may have enough already.
        drop(talk.stream.write_all(request));
        crowd.push(talk);
    }
    cost(&house, before);
    let start = Instant::now();
    // Nothing is taken yet: that the daemon gives up is seen at its side alone.
    while open_at(to.port()) > 0 {
        assert!(start.elapsed() < LONG, "{} are left", open_at(to.port()));
        std::thread::sleep(Duration::from_millis(20));
    }
    for talk in &mut crowd {
        talk.stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
        drain(&mut talk.stream.sock);
    }
}

/// How many connections the kernel has open whose own port is `port`.
fn open_at(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let own = format!(":{port:04X}");
    let open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next(), fields.nth(1));
        local.is_some_and(|it| it.ends_with(&own)) && state == Some("01")
    };
    table.lines().filter(open).count()
}

#[test]
fn answers_over_tls_that_nobody_takes() {
    let request = frame(&big_question().octets()).repeat(QUESTIONS);
    greedy_over_tls(b"dot", &request);
}

#[test]
fn answers_over_http_that_nobody_takes() {
    let request = post("/dns-query", &big_question().octets()).repeat(QUESTIONS);
    greedy_over_tls(b"http/1.1", &request);
}

/// One client that took nothing once used up what there is for all, and whoever came next was cut off.
#[test]
fn who_takes_nothing_leaves_room_for_the_answers_of_others() {
    let house = House::open_to(
        &["127.0.0.1/32", "127.0.0.5/32"],
        "[limits]\nencrypted-connections = 64\nencrypted-per-client = 60\nmemory = \"64 MiB\"\n",
    );
    let big = Say::one(unknown(65_280, &[7; 60_000]));
    let upstream = &house.home.upstream;
    upstream.on_name("big.example", Say::Truncated(Box::new(big)));
    let request = post("/dns-query", &big_question().octets());
    // Somebody else at home.
    let guest = "127.0.0.5";
    let (status, ..) = house.http(guest, NAME).request(&request);
    assert_eq!(status, 200);
    let mut crowd = Vec::new();
    // Some of the 256 KiB are the desk's, whose next answer is refused then.
    let refused = (0..9).find(|_| {
        for _ in 0..2 {
            let mut greedy = house.http("127.0.0.1", NAME);
            greedy.stream.write_all(&request.repeat(4)).unwrap();
            crowd.push(greedy);
        }
        house.http("127.0.0.1", NAME).request(&request).0 == 503
    });
    assert!(refused.is_some(), "it takes what it likes");
    let (status, _, body) = house.http(guest, NAME).request(&request);
    assert_eq!((status, body.len() > 60_000), (200, true));
    drop(crowd);
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn h2(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a POST of so many octets on `stream`, without a table (RFC 7541 appendix A).
fn h2_head(stream: u32, octets: usize) -> Vec<u8> {
    let octets = octets.to_string();
    let mut head = vec![0x83, 0x87];
    for (name, value) in [
        (&[0x04][..], "/dns-query"),
        (&[0x01], NAME),
        (&[0x0f, 0x10], "application/dns-message"),
        (&[0x0f, 0x0d], &octets),
    ] {
        head.extend_from_slice(name);
        head.push(value.len() as u8);
        head.extend_from_slice(value.as_bytes());
    }
    h2(1, 4, stream, &head)
}

/// How a client begins that lets so many octets of each answer come.
fn h2_start(window: u32) -> Vec<u8> {
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    let settings = h2(4, 0, 0, &settings);
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()
}

#[test]
fn answers_over_http2_that_nobody_takes() {
    // By a client whose windows are closed, and by one that lets everything come and reads nothing.
    for window in [0, 1 << 20] {
        let question = big_question().octets();
        let mut request = h2_start(window);
        for number in 0..QUESTIONS as u32 {
            let stream = 2 * number + 1;
            request.extend(h2_head(stream, question.len()));
            request.extend(h2(0, 1, stream, &question));
        }
        greedy_over_tls(b"h2", &request);
    }
}

/// Sends `parts` a tenth of a second apart, until the daemon ends the connection or there are no more;
/// what it said, and whether it ended.
fn drip<S: Read + Write>(stream: &mut S, parts: &[Vec<u8>]) -> (Vec<u8>, bool) {
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    for part in parts {
        if stream
            .write_all(part)
            .and_then(|()| stream.flush())
            .is_err()
        {
            return (said, true);
        }
        // The time-out of this is the pace.
        match stream.read(&mut chunk) {
            Ok(0) => return (said, true),
            Ok(length) => said.extend_from_slice(&chunk[..length]),
            Err(error) if is_pause(&error) => {}
            Err(_) => return (said, true),
        }
    }
    (said, false)
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn octets(of: &[u8]) -> Vec<Vec<u8>> {
    of.iter().map(|octet| vec![*octet]).collect()
}

#[test]
fn an_octet_at_a_time_is_too_slow_at_each_state() {
    let house = House::open(SHORT);
    let pace = Some(Duration::from_millis(100));
    let question = ask("desk.example", rtype::A)
        .edns(1232)
        .option(12, &[0; 150]);
    let message = question.octets();
    let talk = |alpn: &[u8]| {
        let to = match alpn {
            b"dot" => house.tls,
            _ => house.https,
        };
        let client = Arc::new(house.client(&[alpn]));
        let mut talk = Talk::open(to, "127.0.0.1", NAME, client);
        let stream = &mut talk.stream;
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream.sock.set_read_timeout(pace).unwrap();
        talk
    };
    for to in [house.tls, house.https] {
        // A handshake: a record that is announced with 512 octets.
        let mut hello = Connection::open(to).stream;
        hello.set_read_timeout(pace).unwrap();
        let record = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 200]].concat();
        assert!(drip(&mut hello, &octets(&record)).1, "a handshake");
    }
    let slow = |what: &str, alpn: &[u8], start: &[u8], parts: &[Vec<u8>]| {
        let mut talk = talk(alpn);
        talk.stream.write_all(start).unwrap();
        let start = Instant::now();
        let (said, ended) = drip(&mut talk.stream, parts);
        assert!(ended, "{what}: {:?}", String::from_utf8_lossy(&said));
        assert!(start.elapsed() < LONG, "{what}");
    };
    slow("a message", b"dot", b"", &octets(&frame(&message)));
    let request = post("/dns-query", &message);
    let body = request.len() - message.len();
    slow("a head", b"http/1.1", b"", &octets(&request));
    slow(
        "a body",
        b"http/1.1",
        &request[..body],
        &octets(&request[body..]),
    );
    let start = h2_start(1 << 16);
    let head = h2_head(1, message.len());
    slow(
        "a preface",
        b"h2",
        b"",
        &octets(&[&start[..], &[0; 100]].concat()),
    );
    slow(
        "a head of HTTP/2",
        b"h2",
        &start,
        &octets(&[&head[..], &[0; 100]].concat()),
    );
    let frames: Vec<_> = message.iter().map(|it| h2(0, 0, 1, &[*it])).collect();
    slow("a body of HTTP/2", b"h2", &[start, head].concat(), &frames);
}

#[test]
fn what_comes_in_pieces_in_time_is_answered_and_what_is_empty_is_refused() {
    let house = House::open("");
    let message = ask("desk.example", rtype::A).octets();
    let mut talk = house.dot();
    for octet in frame(&message) {
        talk.stream.write_all(&[octet]).unwrap();
        talk.stream.flush().unwrap();
    }
    assert_eq!(talk.receive().unwrap().answers(), ["A 0.0.0.0"]);
    let mut http = house.http("127.0.0.1", NAME);
    for octet in post("/dns-query", &message) {
        http.stream.write_all(&[octet]).unwrap();
        http.stream.flush().unwrap();
    }
    let (status, _, body) = http.response().unwrap();
    assert_eq!(status, 200);
    assert_eq!(Reply::read(body).answers(), ["A 0.0.0.0"]);
    let (status, ..) = http.request(&post("/dns-query", b""));
    assert_eq!(status, 400, "a body of nothing");
    // A message of nothing deserves no connection.
    let mut talk = house.dot();
    talk.stream.write_all(&[0, 0]).unwrap();
    assert!(talk.receive().is_none());
}

#[cfg(feature = "quic")]
mod quic {
    use hyper::body::Bytes;
    use quinn::{TransportConfig, VarInt};
    use tokio::time::timeout;

    use super::*;
    use crate::quic::{connecting_with, question, run};

    /// Windows of a client that takes next to nothing: the streams of HTTP/3 itself.
    fn closed(window: u32) -> TransportConfig {
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(VarInt::from_u32(window));
        transport
    }

    #[test]
    fn answers_over_quic_that_nobody_takes() {
        let house = open();
        run(async {
            let before = house.home.resident();
            let asked = frame(&big_question().octets());
            let mut crowd = Vec::new();
            for _ in 0..CROWD {
                let window = closed(0);
                let connecting =
                    connecting_with(&house, house.tls, b"doq", "127.0.0.1", NAME, window);
                let connection = connecting.await.unwrap();
                let mut streams = Vec::new();
                for _ in 0..QUESTIONS {
                    let Ok((mut send, receive)) = connection.open_bi().await else {
                        break;
                    };
                    drop(send.write_all(&asked).await);
                    drop(send.finish());
                    streams.push(receive);
                }
                crowd.push((connection, streams));
            }
            cost(&house, before);
            for (connection, _streams) in &crowd {
                timeout(LONG, connection.closed()).await.unwrap();
            }
        });
    }

    #[test]
    fn answers_over_http3_that_nobody_takes() {
        let house = open();
        run(async {
            let before = house.home.resident();
            let asked = big_question().octets();
            let mut crowd = Vec::new();
            for _ in 0..CROWD {
                let window = closed(1200);
                let connecting =
                    connecting_with(&house, house.https, b"h3", "127.0.0.1", NAME, window);
                let connection = connecting.await.unwrap();
                let quic = h3_quinn::Connection::new(connection.clone());
                let (mut driver, mut sender) = h3::client::new(quic).await.unwrap();
                tokio::spawn(async move {
                    drop(std::future::poll_fn(|context| driver.poll_close(context)).await);
                });
                let mut streams = Vec::new();
                for _ in 0..QUESTIONS {
                    let request = hyper::Request::post(format!("https://{NAME}/dns-query"))
                        .header("content-type", "application/dns-message")
                        .body(())
                        .unwrap();
                    let Ok(mut stream) = sender.send_request(request).await else {
                        break;
                    };
                    drop(stream.send_data(Bytes::from(asked.clone())).await);
                    drop(stream.finish().await);
                    streams.push(stream);
                }
                crowd.push((connection, sender, streams));
            }
            cost(&house, before);
            for (connection, ..) in &crowd {
                timeout(LONG, connection.closed()).await.unwrap();
            }
        });
    }

    #[test]
    fn an_octet_at_a_time_is_too_slow_over_quic() {
        let house = House::open(SHORT);
        run(async {
            let message = frame(
                &question("desk.example")
                    .edns(1232)
                    .option(12, &[0; 150])
                    .octets(),
            );
            let window = TransportConfig::default();
            let connecting = connecting_with(&house, house.tls, b"doq", "127.0.0.1", NAME, window);
            let connection = connecting.await.unwrap();
            let (mut send, mut receive) = connection.open_bi().await.unwrap();
            let dripping = async {
                for octet in &message {
                    send.write_all(&[*octet]).await?;
                    // The pace.
                    drop(timeout(Duration::from_millis(100), connection.closed()).await);
                }
                Ok::<_, quinn::WriteError>(())
            };
            let (dripped, said) = tokio::join!(dripping, receive.read_to_end(100));
            assert!(dripped.is_err(), "all of it was taken");
            // DOQ_EXCESSIVE_LOAD (RFC 9250 section 4.3).
            let reset = quinn::ReadError::Reset(VarInt::from_u32(4));
            match said {
                Err(quinn::ReadToEndError::Read(error)) => assert_eq!(error, reset),
                other => panic!("{other:?}"),
            }
            timeout(LONG, connection.closed()).await.unwrap();
        });
    }
}
