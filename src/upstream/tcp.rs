//! Asking over TCP and over TLS on it (RFC 7858): one connection to each server, used by many
//! questions at once (RFC 7766 section 6.2).
//!
//! A task owns the connection, on the runtime of whoever needed it first; questions reach it
//! through a channel from any runtime. It ends when it was idle for a while, when the server
//! closes, or when questions wait and nothing comes. A question that lost its connection that way
//! is asked once more on a new one, since a server may close at any moment (section 6.2.4).

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rand::RngExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::fault::Fault;
use super::held::Heard;
use super::place::Place;
use super::secure::Identity;
use super::wire::{Match, Request};
use crate::clock::Clock;

/// The connection to one server, if there is one.
#[derive(Debug)]
pub(super) struct Pool {
    place: Arc<Place>,
    /// Whom it has to be; none for TCP in the clear.
    identity: Option<Identity>,
    clock: Clock,
    current: Mutex<Option<Line>>,
}

/// A reply that came over TCP.
#[derive(Debug)]
pub(super) struct Reply {
    /// The whole message.
    pub(super) bytes: Vec<u8>,
    /// [`Match::Stranger`] never comes here.
    pub(super) is: Match,
}

/// The way to a connection's task.
#[derive(Clone, Debug)]
struct Line {
    calls: mpsc::Sender<Call>,
    heard: Heard,
}

/// One question on its way.
#[derive(Debug)]
struct Call {
    request: Request,
    back: oneshot::Sender<Result<Reply, Fault>>,
}

/// How long a connection without questions stays open.
const IDLE: Duration = Duration::from_secs(10);
/// The same where opening another costs a handshake more.
const IDLE_WITH_TLS: Duration = Duration::from_secs(30);
/// How long questions may wait on a connection that brings nothing.
const STALL: Duration = Duration::from_secs(5);
/// Questions on one connection.
const CALLS: usize = 256;
/// Octets that may wait to be written before no further question is taken on.
const UNWRITTEN: usize = 16 * 1024;
/// Octets read at once.
const CHUNK: usize = 4096;

impl Pool {
    /// To the server at `place`; over TLS if there is an `identity`.
    pub(super) fn new(place: Arc<Place>, identity: Option<Identity>, clock: Clock) -> Self {
        Self {
            place,
            identity,
            clock,
            current: Mutex::new(None),
        }
    }

    /// Where it leads.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Sends `request` and waits for its reply as long as the caller likes. `is_retry` says that
    /// an earlier attempt is still without reply, which makes a quiet connection suspicious.
    ///
    /// # Errors
    /// What the system said, what is wrong with the server's certificate, or [`Fault::HUNG_UP`].
    pub(super) async fn ask(&self, request: Request, is_retry: bool) -> Result<Reply, Fault> {
        let (line, was_open) = self.line(is_retry);
        match line.ask(request.clone()).await {
            Some(result) => result,
            None if was_open => {
                self.drop_line(&line);
                let (line, _) = self.line(false);
                line.ask(request).await.unwrap_or(Err(Fault::HUNG_UP))
            }
            None => Err(Fault::HUNG_UP),
        }
    }

    /// The open connection, or a new one; and whether it was open.
    fn line(&self, is_retry: bool) -> (Line, bool) {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = &*current {
            let is_doubtful = is_retry && line.heard.is_doubtful(now);
            if !line.calls.is_closed() && !is_doubtful {
                return (line.clone(), true);
            }
        }
        let (calls, taken) = mpsc::channel(16);
        let line = Line {
            calls,
            heard: Heard::new(now),
        };
        let (place, identity) = (Arc::clone(&self.place), self.identity.clone());
        let (heard, clock) = (line.heard.clone(), self.clock.clone());
        let heard = move || heard.note(clock.now());
        tokio::spawn(async move {
            match identity {
                None => Connection::run(place.tcp().await, taken, IDLE, heard).await,
                Some(identity) => {
                    let stream = place.tls(&identity).await;
                    Connection::run(stream, taken, IDLE_WITH_TLS, heard).await;
                }
            }
        });
        *current = Some(line.clone());
        (line, false)
    }

    /// Whether a second attempt would need another connection.
    pub(super) fn is_doubtful(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let line = current.as_ref().filter(|line| !line.calls.is_closed());
        line.is_some_and(|line| line.heard.is_doubtful(self.clock.now()))
    }

    /// Opens a connection unless there is one.
    pub(super) fn warm(&self) {
        drop(self.line(false));
    }

    /// Lets go of a connection that failed us, unless it was replaced already.
    fn drop_line(&self, failed: &Line) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|line| line.calls.same_channel(&failed.calls))
        {
            *current = None;
        }
    }
}

impl Line {
    /// None when the connection ended before the reply came.
    async fn ask(&self, request: Request) -> Option<Result<Reply, Fault>> {
        let (back, reply) = oneshot::channel();
        self.calls.send(Call { request, back }).await.ok()?;
        reply.await.ok()
    }
}

/// An open connection.
struct Connection<S> {
    stream: S,
    waiting: HashMap<u16, Call>,
    /// What still has to be written, and how much of it was.
    outgoing: Vec<u8>,
    written: usize,
    /// Whether what was written may still wait in the stream.
    is_unflushed: bool,
    /// What was read of messages that are not complete.
    incoming: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Serves `calls` over the connection that was `opened` until it ends; whoever waits then finds
    /// their end of the line closed.
    async fn run(
        opened: Result<S, Fault>,
        mut calls: mpsc::Receiver<Call>,
        idle: Duration,
        heard: impl Fn(),
    ) {
        let stream = match opened {
            Ok(stream) => stream,
            Err(fault) => return refuse(calls, &fault).await,
        };
        heard();
        let mut connection = Self {
            stream,
            waiting: HashMap::new(),
            outgoing: Vec::new(),
            written: 0,
            is_unflushed: false,
            incoming: Vec::new(),
        };
        if let Err(error) = connection.serve(&mut calls, idle, heard).await {
            tracing::debug!(%error, "connection to upstream ended");
        }
    }

    async fn serve(
        &mut self,
        calls: &mut mpsc::Receiver<Call>,
        idle: Duration,
        heard: impl Fn(),
    ) -> io::Result<()> {
        let mut progress = Instant::now();
        let mut is_wanted = true;
        while is_wanted || !self.waiting.is_empty() {
            let patience = if self.waiting.is_empty() { idle } else { STALL };
            let takes_calls = is_wanted && self.has_room();
            tokio::select! {
                call = calls.recv(), if takes_calls => match call {
                    Some(call) => {
                        if self.waiting.is_empty() {
                            progress = Instant::now();
                        }
                        self.take_on(call);
                    }
                    None => is_wanted = false,
                },
                was_waited_for = poll_fn(|context| self.poll_exchange(context)) => {
                    if was_waited_for? {
                        progress = Instant::now();
                        heard();
                    }
                }
                () = tokio::time::sleep_until(progress + patience) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether another question can be taken on; makes room where nobody waits any more.
    fn has_room(&mut self) -> bool {
        if self.waiting.len() >= CALLS {
            self.waiting.retain(|_, call| !call.back.is_closed());
        }
        self.waiting.len() < CALLS && self.outgoing.len() < UNWRITTEN
    }

    /// Gives the question an id of its own on this connection and queues it.
    fn take_on(&mut self, mut call: Call) {
        // At most 256 of 65,536 ids are taken, so this ends soon.
        while self.waiting.contains_key(&call.request.id()) {
            call.request.set_id(rand::rng().random());
        }
        let message = call.request.bytes();
        // A question has a few hundred octets at most.
        self.outgoing.extend((message.len() as u16).to_be_bytes());
        self.outgoing.extend(message);
        self.waiting.insert(call.request.id(), call);
    }

    /// Writes what can be written and reads once; whether something came that was waited for.
    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.write(context)?;
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut chunk);
        match Pin::new(&mut self.stream).poll_read(context, &mut chunk) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) if chunk.filled().is_empty() => {
                Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(self.take_in(chunk.filled()))),
        }
    }

    /// Writes what can be written now; the task is woken when there is room for the rest.
    fn write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.written < self.outgoing.len() {
            let rest = &self.outgoing[self.written..];
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
            self.is_unflushed = true;
        }
        self.outgoing.clear();
        self.written = 0;
        if self.is_unflushed {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.is_unflushed = false;
                }
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    /// Takes in what was read and hands out the complete messages; whether one was waited for.
    fn take_in(&mut self, chunk: &[u8]) -> bool {
        self.incoming.extend(chunk);
        let mut at = 0;
        let mut was_waited_for = false;
        while let Some(&[high, low]) = self.incoming.get(at..at + 2) {
            let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
            let Some(message) = self.incoming.get(at + 2..end) else {
                break;
            };
            was_waited_for |= hand_out(&mut self.waiting, message);
            at = end;
        }
        self.incoming.drain(..at);
        if self.incoming.is_empty() && self.incoming.capacity() > CHUNK {
            self.incoming = Vec::new();
        }
        was_waited_for
    }
}

/// Gives `message` to whoever waits for it.
fn hand_out(waiting: &mut HashMap<u16, Call>, message: &[u8]) -> bool {
    let Some(&[high, low]) = message.get(..2) else {
        return false;
    };
    let id = u16::from_be_bytes([high, low]);
    let is = match waiting.get(&id) {
        Some(call) => call.request.judge(message),
        None => Match::Stranger,
    };
    if is == Match::Stranger {
        return false;
    }
    if let Some(call) = waiting.remove(&id) {
        let mut bytes = message.to_vec();
        if is != Match::Bare {
            call.request.unmix(&mut bytes);
        }
        // Fails when the asker has its answer from elsewhere.
        drop(call.back.send(Ok(Reply { bytes, is })));
    }
    true
}

/// Tells everybody who queued up that there is no connection.
async fn refuse(mut calls: mpsc::Receiver<Call>, fault: &Fault) {
    calls.close();
    while let Some(call) = calls.recv().await {
        drop(call.back.send(Err(fault.clone())));
    }
}
