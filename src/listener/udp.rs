//! Datagrams: batches in, batches out, each answer from the address that was asked.
//!
//! What can be answered at once is written straight into the buffer it is sent from, and all that was
//! answered of one batch leaves together. A socket that was found empty is not asked again before the
//! kernel says that something came, so that a single query costs three calls: one that waits, one that
//! takes it, one that answers.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use tokio::io::{Interest, unix::AsyncFd};
use tracing::{debug, warn};

use super::Resolver;
use crate::device::Origin;
use crate::journal::{Outcome, Transport};
use crate::resolve::{Pending, Step};
use crate::socket;
use crate::socket::batch::{self, BATCH, Envelope, Inbox, Outbox, send_one};

/// A socket of one worker. Only what arrives wakes it: the kernel would also tell of each answer that
/// has left.
#[derive(Debug)]
struct Datagrams(AsyncFd<UdpSocket>);

/// Answers everything that arrives at `socket`, until the task is dropped.
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn serve(socket: UdpSocket, listener: u16, resolver: Arc<Resolver>) -> io::Result<()> {
    batch::prepare(&socket)?;
    // A socket of one address answers from that without being told, which costs the kernel less.
    let has_one_address = !socket.local_addr()?.ip().is_unspecified();
    let datagrams = socket::watch(socket, Interest::READABLE)?;
    let datagrams = Arc::new(Datagrams(datagrams));
    let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
    let mut outcomes = Vec::with_capacity(BATCH);
    loop {
        if let Err(error) = datagrams.receive(&mut inbox).await {
            // An ICMP message about an answer of ours, or a passing lack of memory: it costs
            // one datagram at most.
            warn_rarely(&error);
            tokio::task::yield_now().await;
            continue;
        }
        resolver.catch_up();
        for (message, mut envelope) in inbox.datagrams() {
            if has_one_address {
                envelope.ours = None;
            }
            let outcome = handle(
                message,
                envelope,
                listener,
                &datagrams,
                &resolver,
                &mut outbox,
            );
            outcomes.extend(outcome);
        }
        datagrams.send(&mut outbox).await;
        for outcome in outcomes.drain(..) {
            resolver.record(outcome);
        }
        if inbox.is_full() {
            // TCP, upstream answers and the slow half get their turn between two batches.
            tokio::task::yield_now().await;
        }
    }
}

/// Answers one datagram into `outbox`, or has it answered later; what came of it.
fn handle(
    message: &[u8],
    envelope: Envelope,
    listener: u16,
    datagrams: &Arc<Datagrams>,
    resolver: &Arc<Resolver>,
    outbox: &mut Outbox,
) -> Option<Outcome> {
    // A port of 0 cannot be answered, and answering ourselves would be a circle.
    if envelope.client.port() == 0 {
        return None;
    }
    let client = envelope.client.ip().to_canonical();
    let origin = Origin::new(client, envelope.interface, listener);
    match resolver.answer_now(message, &origin, Transport::Udp, outbox.room()) {
        Step::Reply(outcome) => {
            outbox.add(envelope);
            Some(outcome)
        }
        Step::Error => {
            outbox.add(envelope);
            None
        }
        Step::Silence => None,
        Step::Wait(pending) => {
            let datagrams = Arc::clone(datagrams);
            let resolver = Arc::clone(resolver);
            tokio::spawn(finish(*pending, envelope, datagrams, resolver));
            None
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
            datagrams.send_one(&answer, envelope).await;
            resolver.record(outcome);
        }
        Step::Error => datagrams.send_one(&answer, envelope).await,
        Step::Silence | Step::Wait(_) => {}
    }
}

impl Datagrams {
    /// Waits for datagrams.
    async fn receive(&self, inbox: &mut Inbox) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let received = ready.try_io(|socket| inbox.receive(socket.get_ref()));
            match received {
                Ok(Ok(())) => {
                    if !inbox.is_full() {
                        // With what it was ready by, not later: what comes from now on makes it ready
                        // anew, and must not be forgotten by this.
                        ready.clear_ready();
                    }
                    return Ok(());
                }
                Ok(failed) => return failed,
                Err(_would_block) => {}
            }
        }
    }

    /// Sends all of `outbox`.
    async fn send(&self, outbox: &mut Outbox) {
        while let Err(error) = outbox.send(self.0.get_ref()) {
            if self.is_for_good(&error).await {
                outbox.skip();
            }
        }
    }

    async fn send_one(&self, answer: &[u8], envelope: Envelope) {
        while let Err(error) = send_one(self.0.get_ref(), answer, envelope) {
            if self.is_for_good(&error).await {
                return;
            }
        }
    }

    /// Whether an answer that could not be sent will not be; waits where the socket is full.
    async fn is_for_good(&self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::Interrupted => false,
            io::ErrorKind::WouldBlock => {
                let twin = self.0.get_ref().try_clone();
                let twin = twin.and_then(|it| socket::watch(it, Interest::WRITABLE));
                match twin {
                    Ok(twin) => twin.writable().await.is_err(),
                    Err(_no_descriptor) => true,
                }
            }
            _ => {
                debug!(%error, "an answer could not be sent");
                true
            }
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
