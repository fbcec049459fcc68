//! Asking over UDP: every attempt has a socket, a port, an id and a letter case of its own
//! (RFC 5452 section 9, draft-vixie-dnsext-dns0x20).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rand::RngExt;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::server::Server;
use super::wire::{Match, Request, is_truncated};

/// How a UDP attempt ended.
#[derive(Debug)]
pub(super) enum Heard {
    /// The reply.
    Reply(Vec<u8>),
    /// A header that says the server did not understand.
    Bare(Vec<u8>),
    /// The reply was cut.
    Truncated,
    /// What would be the reply but for the case of its letters.
    Folded,
    /// So many packets that were no reply that somebody is guessing.
    Guessing,
}

/// Ports we choose from; the lower ones belong to services.
const PORTS: std::ops::RangeInclusive<u16> = 1024..=u16::MAX;
/// Taken ports we try before the kernel may choose.
const TRIES: usize = 8;
/// Packets that are no reply before we go over to TCP.
const STRANGERS: usize = 32;
/// Above what we say we take (1232), for servers that do not listen.
const LARGEST: usize = 4096;

/// Sends `request` and waits for what comes back, as long as the caller likes.
///
/// # Errors
/// What the system said, such as that nobody listens there.
pub(super) async fn ask(
    server: &Server,
    address: SocketAddr,
    request: &Request,
) -> io::Result<Heard> {
    let socket = open(address).await?;
    socket.send(request.bytes()).await?;
    let mut strangers = 0;
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        if ready.is_error() {
            // A port that is closed makes the socket erroneous, not readable.
            pending_error(&socket)?;
        }
        let Some(heard) = receive(&socket, address, request)? else {
            continue;
        };
        match heard {
            Some(heard) => return Ok(heard),
            None => {
                server.note_ignored();
                strangers += 1;
                if strangers >= STRANGERS {
                    return Ok(Heard::Guessing);
                }
            }
        }
    }
}

/// The error that waits on the socket, if one does.
fn pending_error(socket: &UdpSocket) -> io::Result<()> {
    let none = || io::Error::from(io::ErrorKind::WouldBlock);
    // Through `try_io`, which takes back the readiness when there is none after all.
    let taken = socket.try_io(Interest::ERROR, || {
        Err::<(), _>(socket.take_error()?.unwrap_or_else(none))
    });
    match taken {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// Takes one packet, if there is one; the inner None is a stranger's.
fn receive(
    socket: &UdpSocket,
    address: SocketAddr,
    request: &Request,
) -> io::Result<Option<Option<Heard>>> {
    // On the stack of this call, so that no waiting attempt carries it.
    let mut buffer = [0; LARGEST];
    let (count, from) = match socket.try_recv_from(&mut buffer) {
        Ok(received) => received,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    };
    let packet = &mut buffer[..count];
    // The kernel filters once the socket is connected; what came in between binding and
    // connecting may be from anybody.
    if from.ip() != address.ip() || from.port() != address.port() {
        return Ok(Some(None));
    }
    Ok(Some(match request.judge(packet) {
        Match::Exact if is_truncated(packet) || count == LARGEST => Some(Heard::Truncated),
        Match::Exact => {
            request.unmix(packet);
            Some(Heard::Reply(packet.to_vec()))
        }
        Match::Bare => Some(Heard::Bare(packet.to_vec())),
        Match::Folded => Some(Heard::Folded),
        Match::Stranger => None,
    }))
}

/// A socket on a random port, connected to `server`: packets from elsewhere do not reach it, and
/// that nobody listens there is heard at once.
async fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = |port| match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    for _ in 0..TRIES {
        let port = rand::rng().random_range(PORTS);
        // The kernel's own range is a third of this one, and its choice has been predicted.
        if let Ok(socket) = UdpSocket::bind(any(port)).await {
            socket.connect(server).await?;
            return Ok(socket);
        }
    }
    let socket = UdpSocket::bind(any(0)).await?;
    socket.connect(server).await?;
    Ok(socket)
}
