//! An upstream of the test's own over TLS, HTTPS, QUIC and HTTP/3, with whatever faults the test
//! wants: before the handshake, in it, after it, and in each answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hedgerow::config::{self, Authorities, AuthorityFile, Transport, UpstreamServer};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

use crate::stub::{Act, Script, Seen};

/// An encrypted resolver on loopback that does what its script says; gone when dropped.
pub(crate) struct Private {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    shared: Arc<Shared>,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    door: Door,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    resumed: AtomicUsize,
}

/// What awaits a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Service.
    Open,
    /// It is reset once it is there.
    ResetAtOnce,
    /// It is reset when the first octets of the handshake came.
    ResetInHandshake,
    /// It is reset right after the handshake.
    ResetAfterHandshake,
    /// It is closed in order right after the handshake.
    CloseAfterHandshake,
    /// Nothing is said, ever.
    Silent,
    /// What is said is no TLS.
    Babble,
    /// Service, but streams are left open behind an answer.
    #[cfg_attr(
        not(feature = "quic"),
        expect(dead_code, reason = "only QUIC has streams")
    )]
    LeavesOpen,
    /// Service, after a handshake that takes this long.
    Slow(Duration),
}

/// Authorities and certificates of the test's own.
pub(crate) struct Household {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate says.
pub(crate) struct Certificate {
    /// Names and addresses.
    pub(crate) names: Vec<&'static str>,
    /// Years between which it is valid.
    pub(crate) years: (i32, i32),
    /// It is an authority's, and signed by itself.
    pub(crate) is_own_authority: bool,
}

impl Default for Certificate {
    fn default() -> Self {
        Self {
            names: vec!["dns.test", "127.0.0.1"],
            years: (2020, 2099),
            is_own_authority: false,
        }
    }
}

impl Household {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        // Each has a name of its own, as authorities do.
        static HOUSEHOLDS: AtomicUsize = AtomicUsize::new(0);
        let number = HOUSEHOLDS.fetch_add(1, Ordering::SeqCst);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("household {number} of a test"));
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    /// Believes this household and nobody else.
    pub(crate) fn authorities(&self) -> Authorities {
        Authorities {
            built_in: false,
            files: vec![AuthorityFile {
                path: self.ca(),
                checksum: 0,
            }],
        }
    }

    /// The file of its authority.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn tls(&self, certificate: &Certificate, alpn: &[u8]) -> rustls::ServerConfig {
        let mut params = CertificateParams::default();
        params.subject_alt_names = certificate
            .names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        params.not_before = date_time_ymd(certificate.years.0, 1, 1);
        params.not_after = date_time_ymd(certificate.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = if certificate.is_own_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&key).unwrap()
        } else {
            params.signed_by(&key, &self.issuer).unwrap()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }

    /// A server whose certificate is right.
    pub(crate) fn server(
        &self,
        transport: Transport,
        script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) -> Private {
        self.server_with(transport, &Certificate::default(), Door::Open, script)
    }

    /// A server that answers everything at once.
    pub(crate) fn answering(&self, transport: Transport) -> Private {
        self.server(transport, |seen| vec![Act::Send(seen.reply(0))])
    }

    pub(crate) fn server_with(
        &self,
        transport: Transport,
        certificate: &Certificate,
        door: Door,
        script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) -> Private {
        let alpn: &[u8] = match transport {
            Transport::Tls => b"dot",
            Transport::Https => b"h2",
            Transport::Quic => b"doq",
            Transport::H3 => b"h3",
            Transport::Udp | Transport::Tcp => panic!("not in private"),
        };
        let tls = self.tls(certificate, alpn);
        let shared = Arc::new(Shared {
            script: Box::new(script),
            door,
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            resumed: AtomicUsize::new(0),
        });
        let (end, ended) = oneshot::channel::<()>();
        let (tell, bound) = std::sync::mpsc::channel();
        let its = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(transport, tls, its, tell) => {}
                    _ = ended => {}
                }
            });
        });
        Private {
            address: bound.recv().unwrap(),
            transport,
            shared,
            _end: end,
            thread: Some(thread),
        }
    }
}

impl Private {
    /// How it is written in a configuration, by address, with its name.
    pub(crate) fn server(&self) -> UpstreamServer {
        UpstreamServer {
            tls_name: Some("dns.test".into()),
            ..UpstreamServer::at(self.address, self.transport)
        }
    }

    /// All questions so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many of them resumed an earlier session.
    pub(crate) fn resumed(&self) -> usize {
        self.shared.resumed.load(Ordering::SeqCst)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let (end, _) = oneshot::channel();
        drop(std::mem::replace(&mut self._end, end));
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Shared {
    /// Takes in a question and says what to do.
    fn ask(&self, bytes: Vec<u8>, from: SocketAddr) -> Vec<Act> {
        let seen = Seen {
            bytes,
            from,
            is_tcp: true,
        };
        self.seen.lock().unwrap().push(seen.clone());
        (self.script)(&seen)
    }
}

async fn serve(
    transport: Transport,
    tls: rustls::ServerConfig,
    shared: Arc<Shared>,
    bound: std::sync::mpsc::Sender<SocketAddr>,
) {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    match transport {
        Transport::Tls | Transport::Https => {
            let listener = TcpListener::bind(here).await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(tls));
            loop {
                let (stream, from) = listener.accept().await.unwrap();
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                shared.connections.fetch_add(1, Ordering::SeqCst);
                // Whatever goes wrong there is what the test wanted or the client's doing.
                tokio::spawn(async move {
                    drop(welcome(transport, stream, from, &acceptor, shared).await);
                });
            }
        }
        #[cfg(feature = "quic")]
        _ => quic::serve(transport, tls, shared, here, bound).await,
        #[cfg(not(feature = "quic"))]
        _ => panic!("this build has no QUIC"),
    }
}

/// Ends a connection the rude way.
fn reset(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

async fn welcome(
    transport: Transport,
    mut stream: TcpStream,
    from: SocketAddr,
    acceptor: &TlsAcceptor,
    shared: Arc<Shared>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match shared.door {
        Door::ResetAtOnce => return reset(&stream),
        Door::ResetInHandshake => {
            stream.read_exact(&mut [0; 16]).await?;
            return reset(&stream);
        }
        Door::Silent => {
            std::future::pending::<()>().await;
        }
        Door::Babble => {
            stream.write_all(b"220 mail.test ESMTP\r\n").await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            return Ok(());
        }
        Door::Slow(time) => tokio::time::sleep(time).await,
        Door::Open | Door::LeavesOpen | Door::ResetAfterHandshake | Door::CloseAfterHandshake => {}
    }
    let mut stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
        shared.resumed.fetch_add(1, Ordering::SeqCst);
    }
    match shared.door {
        Door::ResetAfterHandshake => return reset(stream.get_ref().0),
        Door::CloseAfterHandshake => return stream.shutdown().await,
        _ => {}
    }
    if transport == Transport::Https {
        let end = Arc::new(tokio::sync::Notify::new());
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            let (shared, end) = (Arc::clone(&shared), Arc::clone(&end));
            async move { respond(request, from, &shared, &end).await }
        });
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        return tokio::select! {
            served = serving => served.map_err(io::Error::other),
            () = end.notified() => Ok(()),
        };
    }
    let (mut read, mut write) = tokio::io::split(stream);
    let (out, mut ready) = mpsc::unbounded_channel::<Option<Vec<u8>>>();
    tokio::spawn(async move {
        while let Some(Some(bytes)) = ready.recv().await {
            if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
        drop(write.shutdown().await);
    });
    loop {
        let mut length = [0; 2];
        read.read_exact(&mut length).await?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        read.read_exact(&mut bytes).await?;
        let acts = shared.ask(bytes, from);
        let out = out.clone();
        tokio::spawn(async move {
            for act in acts {
                let framed = |bytes: &[u8]| {
                    let mut frame = (bytes.len() as u16).to_be_bytes().to_vec();
                    frame.extend(bytes);
                    frame
                };
                let sent = match act {
                    Act::Send(bytes) => out.send(Some(framed(&bytes))),
                    Act::Trickle(bytes) => {
                        for octet in framed(&bytes) {
                            drop(out.send(Some(vec![octet])));
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        Ok(())
                    }
                    Act::Delay(time) => {
                        tokio::time::sleep(time).await;
                        Ok(())
                    }
                    Act::Close => out.send(None),
                    Act::Http(..) | Act::Reset => panic!("only over HTTP"),
                    Act::SendFromElsewhere(_) => panic!("only over UDP"),
                };
                // The asker may have closed meanwhile.
                drop(sent);
            }
        });
    }
}

/// What the acts make of an HTTP request: the first thing to be sent, or silence; or the stream is reset.
async fn respond(
    request: Request<Incoming>,
    from: SocketAddr,
    shared: &Shared,
    end: &tokio::sync::Notify,
) -> Result<Response<Full<Bytes>>, io::Error> {
    assert_eq!(request.uri().path(), "/dns-query");
    assert_eq!(request.headers()["content-type"], "application/dns-message");
    let body = request.into_body().collect().await;
    let Ok(body) = body else {
        return Ok(Response::new(Full::default()));
    };
    let acts = shared.ask(body.to_bytes().to_vec(), from);
    if let [Act::Reset, Act::Close] = acts.as_slice() {
        end.notify_one();
        return std::future::pending().await;
    }
    if acts.iter().any(|act| matches!(act, Act::Reset)) {
        return Err(io::Error::other("reset"));
    }
    let (status, kind, body) = first_of(acts).await;
    let response = Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    Ok(response)
}

/// Status, type and body that the acts come to.
async fn first_of(acts: Vec<Act>) -> (u16, &'static str, Vec<u8>) {
    for act in acts {
        match act {
            Act::Send(bytes) | Act::Trickle(bytes) => {
                return (200, "application/dns-message", bytes);
            }
            Act::Http(status, kind, body) => return (status, kind, body),
            Act::Delay(time) => tokio::time::sleep(time).await,
            Act::Close => return (500, "text/plain", Vec::new()),
            Act::Reset => panic!("seen before"),
            Act::SendFromElsewhere(_) => panic!("only over UDP"),
        }
    }
    std::future::pending().await
}

#[cfg(feature = "quic")]
mod quic {
    //! QUIC, with DNS on it or HTTP/3.

    use hyper::body::Buf;

    use super::*;

    pub(super) async fn serve(
        transport: Transport,
        tls: rustls::ServerConfig,
        shared: Arc<Shared>,
        here: SocketAddr,
        bound: std::sync::mpsc::Sender<SocketAddr>,
    ) {
        let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let endpoint = quinn::Endpoint::server(config, here).unwrap();
        bound.send(endpoint.local_addr().unwrap()).unwrap();
        while let Some(incoming) = endpoint.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            match shared.door {
                Door::ResetAtOnce | Door::ResetInHandshake => {
                    incoming.refuse();
                    continue;
                }
                Door::Silent | Door::Babble => {
                    incoming.ignore();
                    continue;
                }
                _ => {}
            }
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                if let Door::Slow(time) = shared.door {
                    tokio::time::sleep(time).await;
                }
                let Ok(connection) = incoming.await else {
                    return;
                };
                match shared.door {
                    Door::ResetAfterHandshake => connection.close(99_u32.into(), b"out of order"),
                    Door::CloseAfterHandshake => connection.close(0_u32.into(), b""),
                    _ if transport == Transport::Quic => streams(connection, &shared).await,
                    _ => requests(connection, &shared).await,
                }
            });
        }
    }

    async fn streams(connection: quinn::Connection, shared: &Arc<Shared>) {
        let from = connection.remote_address();
        while let Ok((mut send, mut receive)) = connection.accept_bi().await {
            let (shared, connection) = (Arc::clone(shared), connection.clone());
            tokio::spawn(async move {
                let Ok(framed) = receive.read_to_end(4096).await else {
                    return;
                };
                // RFC 9250 section 4.2: one question, and then the end of the stream.
                assert_eq!(framed[..2], ((framed.len() - 2) as u16).to_be_bytes());
                for act in shared.ask(framed[2..].to_vec(), from) {
                    match act {
                        Act::Send(bytes) => {
                            drop(send.write_all(&(bytes.len() as u16).to_be_bytes()).await);
                            drop(send.write_all(&bytes).await);
                            if shared.door != Door::LeavesOpen {
                                drop(send.finish());
                            }
                        }
                        Act::Trickle(bytes) => {
                            drop(send.write_all(&(bytes.len() as u16).to_be_bytes()).await);
                            for octet in bytes {
                                drop(send.write_all(&[octet]).await);
                                tokio::time::sleep(Duration::from_millis(1)).await;
                            }
                            drop(send.finish());
                        }
                        Act::Delay(time) => tokio::time::sleep(time).await,
                        Act::Close => connection.close(0_u32.into(), b""),
                        Act::Http(..) | Act::Reset | Act::SendFromElsewhere(_) => {
                            panic!("not over QUIC")
                        }
                    }
                }
                // Silence is a stream that stays open.
                std::future::pending::<()>().await;
            });
        }
    }

    async fn requests(connection: quinn::Connection, shared: &Arc<Shared>) {
        let from = connection.remote_address();
        let quic = h3_quinn::Connection::new(connection);
        let Ok(mut http) = h3::server::Connection::<_, Bytes>::new(quic).await else {
            return;
        };
        while let Ok(Some(resolver)) = http.accept().await {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                let Ok((request, mut stream)) = resolver.resolve_request().await else {
                    return;
                };
                assert_eq!(request.uri().path(), "/dns-query");
                let mut body = Vec::new();
                while let Ok(Some(mut part)) = stream.recv_data().await {
                    let length = part.remaining();
                    body.extend(part.copy_to_bytes(length));
                }
                let (status, kind, body) = first_of(shared.ask(body, from)).await;
                let response = Response::builder()
                    .status(status)
                    .header("content-type", kind)
                    .body(())
                    .unwrap();
                drop(stream.send_response(response).await);
                drop(stream.send_data(Bytes::from(body)).await);
                drop(stream.finish().await);
            });
        }
    }
}

/// Asks `servers` as the daemon would, believing `household` alone.
pub(crate) fn config(household: &Household, servers: &[&Private]) -> config::Upstream {
    config::Upstream {
        servers: servers.iter().map(|server| server.server()).collect(),
        authorities: household.authorities(),
        ..crate::config(&[])
    }
}

/// The encrypted transports of this build.
pub(crate) fn transports() -> Vec<Transport> {
    let all = Transport::ALL.into_iter();
    all.filter(|it| it.is_encrypted() && (cfg!(feature = "quic") || !it.is_quic()))
        .collect()
}
