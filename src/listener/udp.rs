//! Datagrams: batches in, batches out, each answer from the address that was asked.
//!
//! What can be answered at once is written straight into the buffer it is sent from, and all that was
//! answered of one batch leaves together. A socket that was found empty is not asked again before the
//! kernel says that something came, so that a single query costs three calls: one that waits, one that
//! takes it, one that answers.
//!
//! While one full batch follows another the kernel is not asked to say so: as long as somebody wants to
//! be told of a socket, the kernel looks for them with each answer that leaves, which is a tenth of what
//! a cached answer costs. So a busy socket is just read, and watched again when a batch is not full.
//!
//! Where nothing else is to be done on the thread it sleeps in the call that receives
//! ([`super::alone`]), and a query that comes alone costs two.
//!
//! What has to be asked of upstream goes by a [`Lane`] of this task, and the answers to all replies that
//! came together leave together; what is out of the ordinary has a task of its own.

use std::future::poll_fn;
use std::io;
use std::net::UdpSocket;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{Interest, unix::AsyncFd};
use tracing::{debug, warn};

use super::Resolver;
use super::alone::Alone;
use crate::clock::Moment;
use crate::device::Origin;
use crate::journal::{Outcome, Transport};
use crate::message::Question;
use crate::resolve::{Pending, Step};
use crate::socket::batch::{self, BATCH, Envelope, Inbox, Outbox, send_one};
use crate::socket::{self, Shared};
use crate::upstream::{Ended, Errand, Lane, Late};

/// A socket of one worker, for whoever answers by it.
#[derive(Clone, Debug)]
struct Datagrams(Arc<UdpSocket>);

/// Whether a socket is watched. Only what arrives wakes it: the kernel would also tell of each answer
/// that has left.
#[derive(Debug)]
enum Watch {
    On(AsyncFd<Shared>),
    /// It is busy: there is something to read, or soon will be; or the thread sleeps there.
    Off,
}

/// Full batches one after the other before a socket is not watched. Watching it again costs as much as
/// is saved with some five answers.
const BUSY_AFTER: u32 = 2;
/// Times a thread sleeps, one after the other, before its socket is not watched meanwhile: for a question
/// that goes upstream in between, it would have to be watched again.
const QUIET_AFTER: u32 = 16;
/// How long to wait before a socket is looked at again that cannot be watched.
const UNWATCHED: Duration = Duration::from_millis(5);

/// Answers everything that arrives at `socket` until `stopped`, and then, while it is polled, those
/// that wait for upstream; ends once there are none. May sleep where it is `alone` on its thread.
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn serve(
    socket: Arc<UdpSocket>,
    listener: u16,
    resolver: Arc<Resolver>,
    stopped: impl Future<Output = ()>,
    alone: Option<Alone>,
) -> io::Result<()> {
    batch::prepare(&socket)?;
    // Whoever does not want to wait says so in each call.
    socket.set_nonblocking(alone.is_none())?;
    // A socket of one address answers from that without being told, which costs the kernel less.
    let has_one_address = !socket.local_addr()?.ip().is_unspecified();
    let datagrams = Datagrams(socket);
    let mut server = Server {
        watch: datagrams.watch()?,
        full: 0,
        slept: 0,
        alone,
        datagrams,
        resolver,
        listener,
        has_one_address,
        lane: Lane::new()?,
        heard: Vec::with_capacity(BATCH),
        outbox: Outbox::default(),
        outcomes: Vec::with_capacity(BATCH),
    };
    let mut inbox = Inbox::default();
    let mut stopped = pin!(stopped);
    let mut is_ending = false;
    while !(is_ending && server.lane.is_empty()) {
        let mut is_full = false;
        if !is_ending && server.may_sleep() {
            let came = server.sleep(&mut inbox);
            is_full = server.take_in(came, &mut inbox).await;
            if !is_full && !server.may_sleep() {
                // What came meanwhile is told of at once.
                server.watch_by(false).await;
            }
        } else {
            server.slept = 0;
            let stopped = (!is_ending).then_some(stopped.as_mut());
            match server.wait(stopped).await {
                Some(Came::End) => is_ending = true,
                Some(Came::Queries) => {
                    let came = server.receive(&mut inbox);
                    is_full = server.take_in(came, &mut inbox).await;
                    server.watch_by(is_full).await;
                }
                Some(Came::Replies) => is_full = server.hear().await,
                Some(Came::Look) => server.send_on(),
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        if is_full {
            // TCP, upstream answers and the slow half get their turn between two batches.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// What there is to do.
#[derive(Clone, Copy)]
enum Came {
    Queries,
    Replies,
    /// To see whose reply is late.
    Look,
    /// Nothing but what was begun.
    End,
}

/// A query that waits for upstream, and where its answer goes.
#[derive(Debug)]
struct Waiting {
    pending: Box<Pending>,
    envelope: Envelope,
}

impl AsRef<Pending> for Waiting {
    fn as_ref(&self) -> &Pending {
        &self.pending
    }
}

impl Errand for Waiting {
    fn question(&self) -> Option<&Question> {
        self.pending.question()
    }
}

/// One socket of one worker, and what waits for its turn there.
struct Server {
    datagrams: Datagrams,
    watch: Watch,
    /// Full batches since one was not.
    full: u32,
    /// How often it slept since something else was to be done.
    slept: u32,
    alone: Option<Alone>,
    resolver: Arc<Resolver>,
    listener: u16,
    has_one_address: bool,
    lane: Lane<Waiting>,
    /// Room for those whose questions have ended.
    heard: Vec<(Waiting, Ended)>,
    outbox: Outbox,
    /// To be recorded once the answers have left.
    outcomes: Vec<Outcome>,
}

impl Server {
    /// Waits for something to do; without `stopped` queries are left where they are. Replies go before
    /// queries: whoever waits for them came first.
    async fn wait(
        &mut self,
        mut stopped: Option<Pin<&mut impl Future<Output = ()>>>,
    ) -> Option<Came> {
        let Self { watch, lane, .. } = self;
        poll_fn(|context| {
            if let Some(stopped) = &mut stopped
                && stopped.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(Some(Came::End));
            }
            if let Poll::Ready(heard) = lane.poll_heard(context) {
                return Poll::Ready(heard.ok().map(|()| Came::Replies));
            }
            // Before queries, of which a flood may never end.
            if lane.poll_overdue(context).is_ready() {
                return Poll::Ready(Some(Came::Look));
            }
            match watch {
                _ if stopped.is_none() => Poll::Pending,
                Watch::On(watched) => watched
                    .poll_read_ready(context)
                    .map(|ready| ready.ok().map(|_guard| Came::Queries)),
                Watch::Off => Poll::Ready(Some(Came::Queries)),
            }
        })
        .await
    }

    /// Whether nobody needs this thread but those who send queries.
    fn may_sleep(&mut self) -> bool {
        match &mut self.alone {
            Some(alone) => self.lane.is_at_rest() && alone.may_sleep(),
            None => false,
        }
    }

    /// Waits for queries, and for nothing else, and takes what has come.
    fn sleep(&mut self, inbox: &mut Inbox) -> io::Result<bool> {
        let Some(alone) = &mut self.alone else {
            return Ok(false);
        };
        self.slept = self.slept.saturating_add(1);
        if self.slept > QUIET_AFTER {
            // The kernel would tell the runtime too.
            self.watch = Watch::Off;
        }
        let came = alone.sleep(|| inbox.wait(&self.datagrams.0));
        if came.is_ok() && inbox.datagrams().next().is_none() {
            // It was shut down, and nobody can wait there any more.
            self.alone = None;
        }
        came.map(|()| true)
    }

    /// Answers what came; whether more may be there.
    async fn take_in(&mut self, came: io::Result<bool>, inbox: &mut Inbox) -> bool {
        match came {
            Ok(true) => {
                self.answer(inbox).await;
                inbox.is_full()
            }
            Ok(false) => false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => {
                // An ICMP message about an answer of ours, or a passing lack of memory: it costs one
                // datagram at most.
                warn_rarely(&error);
                true
            }
        }
    }

    /// Takes what has come; whether there was anything.
    fn receive(&self, inbox: &mut Inbox) -> io::Result<bool> {
        let socket = &*self.datagrams.0;
        let Watch::On(watched) = &self.watch else {
            return match inbox.receive(socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                other => other.map(|()| true),
            };
        };
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(ready) = watched.poll_read_ready(&mut context) else {
            return Ok(false);
        };
        let mut ready = ready?;
        match ready.try_io(|_| inbox.receive(socket)) {
            Ok(Ok(())) => {
                if !inbox.is_full() {
                    // With what it was ready by, not later: what comes from now on makes it ready
                    // anew, and must not be forgotten by this.
                    ready.clear_ready();
                }
                Ok(true)
            }
            Ok(Err(error)) => Err(error),
            Err(_would_block) => Ok(false),
        }
    }

    /// Has the socket watched, or not, by whether the last batch was full.
    async fn watch_by(&mut self, is_full: bool) {
        if is_full {
            self.full = self.full.saturating_add(1);
            if self.full >= BUSY_AFTER {
                self.watch = Watch::Off;
            }
            return;
        }
        self.full = 0;
        if matches!(self.watch, Watch::Off) {
            match self.datagrams.watch() {
                Ok(watch) => self.watch = watch,
                Err(error) => {
                    // There is no memory for it just now; what comes is answered all the same.
                    warn_rarely(&error);
                    tokio::time::sleep(UNWATCHED).await;
                }
            }
        }
    }

    /// Answers what came in.
    async fn answer(&mut self, inbox: &mut Inbox) {
        let at = self.resolver.catch_up();
        for (message, mut envelope) in inbox.datagrams() {
            if self.has_one_address {
                envelope.ours = None;
            }
            self.handle(message, envelope, at);
        }
        let mut late = std::mem::take(&mut self.heard);
        (self.lane).set_out(|waiting, ended| late.push((waiting, ended)));
        self.end_all(late);
        self.send().await;
    }

    /// Answers one datagram that arrived `at` this moment, or has it answered later.
    fn handle(&mut self, message: &[u8], envelope: Envelope, at: Moment) {
        // A port of 0 cannot be answered, and answering ourselves would be a circle.
        if envelope.client.port() == 0 {
            return;
        }
        let client = envelope.client.ip().to_canonical();
        let origin = Origin::new(client, envelope.interface, self.listener);
        let out = self.outbox.room();
        let step = (self.resolver).answer_now(message, &origin, Transport::Udp, at, out);
        let Some(pending) = self.take(step, envelope) else {
            return;
        };
        let waiting = Waiting { pending, envelope };
        if let Err(Waiting { pending, envelope }) = Resolver::ask_by(&mut self.lane, waiting) {
            let datagrams = self.datagrams.clone();
            let resolver = Arc::clone(&self.resolver);
            tokio::spawn(finish(pending, envelope, None, datagrams, resolver));
        }
    }

    /// Answers those whose replies have come; whether more may have.
    async fn hear(&mut self) -> bool {
        self.resolver.catch_up();
        let mut heard = std::mem::take(&mut self.heard);
        let is_full = self
            .lane
            .hear(|waiting, ended| heard.push((waiting, ended)));
        self.end_all(heard);
        self.send().await;
        is_full
    }

    /// Lets those wait in tasks of their own whose replies are late.
    fn send_on(&mut self) {
        let mut late = std::mem::take(&mut self.heard);
        (self.lane).send_on(|waiting, ended| late.push((waiting, ended)));
        self.end_all(late);
    }

    /// Answers those in `ended`, or lets them wait in tasks of their own.
    fn end_all(&mut self, mut ended: Vec<(Waiting, Ended)>) {
        for (waiting, what) in ended.drain(..) {
            self.end(waiting, what);
        }
        // Its room, for the next.
        self.heard = ended;
    }

    fn end(&mut self, waiting: Waiting, ended: Ended) {
        let Waiting { pending, envelope } = waiting;
        match ended {
            Ended::Answered(answer) => {
                let out = self.outbox.room();
                let step = self.resolver.answer_said(&pending, Ok(answer), out);
                self.take(step, envelope);
            }
            Ended::Late(late) => {
                let datagrams = self.datagrams.clone();
                let resolver = Arc::clone(&self.resolver);
                tokio::spawn(finish(pending, envelope, Some(late), datagrams, resolver));
            }
        }
    }

    /// Takes along what is to be sent and recorded; what is to wait is given back.
    fn take(&mut self, step: Step, envelope: Envelope) -> Option<Box<Pending>> {
        match step {
            Step::Reply(outcome) => {
                self.outbox.add(envelope);
                self.outcomes.push(outcome);
            }
            Step::Error => self.outbox.add(envelope),
            Step::Silence => {}
            Step::Wait(pending) => return Some(pending),
        }
        None
    }

    /// Sends what was answered, then records it.
    async fn send(&mut self) {
        self.datagrams.send(&mut self.outbox).await;
        let sent = self.resolver.now();
        for outcome in self.outcomes.drain(..) {
            self.resolver.record(outcome, sent);
        }
    }
}

/// Answers one query that cannot go the quick way, or can no longer.
async fn finish(
    pending: Box<Pending>,
    envelope: Envelope,
    late: Option<Box<Late>>,
    datagrams: Datagrams,
    resolver: Arc<Resolver>,
) {
    let mut answer = Vec::with_capacity(512);
    let step = match late {
        Some(late) => {
            let said = late.outcome().await;
            resolver.catch_up();
            resolver.answer_said(&pending, said, &mut answer)
        }
        None => resolver.answer_later(*pending, &mut answer).await,
    };
    match step {
        Step::Reply(outcome) => {
            datagrams.send_one(&answer, envelope).await;
            resolver.record(outcome, resolver.now());
        }
        Step::Error => datagrams.send_one(&answer, envelope).await,
        Step::Silence | Step::Wait(_) => {}
    }
}

impl Datagrams {
    /// Has the runtime watch it for what arrives; what waits already is told of at once.
    fn watch(&self) -> io::Result<Watch> {
        socket::watch_shared(Arc::clone(&self.0), Interest::READABLE).map(Watch::On)
    }

    /// Sends all of `outbox`.
    async fn send(&self, outbox: &mut Outbox) {
        while let Err(error) = outbox.send(&self.0) {
            if self.is_for_good(&error).await {
                outbox.skip();
            }
        }
    }

    async fn send_one(&self, answer: &[u8], envelope: Envelope) {
        while let Err(error) = send_one(&self.0, answer, envelope) {
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
                let twin = self.0.try_clone();
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
