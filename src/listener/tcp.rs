//! Connections: several questions on each, answered as they are ready (RFC 7766), and none that
//! can hold a place for nothing.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::Resolver;
use crate::config::Limits;
use crate::device::Origin;
use crate::journal::Transport;
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

/// Who holds how many connections.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    client: IpAddr,
}

impl Places {
    fn take(self: &Arc<Self>, client: IpAddr, limits: &Limits) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= limits.tcp_connections {
            return None;
        }
        let held = taken.get(&client).copied().unwrap_or(0);
        if held >= limits.tcp_per_client {
            return None;
        }
        taken.insert(client, held + 1);
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            client,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.client) {
            Some(held) if *held > 1 => *held -= 1,
            _ => drop(taken.remove(&self.client)),
        }
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
        let limits = resolver.snapshot().config.limits.clone();
        let Some(place) = places.take(client, &limits) else {
            debug!(%client, "too many connections");
            continue;
        };
        let origin = Origin {
            client,
            interface: interface_of(&stream, &peer),
            listener,
        };
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move {
            let ended = Connection::new(stream, origin, resolver, limits)
                .run()
                .await;
            if let Err(error) = ended {
                debug!(%client, %error, "a connection ended");
            }
            drop(place);
        });
    }
}

fn interface_of(stream: &TcpStream, peer: &SocketAddr) -> u32 {
    match peer {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => v6.scope_id(),
        _ => stream
            .local_addr()
            .map_or(0, |ours| super::interface_with(ours.ip())),
    }
}

struct Connection {
    stream: TcpStream,
    origin: Origin,
    resolver: Arc<Resolver>,
    limits: Limits,
    /// What was read and not yet used up: the beginning of a message, or several.
    unread: Vec<u8>,
    /// Questions on their way to upstream and back.
    waiting: JoinSet<(Vec<u8>, Step)>,
}

impl Connection {
    fn new(stream: TcpStream, origin: Origin, resolver: Arc<Resolver>, limits: Limits) -> Self {
        Self {
            stream,
            origin,
            resolver,
            limits,
            unread: Vec::with_capacity(512),
            waiting: JoinSet::new(),
        }
    }

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
                    if let Ok((answer, step)) = done {
                        self.send(&answer, step).await?;
                    }
                    deadline = deadline.max(Instant::now() + self.patience());
                }
                () = sleep_until(deadline), if is_idle => return Ok(()),
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
        let step = self
            .resolver
            .answer_now(message, &self.origin, Transport::Tcp, answer);
        let Step::Wait(pending) = step else {
            return self.send(answer, step).await;
        };
        let resolver = Arc::clone(&self.resolver);
        self.waiting.spawn(async move {
            let mut answer = Vec::with_capacity(512);
            let step = resolver.answer_later(*pending, &mut answer).await;
            (answer, step)
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
        let [one, two]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let first = places.take(one, &limits).unwrap();
        let _second = places.take(one, &limits).unwrap();
        assert!(places.take(one, &limits).is_none(), "two for each client");
        let _third = places.take(two, &limits).unwrap();
        assert!(places.take(two, &limits).is_none(), "three in all");
        drop(first);
        assert!(places.take(two, &limits).is_some());
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
            memory: 1,
        }
    }
}
