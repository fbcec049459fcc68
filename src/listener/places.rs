//! Who holds how many connections, and how much of answers waits to be taken.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Notify;

use crate::config::Limits;
use crate::limit::Client;

/// Who holds how many connections, and how much of answers waits to be taken.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<Taken>,
    /// Octets of finished answers that no client has taken yet, in all connections.
    held: AtomicUsize,
}

/// The places that are taken.
#[derive(Debug, Default)]
struct Taken {
    /// Those of each client, the oldest first; no client has an empty list.
    seats: HashMap<Client, Vec<Seat>>,
    /// How many were ever taken.
    so_far: u64,
}

/// A place, as others see it.
#[derive(Debug)]
struct Seat {
    /// Which of all it was.
    number: u64,
    /// Told when somebody else needs it.
    give_up: Arc<Notify>,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In all.
    pub(super) all: usize,
    /// Of one client.
    pub(super) each: usize,
    /// Whether those nobody named give up their oldest for whoever comes next: one client may be
    /// thousands there, and what is new may yet show who it is.
    pub(super) strangers_yield: bool,
}

impl Bounds {
    /// Those in the clear.
    pub(super) const fn tcp(limits: &Limits) -> Self {
        Self {
            all: limits.tcp_connections,
            each: limits.tcp_per_client,
            strangers_yield: false,
        }
    }

    /// Encrypted ones.
    pub(super) const fn encrypted(limits: &Limits) -> Self {
        Self {
            all: limits.encrypted_connections,
            each: limits.encrypted_per_client,
            strangers_yield: false,
        }
    }

    /// What of these there is beside them for all who come from outside: a quarter, and half for one
    /// network, behind whose address a family may be on holiday.
    pub(super) const fn outside(self) -> Self {
        Self {
            all: self.all.div_ceil(4),
            each: self.each.div_ceil(2),
            strangers_yield: true,
        }
    }
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) places: Arc<Places>,
    /// Whose it is, changed only while `places` are locked.
    client: Mutex<Client>,
    /// Told when somebody who has fewer needs the place.
    pub(super) give_up: Arc<Notify>,
}

/// Octets of finished answers for each connection there may be, on average: a client that asks for
/// much and takes nothing is ended when all of it together is used up.
pub(super) const HELD_FOR_EACH: usize = 4096;

impl Places {
    /// Takes a place for `client`. When all are taken, whoever has most gives up his oldest, if he
    /// has more than `client` would have, or, where strangers yield, is one.
    pub(super) fn take(self: &Arc<Self>, client: Client, bounds: Bounds) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.count_of(client);
        if own >= bounds.each {
            if !bounds.strangers_yield {
                return None;
            }
            taken.evict(client);
        } else if taken.count() >= bounds.all {
            let most = taken.most(client, bounds)?;
            taken.evict(most);
        }
        let give_up = taken.add(client, Arc::default());
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            client: Mutex::new(client),
            give_up,
        })
    }

    /// How many are taken.
    #[cfg_attr(not(feature = "quic"), allow(dead_code, reason = "only QUIC asks"))]
    pub(super) fn count(&self) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.count()
    }

    /// `octets`, counted until nobody has them any more: a library that writes them may keep them for
    /// a client that takes nothing. None when too many wait already.
    pub(super) fn held(self: &Arc<Self>, octets: Vec<u8>, bounds: Bounds) -> Option<Bytes> {
        Held::new(octets, self, bounds).map(Bytes::from_owner)
    }

    /// Whether another answer of `octets` may wait to be taken.
    fn hold(&self, octets: usize, bounds: Bounds) -> bool {
        let most = bounds.all.saturating_mul(HELD_FOR_EACH);
        // One of the greatest length always fits beside nothing.
        let most = most.max(usize::from(u16::MAX));
        let room = |held: usize| held.checked_add(octets).filter(|sum| *sum <= most);
        let order = Ordering::Relaxed;
        self.held.fetch_update(order, order, room).is_ok()
    }

    fn let_go(&self, octets: usize) {
        self.held.fetch_sub(octets, Ordering::Relaxed);
    }
}

impl Taken {
    fn count(&self) -> usize {
        self.seats.values().map(Vec::len).sum()
    }

    fn count_of(&self, client: Client) -> usize {
        self.seats.get(&client).map_or(0, Vec::len)
    }

    fn add(&mut self, client: Client, give_up: Arc<Notify>) -> Arc<Notify> {
        self.so_far += 1;
        self.seats.entry(client).or_default().push(Seat {
            number: self.so_far,
            give_up: Arc::clone(&give_up),
        });
        give_up
    }

    /// Takes a place away from `client`; none where it was given up.
    fn remove(&mut self, client: Client, give_up: &Arc<Notify>) -> Option<Seat> {
        let held = self.seats.get_mut(&client)?;
        let at = held
            .iter()
            .position(|seat| Arc::ptr_eq(&seat.give_up, give_up))?;
        let seat = held.remove(at);
        if held.is_empty() {
            self.seats.remove(&client);
        }
        Some(seat)
    }

    /// Has `client` give up its oldest.
    fn evict(&mut self, client: Client) {
        let oldest = self.seats.get(&client).and_then(|held| held.first());
        if let Some(give_up) = oldest.map(|seat| Arc::clone(&seat.give_up)) {
            self.remove(client, &give_up);
            give_up.notify_one();
        }
    }

    /// Who gives up a place for one more of `client`'s.
    fn most(&self, client: Client, bounds: Bounds) -> Option<Client> {
        // Of several with as many, whoever has the oldest; the newcomer's own count with the new one.
        let weight = |(who, held): &(&Client, &Vec<Seat>)| {
            let own = usize::from(**who == client);
            (held.len() + own, Reverse(held.first().map(|it| it.number)))
        };
        if bounds.strangers_yield {
            let strangers = self.seats.iter();
            let strangers = strangers.filter(|(who, _)| matches!(who, Client::Address(_)));
            if let Some((who, _)) = strangers.max_by_key(weight) {
                return Some(*who);
            }
        }
        let (who, held) = self.seats.iter().max_by_key(weight)?;
        (held.len() > self.count_of(client) + 1).then_some(*who)
    }
}

/// An answer that waits to be taken, counted while it does.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) octets: Vec<u8>,
    places: Arc<Places>,
}

impl Held {
    /// `octets` among those that wait in `places`; none when those are too many.
    pub(super) fn new(mut octets: Vec<u8>, places: &Arc<Places>, bounds: Bounds) -> Option<Self> {
        octets.shrink_to_fit();
        // Not made before it is counted: what is dropped uncounted would be given back all the same.
        places.hold(octets.len(), bounds).then(|| Self {
            octets,
            places: Arc::clone(places),
        })
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.let_go(self.octets.len());
    }
}

impl Place {
    /// Makes it `client`'s, who has shown who he is; his oldest goes if he has too many.
    pub(super) fn hand_to(&self, client: Client, bounds: Bounds) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut holder = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if *holder == client || taken.remove(*holder, &self.give_up).is_none() {
            return;
        }
        if taken.count_of(client) >= bounds.each {
            taken.evict(client);
        }
        taken.add(client, Arc::clone(&self.give_up));
        *holder = client;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let holder = self
            .client
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        // Not there any more if it was given up.
        taken.remove(*holder, &self.give_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds as they hold at home.
    const fn bounds(all: usize, each: usize) -> Bounds {
        Bounds {
            all,
            each,
            strangers_yield: false,
        }
    }

    #[test]
    fn places_are_counted_per_client_and_given_back() {
        let bounds = bounds(3, 2);
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

    /// Strangers that hold what they have once kept out whoever came behind them.
    #[test]
    fn outside_strangers_yield_to_whoever_comes_and_devices_to_nobody() {
        let bounds = Bounds {
            strangers_yield: true,
            ..bounds(4, 2)
        };
        let places = Arc::new(Places::default());
        let net = |last: u8| Client::Address([192, 0, last, 0].into());
        let take = |who| places.take(who, bounds).unwrap();
        let held = [net(1), net(1), net(1)].map(take);
        assert_eq!(held.each_ref().map(is_told), [true, false, false]);
        assert_eq!(places.count(), 2);
        // The last of them is a device.
        let [_, second, phone] = held;
        phone.hand_to(Client::Device("phone"), bounds);
        let others = [net(2), net(3), net(4), net(5)].map(take);
        assert!(is_told(&second) && !is_told(&phone));
        assert_eq!(
            others.each_ref().map(is_told),
            [true, false, false, false],
            "the oldest of equals"
        );
        assert_eq!(places.count(), 4);
        // One that gave up its place is nobody's afterwards.
        second.hand_to(Client::Device("phone"), bounds);
        assert_eq!(places.count(), 4);
        drop((second, phone, others));
        assert_eq!(places.count(), 0);
    }

    #[test]
    fn a_device_that_comes_again_gives_up_what_it_left_behind() {
        let bounds = Bounds {
            strangers_yield: true,
            ..bounds(9, 2)
        };
        let places = Arc::new(Places::default());
        let held = [1, 2, 3].map(|last| {
            let place = places.take(Client::Address([192, 0, last, 0].into()), bounds);
            let place = place.unwrap();
            place.hand_to(Client::Device("phone"), bounds);
            place
        });
        assert_eq!(held.each_ref().map(is_told), [true, false, false]);
    }

    fn is_told(place: &Place) -> bool {
        use std::task::{Context, Poll, Waker};
        let notified = std::pin::pin!(place.give_up.notified());
        notified.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn answers_that_nobody_takes_are_bounded() {
        let bounds = bounds(32, 1);
        let places = Arc::new(Places::default());
        let first = places.held(vec![0; 100_000], bounds).unwrap();
        assert!(
            places.held(vec![0; 60_000], bounds).is_none(),
            "131,072 in all"
        );
        // Whoever writes it may keep a part.
        let rest = first.slice(99_000..);
        drop(first);
        assert!(places.held(vec![0; 60_000], bounds).is_none());
        drop(rest);
        assert!(places.held(vec![0; 60_000], bounds).is_some());
    }
}
