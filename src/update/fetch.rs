//! One download: from a URL into a working file, or the word that nothing changed.
//!
//! Whoever answers is not trusted: what comes is counted and hashed as it streams, it must come
//! within its times and be as long as announced, and a redirect leads neither to plain HTTP nor
//! into the home.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::unversioned::transport::{Connector, TcpConnector};
use ureq::{Agent, Body};

use super::fault::{FetchError, Phase};
use super::lookup::{CheckedResolver, Resolve, bare_host};
use super::tls::{TlsConnector, client_config};
use super::url::{self, shown};
use crate::clock::{Clock, Moment};

/// The most redirects that are followed.
pub(super) const MAX_REDIRECTS: usize = 5;

/// How patient downloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To look up the server, and again to connect and agree on TLS.
    pub connect: Duration,
    /// From the request to the end of the answer's head.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub stall: Duration,
    /// For the whole of it, redirects included.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            first_byte: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            total: Duration::from_secs(15 * 60),
        }
    }
}

/// What makes a download trustworthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Require {
    /// The connection: HTTPS all the way.
    Https,
    /// A signature that is checked afterwards: plain HTTP will do, but no way leads from HTTPS to it.
    Signature,
}

/// What to download.
#[derive(Clone, Copy, Debug)]
pub(super) struct FetchRequest<'r> {
    /// From where.
    pub(super) url: &'r str,
    /// The server's name for the version at hand.
    pub(super) etag: Option<&'r str>,
    /// When the version at hand was changed, as the server wrote it.
    pub(super) last_modified: Option<&'r str>,
    /// The most octets, as they come.
    pub(super) max_bytes: u64,
    /// What makes it trustworthy.
    pub(super) require: Require,
    /// Whether a server inside the home will do.
    pub(super) allow_private: bool,
}

/// What came of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The version at hand is the newest.
    NotModified,
    /// All of it is where it was to go.
    Body(Received),
}

/// What is known of a body that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// Octets.
    pub(super) bytes: u64,
    /// Their SHA-256.
    pub(super) sha256: [u8; 32],
    /// The server's name for this version.
    pub(super) etag: Option<String>,
    /// When it was changed, as the server wrote it.
    pub(super) last_modified: Option<String>,
    /// What the server's clock showed; for people only.
    pub(super) date: Option<String>,
}

/// Downloads; made once, used for all lists.
pub(super) struct Fetcher {
    timeouts: Timeouts,
    resolve: Arc<dyn Resolve>,
    clock: Clock,
    tls: Result<Arc<ClientConfig>, FetchError>,
}

impl Fetcher {
    pub(super) fn new(
        timeouts: Timeouts,
        resolve: Arc<dyn Resolve>,
        extra_roots: &[u8],
        clock: Clock,
    ) -> Self {
        let tls = client_config(extra_roots, &clock).map_err(FetchError::Roots);
        Self {
            timeouts,
            resolve,
            clock,
            tls,
        }
    }

    /// Downloads what `request` says into `sink`, which is to be thrown away on an error.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(super) fn fetch(
        &self,
        request: &FetchRequest<'_>,
        sink: &mut dyn Write,
    ) -> Result<Fetched, FetchError> {
        let agent = self.agent(request)?;
        let deadline = self.clock.now().after(self.timeouts.total);
        let mut uri = url::read(request.url, request.require).map_err(|fault| FetchError::Url {
            url: url::cleaned(request.url),
            fault,
        })?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&agent, &uri, request, deadline)?;
            match response.status() {
                StatusCode::OK => return receive(response, &uri, request, sink),
                StatusCode::NOT_MODIFIED
                    if request.etag.is_some() || request.last_modified.is_some() =>
                {
                    return Ok(Fetched::NotModified);
                }
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    uri = redirected(&uri, response.headers(), request.require)?;
                }
                status => {
                    return Err(FetchError::Status {
                        url: shown(&uri),
                        status: status.as_u16(),
                    });
                }
            }
        }
        Err(FetchError::TooManyRedirects)
    }

    fn agent(&self, request: &FetchRequest<'_>) -> Result<Agent, FetchError> {
        let tls = self.tls.clone()?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A proxy from the environment would connect where nobody checked.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(16 * 1024)
            .timeout_connect(Some(self.timeouts.connect))
            .timeout_resolve(Some(self.timeouts.connect))
            .timeout_send_request(Some(self.timeouts.connect))
            .timeout_recv_response(Some(self.timeouts.first_byte))
            .timeout_per_read(Some(self.timeouts.stall))
            .timeout_per_write(Some(self.timeouts.stall))
            .user_agent(concat!("hedgerow/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = ().chain(TcpConnector::default()).chain(TlsConnector(tls));
        let resolver = CheckedResolver {
            resolve: Arc::clone(&self.resolve),
            patience: self.timeouts.connect,
            inside: AtomicBool::new(request.allow_private),
        };
        Ok(Agent::with_parts(config, connector, resolver))
    }

    /// Sends one request and waits for the answer's head.
    fn ask(
        &self,
        agent: &Agent,
        uri: &Uri,
        request: &FetchRequest<'_>,
        deadline: Moment,
    ) -> Result<Response<Body>, FetchError> {
        let left = deadline.since(self.clock.now());
        if left.is_zero() {
            return Err(FetchError::TimedOut {
                host: bare_host(uri).to_owned(),
                phase: Phase::Total,
            });
        }
        // A signature is made over the file as it lies there. Without one, a packed list is a
        // shorter download and a smaller copy.
        let encoding = match request.require {
            Require::Https => "gzip",
            Require::Signature => "identity",
        };
        let mut call = agent
            .get(uri)
            .config()
            .timeout_global(Some(left))
            .build()
            .header(header::ACCEPT_ENCODING, encoding);
        if let Some(etag) = request.etag {
            call = call.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(date) = request.last_modified {
            call = call.header(header::IF_MODIFIED_SINCE, date);
        }
        call.call()
            .map_err(|error| failure(error, uri, Phase::FirstByte))
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("timeouts", &self.timeouts)
            .field("resolve", &self.resolve)
            .finish_non_exhaustive()
    }
}

/// Where the server sends us.
fn redirected(from: &Uri, headers: &HeaderMap, require: Require) -> Result<Uri, FetchError> {
    let target = headers
        .get(header::LOCATION)
        .map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned())
        .unwrap_or_default();
    url::follow(from, &target, require).map_err(|fault| FetchError::Redirect {
        from: shown(from),
        to: url::cleaned(&target),
        fault,
    })
}

/// Moves the body to `sink`.
fn receive(
    response: Response<Body>,
    uri: &Uri,
    request: &FetchRequest<'_>,
    sink: &mut dyn Write,
) -> Result<Fetched, FetchError> {
    let headers = response.headers();
    let encoding = word(headers, header::CONTENT_ENCODING, 32).unwrap_or_default();
    if !["", "identity", "gzip", "x-gzip"].contains(&&*encoding.to_ascii_lowercase()) {
        let url = shown(uri);
        return Err(FetchError::Encoding { url, encoding });
    }
    let too_large = || FetchError::TooLarge {
        url: shown(uri),
        max: request.max_bytes,
    };
    let announced = headers.contains_key(header::CONTENT_LENGTH);
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    match response.body().content_length() {
        Some(length) if length > request.max_bytes => return Err(too_large()),
        None if !chunked && !announced && request.require == Require::Https => {
            return Err(FetchError::NoLength { url: shown(uri) });
        }
        _ => {}
    }
    let mut received = Received {
        bytes: 0,
        sha256: [0; 32],
        etag: word(headers, header::ETAG, 256),
        last_modified: word(headers, header::LAST_MODIFIED, 64),
        date: word(headers, header::DATE, 64),
    };
    let mut body = response
        .into_body()
        .into_with_config()
        .limit(u64::MAX)
        .reader();
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let piece = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failure(ureq::Error::from(error), uri, Phase::Stall)),
        };
        received.bytes = received.bytes.saturating_add(piece.len() as u64);
        if received.bytes > request.max_bytes {
            return Err(too_large());
        }
        hash.update(piece);
        sink.write_all(piece)
            .map_err(|error| FetchError::Write(error.to_string()))?;
    }
    received.sha256 = hash.finalize().into();
    Ok(Fetched::Body(received))
}

/// The value of a header, if it is one that can be kept and sent again.
fn word(headers: &HeaderMap, name: header::HeaderName, most: usize) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty() && value.len() <= most).then(|| value.to_owned())
}

/// What the client's error means, while waiting for `phase`.
fn failure(error: ureq::Error, uri: &Uri, phase: Phase) -> FetchError {
    let host = bare_host(uri).to_owned();
    match error {
        ureq::Error::Other(inner) => match inner.downcast::<FetchError>() {
            Ok(ours) => *ours,
            Err(other) => FetchError::Http {
                host,
                why: other.to_string(),
            },
        },
        ureq::Error::Timeout(what) => {
            let phase = match what {
                ureq::Timeout::Resolve | ureq::Timeout::Connect | ureq::Timeout::SendRequest => {
                    Phase::Connect
                }
                ureq::Timeout::Global | ureq::Timeout::PerCall => Phase::Total,
                _ => phase,
            };
            FetchError::TimedOut { host, phase }
        }
        ureq::Error::Io(error)
            if phase == Phase::Stall && error.kind() == io::ErrorKind::UnexpectedEof =>
        {
            FetchError::CutShort { url: shown(uri) }
        }
        ureq::Error::Io(error) => FetchError::Connection {
            host,
            why: error.to_string(),
        },
        other => FetchError::Http {
            host,
            why: other.to_string(),
        },
    }
}
