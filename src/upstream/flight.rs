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

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::failure::{Cap, Failure};
use super::room::Room;
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
pub(super) type Outcome = Result<Arc<Answer>, Failure>;

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
                flying: HashMap::new(),
                flights: HashMap::new(),
                waits: HashMap::new(),
                clients: HashMap::new(),
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
        let parent = self
            .keys
            .hash_one(question.qname.as_ref().registrable_guess());
        let mut ended = Ended::default();
        let (tell, outcome) = oneshot::channel();
        let mut places = self.places();
        let (id, led) = places
            .enter(question, client, parent, self.per_client, tell, &mut ended)
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
    flying: HashMap<Question, u64>,
    flights: HashMap<u64, Flight>,
    waits: HashMap<u64, Waiter>,
    clients: HashMap<Client, Shares>,
    flight_shares: Shares,
    wait_shares: Shares,
}

#[derive(Debug)]
struct Flight {
    question: Question,
    parent: u64,
    waits: Vec<u64>,
    task: Option<AbortHandle>,
}

#[derive(Debug)]
struct Waiter {
    client: Client,
    parent: u64,
    flight: u64,
    tell: oneshot::Sender<Outcome>,
}

impl Places {
    /// The id of the new wait, and that of its flight if it is a new one.
    fn enter(
        &mut self,
        question: &Question,
        client: Client,
        parent: u64,
        per_client: usize,
        tell: oneshot::Sender<Outcome>,
        ended: &mut Ended,
    ) -> Result<(u64, Option<u64>), Cap> {
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
                        waits: Vec::with_capacity(1),
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
        if let Some(failure) = failure {
            ended.told.push((waiter.tell, Err(failure)));
        }
        if let Some(flight) = self.flights.get_mut(&waiter.flight) {
            flight.waits.retain(|&other| other != wait);
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
            if let Some(waiter) = self.give_back(wait) {
                ended.told.push((waiter.tell, outcome.clone()));
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
    parents: HashMap<u64, BTreeSet<u64>>,
}

impl Shares {
    fn new(places: usize, per_parent: usize) -> Self {
        Self {
            places,
            per_parent: per_parent.max(1),
            held: 0,
            parents: HashMap::new(),
        }
    }

    /// Whether there is room for one more of `parent`, and who has to go for it.
    fn room(&self, parent: u64) -> Result<Option<u64>, Cap> {
        let own = self.parents.get(&parent).map_or(0, BTreeSet::len);
        if own >= self.per_parent {
            return Err(Cap::Parent);
        }
        if self.held < self.places {
            return Ok(None);
        }
        let most = self
            .parents
            .values()
            .filter_map(|ids| Some((ids.len(), *ids.first()?)))
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
            if ids.remove(&id) {
                self.held -= 1;
            }
            if ids.is_empty() {
                self.parents.remove(&parent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::name::NameBuf;

    fn question(name: &str) -> Question {
        Question {
            qname: NameBuf::parse(name).unwrap(),
            qtype: 1,
            dnssec_ok: false,
            checking_disabled: false,
        }
    }

    fn client(index: u8) -> Client {
        Client::Address(IpAddr::from([192, 0, 2, index]))
    }

    /// What became of a wait by now.
    fn told(wait: &mut Wait) -> Option<Failure> {
        match wait.outcome.try_recv() {
            Ok(Ok(_)) => panic!("no answers here"),
            Ok(Err(failure)) => Some(failure),
            Err(_) => None,
        }
    }

    #[test]
    fn the_example_of_the_docs() {
        // A client's half of 64 does not matter here.
        let table = Table::new(16, 64);
        let mut held = Vec::new();
        for index in 0..4 {
            held.push(table.enter(&question(&format!("{index}.flood.test")), client(1)));
        }
        // A quarter of 16.
        assert_eq!(
            table
                .enter(&question("4.flood.test"), client(1))
                .unwrap_err(),
            Failure::Overloaded(Cap::Parent)
        );
        for index in 0..12 {
            held.push(table.enter(&question(&format!("www.quiet{index}.test")), client(1)));
        }
        let (_wait, lead) = table.enter(&question("late.test"), client(1)).unwrap();
        assert!(lead.is_some());
        let (mut oldest, _lead) = held.remove(0).unwrap();
        assert_eq!(told(&mut oldest), Some(Failure::Overloaded(Cap::Table)));
        for other in &mut held {
            assert_eq!(told(&mut other.as_mut().unwrap().0), None);
        }
        assert_eq!(table.load().questions, 16);
    }

    #[test]
    fn equal_questions_share_one_flight_and_count_for_their_client() {
        let table = Table::new(512, 4);
        let q = question("a.test");
        let (first, lead) = table.enter(&q, client(1)).unwrap();
        assert!(lead.is_some());
        let (second, none) = table.enter(&q, client(1)).unwrap();
        assert!(none.is_none());
        assert_eq!(
            table.enter(&q, client(1)).unwrap_err(),
            Failure::Overloaded(Cap::Client),
            "half of a client's share for one parent"
        );
        let (third, none) = table.enter(&q, client(2)).unwrap();
        assert!(none.is_none());
        assert_eq!(
            table.load(),
            Load {
                questions: 1,
                waits: 3
            }
        );
        lead.unwrap().finish(&Err(Failure::NoServers));
        for mut wait in [first, second, third] {
            assert_eq!(told(&mut wait), Some(Failure::NoServers));
        }
        assert_eq!(table.load(), Load::default());
        assert!(table.places().clients.is_empty());
    }

    #[test]
    fn a_clients_own_newcomer_ends_its_own_wait_but_not_anothers() {
        let table = Table::new(512, 4);
        let shared = question("a.flood.test");
        let (mut mine, _lead) = table.enter(&shared, client(1)).unwrap();
        let (mut others, _) = table.enter(&shared, client(2)).unwrap();
        let _second = table.enter(&question("b.flood.test"), client(1)).unwrap();
        let _third = table.enter(&question("a.quiet.test"), client(1)).unwrap();
        let _fourth = table.enter(&question("a.calm.test"), client(1)).unwrap();
        let _fifth = table.enter(&question("a.still.test"), client(1)).unwrap();
        assert_eq!(told(&mut mine), Some(Failure::Overloaded(Cap::Client)));
        assert_eq!(told(&mut others), None);
    }

    #[test]
    fn a_question_nobody_waits_for_is_given_up() {
        let table = Table::new(512, 64);
        let (first, lead) = table.enter(&question("a.test"), client(1)).unwrap();
        let (second, _) = table.enter(&question("a.test"), client(2)).unwrap();
        drop(first);
        assert_eq!(table.load().questions, 1, "a follower still waits");
        drop(second);
        assert_eq!(table.load(), Load::default());
        drop(lead);
    }

    #[tokio::test]
    async fn an_exchange_that_dies_tells_its_waiters() {
        let table = Table::new(512, 64);
        let (wait, lead) = table.enter(&question("a.test"), client(1)).unwrap();
        drop(lead);
        assert_eq!(wait.outcome().await, Err(Failure::GivenUp));
        assert_eq!(table.load(), Load::default());
    }

    #[tokio::test]
    async fn a_displaced_task_is_ended() {
        let table = Table::new(8, 64);
        let (first, lead) = table.enter(&question("a.a.test"), client(1)).unwrap();
        let lead = lead.unwrap();
        let flight = lead.flight();
        let task = tokio::spawn(async move {
            let _lead = lead;
            std::future::pending::<()>().await;
        });
        table.is_carried_by(flight, task.abort_handle());
        let mut held = vec![table.enter(&question("b.a.test"), client(1)).unwrap()];
        for parent in ["b", "c", "d", "e", "f", "g", "h"] {
            held.push(
                table
                    .enter(&question(&format!("a.{parent}.test")), client(1))
                    .unwrap(),
            );
        }
        assert_eq!(
            first.outcome().await,
            Err(Failure::Overloaded(Cap::Table)),
            "the older of two"
        );
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(table.load().questions, 8);
    }

    /// The same rules, over a plain list.
    #[derive(Default)]
    struct Model {
        /// Flight id, question (parent, label).
        flights: Vec<(u64, (u8, u8))>,
        /// Wait id, client, flight.
        waits: Vec<(u64, u8, u64)>,
        last_id: u64,
    }

    const IN_FLIGHT: usize = 8;
    const PER_CLIENT: usize = 6;

    impl Model {
        fn parent(&self, flight: u64) -> u8 {
            self.flights
                .iter()
                .find(|(id, _)| *id == flight)
                .unwrap()
                .1
                .0
        }

        /// `held` is id and parent of each entry in the scope, in order of age.
        fn room(
            held: &[(u64, u8)],
            places: usize,
            part: usize,
            own: u8,
        ) -> Result<Option<u64>, ()> {
            let mut counts = BTreeMap::<u8, usize>::new();
            for (_, parent) in held {
                *counts.entry(*parent).or_default() += 1;
            }
            let mine = counts.get(&own).copied().unwrap_or(0);
            if mine >= part.max(1) {
                return Err(());
            }
            if held.len() < places {
                return Ok(None);
            }
            let most = counts.values().copied().max().unwrap();
            if most <= mine + 1 {
                return Err(());
            }
            Ok(held
                .iter()
                .find(|(_, parent)| counts[parent] == most)
                .map(|(id, _)| *id))
        }

        fn of_client(&self, client: u8) -> Vec<(u64, u8)> {
            self.waits
                .iter()
                .filter(|wait| wait.1 == client)
                .map(|wait| (wait.0, self.parent(wait.2)))
                .collect()
        }

        fn all_waits(&self) -> Vec<(u64, u8)> {
            self.waits
                .iter()
                .map(|wait| (wait.0, self.parent(wait.2)))
                .collect()
        }

        fn all_flights(&self) -> Vec<(u64, u8)> {
            self.flights.iter().map(|(id, q)| (*id, q.0)).collect()
        }

        fn end_wait(&mut self, wait: u64) {
            self.waits.retain(|other| other.0 != wait);
            let waits = &self.waits;
            self.flights
                .retain(|(id, _)| waits.iter().any(|wait| wait.2 == *id));
        }

        fn enter(&mut self, client: u8, q: (u8, u8)) -> Option<u64> {
            let flying = self.flights.iter().find(|(_, other)| *other == q).copied();
            let all = IN_FLIGHT * WAITS_PER_FLIGHT_PLACE;
            let own = |model: &Self| {
                Self::room(&model.of_client(client), PER_CLIENT, PER_CLIENT / 2, q.0)
            };
            let waits = |model: &Self| Self::room(&model.all_waits(), all, all / 4, q.0);
            let flights =
                |model: &Self| Self::room(&model.all_flights(), IN_FLIGHT, IN_FLIGHT / 4, q.0);
            own(self).ok()?;
            waits(self).ok()?;
            if flying.is_none() {
                flights(self).ok()?;
            }
            if let Ok(Some(wait)) = own(self) {
                self.end_wait(wait);
            }
            if let Ok(Some(wait)) = waits(self) {
                self.end_wait(wait);
            }
            let flight = match flying {
                Some((flight, _)) => flight,
                None => {
                    if let Ok(Some(flight)) = flights(self) {
                        self.flights.retain(|(id, _)| *id != flight);
                        self.waits.retain(|wait| wait.2 != flight);
                    }
                    self.last_id += 1;
                    self.flights.push((self.last_id, q));
                    self.last_id
                }
            };
            self.last_id += 1;
            self.waits.push((self.last_id, client, flight));
            Some(self.last_id)
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Enter { client: u8, q: (u8, u8) },
        Leave(usize),
        Finish(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (0..8_u8, (0..6_u8, 0..6_u8)).prop_map(|(client, q)| Step::Enter { client, q }),
            1 => (0..64_usize).prop_map(Step::Leave),
            1 => (0..64_usize).prop_map(Step::Finish),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_table_is_the_list(steps in steps()) {
            let table = Table::new(IN_FLIGHT, PER_CLIENT);
            let mut model = Model::default();
            let mut waits = BTreeMap::new();
            let mut leads = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Enter { client: who, q } => {
                        let name = format!("l{}.p{}.test", q.1, q.0);
                        let entered = table.enter(&question(&name), client(who));
                        let expected = model.enter(who, q);
                        prop_assert_eq!(entered.is_ok(), expected.is_some());
                        if let (Ok((wait, lead)), Some(id)) = (entered, expected) {
                            prop_assert_eq!(wait.id, id);
                            if let Some(lead) = lead {
                                leads.insert(lead.flight(), lead);
                            }
                            waits.insert(id, wait);
                        }
                    }
                    Step::Leave(which) => {
                        if let Some(id) = waits.keys().copied().nth(which) {
                            waits.remove(&id);
                            model.end_wait(id);
                        }
                    }
                    Step::Finish(which) => {
                        if let Some(id) = leads.keys().copied().nth(which) {
                            leads.remove(&id).unwrap().finish(&Err(Failure::NoServers));
                            model.flights.retain(|(flight, _)| *flight != id);
                            model.waits.retain(|wait| wait.2 != id);
                        }
                    }
                }
                // Who is no longer in the model has been told, and nobody else.
                waits.retain(|id, wait| {
                    let lives = model.waits.iter().any(|other| other.0 == *id);
                    assert_eq!(told(wait).is_none(), lives);
                    lives
                });
                leads.retain(|id, _| model.flights.iter().any(|(flight, _)| flight == id));
                let places = table.places();
                prop_assert_eq!(places.flights.len(), model.flights.len());
                prop_assert_eq!(places.flying.len(), model.flights.len());
                prop_assert_eq!(places.waits.len(), model.waits.len());
                prop_assert_eq!(places.flight_shares.held, model.flights.len());
                prop_assert_eq!(places.wait_shares.held, model.waits.len());
                for who in 0..8 {
                    let held = places.clients.get(&client(who)).map_or(0, |shares| shares.held);
                    prop_assert_eq!(held, model.of_client(who).len());
                }
            }
        }
    }
}
