//! Who holds how many connections, and how much of answers waits to be taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::config::Limits;
use crate::limit::Client;

/// Who holds how many connections, and how much of answers waits to be taken.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<HashMap<Client, Vec<Arc<Notify>>>>,
    /// Octets of finished answers that no client has taken yet, in all connections.
    held: AtomicUsize,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In all.
    pub(super) all: usize,
    /// Of one client.
    pub(super) each: usize,
}

impl Bounds {
    /// Those in the clear.
    pub(super) const fn tcp(limits: &Limits) -> Self {
        Self {
            all: limits.tcp_connections,
            each: limits.tcp_per_client,
        }
    }

    /// Encrypted ones.
    pub(super) const fn encrypted(limits: &Limits) -> Self {
        Self {
            all: limits.encrypted_connections,
            each: limits.encrypted_per_client,
        }
    }

    /// What of these there is beside them for all who come from outside: a quarter.
    pub(super) const fn outside(self) -> Self {
        const fn quarter(of: usize) -> usize {
            of.div_ceil(4)
        }
        Self {
            all: quarter(self.all),
            each: quarter(self.each),
        }
    }
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) places: Arc<Places>,
    client: Client,
    /// Told when somebody who has fewer needs the place.
    pub(super) give_up: Arc<Notify>,
}

/// Octets of finished answers for each connection there may be, on average: a client that asks for
/// much and takes nothing is ended when all of it together is used up.
const HELD_FOR_EACH: usize = 4096;

impl Places {
    /// Takes a place for `client`. When all are taken, whoever has most gives up his oldest, if he
    /// has more than `client` would have.
    pub(super) fn take(self: &Arc<Self>, client: Client, bounds: Bounds) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&client).map_or(0, Vec::len);
        if own >= bounds.each {
            return None;
        }
        if taken.values().map(Vec::len).sum::<usize>() >= bounds.all {
            let most = taken.values_mut().max_by_key(|held| held.len())?;
            if most.len() <= own + 1 {
                return None;
            }
            most.remove(0).notify_one();
        }
        let give_up = Arc::new(Notify::new());
        taken.entry(client).or_default().push(Arc::clone(&give_up));
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            client,
            give_up,
        })
    }

    /// How many are taken.
    #[cfg_attr(not(feature = "quic"), allow(dead_code, reason = "only QUIC asks"))]
    pub(super) fn count(&self) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.values().map(Vec::len).sum()
    }

    /// Whether another answer of `octets` may wait to be taken.
    pub(super) fn hold(&self, octets: usize, bounds: Bounds) -> bool {
        let most = bounds.all.saturating_mul(HELD_FOR_EACH);
        // One of the greatest length always fits beside nothing.
        let most = most.max(usize::from(u16::MAX));
        let room = |held: usize| held.checked_add(octets).filter(|sum| *sum <= most);
        let order = Ordering::Relaxed;
        self.held.fetch_update(order, order, room).is_ok()
    }

    pub(super) fn let_go(&self, octets: usize) {
        self.held.fetch_sub(octets, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = taken.get_mut(&self.client) {
            // Not there any more if it was given up.
            held.retain(|other| !Arc::ptr_eq(other, &self.give_up));
            if held.is_empty() {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_client_and_given_back() {
        let bounds = Bounds { all: 3, each: 2 };
        let places = Arc::new(Places::default());
        let [one, two, three] = ["one", "two", "three"].map(Client::Device);
        let first = places.take(one, bounds).unwrap();
        let second = places.take(one, bounds).unwrap();
        assert!(places.take(one, bounds).is_none(), "two for each client");
        let third = places.take(two, bounds).unwrap();
        assert!(places.take(two, bounds).is_none(), "nobody has two more");
        assert_eq!(places.count(), 3);
        // Whoever has more than a newcomer would have gives up his oldest.
        let fourth = places.take(three, bounds).unwrap();
        assert!(is_told(&first) && !is_told(&second) && !is_told(&third));
        drop((first, second, fourth));
        assert!(places.take(two, bounds).is_some(), "places come back");
    }

    fn is_told(place: &Place) -> bool {
        use std::task::{Context, Poll, Waker};
        let notified = std::pin::pin!(place.give_up.notified());
        notified.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn answers_that_nobody_takes_are_bounded() {
        let bounds = Bounds { all: 32, each: 1 };
        let places = Places::default();
        assert!(places.hold(100_000, bounds));
        assert!(!places.hold(60_000, bounds), "131,072 in all");
        places.let_go(100_000);
        assert!(places.hold(60_000, bounds));
    }
}
