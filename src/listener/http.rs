//! DNS over HTTPS (RFC 8484), whatever version of HTTP carries it: which requests are questions, and
//! how answers are dressed.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Uri};

use super::encrypted::{may_stay, shown};
use super::stream::MAX_MESSAGE;
use crate::device::{ForeignId, Origin};
use crate::journal::{Outcome, Transport};
use crate::message::freshness;
use crate::resolve::{Resolver, Step};

/// The type of DNS messages.
const MESSAGE_TYPE: &str = "application/dns-message";

/// Who has pages to show beside DNS.
pub trait Pages: std::fmt::Debug + Send + Sync {
    /// The media type and the content of what stands at `path`; none if nothing does.
    fn page(&self, path: &str) -> Option<(&'static str, Vec<u8>)>;
}

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A page for people.
    Page(&'static str, Vec<u8>),
    /// The message is in the URL.
    Get(Vec<u8>),
    /// The message is the body.
    Post,
}

/// An answer, before a version of HTTP writes it.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// An error with nothing to say.
    pub(super) fn error(status: StatusCode) -> Self {
        let mut headers = HeaderMap::new();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Self {
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// A DNS message. It is for this client alone: another may be told something else.
    fn message(body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE_TYPE));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let age = format!("private, max-age={}", freshness(&body));
        if let Ok(age) = HeaderValue::from_str(&age) {
            headers.insert(CACHE_CONTROL, age);
        }
        Self {
            status: StatusCode::OK,
            headers,
            body,
        }
    }
}

impl Response {
    /// A page for people; it needs nothing from elsewhere, and its address, which may hold an id, is
    /// told to nobody.
    pub(super) fn page(kind: &'static str, body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        for (name, value) in [
            (CONTENT_TYPE, kind),
            (CACHE_CONTROL, "no-store"),
            (
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Self {
            status: StatusCode::OK,
            headers,
            body,
        }
    }
}

/// Looks at the head of a request from `origin`, and adds to that the id which the path shows.
///
/// # Errors
/// The status that says what is wrong.
pub(super) fn read_head(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    origin: &mut Origin,
    resolver: &Resolver,
    pages: &dyn Pages,
) -> Result<Request, StatusCode> {
    let snapshot = resolver.snapshot();
    let path_id = match id_in_path(uri.path(), &snapshot.config.encrypted.path) {
        Ok(path_id) => path_id,
        // Pages are for the home: outside of it nobody needs to know what this is.
        Err(status) if *method == Method::GET && snapshot.serves(origin.client) => {
            let page = pages.page(uri.path());
            return page.map_or(Err(status), |(kind, body)| Ok(Request::Page(kind, body)));
        }
        Err(status) => return Err(status),
    };
    if let Some(id) = path_id {
        // Two names for one device contradict each other.
        if origin.id.is_some_and(|other| other != id) {
            return Err(StatusCode::FORBIDDEN);
        }
        origin.id = Some(id);
    }
    if snapshot.devices.shows_id(origin) == Some(false)
        || !may_stay(&snapshot, origin.client, origin.id)
    {
        return Err(StatusCode::FORBIDDEN);
    }
    match *method {
        Method::GET => {
            let encoded = query_of(uri).ok_or(StatusCode::BAD_REQUEST)?;
            if encoded.len() > MAX_MESSAGE * 4 / 3 {
                return Err(StatusCode::URI_TOO_LONG);
            }
            let message = decode(encoded).ok_or(StatusCode::BAD_REQUEST)?;
            Ok(Request::Get(message))
        }
        Method::POST => {
            let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
            if kind.is_none_or(|kind| !kind.eq_ignore_ascii_case(MESSAGE_TYPE.as_bytes())) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
            let length = length.and_then(|it| it.parse::<usize>().ok());
            if length.is_some_and(|length| length > MAX_MESSAGE) {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Ok(Request::Post)
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Answers `message` from `origin`; what happened is to be recorded when the response is on its way.
pub(super) async fn answer(
    message: &[u8],
    origin: &Origin,
    transport: Transport,
    resolver: &Arc<Resolver>,
) -> (Response, Option<Outcome>) {
    match ask(message, origin, transport, resolver).await {
        Some((body, outcome)) => (Response::message(body), outcome),
        // A response, or no DNS message at all.
        None => (Response::error(StatusCode::BAD_REQUEST), None),
    }
}

/// Both halves of the path of a query; none for what deserves no answer.
pub(super) async fn ask(
    message: &[u8],
    origin: &Origin,
    transport: Transport,
    resolver: &Arc<Resolver>,
) -> Option<(Vec<u8>, Option<Outcome>)> {
    let mut octets = Vec::with_capacity(512);
    let at = resolver.catch_up();
    let step = match resolver.answer_now(message, origin, transport, at, &mut octets) {
        Step::Wait(pending) => resolver.answer_later(*pending, &mut octets).await,
        step => step,
    };
    match step {
        Step::Reply(outcome) => Some((octets, Some(outcome))),
        Step::Error => Some((octets, None)),
        Step::Silence | Step::Wait(_) => None,
    }
}

/// The id behind `own` in `path`; none where nothing stands behind it.
fn id_in_path(path: &str, own: &str) -> Result<Option<ForeignId>, StatusCode> {
    let rest = path.strip_prefix(own).ok_or(StatusCode::NOT_FOUND)?;
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Ok(None),
        Some(id) if !id.is_empty() && !id.contains('/') => Ok(shown(id)),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

/// The value of `dns` in the query of a URL.
fn query_of(uri: &Uri) -> Option<&str> {
    let mut fields = uri.query()?.split('&');
    fields.find_map(|field| field.strip_prefix("dns="))
}

/// Reads base64url (RFC 4648 section 5). It has no padding here (RFC 8484 section 6), and some clients
/// write some.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let encoded = encoded.trim_end_matches('=').trim_end_matches("%3D");
    let mut out = Vec::with_capacity(encoded.len() * 3 / 4);
    for group in encoded.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | u32::from(sextet(*digit)?);
        }
        // Two digits are one octet, three are two; what is left over must be nothing.
        let (octets, spare) = match group.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if bits & ((1 << spare) - 1) != 0 {
            return None;
        }
        let all = (bits << (32 - octets * 8 - spare)).to_be_bytes();
        out.extend_from_slice(all.get(..octets as usize)?);
    }
    Some(out)
}

/// The value of a digit of base64url.
const fn sextet(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_read_to_the_bit() {
        // RFC 4648 section 10, without padding, and RFC 8484 section 4.1.1.
        for (encoded, octets) in [
            ("", &b""[..]),
            ("Zg", b"f"),
            ("Zg==", b"f"),
            ("Zm8", b"fo"),
            ("Zm8%3D", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg", b"foob"),
            ("Zm9vYmE", b"fooba"),
            ("Zm9vYmFy", b"foobar"),
            ("-_8", b"\xfb\xff"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(octets), "{encoded}");
        }
        for encoded in [
            "Z",
            "Zm9vY",
            "Zh",
            "Zm9",
            "Zm 8",
            "+/8",
            "Zm8=x",
            "Zm9\u{e9}",
        ] {
            assert_eq!(decode(encoded), None, "{encoded}");
        }
    }

    #[test]
    fn an_id_stands_behind_the_path() {
        let own = "/dns-query";
        assert_eq!(id_in_path("/dns-query", own), Ok(None));
        assert_eq!(id_in_path("/dns-query/AbC", own), Ok(shown("abc")));
        let nowhere = ["/", "/dns", "/dns-query/", "/dns-queryx", "/dns-query/a/b"];
        for path in nowhere {
            assert_eq!(id_in_path(path, own), Err(StatusCode::NOT_FOUND), "{path}");
        }
    }
}
