//! Connections and what each may cost: how many, how long, how large.
//!
//! The same bounds hold for the control socket and for the metrics page.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::rt::{Read, Write};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::family::By;
use super::socket::ControlSocket;
use super::{Household, routes};

/// Connections at a time; further ones wait.
pub const MAX_CONNECTIONS: usize = 32;
/// Largest head of a request.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Largest body of a request.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a request's head or body may take to arrive, and a connection may lie idle.
pub const READ_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// How long open connections get to end when we stop.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long to wait when the system is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the control API on `socket` until `stop` is done; open connections then get a second.
pub async fn serve(
    socket: ControlSocket,
    household: Arc<dyn Household>,
    stop: impl Future<Output = ()>,
) {
    let (stop_sender, stopped) = watch::channel(false);
    let router = routes::router(household, stopped.clone());
    let serving = accept_all(&socket.listener, router, stopped);
    stop_when(stop, stop_sender, serving).await;
}

/// Runs `serving`, and tells it once `stop` is done.
pub(super) async fn stop_when(
    stop: impl Future<Output = ()>,
    sender: watch::Sender<bool>,
    serving: impl Future<Output = ()>,
) {
    let stopping = async {
        stop.await;
        sender.send_replace(true);
    };
    tokio::join!(stopping, serving);
}

/// Who is at the other end of a connection, as the kernel says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// The account.
    uid: Option<u32>,
}

impl Peer {
    /// The same under a name that was given.
    pub(super) const fn named(self, name: Option<String>) -> By {
        By {
            name,
            uid: self.uid,
        }
    }
}

/// Something that hands out connections.
pub(super) trait Accept {
    /// A connection.
    type Io: Read + Write + Send + Unpin + 'static;

    /// Waits for the next one, and says who is at the other end.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;
}

impl Accept for UnixListener {
    type Io = TokioIo<tokio::net::UnixStream>;

    async fn accept(&self) -> io::Result<(Self::Io, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let uid = stream.peer_cred().ok().map(|it| it.uid());
        Ok((TokioIo::new(stream), Peer { uid }))
    }
}

impl Accept for TcpListener {
    type Io = TokioIo<tokio::net::TcpStream>;

    async fn accept(&self) -> io::Result<(Self::Io, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        Ok((TokioIo::new(stream), Peer::default()))
    }
}

/// Accepts and serves connections until `stopped` says so.
pub(super) async fn accept_all(
    listener: &impl Accept,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = until(&mut stopped) => break,
        };
        match accepted {
            Ok((io, peer)) => {
                let connection = serve_one(io, peer, router.clone(), stopped.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // Whatever has not ended by then ends with the set.
    if tokio::time::timeout(FAREWELL, all_ended).await.is_err() {
        tracing::debug!("connections of the control API cut off");
    }
}

async fn serve_one(
    io: impl Read + Write + Send + Unpin + 'static,
    peer: Peer,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // One request a connection: whoever asks much and reads nothing holds one answer, which
        // the kernel takes, and not a place.
        .keep_alive(false)
        .header_read_timeout(READ_TIMEOUT)
        .max_headers(64)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(2 * MAX_HEADER_BYTES)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection of the control API ended");
    }
}

/// Waits until it is time to stop.
async fn until(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone can't say so any more: stop as well.
    drop(stopped.wait_for(|stop| *stop).await);
}
