//! DNS over QUIC (RFC 9250) and over HTTP/3 (RFC 9114), by clients that also do what they must not.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use hyper::body::{Buf, Bytes};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime};

use crate::house::{House, NAME, PHONE};
use crate::support::wire::{ask, frame, rtype};
use crate::support::{Ask, Reply, Say};

/// Runs a test that speaks QUIC.
fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(test);
}

/// A connection from an address to the server that calls itself `name`.
async fn connect(house: &House, to: SocketAddr, alpn: &[u8], from: &str, name: &str) -> Connection {
    let crypto = QuicClientConfig::try_from(house.client(&[alpn])).unwrap();
    let from: IpAddr = from.parse().unwrap();
    let socket = UdpSocket::bind((from, 0)).unwrap();
    let runtime = Arc::new(TokioRuntime);
    let mut endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    endpoint.connect(to, name).unwrap().await.unwrap()
}

async fn doq(house: &House, from: &str, name: &str) -> Connection {
    connect(house, house.tls, b"doq", from, name).await
}

/// A question with the id it must have.
fn question(name: &str) -> Ask {
    Ask {
        id: 0,
        ..ask(name, rtype::A)
    }
}

/// Sends `octets` on a stream of their own; gives what comes back.
async fn send(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, quinn::ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(octets).await.unwrap();
    send.finish().unwrap();
    receive.read_to_end(70_000).await
}

async fn answer(connection: &Connection, asked: &Ask) -> Reply {
    let said = send(connection, &frame(&asked.octets())).await.unwrap();
    let length = usize::from(u16::from_be_bytes([said[0], said[1]]));
    assert_eq!(said.len(), 2 + length, "one message and the end");
    let reply = Reply::read(said[2..].to_vec());
    reply.assert_sound(asked);
    reply
}

fn code_of(error: &ConnectionError) -> u64 {
    match error {
        ConnectionError::ApplicationClosed(closed) => closed.error_code.into_inner(),
        other => panic!("{other}"),
    }
}

#[test]
fn each_stream_is_one_question() {
    let house = House::open("");
    house
        .home
        .upstream
        .on_name("www.example", Say::address("192.0.2.1"));
    run(async {
        let connection = doq(&house, "127.0.0.1", NAME).await;
        let (www, desk) = (question("www.example"), question("desk.example"));
        let (first, second) = tokio::join!(answer(&connection, &www), answer(&connection, &desk));
        assert_eq!(first.answers(), ["A 192.0.2.1"]);
        assert_eq!(second.answers(), ["A 0.0.0.0"]);
        let padded = question("www.example").edns(1232).option(12, &[0; 9]);
        assert_eq!(answer(&connection, &padded).await.octets.len(), 468);
        // Neither by the server's own streams nor by datagrams.
        assert_eq!(connection.max_datagram_size(), None);
        connection.close(0_u32.into(), b"");
    });
    let text = house.hedgerow(&["status", "--json"]);
    let text = text.replace([' ', '\n'], "");
    for transport in ["dot", "doh", "doh3", "doq"] {
        let shown = format!("\"transport\":\"{transport}\"");
        assert!(text.contains(&shown), "{transport}: {text}");
    }
}

#[test]
fn who_breaks_the_rules_is_cut_off_with_their_code() {
    const PROTOCOL_ERROR: u64 = 2;
    let house = House::open("");
    let good = question("desk.example");
    let message = frame(&good.octets());
    let with_id = Ask {
        id: 7,
        ..good.clone()
    };
    let keepalive = good.clone().edns(1232).option(11, &[]);
    let mut response = good.octets();
    response[2] |= 0x80;
    run(async {
        for (what, octets) in [
            ("an id", frame(&with_id.octets())),
            ("a time-out meant for TCP", frame(&keepalive.octets())),
            ("half a message", message[..9].to_vec()),
            ("two messages", [message.clone(), message.clone()].concat()),
            ("a response", frame(&response)),
            ("nothing", Vec::new()),
        ] {
            let connection = doq(&house, "127.0.0.1", NAME).await;
            drop(send(&connection, &octets).await);
            let error = connection.closed().await;
            assert_eq!(code_of(&error), PROTOCOL_ERROR, "{what}: {error}");
        }
        // A stream that never ends costs that stream.
        let connection = doq(&house, "127.0.0.1", NAME).await;
        let long = vec![0; 5000];
        let (mut sending, mut receive) = connection.open_bi().await.unwrap();
        drop(sending.write_all(&long).await);
        assert!(receive.read_to_end(10).await.is_err());
        assert_eq!(answer(&connection, &good).await.answers(), ["A 0.0.0.0"]);
    });
}

#[test]
fn an_id_is_shown_by_the_servers_name() {
    let house = House::open("");
    let own = format!("{PHONE}.{NAME}");
    run(async {
        for from in ["127.0.0.2", "127.0.0.1"] {
            let connection = doq(&house, from, &own).await;
            let reply = answer(&connection, &question("phone.example")).await;
            assert_eq!(reply.answers(), ["A 0.0.0.0"], "{from}");
        }
        let stranger = doq(&house, "127.0.0.2", NAME).await;
        let error = stranger.closed().await;
        assert_eq!(code_of(&error), 5, "{error}");
    });
}

#[test]
fn http3_answers_as_http_does() {
    let house = House::open("");
    house
        .home
        .upstream
        .on_name("www.example", Say::address("192.0.2.1"));
    run(async {
        let connection = connect(&house, house.https, b"h3", "127.0.0.1", NAME).await;
        let quic = h3_quinn::Connection::new(connection);
        let (mut driver, mut sender) = h3::client::new(quic).await.unwrap();
        let driving = tokio::spawn(async move {
            std::future::poll_fn(|context| driver.poll_close(context)).await
        });
        let asked = question("www.example");
        for (method, path, body, status) in [
            ("POST", "/dns-query", asked.octets(), 200),
            (
                "GET",
                "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlAAABAAE",
                vec![],
                200,
            ),
            ("POST", &format!("/dns-query/{PHONE}"), asked.octets(), 200),
            ("POST", "/dns-query/nobody", asked.octets(), 403),
            ("POST", "/dns-query", vec![0; 5000], 413),
            ("GET", "/other", vec![], 404),
            ("DELETE", "/dns-query", vec![], 405),
        ] {
            let request = hyper::Request::builder()
                .method(method)
                .uri(format!("https://{NAME}{path}"))
                .header("content-type", "application/dns-message")
                .body(())
                .unwrap();
            let mut stream = sender.send_request(request).await.unwrap();
            if !body.is_empty() {
                // The daemon may not want to hear all of it.
                drop(stream.send_data(Bytes::from(body)).await);
            }
            drop(stream.finish().await);
            let response = stream.recv_response().await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{method} {path}");
            let mut said = Vec::new();
            while let Ok(Some(mut chunk)) = stream.recv_data().await {
                let octets = chunk.copy_to_bytes(chunk.remaining());
                said.extend_from_slice(&octets);
            }
            if status == 200 {
                assert_eq!(
                    Reply::read(said).answers(),
                    ["A 192.0.2.1"],
                    "{method} {path}"
                );
                let age = &response.headers()["cache-control"];
                assert!(age.to_str().unwrap().contains("max-age="));
            }
        }
        drop(sender);
        drop(driving.await);
    });
}
