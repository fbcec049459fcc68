//! HTTP servers on loopback that answer as a test wants them to, with TLS or without.
//!
//! A [`Stub`] hands every request to a function that says what to send. It keeps the requests, and
//! is gone when it is dropped. [`Net`] makes loopback look like the open net: names and public
//! addresses of a test's own lead to its stubs.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hedgerow::update::Resolve;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// With its query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header's value by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// What to send, act by act; the connection is closed after the last.
#[derive(Clone, Debug)]
pub(crate) struct Reply(Vec<Act>);

#[derive(Clone, Debug)]
enum Act {
    Send(Vec<u8>),
    /// The same octets, many times.
    Repeat(Vec<u8>, u64),
    /// Wait until the client gives up.
    Stall,
    /// One octet every so often, until the client gives up.
    Drip(Duration),
}

impl Reply {
    /// A status and headers, each as `Name: value`, without a body.
    pub(crate) fn head(status: u16, headers: &[&str]) -> Self {
        let mut text = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        Self(vec![Act::Send(text.into_bytes())])
    }

    /// Octets that need not be HTTP.
    pub(crate) fn raw(octets: &[u8]) -> Self {
        Self(vec![Act::Send(octets.to_vec())])
    }

    /// All of `body` with its length.
    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::with(body, &[])
    }

    /// All of `body` with its length and more headers.
    pub(crate) fn with(body: impl AsRef<[u8]>, headers: &[&str]) -> Self {
        let length = format!("Content-Length: {}", body.as_ref().len());
        let mut all = vec![length.as_str()];
        all.extend(headers);
        Self::head(200, &all).then(body)
    }

    /// "Nothing changed".
    pub(crate) fn not_modified() -> Self {
        Self::head(304, &[])
    }

    /// "Go there".
    pub(crate) fn redirect(target: &str) -> Self {
        Self::head(302, &[&format!("Location: {target}"), "Content-Length: 0"])
    }

    /// `pieces` in chunks, with the last chunk that says that this is all.
    pub(crate) fn chunked(pieces: &[&[u8]]) -> Self {
        let mut reply = Self::head(200, &["Transfer-Encoding: chunked"]);
        for piece in pieces {
            reply = reply.chunk(piece);
        }
        reply.then("0\r\n\r\n")
    }

    /// A chunk.
    pub(crate) fn chunk(self, piece: &[u8]) -> Self {
        self.then(format!("{:x}\r\n", piece.len()))
            .then(piece)
            .then("\r\n")
    }

    /// Octets.
    pub(crate) fn then(mut self, octets: impl AsRef<[u8]>) -> Self {
        self.0.push(Act::Send(octets.as_ref().to_vec()));
        self
    }

    /// The same octets, many times.
    pub(crate) fn repeat(mut self, octets: &[u8], times: u64) -> Self {
        self.0.push(Act::Repeat(octets.to_vec(), times));
        self
    }

    /// Nothing more, with the connection open.
    pub(crate) fn stall(mut self) -> Self {
        self.0.push(Act::Stall);
        self
    }

    /// One octet every `gap`, for as long as the client listens.
    pub(crate) fn drip(mut self, gap: Duration) -> Self {
        self.0.push(Act::Drip(gap));
        self
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server on loopback.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// One that speaks plain HTTP.
    pub(crate) fn plain(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    /// One that speaks HTTPS and shows `identity`.
    pub(crate) fn tls(
        identity: &Identity,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(identity.config()), Arc::new(answer))
    }

    /// What was asked for since the last time.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&requests), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (tls, answer, seen) = (tls.clone(), Arc::clone(&answer), Arc::clone(&seen));
                // A client that gives up ends the thread; that is no failure of the test.
                std::thread::spawn(move || serve(stream, tls, &*answer, &seen).ok());
            }
        });
        Self {
            address,
            requests,
            stopped,
            thread: Some(thread),
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &Answer,
    seen: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    // Whatever a test does, no thread outlives it by much.
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let raw = stream.try_clone()?;
    match tls {
        None => converse(stream, &raw, answer, seen),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            converse(StreamOwned::new(connection, stream), &raw, answer, seen)
        }
    }
}

fn converse(
    stream: impl Read + Write,
    raw: &TcpStream,
    answer: &Answer,
    seen: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut request = Request {
        path,
        headers: Vec::new(),
    };
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        let name = name.to_ascii_lowercase();
        request.headers.push((name, value.trim().to_owned()));
    }
    seen.lock().unwrap().push(request.clone());
    let Reply(acts) = answer(&request);
    for act in acts {
        match act {
            Act::Send(octets) => stream.get_mut().write_all(&octets)?,
            Act::Repeat(octets, times) => {
                for _ in 0..times {
                    stream.get_mut().write_all(&octets)?;
                }
            }
            Act::Stall => {
                stream.get_mut().flush()?;
                stream.read_to_end(&mut Vec::new())?;
            }
            Act::Drip(gap) => {
                raw.set_read_timeout(Some(gap))?;
                // Reading is how we wait, and how we see that the client is gone.
                loop {
                    stream.get_mut().write_all(b"a")?;
                    stream.get_mut().flush()?;
                    match (&*raw).read(&mut [0]) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
    stream.get_mut().flush()
}

/// An authority that a test trusts.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        // Two authorities of one name would be taken for each other.
        let key = KeyPair::generate().unwrap();
        let name = format!("Authority {:?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2036, 1, 1);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// For `UpdateSettings::extra_roots`.
    pub(crate) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A certificate for `names`, good for the year 2027 and long after.
    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        self.identity_of(names, 2036)
    }

    /// A certificate for `names` that ends in June of `year`.
    pub(crate) fn identity_of(&self, names: &[&str], year: i32) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(year.min(2027), 1, 1);
        params.not_after = date_time_ymd(year, 6, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
        }
    }
}

/// What a server shows to prove who it is.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Identity {
    fn config(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        Arc::new(config)
    }
}

/// The open net of a test.
#[derive(Debug, Default)]
pub(crate) struct Net {
    names: Mutex<HashMap<String, Vec<IpAddr>>>,
    routes: Mutex<HashMap<IpAddr, SocketAddr>>,
}

impl Net {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Gives `stub` the name `name` and a public address.
    pub(crate) fn publish(&self, name: &str, stub: &Stub) {
        self.route_to(name, stub.address);
    }

    /// Gives whatever is at `place` the name `name` and a public address.
    pub(crate) fn route_to(&self, name: &str, place: SocketAddr) {
        let mut routes = self.routes.lock().unwrap();
        let address = IpAddr::from([192, 0, 43, 1 + routes.len() as u8]);
        routes.insert(address, place);
        drop(routes);
        self.name(name, &[address]);
    }

    /// Makes `name` lead to `addresses`.
    pub(crate) fn name(&self, name: &str, addresses: &[IpAddr]) {
        let mut names = self.names.lock().unwrap();
        names.insert(name.to_owned(), addresses.to_vec());
    }
}

impl Resolve for Net {
    fn resolve(&self, host: &str, _patience: Duration) -> io::Result<Vec<IpAddr>> {
        let names = self.names.lock().unwrap();
        let found = names.get(host).cloned();
        found.ok_or_else(|| io::Error::other("no such name"))
    }

    fn route(&self, address: SocketAddr) -> SocketAddr {
        let routes = self.routes.lock().unwrap();
        routes.get(&address.ip()).copied().unwrap_or(address)
    }
}
