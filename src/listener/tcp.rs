//! Connections: several questions on each, answered as they are ready (RFC 7766), and none that
//! can hold a place for nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::Resolver;
use super::interfaces::Interfaces;
use super::places::{Bounds, Comer, Places};
use super::proxy::Header;
use super::stream::{Patience, Talk};
use crate::clock::Clock;
use crate::device::{Origin, Via};
use crate::journal::Transport;
use crate::limit::Client;

/// After a failed accept (no descriptors left), so that the loop does not spin.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds a listening socket.
///
/// # Errors
/// What the system said.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for old connections to time out.
    socket.set_reuse_address(true)?;
    // What the kernel keeps for a client that takes nothing: no more than the longest answer. Linux
    // takes twice that, and would let it grow to megabytes.
    socket.set_send_buffer_size(1 << 15)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// Accepts connections at `socket` until the task is dropped.
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn serve(
    socket: std::net::TcpListener,
    listener: u16,
    resolver: Arc<Resolver>,
    places: Arc<Places>,
) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    let interfaces = Interfaces::new(Clock::system());
    loop {
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let client = peer.ip().to_canonical();
        let newcomer = Newcomer {
            origin: Origin::new(client, interface_of(&stream, &peer, &interfaces), listener),
            stream,
            resolver: Arc::clone(&resolver),
            places: Arc::clone(&places),
            unread: Vec::with_capacity(512),
        };
        let snapshot = resolver.snapshot();
        snapshot.devices.catch_up();
        let forwarder = snapshot.devices.forwarder(&newcomer.origin);
        if forwarder.is_some_and(|forwarder| forwarder.proxy) {
            newcomer.await_header();
        } else {
            newcomer.admit();
        }
    }
}

/// A connection that has no place yet.
struct Newcomer {
    stream: TcpStream,
    origin: Origin,
    resolver: Arc<Resolver>,
    places: Arc<Places>,
    /// What was read behind a header.
    unread: Vec<u8>,
}

impl Newcomer {
    /// Waits in a task for the header of a load balancer, which says whose connection it is.
    fn await_header(mut self) {
        let limits = self.resolver.snapshot().config.limits.clone();
        let patience = limits.tcp_read;
        // A load balancer speaks for many: all places are there for it until it has said for whom.
        let for_many = Bounds {
            all: limits.tcp_connections,
            each: limits.tcp_connections,
        };
        let client = Client::Address(self.origin.client);
        let Some(place) = self.places.take(Comer::alone(client), for_many) else {
            debug!(?client, "too many connections");
            return;
        };
        tokio::spawn(async move {
            let header = tokio::select! {
                header = timeout(patience, self.read_header()) => {
                    header.unwrap_or_else(|_| Err(io::Error::other("a PROXY header takes too long")))
                }
                () = place.give_up.notified() => return,
            };
            // The client takes one of its own.
            drop(place);
            match header {
                Ok(header) => {
                    self.introduce(header);
                    self.admit();
                }
                // Load balancers look whether a port is open.
                Err(error) if self.unread.is_empty() => debug!(?client, %error, "no header came"),
                Err(error) => warn_rarely(&self.origin, &error),
            }
        });
    }

    async fn read_header(&mut self) -> io::Result<Header> {
        loop {
            let read = Header::read(&self.unread).map_err(io::Error::other)?;
            if let Some((header, used)) = read {
                self.unread.drain(..used);
                return Ok(header);
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::Error::other("a PROXY header is cut off"));
            }
        }
    }

    /// Takes over what a load balancer said of its client. Where the connection came in says nothing
    /// of that one.
    fn introduce(&mut self, header: Header) {
        let origin = self.origin;
        self.origin = match header {
            Header::Local => origin,
            Header::Proxied { client, subscriber } => Origin {
                client: client.unwrap_or(origin.client),
                interface: 0,
                via: client.map_or(Via::Veil, |_| Via::Teller),
                id: subscriber,
                ..origin
            },
        };
    }

    /// Takes a place and answers what comes, if the client may ask and has not too many.
    fn admit(self) {
        let origin = self.origin;
        let snapshot = self.resolver.snapshot();
        if !snapshot.serves(origin.client) {
            // Strangers hold no place.
            debug!(client = %origin.client, "not served");
            return;
        }
        let limits = &snapshot.config.limits;
        let who = super::comer_at(&snapshot, &origin);
        let Some(place) = self.places.take(who, Bounds::tcp(limits)) else {
            debug!(?who, "too many connections");
            return;
        };
        let talk = Talk {
            origin,
            transport: Transport::Tcp,
            patience: Patience {
                message: limits.tcp_read,
                idle: limits.tcp_idle,
            },
            resolver: self.resolver,
            place,
        };
        tokio::spawn(async move {
            if let Err(error) = talk.run(self.stream, self.unread).await {
                debug!(?who, %error, "a connection ended");
            }
        });
    }
}

/// Says that a load balancer opened a connection otherwise than it should, at most once in a
/// thousand times: it will do so again.
fn warn_rarely(origin: &Origin, error: &io::Error) {
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    let times = TIMES.fetch_add(1, Ordering::Relaxed);
    if times.is_multiple_of(1000) {
        warn!(client = %origin.client, %error, times, "a connection was closed");
    }
}

/// The number of the interface by which `peer` came.
pub(super) fn interface_of(stream: &TcpStream, peer: &SocketAddr, interfaces: &Interfaces) -> u32 {
    match peer {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => v6.scope_id(),
        _ => stream.local_addr().map_or(0, |ours| {
            interfaces.between(ours.ip().to_canonical(), peer.ip().to_canonical())
        }),
    }
}
