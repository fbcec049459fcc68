//! Certificates from a public authority: `pebble`, the test authority of Let's Encrypt, looks at the
//! real binary.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::control::told;
use crate::pebble::Pebble;
use crate::skip::skip;
use crate::support::home::free_port;
use crate::support::{Home, wait_for};

const NAME: &str = "dns.home.example";

fn encrypted(home: &Home) -> serde_json::Value {
    let status: serde_json::Value =
        serde_json::from_str(&told(home, &["status", "--json"])).unwrap();
    status["encrypted"].clone()
}

/// A home with HTTPS at `port` that asks `pebble` by `how`. It serves only 127.0.0.9: the authority
/// comes from somewhere on the internet.
fn home(pebble: &Pebble, port: u16, how: &str) -> Home {
    let config = format!(
        "[server]\nserve = [\"127.0.0.9/32\"]\n\n[encrypted]\nname = \"{NAME}\"\n\
         doh = [\"127.0.0.1:{port}\"]\nhttp3 = false\n\n[acme]\ndirectory = \"{}\"\nca = {:?}\n\
         {how}\n",
        pebble.directory,
        pebble.path("own.pem"),
    );
    Home::start(&config)
}

/// The status once a certificate of the authority is served.
fn issued(home: &Home, pebble: &Pebble) -> serde_json::Value {
    let mut last = serde_json::Value::Null;
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("a certificate", || {
            last = encrypted(home);
            (last["certificate"]["issuer"] == "acme").then(|| last.clone())
        })
    }));
    done.unwrap_or_else(|_| panic!("{last}\n{}\n{}", home.log(), pebble.log()))
}

#[test]
fn an_authority_from_outside_sees_the_certificate_it_asks_for() {
    let Some(pebble) = Pebble::start() else {
        return skip("no pebble");
    };
    assert!(asks_in_vain(&pebble), "nobody listens yet");
    let home = home(&pebble, pebble.tls, "challenge = \"tls\"");
    let served = issued(&home, &pebble);
    assert_eq!(served["certificate"]["covers_ids"], false, "{served}");
    // The challenge is over: who asks for it now is a stranger like any other.
    assert!(asks_in_vain(&pebble));
    // Another start finds it on the disk, and asks nobody.
    let expires = served["certificate"]["expires"].clone();
    let mut home = home;
    drop(pebble);
    start_again(&mut home);
    let again = encrypted(&home);
    assert_eq!(again["certificate"]["issuer"], "acme", "{again}");
    assert_eq!(again["certificate"]["expires"], expires);
}

/// Ends the daemon and starts it again.
fn start_again(home: &mut Home) {
    home.signal("TERM");
    assert!(home.wait_for_end().0.success());
    home.restart();
}

/// Whether who asks for `acme-tls/1` gets no handshake.
fn asks_in_vain(pebble: &Pebble) -> bool {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let name = ServerName::try_from(NAME).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", pebble.tls)) else {
        return true;
    };
    // A server that goes on with the handshake shows a certificate, which nobody here trusts.
    match client.complete_io(&mut stream) {
        Ok(_) => false,
        Err(error) => !error.to_string().contains("invalid peer certificate"),
    }
}

#[test]
fn an_authority_finds_the_page_and_only_while_it_looks() {
    let Some(pebble) = Pebble::start() else {
        return skip("no pebble");
    };
    let how = format!("challenge = \"http\"\nhttp = \"127.0.0.1:{}\"", pebble.http);
    let home = home(&pebble, free_port(), &how);
    let served = issued(&home, &pebble);
    assert_eq!(served["name"], NAME, "{served}");
    assert!(TcpStream::connect(("127.0.0.1", pebble.http)).is_err());
}

#[test]
fn without_the_authority_the_home_goes_on_with_its_own_and_says_why() {
    let Some(pebble) = Pebble::start() else {
        return skip("no pebble");
    };
    // The authority looks where nobody listens.
    let how = format!("challenge = \"http\"\nhttp = \"127.0.0.1:{}\"", free_port());
    let mut home = home(&pebble, free_port(), &how);
    let warned = warning(&home, "connection refused");
    assert!(
        warned.contains("does not find that the name is ours"),
        "{warned}"
    );
    assert!(warned.contains("the one before stays in force"), "{warned}");
    assert_eq!(encrypted(&home)["certificate"]["issuer"], "household");
    home.has_said("minutes_until_next=15");
    // A restart is no way to ask more often.
    start_again(&mut home);
    assert_eq!(warning(&home, "connection refused"), warned);
    let log = pebble.log();
    let orders = log.matches("Added order ").count();
    assert_eq!(orders, 1, "{log}");
}

/// What `status` warns of, once that includes `text`.
fn warning(home: &Home, text: &str) -> String {
    wait_for("the failure to be told", || {
        let status = told(home, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let warnings = status["warnings"].to_string();
        warnings.contains(text).then_some(warnings)
    })
}
