//! Where devices of ours were seen outside, so that they are not among strangers when they come again.
//!
//! A phone that comes back has another address each time, and often another one in the same network: its
//! provider's, a school's, a neighbour's. Who floods us from many providers is seldom at one of those too,
//! and has not shown an id there. So for each width of a network it is remembered for a while where
//! somebody showed an id ([`Familiar::familiarity`]), and who comes from there shares places and handshakes
//! with those alone who come from places that are known as well as his. Nothing is granted by it but a
//! place in which to show an id.
//!
//! Only who has an id is remembered, and the tables are bounded: where one is full, the device with most
//! loses its oldest, since whoever has an id has as many addresses as he likes.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::widths::{WIDTHS, networks};
use crate::clock::Moment;
use crate::hash::{Map, map};
use crate::limit::Client;

/// How long an address is known after a device has shown its id there.
pub(super) const MEMORY: Duration = Duration::from_hours(24);
/// How long a network is: a family is away for a weekend, and back at the same school afterwards.
const MEMORY_OF_NETWORKS: Duration = Duration::from_hours(30 * 24);
/// How often what is over is forgotten, while somebody comes.
const SWEEP: Duration = Duration::from_hours(1);
/// Addresses that are known, and networks of each width.
const MAX_KNOWN: usize = 1024;
const MAX_NETWORKS: usize = 256;

/// How well a place may be known: not at all, as a network of each width, as an address.
pub(super) const GRADES: usize = WIDTHS.len() + 2;

/// Where devices were seen.
#[derive(Debug)]
pub(super) struct Familiar {
    addresses: Sightings,
    /// The widest first.
    networks: [Sightings; WIDTHS.len()],
    /// When what is over was forgotten last.
    swept: Moment,
}

impl Default for Familiar {
    fn default() -> Self {
        Self {
            addresses: Sightings::new(MAX_KNOWN, MEMORY),
            networks: WIDTHS.map(|_| Sightings::new(MAX_NETWORKS, MEMORY_OF_NETWORKS)),
            swept: Moment::default(),
        }
    }
}

impl Familiar {
    /// Notes that `device` showed its id at `address`; whether that address was not known before.
    pub(super) fn note(&mut self, address: IpAddr, device: Client, now: Moment) -> bool {
        for (seen, network) in self.networks.iter_mut().zip(networks(address)) {
            seen.note(network, device, now);
        }
        self.addresses.note(address, device, now)
    }

    /// Forgets what is over, once in an hour: where a device was is nobody's business for longer.
    pub(super) fn sweep(&mut self, now: Moment) {
        if now.since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        for seen in self.networks.iter_mut().chain([&mut self.addresses]) {
            let memory = seen.memory;
            seen.seen
                .retain(|_, (_, shown)| now.since(*shown) <= memory);
        }
    }

    /// Whether a device showed its id at `address`.
    pub(super) fn knows(&self, address: IpAddr, now: Moment) -> bool {
        self.addresses.knows(address, now)
    }

    /// How well the place is known that `address` is in, below [`GRADES`]: 0 if it is not, more the
    /// narrower the network is in which a device showed its id.
    pub(super) fn familiarity(&self, address: IpAddr, now: Moment) -> u8 {
        if self.knows(address, now) {
            return GRADES as u8 - 1;
        }
        let seen = self.networks.iter().zip(networks(address)).zip(1..);
        let known = seen.filter(|((seen, network), _)| seen.knows(*network, now));
        known.last().map_or(0, |(_, width)| width)
    }
}

/// Which device was seen somewhere last, and when.
#[derive(Debug)]
struct Sightings {
    seen: Map<IpAddr, (Client, Moment)>,
    most: usize,
    memory: Duration,
}

impl Sightings {
    fn new(most: usize, memory: Duration) -> Self {
        Self {
            seen: map(),
            most,
            memory,
        }
    }

    /// Notes that `device` is at `place`; whether nobody was known there.
    fn note(&mut self, place: IpAddr, device: Client, now: Moment) -> bool {
        if self.seen.len() >= self.most && !self.seen.contains_key(&place) {
            self.forget_one();
        }
        let before = self.seen.insert(place, (device, now));
        before.is_none_or(|(_, shown)| now.since(shown) > self.memory)
    }

    fn knows(&self, place: IpAddr, now: Moment) -> bool {
        let seen = self.seen.get(&place);
        seen.is_some_and(|(_, shown)| now.since(*shown) <= self.memory)
    }

    /// Makes room: the device with most loses its oldest.
    fn forget_one(&mut self) {
        let mut counts: HashMap<Client, usize> = HashMap::new();
        for (device, _) in self.seen.values() {
            *counts.entry(*device).or_default() += 1;
        }
        let weight = |(_, (device, shown)): &(&IpAddr, &(Client, Moment))| {
            (counts.get(device).copied(), Reverse(*shown))
        };
        let oldest = self.seen.iter().max_by_key(weight).map(|it| *it.0);
        if let Some(oldest) = oldest {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: Client = Client::Device("phone");

    fn at(micros: u64) -> Moment {
        Moment::from_micros(micros)
    }

    #[test]
    fn the_narrower_the_network_the_better_a_place_is_known() {
        let mut familiar = Familiar::default();
        assert!(familiar.note("198.51.253.7".parse().unwrap(), PHONE, at(0)));
        assert!(familiar.note("2001:db8:1:2ff::7".parse().unwrap(), PHONE, at(0)));
        let known = |address: &str, now| familiar.familiarity(address.parse().unwrap(), now);
        for (address, expected) in [
            ("198.51.253.7", 5),
            ("198.51.253.8", 4),
            ("198.51.252.7", 3),
            ("198.51.240.7", 2),
            ("198.51.0.7", 1),
            ("198.52.253.7", 0),
            ("2001:db8:1:2ff::7", 5),
            ("2001:db8:1:2ff::8", 4),
            ("2001:db8:1:2fe::7", 3),
            ("2001:db8:1:3ff::7", 2),
            ("2001:db8:2:2ff::7", 1),
            ("2001:db9:1:2ff::7", 0),
        ] {
            assert_eq!(known(address, at(0)), expected, "{address}");
        }
        let later = |wait| at(1).after(wait);
        assert_eq!(known("198.51.253.7", later(MEMORY)), 4, "another has it");
        assert_eq!(known("198.51.253.7", later(MEMORY_OF_NETWORKS)), 0);
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut familiar = Familiar::default();
        familiar.note("198.51.253.7".parse().unwrap(), PHONE, at(1));
        let held = |familiar: &Familiar| {
            let networks: usize = familiar.networks.iter().map(|it| it.seen.len()).sum();
            (familiar.addresses.seen.len(), networks)
        };
        familiar.sweep(at(2).after(MEMORY));
        assert_eq!(held(&familiar), (0, 4));
        familiar.sweep(at(2).after(MEMORY_OF_NETWORKS));
        assert_eq!(held(&familiar), (0, 0));
    }

    #[test]
    fn what_is_known_is_bounded() {
        let mut familiar = Familiar::default();
        // Whoever moves about as one device once made all others forgotten.
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        familiar.note(home, PHONE, at(0));
        let from = |number: u32| IpAddr::V4(number.into());
        let all = MAX_KNOWN as u32 + 9;
        for number in 0..all {
            familiar.note(
                from(number),
                Client::Device("laptop"),
                at(1 + u64::from(number)),
            );
        }
        let now = at(1 << 20);
        assert!(familiar.knows(home, now));
        assert_eq!(familiar.addresses.seen.len(), MAX_KNOWN);
        assert!(!familiar.knows(from(9), now), "the oldest go");
        assert!(familiar.knows(from(10), now));
        // Networks likewise.
        for number in 0..2 * MAX_NETWORKS as u32 {
            let laptop = Client::Device("laptop");
            familiar.note(
                from(number << 16),
                laptop,
                at((2 << 20) + u64::from(number)),
            );
        }
        let now = at(3 << 20);
        let known = familiar.networks.each_ref().map(|it| it.seen.len());
        assert_eq!(known, [MAX_NETWORKS; 4]);
        let neighbour: IpAddr = "192.0.2.9".parse().unwrap();
        assert_eq!(familiar.familiarity(neighbour, now), 4);
        assert_eq!(familiar.familiarity(from((99 << 16) + 1), now), 0);
    }
}
