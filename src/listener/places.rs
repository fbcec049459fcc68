//! Who holds how many connections, and how much of answers waits to be taken.
//!
//! Both are shared out, so that nobody who takes much keeps out whoever comes behind him. Of places a
//! client has a bound, and when all are taken whoever has most gives up his oldest; all addresses of one
//! MAC address that nobody named are one there, since a laptop has as many as it likes. Answers that wait
//! count twice for whom they wait for: nobody has more of them than he leaves to everybody else. And
//! however many have conspired to leave nothing, an ordinary answer finds room.
//!
//! Strangers from outside have as many addresses as they like, and one of them is many clients. So there
//! it is not the client that gives up its oldest for the next, but, at each width of a network from a
//! provider's down ([`WIDTHS`]), that network which holds most: with a hundred sites somebody at one
//! provider displaces himself, and a phone at another has the time it needs to say who it is.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Notify;

use super::strangers::{WIDTHS, network};
use crate::config::Limits;
use crate::limit::Client;
use crate::mac::Mac;

/// Who holds how many connections, and how much of answers waits to be taken.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<Taken>,
    waiting: Mutex<Waiting>,
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
    /// The machine that the kernel sees behind the client's address.
    mac: Option<Mac>,
    /// Told when somebody else needs it.
    give_up: Arc<Notify>,
}

/// Octets of finished answers that no client has taken yet.
#[derive(Debug, Default)]
struct Waiting {
    /// Of all clients.
    all: usize,
    /// Of each; none has 0.
    each: HashMap<Client, usize>,
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

    /// Octets of answers that may wait to be taken.
    fn waiting(self) -> usize {
        self.all.saturating_mul(HELD_FOR_EACH).max(LEAST_HELD)
    }
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    bounds: Bounds,
    /// Whose it is, changed only while `places` are locked.
    client: Mutex<Client>,
    /// Told when somebody who has fewer needs the place.
    pub(super) give_up: Arc<Notify>,
}

/// Octets of finished answers for each connection there may be, on average; and those that may always wait
/// for one client, beside what others have.
pub(super) const HELD_FOR_EACH: usize = 4096;
/// The same in all, where connections are few: whoever waits for an answer of the greatest length leaves
/// as much to others.
const LEAST_HELD: usize = 2 << 16;

impl Places {
    /// Takes a place for `client`, behind whose address `mac` is. When all are taken, whoever has most
    /// gives up his oldest, if he has more than `client` would have, or, where strangers yield, is one.
    pub(super) fn take(
        self: &Arc<Self>,
        client: Client,
        mac: Option<Mac>,
        bounds: Bounds,
    ) -> Option<Place> {
        let mut taken = self.taken();
        let own = taken.count_of(client);
        if own >= bounds.each {
            if !bounds.strangers_yield {
                return None;
            }
            taken.evict(client);
        } else if taken.count() >= bounds.all {
            let most = taken.most(client, mac, bounds)?;
            taken.evict(most);
        }
        let give_up = taken.add(client, mac, Arc::default());
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            bounds,
            client: Mutex::new(client),
            give_up,
        })
    }

    /// Whether half of all places are free.
    #[cfg(feature = "quic")]
    pub(super) fn is_half_free(&self, bounds: Bounds) -> bool {
        self.taken().count() * 2 < bounds.all
    }

    /// Whether half of `client`'s places are free: somebody else may come in its name then.
    #[cfg(feature = "quic")]
    pub(super) fn is_half_free_of(&self, client: Client, bounds: Bounds) -> bool {
        self.taken().count_of(client) * 2 < bounds.each
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Whether another answer of `octets` may wait for `client`, which is counted then: what waits for
    /// it already, and this one, must be no more than is left without them, or than a little.
    fn add(&mut self, client: Client, octets: usize, most: usize) -> bool {
        let own = self.each.get(&client).copied().unwrap_or(0);
        let needed = self.all.saturating_add(own).saturating_add(octets);
        let fits = needed <= most || own + octets <= HELD_FOR_EACH || octets == 0;
        if fits && octets > 0 {
            self.all += octets;
            self.each.insert(client, own + octets);
        }
        fits
    }

    fn remove(&mut self, client: Client, octets: usize) {
        self.all -= octets;
        if let Some(own) = self.each.get_mut(&client) {
            *own -= octets;
            if *own == 0 {
                self.each.remove(&client);
            }
        }
    }
}

impl Taken {
    fn count(&self) -> usize {
        self.seats.values().map(Vec::len).sum()
    }

    fn count_of(&self, client: Client) -> usize {
        self.seats.get(&client).map_or(0, Vec::len)
    }

    fn add(&mut self, client: Client, mac: Option<Mac>, give_up: Arc<Notify>) -> Arc<Notify> {
        self.so_far += 1;
        self.seats.entry(client).or_default().push(Seat {
            number: self.so_far,
            mac,
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

    /// Who gives up a place for one more of `client`'s, behind whose address `mac` is.
    fn most(&self, client: Client, mac: Option<Mac>, bounds: Bounds) -> Option<Client> {
        if bounds.strangers_yield
            && let Some(stranger) = self.stranger_for(client)
        {
            return Some(stranger);
        }
        let machine_of = |who, held: &[Seat]| machine(who, held.first().and_then(|it| it.mac));
        let mut machines: HashMap<Client, usize> = HashMap::new();
        for (who, held) in &self.seats {
            *machines.entry(machine_of(*who, held)).or_default() += held.len();
        }
        let count = |of| machines.get(&of).copied().unwrap_or(0);
        // Of several with as many, whoever has the oldest.
        let weight = |(who, held): &(&Client, &Vec<Seat>)| {
            let oldest = held.first().map(|it| it.number);
            (count(machine_of(**who, held)), held.len(), Reverse(oldest))
        };
        let own = machine(client, mac);
        let (who, held) = self.seats.iter().max_by_key(weight)?;
        if count(machine_of(*who, held)) > count(own) + 1 {
            return Some(*who);
        }
        // Others may stand behind the same: a repeater lends them its MAC address.
        let beside = self.seats.iter();
        let beside = beside.filter(|(who, held)| machine_of(**who, held) == own);
        let (who, held) = beside.max_by_key(weight)?;
        (held.len() > self.count_of(client) + 1).then_some(*who)
    }

    /// The stranger that gives up a place for one more of `client`'s: of the networks of each width the
    /// one that would hold most, and of several that which has the oldest place.
    fn stranger_for(&self, client: Client) -> Option<Client> {
        let address_of = |client| match client {
            Client::Address(address) => Some(address),
            Client::Device(_) | Client::Machine(_) => None,
        };
        let newcomer = address_of(client);
        let strangers = self.seats.iter().filter_map(|(who, held)| {
            let oldest = held.first()?.number;
            Some((address_of(*who)?, held.len(), oldest))
        });
        let mut strangers: Vec<(IpAddr, usize, u64)> = strangers.collect();
        // So that those of a network stand together.
        strangers.sort_unstable();
        let mut crowd = &strangers[..];
        for width in WIDTHS.into_iter().chain([(32, 128)]) {
            let of = |address| network(address, width);
            let is_one = |a: &(IpAddr, _, _), b: &(IpAddr, _, _)| of(a.0) == of(b.0);
            let weight = |net: &&[(IpAddr, usize, u64)]| {
                let is_own =
                    newcomer.is_some_and(|it| net.first().is_some_and(|a| of(a.0) == of(it)));
                let held: usize = net.iter().map(|it| it.1).sum();
                let oldest = net.iter().map(|it| it.2).min();
                (held + usize::from(is_own), Reverse(oldest))
            };
            crowd = crowd.chunk_by(is_one).max_by_key(weight)?;
        }
        crowd.first().map(|it| Client::Address(it.0))
    }
}

/// Who `client` is where all addresses of one machine are one.
fn machine(client: Client, mac: Option<Mac>) -> Client {
    match (client, mac) {
        (Client::Address(_), Some(mac)) => Client::Machine(mac),
        _ => client,
    }
}

/// An answer that waits to be taken, counted while it does.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) octets: Vec<u8>,
    /// Whom it waits for.
    client: Client,
    places: Arc<Places>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.waiting().remove(self.client, self.octets.len());
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
        let client = *self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.bounds.waiting();
        let fits = self.places.waiting().add(client, octets.len(), most);
        // Not made before it is counted: what is dropped uncounted would be given back all the same.
        fits.then(|| Held {
            octets,
            client,
            places: Arc::clone(&self.places),
        })
    }

    /// Makes it `client`'s, who has shown who he is; his oldest goes if he has too many.
    pub(super) fn hand_to(&self, client: Client) {
        let mut taken = self.places.taken();
        let mut holder = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if *holder == client || taken.remove(*holder, &self.give_up).is_none() {
            return;
        }
        if taken.count_of(client) >= self.bounds.each {
            taken.evict(client);
        }
        taken.add(client, None, Arc::clone(&self.give_up));
        *holder = client;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
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
        let first = places.take(one, None, bounds).unwrap();
        let second = places.take(one, None, bounds).unwrap();
        assert!(
            places.take(one, None, bounds).is_none(),
            "two for each client"
        );
        let third = places.take(two, None, bounds).unwrap();
        assert!(
            places.take(two, None, bounds).is_none(),
            "nobody has two more"
        );
        assert_eq!(places.taken().count(), 3);
        // Whoever has more than a newcomer would have gives up his oldest.
        let fourth = places.take(three, None, bounds).unwrap();
        assert!(is_told(&first) && !is_told(&second) && !is_told(&third));
        drop((first, second, fourth));
        assert!(places.take(two, None, bounds).is_some(), "places come back");
    }

    /// A machine with as many addresses as there are places once kept out everybody.
    #[test]
    fn all_addresses_of_one_machine_are_one_where_places_are_short() {
        let bounds = bounds(8, 4);
        let places = Arc::new(Places::default());
        let mac = |last| Some(Mac::new([2, 0, 0, 0, 0, last]).unwrap());
        let at = |last: u8| Client::Address([192, 0, 2, last].into());
        let take = |last, of| places.take(at(last), mac(of), bounds);
        let laptop = [1, 2, 3, 4, 5, 6, 7, 8].map(|last| take(last, 1).unwrap());
        assert!(take(9, 1).is_none(), "it has most");
        let phone = take(10, 2).unwrap();
        let desk = places.take(Client::Device("desk"), mac(3), bounds).unwrap();
        let other = places.take(at(11), None, bounds).unwrap();
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
        let take = |last| places.take(at(last), repeater, bounds);
        let held = [1, 1, 1, 2].map(|last| take(last).unwrap());
        let _third = take(3).unwrap();
        let told = held.each_ref().map(is_told);
        assert_eq!(told, [true, false, false, false]);
        assert!(take(3).is_none(), "nobody has two more");
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
        let take = |who| places.take(who, None, bounds).unwrap();
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
        let bounds = Bounds {
            strangers_yield: true,
            ..bounds(9, 2)
        };
        let places = Arc::new(Places::default());
        let held = [1, 2, 3].map(|last| {
            let place = places.take(Client::Address([192, 0, last, 0].into()), None, bounds);
            let place = place.unwrap();
            place.hand_to(Client::Device("phone"));
            place
        });
        assert_eq!(held.each_ref().map(is_told), [true, false, false]);
    }

    fn is_told(place: &Place) -> bool {
        use std::task::{Context, Poll, Waker};
        let notified = std::pin::pin!(place.give_up.notified());
        notified.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    /// Any of several sites of IPv6, which has 65,536 networks, once displaced whoever came before it.
    #[test]
    fn outside_those_with_many_networks_displace_themselves() {
        let bounds = Bounds {
            strangers_yield: true,
            ..bounds(16, 8)
        };
        let from = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            Client::Address(network(address, WIDTHS[WIDTHS.len() - 1]))
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
            let mut crowd: Vec<Place> = (0..100)
                .map(|number| places.take(few(number), None, bounds).unwrap())
                .collect();
            assert_eq!(places.taken().count(), 16);
            let phone = places.take(from(phone), None, bounds).unwrap();
            crowd.extend((100..1000).map(|number| places.take(few(number), None, bounds).unwrap()));
            assert!(!is_told(&phone), "{phone:?}");
            assert_eq!(places.taken().count(), 16);
        }
    }

    #[test]
    fn answers_that_nobody_takes_are_bounded() {
        let bounds = bounds(64, 2);
        let places = Arc::new(Places::default());
        let take = |who| places.take(Client::Device(who), None, bounds).unwrap();
        let (laptop, other, phone) = (take("laptop"), take("laptop"), take("phone"));
        // Of 262,144 octets, which it once had to itself, and the others nothing.
        let first = Bytes::from(laptop.hold(vec![0; 100_000]).unwrap());
        assert!(laptop.hold(vec![0; 70_000]).is_none());
        assert!(other.hold(vec![0; 70_000]).is_none(), "by no connection");
        assert!(laptop.hold(Vec::new()).is_some(), "nothing is nothing");
        drop(phone.hold(vec![0; 60_000]).unwrap());
        // Whoever writes it may keep a part.
        let rest = first.slice(99_000..);
        drop(first);
        assert!(other.hold(vec![0; 70_000]).is_none());
        drop(rest);
        assert!(other.hold(vec![0; 70_000]).is_some());
        assert!(places.waiting().each.is_empty());
        assert_eq!(places.waiting().all, 0);
    }

    /// Those from outside once had four times what the same number of places has at home.
    #[test]
    fn what_waits_outside_is_by_the_places_there() {
        let outside = bounds(256, 2).outside();
        let longest = || vec![0; usize::from(u16::MAX)];
        let places = Arc::new(Places::default());
        let held = ["a", "b", "c", "d", "e"].map(|who| {
            let place = places.take(Client::Device(who), None, outside).unwrap();
            place.hold(longest())
        });
        assert_eq!(held.iter().flatten().count(), 4);
        // An ordinary one always does.
        let place = places.take(Client::Device("f"), None, outside).unwrap();
        let little = place.hold(vec![0; 3000]);
        assert!(little.is_some() && place.hold(vec![0; 3000]).is_none());
        // The longest answer finds room where there is one place.
        let few = bounds(4, 2).outside();
        let places = Arc::new(Places::default());
        let phone = places.take(Client::Device("phone"), None, few).unwrap();
        let held = phone.hold(longest());
        assert!(held.is_some() && phone.hold(vec![0; 512]).is_none());
    }
}
