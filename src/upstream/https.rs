//! Asking over HTTPS (RFC 8484): one HTTP/2 connection, a stream for each question, by POST, with
//! id 0. What HTTP/2 and HTTP/3 have in common stands here too.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request as HttpRequest, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::fault::Fault;
use super::held::{Alive, Grip, Held};
use super::place::Place;
use super::secure::Identity;
use super::wire::Request;
use crate::clock::Clock;

/// The HTTP/2 connection to one server.
#[derive(Debug)]
pub(super) struct Line {
    place: Arc<Place>,
    identity: Identity,
    url: Url,
    held: Held<Open>,
    clock: Clock,
}

/// An open one.
#[derive(Clone, Debug)]
struct Open {
    requests: http2::SendRequest<Full<Bytes>>,
    /// Streams in a row that the server reset.
    resets: Arc<AtomicU32>,
}

/// What a question was lost with.
#[derive(Debug)]
enum Lost {
    /// Its stream alone: the server reset it, and goes on with the others.
    Stream,
    /// The connection.
    Connection,
    /// Nothing: this was said.
    Said(Fault),
}

/// The parts of a server's URL.
#[derive(Clone, Debug)]
pub(super) struct Url {
    /// Name or address, and the port unless it is the usual one.
    authority: String,
    path: String,
}

/// The media type of DNS messages (RFC 8484 section 6).
const MEDIA_TYPE: &str = "application/dns-message";
/// The largest DNS message.
pub(super) const LARGEST: usize = u16::MAX as usize;
/// How long a connection with questions on it may be quiet before it is tested, and how long the
/// test may take.
const PING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(2));
/// Streams in a row that are reset, and the connection is as good as dead.
const RESETS: u32 = 3;
/// Octets of header fields we take.
const HEADERS: u32 = 16 << 10;

impl Alive for Open {
    fn is_alive(&self) -> bool {
        !self.requests.is_closed()
    }
}

impl Url {
    /// `host` is a name, or an address as it stands in a URL.
    pub(super) fn new(host: &str, port: u16, path: &str) -> Self {
        let authority = match port {
            443 => host.to_owned(),
            port => format!("{host}:{port}"),
        };
        Self {
            authority,
            path: path.to_owned(),
        }
    }

    /// The request for a question of `length` octets.
    pub(super) fn post<B>(
        &self,
        version: Version,
        body: B,
        length: usize,
    ) -> Option<HttpRequest<B>> {
        let uri = hyper::Uri::builder()
            .scheme("https")
            .authority(self.authority.as_str())
            .path_and_query(self.path.as_str())
            .build()
            .ok()?;
        HttpRequest::builder()
            .method(Method::POST)
            .version(version)
            .uri(uri)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .header(ACCEPT, MEDIA_TYPE)
            .header(CONTENT_LENGTH, length)
            .body(body)
            .ok()
    }
}

/// Whether what follows is a DNS message.
///
/// # Errors
/// What it is instead.
pub(super) fn expect_message(status: StatusCode, headers: &HeaderMap) -> Result<(), Fault> {
    if status != StatusCode::OK {
        return Err(Fault::said(format!("HTTP status {}", status.as_u16())));
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    match kind {
        // Media types know no case (RFC 9110 section 8.3.1).
        Some(kind) if is_message(kind) => Ok(()),
        Some(_) => Err(Fault::said("its HTTP answer is no DNS message")),
        None => Err(Fault::said("its HTTP answer does not say what it is")),
    }
}

fn is_message(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(MEDIA_TYPE)
}

impl Line {
    pub(super) fn new(place: Arc<Place>, identity: Identity, url: Url, clock: Clock) -> Self {
        Self {
            place,
            identity,
            url,
            held: Held::new(clock.clone()),
            clock,
        }
    }

    /// Where it leads.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Sends `request` and waits for its reply as long as the caller likes; the caller judges it.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) async fn ask(&self, request: &Request, is_retry: bool) -> Result<Vec<u8>, Fault> {
        let grip = self.held.get(is_retry, || self.open()).await?;
        let was_open = grip.was_open;
        match self.post(grip, request).await {
            // A server may close at any moment (RFC 9113 section 9.1); a new one tells.
            Err(Lost::Connection) if was_open => {}
            // It may let go of one stream as well, and serve the next.
            Err(Lost::Stream) => {}
            done => return Ok(done?),
        }
        let grip = self.held.get(false, || self.open()).await?;
        Ok(self.post(grip, request).await?)
    }

    /// Whether a second attempt would need another connection.
    pub(super) fn is_doubtful(&self) -> bool {
        self.held.is_doubtful()
    }

    /// Opens a connection unless there is one.
    pub(super) fn warm(&self) {
        self.held.warm(|| self.open());
    }

    fn open(&self) -> impl Future<Output = Result<Open, Fault>> + Send + use<> {
        let (place, identity) = (Arc::clone(&self.place), self.identity.clone());
        async move {
            let stream = place.tls(&identity).await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(Fault::said("it does not speak HTTP/2"));
            }
            let (requests, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING.0)
                .keep_alive_timeout(PING.1)
                .max_header_list_size(HEADERS)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(hung_up)?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection to upstream ended");
                }
            });
            Ok(Open {
                requests,
                resets: Arc::default(),
            })
        }
    }

    async fn post(&self, grip: Grip<Open>, request: &Request) -> Result<Vec<u8>, Lost> {
        let (number, heard) = (grip.number, grip.heard.clone());
        let resets = Arc::clone(&grip.connection.resets);
        let said = self.talk(grip, request).await;
        match &said {
            Err(Lost::Connection) => self.held.let_go(number),
            Err(Lost::Stream) => {
                // Who resets is there, but not for ever.
                heard.note(self.clock.now());
                if resets.fetch_add(1, Ordering::Relaxed) + 1 >= RESETS {
                    self.held.let_go(number);
                }
            }
            Ok(_) | Err(Lost::Said(_)) => resets.store(0, Ordering::Relaxed),
        }
        said
    }

    async fn talk(&self, mut grip: Grip<Open>, request: &Request) -> Result<Vec<u8>, Lost> {
        let message = Bytes::copy_from_slice(request.bytes());
        let length = message.len();
        let post = self.url.post(Version::HTTP_2, Full::new(message), length);
        // The configuration takes no URL that cannot be one.
        let post = post.ok_or_else(|| Fault::said("its URL cannot be asked"))?;
        let requests = &mut grip.connection.requests;
        requests.ready().await.map_err(lost)?;
        let response = requests.send_request(post).await.map_err(lost)?;
        grip.heard.note(self.clock.now());
        expect_message(response.status(), response.headers())?;
        collect(response.into_body()).await
    }
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self::Said(fault)
    }
}

impl From<Lost> for Fault {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Stream | Lost::Connection => Self::HUNG_UP,
            Lost::Said(fault) => fault,
        }
    }
}

/// The whole body.
async fn collect(body: Incoming) -> Result<Vec<u8>, Lost> {
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => lost(*error),
            Err(_) => Fault::said("its HTTP answer is too long").into(),
        }),
    }
}

/// What `error` says was lost.
fn lost(error: hyper::Error) -> Lost {
    tracing::debug!(%error, "HTTP/2 to upstream failed");
    let h2 = error.source().and_then(|it| it.downcast_ref::<h2::Error>());
    match h2.is_some_and(h2::Error::is_reset) {
        true => Lost::Stream,
        false => Lost::Connection,
    }
}

/// A connection could not be used; a new one tells.
fn hung_up(error: hyper::Error) -> Fault {
    lost(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_host_and_path() {
        for (host, port, uri) in [
            ("dns.example", 443, "https://dns.example/dns-query"),
            ("dns.example", 8443, "https://dns.example:8443/dns-query"),
            ("192.0.2.1", 443, "https://192.0.2.1/dns-query"),
            ("[2001:db8::1]", 444, "https://[2001:db8::1]:444/dns-query"),
        ] {
            let url = Url::new(host, port, "/dns-query");
            let request = url.post(Version::HTTP_2, (), 128).unwrap();
            assert_eq!(request.uri().to_string(), uri);
            assert_eq!(request.headers()[CONTENT_LENGTH], "128");
        }
    }

    #[test]
    fn only_a_dns_message_is_one() {
        let with = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            headers
        };
        assert_eq!(expect_message(StatusCode::OK, &with(MEDIA_TYPE)), Ok(()));
        for kind in [
            "application/dns-message; charset=x",
            "Application/DNS-Message",
            "application/dns-message ;x",
        ] {
            assert_eq!(
                expect_message(StatusCode::OK, &with(kind)),
                Ok(()),
                "{kind}"
            );
        }
        for (status, headers) in [
            (503, with(MEDIA_TYPE)),
            (302, with(MEDIA_TYPE)),
            (200, with("text/html")),
            (200, HeaderMap::new()),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(expect_message(status, &headers).is_err(), "{status}");
        }
    }
}
