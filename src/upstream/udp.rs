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
    let port = Port::open(address)?;
    port.send(request.bytes()).await?;
    let mut strangers = 0;
    loop {
        let received = port.when_readable(|socket| receive(socket, address, request));
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

/// Takes one packet; None is a stranger's.
fn receive(
    socket: &UdpSocket,
    address: SocketAddr,
    request: &Request,
) -> io::Result<Option<Heard>> {
    // On the stack of this call, so that no waiting attempt carries it.
    let mut buffer = [0; LARGEST];
    let (count, from) = socket.recv_from(&mut buffer)?;
    let packet = &mut buffer[..count];
    // The kernel filters once the socket is connected; what came in between opening and
    // connecting may be from anybody.
    if from.ip() != address.ip() || from.port() != address.port() {
        return Ok(None);
    }
    Ok(match request.judge(packet) {
        Match::Exact if is_truncated(packet) || count == LARGEST => Some(Heard::Truncated),
        Match::Exact => {
            request.unmix(packet);
            Some(Heard::Reply(packet.to_vec()))
        }
        Match::Bare => Some(Heard::Bare(packet.to_vec())),
        Match::Folded => Some(Heard::Folded),
        Match::Stranger => None,
    })
}
