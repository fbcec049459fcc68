//! Questions in flight: places, ids, and who waits for whom.

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
        via: 0,
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

/// A question of which nobody was told yet, and then is.
#[tokio::test]
async fn who_only_holds_a_place_hears_the_outcome_or_that_the_place_is_lost() {
    let table = Table::new(8, 64);
    let (lead, wait) = table.enter_at_once(&question("a.test"), client(1)).unwrap();
    let again = table.enter_at_once(&question("a.test"), client(1));
    assert!(again.is_none(), "it is asked already");
    let heard = table.listen(wait).unwrap();
    lead.finish(&Err(Failure::NoServers));
    assert_eq!(heard.outcome().await, Err(Failure::NoServers));
    // A joiner hears at once that it was displaced, the other when it listens.
    let (_lead, wait) = table
        .enter_at_once(&question("a.flood.test"), client(1))
        .unwrap();
    let (mut joined, none) = table.enter(&question("a.flood.test"), client(2)).unwrap();
    assert!(none.is_none());
    let mut held = vec![table.enter(&question("b.flood.test"), client(1)).unwrap()];
    for parent in ["b", "c", "d", "e", "f", "g", "h"] {
        let name = format!("a.{parent}.test");
        held.push(table.enter(&question(&name), client(1)).unwrap());
    }
    assert_eq!(told(&mut joined), Some(Failure::Overloaded(Cap::Table)));
    let lost = table.listen(wait).map(|_| ());
    assert_eq!(lost, Err(Failure::Overloaded(Cap::Table)));
    assert_eq!(table.load().questions, 8);
}

#[test]
fn nobody_goes_for_who_is_in_a_hurry() {
    let table = Table::new(4, 64);
    let held: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| table.enter_at_once(&question(&format!("{name}.test")), client(1)))
        .into();
    assert!(held.iter().all(Option::is_some));
    assert!(
        table
            .enter_at_once(&question("e.test"), client(2))
            .is_none()
    );
    assert_eq!(table.load().questions, 4);
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
    fn room(held: &[(u64, u8)], places: usize, part: usize, own: u8) -> Result<Option<u64>, ()> {
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
        let own =
            |model: &Self| Self::room(&model.of_client(client), PER_CLIENT, PER_CLIENT / 2, q.0);
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
    /// One id without memory of its own, several as a set.
    #[test]
    fn ids_are_a_set(steps in prop::collection::vec((0..5_u64, any::<bool>()), 0..40)) {
        let (mut ids, mut model) = (Ids::default(), BTreeSet::new());
        for (id, is_in) in steps {
            if is_in {
                prop_assert_eq!(ids.insert(id), model.insert(id));
            } else {
                prop_assert_eq!(ids.remove(id), model.remove(&id));
            }
            prop_assert_eq!(ids.len(), model.len());
            prop_assert_eq!(ids.first(), model.first().copied());
        }
    }
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
