//! The way to an ACME authority: one request, one connection, HTTP/1.1 over TLS.
//!
//! A certificate is asked for a few times a year, so nothing is kept open, and the same checks hold as
//! for downloads of lists.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::clock::Clock;
use crate::update::{Resolve, tls_client_config};

/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait for one address before the next is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// The most octets of an answer: a chain of certificates has some thousands.
const MAX_ANSWER: usize = 1 << 20;

/// Asks an authority.
pub(super) struct Client {
    tls: Arc<ClientConfig>,
    names: Arc<dyn Resolve>,
}

type Failure = Box<dyn StdError + Send + Sync>;

impl Client {
    /// One that trusts the usual authorities and `roots` (PEM), and asks `names` where they are.
    ///
    /// # Errors
    /// What is wrong with `roots`.
    pub(super) fn new(
        roots: &[u8],
        names: Arc<dyn Resolve>,
        clock: &Clock,
    ) -> Result<Self, String> {
        Ok(Self {
            tls: tls_client_config(roots, clock)?,
            names,
        })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (tls, names) = (Arc::clone(&self.tls), Arc::clone(&self.names));
        Box::pin(async move {
            let exchange = timeout(PATIENCE, exchange(request, tls, names)).await;
            let late = |_| Failure::from("it does not answer in time");
            let done = exchange.map_err(late).and_then(|it| it);
            done.map(BytesResponse::from).map_err(Error::Other)
        })
    }
}

async fn exchange(
    request: Request<BodyWrapper<Bytes>>,
    tls: Arc<ClientConfig>,
    names: Arc<dyn Resolve>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let uri = head.uri.clone();
    if uri.scheme_str() != Some("https") {
        return Err(format!("`{uri}` does not begin with https").into());
    }
    let authority = uri.authority().ok_or("an address without a host")?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(443);
    let failed = |error: io::Error| Failure::from(format!("{host}: {error}"));
    let tcp = connect(host, port, names).await.map_err(failed)?;
    let name = ServerName::try_from(host.to_owned())?;
    let connecting = TlsConnector::from(tls).connect(name, tcp);
    let stream = connecting.await.map_err(failed)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with it shows in the answer.
    let driving = tokio::spawn(async move { drop(connection.await) });
    head.headers
        .insert(HOST, HeaderValue::from_str(authority.as_str())?);
    let agent = concat!("hedgerow/", env!("CARGO_PKG_VERSION"));
    head.headers
        .insert(USER_AGENT, HeaderValue::from_static(agent));
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    head.uri = Uri::try_from(path)?;
    let answer = sender
        .send_request(Request::from_parts(head, Full::new(body)))
        .await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    driving.abort();
    Ok(Response::from_parts(head, Full::new(body)))
}

/// Connects to the first address of `host` that takes it.
async fn connect(host: &str, port: u16, names: Arc<dyn Resolve>) -> io::Result<TcpStream> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => {
            let host = host.to_owned();
            let asking = tokio::task::spawn_blocking(move || names.resolve(&host, PATIENCE));
            asking.await.map_err(io::Error::other)??
        }
    };
    let mut last = io::Error::other("it has no address");
    for address in addresses {
        let connecting = TcpStream::connect(SocketAddr::new(address, port));
        match timeout(CONNECT_PATIENCE, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}
