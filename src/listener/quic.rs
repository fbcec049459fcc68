//! QUIC (RFC 9000), under DNS over QUIC and HTTP/3.
//!
//! A datagram can come from anywhere and say anything of where it came from. So who is not at home,
//! and when many are here already, or many in the name of one, everybody, has to show first that it is
//! where it says (Retry, RFC 9000 section 8.1.2), before a place is taken or a key computed; and whether
//! a handshake is worth its price is asked as soon as the name is known that he came for ([`Doorkeeper`]).

use std::io;
use std::sync::Arc;

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{
    Connecting, ConnectionError, Endpoint, EndpointConfig, IdleTimeout, TokioRuntime,
    TransportConfig, VarInt,
};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use tokio::time::timeout;
use tracing::debug;

use super::encrypted::{Hall, MayShow, known, may_stay, patience, shown_by_name};
use super::https::Visit;
use super::places::{Bounds, Place};
use super::{comer_at, doq, http3};
use crate::config::Limits;
use crate::device::Origin;
use crate::journal::Transport;
use crate::limit::Whereabouts;

/// Datagrams of connections that were not looked at yet, and octets of those.
const MAX_INCOMING: usize = 256;
const MAX_INCOMING_OCTETS: u64 = 1 << 20;
/// Streams of HTTP/3 itself in one direction: control, and two of QPACK (RFC 9114 section 6.2), with
/// some to spare.
const HTTP_UNIDIRECTIONAL: u32 = 8;
/// Octets of one stream, and of all streams of a connection, that may wait to be read.
const STREAM_WINDOW: u32 = 16 << 10;
const WINDOW: u32 = 64 << 10;
/// Octets of a connection that were sent and may be lost on the way yet.
const SEND_WINDOW: u64 = 16 << 10;

/// Serves `transport` at `socket` until the task is dropped.
///
/// # Errors
/// When the socket cannot be used, or not any more.
pub(super) async fn serve(
    socket: io::Result<std::net::UdpSocket>,
    transport: Transport,
    tls: [ServerConfig; 2],
    hall: Arc<Hall>,
) -> io::Result<()> {
    let socket = socket?;
    let ours = socket.local_addr()?.ip().to_canonical();
    let [config, outside] = tls;
    let config = server_config(config, transport, &hall)?;
    let outside_quic = server_config(outside.clone(), transport, &hall)?;
    let runtime = Arc::new(TokioRuntime);
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)?;
    while let Some(incoming) = endpoint.accept().await {
        let client = incoming.remote_address().ip().to_canonical();
        let snapshot = hall.resolver.snapshot();
        let bounds = Bounds::encrypted(&snapshot.config.limits);
        let is_home = snapshot.serves(client);
        let is_validated = incoming.remote_address_validated();
        // Nothing is looked up for a hello that anybody may have written, but where it is likely that the
        // client wrote it.
        let is_likely = is_home && hall.places.is_half_free(bounds);
        if !is_validated && !is_likely {
            ask_again(incoming);
            continue;
        }
        let ours = incoming.local_ip().map_or(ours, |ip| ip.to_canonical());
        let origin = Origin::new(client, hall.interfaces.between(ours, client), u16::MAX);
        let is_calm = is_home && {
            snapshot.devices.catch_up();
            // Somebody at home may write a sibling's address, and must not take all the sibling has.
            hall.places
                .is_half_free_of(comer_at(&snapshot, &origin), bounds)
        };
        let whereabouts = match is_validated {
            true => Whereabouts::Shown,
            false => Whereabouts::Claimed,
        };
        // Who comes from outside is asked when it is known which name he came for.
        let may_try = (is_calm || is_validated)
            && (!is_home || hall.may_shake_hands_at_home(&snapshot, &origin, whereabouts));
        drop(snapshot);
        if !may_try {
            match is_validated {
                true => incoming.refuse(),
                false => ask_again(incoming),
            }
            continue;
        }
        let Some(place) = hall.admit(&origin, MayShow::Id) else {
            incoming.refuse();
            continue;
        };
        let hall = Arc::clone(&hall);
        let connecting = match is_home {
            true => incoming.accept(),
            false => {
                let mut tls = outside.clone();
                tls.cert_resolver = Arc::new(Doorkeeper {
                    hall: Arc::clone(&hall),
                    origin,
                    transport,
                });
                let mut config = outside_quic.clone();
                let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
                config.crypto = Arc::new(crypto);
                incoming.accept_with(Arc::new(config))
            }
        };
        tokio::spawn(async move {
            if let Err(error) = attend(connecting, origin, transport, place, &hall).await {
                debug!(%client, %error, "a QUIC connection ended");
            }
        });
    }
    // Not by anything that came: the socket cannot be read any more.
    Err(io::Error::other("the socket of QUIC is gone"))
}

/// Has the client show that it hears at the address it writes (RFC 9000 section 8.1.2).
fn ask_again(incoming: quinn::Incoming) {
    // It fails only for a client that was told so before, which then is gone.
    if let Err(error) = incoming.retry() {
        error.into_incoming().ignore();
    }
}

fn server_config(
    tls: ServerConfig,
    transport: Transport,
    hall: &Hall,
) -> io::Result<quinn::ServerConfig> {
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let limits = &hall.resolver.snapshot().config.limits;
    config
        .transport_config(Arc::new(transport_config(limits, transport)?))
        // Who asks is told by the address: a question in one packet from somebody else's would be
        // judged as theirs before the new path is validated, and answered on the old one.
        .migration(false)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(1 << 14)
        .incoming_buffer_size_total(MAX_INCOMING_OCTETS);
    Ok(config)
}

fn transport_config(limits: &Limits, transport: Transport) -> io::Result<TransportConfig> {
    let streams = u32::try_from(limits.encrypted_streams).unwrap_or(u32::MAX);
    let unidirectional = match transport {
        Transport::Doh3 => HTTP_UNIDIRECTIONAL,
        _ => 0,
    };
    let idle = limits.encrypted_idle.max(limits.tcp_read);
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(unidirectional))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(Some(IdleTimeout::try_from(idle).map_err(io::Error::other)?))
        .datagram_receive_buffer_size(None);
    Ok(config)
}

/// Shakes hands with a newcomer and answers it.
async fn attend(
    connecting: Result<Connecting, ConnectionError>,
    mut origin: Origin,
    transport: Transport,
    place: Arc<Place>,
    hall: &Hall,
) -> io::Result<()> {
    let limits = hall.resolver.snapshot().config.limits.clone();
    let patience = patience(&limits);
    let connecting = connecting.map_err(io::Error::other)?;
    let connection = tokio::select! {
        shaken = timeout(patience.message, connecting) => match shaken {
            Ok(connection) => connection.map_err(io::Error::other)?,
            Err(_) => return Err(io::Error::other("a handshake takes too long")),
        },
        () = place.give_up.notified() => return Ok(()),
    };
    let said = connection.handshake_data();
    let said = said.and_then(|said| said.downcast::<HandshakeData>().ok());
    let name = said.and_then(|said| said.server_name);
    let snapshot = hall.resolver.snapshot();
    origin.id = shown_by_name(&snapshot, name.as_deref());
    if !snapshot.serves(origin.client)
        && let Some(device) = known(&snapshot, &origin)
    {
        place.hand_to(device);
    }
    drop(snapshot);
    let visit = Visit::new(origin, transport, hall, &limits, place);
    if transport == Transport::Doq {
        hall.greet(&origin);
        doq::serve(connection, visit).await
    } else {
        http3::serve(connection, visit).await
    }
}

/// Looks at who comes from outside when it is known which name he came for, and before a key is used
/// for him.
#[derive(Debug)]
struct Doorkeeper {
    hall: Arc<Hall>,
    origin: Origin,
    transport: Transport,
}

impl ResolvesServerCert for Doorkeeper {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let snapshot = self.hall.resolver.snapshot();
        let mut origin = self.origin;
        origin.id = shown_by_name(&snapshot, hello.server_name());
        let is_welcome = match self.transport {
            Transport::Doq => may_stay(&snapshot, origin.client, origin.id),
            // The path may still tell.
            _ => snapshot.devices.has_ids(),
        };
        if !is_welcome || !self.hall.may_shake_hands(&snapshot, &origin) {
            debug!(client = %origin.client, "nobody that is known, from outside");
            return None;
        }
        self.hall.certificate_outside(hello)
    }
}
