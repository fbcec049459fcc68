//! What is shown to an ACME authority so that it believes that a name is ours.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::CustomExtension;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr};
use tokio::task::{AbortHandle, Id, JoinHandle, JoinSet};

use super::AcmeError;
use crate::certificate::CertificateError;

/// Under which pages are looked for (RFC 8555 section 8.3).
const PREFIX: &str = "/.well-known/acme-challenge/";
/// How long one who asks for a page may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who may ask at a time, in all and from one network: authorities look from a handful of places. Who
/// comes when all are there takes the place of who has been there longest.
const MAX_ASKING: usize = 64;
const MAX_OF_NETWORK: usize = 8;
/// How long a hook may take: some zones need minutes.
const HOOK_PATIENCE: Duration = Duration::from_mins(10);
/// How long what a hook said is waited for when it has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Octets of it that are kept: the last ones.
const MAX_SAID: usize = 512;
/// Octets of a request for a page that are read at a time: it has a line and a few headers.
const MAX_HEAD: usize = 8192;

type Texts = Arc<Mutex<HashMap<String, String>>>;

/// Pages, shown as long as this lives.
pub(super) struct Pages {
    texts: Texts,
    serving: JoinHandle<()>,
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Pages {
    /// Shows none yet.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(super) async fn show(address: SocketAddr) -> Result<Self, AcmeError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| AcmeError::Listen {
            address,
            why: error.to_string(),
        })?;
        let texts = Texts::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&texts)));
        Ok(Self { texts, serving })
    }

    /// Shows nothing any more: when this is done the address is free.
    pub(super) async fn close(mut self) {
        self.serving.abort();
        // It was ended, and has nothing to say.
        drop((&mut self.serving).await);
    }

    /// Shows `text` for `token`.
    pub(super) fn add(&self, token: &str, text: &str) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(token.to_owned(), text.to_owned());
    }
}

async fn serve(listener: TcpListener, texts: Texts) {
    let mut asking = JoinSet::new();
    let mut crowd = Crowd::default();
    loop {
        let connection = tokio::select! {
            biased;
            // Nobody needs to know how it ended.
            Some(ended) = asking.join_next_with_id() => {
                crowd.leave(ended.map_or_else(|it| it.id(), |it| it.0));
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let Ok((connection, peer)) = connection else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let texts = Arc::clone(&texts);
        let answering = async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &texts);
                async move { Ok::<_, Infallible>(answer) }
            });
            hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(connection), service)
                .await
        };
        let handle = asking.spawn(tokio::time::timeout(PATIENCE, answering));
        crowd.enter(network_of(peer.ip().to_canonical()), handle);
    }
}

/// Who asks at the moment, the longest there first.
#[derive(Default)]
struct Crowd(Vec<(IpAddr, AbortHandle)>);

impl Crowd {
    /// One more from `network` comes in; somebody may have to go for it.
    fn enter(&mut self, network: IpAddr, handle: AbortHandle) {
        let of = |network| self.0.iter().filter(|it| it.0 == network).count();
        let crowded = if of(network) >= MAX_OF_NETWORK {
            Some(network)
        } else if self.0.len() >= MAX_ASKING {
            let longest = self.0.iter().enumerate();
            let most = longest.max_by_key(|(place, it)| (of(it.0), Reverse(*place)));
            most.map(|(_, it)| it.0)
        } else {
            None
        };
        if let Some(place) = self.0.iter().position(|it| Some(it.0) == crowded) {
            self.0.remove(place).1.abort();
        }
        self.0.push((network, handle));
    }

    fn leave(&mut self, id: Id) {
        self.0.retain(|it| it.1.id() != id);
    }
}

/// The first address of what one stranger can have all addresses of, generously: 256 neighbours, or the
/// networks that a provider gives to one customer.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & !0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !(u128::MAX >> 48)).into()),
    }
}

fn answer(request: &Request<Incoming>, texts: &Texts) -> Response<Full<Bytes>> {
    let texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
    let token = request.uri().path().strip_prefix(PREFIX);
    match token.and_then(|it| texts.get(it)) {
        Some(text) => Response::new(Full::from(text.clone())),
        None => {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
    }
}

/// The certificate that proves `name` ours to who asks for `acme-tls/1` (RFC 8737 section 3), with the
/// SHA-256 of the key authorization.
pub(super) fn certificate(name: &str, digest: &[u8]) -> Result<CertifiedKey, CertificateError> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let private = PrivateKeyDer::try_from(key.serialize_der());
    let private = private.map_err(|what| CertificateError::Make(what.to_owned()))?;
    let private = ring::sign::any_supported_type(&private);
    let private = private.map_err(|error| CertificateError::Make(error.to_string()))?;
    // Not compared with the certificate, which webpki refuses to read: its critical extension is known
    // to authorities alone.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], private))
}

/// Runs the admin's program: `HOOK present|remove`, with `RECORD_NAME` and `RECORD_VALUE` in its
/// environment. It ends when everybody can see the record, or nobody any more.
///
/// The value is no argument: one in 64 begins with `-` (RFC 8555 section 8.4: base64url), which would be
/// taken for an option.
///
/// # Errors
/// It cannot be run, takes too long, or does not end well.
pub(super) async fn run_hook(
    hook: &Path,
    verb: &str,
    name: &str,
    value: &str,
) -> Result<(), AcmeError> {
    let failed = |why: String| AcmeError::Hook {
        path: hook.to_path_buf(),
        why,
    };
    let running = tokio::process::Command::new(hook)
        .arg(verb)
        .env("RECORD_NAME", name)
        .env("RECORD_VALUE", value)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let running = running.map_err(|error| failed(error.to_string()))?;
    let ended = tokio::time::timeout(HOOK_PATIENCE, attend(running)).await;
    let ended = ended.map_err(|_| failed("it does not end".to_owned()))?;
    let (status, said) = ended.map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().last().unwrap_or_default();
    Err(failed(format!("{status}: {}", last.escape_debug())))
}

/// Waits for the end of `running`; how it ended, and what it complained of last.
async fn attend(mut running: Child) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut complaints = running.stderr.take();
    let mut said = Vec::new();
    loop {
        tokio::select! {
            is_open = listen(&mut complaints, &mut said), if complaints.is_some() => {
                if !is_open {
                    complaints = None;
                }
            }
            ended = running.wait() => {
                let ended = ended?;
                // What it said at its end. Something it left behind may hold the other side open.
                let rest = async { while listen(&mut complaints, &mut said).await {} };
                drop(tokio::time::timeout(LAST_WORDS, rest).await);
                return Ok((ended, said));
            }
        }
    }
}

/// Adds what comes from `complaints` to `said`, of which only the end is kept; whether more may come.
async fn listen(complaints: &mut Option<ChildStderr>, said: &mut Vec<u8>) -> bool {
    let Some(complaints) = complaints else {
        return false;
    };
    let mut heard = [0; MAX_SAID];
    let Ok(octets @ 1..) = complaints.read(&mut heard).await else {
        return false;
    };
    said.extend_from_slice(&heard[..octets]);
    let surplus = said.len().saturating_sub(MAX_SAID);
    said.drain(..surplus);
    true
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// A connection from `from`.
    fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let from: IpAddr = from.parse().unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// One stranger that held connections once kept the authority from seeing the page.
    #[tokio::test]
    async fn strangers_that_hold_connections_keep_nobody_from_a_page() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let texts = Texts::default();
        texts
            .lock()
            .unwrap()
            .insert("token".to_owned(), "shown".to_owned());
        let listener = TcpListener::from_std(listener).unwrap();
        let serving = tokio::spawn(serve(listener, texts));
        let asking = tokio::task::spawn_blocking(move || {
            let mut held = Vec::new();
            for network in 1..=20 {
                let from = format!("127.0.{network}.1");
                held.extend((0..10).map(|_| connect(&from, address)));
            }
            // From the midst of the crowd, and from elsewhere.
            for from in ["127.0.20.9", "127.0.99.1"] {
                let mut stream = connect(from, address);
                let request = format!("GET {PREFIX}token HTTP/1.1\r\nhost: a.example\r\n\r\n");
                stream.write_all(request.as_bytes()).unwrap();
                let mut said = String::new();
                stream.read_to_string(&mut said).unwrap();
                assert!(said.ends_with("shown"), "{from}: {said}");
            }
            // The first who came had to go, and did not wait for the end of its time.
            assert_eq!(held[0].read(&mut [0]).unwrap(), 0);
        });
        asking.await.unwrap();
        serving.abort();
    }

    #[tokio::test]
    async fn no_more_than_so_many_ask_at_a_time() {
        let mut waiting = JoinSet::new();
        let mut crowd = Crowd::default();
        let mut handles = Vec::new();
        for number in 0..200_u8 {
            let handle = waiting.spawn(std::future::pending::<()>());
            handles.push(handle.clone());
            crowd.enter([192, 0, number / 10, 0].into(), handle);
            assert!(crowd.0.len() <= MAX_ASKING);
            let own = crowd
                .0
                .iter()
                .filter(|it| it.0 == crowd.0[crowd.0.len() - 1].0);
            assert!(own.count() <= MAX_OF_NETWORK);
        }
        assert_eq!(crowd.0.len(), MAX_ASKING);
        crowd.leave(handles[199].id());
        assert_eq!(crowd.0.len(), MAX_ASKING - 1);
    }
}
