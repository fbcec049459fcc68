//! The way a question takes to one server, and back with a wire image.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::bootstrap::Bootstrap;
use super::fault::Fault;
use super::https::{self, Url};
use super::life::Life;
use super::place::Place;
use super::secure::{Identity, Secure};
use super::tcp::Pool;
use super::wire::{Match, Request};
#[cfg(feature = "quic")]
use super::{h3, quic};
use crate::clock::{Clock, Moment};
use crate::config::{Host, Transport, UpstreamServer};

/// What servers have in common.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) clock: Clock,
    pub(super) mixed_case: bool,
    /// Who is told that a silent server speaks again.
    pub(super) life: Arc<Life>,
    /// Who knows where servers are that are given by name.
    pub(super) bootstrap: Arc<Bootstrap>,
    /// Whom to believe; none if nobody has to be, or nobody can.
    pub(super) secure: Option<Arc<Secure>>,
}

/// How to reach a server, with the connection to it.
#[derive(Debug)]
pub(super) enum Way {
    /// UDP, and TCP where that is not enough.
    Udp(SocketAddr, Pool),
    /// TCP.
    Tcp(Pool),
    /// DNS over TLS.
    Tls(Pool),
    /// DNS over HTTPS.
    Https(https::Line),
    /// DNS over QUIC.
    #[cfg(feature = "quic")]
    Quic(quic::Line),
    /// DNS over HTTPS, over QUIC.
    #[cfg(feature = "quic")]
    H3(h3::Line),
    /// None, and why.
    Closed(Fault),
}

impl Way {
    pub(super) fn new(server: &UpstreamServer, around: &Around) -> Self {
        Self::open(server, around).unwrap_or_else(Self::Closed)
    }

    fn open(server: &UpstreamServer, around: &Around) -> Result<Self, Fault> {
        let clock = around.clock.clone();
        let place = Place::new(server, &around.bootstrap, clock.clone());
        let plain = |place| Pool::new(place, None, clock.clone());
        let identity = |alpn: &[u8]| {
            let secure = around.secure.as_ref();
            secure
                .and_then(|secure| secure.identity(server, alpn))
                .ok_or_else(|| Fault::said("nobody's certificate can be checked"))
        };
        Ok(match server.transport {
            Transport::Udp => {
                let address = server.addresses().first();
                let address = *address.ok_or_else(|| Fault::said("it has no address"))?;
                Self::Udp(address, plain(place))
            }
            Transport::Tcp => Self::Tcp(plain(place)),
            // The protocol's name in TLS keeps answers of other services from being taken for ours.
            Transport::Tls => {
                let identity: Identity = identity(b"dot")?;
                Self::Tls(Pool::new(place, Some(identity), clock))
            }
            Transport::Https => Self::Https(https::Line::new(
                place,
                identity(b"h2")?,
                url(server),
                clock,
            )),
            #[cfg(feature = "quic")]
            Transport::Quic => {
                let dial = quic::Dial::new(place, &identity(quic::ALPN)?);
                let dial = dial.ok_or_else(|| Fault::said("this TLS is none for QUIC"))?;
                Self::Quic(quic::Line::new(dial, clock))
            }
            #[cfg(feature = "quic")]
            Transport::H3 => {
                let dial = quic::Dial::new(place, &identity(h3::ALPN)?);
                let dial = dial.ok_or_else(|| Fault::said("this TLS is none for QUIC"))?;
                Self::H3(h3::Line::new(dial, url(server), clock))
            }
            #[cfg(not(feature = "quic"))]
            Transport::Quic | Transport::H3 => {
                return Err(Fault::said("this build has no QUIC"));
            }
        })
    }

    /// The connection for questions over TCP where they go over UDP first.
    pub(super) fn tcp(&self) -> Option<&Pool> {
        match self {
            Self::Udp(_, pool) | Self::Tcp(pool) => Some(pool),
            _ => None,
        }
    }

    /// Opens an encrypted connection ahead of the next question, unless there is one.
    pub(super) fn warm(&self) {
        match self {
            Self::Tls(pool) => pool.warm(),
            Self::Https(line) => line.warm(),
            #[cfg(feature = "quic")]
            Self::Quic(line) => line.warm(),
            #[cfg(feature = "quic")]
            Self::H3(line) => line.warm(),
            Self::Udp(..) | Self::Tcp(_) | Self::Closed(_) => {}
        }
    }

    /// Whether an encrypted connection is on its way, with signs of life.
    pub(super) fn is_being_opened(&self) -> bool {
        match self {
            Self::Tls(pool) => pool.place().is_shaking_hands(),
            Self::Https(line) => line.place().is_shaking_hands(),
            #[cfg(feature = "quic")]
            Self::Quic(line) => line.place().is_shaking_hands(),
            #[cfg(feature = "quic")]
            Self::H3(line) => line.place().is_shaking_hands(),
            Self::Udp(..) | Self::Tcp(_) | Self::Closed(_) => false,
        }
    }

    /// Whether a question that is without a reply may have been lost, so that it helps to repeat it: a
    /// datagram always, on a connection only where that was quiet for long.
    pub(super) fn may_be_lost(&self) -> bool {
        match self {
            Self::Udp(..) => true,
            Self::Tcp(pool) | Self::Tls(pool) => pool.is_doubtful(),
            Self::Https(line) => line.is_doubtful(),
            #[cfg(feature = "quic")]
            Self::Quic(line) => line.is_doubtful(),
            #[cfg(feature = "quic")]
            Self::H3(line) => line.is_doubtful(),
            Self::Closed(_) => false,
        }
    }

    /// Whether somebody else answered where the server should be, a moment ago.
    pub(super) fn is_somebody_else(&self, now: Moment) -> bool {
        match self {
            Self::Tls(pool) => pool.place().is_somebody_else(now),
            Self::Https(line) => line.place().is_somebody_else(now),
            #[cfg(feature = "quic")]
            Self::Quic(line) => line.place().is_somebody_else(now),
            #[cfg(feature = "quic")]
            Self::H3(line) => line.place().is_somebody_else(now),
            Self::Udp(..) | Self::Tcp(_) | Self::Closed(_) => false,
        }
    }

    /// Sends `request` where nobody can read it and waits for its reply.
    ///
    /// # Errors
    /// What went wrong; the outer kind is the connection's fault, the inner that of the reply.
    pub(super) async fn ask_in_private(
        &self,
        mut request: Request,
        is_retry: bool,
    ) -> Result<Result<Vec<u8>, &'static str>, Fault> {
        let reply = match self {
            Self::Tls(pool) => {
                // The id tells the replies on one connection from one another.
                return Ok(Ok(pool.ask(request, is_retry).await?.bytes));
            }
            Self::Https(line) => {
                request.set_id(0);
                line.ask(&request, is_retry).await?
            }
            #[cfg(feature = "quic")]
            Self::Quic(line) => {
                request.set_id(0);
                line.ask(&request, is_retry).await?
            }
            #[cfg(feature = "quic")]
            Self::H3(line) => {
                request.set_id(0);
                line.ask(&request, is_retry).await?
            }
            Self::Closed(fault) => return Err(fault.clone()),
            Self::Udp(..) | Self::Tcp(_) => return Err(Fault::said("not in private")),
        };
        Ok(match request.judge(&reply) {
            Match::Stranger => Err("the message is no reply to our question"),
            Match::Exact | Match::Folded | Match::Bare => Ok(reply),
        })
    }
}

/// The URL of a server that is asked over HTTP.
fn url(server: &UpstreamServer) -> Url {
    let path = server.path.as_deref().unwrap_or_default();
    let (host, port) = match &server.host {
        Host::Name { name, port } => (name.clone(), *port),
        Host::Addresses(addresses) => match addresses.first() {
            Some(SocketAddr::V6(address)) => (format!("[{}]", address.ip()), address.port()),
            Some(SocketAddr::V4(address)) => {
                (IpAddr::from(*address.ip()).to_string(), address.port())
            }
            None => (String::new(), 0),
        },
    };
    Url::new(server.tls_name.as_deref().unwrap_or(&host), port, path)
}
