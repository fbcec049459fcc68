//! The table of questions in flight: equal questions share one exchange, and no client and no
//! domain can take the places of the others.
//!
//! A *flight* is one question that is being asked of upstream; a *wait* is one client's interest
//! in it. Both have bounds, and each bound is shared out fairly between the names' parents
//! ([`crate::name::NameRef::registrable_guess`]). When the places are used up, a newcomer takes the
//! place of the oldest entry of the parent that holds most, if the shares are more even afterwards;
//! otherwise the newcomer is turned away. A single parent never gets more than a part of the places.
//!
//! An example with four places: `a.flood.test`, `b.flood.test` and `x.quiet.test` are in flight.
//! `c.flood.test` finds the fourth place free. Then `y.quiet.test` comes: the table is full,
//! `flood.test` holds three, `quiet.test` one, so `a.flood.test` ends at once and `y.quiet.test`
//! takes its place. `d.flood.test` would be turned away: nobody holds more than its own parent.
//!
//! Three such scopes exist: the flights (an exchange costs a task and sockets), all waits (a wait
//! costs the caller's memory), and the waits of one client. The hash map's lock is held for a
//! look-up only; tasks are ended and waiters woken after it is released.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::failure::{Cap, Failure};
use super::room::Room;
use crate::hash::{self, Map};
use crate::message::{Answer, Question};

/// Whose share of the places a question takes: a device, never a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A device somebody named, under all its addresses.
    Device(&'static str),
    /// Any other, by address.
    Address(IpAddr),
}

impl Client {
    /// The device with this label if it has one, else whoever has `address`.
    pub fn new(address: IpAddr, device: Option<&'static str>) -> Self {
        device.map_or(Self::Address(address), Self::Device)
    }
}

/// What an exchange brings to everybody who waits for it.
pub type Outcome = Result<Answer, Failure>;

/// The table of questions in flight.
#[derive(Debug)]
pub(super) struct Table {
    places: Mutex<Places>,
    keys: RandomState,
    per_client: usize,
    /// Where questions wait that found no place.
    room: Room,
}

/// One client's interest in a question. Dropping it gives its place back, and ends the exchange
/// if nobody else waits for it.
#[derive(Debug)]
pub(super) struct Wait {
    table: Arc<Table>,
    id: u64,
    outcome: oneshot::Receiver<Outcome>,
}

/// The duty to ask: held by the exchange of a flight. Dropping it without an outcome tells all
/// who wait that there will be none.
#[derive(Debug)]
pub(super) struct Lead {
    table: Arc<Table>,
    flight: u64,
}

/// How much is in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Questions being asked.
    pub questions: usize,
    /// Clients' queries that wait for them.
    pub waits: usize,
}

/// Waits for each place of a flight: bounds what callers hold while upstream is slow.
const WAITS_PER_FLIGHT_PLACE: usize = 4;
/// Clients' queries that may wait for one question.
const WAITS_PER_QUESTION: usize = 256;

impl Table {
    /// A table of `in_flight` questions, of which one client may wait for `per_client`.
    pub(super) fn new(in_flight: usize, per_client: usize) -> Arc<Self> {
        let in_flight = in_flight.max(4);
        let waits = in_flight * WAITS_PER_FLIGHT_PLACE;
        Arc::new(Self {
            places: Mutex::new(Places {
                last_id: 0,
                flying: hash::map(),
                flights: hash::map(),
                waits: hash::map(),
                clients: hash::map(),
                flight_shares: Shares::new(in_flight, in_flight / 4),
                wait_shares: Shares::new(waits, waits / 4),
            }),
            room: Room::new(in_flight),
            keys: RandomState::new(),
            per_client: per_client.max(2),
        })
    }

    /// Takes a place for `client`'s interest in `question`; with a [`Lead`] if nobody asks it yet.
    ///
    /// # Errors
    /// [`Failure::Overloaded`] when there is no place; nothing has changed then.
    pub(super) fn enter(
        self: &Arc<Self>,
        question: &Question,
        client: Client,
    ) -> Result<(Wait, Option<Lead>), Failure> {
        let mut ended = Ended::default();
        let (tell, outcome) = oneshot::channel();
        let newcomer = self.newcomer(question, client);
        let mut places = self.places();
        let (id, led) = places
            .enter(&newcomer, Some(tell), &mut ended)
            .map_err(Failure::Overloaded)?;
        drop(places);
        ended.carry_out();
        let wait = Wait {
            table: Arc::clone(self),
            id,
            outcome,
        };
        let lead = led.map(|flight| Lead {
            table: Arc::clone(self),
            flight,
        });
        Ok((wait, lead))
    }

    /// The same for a question that nobody asks yet, if nobody has to go for it; with the number of the
    /// wait, whose outcome nobody is told before [`Self::listen`].
    pub(super) fn enter_at_once(
        self: &Arc<Self>,
        question: &Question,
        client: Client,
    ) -> Option<(Lead, u64)> {
        let newcomer = self.newcomer(question, client);
        let mut places = self.places();
        if !places.has_room_for(&newcomer) {
            return None;
        }
        let mut nobody = Ended::default();
        let (id, led) = places.enter(&newcomer, None, &mut nobody).ok()?;
        drop(places);
        let flight = led?;
        let table = Arc::clone(self);
        Some((Lead { table, flight }, id))
    }

    /// Has the outcome told that wait `id` brings.
    ///
    /// # Errors
    /// [`Failure::Overloaded`] if it lost its place meanwhile.
    pub(super) fn listen(self: &Arc<Self>, id: u64) -> Result<Wait, Failure> {
        let (tell, outcome) = oneshot::channel();
        let mut places = self.places();
        let waiter = places.waits.get_mut(&id);
        let waiter = waiter.ok_or(Failure::Overloaded(Cap::Table))?;
        waiter.tell = Some(tell);
        drop(places);
        Ok(Wait {
            table: Arc::clone(self),
            id,
            outcome,
        })
    }

    fn newcomer<'q>(&self, question: &'q Question, client: Client) -> Newcomer<'q> {
        let registrable = question.qname.as_ref().registrable_guess();
        Newcomer {
            question,
            client,
            parent: self.keys.hash_one(registrable),
            per_client: self.per_client,
        }
    }

    /// [`Self::enter`], waiting for a place for a while if there is none.
    ///
    /// # Errors
    /// [`Failure::Overloaded`] when the room to wait in is full too, or at `deadline`.
    pub(super) async fn enter_in_turn(
        self: &Arc<Self>,
        question: &Question,
        client: Client,
        deadline: Instant,
    ) -> Result<(Wait, Option<Lead>), Failure> {
        let refused = match self.enter(question, client) {
            Err(refused @ Failure::Overloaded(_)) => refused,
            other => return other,
        };
        let Some(_chair) = self.room.sit_down(client) else {
            return Err(refused);
        };
        loop {
            if timeout_at(deadline, self.room.offered()).await.is_err() {
                return Err(refused);
            }
            match self.enter(question, client) {
                Err(Failure::Overloaded(_)) => self.room.offer_on(),
                other => return other,
            }
        }
    }

    /// Names the task that asks for `flight`, so that it can be ended when its place is taken.
    pub(super) fn is_carried_by(&self, flight: u64, task: AbortHandle) {
        let mut places = self.places();
        match places.flights.get_mut(&flight) {
            Some(entry) => entry.task = Some(task),
            None => {
                // Displaced or finished between the two steps.
                drop(places);
                task.abort();
            }
        }
    }

    /// How much is in it.
    pub(super) fn load(&self) -> Load {
        let places = self.places();
        Load {
            questions: places.flights.len(),
            waits: places.waits.len(),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// What came of it.
    pub(super) async fn outcome(mut self) -> Outcome {
        // The sender goes only with an outcome, or with the table, which we hold.
        (&mut self.outcome).await.unwrap_or(Err(Failure::GivenUp))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut ended = Ended::default();
        self.table.places().end_wait(self.id, None, &mut ended);
        ended.carry_out();
        self.table.room.offer();
    }
}

impl Lead {
    /// Which flight it leads.
    pub(super) fn flight(&self) -> u64 {
        self.flight
    }

    /// Gives `outcome` to everybody who waits.
    pub(super) fn finish(self, outcome: &Outcome) {
        self.end(outcome);
    }

    fn end(&self, outcome: &Outcome) {
        let mut ended = Ended::default();
        self.table
            .places()
            .end_flight(self.flight, outcome, &mut ended);
        // This is the task itself, at its end: nothing to abort.
        ended.tasks.clear();
        ended.carry_out();
        self.table.room.offer();
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.end(&Err(Failure::GivenUp));
    }
}

/// What is to happen once the lock is released.
#[derive(Debug, Default)]
struct Ended {
    tasks: Vec<AbortHandle>,
    told: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

/// Who wants a place.
struct Newcomer<'q> {
    question: &'q Question,
    client: Client,
    /// The keyed hash of the name's parent.
    parent: u64,
    per_client: usize,
}

impl Ended {
    fn carry_out(self) {
        for task in self.tasks {
            task.abort();
        }
        for (waiter, outcome) in self.told {
            // Fails when the waiter went away meanwhile, and then nobody is left to be told.
            drop(waiter.send(outcome));
        }
    }
}

/// The table's content.
#[derive(Debug)]
struct Places {
    /// Ids of flights and waits grow, so the smallest is the oldest.
    last_id: u64,
    flying: Map<Question, u64>,
    flights: Map<u64, Flight>,
    waits: Map<u64, Waiter>,
    clients: Map<Client, Shares>,
    flight_shares: Shares,
    wait_shares: Shares,
}

#[derive(Debug)]
struct Flight {
    question: Question,
    parent: u64,
    waits: SmallVec<[u64; 1]>,
    task: Option<AbortHandle>,
}

#[derive(Debug)]
struct Waiter {
    client: Client,
    parent: u64,
    flight: u64,
    /// None while it only holds the place.
    tell: Option<oneshot::Sender<Outcome>>,
}

impl Places {
    /// The id of the new wait, and that of its flight if it is a new one.
    fn enter(
        &mut self,
        newcomer: &Newcomer<'_>,
        tell: Option<oneshot::Sender<Outcome>>,
        ended: &mut Ended,
    ) -> Result<(u64, Option<u64>), Cap> {
        let &Newcomer {
            question,
            client,
            parent,
            per_client,
        } = newcomer;
        let flying = self.flying.get(question).copied();
        // First every reason to say no, so that nobody is displaced in vain.
        if let Some(shares) = self.clients.get(&client) {
            shares.room(parent).map_err(|_full| Cap::Client)?;
        }
        self.wait_shares.room(parent)?;
        match flying.and_then(|flight| self.flights.get(&flight)) {
            Some(flight) if flight.waits.len() >= WAITS_PER_QUESTION => return Err(Cap::Question),
            Some(_) => {}
            None => {
                self.flight_shares.room(parent)?;
            }
        }
        // Then room is made, the client's own first: that may be enough for the others.
        if let Some(shares) = self.clients.get(&client)
            && let Ok(Some(wait)) = shares.room(parent)
        {
            self.end_wait(wait, Some(Failure::Overloaded(Cap::Client)), ended);
        }
        if let Ok(Some(wait)) = self.wait_shares.room(parent) {
            self.end_wait(wait, Some(Failure::Overloaded(Cap::Table)), ended);
        }
        if flying.is_none()
            && let Ok(Some(flight)) = self.flight_shares.room(parent)
        {
            self.end_flight(flight, &Err(Failure::Overloaded(Cap::Table)), ended);
        }
        let (flight, led) = match flying {
            Some(flight) => (flight, None),
            None => {
                let flight = self.next_id();
                self.flying.insert(*question, flight);
                self.flight_shares.take(parent, flight);
                self.flights.insert(
                    flight,
                    Flight {
                        question: *question,
                        parent,
                        waits: SmallVec::new(),
                        task: None,
                    },
                );
                (flight, Some(flight))
            }
        };
        let wait = self.next_id();
        self.wait_shares.take(parent, wait);
        self.clients
            .entry(client)
            .or_insert_with(|| Shares::new(per_client, per_client / 2))
            .take(parent, wait);
        if let Some(flight) = self.flights.get_mut(&flight) {
            flight.waits.push(wait);
        }
        self.waits.insert(
            wait,
            Waiter {
                client,
                parent,
                flight,
                tell,
            },
        );
        Ok((wait, led))
    }

    /// Whether nobody asks its question and there are places for it.
    fn has_room_for(&self, newcomer: &Newcomer<'_>) -> bool {
        let parent = newcomer.parent;
        let has_room = |shares: &Shares| matches!(shares.room(parent), Ok(None));
        !self.flying.contains_key(newcomer.question)
            && self.clients.get(&newcomer.client).is_none_or(has_room)
            && has_room(&self.wait_shares)
            && has_room(&self.flight_shares)
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Ends one wait, and its flight if it was the last. Without a failure nobody is told: the
    /// waiter itself went away.
    fn end_wait(&mut self, wait: u64, failure: Option<Failure>, ended: &mut Ended) {
        let Some(waiter) = self.give_back(wait) else {
            return;
        };
        if let (Some(failure), Some(tell)) = (failure, waiter.tell) {
            ended.told.push((tell, Err(failure)));
        }
        if let Some(flight) = self.flights.get_mut(&waiter.flight) {
            flight.waits.retain(|other| *other != wait);
            if flight.waits.is_empty() {
                self.end_flight(waiter.flight, &Err(Failure::GivenUp), ended);
            }
        }
    }

    /// Ends a flight and all its waits with `outcome`.
    fn end_flight(&mut self, flight: u64, outcome: &Outcome, ended: &mut Ended) {
        let Some(entry) = self.flights.remove(&flight) else {
            return;
        };
        self.flying.remove(&entry.question);
        self.flight_shares.give_back(entry.parent, flight);
        ended.tasks.extend(entry.task);
        for wait in entry.waits {
            if let Some(tell) = self.give_back(wait).and_then(|it| it.tell) {
                ended.told.push((tell, outcome.clone()));
            }
        }
    }

    /// Takes a wait out of everything but its flight.
    fn give_back(&mut self, wait: u64) -> Option<Waiter> {
        let waiter = self.waits.remove(&wait)?;
        self.wait_shares.give_back(waiter.parent, wait);
        if let Some(shares) = self.clients.get_mut(&waiter.client) {
            shares.give_back(waiter.parent, wait);
            if shares.held == 0 {
                self.clients.remove(&waiter.client);
            }
        }
        Some(waiter)
    }
}

/// A number of places, shared out between parents.
#[derive(Debug)]
struct Shares {
    places: usize,
    per_parent: usize,
    held: usize,
    /// Who holds how many, by keyed hash of the parent; the smallest id is the oldest.
    parents: Map<u64, Ids>,
}

impl Shares {
    fn new(places: usize, per_parent: usize) -> Self {
        Self {
            places,
            per_parent: per_parent.max(1),
            held: 0,
            parents: hash::map(),
        }
    }

    /// Whether there is room for one more of `parent`, and who has to go for it.
    fn room(&self, parent: u64) -> Result<Option<u64>, Cap> {
        let own = self.parents.get(&parent).map_or(0, Ids::len);
        if own >= self.per_parent {
            return Err(Cap::Parent);
        }
        if self.held < self.places {
            return Ok(None);
        }
        let most = self
            .parents
            .values()
            .filter_map(|ids| Some((ids.len(), ids.first()?)))
            .max_by_key(|&(held, oldest)| (held, std::cmp::Reverse(oldest)));
        match most {
            // Only where that makes the shares more even: of many names with one question each none
            // has to go for another.
            Some((held, oldest)) if held > own + 1 => Ok(Some(oldest)),
            _ => Err(Cap::Table),
        }
    }

    fn take(&mut self, parent: u64, id: u64) {
        if self.parents.entry(parent).or_default().insert(id) {
            self.held += 1;
        }
    }

    fn give_back(&mut self, parent: u64, id: u64) {
        if let Some(ids) = self.parents.get_mut(&parent) {
            if ids.remove(id) {
                self.held -= 1;
            }
            if ids.len() == 0 {
                self.parents.remove(&parent);
            }
        }
    }
}

/// Ids of one parent; most have one at a time, which costs no memory of its own.
#[derive(Debug, Default)]
enum Ids {
    #[default]
    None,
    One(u64),
    Many(BTreeSet<u64>),
}

impl Ids {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(ids) => ids.len(),
        }
    }

    /// The oldest.
    fn first(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::One(id) => Some(*id),
            Self::Many(ids) => ids.first().copied(),
        }
    }

    /// Whether it was not there.
    fn insert(&mut self, id: u64) -> bool {
        match self {
            Self::None => *self = Self::One(id),
            Self::One(only) if *only == id => return false,
            Self::One(only) => *self = Self::Many(BTreeSet::from([*only, id])),
            Self::Many(ids) => return ids.insert(id),
        }
        true
    }

    /// Whether it was there.
    fn remove(&mut self, id: u64) -> bool {
        match self {
            Self::One(only) if *only == id => {
                *self = Self::None;
                true
            }
            Self::None | Self::One(_) => false,
            Self::Many(ids) => ids.remove(&id),
        }
    }
}

#[cfg(test)]
mod tests;
