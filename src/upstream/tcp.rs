//! Asking over TCP: one connection to each server, used by many questions at once (RFC 7766
//! section 6.2).
//!
//! A task owns the connection, on the runtime of whoever needed it first; questions reach it
//! through a channel from any runtime. It ends when it was idle for ten seconds, when the server
//! closes, or when questions wait and nothing comes. A question that lost its connection that way
//! is asked once more on a new one, since a server may close at any moment (section 6.2.4).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::wire::{Match, Request};
use crate::clock::{Clock, Moment};

/// The connection to one server, if there is one.
#[derive(Debug)]
pub(super) struct Pool {
    address: SocketAddr,
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
    /// When it was opened or last brought a reply, in microseconds.
    heard: Arc<AtomicU64>,
}

/// One question on its way.
#[derive(Debug)]
struct Call {
    request: Request,
    back: oneshot::Sender<Result<Reply, io::ErrorKind>>,
}

/// How long a connection without questions stays open.
const IDLE: Duration = Duration::from_secs(10);
/// How long questions may wait on a connection that brings nothing.
const STALL: Duration = Duration::from_secs(5);
/// How long opening one may take; far beyond any budget.
const CONNECT: Duration = Duration::from_secs(5);
/// Silence after which a second attempt does not trust the connection any more.
const DOUBT: Duration = Duration::from_secs(1);
/// Questions on one connection.
const CALLS: usize = 256;
/// Octets that may wait to be written before no further question is taken on.
const UNWRITTEN: usize = 16 * 1024;
/// Octets read at once.
const CHUNK: usize = 4096;

impl Pool {
    pub(super) fn new(address: SocketAddr, clock: Clock) -> Self {
        Self {
            address,
            clock,
            current: Mutex::new(None),
        }
    }

    /// Sends `request` and waits for its reply as long as the caller likes. `is_retry` says that
    /// an earlier attempt is still without reply, which makes a quiet connection suspicious.
    ///
    /// # Errors
    /// What the system said, or [`io::ErrorKind::ConnectionAborted`] when the server hung up.
    pub(super) async fn ask(
        &self,
        request: Request,
        is_retry: bool,
    ) -> Result<Reply, io::ErrorKind> {
        let (line, was_open) = self.line(is_retry);
        match line.ask(request.clone()).await {
            Some(result) => result,
            None if was_open => {
                self.drop_line(&line);
                let (line, _) = self.line(false);
                line.ask(request)
                    .await
                    .unwrap_or(Err(io::ErrorKind::ConnectionAborted))
            }
            None => Err(io::ErrorKind::ConnectionAborted),
        }
    }

    /// The open connection, or a new one; and whether it was open.
    fn line(&self, is_retry: bool) -> (Line, bool) {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = &*current {
            let heard = Moment::from_micros(line.heard.load(Ordering::Relaxed));
            let is_doubtful = is_retry && now.since(heard) >= DOUBT;
            if !line.calls.is_closed() && !is_doubtful {
                return (line.clone(), true);
            }
        }
        let (calls, taken) = mpsc::channel(16);
        let heard = Arc::new(AtomicU64::new(now.as_micros()));
        let line = Line {
            calls,
            heard: Arc::clone(&heard),
        };
        let (address, clock) = (self.address, self.clock.clone());
        tokio::spawn(async move {
            Connection::run(address, taken, || {
                heard.store(clock.now().as_micros(), Ordering::Relaxed);
            })
            .await;
        });
        *current = Some(line.clone());
        (line, false)
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
    async fn ask(&self, request: Request) -> Option<Result<Reply, io::ErrorKind>> {
        let (back, reply) = oneshot::channel();
        self.calls.send(Call { request, back }).await.ok()?;
        reply.await.ok()
    }
}

/// An open connection.
struct Connection {
    stream: TcpStream,
    waiting: HashMap<u16, Call>,
    /// What still has to be written, and how much of it was.
    outgoing: Vec<u8>,
    written: usize,
    /// What was read of messages that are not complete.
    incoming: Vec<u8>,
}

impl Connection {
    /// Opens a connection and serves `calls` until it ends; whoever waits then finds their end of
    /// the line closed.
    async fn run(address: SocketAddr, mut calls: mpsc::Receiver<Call>, heard: impl Fn()) {
        let opened = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
        let stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return refuse(calls, error.kind()).await,
            Err(_elapsed) => return refuse(calls, io::ErrorKind::TimedOut).await,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "cannot switch off Nagle's algorithm");
        }
        let mut connection = Self {
            stream,
            waiting: HashMap::new(),
            outgoing: Vec::new(),
            written: 0,
            incoming: Vec::new(),
        };
        if let Err(error) = connection.serve(&mut calls, heard).await {
            tracing::debug!(%address, %error, "connection to upstream ended");
        }
    }

    async fn serve(
        &mut self,
        calls: &mut mpsc::Receiver<Call>,
        heard: impl Fn(),
    ) -> io::Result<()> {
        let mut progress = Instant::now();
        let mut is_wanted = true;
        while is_wanted || !self.waiting.is_empty() {
            let interest = if self.outgoing.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let patience = if self.waiting.is_empty() { IDLE } else { STALL };
            let takes_calls = is_wanted && self.has_room();
            tokio::select! {
                call = calls.recv(), if takes_calls => match call {
                    Some(call) => {
                        if self.waiting.is_empty() {
                            progress = Instant::now();
                        }
                        self.take_on(call);
                        self.write()?;
                    }
                    None => is_wanted = false,
                },
                ready = self.stream.ready(interest) => {
                    let ready = ready?;
                    if ready.is_writable() {
                        self.write()?;
                    }
                    if ready.is_readable() && self.read()? {
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

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.outgoing.len() {
            match self.stream.try_write(&self.outgoing[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads once and hands out the complete messages; whether one of them was waited for.
    fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let count = match self.stream.try_read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        self.incoming.extend(&chunk[..count]);
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
        Ok(was_waited_for)
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
async fn refuse(mut calls: mpsc::Receiver<Call>, error: io::ErrorKind) {
    calls.close();
    while let Some(call) = calls.recv().await {
        drop(call.back.send(Err(error)));
    }
}
