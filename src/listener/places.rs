//! Who holds how many connections, and how much of answers waits to be taken.
//!
//! Both are shared out, so that nobody who takes much keeps out whoever comes behind him. Of places a
//! client has a bound, and when all are taken whoever has most gives up his oldest; all addresses of one
//! MAC address that nobody named are one there, since a laptop has as many as it likes. How places are
//! counted stands in [`super::crowd`], how answers are that wait in [`super::waiting`].
//!
//! Strangers from outside have as many addresses as they like, and one of them is many clients. So there
//! it is not the client that gives up its oldest for the next, but, at each width of a network from a
//! provider's down ([`super::widths`]), that network which holds most: with a hundred sites somebody at one
//! provider displaces himself, and a phone at another has the time it needs to say who it is. Somebody at
//! many providers would still be many; so those from networks where a device of ours was seen are not of
//! one crowd with those from elsewhere ([`super::familiar`]), and of those too the one that holds most
//! gives up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Notify;

use super::crowd::{Crowd, Label, Seat};
use super::waiting::{Party, Waiting, room};
use super::widths::networks;
use crate::config::Limits;
use crate::limit::Client;
use crate::mac::Mac;

/// Who holds how many connections, and how much of answers waits to be taken.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<Crowd>,
    waiting: Mutex<Waiting>,
}

/// Who comes and wants a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comer {
    /// Somebody who may ask.
    Known {
        client: Client,
        /// The machine that the kernel sees behind its address.
        mac: Option<Mac>,
    },
    /// Somebody from outside who has not said yet who he is: one client may be thousands there.
    Stranger {
        client: Client,
        /// How well the network is known that he comes from; 0 if not at all.
        familiarity: u8,
    },
}

impl Comer {
    /// A client about whose machine nothing is known.
    pub(super) const fn alone(client: Client) -> Self {
        Self::Known { client, mac: None }
    }

    /// Who he is where all addresses of one machine are one.
    pub(super) const fn machine(self) -> Client {
        match self {
            Self::Known {
                client: Client::Address(_),
                mac: Some(mac),
            } => Client::Machine(mac),
            _ => self.client(),
        }
    }

    /// Who he is.
    const fn client(self) -> Client {
        match self {
            Self::Known { client, .. } | Self::Stranger { client, .. } => client,
        }
    }

    /// The groups that his places are in, the widest first.
    fn path(self) -> Vec<Label> {
        match self {
            Self::Known { client, .. } => vec![
                Label::Known,
                Label::Party(self.machine()),
                Label::Party(client),
            ],
            Self::Stranger {
                client,
                familiarity,
            } => {
                let mut path = vec![Label::Strangers, Label::Familiar(familiarity)];
                if let Client::Address(address) = client {
                    let nets = networks(address);
                    path.extend(nets.map(|net| Label::Party(Client::Address(net))));
                }
                path.push(Label::Party(client));
                path
            }
        }
    }
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

    /// What of these there is beside them for all who come from outside: a quarter, and half for one
    /// network, behind whose address a family may be on holiday.
    pub(super) const fn outside(self) -> Self {
        Self {
            all: self.all.div_ceil(4),
            each: self.each.div_ceil(2),
        }
    }
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    bounds: Bounds,
    /// Whose it is, changed only while `places` are locked.
    holder: Mutex<Holder>,
    /// Told when somebody who has fewer needs the place.
    pub(super) give_up: Arc<Notify>,
}

/// Who holds a place.
#[derive(Debug)]
struct Holder {
    who: Comer,
    seat: Seat,
}

impl Places {
    /// Takes a place for `who` comes. When all are taken, whoever has most gives up his oldest, if he has
    /// more than the newcomer would have, or, outside, is a stranger like him: what is new may yet show
    /// who it is.
    pub(super) fn take(self: &Arc<Self>, who: Comer, bounds: Bounds) -> Option<Arc<Place>> {
        let path = who.path();
        let is_stranger = matches!(who, Comer::Stranger { .. });
        let mut taken = self.taken();
        let loser = if taken.count_at(&path) >= bounds.each {
            let oldest = taken.oldest_at(&path).filter(|_| is_stranger);
            Some(oldest?)
        } else if taken.count() >= bounds.all {
            let stranger = is_stranger.then(|| taken.stranger_for(&path)).flatten();
            Some(stranger.or_else(|| taken.known_for(who.machine(), who.client()))?)
        } else {
            None
        };
        if let Some(loser) = loser {
            taken.evict(loser);
        }
        let give_up = Arc::default();
        let seat = taken.add(&path, Arc::clone(&give_up));
        drop(taken);
        // What passes a place on is small by that.
        Some(Arc::new(Place {
            places: Arc::clone(self),
            bounds,
            holder: Mutex::new(Holder { who, seat }),
            give_up,
        }))
    }

    /// Whether half of all places are free.
    #[cfg(feature = "quic")]
    pub(super) fn is_half_free(&self, bounds: Bounds) -> bool {
        self.taken().count() * 2 < bounds.all
    }

    /// Whether half of the places of `who` comes are free: somebody else may come in its name then.
    #[cfg(feature = "quic")]
    pub(super) fn is_half_free_of(&self, who: Comer, bounds: Bounds) -> bool {
        self.taken().count_at(&who.path()) * 2 < bounds.each
    }

    fn taken(&self) -> MutexGuard<'_, Crowd> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that waits to be taken, counted while it does.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) octets: Vec<u8>,
    /// Whom it waits for.
    party: Party,
    places: Arc<Places>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.waiting().remove(self.party, self.octets.len());
    }
}

impl From<Held> for Bytes {
    /// Counted until nobody has them any more: a library that writes them may keep them for a client
    /// that takes nothing.
    fn from(held: Held) -> Self {
        Self::from_owner(held)
    }
}

impl Place {
    /// `octets` that are to be sent to whose place it is, counted until they are. None when so much waits
    /// for him, or for all, that there is no room for them.
    pub(super) fn hold(&self, mut octets: Vec<u8>) -> Option<Held> {
        octets.shrink_to_fit();
        let who = self
            .holder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .who;
        let party = Party {
            machine: who.machine(),
            client: who.client(),
        };
        let room = room(self.bounds.all);
        let fits = self.places.waiting().add(party, octets.len(), room);
        // Not made before it is counted: what is dropped uncounted would be given back all the same.
        fits.then(|| Held {
            octets,
            party,
            places: Arc::clone(&self.places),
        })
    }

    /// Makes it `client`'s, who has shown who he is; his oldest goes if he has too many.
    pub(super) fn hand_to(&self, client: Client) {
        let mut taken = self.places.taken();
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if holder.who.client() == client || taken.remove(holder.seat).is_none() {
            return;
        }
        let who = Comer::alone(client);
        let path = who.path();
        if taken.count_at(&path) >= self.bounds.each
            && let Some(oldest) = taken.oldest_at(&path)
        {
            taken.evict(oldest);
        }
        let seat = taken.add(&path, Arc::clone(&self.give_up));
        *holder = Holder { who, seat };
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let holder = self
            .holder
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        // Not there any more if it was given up.
        taken.remove(holder.seat);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const fn bounds(all: usize, each: usize) -> Bounds {
        Bounds { all, each }
    }

    fn known(client: Client, mac: Option<Mac>) -> Comer {
        Comer::Known { client, mac }
    }

    /// One from a network where nobody is known.
    fn stranger(client: Client) -> Comer {
        Comer::Stranger {
            client,
            familiarity: 0,
        }
    }

    #[test]
    fn places_are_counted_per_client_and_given_back() {
        let bounds = bounds(3, 2);
        let places = Arc::new(Places::default());
        let [one, two, three] =
            ["one", "two", "three"].map(|name| Comer::alone(Client::Device(name)));
        let first = places.take(one, bounds).unwrap();
        let second = places.take(one, bounds).unwrap();
        assert!(places.take(one, bounds).is_none(), "two for each client");
        let third = places.take(two, bounds).unwrap();
        assert!(places.take(two, bounds).is_none(), "nobody has two more");
        assert_eq!(places.taken().count(), 3);
        // Whoever has more than a newcomer would have gives up his oldest.
        let fourth = places.take(three, bounds).unwrap();
        assert!(is_told(&first) && !is_told(&second) && !is_told(&third));
        drop((first, second, fourth));
        assert!(places.take(two, bounds).is_some(), "places come back");
    }

    /// A machine with as many addresses as there are places once kept out everybody.
    #[test]
    fn all_addresses_of_one_machine_are_one_where_places_are_short() {
        let bounds = bounds(8, 4);
        let places = Arc::new(Places::default());
        let mac = |last| Some(Mac::new([2, 0, 0, 0, 0, last]).unwrap());
        let at = |last: u8| Client::Address([192, 0, 2, last].into());
        let take = |last, of| places.take(known(at(last), mac(of)), bounds);
        let laptop = [1, 2, 3, 4, 5, 6, 7, 8].map(|last| take(last, 1).unwrap());
        assert!(take(9, 1).is_none(), "it has most");
        let phone = take(10, 2).unwrap();
        let desk = places
            .take(known(Client::Device("desk"), mac(3)), bounds)
            .unwrap();
        let other = places.take(Comer::alone(at(11)), bounds).unwrap();
        let told = laptop.each_ref().map(is_told);
        assert_eq!(told.map(u8::from), [1, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(places.taken().count(), 8);
        // A device that has a name is one by that, and each of several alone has one.
        assert!(take(12, 1).is_none());
        drop((phone, desk, other));
        assert!(take(12, 1).is_some(), "what nobody else wants it may have");
    }

    #[test]
    fn those_behind_one_machine_share_what_it_has() {
        let bounds = bounds(4, 4);
        let places = Arc::new(Places::default());
        let repeater = Some(Mac::new([2, 0, 0, 0, 0, 1]).unwrap());
        let at = |last: u8| Client::Address([192, 0, 2, last].into());
        let take = |last| places.take(known(at(last), repeater), bounds);
        let held = [1, 1, 1, 2].map(|last| take(last).unwrap());
        let _third = take(3).unwrap();
        let told = held.each_ref().map(is_told);
        assert_eq!(told, [true, false, false, false]);
        assert!(take(3).is_none(), "nobody has two more");
    }

    /// Strangers that hold what they have once kept out whoever came behind them.
    #[test]
    fn outside_strangers_yield_to_whoever_comes_and_devices_to_nobody() {
        let bounds = bounds(4, 2);
        let places = Arc::new(Places::default());
        let net = |last: u8| Client::Address([192, 0, last, 0].into());
        let take = |who| places.take(stranger(who), bounds).unwrap();
        let held = [net(1), net(1), net(1)].map(take);
        assert_eq!(held.each_ref().map(is_told), [true, false, false]);
        assert_eq!(places.taken().count(), 2);
        // The last of them is a device.
        let [_, second, phone] = held;
        phone.hand_to(Client::Device("phone"));
        let others = [net(2), net(3), net(4), net(5)].map(take);
        assert!(is_told(&second) && !is_told(&phone));
        assert_eq!(
            others.each_ref().map(is_told),
            [true, false, false, false],
            "the oldest of equals"
        );
        assert_eq!(places.taken().count(), 4);
        // One that gave up its place is nobody's afterwards.
        second.hand_to(Client::Device("phone"));
        assert_eq!(places.taken().count(), 4);
        drop((second, phone, others));
        assert_eq!(places.taken().count(), 0);
    }

    #[test]
    fn a_device_that_comes_again_gives_up_what_it_left_behind() {
        let bounds = bounds(9, 2);
        let places = Arc::new(Places::default());
        let held = [1, 2, 3].map(|last| {
            let place = places.take(stranger(Client::Address([192, 0, last, 0].into())), bounds);
            let place = place.unwrap();
            place.hand_to(Client::Device("phone"));
            place
        });
        assert_eq!(held.each_ref().map(is_told), [true, false, false]);
    }

    fn is_told(place: &Arc<Place>) -> bool {
        use std::task::{Context, Poll, Waker};
        let notified = std::pin::pin!(place.give_up.notified());
        notified.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    /// Any of several sites of IPv6, which has 65,536 networks, once displaced whoever came before it.
    #[test]
    fn outside_those_with_many_networks_displace_themselves() {
        let bounds = bounds(16, 8);
        let from = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            Client::Address(crate::listener::widths::narrowest(address))
        };
        // Two sites at two providers, a household at one of them, and a network of IPv4.
        let few = |number: usize| {
            let number = number + 0x100;
            match number % 4 {
                0 => from(&format!("2001:db8:1:{number:x}::1")),
                1 => from(&format!("2001:db9:7:{number:x}::1")),
                2 => from(&format!("2001:db8:3:ff{:02x}::1", number % 256)),
                _ => from(&format!("192.0.2.{}", number % 256)),
            }
        };
        for phone in [
            // At a provider of its own, in a site of its own, and in a household next to theirs.
            "2001:dba:9:9::1",
            "2001:db8:9:9::1",
            "2001:db8:3:9::1",
            "198.51.100.1",
        ] {
            let places = Arc::new(Places::default());
            let mut crowd: Vec<Arc<Place>> = (0..100)
                .map(|number| places.take(stranger(few(number)), bounds).unwrap())
                .collect();
            assert_eq!(places.taken().count(), 16);
            let phone = places.take(stranger(from(phone)), bounds).unwrap();
            crowd.extend(
                (100..1000).map(|number| places.take(stranger(few(number)), bounds).unwrap()),
            );
            assert!(!is_told(&phone), "{phone:?}");
            assert_eq!(places.taken().count(), 16);
        }
    }

    /// Strangers at as many providers as there are places once displaced a phone at any other.
    #[test]
    fn outside_those_at_many_providers_displace_nobody_from_a_network_that_is_known() {
        let bounds = bounds(16, 8);
        let places = Arc::new(Places::default());
        let take = |client, familiarity| {
            let who = Comer::Stranger {
                client: Client::Address(client),
                familiarity,
            };
            places.take(who, bounds).unwrap()
        };
        let from = |provider: u8, number: u8| IpAddr::from([provider, 1, number, 0]);
        let crowd = |provider| (0..255).map(move |number| from(provider + number % 64, number));
        // Each better known than the next, and at the end one nobody knows.
        let mut held: Vec<Arc<Place>> = crowd(20).map(|it| take(it, 0)).collect();
        let phone = take(from(10, 1), 1);
        held.extend(crowd(20).map(|it| take(it, 0)));
        assert!(!is_told(&phone));
        // Not even where they are at a provider that is known too.
        let school = take(from(10, 2), 2);
        held.extend(crowd(10).map(|it| take(it, 1)));
        held.extend(crowd(20).map(|it| take(it, 0)));
        assert!(!is_told(&school));
        assert_eq!(places.taken().count(), 16);
        // And those that are known leave others their part.
        drop(held);
        let mut held: Vec<Arc<Place>> = crowd(20).map(|it| take(it, 1)).collect();
        let newcomer = take(from(99, 1), 0);
        held.extend(crowd(20).map(|it| take(it, 1)));
        assert!(!is_told(&newcomer));
    }

    #[test]
    fn answers_that_nobody_takes_are_bounded() {
        let bounds = bounds(64, 2);
        let places = Arc::new(Places::default());
        let take = |who| {
            places
                .take(Comer::alone(Client::Device(who)), bounds)
                .unwrap()
        };
        let (laptop, other, phone) = (take("laptop"), take("laptop"), take("phone"));
        // Of 262,144 octets, which it once had to itself, and the others nothing.
        let first = Bytes::from(laptop.hold(vec![0; 100_000]).unwrap());
        assert!(laptop.hold(vec![0; 71_000]).is_none());
        assert!(other.hold(vec![0; 71_000]).is_none(), "by no connection");
        assert!(laptop.hold(Vec::new()).is_some(), "nothing is nothing");
        drop(phone.hold(vec![0; 60_000]).unwrap());
        // Whoever writes it may keep a part.
        let rest = first.slice(99_000..);
        drop(first);
        assert!(other.hold(vec![0; 71_000]).is_none());
        drop(rest);
        assert!(other.hold(vec![0; 71_000]).is_some());
        assert!(places.waiting().is_empty());
    }

    /// Those from outside once had four times what the same number of places has at home.
    #[test]
    fn what_waits_outside_is_by_the_places_there() {
        let outside = bounds(256, 2).outside();
        let longest = || vec![0; usize::from(u16::MAX)];
        let places = Arc::new(Places::default());
        let held = ["a", "b", "c", "d", "e"].map(|who| {
            let place = places
                .take(Comer::alone(Client::Device(who)), outside)
                .unwrap();
            place.hold(longest())
        });
        assert_eq!(held.iter().flatten().count(), 4);
        // An ordinary one always does.
        let place = places
            .take(Comer::alone(Client::Device("f")), outside)
            .unwrap();
        let little = place.hold(vec![0; 3000]);
        assert!(little.is_some() && place.hold(vec![0; 20_000]).is_none());
        // The longest answer finds room where there is one place.
        let few = bounds(4, 2).outside();
        let places = Arc::new(Places::default());
        let phone = places
            .take(Comer::alone(Client::Device("phone")), few)
            .unwrap();
        let held = phone.hold(longest());
        assert!(held.is_some() && phone.hold(vec![0; 16_000]).is_none());
    }
}
