//! DNS over HTTPS (RFC 8484), octet by octet over HTTP/1.1; the other versions are asked in
//! [`crate::clients`] and `quic`.

use std::io::Write;

use crate::house::{House, NAME, PHONE, post};
use crate::support::wire::{ask, rtype};
use crate::support::{Reply, Say};

#[test]
fn questions_come_by_get_and_by_post() {
    let house = House::open("");
    let upstream = &house.home.upstream;
    upstream.on_name(
        "www.example",
        Say::Records(vec![
            crate::support::upstream::address("192.0.2.1").ttl(90),
            crate::support::upstream::address("192.0.2.2").ttl(40),
        ]),
    );
    upstream.on_name("none.example", Say::NxDomain(50));
    let mut http = house.http("127.0.0.1", NAME);
    let asked = ask("www.example", rtype::A);
    let (status, head, body) = http.request(&post("/dns-query", &asked.octets()));
    assert_eq!(status, 200, "{head}");
    assert!(
        head.contains("content-type: application/dns-message"),
        "{head}"
    );
    assert!(
        head.contains("cache-control: private, max-age=40"),
        "{head}"
    );
    let reply = Reply::read(body);
    reply.assert_sound(&asked);
    assert_eq!(reply.answers().len(), 2);
    // RFC 8484 section 4.1.1: the question of its example, in its encoding.
    house
        .home
        .upstream
        .on_name("www.example.com", Say::address("192.0.2.3"));
    let get = format!(
        "GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB HTTP/1.1\r\nhost: {NAME}\
         \r\naccept: application/dns-message\r\n\r\n"
    );
    let (status, _, body) = http.request(get.as_bytes());
    assert_eq!(
        (status, Reply::read(body).answers()),
        (200, vec!["A 192.0.2.3".to_owned()])
    );
    let none = ask("none.example", rtype::A);
    let (status, head, _) = http.request(&post("/dns-query", &none.octets()));
    assert!(status == 200 && head.contains("max-age=50"), "{head}");
    let blocked = ask("desk.example", rtype::A);
    let (status, head, _) = http.request(&post("/dns-query", &blocked.octets()));
    assert!(status == 200 && head.contains("max-age=7"), "{head}");
}

#[test]
fn padded_questions_get_padded_answers() {
    let house = House::open("");
    let mut http = house.http("127.0.0.1", NAME);
    let padded = ask("desk.example", rtype::A)
        .edns(1232)
        .option(12, &[0; 20]);
    let (_, _, body) = http.request(&post("/dns-query", &padded.octets()));
    // RFC 8467 section 4.1.
    assert_eq!(body.len(), 468);
    let plain = ask("desk.example", rtype::A).edns(1232);
    let (_, _, body) = http.request(&post("/dns-query", &plain.octets()));
    assert!(body.len() < 300, "{}", body.len());
}

#[test]
fn what_is_no_question_is_told_by_its_status() {
    let house = House::open("");
    let question = ask("desk.example", rtype::A).octets();
    let with = |line: &str, headers: &str| {
        format!("{line} HTTP/1.1\r\nhost: {NAME}\r\n{headers}\r\n").into_bytes()
    };
    let mut response = question.clone();
    response[2] |= 0x80;
    let unknown = post(
        &format!("/dns-query/{}", PHONE.replace('m', "n")),
        &question,
    );
    let long = "content-type: application/dns-message\r\ncontent-length: 5000\r\n";
    let text = "content-type: text/plain\r\ncontent-length: 0\r\n";
    for (status, request) in [
        (200, post("/dns-query", &question)),
        (200, with("GET /", "")),
        (404, with("GET /favicon.ico", "")),
        (404, with("POST /", "content-length: 0\r\n")),
        (404, with("GET /dns-query/", "")),
        (404, with("GET /dns-query/a/b?dns=AAAB", "")),
        (405, with("PUT /dns-query", "content-length: 0\r\n")),
        (405, with("HEAD /dns-query?dns=AAAB", "")),
        (400, with("GET /dns-query", "")),
        (400, with("GET /dns-query?dns=", "")),
        (400, with("GET /dns-query?dns=AAA*", "")),
        (400, post("/dns-query", b"junk")),
        (400, post("/dns-query", &response)),
        (413, with("POST /dns-query", long)),
        (415, with("POST /dns-query", text)),
        (403, unknown),
    ] {
        let mut http = house.http("127.0.0.1", NAME);
        let (found, head, _) = http.request(&request);
        let request = String::from_utf8_lossy(&request);
        assert_eq!(found, status, "{request}\n{head}");
        if status == 405 {
            assert!(head.contains("allow: get, post"), "{head}");
        }
    }
    // A body that goes on behind what may come, in pieces whose sum nobody told.
    let mut http = house.http("127.0.0.1", NAME);
    let head = "transfer-encoding: chunked\r\ncontent-type: application/dns-message\r\n";
    http.stream
        .write_all(&with("POST /dns-query", head))
        .unwrap();
    for _ in 0..5 {
        // The daemon may have said its word already.
        let chunk = [&b"400\r\n"[..], &[0; 1024], b"\r\n"].concat();
        drop(http.stream.write_all(&chunk));
    }
    assert_eq!(http.response().map(|it| it.0), Some(413));
    // Headers that go on and on.
    let mut http = house.http("127.0.0.1", NAME);
    let headers = format!("x: {}\r\n", "y".repeat(40_000));
    drop(
        http.stream
            .write_all(&with("GET /dns-query?dns=AAAB", &headers)),
    );
    assert!(matches!(http.response(), None | Some((431, ..))));
}
