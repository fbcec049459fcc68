//! Bytes in and out: UDP, TCP, limits, time-outs.
//!
//! A listener hands each message to [`Resolver`] and sends what comes back; it knows nothing of what
//! a message means. Read [`udp`] first; [`proxy`] is what load balancers put before the first message
//! of a connection. [`encrypted`] is the way in for DNS over TLS, HTTPS and QUIC. Sockets are bound
//! before lists are loaded, so that a busy port is told at once, and read only afterwards, so that no
//! child gets an unfiltered answer.

pub mod alone;
#[cfg(feature = "quic")]
mod bounded;
mod crowd;
mod doors;
#[cfg(feature = "quic")]
mod doq;
pub mod encrypted;
mod familiar;
mod http;
#[cfg(feature = "quic")]
mod http3;
mod https;
mod idle;
mod interfaces;
mod places;
pub mod proxy;
#[cfg(feature = "quic")]
mod quic;
mod residents;
mod strangers;
mod stream;
pub mod tcp;
pub mod udp;
mod waiting;
mod widths;

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use self::places::Comer;
pub use self::places::Places;
pub use http::Pages;

use crate::config::Listen;
use crate::device::{Origin, Via, Witness};
use crate::limit::Client;
use crate::resolve::Resolver;
use crate::snapshot::Snapshot;

/// The sockets of one listening address.
#[derive(Debug)]
pub struct Bound {
    /// Its place among the listening addresses of the configuration; [`u16::MAX`] for a socket
    /// handed over for an address that is not there.
    pub listener: u16,
    /// Where, with the port the system chose if it was asked to.
    pub address: SocketAddr,
    /// One for each worker.
    pub udp: Vec<std::net::UdpSocket>,
    /// Whether others have these sockets too, and will want to receive by them after us.
    pub is_lent: bool,
    /// One for all; none if whoever handed over the sockets left it out.
    pub tcp: Option<std::net::TcpListener>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} over {transport}: {source}{}", hint(.source))]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// UDP or TCP.
    pub transport: &'static str,
    /// What the system said.
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has this port (`ss -lntup` shows which one, often systemd-resolved \
             or dnsmasq)"
        }
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs root, CAP_NET_BIND_SERVICE or a socket from systemd; \
             `--listen 127.0.0.1:5335` needs nothing"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine does not have this address (yet)",
        _ => "",
    }
}

/// Binds `listen` for `workers` threads. UDP and TCP get the same port, also when the system
/// chooses it.
///
/// # Errors
/// With address, transport and cause.
pub fn bind(listen: &Listen, listener: u16, workers: usize) -> Result<Bound, BindError> {
    // The system's choice for TCP may be taken for UDP: try a few.
    let mut attempts = if listen.address.port() == 0 { 16 } else { 1 };
    loop {
        attempts -= 1;
        match bind_once(listen.address, listener, workers) {
            Err(error) if attempts > 0 && error.source.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
}

fn bind_once(address: SocketAddr, listener: u16, workers: usize) -> Result<Bound, BindError> {
    let failed = |transport| {
        move |source| BindError {
            address,
            transport,
            source,
        }
    };
    let tcp = tcp::bind(address).map_err(failed("TCP"))?;
    let address = tcp.local_addr().map_err(failed("TCP"))?;
    // A socket that shares its port with the other workers' would also share it with a second
    // daemon of the same account; one that does not share finds out whether it is alone.
    drop(new_udp(address, false).map_err(failed("UDP"))?);
    let udp = (0..workers.max(1))
        .map(|_| new_udp(address, true))
        .collect::<io::Result<_>>()
        .map_err(failed("UDP"))?;
    Ok(Bound {
        listener,
        address,
        udp,
        is_lent: false,
        tcp: Some(tcp),
    })
}

fn new_udp(address: SocketAddr, shared: bool) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // IPv4 has sockets of its own, so that its addresses keep their form.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(shared)?;
    // A reload or a slow moment must not lose queries: room for some 4,000.
    const QUEUE: usize = 1 << 20;
    socket.set_recv_buffer_size(QUEUE)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Who is counted for a connection from `origin`.
fn client_at(snapshot: &Snapshot, origin: &Origin) -> Client {
    let device = snapshot.device_at(origin);
    device.map_or(Client::Address(origin.client), |device| {
        Client::Device(device.name)
    })
}

/// Who comes from `origin` and may ask, with the machine that the kernel sees behind the address.
fn comer_at(snapshot: &Snapshot, origin: &Origin) -> Comer {
    let seen = snapshot.devices.mac_of(origin);
    let seen = seen
        .filter(|(_, witness)| origin.via == Via::Nothing && *witness == Witness::Kernel)
        .map(|(mac, _)| mac);
    Comer::Known {
        client: client_at(snapshot, origin),
        mac: seen,
    }
}
