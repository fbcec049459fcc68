//! Asking over UDP: every attempt has a port, an id and a letter case of its own (RFC 5452 section 9,
//! draft-vixie-dnsext-dns0x20).

use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::port::Port;
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

/// What a packet is to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// Its reply, with the name as it was asked.
    Reply,
    /// A header that says the server did not understand.
    Bare,
    /// Its reply, cut.
    Truncated,
    /// Its reply but for the case of letters.
    Folded,
    /// Not its reply.
    Stranger,
}

impl Packet {
    /// What was heard by it, if it is not a stranger's.
    pub(super) fn heard(self, packet: &[u8]) -> Option<Heard> {
        match self {
            Self::Reply => Some(Heard::Reply(packet.to_vec())),
            Self::Bare => Some(Heard::Bare(packet.to_vec())),
            Self::Truncated => Some(Heard::Truncated),
            Self::Folded => Some(Heard::Folded),
            Self::Stranger => None,
        }
    }
}

/// Packets that are no reply before we go over to TCP.
pub(super) const STRANGERS: usize = 32;
/// Above what we say we take (1232), for servers that do not listen.
pub(super) const LARGEST: usize = 4096;

/// Sends `request` and waits for what comes back, as long as the caller likes.
///
/// # Errors
/// What the system said, such as that nobody listens there.
pub(super) async fn ask(
    server: &Server,
    address: SocketAddr,
    request: &Request,
) -> io::Result<Heard> {
    let port = Port::open(address)?;
    port.send(request.bytes())?;
    listen(server, address, port, request, 0).await
}

/// Waits for the reply to `request`, which left by `port`, where so many `strangers` have come in.
///
/// # Errors
/// As [`ask`].
pub(super) async fn listen(
    server: &Server,
    address: SocketAddr,
    port: Port,
    request: &Request,
    mut strangers: usize,
) -> io::Result<Heard> {
    loop {
        let received = port.when_readable(|socket| {
            // On the stack of this call, so that no waiting attempt carries it.
            let mut buffer = [0; LARGEST];
            let packet = receive(socket, &mut buffer, address, request)?;
            Ok(packet.0.heard(packet.1))
        });
        match received.await? {
            Some(heard @ Heard::Reply(_)) => {
                port.give_back();
                return Ok(heard);
            }
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

/// Takes one packet into `buffer`; what it is to `request`, and its octets. A reply has the name as it
/// was asked.
///
/// # Errors
/// What the system said.
pub(super) fn receive<'b>(
    socket: &UdpSocket,
    buffer: &'b mut [u8; LARGEST],
    server: SocketAddr,
    request: &Request,
) -> io::Result<(Packet, &'b [u8])> {
    let (count, from) = socket.recv_from(buffer)?;
    let packet = &mut buffer[..count];
    // The kernel filters once the socket is connected; what came in between opening and
    // connecting may be from anybody.
    let is_from_there = from.ip() == server.ip() && from.port() == server.port();
    let what = match is_from_there {
        true => judge(packet, request),
        false => Packet::Stranger,
    };
    Ok((what, packet))
}

fn judge(packet: &mut [u8], request: &Request) -> Packet {
    match request.judge(packet) {
        Match::Exact if is_truncated(packet) || packet.len() == LARGEST => Packet::Truncated,
        Match::Exact => {
            request.unmix(packet);
            Packet::Reply
        }
        Match::Bare => Packet::Bare,
        Match::Folded => Packet::Folded,
        Match::Stranger => Packet::Stranger,
    }
}
