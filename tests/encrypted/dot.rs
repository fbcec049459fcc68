//! DNS over TLS (RFC 7858).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use rustls::HandshakeKind;

use crate::house::{House, NAME, Talk};
use crate::skip::skip;
use crate::support::wire::{ask, rtype};
use crate::support::{Gate, Say, wait_for};

#[test]
fn questions_are_answered_as_they_are_ready() {
    let house = House::open("");
    let gate = Gate::default();
    let upstream = &house.home.upstream;
    upstream.on_name(
        "slow.example",
        Say::Held(gate.clone(), Box::new(Say::address("192.0.2.1"))),
    );
    upstream.on_name("fast.example", Say::address("192.0.2.2"));
    let mut talk = house.dot();
    let (slow, fast) = (ask("slow.example", rtype::A), ask("fast.example", rtype::A));
    talk.send(&slow);
    talk.send(&fast);
    let first = talk.receive().unwrap();
    first.assert_sound(&fast);
    assert_eq!(first.answers(), ["A 192.0.2.2"]);
    gate.open();
    let second = talk.receive().unwrap();
    second.assert_sound(&slow);
    assert_eq!(second.answers(), ["A 192.0.2.1"]);
}

#[test]
fn padded_questions_get_padded_answers_and_others_none() {
    const PADDING: u16 = 12;
    const KEEPALIVE: u16 = 11;
    let house = House::open("");
    house
        .home
        .upstream
        .on_name("www.example", Say::address("192.0.2.1"));
    let mut talk = house.dot();
    for name in ["www.example", "desk.example", "localhost"] {
        let padded = ask(name, rtype::A).edns(1232).option(PADDING, &[0; 20]);
        let reply = talk.ask(&padded);
        // RFC 8467 section 4.1.
        assert_eq!(reply.octets.len(), 468, "{name}");
        assert!(reply.option(PADDING).unwrap().iter().all(|it| *it == 0));
        let plain = talk.ask(&ask(name, rtype::A).edns(1232));
        assert_eq!(plain.option(PADDING), None, "{name}");
        assert!(plain.octets.len() < 300, "{name}");
    }
    // In the clear it would hide nothing.
    let clear = ask("www.example", rtype::A).edns(1232).option(PADDING, &[]);
    assert_eq!(house.home.ask(&clear).option(PADDING), None);
    assert_eq!(house.home.connect().ask(&clear).option(PADDING), None);
    // RFC 7828: as long as `encrypted-idle`, in tenths of a second.
    let asked = ask("www.example", rtype::A)
        .edns(1232)
        .option(KEEPALIVE, &[]);
    let kept = talk.ask(&asked).option(KEEPALIVE);
    assert_eq!(kept, Some(300_u16.to_be_bytes().to_vec()));
}

#[test]
fn sessions_are_resumed_without_a_word_of_early_data() {
    let house = House::open("");
    let mut config = house.client(&[b"dot"]);
    config.enable_early_data = true;
    let config = Arc::new(config);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut talk = Talk::open(house.tls, "127.0.0.1", NAME, Arc::clone(&config));
        assert!(
            talk.stream.conn.early_data().is_none(),
            "no 0-RTT is offered"
        );
        let reply = talk.ask(&ask("desk.example", rtype::A));
        assert_eq!(reply.answers(), ["A 0.0.0.0"]);
        assert_eq!(talk.stream.conn.handshake_kind(), Some(expected));
    }
}

#[test]
fn junk_ends_a_connection_and_the_next_one_is_served() {
    let house = House::open("");
    for junk in [&b"\0\x05hello"[..], b"\xff\xff\0\0"] {
        let mut talk = house.dot();
        std::io::Write::write_all(&mut talk.stream, junk).unwrap();
        assert!(talk.receive().is_none());
    }
    let reply = house.dot().ask(&ask("desk.example", rtype::A));
    assert_eq!(reply.code(), ResponseCode::NoError);
    // What is no TLS at all.
    let mut clear = crate::support::Connection::open(house.tls);
    clear.send(&ask("desk.example", rtype::A));
    let start = Instant::now();
    while clear.receive().is_some() {}
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn only_versions_and_suites_that_are_safe_are_spoken() {
    let house = House::open("");
    for to in [house.tls, house.https] {
        if !only_what_is_safe_is_spoken_at(to) {
            return skip("`openssl` is missing");
        }
    }
}

/// Asks with `openssl` what is spoken at `to`; whether there is one.
fn only_what_is_safe_is_spoken_at(to: SocketAddr) -> bool {
    let connect = |arguments: &[&str]| {
        let to = to.to_string();
        std::process::Command::new("openssl")
            .args(["s_client", "-connect", &to, "-servername", NAME])
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
    };
    if connect(&[]).is_err() {
        return false;
    }
    let speaks = |arguments: &[&str]| {
        let output = connect(arguments).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // A handshake that failed ends with no cipher.
        output.status.success() && !text.contains("Cipher is (NONE)")
    };
    for good in [
        &["-tls1_3"][..],
        &["-tls1_2"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
    ] {
        assert!(speaks(good), "{good:?}");
    }
    // Lowered, so that it is not the client that refuses.
    const ALL: &str = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
    for bad in [
        &["-tls1", "-cipher", ALL][..],
        &["-tls1_1", "-cipher", ALL],
        &["-tls1_2", "-cipher", "AES128-SHA:AES256-SHA:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "NULL:aNULL:@SECLEVEL=0"],
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"],
    ] {
        assert!(!speaks(bad), "{bad:?}");
    }
    true
}

#[test]
fn each_door_speaks_its_own_protocols_alone() {
    let house = House::open("");
    let (tls, https) = (house.tls, house.https);
    for (to, offered, spoken) in [
        // RFC 7858 knows no names of protocols; whoever gives some gives one of ours (RFC 7301
        // section 3.2).
        (tls, &[][..], Ok(None)),
        (tls, &[&b"dot"[..]], Ok(Some(&b"dot"[..]))),
        (tls, &[b"h2"], Err(())),
        (tls, &[b"doq"], Err(())),
        (https, &[], Ok(None)),
        (https, &[b"http/1.1"], Ok(Some(b"http/1.1"))),
        (https, &[b"http/1.1", b"h2"], Ok(Some(b"h2"))),
        (https, &[b"dot"], Err(())),
        (https, &[b"acme-tls/1"], Err(())),
    ] {
        let mut talk = Talk::open(to, "127.0.0.1", NAME, Arc::new(house.client(offered)));
        let stream = &mut talk.stream;
        let shaken = stream.conn.complete_io(&mut stream.sock);
        let found = shaken.map(|_| stream.conn.alpn_protocol().map(<[u8]>::to_vec));
        let spoken = spoken.map(|it: Option<&[u8]>| it.map(<[u8]>::to_vec));
        assert_eq!(found.map_err(drop), spoken, "{to} {offered:?}");
    }
}

#[test]
fn a_new_certificate_is_shown_to_newcomers_and_ends_no_connection() {
    let house = House::open("");
    let mut before = house.dot();
    let asked = ask("desk.example", rtype::A);
    before.ask(&asked);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap();
    let own = params.self_signed(&key).unwrap();
    house.home.write("key.pem", &key.serialize_pem());
    house.home.write("cert.pem", &own.pem());
    house.hedgerow(&["reload"]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Arc::new(client);
    let mut after = wait_for("the new certificate", || {
        let mut talk = Talk::open(house.tls, "127.0.0.1", NAME, Arc::clone(&client));
        let stream = &mut talk.stream;
        stream.conn.complete_io(&mut stream.sock).ok()?;
        Some(talk)
    });
    assert_eq!(after.ask(&asked).answers(), ["A 0.0.0.0"]);
    assert_eq!(before.ask(&asked).answers(), ["A 0.0.0.0"]);
}
