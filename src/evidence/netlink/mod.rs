//! The kernel's word: which MAC address it sends to when it answers a client.
//!
//! [`Watcher`] looks at the whole neighbour table once and then follows what the kernel tells of
//! changes ([`wire`]: the messages; `socket`: how they come). When events were lost, or an address of
//! this machine came or went (`links`), it looks at the table again.
//!
//! A client that the kernel has not seen yet is asked for by a query
//! ([`Neighbours::ask`]). Then the kernel is asked for that one address, and if it knows nothing, a
//! datagram to the client makes it find out (`probe`).
//!
//! Events are read without ever waiting, also by whoever is about to answer a query: what the kernel
//! told before the query came is known then, however busy the loop is. Questions may take the kernel a
//! moment, since some of its versions answer them only while nobody changes an interface; so they are
//! asked beside the loop.

mod links;
mod probe;
mod socket;
pub mod wire;

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::{debug, warn};

use super::{Condition, State};
use crate::clock::Clock;
use crate::device::neighbours::{Change, Feed, Link, Neighbours, Place, Request, Witness};
use probe::Probe;
use socket::{Events, Questions, Told};
use wire::{Family, Message, Messages, Neighbour, Word};

/// How many datagrams of events are read before others get their turn.
const EVENTS_AT_ONCE: usize = 256;
/// How often all is asked for when something changes meanwhile.
const DUMPS: usize = 4;
/// How often an entry that is gone at once is made.
const PROBES: usize = 3;
/// How many addresses are looked for again at a time.
const MAX_AGAIN: usize = 256;
/// How many of the kernel's answers are entered before queries get their turn.
const ENTERED_AT_ONCE: usize = 256;
/// How long those wait that nobody could be sent to: two are due by then.
const LATER: Duration = Duration::from_millis(20);

/// Follows the kernel's neighbour table while the configuration says so.
#[derive(Debug)]
pub struct Watcher {
    table: Arc<Neighbours>,
    clock: Clock,
    condition: Condition,
    follower: Option<Arc<Follower>>,
}

impl Watcher {
    /// One that follows nothing yet.
    pub fn new(table: Arc<Neighbours>, clock: Clock, condition: Condition) -> Self {
        Self {
            table,
            clock,
            condition,
            follower: None,
        }
    }

    /// Begins or ends to follow. Afterwards the table holds what the kernel knows now, or nothing
    /// from it.
    pub async fn turn(&mut self, is_wanted: bool) {
        if is_wanted == self.follower.is_some() {
            return;
        }
        if !is_wanted {
            self.follower = None;
            self.table.set_feed(None);
            self.table.set_watching(false);
            self.table.retain(Witness::Kernel, |_| false);
            self.condition.set(State::Off);
            return;
        }
        let (table, clock) = (Arc::clone(&self.table), self.clock.clone());
        let begun = tokio::task::spawn_blocking(move || Follower::begin(&table, clock)).await;
        match begun.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(follower) => {
                let follower = Arc::new(follower);
                self.table.set_feed(Some(Arc::clone(&follower) as _));
                self.table.set_watching(true);
                self.follower = Some(follower);
                self.condition.set(State::Works);
            }
            Err(error) => {
                let state = State::Missing(error.to_string());
                // Tried again at each reload, told of once.
                if self.condition.get() != state {
                    warn!(
                        %error,
                        "the kernel's neighbour table cannot be read: MAC addresses are not seen"
                    );
                }
                self.condition.set(state);
            }
        }
    }

    /// Follows, and serves `requests`, until the sender of `wanted` is gone. What that holds is what
    /// the configuration says; it is looked at whenever it is sent, changed or not.
    pub async fn serve(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut wanted: watch::Receiver<bool>,
    ) {
        loop {
            let is_wanted = *wanted.borrow_and_update();
            self.turn(is_wanted).await;
            let ended = match &self.follower {
                Some(follower) => {
                    let follower = Arc::clone(follower);
                    self.follow(&follower, &mut requests, &mut wanted).await
                }
                None => self.decline(&mut requests, &mut wanted).await,
            };
            match ended {
                Ok(()) if wanted.has_changed().is_err() => return,
                Ok(()) => {}
                Err(error) => {
                    warn!(%error, "the kernel's neighbour table is no longer followed");
                    self.turn(false).await;
                    self.condition.set(State::Missing(error.to_string()));
                    if wanted.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Follows until the configuration may want something else.
    async fn follow(
        &self,
        follower: &Arc<Follower>,
        requests: &mut mpsc::Receiver<Request>,
        wanted: &mut watch::Receiver<bool>,
    ) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "what replaces it is `unsafe`; the descriptor is ours and stays open"
        )]
        let socket = AsyncFd::with_interest(follower.socket(), Interest::READABLE)?;
        let mut looked_for = Vec::new();
        let mut later = Vec::new();
        let mut due = tokio::time::interval(LATER);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // One at a time.
        let mut job = JoinSet::new();
        loop {
            if job.is_empty() {
                let todo = follower.take_todo();
                looked_for.extend(todo.again);
                if later.is_empty() && !todo.later.is_empty() {
                    due.reset();
                }
                later.extend(todo.later);
                if todo.changed_links || todo.lost || !looked_for.is_empty() {
                    let requests = std::mem::take(&mut looked_for);
                    let (follower, table) = (Arc::clone(follower), Arc::clone(&self.table));
                    job.spawn_blocking(move || {
                        if todo.changed_links || todo.lost {
                            follower.look_at_all(&table, todo.lost)?;
                        }
                        follower.look_for(&table, &requests);
                        Ok(())
                    });
                }
            }
            tokio::select! {
                ready = socket.readable() => {
                    let mut ready = ready?;
                    if follower.read(&self.table) {
                        ready.clear_ready();
                    }
                    drop(ready);
                    tokio::task::yield_now().await;
                }
                () = follower.is_needed.notified() => {}
                Some(request) = requests.recv(), if job.is_empty() => {
                    looked_for.push(request);
                    while let Ok(next) = requests.try_recv() {
                        looked_for.push(next);
                    }
                }
                _ = due.tick(), if !later.is_empty() => looked_for.append(&mut later),
                Some(done) = job.join_next() => warn_of(done),
                _ = wanted.changed() => break,
            }
        }
        // What is being looked for now must not be entered after it is no longer wanted.
        while let Some(done) = job.join_next().await {
            warn_of(done);
        }
        Ok(())
    }

    /// Tells whoever asks that nobody looks, until the configuration may want something else.
    async fn decline(
        &self,
        requests: &mut mpsc::Receiver<Request>,
        wanted: &mut watch::Receiver<bool>,
    ) -> io::Result<()> {
        loop {
            tokio::select! {
                Some(request) = requests.recv() => {
                    let place = Place::new(request.address, request.interface);
                    self.table.give_up(place);
                }
                _ = wanted.changed() => return Ok(()),
            }
        }
    }
}

fn warn_of(done: Result<io::Result<()>, JoinError>) {
    let said = done.unwrap_or_else(|error| Err(io::Error::other(error)));
    if let Err(error) = said {
        warn!(%error, "the kernel's neighbour table could not be read again");
    }
}

/// One stretch of following.
#[derive(Debug)]
struct Follower {
    stream: Mutex<Stream>,
    asker: Mutex<Asker>,
    /// Told when there is something to do beside reading events.
    is_needed: Notify,
}

/// What the kernel tells by itself, and how far it was read.
#[derive(Debug)]
struct Stream {
    events: Events,
    links: Vec<Link>,
    /// While the kernel is asked something: what it told by itself meanwhile, which may be newer
    /// than its answer.
    overtaken: Option<HashSet<Place>>,
    todo: Todo,
}

/// What reading events leaves to be done.
#[derive(Debug, Default)]
struct Todo {
    /// Addresses of this machine came or went.
    changed_links: bool,
    /// Events were lost.
    lost: bool,
    /// Addresses that are waited for and that the kernel gave up or forgot.
    again: Vec<Request>,
    /// Those that nothing could be sent to just now.
    later: Vec<Request>,
}

/// What came of making the kernel look for an address.
enum Sought {
    /// It looks.
    Begun,
    /// Nothing could be sent just now.
    Later,
    /// It does not.
    Hopeless,
}

/// How the kernel is asked.
#[derive(Debug)]
struct Asker {
    questions: Questions,
    probe: Probe,
}

impl Follower {
    /// Follows from now on, with all there is in `table`.
    fn begin(table: &Neighbours, clock: Clock) -> io::Result<Self> {
        let this = Self {
            stream: Mutex::new(Stream {
                events: Events::open()?,
                links: Vec::new(),
                overtaken: None,
                todo: Todo::default(),
            }),
            asker: Mutex::new(Asker {
                questions: Questions::open()?,
                probe: Probe::new(clock),
            }),
            is_needed: Notify::new(),
        };
        this.look_at_all(table, true)?;
        Ok(this)
    }

    fn socket(&self) -> Arc<OwnedFd> {
        self.stream().events.socket()
    }

    fn take_todo(&self) -> Todo {
        std::mem::take(&mut self.stream().todo)
    }

    /// Enters what the kernel told until now; false if there may be more.
    fn read(&self, table: &Neighbours) -> bool {
        let mut stream = self.stream();
        let is_all = stream.read(table);
        if !stream.todo.is_empty() {
            self.is_needed.notify_one();
        }
        is_all
    }

    /// Reads the addresses of this machine, and if they are others than before or `anyway`, all
    /// neighbours.
    fn look_at_all(&self, table: &Neighbours, anyway: bool) -> io::Result<()> {
        let links = links::read()?;
        {
            let mut stream = self.stream();
            if links == stream.links && !anyway {
                return Ok(());
            }
            stream.read(table);
            stream.links.clone_from(&links);
            stream.overtaken = Some(HashSet::new());
        }
        table.set_links(links);
        let told = self.asker().all();
        let known: Vec<Change> = match &told {
            Ok(told) => {
                let stream = self.stream();
                let neighbours = told.messages.iter().filter_map(|message| match message {
                    Message::Neighbour(neighbour) => stream.change(neighbour),
                    _ => None,
                });
                neighbours.filter(|change| change.mac.is_some()).collect()
            }
            Err(_) => Vec::new(),
        };
        // Queries wait for this lock; they get their turn between two parts.
        for part in known.chunks(ENTERED_AT_ONCE) {
            let mut stream = self.stream();
            stream.read(table);
            // What was lost may be newer; there is another look.
            if stream.todo.lost {
                break;
            }
            let is_newest = |change: &&Change| !stream.is_overtaken(change.place);
            table.apply(part.iter().filter(is_newest).copied().collect::<Vec<_>>());
        }
        let mut stream = self.stream();
        stream.read(table);
        let mut kept = stream.overtaken.take().unwrap_or_default();
        let told = told?;
        if stream.todo.lost {
            return Ok(());
        }
        kept.extend(known.iter().map(|change| change.place));
        if told.is_partial {
            debug!("neighbours changed while they were told of: what is old is kept");
        } else {
            table.retain(Witness::Kernel, |place| kept.contains(&place));
        }
        Ok(())
    }

    /// Finds out who is behind some addresses, or makes the kernel find out.
    fn look_for(&self, table: &Neighbours, requests: &[Request]) {
        if requests.is_empty() {
            return;
        }
        let links = {
            let mut stream = self.stream();
            stream.read(table);
            stream.overtaken = Some(HashSet::new());
            stream.links.clone()
        };
        let mut asker = self.asker();
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        // Others may have lost patience.
        let is_awaited = |it: &&Request| table.is_awaited(Place::new(it.address, it.interface));
        for request in requests.iter().filter(is_awaited) {
            match asker.one(request, &links) {
                Entry::Is(neighbour) => found.push(neighbour),
                Entry::Pending | Entry::None | Entry::Unheard => unknown.push(request),
            }
        }
        {
            let mut stream = self.stream();
            stream.read(table);
            let overtaken = stream.overtaken.take().unwrap_or_default();
            // Where something was lost, the look at all that follows finds them, too.
            if !stream.todo.lost {
                let changes = found.iter().filter_map(|it| stream.change(it));
                let changes = changes.filter(|change| !overtaken.contains(&change.place));
                table.apply(changes.collect::<Vec<_>>());
            }
        }
        let mut later = Vec::new();
        for request in unknown {
            let place = Place::new(request.address, request.interface);
            if !table.is_awaited(place) {
                continue;
            }
            match asker.resolve(request, &links) {
                Sought::Begun => {}
                Sought::Later => later.push(*request),
                Sought::Hopeless => table.give_up(place),
            }
        }
        self.stream().todo.later.extend(later);
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asker(&self) -> MutexGuard<'_, Asker> {
        self.asker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed for Follower {
    fn catch_up(&self, table: &Neighbours) {
        // Should there be more, who follows reads on.
        let _is_all = self.read(table);
    }
}

impl Stream {
    /// Enters all that the kernel told until now; false if there may be more.
    fn read(&mut self, table: &Neighbours) -> bool {
        let mut changes = Vec::new();
        let mut is_all = false;
        for _ in 0..EVENTS_AT_ONCE {
            let Some(messages) = self.events.next() else {
                is_all = true;
                break;
            };
            self.todo
                .take_in(messages, &self.links, table, &mut changes);
        }
        self.enter(changes, table);
        is_all
    }

    /// Enters changes, unless some before or after them were lost.
    fn enter(&mut self, changes: Vec<Change>, table: &Neighbours) {
        if self.todo.lost {
            // Any address may have changed hands. Until the look at all, which follows, nobody is
            // known by what was said before.
            table.retain(Witness::Kernel, |_| false);
            return;
        }
        if changes.is_empty() {
            return;
        }
        if let Some(overtaken) = &mut self.overtaken {
            overtaken.extend(changes.iter().map(|change| change.place));
        }
        for change in changes.iter().filter(|change| change.mac.is_none()) {
            if self.todo.again.len() < MAX_AGAIN && table.is_awaited(change.place) {
                let (address, interface) = change.place.address();
                self.todo.again.push(Request {
                    address,
                    interface: interface.unwrap_or(0),
                });
            }
        }
        table.apply(changes);
    }

    /// Whether the kernel told of an address by itself since it was asked.
    fn is_overtaken(&self, place: Place) -> bool {
        let overtaken = self.overtaken.as_ref();
        overtaken.is_some_and(|overtaken| overtaken.contains(&place))
    }

    fn change(&self, neighbour: &Neighbour) -> Option<Change> {
        change(neighbour, &self.links)
    }
}

/// What a neighbour's entry changes; nothing if it is none of those whom answers reach.
fn change(neighbour: &Neighbour, links: &[Link]) -> Option<Change> {
    let Neighbour {
        address,
        interface,
        word,
    } = *neighbour;
    links::counts(links, address, interface).then(|| Change {
        place: Place::new(address, interface),
        witness: Witness::Kernel,
        mac: match word {
            Word::Is(mac) => Some(mac),
            Word::Unknown | Word::Gone => None,
        },
    })
}

impl Todo {
    const fn is_empty(&self) -> bool {
        !self.changed_links && !self.lost && self.again.is_empty() && self.later.is_empty()
    }

    /// Takes in a datagram of events: what it changes, and what is to be done.
    fn take_in(
        &mut self,
        messages: Messages<'_>,
        links: &[Link],
        table: &Neighbours,
        changes: &mut Vec<Change>,
    ) {
        for message in messages {
            match message {
                Message::Neighbour(neighbour) => changes.extend(change(&neighbour, links)),
                Message::Address => self.changed_links = true,
                Message::Interface => table.note_interfaces(),
                Message::Lost => {
                    self.lost = true;
                    table.note_interfaces();
                }
                Message::Done { .. } | Message::Error { .. } | Message::Other => {}
            }
        }
    }
}

/// What the kernel has of one address.
enum Entry {
    /// Its MAC address.
    Is(Neighbour),
    /// An entry without one: it may be on its way.
    Pending,
    /// Nothing.
    None,
    /// It does not answer such questions.
    Unheard,
}

impl Asker {
    /// All neighbours of both families. One of the families may not be there.
    fn all(&mut self) -> io::Result<Told> {
        let mut told = self.all_of(Family::V4)?;
        let v6 = self.all_of(Family::V6)?;
        told.messages.extend(v6.messages);
        told.is_partial |= v6.is_partial;
        Ok(told)
    }

    fn all_of(&mut self, family: Family) -> io::Result<Told> {
        let mut told = Told::default();
        for _ in 0..DUMPS {
            told = self
                .questions
                .ask(|sequence| wire::ask_for_all(family, sequence))?;
            if !told.is_partial {
                break;
            }
        }
        Ok(told)
    }

    /// What the kernel has of an address, on any of the links where it may be.
    fn one(&mut self, request: &Request, links: &[Link]) -> Entry {
        let mut best = Entry::None;
        for interface in links::interfaces_of(links, request) {
            let address = request.address;
            let asked = self
                .questions
                .ask(|sequence| wire::ask_for_one(address, interface, sequence));
            let told = match asked {
                Ok(told) => told,
                Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => continue,
                Err(_) => {
                    best = Entry::Unheard;
                    continue;
                }
            };
            for message in told.messages {
                match message {
                    Message::Neighbour(it) if it.address == address => match it.word {
                        Word::Is(_) => return Entry::Is(it),
                        Word::Unknown | Word::Gone => best = Entry::Pending,
                    },
                    _ => {}
                }
            }
        }
        best
    }

    /// Makes the kernel look for an address.
    fn resolve(&mut self, request: &Request, links: &[Link]) -> Sought {
        if !links::is_a_neighbours(links, request.address) {
            return Sought::Hopeless;
        }
        for _ in 0..PROBES {
            match self.probe.send(request.address, request.interface) {
                Ok(()) => {}
                Err(error) => {
                    debug!(address = %request.address, %error, "not looked for");
                    return if error.is_passing() {
                        Sought::Later
                    } else {
                        Sought::Hopeless
                    };
                }
            }
            // Sending made the entry, unless the way to the address leads elsewhere, or somebody
            // has deleted it since.
            if !matches!(self.one(request, links), Entry::None) {
                return Sought::Begun;
            }
        }
        Sought::Hopeless
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::Mac;

    /// What the kernel says next may be about any of those it was silent of.
    #[test]
    fn when_something_was_lost_nobody_is_known_by_what_was_said_before() {
        let (table, _service) = Neighbours::new();
        let mut stream = Stream {
            events: Events::open().unwrap(),
            links: vec![Link {
                interface: 3,
                net: "192.0.2.1/24".parse().unwrap(),
            }],
            overtaken: None,
            todo: Todo::default(),
        };
        let place = |address: &str| Place::new(address.parse().unwrap(), 3);
        let says = |address: &str, witness| Change {
            place: place(address),
            witness,
            mac: Mac::new([2, 0, 0x5e, 0x10, 0, 1]).ok(),
        };
        let before = says("192.0.2.7", Witness::Kernel);
        stream.enter(vec![before], &table);
        table.apply([says("192.0.2.7", Witness::Lease)]);
        let said_by = |address: &str, witness| table.find(place(address))?.by(witness);
        assert!(said_by("192.0.2.7", Witness::Kernel).is_some());

        let mut changes = vec![says("192.0.2.8", Witness::Kernel)];
        stream
            .todo
            .take_in(Messages::lost(), &stream.links, &table, &mut changes);
        stream.enter(changes, &table);
        for address in ["192.0.2.7", "192.0.2.8"] {
            assert_eq!(said_by(address, Witness::Kernel), None, "{address}");
        }
        assert!(said_by("192.0.2.7", Witness::Lease).is_some());
        assert!(!stream.todo.is_empty());
    }
}
