//! Messages on a connection, each behind its length (RFC 1035 section 4.2.2): several questions at a
//! time, answered as they are ready (RFC 7766), over TCP as it is and under TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Resolver;
use super::places::{Held, Place};
use super::waiting::HELD_FOR_EACH;
use crate::device::Origin;
use crate::journal::Transport;
use crate::resolve::Step;

/// Questions of one connection that may wait for upstream before we stop reading it.
const MAX_WAITING: usize = 64;
/// The longest message we take, in octets; ordinary queries have some 60, so that a length of 65,535
/// could only be meant to fill memory.
pub(super) const MAX_MESSAGE: usize = 4096;
/// Octets of an answer that each connection may have on its way without being counted among those that
/// nobody takes: as much as there is of those on average.
const LITTLE: usize = HELD_FOR_EACH;
/// Octets that an idle connection keeps to read into: enough for most queries, padded ones included.
const ROOM: usize = 192;
/// How long a client may take to accept an answer.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until a message that began is there, and until the first one is.
    pub(super) message: Duration,
    /// Between messages.
    pub(super) idle: Duration,
}

/// What is known of a connection: whose it is, and what it may.
pub(super) struct Talk {
    pub(super) origin: Origin,
    pub(super) transport: Transport,
    pub(super) patience: Patience,
    pub(super) resolver: Arc<Resolver>,
    /// Given back when nothing of the connection is left.
    pub(super) place: Arc<Place>,
}

impl Talk {
    /// Answers what comes on `stream`, of which `unread` was read already, until it ends.
    ///
    /// # Errors
    /// Why it ended before its time.
    pub(super) async fn run<S>(self, stream: S, unread: Vec<u8>) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut unread = unread;
        unread.reserve(ROOM);
        let mut connection = Connection {
            stream,
            talk: self,
            unread,
            waiting: JoinSet::new(),
        };
        let ended = connection.run().await;
        if ended.is_ok() && connection.talk.transport.is_encrypted() {
            // So that the client knows that nobody cut it off (RFC 8446 section 6.1).
            drop(timeout(WRITE_PATIENCE, connection.stream.shutdown()).await);
        }
        ended
    }
}

struct Connection<S> {
    stream: S,
    talk: Talk,
    /// What was read and not yet used up: the beginning of a message, or several.
    unread: Vec<u8>,
    /// Questions on their way to upstream and back.
    waiting: JoinSet<Option<(Held, Step)>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> io::Result<()> {
        let mut answer = Vec::new();
        // The moment by which the client must have done something.
        let mut deadline = Instant::now() + self.talk.patience.message;
        let mut open = true;
        loop {
            while self.waiting.len() < MAX_WAITING
                && let Some(message) = self.next_message()?
            {
                self.handle(&message, &mut answer).await?;
                deadline = Instant::now() + self.patience();
            }
            if !open && self.waiting.is_empty() {
                return Ok(());
            }
            let may_read = open && self.waiting.len() < MAX_WAITING;
            let is_idle = self.waiting.is_empty();
            if is_idle && self.unread.is_empty() {
                // Most connections are silent most of the time: little is kept for those.
                answer = Vec::new();
                self.unread.shrink_to(ROOM);
            }
            let before = self.unread.len();
            tokio::select! {
                read = self.stream.read_buf(&mut self.unread), if may_read => {
                    // A client that closes its half may still wait for answers.
                    open = read? > 0;
                    if before == 0 && open {
                        // A message began: all of it must be here in time, however slowly it drips.
                        deadline = Instant::now() + self.talk.patience.message;
                    }
                }
                Some(done) = self.waiting.join_next(), if !is_idle => {
                    match done {
                        Ok(Some((answer, step))) => {
                            let framed = framed(&answer.octets)?;
                            // What is counted is what is on its way.
                            drop(answer);
                            self.send(framed, step).await?;
                        }
                        Ok(None) => return Err(not_taken()),
                        // One question broke; the others go on.
                        Err(_) => {}
                    }
                    deadline = deadline.max(Instant::now() + self.patience());
                }
                () = sleep_until(deadline), if is_idle => return Ok(()),
                () = self.talk.place.give_up.notified() => return Ok(()),
            }
        }
    }

    /// How long the client may be silent: between messages longer than inside one.
    fn patience(&self) -> Duration {
        if self.unread.is_empty() {
            self.talk.patience.idle
        } else {
            self.talk.patience.message
        }
    }

    /// Cuts the next whole message from what was read (RFC 1035 section 4.2.2).
    ///
    /// # Errors
    /// When it announces more than any query has.
    fn next_message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((length, rest)) = self.unread.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > MAX_MESSAGE {
            return Err(io::Error::other("a query of more than 4,096 octets"));
        }
        let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.unread.drain(..2 + length);
        Ok(Some(message))
    }

    async fn handle(&mut self, message: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
        let Talk {
            resolver,
            origin,
            transport,
            ..
        } = &self.talk;
        let at = resolver.catch_up();
        let step = resolver.answer_now(message, origin, *transport, at, answer);
        let Step::Wait(pending) = step else {
            let framed = framed(answer)?;
            if answer.len() > LITTLE {
                *answer = Vec::new();
            }
            return self.send(framed, step).await;
        };
        let resolver = Arc::clone(resolver);
        let place = Arc::clone(&self.talk.place);
        self.waiting.spawn(async move {
            let mut octets = Vec::with_capacity(512);
            let step = resolver.answer_later(*pending, &mut octets).await;
            place.hold(octets).map(|held| (held, step))
        });
        Ok(())
    }

    /// Sends `framed`, which is what `step` says.
    async fn send(&mut self, framed: Vec<u8>, step: Step) -> io::Result<()> {
        if matches!(step, Step::Silence | Step::Wait(_)) {
            // A message that deserves no word on a connection deserves no connection.
            return Err(io::Error::other("not a query"));
        }
        let framed = if framed.len() > LITTLE {
            Framed::Held(self.talk.place.hold(framed).ok_or_else(not_taken)?)
        } else {
            Framed::Little(framed)
        };
        let writing = async {
            self.stream.write_all(framed.octets()).await?;
            // TLS may have kept a part of it.
            self.stream.flush().await
        };
        timeout(WRITE_PATIENCE, writing).await??;
        if let Step::Reply(outcome) = step {
            let resolver = &self.talk.resolver;
            resolver.record(outcome, resolver.now());
        }
        Ok(())
    }
}

/// An answer on its way.
enum Framed {
    Little(Vec<u8>),
    /// Counted while it is.
    Held(Held),
}

impl Framed {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Little(octets) => octets,
            Self::Held(held) => &held.octets,
        }
    }
}

/// Length and message in one segment (RFC 7766 section 8).
fn framed(answer: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes()[..], answer].concat())
}

fn not_taken() -> io::Error {
    io::Error::other("answers are not taken")
}
