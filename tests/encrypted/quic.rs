//! DNS over QUIC (RFC 9250) and over HTTP/3 (RFC 9114), by clients that also do what they must not.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use hyper::body::{Buf, Bytes};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime, TransportConfig};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::house::{House, NAME, PHONE};
use crate::support::wire::{ask, frame, rtype};
use crate::support::{Ask, PATIENCE, Reply, Say};

/// Runs a test that speaks QUIC.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(test);
}

/// A connection from an address to the server that calls itself `name`.
async fn connect(house: &House, to: SocketAddr, alpn: &[u8], from: &str, name: &str) -> Connection {
    connecting(house, to, alpn, from, name).await.unwrap()
}

async fn connecting(
    house: &House,
    to: SocketAddr,
    alpn: &[u8],
    from: &str,
    name: &str,
) -> Result<Connection, ConnectionError> {
    connecting_with(house, to, alpn, from, name, TransportConfig::default()).await
}

/// The same by a client with windows of its own.
pub(crate) async fn connecting_with(
    house: &House,
    to: SocketAddr,
    alpn: &[u8],
    from: &str,
    name: &str,
    transport: TransportConfig,
) -> Result<Connection, ConnectionError> {
    connecting_by(house.client(&[alpn]), to, from, name, transport).await
}

async fn connecting_by(
    tls: ClientConfig,
    to: SocketAddr,
    from: &str,
    name: &str,
    transport: TransportConfig,
) -> Result<Connection, ConnectionError> {
    let crypto = QuicClientConfig::try_from(tls).unwrap();
    let from: IpAddr = from.parse().unwrap();
    let socket = UdpSocket::bind((from, 0)).unwrap();
    let runtime = Arc::new(TokioRuntime);
    let mut endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime).unwrap();
    let mut client = quinn::ClientConfig::new(Arc::new(crypto));
    client.transport_config(Arc::new(transport));
    endpoint.set_default_client_config(client);
    endpoint.connect(to, name).unwrap().await
}

async fn doq(house: &House, from: &str, name: &str) -> Connection {
    connect(house, house.tls, b"doq", from, name).await
}

/// A question with the id it must have.
pub(crate) fn question(name: &str) -> Ask {
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

/// A client over QUIC that stops in the middle of its handshake: it has said hello and heard the server,
/// and says nothing before it is to go on. Then it asks for `phone.example`.
struct Hesitant {
    go_on: mpsc::Sender<()>,
    asked: JoinHandle<Result<Reply, ConnectionError>>,
}

impl Hesitant {
    /// One that has come so far.
    fn from(house: &House, from: &'static str, name: &str) -> Self {
        let (heard, hears) = mpsc::channel();
        let (go_on, waits) = mpsc::channel();
        let mut roots = RootCertStore::empty();
        roots.add(house.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let mut tls = house.client(&[b"doq"]);
        tls.dangerous().set_certificate_verifier(Arc::new(Pause {
            verifier: verifier.build().unwrap(),
            heard,
            waits: Mutex::new(waits),
        }));
        let (to, name) = (house.tls, name.to_owned());
        // The pause stops all that runs in a thread.
        let asked = std::thread::spawn(move || {
            let mut said = None;
            run(async {
                let transport = TransportConfig::default();
                let connected = connecting_by(tls, to, from, &name, transport).await;
                said = Some(match connected {
                    Ok(connection) => ask_once(&connection).await,
                    Err(error) => Err(error),
                });
            });
            said.unwrap()
        });
        hears.recv_timeout(PATIENCE).expect("the server's half");
        Self { go_on, asked }
    }

    /// What comes of it.
    fn go_on(self) -> Result<Reply, ConnectionError> {
        self.go_on.send(()).unwrap();
        self.asked.join().unwrap()
    }
}

async fn ask_once(connection: &Connection) -> Result<Reply, ConnectionError> {
    let message = frame(&question("phone.example").octets());
    let asking = async {
        let (mut send, mut receive) = connection.open_bi().await.ok()?;
        send.write_all(&message).await.ok()?;
        send.finish().ok()?;
        receive.read_to_end(70_000).await.ok()
    };
    match asking.await {
        Some(said) => Ok(Reply::read(said[2..].to_vec())),
        None => Err(connection.closed().await),
    }
}

/// Looks at certificates when it is told to.
#[derive(Debug)]
struct Pause {
    verifier: Arc<WebPkiServerVerifier>,
    heard: mpsc::Sender<()>,
    waits: Mutex<mpsc::Receiver<()>>,
}

impl ServerCertVerifier for Pause {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.heard.send(()).unwrap();
        self.waits.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        let verifier = &self.verifier;
        verifier.verify_server_cert(certificate, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let verifier = &self.verifier;
        verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let verifier = &self.verifier;
        verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whoever comes from outside has one place with all others until it is known who he is.
#[test]
fn a_handshake_ends_with_the_place_it_is_made_at() {
    // APPLICATION_ERROR (RFC 9000 section 20.1): an end before the handshake's, which says no more.
    const ENDED_BEFORE: u64 = 0x0c;
    let house = House::open(
        "[limits]\ntcp-read = \"1m\"\nencrypted-connections = 4\nencrypted-per-client = 2\n",
    );
    let own = format!("{PHONE}.{NAME}");
    let slow = Hesitant::from(&house, "127.0.0.3", &own);
    let mut next = house.http("127.9.0.2", NAME);
    let request = format!("GET / HTTP/1.1\r\nhost: {NAME}\r\n\r\n");
    assert_eq!(next.request(request.as_bytes()).0, 404);
    match slow.go_on() {
        Err(ConnectionError::ConnectionClosed(closed)) => {
            assert_eq!(u64::from(closed.error_code), ENDED_BEFORE, "{closed}");
        }
        other => panic!("{other:?}"),
    }
}

/// Whoever read the id of a device off the wire could otherwise end what the device has, by as many
/// hellos, without the rest of a handshake.
#[test]
fn a_hello_with_the_id_of_a_device_takes_nothing_from_it() {
    const EXCESSIVE_LOAD: u64 = 4;
    // One place for each outside.
    let house = House::open(
        "[limits]\ntcp-read = \"1m\"\nencrypted-connections = 16\nencrypted-per-client = 2\n",
    );
    let own = format!("{PHONE}.{NAME}");
    run(async {
        let phone = doq(&house, "127.0.0.3", &own).await;
        assert_eq!(ask_once(&phone).await.unwrap().answers(), ["A 0.0.0.0"]);
        let again = Hesitant::from(&house, "127.9.0.2", &own);
        assert_eq!(ask_once(&phone).await.unwrap().answers(), ["A 0.0.0.0"]);
        // Behind the handshake it is the phone, which gives up its oldest.
        assert_eq!(again.go_on().unwrap().answers(), ["A 0.0.0.0"]);
        assert_eq!(code_of(&phone.closed().await), EXCESSIVE_LOAD);
    });
}

/// Says hello from 127.0.0.1 and hears nothing of what follows, as one does who writes the address of
/// another; gives the kind of packet that the other is sent (RFC 9000 section 17.2).
async fn hello_of_another(house: &House) -> u8 {
    let other = tokio::net::UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let to = other.local_addr().unwrap();
    let (tls, transport) = (house.client(&[b"doq"]), TransportConfig::default());
    let mut datagram = [0; 2048];
    let length = tokio::select! {
        ended = connecting_by(tls, to, "127.0.0.1", NAME, transport) => panic!("{ended:?}"),
        received = other.recv(&mut datagram) => received.unwrap(),
    };
    let hello = &datagram[..length];
    other.send_to(hello, house.tls).await.unwrap();
    // The client may have more to say to what it takes for the server.
    while other.recv_from(&mut datagram).await.unwrap().1 != house.tls {}
    datagram[0] >> 4 & 3
}

/// Whoever wrote a sibling's address once took all places that the sibling has, by every way.
#[test]
fn whoever_writes_the_address_of_another_leaves_him_half_of_his_places() {
    const INITIAL: u8 = 0;
    const RETRY: u8 = 3;
    let house = House::open(
        "[limits]\ntcp-read = \"1m\"\nencrypted-connections = 64\nencrypted-per-client = 4\n",
    );
    run(async {
        let mut said = Vec::new();
        for _ in 0..8 {
            said.push(hello_of_another(&house).await);
        }
        assert_eq!(said[..2], [INITIAL; 2]);
        assert_eq!(said[2..], [RETRY; 6]);
        // He comes in all the same, who can hear where to.
        let connection = doq(&house, "127.0.0.1", NAME).await;
        let reply = answer(&connection, &question("desk.example")).await;
        assert_eq!(reply.answers(), ["A 0.0.0.0"]);
    });
    let reply = house.dot().ask(&ask("desk.example", rtype::A));
    assert_eq!(reply.answers(), ["A 0.0.0.0"]);
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
fn sessions_are_resumed_without_a_word_of_early_data() {
    let house = House::open("");
    run(async {
        let mut client = house.client(&[b"doq"]);
        client.enable_early_data = true;
        let crypto = QuicClientConfig::try_from(client).unwrap();
        let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
        for _ in 0..3 {
            let connecting = endpoint.connect(house.tls, NAME).unwrap();
            let Err(connecting) = connecting.into_0rtt() else {
                panic!("0-RTT is offered (RFC 9250 section 4.5)");
            };
            let connection = connecting.await.unwrap();
            let reply = answer(&connection, &question("desk.example")).await;
            assert_eq!(reply.answers(), ["A 0.0.0.0"]);
            connection.close(0_u32.into(), b"");
        }
    });
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
        // A stranger does not even get the handshake: access_denied (RFC 8446 section 6.2, RFC 9001
        // section 4.8).
        let stranger = connecting(&house, house.tls, b"doq", "127.0.0.2", NAME);
        match stranger.await {
            Err(ConnectionError::ConnectionClosed(closed)) => {
                assert_eq!(u64::from(closed.error_code), 0x100 + 49, "{closed}");
            }
            other => panic!("{other:?}"),
        }
    });
}

/// Strangers at the same network once used up what a known device needs to come in.
#[test]
fn strangers_around_a_device_use_up_nothing_of_it() {
    let limits = "[limits]\nencrypted-connections = 1000\nencrypted-per-client = 1000\nmemory = \"64 MiB\"\n";
    let house = House::open(limits);
    let own = format!("{PHONE}.{NAME}");
    run(async {
        let mut shaken = 0;
        while shaken < 400 {
            let stranger = connecting(&house, house.https, b"h3", "127.0.0.2", NAME);
            if stranger.await.is_err() {
                break;
            }
            shaken += 1;
        }
        assert!((10..400).contains(&shaken), "{shaken}");
        for _ in 0..12 {
            let connection = doq(&house, "127.0.0.3", &own).await;
            let reply = answer(&connection, &question("phone.example")).await;
            assert_eq!(reply.answers(), ["A 0.0.0.0"]);
        }
    });
}

/// The head of a request was once kept as long as it grew, and looked at when it had ended.
#[test]
fn http3_keeps_no_more_of_a_head_than_one_may_have() {
    const EXCESSIVE_LOAD: u64 = 0x107;
    let house = House::open("");
    run(async {
        let connection = connect(&house, house.https, b"h3", "127.0.0.1", NAME).await;
        // A control stream with no settings, and HEADERS that announce 2^28 octets (RFC 9114 section 7).
        let mut control = connection.open_uni().await.unwrap();
        control.write_all(&[0, 4, 0]).await.unwrap();
        let mut written = 0;
        let (mut sending, _receive) = connection.open_bi().await.unwrap();
        sending.write_all(&[1, 0x90, 0, 0, 0]).await.unwrap();
        let error = loop {
            match sending.write_all(&[0; 1024]).await {
                Ok(()) => written += 1024,
                Err(error) => break error,
            }
            assert!(written < 1 << 20, "a megabyte is taken");
        };
        let quinn::WriteError::Stopped(code) = error else {
            panic!("{error}");
        };
        assert_eq!(code.into_inner(), EXCESSIVE_LOAD);
        // Nor of many heads together, none of which is too long.
        let mut held = Vec::new();
        let mut stopped = 0;
        for _ in 0..16 {
            let (mut sending, receive) = connection.open_bi().await.unwrap();
            let head = [&[1, 0x40 | 0x20, 0][..], &[0; 8000]].concat();
            drop(sending.write_all(&head).await);
            held.push((sending, receive));
        }
        for (sending, _) in &mut held {
            let told =
                tokio::time::timeout(std::time::Duration::from_millis(100), sending.stopped());
            stopped += usize::from(matches!(told.await, Ok(Ok(Some(_)))));
        }
        assert!((6..16).contains(&stopped), "{stopped} of 16");
    });
}

/// A GET as HEADERS of HTTP/3, in the words of QPACK's static table (RFC 9204 appendix A).
fn get(path: &str) -> Vec<u8> {
    // Method GET, scheme https; path and authority by their names there.
    let mut fields = vec![0, 0, 0xd1, 0xd7, 0x51, path.len() as u8];
    fields.extend(path.bytes());
    fields.extend([0x50, NAME.len() as u8]);
    fields.extend(NAME.bytes());
    let mut frame = vec![1, fields.len() as u8];
    frame.extend(fields);
    // Shorter than QUIC's shortest numbers go, and the path than QPACK's.
    assert!(frame.len() < 64, "{}", frame.len());
    frame
}

/// curl took each answer to a GET for a broken one: its side of the stream had been stopped, with a code
/// that HTTP/3 does not have.
#[test]
fn http3_does_not_stop_a_request_that_it_answered() {
    let house = House::open("");
    run(async {
        let connection = connect(&house, house.https, b"h3", "127.0.0.1", NAME).await;
        let mut control = connection.open_uni().await.unwrap();
        control.write_all(&[0, 4, 0]).await.unwrap();
        let (mut sending, mut receive) = connection.open_bi().await.unwrap();
        // Its end comes late.
        sending.write_all(&get("/other")).await.unwrap();
        let said = receive.read_to_end(70_000).await.unwrap();
        assert!(!said.is_empty());
        let again = send(&connection, &get("/other")).await.unwrap();
        assert_eq!(again, said);
        // And it has a body, which nobody wants.
        sending.write_all(&[0, 1, b'x']).await.unwrap();
        sending.finish().unwrap();
        assert_eq!(sending.stopped().await.unwrap(), None);
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
