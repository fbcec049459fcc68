//! Encrypted DNS: which sockets there are for it, who may come in, and by which id.
//!
//! All of it runs on one thread of its own, so that handshakes, which cost a thousand times what a
//! query costs, take nothing from datagrams in the clear, nor from the thread that keeps the time. DNS
//! over TLS is the loop of [`super::stream`] under TLS and stands here; HTTP is in [`super::https`],
//! QUIC in `quic`.
//!
//! A client that shows the id of a device is served wherever it is ([`crate::device`]). Everybody else
//! must be where `[server] serve` says. Before TLS there is no id, so connections from elsewhere are
//! taken only where some device has one, or while an authority is to see that the server's name is
//! ours: it comes from anywhere, and gets nothing but the certificate it wants (RFC 8737). What a
//! handshake costs, and whom, is in [`super::strangers`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::crypto::ring::Ticketer;
use rustls::server::{Acceptor, NoServerSessionStorage, ServerConfig};
use rustls::version::{TLS12, TLS13};
#[cfg(feature = "quic")]
use rustls::{
    server::{ClientHello, ResolvesServerCert as _},
    sign::CertifiedKey,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tracing::{debug, warn};

pub use super::doors::Closed;
use super::doors::keep_open;
use super::http::Pages;
use super::interfaces::Interfaces;
use super::places::{Bounds, Place, Places};
use super::residents::Residents;
use super::strangers::Strangers;
use super::stream::{Patience, Talk};
use super::tcp::{self, ACCEPT_PAUSE};
use super::{BindError, Resolver, client_at, comer_at, https};
use crate::certificate::{CHALLENGE, Certificates, Outside};
use crate::clock::Clock;
use crate::config::{self, Limits};
use crate::device::{ForeignId, IdKind, Origin};
use crate::journal::Transport;
use crate::limit::{Client, Whereabouts};
use crate::snapshot::Snapshot;

/// Octets that TLS keeps of a connection until they can be written: one record (RFC 8446 section 5.1).
const TLS_ROOM: usize = 16 << 10;

/// A socket for encrypted DNS.
#[derive(Debug)]
pub struct Door {
    /// What is spoken there.
    pub transport: Transport,
    /// Where, with the port the system chose if it was asked to.
    pub address: SocketAddr,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    #[cfg_attr(not(feature = "quic"), expect(dead_code, reason = "QUIC is left out"))]
    Udp(std::net::UdpSocket),
}

/// Binds what `[encrypted]` asks for.
///
/// # Errors
/// With address, transport and cause.
pub fn bind(config: &config::Encrypted) -> Result<Vec<Door>, BindError> {
    let mut doors = Vec::new();
    for address in &config.dot {
        doors.push(bind_tcp(*address, Transport::Dot)?);
    }
    for address in &config.doh {
        let door = bind_tcp(*address, Transport::Doh)?;
        if config.http3 {
            doors.push(bind_udp(door.address, Transport::Doh3)?);
        }
        doors.push(door);
    }
    for address in &config.doq {
        doors.push(bind_udp(*address, Transport::Doq)?);
    }
    Ok(doors)
}

fn bind_tcp(address: SocketAddr, transport: Transport) -> Result<Door, BindError> {
    let failed = |source| BindError {
        address,
        transport: transport.label(),
        source,
    };
    let socket = tcp::bind(address).map_err(failed)?;
    Ok(Door {
        transport,
        address: socket.local_addr().map_err(failed)?,
        socket: Socket::Tcp(socket),
    })
}

fn bind_udp(address: SocketAddr, transport: Transport) -> Result<Door, BindError> {
    let failed = |source| BindError {
        address,
        transport: transport.label(),
        source,
    };
    let socket = super::new_udp(address, false).map_err(failed)?;
    Ok(Door {
        transport,
        address: socket.local_addr().map_err(failed)?,
        socket: Socket::Udp(socket),
    })
}

/// What all doors share.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) resolver: Arc<Resolver>,
    pub(super) places: Arc<Places>,
    /// Those for whoever comes from outside, so that no stranger takes the home's.
    outside: Arc<Places>,
    pub(super) pages: Arc<dyn Pages>,
    certificates: Arc<Certificates>,
    /// What handshakes cost whoever comes from outside.
    pub(super) strangers: Arc<Strangers>,
    /// What they cost who is at home.
    residents: Residents,
    pub(super) interfaces: Interfaces,
}

/// Serves at `doors` until the task is dropped; those that cannot be for a while are in `closed`. Each newcomer
/// sees the one of `certificates` that is in force at that moment; over HTTPS there are `pages` beside
/// DNS.
///
/// # Errors
/// When TLS cannot be used at all.
pub async fn serve(
    doors: Vec<Door>,
    certificates: Arc<Certificates>,
    pages: Arc<dyn Pages>,
    resolver: Arc<Resolver>,
    closed: Arc<Closed>,
) -> io::Result<()> {
    let hall = Arc::new(Hall {
        resolver,
        places: Arc::default(),
        outside: Arc::default(),
        pages,
        certificates,
        strangers: Arc::new(Strangers::new(Clock::system())),
        residents: Residents::new(Clock::system()),
        interfaces: Interfaces::new(Clock::system()),
    });
    let challenge = Arc::new(hall.tls(&[CHALLENGE], false, Shown::AtHome)?);
    let mut serving = tokio::task::JoinSet::new();
    for door in doors {
        let (hall, closed) = (Arc::clone(&hall), Arc::clone(&closed));
        let place = format!("{} at {}", door.transport.label(), door.address);
        match (door.socket, door.transport) {
            (Socket::Tcp(socket), transport) => {
                let alpn: &[&[u8]] = match transport {
                    Transport::Dot => &[b"dot"],
                    _ => &[b"h2", b"http/1.1"],
                };
                let tls = Sides {
                    own: Arc::new(hall.tls(alpn, false, Shown::AtHome)?),
                    outside: Arc::new(hall.tls(alpn, false, Shown::Outside)?),
                    challenge: Arc::clone(&challenge),
                };
                let open = move || {
                    take_connections(
                        socket.try_clone(),
                        transport,
                        tls.clone(),
                        Arc::clone(&hall),
                    )
                };
                serving.spawn(async move { keep_open(place, &closed, open).await });
            }
            #[cfg(feature = "quic")]
            (Socket::Udp(socket), transport) => {
                let alpn: &[u8] = match transport {
                    Transport::Doq => b"doq",
                    _ => b"h3",
                };
                let at_home = hall.tls(&[alpn], true, Shown::AtHome)?;
                let outside = hall.tls(&[alpn], true, Shown::Outside)?;
                let tls = [at_home, outside];
                let open = move || {
                    super::quic::serve(
                        socket.try_clone(),
                        transport,
                        tls.clone(),
                        Arc::clone(&hall),
                    )
                };
                serving.spawn(async move { keep_open(place, &closed, open).await });
            }
            #[cfg(not(feature = "quic"))]
            (Socket::Udp(_), _) => {}
        }
    }
    // None ends by itself.
    serving.join_all().await;
    Ok(())
}

impl Hall {
    /// The server's side of TLS: versions 1.2 and 1.3, or 1.3 alone for QUIC. Sessions are resumed by
    /// tickets, so that nothing is kept for clients that are gone. No early data is taken (RFC 8446
    /// section 8: it can be replayed).
    fn tls(&self, alpn: &[&[u8]], quic: bool, shown: Shown) -> io::Result<ServerConfig> {
        let versions: &[_] = if quic { &[&TLS13] } else { &[&TLS13, &TLS12] };
        let builder = ServerConfig::builder_with_provider(crate::tls::provider());
        let mut tls = builder
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(match shown {
                Shown::AtHome => Arc::clone(&self.certificates) as _,
                Shown::Outside => Arc::new(Outside(Arc::clone(&self.certificates))),
            });
        tls.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
        tls.ticketer = Ticketer::new().map_err(io::Error::other)?;
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(tls)
    }

    /// Takes a place for who comes from `origin`, if anybody may come from there: whom we serve, and
    /// who may yet show what makes him welcome.
    pub(super) fn admit(&self, origin: &Origin, may_show: MayShow) -> Option<Arc<Place>> {
        let snapshot = self.resolver.snapshot();
        let is_served = snapshot.serves(origin.client);
        let is_awaited = may_show == MayShow::IdOrChallenge && self.certificates.is_challenged();
        if !is_served && !is_awaited && !snapshot.devices.has_ids() {
            debug!(client = %origin.client, "not served");
            return None;
        }
        snapshot.devices.catch_up();
        let bounds = Bounds::encrypted(&snapshot.config.limits);
        let (places, who, bounds) = match is_served {
            true => (&self.places, comer_at(&snapshot, origin), bounds),
            // Who it is will be known behind the handshake.
            false => {
                if !self.strangers.may_come(origin.client) {
                    debug!(client = %origin.client, "too many connections");
                    return None;
                }
                let who = self.strangers.comer_at(origin.client);
                (&self.outside, who, bounds.outside())
            }
        };
        let place = places.take(who, bounds);
        if place.is_none() {
            debug!(?who, "too many encrypted connections");
        }
        place
    }
}

impl Hall {
    /// Whether a handshake is worth its price for who comes from `origin` with what he has shown; who
    /// pays for it is seen here.
    pub(super) fn may_shake_hands(&self, snapshot: &Snapshot, origin: &Origin) -> bool {
        if snapshot.serves(origin.client) {
            return self.may_shake_hands_at_home(snapshot, origin, Whereabouts::Shown);
        }
        let device = known(snapshot, origin);
        let may = self.strangers.may_shake_hands(origin.client, device);
        if !may {
            debug!(client = %origin.client, "too many handshakes");
        }
        may
    }

    /// The same for who is at home, or says so.
    pub(super) fn may_shake_hands_at_home(
        &self,
        snapshot: &Snapshot,
        origin: &Origin,
        whereabouts: Whereabouts,
    ) -> bool {
        // A forwarder speaks for many, and some open a connection for each question.
        if whereabouts == Whereabouts::Shown && snapshot.devices.forwarder(origin).is_some() {
            return true;
        }
        let machine = comer_at(snapshot, origin).machine();
        let most = snapshot.config.limits.encrypted_per_client;
        let may = (self.residents).may_shake_hands(machine, whereabouts, most);
        if !may {
            debug!(client = %origin.client, "too many handshakes");
        }
        may
    }

    /// Remembers where a device is that showed its id by the server's name, now that it shook hands.
    pub(super) fn greet(&self, origin: &Origin) {
        let snapshot = self.resolver.snapshot();
        if !snapshot.serves(origin.client)
            && let Some(device) = known(&snapshot, origin)
        {
            self.strangers.remember(origin.client, device);
        }
    }

    /// The certificate for who says `hello` from outside.
    #[cfg(feature = "quic")]
    pub(super) fn certificate_outside(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Outside(Arc::clone(&self.certificates)).resolve(hello)
    }
}

/// Whose device it is that comes from `origin`, by the id that it showed; none if that is nobody's.
pub(super) fn known(snapshot: &Snapshot, origin: &Origin) -> Option<Client> {
    let is_known = snapshot.devices.shows_id(origin) == Some(true);
    is_known.then(|| client_at(snapshot, origin))
}

/// Who a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Somebody in the home's networks.
    AtHome,
    /// Somebody else, who needs to know no address of the home.
    Outside,
}

/// What somebody from outside may come with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MayShow {
    /// The id of a device.
    #[cfg_attr(not(feature = "quic"), expect(dead_code, reason = "QUIC is left out"))]
    Id,
    /// That, or that he is the authority that looks at the challenge.
    IdOrChallenge,
}

/// Our sides of TLS at a socket.
#[derive(Clone)]
struct Sides {
    /// For DNS, asked from home.
    own: Arc<ServerConfig>,
    /// The same, asked from elsewhere.
    outside: Arc<ServerConfig>,
    /// For an authority, while a challenge is open.
    challenge: Arc<ServerConfig>,
}

/// How long clients may take on an encrypted connection.
pub(super) const fn patience(limits: &Limits) -> Patience {
    Patience {
        message: limits.tcp_read,
        idle: limits.encrypted_idle,
    }
}

/// The id that a client showed by the server's name it asked for: what stands before ours.
pub(super) fn shown_by_name(snapshot: &Snapshot, name: Option<&str>) -> Option<ForeignId> {
    let own = snapshot.config.encrypted.name.as_ref()?.to_string();
    let own = own.trim_end_matches('.');
    let asked = name?.trim_end_matches('.').to_ascii_lowercase();
    let id = asked.strip_suffix(own)?.strip_suffix('.')?;
    shown(id)
}

/// What a client showed as its id; one that cannot be any is none that anybody has.
pub(super) fn shown(id: &str) -> Option<ForeignId> {
    let id = id.to_ascii_lowercase();
    let octets = &id.as_bytes()[..id.len().min(config::MAX_ID)];
    ForeignId::new(IdKind::Device, octets)
}

/// Whether somebody at `client` who showed `id` so far can be answered at all.
pub(super) fn may_stay(snapshot: &Snapshot, client: IpAddr, id: Option<ForeignId>) -> bool {
    let origin = Origin {
        id,
        ..Origin::new(client, 0, u16::MAX)
    };
    snapshot.serves(client) || snapshot.devices.shows_id(&origin) == Some(true)
}

async fn take_connections(
    socket: io::Result<std::net::TcpListener>,
    transport: Transport,
    tls: Sides,
    hall: Arc<Hall>,
) -> io::Result<()> {
    let socket = TcpListener::from_std(socket?)?;
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
        let origin = Origin::new(
            client,
            tcp::interface_of(&stream, &peer, &hall.interfaces),
            u16::MAX,
        );
        let Some(place) = hall.admit(&origin, MayShow::IdOrChallenge) else {
            continue;
        };
        // Answers are whole; waiting for more to send would only delay them.
        drop(stream.set_nodelay(true));
        let caller = Caller {
            stream,
            origin,
            transport,
            place,
            hall: Arc::clone(&hall),
            tls: tls.clone(),
        };
        tokio::spawn(async move {
            if let Err(error) = caller.run().await {
                debug!(%client, %error, "an encrypted connection ended");
            }
        });
    }
}

/// A connection before TLS.
struct Caller {
    stream: TcpStream,
    origin: Origin,
    transport: Transport,
    place: Arc<Place>,
    hall: Arc<Hall>,
    tls: Sides,
}

impl Caller {
    async fn run(self) -> io::Result<()> {
        let Self {
            stream,
            mut origin,
            transport,
            place,
            hall,
            tls,
        } = self;
        let resolver = Arc::clone(&hall.resolver);
        let limits = resolver.snapshot().config.limits.clone();
        let patience = patience(&limits);
        let shaking = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let snapshot = resolver.snapshot();
            if hall.certificates.is_challenge(&hello.client_hello()) {
                if !hall.may_shake_hands(&snapshot, &origin) {
                    return Err(io::Error::other("too many handshakes"));
                }
                drop(snapshot);
                // The handshake is all that is wanted (RFC 8737 section 3).
                let mut stream = Box::new(hello.into_stream(tls.challenge).await?);
                stream.shutdown().await?;
                return Ok(None);
            }
            origin.id = shown_by_name(&snapshot, hello.client_hello().server_name());
            let is_home = snapshot.serves(origin.client);
            let is_welcome = match transport {
                Transport::Dot => may_stay(&snapshot, origin.client, origin.id),
                // The path may still tell.
                _ => is_home || snapshot.devices.has_ids(),
            };
            if !is_welcome {
                // A stranger does not get the work of a handshake.
                return Err(io::Error::other("nobody that is known, from outside"));
            }
            if !hall.may_shake_hands(&snapshot, &origin) {
                return Err(io::Error::other("too many handshakes"));
            }
            let config = match is_home {
                true => tls.own,
                false => tls.outside,
            };
            let device = known(&snapshot, &origin).filter(|_| !is_home);
            drop(snapshot);
            // In a box from here on: it is a kilobyte, and each future that it passes through has room
            // for a copy.
            let mut stream = Box::new(hello.into_stream(config).await?);
            // TLS keeps a record for a client that takes nothing, and not four.
            stream.get_mut().1.set_buffer_limit(Some(TLS_ROOM));
            if let Some(device) = device {
                // Not before: a hello with an id that was read off the wire must not take what the
                // device has.
                place.hand_to(device);
            }
            Ok(Some(stream))
        };
        // On the heap while it lasts: nothing of it is needed afterwards.
        let shaking = Box::pin(timeout(patience.message, shaking));
        let stream = tokio::select! {
            shaken = shaking => match shaken {
                Ok(shaken) => match shaken? {
                    Some(shaken) => shaken,
                    None => return Ok(()),
                },
                Err(_) => return Err(io::Error::other("a handshake takes too long")),
            },
            () = place.give_up.notified() => return Ok(()),
        };
        if transport != Transport::Dot {
            let visit = https::Visit::new(origin, Transport::Doh, &hall, &limits, place);
            return Box::pin(https::serve(stream, visit, &limits)).await;
        }
        hall.greet(&origin);
        let talk = Talk {
            origin,
            transport,
            patience,
            resolver,
            place,
        };
        // The task is as large as the largest thing it ever holds.
        Box::pin(talk.run(stream, Vec::new())).await
    }
}
