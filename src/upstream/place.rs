//! Where a server is, and how a connection gets there.
//!
//! A server has one address or several, or a name whose addresses the bootstrap servers know. Of
//! several the one that worked last is tried first; when it is quiet for a quarter of a second, the
//! next one is tried too (RFC 8305 section 5).

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::bootstrap::{Bootstrap, Patience};
use super::fault::Fault;
use super::secure::Identity;
use crate::clock::{Clock, Moment};
use crate::config::{Host, UpstreamServer};
use crate::name::NameBuf;
use crate::trust;

/// Where a server is.
#[derive(Debug)]
pub(super) struct Place {
    port: u16,
    /// The name to look up, and who knows it; none if the addresses are given.
    name: Option<(NameBuf, Arc<Bootstrap>)>,
    known: Mutex<Known>,
    /// Held by whoever looks up a name of which nothing is known yet.
    turn: tokio::sync::Mutex<()>,
    /// Handshakes under way.
    handshakes: AtomicUsize,
    /// When somebody else answered there last, unless that is over.
    somebody_else: Mutex<Option<Moment>>,
    clock: Clock,
}

/// One handshake, while it is under way.
#[derive(Debug)]
pub(super) struct Handshake(Arc<Place>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Known {
    /// The one that worked last first.
    addresses: Vec<IpAddr>,
    /// When the name is to be looked up again.
    until: Moment,
    is_being_renewed: bool,
    /// When none of the addresses worked and the name was looked up again for that.
    doubted: Moment,
}

/// Between one address and the next (RFC 8305 section 8).
const STAGGER: Duration = Duration::from_millis(250);
/// How seldom a name is looked up again because none of its addresses works.
const DOUBT: Duration = Duration::from_secs(30);
/// How long it holds that somebody else answered.
const SOMEBODY_ELSE: Duration = Duration::from_mins(2);
/// How long opening a connection may take, with all its handshakes; far beyond any budget.
const OPEN: Duration = Duration::from_secs(5);

impl Place {
    pub(super) fn new(
        server: &UpstreamServer,
        bootstrap: &Arc<Bootstrap>,
        clock: Clock,
    ) -> Arc<Self> {
        let mut known = Known::default();
        let (port, name) = match &server.host {
            Host::Addresses(addresses) => {
                known.addresses = addresses.iter().map(SocketAddr::ip).collect();
                let port = addresses.first().map_or(0, SocketAddr::port);
                (port, None)
            }
            Host::Name { name, port } => {
                // The configuration takes no other names.
                let name = NameBuf::parse(name).unwrap_or(NameBuf::ROOT);
                (*port, Some((name, Arc::clone(bootstrap))))
            }
        };
        Arc::new(Self {
            port,
            name,
            known: Mutex::new(known),
            turn: tokio::sync::Mutex::default(),
            handshakes: AtomicUsize::new(0),
            somebody_else: Mutex::default(),
            clock,
        })
    }

    /// Its addresses, the most promising first. Waits only while nothing is known of a name.
    async fn addresses(self: &Arc<Self>) -> Result<Vec<SocketAddr>, Fault> {
        let at = |addresses: &[IpAddr]| -> Vec<SocketAddr> {
            let sockets = addresses.iter().map(|&ip| SocketAddr::new(ip, self.port));
            sockets.collect()
        };
        let Some((_, bootstrap)) = &self.name else {
            return Ok(at(&self.known().addresses));
        };
        if let Some(known) = self.known_or_renewed(bootstrap, Patience::Short) {
            return Ok(at(&known));
        }
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have found them.
        if let Some(known) = self.known_or_renewed(bootstrap, Patience::Short) {
            return Ok(at(&known));
        }
        self.renew(Patience::Short).await?;
        Ok(at(&self.known().addresses))
    }

    /// Counts a handshake until what is given back is dropped.
    pub(super) fn shake_hands(self: &Arc<Self>) -> Handshake {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
        Handshake(Arc::clone(self))
    }

    /// Whether a connection is on its way: over TCP the server has taken it, and the rest is TLS.
    pub(super) fn is_shaking_hands(&self) -> bool {
        self.handshakes.load(Ordering::Relaxed) > 0
    }

    /// Notes whether the certificate there was somebody else's.
    pub(super) fn note_somebody(&self, is_else: bool) {
        *self.somebody() = is_else.then(|| self.clock.now());
    }

    /// Whether somebody else answered there last, and that a moment ago: a machine that was carried
    /// elsewhere, where nobody answers at all, is told nothing of the network before.
    pub(super) fn is_somebody_else(&self, now: Moment) -> bool {
        self.somebody()
            .is_some_and(|at| now.since(at) < SOMEBODY_ELSE)
    }

    fn somebody(&self) -> MutexGuard<'_, Option<Moment>> {
        let somebody = self.somebody_else.lock();
        somebody.unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, and has it looked up again beside that when it is time.
    fn known_or_renewed(
        self: &Arc<Self>,
        bootstrap: &Bootstrap,
        patience: Patience,
    ) -> Option<Vec<IpAddr>> {
        let mut known = self.known();
        if known.addresses.is_empty() {
            return None;
        }
        if known.until <= bootstrap.now() && !known.is_being_renewed {
            known.is_being_renewed = true;
            let place = Arc::clone(self);
            tokio::spawn(async move {
                // What was known is kept when nobody knows better.
                drop(place.renew(patience).await);
            });
        }
        Some(known.addresses.clone())
    }

    /// Looks the name up and takes on what is found.
    async fn renew(&self, patience: Patience) -> Result<(), Fault> {
        let Some((name, bootstrap)) = &self.name else {
            return Ok(());
        };
        let found = bootstrap.look_up(*name, patience).await;
        let mut known = self.known();
        known.is_being_renewed = false;
        let found = match found {
            Ok(found) => found,
            Err(fault) => {
                known.until = bootstrap.next_try();
                return Err(fault);
            }
        };
        known.until = found.until;
        // What works stays first.
        let first = known.addresses.first().copied();
        known.addresses = found.addresses;
        known.put_first(first);
        Ok(())
    }

    /// Notes that the server was reached at `address`.
    fn note_good(&self, address: SocketAddr) {
        self.known().put_first(Some(address.ip()));
    }

    /// Has the name looked up again before the next attempt, since none of its addresses works: what
    /// said so may have lied, as a hotel's network does, or the server may have moved.
    fn doubt(self: &Arc<Self>) {
        let Some((_, bootstrap)) = &self.name else {
            return;
        };
        let now = bootstrap.now();
        let mut known = self.known();
        let was_doubted = known.doubted != Moment::default();
        if was_doubted && now.since(known.doubted) < DOUBT || known.is_being_renewed {
            return;
        }
        (known.doubted, known.until) = (now, now);
        drop(known);
        let _addresses = self.known_or_renewed(bootstrap, Patience::Long);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `open` makes of the first address with which it works.
    ///
    /// # Errors
    /// What went wrong with the most promising one.
    pub(super) async fn reach<T, F>(
        self: &Arc<Self>,
        open: impl Fn(SocketAddr) -> F,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let work = async {
            let addresses = self.addresses().await?;
            let (address, opened) = first_of(&addresses, open).await?;
            self.note_good(address);
            Ok(opened)
        };
        let timed = tokio::time::timeout(OPEN, work).await;
        let reached = timed.unwrap_or(Err(Fault::Io(io::ErrorKind::TimedOut)));
        if reached.is_err() {
            self.doubt();
        }
        reached
    }

    /// A TCP connection to it.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) async fn tcp(self: &Arc<Self>) -> Result<TcpStream, Fault> {
        self.reach(connect).await
    }

    /// A TLS connection to it, with whom `identity` describes.
    ///
    /// # Errors
    /// What went wrong; with the certificate, in words.
    pub(super) async fn tls(
        self: &Arc<Self>,
        identity: &Identity,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        let (config, name) = (Arc::clone(&identity.config), identity.name.clone());
        let connector = TlsConnector::from(config);
        let place = Arc::clone(self);
        self.reach(move |address| {
            let (connector, name) = (connector.clone(), name.clone());
            let place = Arc::clone(&place);
            async move {
                let stream = connect(address).await?;
                let _handshake = place.shake_hands();
                let opened = connector.connect(name, stream).await;
                place.note_somebody(opened.as_ref().is_err_and(trust::is_somebody_else));
                Ok(opened?)
            }
        })
        .await
    }
}

impl Known {
    /// Puts `address` first if it is one of them.
    fn put_first(&mut self, address: Option<IpAddr>) {
        let place = self.addresses.iter().position(|it| Some(*it) == address);
        if let Some(place) = place {
            self.addresses[..=place].rotate_right(1);
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Fault> {
    let stream = TcpStream::connect(address).await?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "cannot switch off Nagle's algorithm");
    }
    Ok(stream)
}

/// Tries `addresses` one after the other, each a little after the one before, until one works.
async fn first_of<T, F>(
    addresses: &[SocketAddr],
    open: impl Fn(SocketAddr) -> F,
) -> Result<(SocketAddr, T), Fault>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Fault>> + Send + 'static,
{
    let mut attempts = JoinSet::new();
    let mut rest = addresses.iter().enumerate();
    let mut first_fault: Option<(usize, Fault)> = None;
    loop {
        let next = rest.next();
        if let Some((index, &address)) = next {
            let attempt = open(address);
            attempts.spawn(async move { (index, address, attempt.await) });
        } else if attempts.is_empty() {
            let none = || Fault::Io(io::ErrorKind::AddrNotAvailable);
            return Err(first_fault.map_or_else(none, |(_, fault)| fault));
        }
        // Until one fails or it is the next one's turn; the last waits as long as it takes.
        let is_last = rest.len() == 0;
        let ended = async {
            match attempts.join_next().await {
                Some(Ok(ended)) => Some(ended),
                // Its task panicked, or there is none.
                _ => None,
            }
        };
        let ended = if is_last {
            ended.await
        } else {
            tokio::time::timeout(STAGGER, ended).await.ok().flatten()
        };
        match ended {
            Some((_, address, Ok(opened))) => return Ok((address, opened)),
            Some((index, _, Err(fault)))
                if first_fault.as_ref().is_none_or(|(first, _)| index < *first) =>
            {
                first_fault = Some((index, fault));
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 853))
    }

    /// Opens at once at an even address, fails at an odd one, hangs at 0.
    async fn open(address: SocketAddr) -> Result<u8, Fault> {
        let IpAddr::V4(ip) = address.ip() else {
            return Err(Fault::HUNG_UP);
        };
        match ip.octets()[3] {
            0 => std::future::pending().await,
            odd if odd % 2 == 1 => Err(Fault::said(format!("odd {odd}"))),
            even => Ok(even),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_works_counts() {
        let first = |lasts: &'static [u8]| async move {
            let addresses: Vec<_> = lasts.iter().map(|&last| at(last)).collect();
            let begun = tokio::time::Instant::now();
            let opened = first_of(&addresses, open).await.map(|(_, even)| even);
            (opened, begun.elapsed())
        };
        assert_eq!(first(&[2, 4]).await, (Ok(2), Duration::ZERO));
        assert_eq!(first(&[1, 3, 4]).await, (Ok(4), Duration::ZERO));
        assert_eq!(first(&[0, 4]).await, (Ok(4), STAGGER));
        assert_eq!(first(&[0, 0, 4]).await, (Ok(4), STAGGER * 2));
        let fault = Fault::said("odd 1");
        assert_eq!(first(&[1, 3]).await, (Err(fault), Duration::ZERO));
        let nowhere = Fault::Io(io::ErrorKind::AddrNotAvailable);
        assert_eq!(first(&[]).await, (Err(nowhere), Duration::ZERO));
    }

    #[test]
    fn what_worked_is_tried_first() {
        let mut known = Known {
            addresses: vec![at(1).ip(), at(2).ip(), at(3).ip()],
            ..Known::default()
        };
        known.put_first(Some(at(3).ip()));
        assert_eq!(known.addresses, [at(3).ip(), at(1).ip(), at(2).ip()]);
        known.put_first(Some(at(9).ip()));
        known.put_first(None);
        assert_eq!(known.addresses, [at(3).ip(), at(1).ip(), at(2).ip()]);
    }
}
