//! Where questions wait for a place in the table of those in flight.
//!
//! A page that asks for a hundred names at once is no flood: those for which the device has no place
//! at the moment wait here, in the order they came, until one is free or their time is over. The
//! room is bounded, for each client too, so that a real flood finds it full and is told at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::flight::Client;

/// How often a freed place is offered on to the next when the first cannot use it: its own client
/// or parent may still have no room.
const OFFERS: usize = 16;

/// The room.
#[derive(Debug)]
pub(super) struct Room {
    freed: Notify,
    offers: AtomicUsize,
    inside: Mutex<HashMap<Client, usize>>,
    places: usize,
}

/// A chair in the room, given back when dropped.
#[derive(Debug)]
pub(super) struct Chair<'r> {
    room: &'r Room,
    client: Client,
}

impl Room {
    /// A room for `places` questions, a quarter of them for one client at most.
    pub(super) fn new(places: usize) -> Self {
        Self {
            freed: Notify::new(),
            offers: AtomicUsize::new(0),
            inside: Mutex::default(),
            places: places.max(4),
        }
    }

    /// Takes a chair for `client`, if there is one.
    pub(super) fn sit_down(&self, client: Client) -> Option<Chair<'_>> {
        let mut inside = self.inside();
        if !self.has_room(&inside, client) {
            return None;
        }
        *inside.entry(client).or_default() += 1;
        Some(Chair { room: self, client })
    }

    /// Whether there is a chair for `client`.
    pub(super) fn has_chair(&self, client: Client) -> bool {
        self.has_room(&self.inside(), client)
    }

    fn has_room(&self, inside: &HashMap<Client, usize>, client: Client) -> bool {
        let own = inside.get(&client).copied().unwrap_or(0);
        own < self.places / 4 && inside.values().sum::<usize>() < self.places
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the table is free: whoever waits longest may try.
    pub(super) fn offer(&self) {
        self.offers.store(OFFERS, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// Whoever tried could not use it: the next may.
    pub(super) fn offer_on(&self) {
        let take_one = |left: usize| left.checked_sub(1);
        let taken = self
            .offers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one);
        if taken.is_ok() {
            self.freed.notify_one();
        }
    }

    /// Waits for an offer.
    pub(super) async fn offered(&self) {
        self.freed.notified().await;
    }
}

impl Drop for Chair<'_> {
    fn drop(&mut self) {
        let mut inside = self.room.inside();
        match inside.get_mut(&self.client) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(inside.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_gets_a_quarter_and_chairs_come_back() {
        let room = Room::new(8);
        let [one, two] = [Client::Device("one"), Client::Device("two")];
        let first = room.sit_down(one).unwrap();
        let _second = room.sit_down(one).unwrap();
        assert!(room.sit_down(one).is_none() && !room.has_chair(one));
        assert!(room.has_chair(two));
        assert!(room.sit_down(two).is_some());
        drop(first);
        assert!(room.sit_down(one).is_some());
    }
}
