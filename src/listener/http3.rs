//! HTTP/3 (RFC 9114), for DNS (RFC 8484).

use std::io;
use std::sync::Arc;

use h3::server::{RequestResolver, RequestStream};
use hyper::StatusCode;
use hyper::body::{Buf, Bytes};
use quinn::{Connection, VarInt};
use tokio::time::timeout;

use super::bounded::{self, Bounded, Room};
use super::http::{self, Response};
use super::https::Visit;
use super::stream::{MAX_MESSAGE, WRITE_PATIENCE};

/// Octets of the headers of one request, as QPACK counts them (RFC 9114 section 4.2.2).
const MAX_HEADERS: u64 = 8192;
/// Octets that are read of one stream: a head, a message, and what frames them; and of all streams that
/// are open at a time.
const ROOM: Room = Room {
    stream: 16 << 10,
    all: 64 << 10,
};
/// H3_NO_ERROR and H3_EXCESSIVE_LOAD (RFC 9114 section 8.1).
const NO_ERROR: VarInt = VarInt::from_u32(0x100);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);

/// The server's end of one request.
type Stream = RequestStream<bounded::Stream<h3_quinn::BidiStream<Bytes>>, Bytes>;

/// Answers the requests of one connection.
///
/// # Errors
/// Why it ended before its time.
pub(super) async fn serve(connection: Connection, visit: Arc<Visit>) -> io::Result<()> {
    let pulse = Arc::clone(&visit.pulse);
    let serving = async {
        let quic = h3_quinn::Connection::new(connection.clone());
        let mut requests = h3::server::builder()
            .max_field_section_size(MAX_HEADERS)
            .send_grease(false)
            .build::<_, Bytes>(Bounded::new(quic, ROOM))
            .await
            .map_err(io::Error::other)?;
        while let Some(request) = requests.accept().await.map_err(io::Error::other)? {
            let beat = pulse.begin();
            let visit = Arc::clone(&visit);
            tokio::spawn(async move {
                let _beat = beat;
                // A stream that breaks is the client's loss.
                drop(respond(request, &visit).await);
            });
        }
        Ok(())
    };
    tokio::select! {
        ended = serving => return ended,
        () = visit.pulse.stopped() => connection.close(NO_ERROR, b""),
        () = visit.place.give_up.notified() => connection.close(EXCESSIVE_LOAD, b""),
    }
    Ok(())
}

async fn respond(
    request: RequestResolver<Bounded<h3_quinn::Connection>, Bytes>,
    visit: &Visit,
) -> io::Result<()> {
    let patience = visit.patience.message;
    let resolving = timeout(patience, request.resolve_request()).await;
    let (request, mut stream) = resolving
        .map_err(io::Error::other)?
        .map_err(io::Error::other)?;
    let mut origin = visit.origin;
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let (resolver, pages) = (&*visit.resolver, &*visit.pages);
    let head = http::read_head(method, uri, headers, &mut origin, resolver, pages);
    if head.is_ok() {
        visit.recognise(&origin);
    }
    let message = match head {
        Ok(http::Request::Page(kind, body)) => Err(Response::page(kind, body)),
        Ok(http::Request::Get(message)) => Ok(message),
        Ok(http::Request::Post) => match timeout(patience, read_body(&mut stream)).await {
            Ok(body) => body.map_err(Response::error),
            Err(_) => Err(Response::error(StatusCode::REQUEST_TIMEOUT)),
        },
        Err(status) => Err(Response::error(status)),
    };
    let (response, outcome) = match message {
        Ok(message) => http::answer(&message, &origin, visit.transport, &visit.resolver).await,
        Err(response) => (response, None),
    };
    // It is still on its way, and was waited for long enough.
    let is_late = response.status == StatusCode::REQUEST_TIMEOUT;
    visit.note(response.status);
    let mut head = hyper::Response::new(());
    *head.status_mut() = response.status;
    *head.headers_mut() = response.headers;
    // QUIC copies it; what that keeps for a client is bounded by its window.
    let body = visit.hold(response.body);
    let body = body.ok_or_else(|| io::Error::other("answers are not taken"))?;
    let writing = async {
        stream.send_response(head).await?;
        stream.send_data(body).await?;
        stream.finish().await
    };
    let written = timeout(WRITE_PATIENCE, writing).await;
    if let Some(outcome) = outcome {
        visit.resolver.record(outcome, visit.resolver.now());
    }
    written
        .map_err(io::Error::other)?
        .map_err(io::Error::other)?;
    if !is_late {
        // Past that the client has its answer, and what becomes of its side is its own affair.
        drop(timeout(patience, end(&mut stream)).await);
    }
    Ok(())
}

/// Reads a request to its end, as far as there is room. A stream that is dropped before that is stopped with
/// a code that HTTP/3 does not have, and clients take the answer for a broken one then, though all of it is
/// there (RFC 9114 section 4.1).
async fn end(stream: &mut Stream) {
    while let Ok(Some(_)) = stream.recv_data().await {}
}

async fn read_body(stream: &mut Stream) -> Result<Vec<u8>, StatusCode> {
    let mut body = Vec::new();
    loop {
        let mut chunk = match stream.recv_data().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(body),
            Err(_) => return Err(StatusCode::BAD_REQUEST),
        };
        if body.len() + chunk.remaining() > MAX_MESSAGE {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let octets = chunk.copy_to_bytes(chunk.remaining());
        body.extend_from_slice(&octets);
    }
}
