//! Asking over HTTP/3 (RFC 8484 over RFC 9114): as over HTTP/2, but on QUIC.

use std::future::poll_fn;

use h3::client::SendRequest;
use h3::error::StreamError;
use h3_quinn::OpenStreams;
use hyper::Version;
use hyper::body::{Buf, Bytes};

use super::fault::Fault;
use super::held::{Alive, Grip, Held};
use super::https::{LARGEST, Url, expect_message};
use super::place::Place;
use super::quic::Dial;
use super::wire::Request;
use crate::clock::Clock;

/// The application protocol (RFC 9114 section 3.1).
pub(super) const ALPN: &[u8] = b"h3";
/// Octets of header fields we take.
const HEADERS: u64 = 16 << 10;

/// The HTTP/3 connection to one server.
pub(super) struct Line {
    dial: Dial,
    url: Url,
    held: Held<Open>,
    clock: Clock,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// An open one.
#[derive(Clone)]
struct Open {
    quic: quinn::Connection,
    requests: SendRequest<OpenStreams, Bytes>,
}

impl Alive for Open {
    fn is_alive(&self) -> bool {
        self.quic.is_alive()
    }
}

impl Line {
    pub(super) fn new(dial: Dial, url: Url, clock: Clock) -> Self {
        Self {
            dial,
            url,
            held: Held::new(clock.clone()),
            clock,
        }
    }

    /// Where it leads.
    pub(super) fn place(&self) -> &Place {
        self.dial.place()
    }

    /// Sends `request` and waits for its reply as long as the caller likes; the caller judges it.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) async fn ask(&self, request: &Request, is_retry: bool) -> Result<Vec<u8>, Fault> {
        let grip = self.held.get(is_retry, || open(self.dial.clone())).await?;
        let was_open = grip.was_open;
        match self.post(grip, request).await {
            Err(Fault::Io(_)) if was_open => {
                let grip = self.held.get(false, || open(self.dial.clone())).await?;
                self.post(grip, request).await
            }
            done => done,
        }
    }

    /// Whether a second attempt would need another connection.
    pub(super) fn is_doubtful(&self) -> bool {
        self.held.is_doubtful()
    }

    /// Opens a connection unless there is one.
    pub(super) fn warm(&self) {
        self.held.warm(|| open(self.dial.clone()));
    }

    async fn post(&self, mut grip: Grip<Open>, request: &Request) -> Result<Vec<u8>, Fault> {
        let said = self
            .talk(&mut grip.connection.requests, request.bytes())
            .await;
        match &said {
            Err(Fault::Io(_)) => self.held.let_go(grip.number),
            _ => grip.heard.note(self.clock.now()),
        }
        said
    }

    async fn talk(
        &self,
        requests: &mut SendRequest<OpenStreams, Bytes>,
        message: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let post = self.url.post(Version::HTTP_3, (), message.len());
        // The configuration takes no URL that cannot be one.
        let post = post.ok_or_else(|| Fault::said("its URL cannot be asked"))?;
        let lost = |error: StreamError| fault_of(&error);
        let mut stream = requests.send_request(post).await.map_err(lost)?;
        stream
            .send_data(Bytes::copy_from_slice(message))
            .await
            .map_err(lost)?;
        stream.finish().await.map_err(lost)?;
        let response = stream.recv_response().await.map_err(lost)?;
        expect_message(response.status(), response.headers())?;
        let mut reply = Vec::new();
        while let Some(mut part) = stream.recv_data().await.map_err(lost)? {
            if reply.len() + part.remaining() > LARGEST {
                return Err(Fault::said("its HTTP answer is too long"));
            }
            while part.has_remaining() {
                let chunk = part.chunk();
                reply.extend_from_slice(chunk);
                let length = chunk.len();
                part.advance(length);
            }
        }
        Ok(reply)
    }
}

async fn open(dial: Dial) -> Result<Open, Fault> {
    let quic = dial.open().await?;
    let (mut driver, requests) = h3::client::builder()
        .max_field_section_size(HEADERS)
        .build(h3_quinn::Connection::new(quic.clone()))
        .await
        .map_err(|error| Fault::said(format!("HTTP/3: {error}")))?;
    tokio::spawn(async move {
        let error = poll_fn(|context| driver.poll_close(context)).await;
        tracing::debug!(%error, "connection to upstream ended");
    });
    Ok(Open { quic, requests })
}

/// Why HTTP ended: a connection that was lost may be opened anew, everything else is said.
fn fault_of(error: &StreamError) -> Fault {
    match error {
        StreamError::StreamError { .. }
        | StreamError::RemoteTerminate { .. }
        | StreamError::HeaderTooBig { .. } => Fault::said(format!("HTTP/3: {error}")),
        _ => Fault::HUNG_UP,
    }
}
