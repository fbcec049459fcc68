//! Connections: several questions on each, answered as they are ready (RFC 7766), and none that
//! can hold a place for nothing.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::Resolver;
use super::proxy::Header;
use crate::config::Limits;
use crate::device::{Origin, Via};
use crate::journal::Transport;
use crate::limit::Client;
use crate::resolve::Step;

/// Questions of one connection that may wait for upstream before we stop reading it.
const MAX_WAITING: usize = 64;
/// The longest message we take; ordinary queries have some 60 octets, so that a length of 65,535
/// could only be meant to fill memory.
const MAX_MESSAGE: usize = 4096;
/// How long a client may take to accept an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// Who holds how many connections, and how much of answers waits to be taken.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<HashMap<Client, Vec<Arc<Notify>>>>,
    /// Octets of finished answers that no client has taken yet, in all connections.
    held: AtomicUsize,
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    client: Client,
    /// Told when somebody who has fewer needs the place.
    give_up: Arc<Notify>,
}

/// Octets of finished answers for each connection there may be, on average: a client that asks for
/// much and takes nothing is ended when all of it together is used up.
const HELD_FOR_EACH: usize = 4096;

impl Places {
    /// Takes a place for `client`. When all are taken, whoever has most gives up his oldest, if he
    /// has more than `client` would have.
    fn take(self: &Arc<Self>, client: Client, limits: &Limits) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&client).map_or(0, Vec::len);
        if own >= limits.tcp_per_client {
            return None;
        }
        if taken.values().map(Vec::len).sum::<usize>() >= limits.tcp_connections {
            let most = taken.values_mut().max_by_key(|held| held.len())?;
            if most.len() <= own + 1 {
                return None;
            }
            most.remove(0).notify_one();
        }
        let give_up = Arc::new(Notify::new());
        taken.entry(client).or_default().push(Arc::clone(&give_up));
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            client,
            give_up,
        })
    }

    /// Whether another answer of `octets` may wait to be taken.
    fn hold(&self, octets: usize, limits: &Limits) -> bool {
        let most = limits.tcp_connections.saturating_mul(HELD_FOR_EACH);
        // One of the greatest length always fits beside nothing.
        let most = most.max(usize::from(u16::MAX));
        let room = |held: usize| held.checked_add(octets).filter(|sum| *sum <= most);
        let order = Ordering::Relaxed;
        self.held.fetch_update(order, order, room).is_ok()
    }

    fn let_go(&self, octets: usize) {
        self.held.fetch_sub(octets, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = taken.get_mut(&self.client) {
            // Not there any more if it was given up.
            held.retain(|other| !Arc::ptr_eq(other, &self.give_up));
            if held.is_empty() {
                taken.remove(&self.client);
            }
        }
    }
}

/// An answer that waits to be taken, counted while it does.
#[derive(Debug)]
struct Held {
    octets: Vec<u8>,
    places: Arc<Places>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.let_go(self.octets.len());
    }
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
            origin: Origin::new(client, interface_of(&stream, &peer), listener),
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
        let for_many = Limits {
            tcp_per_client: limits.tcp_connections,
            ..limits
        };
        let client = Client::Address(self.origin.client);
        let Some(place) = self.places.take(client, &for_many) else {
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
        let mut serve = snapshot.config.server.serve.iter();
        if !serve.any(|net| net.contains(&origin.client)) {
            // Strangers hold no place.
            debug!(client = %origin.client, "not served");
            return;
        }
        let limits = snapshot.config.limits.clone();
        let device = snapshot.device_at(&origin).map(|device| device.name);
        let client = device.map_or(Client::Address(origin.client), Client::Device);
        let Some(place) = self.places.take(client, &limits) else {
            debug!(?client, "too many connections");
            return;
        };
        let connection = Connection {
            stream: self.stream,
            origin,
            resolver: self.resolver,
            limits,
            place,
            unread: self.unread,
            waiting: JoinSet::new(),
        };
        tokio::spawn(async move {
            if let Err(error) = connection.run().await {
                debug!(?client, %error, "a connection ended");
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

fn interface_of(stream: &TcpStream, peer: &SocketAddr) -> u32 {
    match peer {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => v6.scope_id(),
        _ => stream.local_addr().map_or(0, |ours| {
            super::interface_between(ours.ip().to_canonical(), peer.ip().to_canonical())
        }),
    }
}

struct Connection {
    stream: TcpStream,
    origin: Origin,
    resolver: Arc<Resolver>,
    limits: Limits,
    place: Place,
    /// What was read and not yet used up: the beginning of a message, or several.
    unread: Vec<u8>,
    /// Questions on their way to upstream and back.
    waiting: JoinSet<Option<(Held, Step)>>,
}

impl Connection {
    async fn run(mut self) -> io::Result<()> {
        let mut answer = Vec::with_capacity(512);
        // The moment by which the client must have done something.
        let mut deadline = Instant::now() + self.limits.tcp_read;
        let mut open = true;
        loop {
            while self.waiting.len() < MAX_WAITING
                && let Some(message) = self.next_message()?
            {
                self.handle(&message, &mut answer).await?;
                deadline = Instant::now() + self.patience();
            }
            if !open && self.waiting.is_empty() {
                return Ok(());
            }
            let may_read = open && self.waiting.len() < MAX_WAITING;
            let is_idle = self.waiting.is_empty();
            let before = self.unread.len();
            tokio::select! {
                read = self.stream.read_buf(&mut self.unread), if may_read => {
                    // A client that closes its half may still wait for answers.
                    open = read? > 0;
                    if before == 0 && open {
                        // A message began: all of it must be here in time, however slowly it drips.
                        deadline = Instant::now() + self.limits.tcp_read;
                    }
                }
                Some(done) = self.waiting.join_next(), if !is_idle => {
                    match done {
                        Ok(Some((answer, step))) => self.send(&answer.octets, step).await?,
                        Ok(None) => return Err(io::Error::other("answers are not taken")),
                        // One question broke; the others go on.
                        Err(_) => {}
                    }
                    deadline = deadline.max(Instant::now() + self.patience());
                }
                () = sleep_until(deadline), if is_idle => return Ok(()),
                () = self.place.give_up.notified() => return Ok(()),
            }
        }
    }

    /// How long the client may be silent: between messages longer than inside one.
    fn patience(&self) -> Duration {
        if self.unread.is_empty() {
            self.limits.tcp_idle
        } else {
            self.limits.tcp_read
        }
    }

    /// Cuts the next whole message from what was read (RFC 1035 section 4.2.2).
    ///
    /// # Errors
    /// When it announces more than any query has.
    fn next_message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((length, rest)) = self.unread.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > MAX_MESSAGE {
            return Err(io::Error::other("a query of more than 4,096 octets"));
        }
        let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.unread.drain(..2 + length);
        Ok(Some(message))
    }

    async fn handle(&mut self, message: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
        self.resolver.catch_up();
        let step = self
            .resolver
            .answer_now(message, &self.origin, Transport::Tcp, answer);
        let Step::Wait(pending) = step else {
            return self.send(answer, step).await;
        };
        let resolver = Arc::clone(&self.resolver);
        let places = Arc::clone(&self.place.places);
        let limits = self.limits.clone();
        self.waiting.spawn(async move {
            let mut octets = Vec::with_capacity(512);
            let step = resolver.answer_later(*pending, &mut octets).await;
            octets.shrink_to_fit();
            places
                .hold(octets.len(), &limits)
                .then_some((Held { octets, places }, step))
        });
        Ok(())
    }

    async fn send(&mut self, answer: &[u8], step: Step) -> io::Result<()> {
        if matches!(step, Step::Silence | Step::Wait(_)) {
            // A message that deserves no word on a connection deserves no connection.
            return Err(io::Error::other("not a query"));
        }
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        // Length and message in one segment (RFC 7766 section 8).
        let framed = [&length.to_be_bytes()[..], answer].concat();
        timeout(WRITE_PATIENCE, self.stream.write_all(&framed)).await??;
        if let Step::Reply(outcome) = step {
            self.resolver.record(outcome);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_client_and_given_back() {
        let limits = Limits {
            tcp_connections: 3,
            tcp_per_client: 2,
            ..test_limits()
        };
        let places = Arc::new(Places::default());
        let [one, two, three] = ["one", "two", "three"].map(Client::Device);
        let first = places.take(one, &limits).unwrap();
        let second = places.take(one, &limits).unwrap();
        assert!(places.take(one, &limits).is_none(), "two for each client");
        let third = places.take(two, &limits).unwrap();
        assert!(places.take(two, &limits).is_none(), "nobody has two more");
        // Whoever has more than a newcomer would have gives up his oldest.
        let fourth = places.take(three, &limits).unwrap();
        assert!(is_told(&first) && !is_told(&second) && !is_told(&third));
        drop((first, second, fourth));
        assert!(places.take(two, &limits).is_some(), "places come back");
    }

    fn is_told(place: &Place) -> bool {
        use std::task::{Context, Poll, Waker};
        let notified = std::pin::pin!(place.give_up.notified());
        notified.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn answers_that_nobody_takes_are_bounded() {
        let limits = Limits {
            tcp_connections: 32,
            ..test_limits()
        };
        let places = Places::default();
        assert!(places.hold(100_000, &limits));
        assert!(!places.hold(60_000, &limits), "131,072 in all");
        places.let_go(100_000);
        assert!(places.hold(60_000, &limits));
    }

    fn test_limits() -> Limits {
        Limits {
            queries_per_second: 0,
            burst: 0,
            in_flight: 1,
            in_flight_per_client: 1,
            tcp_connections: 1,
            tcp_per_client: 1,
            tcp_idle: Duration::from_secs(1),
            tcp_read: Duration::from_secs(1),
            encrypted_connections: 1,
            encrypted_per_client: 1,
            encrypted_streams: 1,
            encrypted_idle: Duration::from_secs(1),
            memory: 1,
        }
    }
}
