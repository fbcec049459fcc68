//! The caller's side of the control API: one request on one connection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::api::{ErrorBody, LogEntry};

/// How long an answer that takes no work may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a reload or an update may take: all lists are fetched and read again.
const LONG_TIMEOUT: Duration = Duration::from_secs(600);
/// The largest answer we take.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// The longest single event of the log.
const MAX_EVENT: usize = 64 * 1024;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers on the socket.
    #[error("no daemon answers on {}: {source}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket is there, but not for us.
    #[error("{}: {source}", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon refused.
    #[error("{}", .0.error)]
    Refused(ErrorBody),
    /// The connection broke, or what came is not what we understand.
    #[error("the daemon's answer can't be understood: {0}")]
    Garbled(String),
    /// The answer did not come in time.
    #[error("the daemon did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// A way to a running daemon.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// To the daemon whose control socket is at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `path` with `parameters` (those that are none are left out).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, Option<String>)],
    ) -> Result<T, ClientError> {
        self.ask(Method::GET, &target(path, parameters), TIMEOUT)
            .await
    }

    /// Asks the daemon to do `path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.post_with(path, &[]).await
    }

    /// Asks the daemon to do `path` with `parameters` (those that are none are left out).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, Option<String>)],
    ) -> Result<T, ClientError> {
        self.ask(Method::POST, &target(path, parameters), LONG_TIMEOUT)
            .await
    }

    /// Follows the log at `path` with `parameters`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow(
        &self,
        path: &str,
        parameters: &[(&str, Option<String>)],
    ) -> Result<Followed, ClientError> {
        let response = within(TIMEOUT, self.send(Method::GET, &target(path, parameters))).await?;
        Ok(Followed {
            body: response.into_body(),
            buffer: Vec::new(),
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        within(timeout, async {
            let response = self.send(method, target).await?;
            let bytes = read(response).await?;
            serde_json::from_slice(&bytes).map_err(garbled)
        })
        .await
    }

    async fn send(&self, method: Method, target: &str) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|source| self.unreachable(source))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(garbled)?;
        // Ends with the last of the response; an error shows up where the response is read.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(hyper::header::HOST, "hedgerow")
            .body(Empty::<Bytes>::new())
            .map_err(garbled)?;
        let response = sender.send_request(request).await.map_err(garbled)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = serde_json::from_slice(&read(response).await?);
        Err(ClientError::Refused(body.unwrap_or_else(|_| {
            ErrorBody::new(format!("the daemon answered {status}"), "")
        })))
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        if source.kind() == io::ErrorKind::PermissionDenied {
            ClientError::Denied { path, source }
        } else {
            ClientError::NotRunning { path, source }
        }
    }
}

async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or(Err(ClientError::Timeout(timeout)))
}

async fn read(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(response.into_body(), MAX_ANSWER);
    Ok(body.collect().await.map_err(garbled)?.to_bytes())
}

fn garbled(error: impl ToString) -> ClientError {
    ClientError::Garbled(error.to_string())
}

/// `path?a=b` with everything escaped that is not a letter, a digit or `-._~` (RFC 3986).
fn target(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut target = path.to_owned();
    for (key, value) in parameters {
        let Some(value) = value else { continue };
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(key);
        target.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    target.push(char::from(byte));
                }
                _ => target.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    target
}

/// Something that happened in a followed log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new entry.
    Entry(Box<LogEntry>),
    /// So many entries were gone before they could be sent.
    Gap(u64),
}

/// A log that is being followed.
#[derive(Debug)]
pub struct Followed {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Followed {
    /// Waits for the next event; none when the daemon ends.
    ///
    /// # Errors
    /// When the connection breaks or carries what we do not understand.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse_event(&event)? {
                    return Ok(Some(event));
                }
                continue;
            }
            if self.buffer.len() > MAX_EVENT {
                return Err(garbled("an event has no end"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(garbled(error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

/// Reads one event; a comment, sent as a sign of life, is none.
fn parse_event(text: &[u8]) -> Result<Option<Event>, ClientError> {
    #[derive(serde::Deserialize)]
    struct Gap {
        lost: u64,
    }
    let text = str::from_utf8(text).map_err(garbled)?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let Some(data) = field("data") else {
        return Ok(None);
    };
    match field("event") {
        None => serde_json::from_str(data)
            .map(|entry| Some(Event::Entry(Box::new(entry))))
            .map_err(garbled),
        Some("gap") => serde_json::from_str(data)
            .map(|gap: Gap| Some(Event::Gap(gap.lost)))
            .map_err(garbled),
        // Of a later version.
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped() {
        let parameters = [
            ("name", Some("bücher.example".to_owned())),
            ("device", None),
            ("at", Some("21:31+02 &".to_owned())),
        ];
        assert_eq!(
            target("/x", &parameters),
            "/x?name=b%C3%BCcher.example&at=21%3A31%2B02%20%26"
        );
    }

    #[test]
    fn events_are_read() {
        assert_eq!(parse_event(b": still here\n\n").unwrap(), None);
        assert_eq!(
            parse_event(b"event: gap\ndata: {\"lost\":3}\n\n").unwrap(),
            Some(Event::Gap(3))
        );
        assert_eq!(parse_event(b"event: new\ndata: ?\n\n").unwrap(), None);
        assert!(parse_event(b"data: ?\n\n").is_err());
    }
}
