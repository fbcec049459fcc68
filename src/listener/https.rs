//! HTTP/1.1 and HTTP/2 over TLS, for DNS (RFC 8484).
//!
//! A client that dawdles holds nothing for long: its headers, its body and its first question have as
//! long as a message over TCP, and a connection on which nothing was asked for a while ends, taken
//! answers or not. What HTTP/2 lets a client make us do (streams, resets, headers) is bounded by hyper
//! and set here.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::Resolver;
use super::encrypted::{Hall, known, patience};
use super::http::{self, Pages, Response};
use super::idle::Pulse;
use super::places::Place;
use super::strangers::Strangers;
use super::stream::{MAX_MESSAGE, Patience};
use crate::config::Limits;
use crate::device::Origin;
use crate::journal::Transport;

/// Octets of the headers of one request.
const MAX_HEADERS: u32 = 8192;
/// Headers of one request.
const MAX_FIELDS: usize = 64;
/// Streams that a client opened and reset before we looked at them; more, and it is cut off
/// (CVE-2023-44487).
const MAX_RESET: usize = 20;
/// How often somebody from outside may ask for what is not there, or not for him.
const MAX_REFUSED: usize = 4;
/// Octets that one stream keeps for a client that does not take them, beside the answer itself.
const MAX_SEND: usize = 4096;

/// One client's connection.
pub(super) struct Visit {
    pub(super) origin: Origin,
    pub(super) transport: Transport,
    pub(super) resolver: Arc<Resolver>,
    pub(super) pages: Arc<dyn Pages>,
    pub(super) patience: Patience,
    pub(super) pulse: Arc<Pulse>,
    /// Given back when nothing of the connection is left, answers on their way included.
    pub(super) place: Arc<Place>,
    strangers: Arc<Strangers>,
    /// Whether it is known whose connection it is, or does not matter.
    is_known: AtomicBool,
    /// Requests for what is not there, or not for him.
    refused: AtomicUsize,
}

impl Visit {
    /// That of who came from `origin`, shook hands and has `place`.
    pub(super) fn new(
        origin: Origin,
        transport: Transport,
        hall: &Hall,
        limits: &Limits,
        place: Arc<Place>,
    ) -> Arc<Self> {
        let patience = patience(limits);
        let is_home = hall.resolver.snapshot().serves(origin.client);
        Arc::new(Self {
            origin,
            transport,
            resolver: Arc::clone(&hall.resolver),
            pages: Arc::clone(&hall.pages),
            patience,
            pulse: Pulse::new(patience),
            place,
            strangers: Arc::clone(&hall.strangers),
            is_known: AtomicBool::new(is_home),
            refused: AtomicUsize::new(0),
        })
    }

    /// `octets` to be sent, counted until the client has taken them. When too much waits for it already,
    /// there is nothing, and the connection ends.
    pub(super) fn hold(&self, octets: Vec<u8>) -> Option<Bytes> {
        let held = self.place.hold(octets);
        if held.is_none() {
            debug!(client = %self.origin.client, "answers are not taken");
            self.pulse.end();
        }
        held.map(Bytes::from)
    }

    /// Notes that a request from outside showed, by name or path, whose connection this is: from then
    /// on it is that device's, not some stranger's.
    pub(super) fn recognise(&self, origin: &Origin) {
        if origin.id.is_none() || self.is_known.load(Ordering::Relaxed) {
            return;
        }
        let Some(device) = known(&self.resolver.snapshot(), origin) else {
            return;
        };
        self.is_known.store(true, Ordering::Relaxed);
        self.place.hand_to(device);
        if self.origin.id.is_some() {
            // It has paid for itself.
            self.strangers.remember(origin.client, device);
        } else {
            self.strangers.introduce(origin.client, device);
        }
    }

    /// Looks at a response before it is written: a stranger that asks for what is not there a few
    /// times is looking for something, and has to shake hands again.
    pub(super) fn note(&self, status: StatusCode) {
        if !matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return;
        }
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused >= MAX_REFUSED && !self.resolver.snapshot().serves(self.origin.client) {
            self.pulse.end();
        }
    }
}

/// Answers the requests of one connection.
///
/// # Errors
/// Why it ended before its time.
pub(super) async fn serve(
    stream: Box<TlsStream<TcpStream>>,
    visit: Arc<Visit>,
    limits: &Limits,
) -> io::Result<()> {
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (patience, pulse) = (visit.patience, Arc::clone(&visit.pulse));
    let visitor = Arc::clone(&visit);
    let service = service_fn(move |request| respond(request, Arc::clone(&visitor)));
    let stream = TokioIo::new(stream);
    /// Waits for a connection to end, or ends it: each version's is a type of its own.
    macro_rules! attend {
        ($connection:expr) => {{
            let mut connection = pin!($connection);
            tokio::select! {
                ended = connection.as_mut() => return ended.map_err(io::Error::other),
                () = pulse.stopped() => {}
                // Somebody needs the place now.
                () = visit.place.give_up.notified() => return Ok(()),
            }
            connection.as_mut().graceful_shutdown();
            // What it does not take in time it does not get.
            match timeout(patience.message, connection).await {
                Ok(ended) => ended.map_err(io::Error::other),
                Err(_) => Ok(()),
            }
        }};
    }
    if is_h2 {
        let streams = u32::try_from(limits.encrypted_streams).unwrap_or(u32::MAX);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(streams)
            .max_header_list_size(MAX_HEADERS)
            .max_pending_accept_reset_streams(MAX_RESET)
            .max_local_error_reset_streams(MAX_RESET)
            .initial_stream_window_size(MAX_MESSAGE as u32 * 2)
            .initial_connection_window_size(1 << 16)
            .max_send_buf_size(MAX_SEND);
        attend!(builder.serve_connection(stream, service))
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(patience.idle)
            .max_headers(MAX_FIELDS)
            .max_buf_size(MAX_HEADERS as usize * 2)
            .half_close(true);
        attend!(builder.serve_connection(stream, service))
    }
}

async fn respond(
    request: Request<Incoming>,
    visit: Arc<Visit>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let _beat = visit.pulse.begin();
    let response = match read(request, &visit).await {
        Ok(Read::Page(response)) => response,
        Ok(Read::Message(message, origin)) => {
            let (response, outcome) =
                http::answer(&message, &origin, visit.transport, &visit.resolver).await;
            if let Some(outcome) = outcome {
                visit.resolver.record(outcome, visit.resolver.now());
            }
            response
        }
        Err(status) => Response::error(status),
    };
    visit.note(response.status);
    let mut written = hyper::Response::new(Full::default());
    match visit.hold(response.body) {
        Some(body) => {
            *written.status_mut() = response.status;
            *written.headers_mut() = response.headers;
            *written.body_mut() = Full::new(body);
        }
        None => *written.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
    }
    Ok(written)
}

/// The whole of a request.
enum Read {
    /// It is answered already.
    Page(Response),
    /// A DNS message, and who sends it.
    Message(Vec<u8>, Origin),
}

async fn read(request: Request<Incoming>, visit: &Visit) -> Result<Read, StatusCode> {
    let (head, body) = request.into_parts();
    let mut origin = visit.origin;
    let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
    let (resolver, pages) = (&*visit.resolver, &*visit.pages);
    let asked = http::read_head(method, uri, headers, &mut origin, resolver, pages)?;
    visit.recognise(&origin);
    match asked {
        http::Request::Page(kind, body) => Ok(Read::Page(Response::page(kind, body))),
        http::Request::Get(message) => Ok(Read::Message(message, origin)),
        http::Request::Post => {
            if body.size_hint().lower() > MAX_MESSAGE as u64 {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            let reading = Limited::new(body, MAX_MESSAGE).collect();
            match timeout(visit.patience.message, reading).await {
                Ok(Ok(body)) => Ok(Read::Message(body.to_bytes().into(), origin)),
                Ok(Err(error)) if error.is::<LengthLimitError>() => {
                    Err(StatusCode::PAYLOAD_TOO_LARGE)
                }
                Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
                Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
            }
        }
    }
}
