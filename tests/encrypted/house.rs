//! A home that answers encrypted DNS, and a client of its own making.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::home::free_port;
use crate::support::wire::{cut_frame, frame};
use crate::support::{Ask, Connection, Home, Reply};

/// The server's name.
pub(crate) const NAME: &str = "dns.home.example";
/// The id of the phone, which has no MAC address of its own here.
pub(crate) const PHONE: &str = "mzxw6ytboi5hk3tpojsxg5dbnq";

/// A family whose members are told apart by names that only they cannot reach.
const FAMILY: &str = r#"
[lists]
starter = false

[household]
guest-profile = "adult"

[profile.adult]
privacy = "names"
block-ttl = "7s"
# The servers of tests are on loopback.
block-rebinding = false

[[device]]
name = "phone"
profile = "adult"
ids = ["mzxw6ytboi5hk3tpojsxg5dbnq"]
block = ["phone.example"]

[[device]]
name = "desk"
profile = "adult"
address = ["127.0.0.1"]
block = ["desk.example"]
"#;

/// A home with encrypted doors.
pub(crate) struct House {
    pub(crate) home: Home,
    /// DNS over TLS and over QUIC.
    pub(crate) tls: SocketAddr,
    /// HTTPS, over TCP and UDP.
    pub(crate) https: SocketAddr,
    /// The authority of its certificate.
    pub(crate) root: CertificateDer<'static>,
}

impl House {
    /// One with `more` behind the family's configuration.
    pub(crate) fn open(more: &str) -> Self {
        Self::open_to(&["127.0.0.1/32", "::1/128"], more)
    }

    /// One whose home is `networks`.
    pub(crate) fn open_to(networks: &[&str], more: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Another name than the server's, or programs take that for its own authority.
        params
            .distinguished_name
            .push(DnType::CommonName, "the home's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().unwrap();
        let names = vec![NAME.to_owned(), format!("*.{NAME}")];
        let own = CertificateParams::new(names).unwrap();
        let own = own.signed_by(&own_key, &issuer).unwrap();
        let (tls, https) = (free_port(), free_port());
        // Everything over QUIC is left out where the build has none.
        let quic = if cfg!(feature = "quic") {
            format!("doq = [\"127.0.0.1:{tls}\"]\nhttp3 = true\n")
        } else {
            String::new()
        };
        let config = format!(
            "[server]\nserve = {networks:?}\n{FAMILY}\n[encrypted]\nname = \"{NAME}\"\ndot = [\"127.0.0.1:{tls}\"]\n\
             doh = [\"127.0.0.1:{https}\"]\n{quic}certificate = \"cert.pem\"\n\
             key = \"key.pem\"\n\n{more}"
        );
        let home = Home::start_with(
            &config,
            &[
                ("cert.pem", &own.pem()),
                ("key.pem", &own_key.serialize_pem()),
                ("root.pem", &root.pem()),
            ],
        );
        Self {
            home,
            tls: SocketAddr::from(([127, 0, 0, 1], tls)),
            https: SocketAddr::from(([127, 0, 0, 1], https)),
            root: root.der().clone(),
        }
    }

    /// The file of the authority's certificate.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.home.path("root.pem")
    }

    /// What a command says that asks the daemon.
    pub(crate) fn hedgerow(&self, arguments: &[&str]) -> String {
        let socket = self.home.path("../run/control.sock");
        let socket = ["--socket", socket.to_str().unwrap()];
        let output = self.home.hedgerow(&[arguments, &socket].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A client's side of TLS that trusts the home's authority.
    pub(crate) fn client(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
        client
    }

    /// A connection for DNS over TLS from home, for the server's own name.
    pub(crate) fn dot(&self) -> Talk {
        self.dot_from("127.0.0.1", NAME)
    }

    /// The same from an address and for a name.
    pub(crate) fn dot_from(&self, from: &str, name: &str) -> Talk {
        let client = Arc::new(self.client(&[b"dot"]));
        Talk::open(self.tls, from, name, client)
    }

    /// A connection for HTTP/1.1.
    pub(crate) fn http(&self, from: &str, name: &str) -> Talk {
        let client = Arc::new(self.client(&[b"http/1.1"]));
        Talk::open(self.https, from, name, client)
    }
}

/// A TLS connection.
pub(crate) struct Talk {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    unread: Vec<u8>,
}

impl Talk {
    pub(crate) fn open(to: SocketAddr, from: &str, name: &str, client: Arc<ClientConfig>) -> Self {
        let stream = Connection::open_from(to, from).stream;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(client, name).unwrap();
        Self {
            stream: StreamOwned::new(session, stream),
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, asked: &Ask) {
        self.stream.write_all(&frame(&asked.octets())).unwrap();
    }

    /// The next message; none when the daemon ended the connection.
    pub(crate) fn receive(&mut self) -> Option<Reply> {
        let mut chunk = [0; 4096];
        loop {
            if let Some((message, rest)) = cut_frame(&self.unread) {
                self.unread = rest;
                return Some(Reply::read(message));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
            }
        }
    }

    pub(crate) fn ask(&mut self, asked: &Ask) -> Reply {
        self.send(asked);
        let reply = self.receive().expect("an answer over TLS");
        reply.assert_sound(asked);
        reply
    }

    /// Writes a request and reads its response: status, headers in lower case, body.
    pub(crate) fn request(&mut self, request: &[u8]) -> (u16, String, Vec<u8>) {
        self.stream.write_all(request).unwrap();
        self.response().expect("a response")
    }

    /// The next response.
    pub(crate) fn response(&mut self) -> Option<(u16, String, Vec<u8>)> {
        let mut chunk = [0; 4096];
        loop {
            let end = self.unread.windows(4).position(|it| it == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&self.unread[..end]).to_lowercase();
                let length = head.split("content-length: ").nth(1);
                let length = length.and_then(|it| it.lines().next()?.trim().parse().ok());
                let length: usize = length.unwrap_or(0);
                if let Some(body) = self.unread.get(end + 4..end + 4 + length) {
                    let body = body.to_vec();
                    self.unread.drain(..end + 4 + length);
                    let status = head.split(' ').nth(1)?.parse().ok()?;
                    return Some((status, head, body));
                }
            }
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
            }
        }
    }
}

/// A POST of `message` to `path`.
pub(crate) fn post(path: &str, message: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: {NAME}\r\ncontent-type: application/dns-message\r\n\
         content-length: {}\r\n\r\n",
        message.len()
    )
    .into_bytes();
    request.extend_from_slice(message);
    request
}
