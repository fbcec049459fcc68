//! The quick way of a question: one datagram there, one back, without a task.
//!
//! Most questions go to one healthy server over UDP and are answered within its usual time. For
//! those a thread that serves clients keeps a [`Lane`]: a row of slots, each with a socket and, while
//! it is being asked, a question. All sockets stand behind one descriptor that the runtime watches, so
//! that replies that came together are taken together, by whoever sends the answers on.
//!
//! A lane never waits and decides nothing that is hard. Whatever is out of the ordinary (a server that
//! is silent beyond its usual time, a reply that was cut, cannot be read or declines, a question that
//! others ask already, a full table) goes the long way of [`super::exchange`], with the attempt that is
//! under way as its first: [`Late`]. So a question has one place in the table of those in flight, a port,
//! an id and a letter case of its own, and one budget, whichever way it goes.
//!
//! Who is displaced from the table by another's question keeps its slot, and a reply in time is its answer
//! all the same: the datagram has left, and what it holds is bounded by the row. It only has no long way:
//! when its patience ends, it hears [`super::Failure::Overloaded`] and its socket goes.

use std::future::Future as _;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::epoll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep, sleep_until};

use super::exchange::{First, LAST_LOOK};
use super::flight::{Client, Lead, Outcome};
use super::group::Group;
use super::port;
use super::server::{Server, Shown};
use super::udp::{self, Heard, Packet, STRANGERS};
use super::way::Way;
use super::wire::{Request, rcode, rcode_of};
use super::{GRACE, Shared, Upstreams};
use crate::clock::Moment;
use crate::message::{Answer, Question};

/// Replies taken at a time.
const REPLIES: usize = 32;
/// Questions under way in one lane; more go the long way.
const SLOTS: usize = 1024;
/// Slots whose sockets are kept while little is asked; of a busy time as many as it needed at once,
/// fewer and fewer.
const KEPT_AT_REST: usize = 16;
/// How often at most is looked whose patience has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How often is looked what a busy time has left, when nothing is asked.
const LOOK_AT_REST: Duration = Duration::from_millis(50);
/// How often a group's servers are looked after by what is heard here.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// What waits for a reply.
pub trait Errand {
    /// The question it waits for; without one it has no place here.
    fn question(&self) -> Option<&Question>;
}

/// The questions of one thread that go the quick way, each with the errand it is asked for.
#[derive(Debug)]
pub struct Lane<T> {
    /// All sockets of the slots.
    sockets: AsyncFd<OwnedFd>,
    slots: Vec<Slot<T>>,
    /// Slots without a question; those at the end are used first.
    idle: Vec<usize>,
    /// Slots whose question is to be sent.
    leaving: Vec<usize>,
    asked: usize,
    /// How many were asked at once lately.
    peak: usize,
    /// When is looked next whose patience has ended; none while nothing is asked.
    look: Option<Pin<Box<Sleep>>>,
    /// Where a reply is read to.
    buffer: Box<[u8; udp::LARGEST]>,
}

#[derive(Debug)]
struct Slot<T> {
    socket: Option<Socket>,
    asked: Option<Asked<T>>,
}

/// A socket without a port, or with one of its own.
#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    is_v4: bool,
}

/// A question under way.
#[derive(Debug)]
struct Asked<T> {
    errand: T,
    shared: Arc<Shared>,
    group: Arc<Group>,
    server: Arc<Server>,
    address: SocketAddr,
    request: Request,
    lead: Lead,
    /// The errand's own wait in the table of questions in flight.
    wait: u64,
    at: Moment,
    /// The same for budget and patience.
    started: Instant,
    /// When it goes the long way.
    due: Instant,
    strangers: usize,
}

/// What came of a question.
#[derive(Debug)]
pub enum Ended {
    /// An answer.
    Answered(Answer),
    /// It takes longer.
    Late(Box<Late>),
}

/// A question that goes on the long way. Nothing happens to it before [`Late::outcome`] is polled.
#[derive(Debug)]
pub struct Late {
    shared: Arc<Shared>,
    group: Arc<Group>,
    question: Question,
    lead: Lead,
    wait: u64,
    first: First,
}

impl Late {
    /// What comes of it.
    ///
    /// # Errors
    /// One failure, within the budget.
    pub async fn outcome(self) -> Outcome {
        let Self {
            shared,
            group,
            question,
            lead,
            wait,
            first,
        } = self;
        let wait = shared.table.listen(wait);
        // Where we were held up there is time to look what came meanwhile.
        let deadline = (first.started + shared.budget).max(Instant::now() + LAST_LOOK);
        let servers = Arc::clone(&group);
        // For whoever joined, though this errand may have lost its place.
        shared.set_out(group, question, lead, Shown::Yes, Some(first));
        let outcome = match wait {
            Ok(wait) => tokio::time::timeout_at(deadline + GRACE, wait.outcome()).await,
            Err(failure) => Ok(Err(failure)),
        };
        let outcome = outcome.unwrap_or_else(|_| Err(servers.timeout()));
        outcome.map_err(|failure| failure.in_network(shared.signs.told()))
    }
}

impl<T: Errand> Lane<T> {
    /// An empty one, for the runtime this is called in.
    ///
    /// # Errors
    /// What the kernel said, such as that there are no descriptors left.
    pub fn new() -> io::Result<Self> {
        let sockets = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            sockets: crate::socket::watch(sockets, Interest::READABLE)?,
            slots: Vec::new(),
            idle: Vec::new(),
            leaving: Vec::new(),
            asked: 0,
            peak: 0,
            look: None,
            buffer: Box::new([0; udp::LARGEST]),
        })
    }

    /// Has the question of `errand` asked for `client` by the next [`Self::set_out`]; gives it back if
    /// it has to go the long way, and nothing has happened then.
    ///
    /// # Errors
    /// The errand.
    pub fn ask(&mut self, upstreams: &Upstreams, client: Client, errand: T) -> Result<(), T> {
        if self.asked >= SLOTS || !port::kernel_draws_well() {
            return Err(errand);
        }
        let Some(question) = errand.question() else {
            return Err(errand);
        };
        let Some((group, server)) = upstreams.first_choice(question) else {
            return Err(errand);
        };
        let Way::Udp(address, _) = server.way else {
            return Err(errand);
        };
        let shared = &upstreams.0;
        let (at, started) = (shared.clock.now(), Instant::now());
        if shared.kept(&group, question, at).is_some() {
            return Err(errand);
        }
        let index = self.idle.pop().unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(Slot {
                socket: None,
                asked: None,
            });
        }
        let slot = &mut self.slots[index];
        if slot.connect(address, index, &self.sockets).is_err() {
            // Whatever it is, the long way finds it too, and can say it.
            slot.socket = None;
            self.idle.push(index);
            return Err(errand);
        }
        // Last, so that nobody joins a question that then cannot be sent.
        let Some((lead, wait)) = shared.table.enter_at_once(question, client) else {
            slot.socket = slot.socket.take().and_then(Socket::without_a_port);
            self.idle.push(index);
            return Err(errand);
        };
        let (edns, dress, patience) = server.plan(at, group.servers().len() > 1);
        let request = Request::new(question, edns, dress);
        // The long way needs time of its own.
        let due = started + patience.min(shared.budget / 2);
        slot.asked = Some(Asked {
            errand,
            shared: Arc::clone(shared),
            group,
            server,
            address,
            request,
            lead,
            wait,
            at,
            started,
            due,
            strangers: 0,
        });
        self.asked += 1;
        self.peak = self.peak.max(self.asked);
        self.leaving.push(index);
        let due = due.max(started + LOOK);
        match &mut self.look {
            Some(look) if look.deadline() <= due => {}
            Some(look) => look.as_mut().reset(due),
            None => self.look = Some(Box::pin(sleep_until(due))),
        }
        Ok(())
    }

    /// Sends all that was asked since, one behind the other: so a server that sleeps is woken once.
    /// Whatever cannot be sent goes the long way.
    pub fn set_out(&mut self, mut each: impl FnMut(T, Ended)) {
        for place in 0..self.leaving.len() {
            let index = self.leaving[place];
            let slot = &mut self.slots[index];
            let (Some(it), Some(asked)) = (&slot.socket, &slot.asked) else {
                continue;
            };
            let sent = port::send(&it.socket, asked.request.bytes());
            if let Err(error) = sent
                && let Some((errand, late)) = slot.go_on(Some(Err(error)), &self.sockets)
            {
                self.free(index);
                each(errand, late);
            }
        }
        self.leaving.clear();
    }

    /// Whether nothing is asked.
    pub const fn is_empty(&self) -> bool {
        self.asked == 0
    }

    /// Whether nothing is asked, and nothing is left of a busy time that is to be given back.
    pub const fn is_at_rest(&self) -> bool {
        self.asked == 0 && self.slots.len() <= KEPT_AT_REST
    }

    /// Waits until there may be replies.
    ///
    /// # Errors
    /// What the runtime said; it is of no use any more then.
    pub fn poll_heard(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        drop(ready!(self.sockets.poll_read_ready(context))?);
        Poll::Ready(Ok(()))
    }

    /// Takes the replies that have come, at most [`REPLIES`], and hands each errand that came to an
    /// end to `each`. Whether there may be more.
    pub fn hear(&mut self, mut each: impl FnMut(T, Ended)) -> bool {
        let waker = std::task::Waker::noop();
        let guard = self
            .sockets
            .poll_read_ready(&mut Context::from_waker(waker));
        let now = rustix::event::Timespec::default();
        let nothing = epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        };
        let mut events = [nothing; REPLIES];
        let found = epoll::wait(self.sockets.get_ref(), &mut events, Some(&now));
        let count = found.unwrap_or(0);
        // After an error it is looked at once more.
        let is_full = found.is_err() || count == REPLIES;
        if let (Poll::Ready(Ok(mut guard)), false) = (guard, is_full) {
            // With what it was ready by before the look: what comes from now on makes it ready anew.
            guard.clear_ready();
        }
        for event in &events[..count] {
            // Written from an index below.
            let index = event.data.u64() as usize;
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            let Some((errand, ended)) = slot.hear(&mut self.buffer, &self.sockets) else {
                continue;
            };
            self.free(index);
            each(errand, ended);
        }
        is_full
    }

    /// Waits until some may have run out of patience.
    pub fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.look {
            Some(look) => look.as_mut().poll(context),
            None => Poll::Pending,
        }
    }

    /// Sends whoever ran out of patience the long way.
    pub fn send_on(&mut self, mut each: impl FnMut(T, Ended)) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let is_due = |asked: &Asked<T>| asked.due <= now;
            if !slot.asked.as_ref().is_some_and(is_due) {
                continue;
            }
            if let Some((errand, late)) = slot.go_on(None, &self.sockets) {
                self.free(index);
                each(errand, late);
            }
        }
        self.peak = self.asked.max(self.peak - self.peak / 4);
        let kept = self.peak.max(KEPT_AT_REST);
        // Those at the end are used first, so that the others have rested longest.
        let too_many = self.idle.len().saturating_sub(kept);
        for index in &self.idle[..too_many] {
            self.slots[*index].socket = None;
        }
        let dues = self.slots.iter().filter_map(|slot| slot.asked.as_ref());
        let next = dues.map(|asked| asked.due).min();
        let next = match next {
            Some(due) => Some(due.max(now + LOOK)),
            None if self.slots.len() > KEPT_AT_REST => Some(now + LOOK_AT_REST),
            None => None,
        };
        match (&mut self.look, next) {
            (Some(look), Some(next)) => look.as_mut().reset(next),
            (look, _) => *look = None,
        }
        if self.asked == 0 && self.peak <= KEPT_AT_REST {
            self.rest();
        }
    }

    /// Gives back the room that a busy time has left, when nothing is asked.
    fn rest(&mut self) {
        self.idle.clear();
        self.slots.truncate(KEPT_AT_REST);
        self.slots.shrink_to_fit();
        self.idle.extend(0..self.slots.len());
    }

    /// A slot's question has ended.
    fn free(&mut self, index: usize) {
        self.asked -= 1;
        self.idle.push(index);
    }
}

impl<T: Errand> Asked<T> {
    /// The answer in `reply`, if it is an ordinary one.
    fn read(&self, reply: &[u8]) -> Option<Answer> {
        match rcode_of(reply) {
            rcode::NOERROR | rcode::NXDOMAIN => {
                Answer::from_upstream(reply, self.errand.question()?).ok()
            }
            _ => None,
        }
    }
}

impl<T: Errand> Slot<T> {
    /// Gives the slot's socket a new port, and lets it hear from `server` alone.
    fn connect(
        &mut self,
        server: SocketAddr,
        index: usize,
        sockets: &AsyncFd<OwnedFd>,
    ) -> io::Result<()> {
        let is_v4 = server.is_ipv4();
        if self.socket.as_ref().is_none_or(|it| it.is_v4 != is_v4) {
            let socket = port::new(server)?;
            // What has come and was not read is told of once more when more comes.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            let number = epoll::EventData::new_u64(index as u64);
            epoll::add(sockets.get_ref(), &socket, number, flags)?;
            self.socket = Some(Socket { socket, is_v4 });
        }
        match &self.socket {
            // What came for the question before must not be taken for a word about this one.
            Some(it) => port::empty(&it.socket).and_then(|()| it.socket.connect(server)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Reads what has come; an errand that is over.
    fn hear(
        &mut self,
        buffer: &mut [u8; udp::LARGEST],
        sockets: &AsyncFd<OwnedFd>,
    ) -> Option<(T, Ended)> {
        let socket = &self.socket.as_ref()?.socket;
        let Some(asked) = &mut self.asked else {
            // Of the question before: a socket without a question has no port.
            while socket.recv(buffer).is_ok() {}
            return None;
        };
        let heard = loop {
            match udp::receive(socket, buffer, asked.address, &asked.request) {
                Ok((Packet::Reply, reply)) => match asked.read(reply) {
                    Some(answer) => return self.answered(answer),
                    None => break Ok(Heard::Reply(reply.to_vec())),
                },
                Ok((packet, octets)) => match packet.heard(octets) {
                    Some(heard) => break Ok(heard),
                    None => {
                        asked.server.note_ignored();
                        asked.strangers += 1;
                        if asked.strangers >= STRANGERS {
                            break Ok(Heard::Guessing);
                        }
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.go_on(Some(heard), sockets)
    }

    /// The server answered.
    fn answered(&mut self, answer: Answer) -> Option<(T, Ended)> {
        let asked = self.asked.take()?;
        self.socket = self.socket.take().and_then(Socket::without_a_port);
        let shared = &asked.shared;
        let now = shared.clock.now();
        let time = now.since(asked.at);
        (asked.server).note_reply(answer.rcode(), time, now, Shown::Yes);
        let question = asked.errand.question()?;
        shared.failures.forget(question, now);
        let is_public = asked.group.domain().as_ref().is_root();
        let is_odd = is_public && (shared.signs).note_answer(question, &answer, &asked.server, now);
        let outcome = Ok(answer);
        asked.lead.finish(&outcome);
        let is_due = asked.group.is_to_be_looked_after(now, LOOK_AFTER);
        if is_odd || is_due && is_public {
            shared.look_at_network(now);
        }
        if is_due {
            shared.look_after(&asked.group, question, now, Shown::Yes);
        }
        let answer = outcome.ok()?;
        Some((asked.errand, Ended::Answered(answer)))
    }

    /// The long way, with what was heard so far.
    fn go_on(
        &mut self,
        heard: Option<io::Result<Heard>>,
        sockets: &AsyncFd<OwnedFd>,
    ) -> Option<(T, Ended)> {
        let asked = self.asked.take()?;
        let socket = self.socket.take()?;
        // Somebody else hears it from now on. It is there, so this cannot fail.
        let _gone = epoll::delete(sockets.get_ref(), &socket.socket);
        let question = *asked.errand.question()?;
        let first = First {
            server: asked.server,
            asked: asked.at,
            started: asked.started,
            request: asked.request,
            socket: socket.socket,
            strangers: asked.strangers,
            heard,
        };
        let late = Late {
            shared: asked.shared,
            group: asked.group,
            question,
            lead: asked.lead,
            wait: asked.wait,
            first,
        };
        Some((asked.errand, Ended::Late(Box::new(late))))
    }
}

impl Socket {
    /// Takes its port from it, so that nothing more comes in; none if that fails.
    fn without_a_port(self) -> Option<Self> {
        rustix::net::connect_unspec(&self.socket).ok()?;
        Some(self)
    }
}
