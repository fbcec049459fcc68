//! Datagrams: batches in, one answer each, from the address that was asked.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::{debug, warn};

use super::{Resolver, scoped};
use crate::device::Origin;
use crate::journal::Transport;
use crate::resolve::{Pending, Step};

/// The largest query we read. Ordinary ones have some 60 octets; a padded one 128.
const MAX_QUERY: usize = 2048;

/// A UDP socket that tells where a datagram was sent to.
#[derive(Debug)]
struct Datagrams {
    socket: UdpSocket,
    state: UdpSocketState,
}

/// Where a datagram came from and where its answer must go.
#[derive(Clone, Copy, Debug)]
struct Envelope {
    client: SocketAddr,
    /// Our address that it asked; the answer leaves from it (RFC 1035 section 7.3, RFC 2181
    /// section 4), since a client drops what comes from another.
    ours: Option<IpAddr>,
    /// The kernel's number of the interface it came in on; 0 if unknown.
    interface: u32,
}

/// Answers everything that arrives at `socket`, until the task is dropped.
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn serve(
    socket: std::net::UdpSocket,
    listener: u16,
    resolver: Arc<Resolver>,
) -> io::Result<()> {
    let state = UdpSocketState::new((&socket).into())?;
    // Several datagrams in one buffer would only have to be taken apart again.
    if let Err(error) =
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::UdpGroSegment, &false)
    {
        debug!(%error, "datagrams may arrive joined");
    }
    let datagrams = Arc::new(Datagrams {
        socket: UdpSocket::from_std(socket)?,
        state,
    });
    let mut room = vec![[0_u8; MAX_QUERY]; BATCH_SIZE];
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let mut answer = Vec::with_capacity(4096);
    loop {
        let received = datagrams.receive(&mut room, &mut metas).await;
        let count = match received {
            Ok(count) => count,
            Err(error) => {
                // An ICMP message about an answer of ours, or a passing lack of memory: it costs
                // one datagram at most.
                warn_rarely(&error);
                tokio::task::yield_now().await;
                continue;
            }
        };
        resolver.catch_up();
        for (octets, meta) in room.iter().zip(&metas[..count]) {
            let stride = meta.stride.max(1);
            for message in octets[..meta.len.min(MAX_QUERY)].chunks(stride) {
                handle(message, meta, listener, &datagrams, &resolver, &mut answer).await;
            }
        }
        // TCP, upstream answers and the slow half get their turn between two batches.
        tokio::task::yield_now().await;
    }
}

async fn handle(
    message: &[u8],
    meta: &RecvMeta,
    listener: u16,
    datagrams: &Arc<Datagrams>,
    resolver: &Arc<Resolver>,
    answer: &mut Vec<u8>,
) {
    let envelope = Envelope {
        client: meta.addr,
        ours: meta.dst_ip,
        interface: meta.interface_index.unwrap_or(0),
    };
    // A port of 0 cannot be answered, and answering ourselves would be a circle.
    if meta.addr.port() == 0 {
        return;
    }
    let client = meta.addr.ip().to_canonical();
    let origin = Origin::new(client, envelope.interface, listener);
    match resolver.answer_now(message, &origin, Transport::Udp, answer) {
        Step::Reply(outcome) => {
            datagrams.send(answer, envelope).await;
            resolver.record(outcome);
        }
        Step::Error => datagrams.send(answer, envelope).await,
        Step::Silence => {}
        Step::Wait(pending) => {
            let datagrams = Arc::clone(datagrams);
            let resolver = Arc::clone(resolver);
            tokio::spawn(finish(*pending, envelope, datagrams, resolver));
        }
    }
}

async fn finish(
    pending: Pending,
    envelope: Envelope,
    datagrams: Arc<Datagrams>,
    resolver: Arc<Resolver>,
) {
    let mut answer = Vec::with_capacity(512);
    match resolver.answer_later(pending, &mut answer).await {
        Step::Reply(outcome) => {
            datagrams.send(&answer, envelope).await;
            resolver.record(outcome);
        }
        Step::Error => datagrams.send(&answer, envelope).await,
        Step::Silence | Step::Wait(_) => {}
    }
}

impl Datagrams {
    async fn receive(
        &self,
        room: &mut [[u8; MAX_QUERY]],
        metas: &mut [RecvMeta; BATCH_SIZE],
    ) -> io::Result<usize> {
        let mut buffers = room.iter_mut().map(|octets| IoSliceMut::new(octets));
        let mut buffers: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| buffers.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        self.socket
            .async_io(Interest::READABLE, || {
                self.state.recv((&self.socket).into(), &mut buffers, metas)
            })
            .await
    }

    async fn send(&self, answer: &[u8], envelope: Envelope) {
        let transmit = Transmit {
            destination: envelope.client,
            ecn: None,
            contents: answer,
            segment_size: None,
            src_ip: envelope.ours,
        };
        let scoped = scoped::needed(envelope.ours, envelope.client);
        let sent = self
            .socket
            .async_io(Interest::WRITABLE, || match scoped {
                Some(ours) => {
                    let (client, interface) = (envelope.client, envelope.interface);
                    scoped::send(&self.socket, answer, client, ours, interface).map(drop)
                }
                None => self.state.try_send((&self.socket).into(), &transmit),
            })
            .await;
        if let Err(error) = sent {
            debug!(%error, "an answer could not be sent");
        }
    }
}

/// Says that receiving failed, at most once in a thousand times: a broken network repeats itself.
fn warn_rarely(error: &io::Error) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static FAILURES: AtomicU32 = AtomicU32::new(0);
    let failures = FAILURES.fetch_add(1, Ordering::Relaxed);
    if failures.is_multiple_of(1000) {
        warn!(%error, failures, "receiving a datagram failed");
    }
}
