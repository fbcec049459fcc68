//! What handshakes cost whom, when they come from outside the home.
//!
//! Nobody out there is told from anybody by an address: behind one of a carrier's networks stand
//! thousands of homes. So whoever shows a device's id pays as that device, before the handshake where
//! the id stands in the server's name, and afterwards, what was paid being given back, where it stands
//! in a path. Where a device has shown its id it is known for a day, so that strangers at other addresses
//! cannot use up what it needs to show it again. Only the others pay as strangers, first among their
//! neighbours, then all together, and who has used up what is his own.
//!
//! None of the rates is a setting. What grows with the number of a provider's customers, devices that
//! are known, has a rate for each; and that of strangers bounds what nobody asked for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::limit::{Bucket, Client, Rate, RateLimiter, Whereabouts};

/// Handshakes of one device, of one address where a device is known, or of one network where none is:
/// a family's devices that are away need some a minute.
const EACH: Rate = Rate {
    per_second: 2,
    burst: 30,
};
/// Connections of one network where nobody is known, whatever comes of them: each costs some memory
/// until its time is over.
const ARRIVALS: Rate = Rate {
    per_second: 10,
    burst: 100,
};
/// Handshakes of all strangers: a router's core can do some hundred a second.
const TOGETHER: Rate = Rate {
    per_second: 20,
    burst: 100,
};
/// How long an address is known after a device has shown its id there.
const MEMORY: Duration = Duration::from_hours(24);
/// Addresses that are known.
const MAX_KNOWN: usize = 1024;

/// What handshakes from outside may cost.
#[derive(Debug)]
pub(super) struct Strangers {
    clock: Clock,
    /// Networks where nobody is known.
    networks: RateLimiter,
    /// The same, before they have shown anything.
    arrivals: RateLimiter,
    /// All of those.
    together: Mutex<Bucket>,
    /// Devices, and addresses where one is known.
    known: RateLimiter,
    /// Where a device showed its id, and when it did so last.
    addresses: Mutex<HashMap<IpAddr, Moment>>,
}

impl Strangers {
    /// Those that have not come yet.
    pub(super) fn new(clock: Clock) -> Self {
        let together = Mutex::new(Bucket::full(TOGETHER, clock.now()));
        Self {
            clock,
            networks: RateLimiter::growing(),
            arrivals: RateLimiter::growing(),
            together,
            known: RateLimiter::growing(),
            addresses: Mutex::default(),
        }
    }

    /// Who is counted for a connection from `address` that has shown nothing yet.
    pub(super) fn client_at(&self, address: IpAddr) -> Client {
        match self.is_known(address) {
            true => Client::Address(address),
            false => Client::Address(network_of(address)),
        }
    }

    /// Whether one more handshake is worth its price for somebody at `address`, who has shown so far
    /// that he is `device`.
    pub(super) fn may_shake_hands(&self, address: IpAddr, device: Option<Client>) -> bool {
        let now = self.clock.now();
        // An id can be read off the wire, and an address is shared with neighbours: whoever uses up one
        // of them leaves the others.
        let known = self.is_known(address).then_some(Client::Address(address));
        let mut known = known.into_iter().chain(device);
        if known.any(|client| self.known.admit(client, Whereabouts::Shown, EACH, now)) {
            return true;
        }
        let network = Client::Address(network_of(address));
        if !self.networks.admit(network, Whereabouts::Shown, EACH, now) {
            return false;
        }
        let mut together = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        let may = together.take(TOGETHER, now);
        if !may {
            self.networks.give_back(network, Whereabouts::Shown, EACH);
        }
        may
    }

    /// Whether somebody at `address` may have a place in which to show who he is.
    pub(super) fn may_come(&self, address: IpAddr) -> bool {
        let now = self.clock.now();
        let network = Client::Address(network_of(address));
        self.is_known(address)
            || self
                .arrivals
                .admit(network, Whereabouts::Shown, ARRIVALS, now)
    }

    /// Somebody at `address` has shown that he is `device`: what he paid as a stranger he pays as that.
    pub(super) fn introduce(&self, address: IpAddr, device: Client) {
        let now = self.clock.now();
        if !self.remember(address) || !self.known.admit(device, Whereabouts::Shown, EACH, now) {
            return;
        }
        let network = Client::Address(network_of(address));
        self.networks.give_back(network, Whereabouts::Shown, EACH);
        let mut together = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        together.give_back(TOGETHER);
    }

    /// Knows `address` for a day; whether it was not known before.
    pub(super) fn remember(&self, address: IpAddr) -> bool {
        let now = self.clock.now();
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= MAX_KNOWN && !addresses.contains_key(&address) {
            let oldest = addresses.iter().min_by_key(|(_, shown)| **shown);
            if let Some(oldest) = oldest.map(|it| *it.0) {
                addresses.remove(&oldest);
            }
        }
        let before = addresses.insert(address, now);
        before.is_none_or(|shown| now.since(shown) > MEMORY)
    }

    fn is_known(&self, address: IpAddr) -> bool {
        let addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let shown = addresses.get(&address);
        shown.is_some_and(|shown| self.clock.now().since(*shown) <= MEMORY)
    }
}

/// The first address of what one stranger can have all addresses of: 256 neighbours, or the network of
/// one link.
fn network_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & !0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualTime, Timestamp};

    const PHONE: Client = Client::Device("phone");

    fn strangers() -> (Strangers, std::sync::Arc<ManualTime>) {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        (Strangers::new(time.clock()), time)
    }

    fn at(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// How many handshakes are granted to who shows nothing.
    fn granted(strangers: &Strangers, address: IpAddr) -> usize {
        let may = |_: &usize| strangers.may_shake_hands(address, None);
        (0..1000).take_while(may).count()
    }

    /// A known device behind a carrier's network was once shut out by strangers at the same one.
    #[test]
    fn a_device_pays_for_itself_among_strangers() {
        let (strangers, time) = strangers();
        assert_eq!(granted(&strangers, at(1)), 30);
        assert!(!strangers.may_shake_hands(at(2), None), "a neighbour pays");
        assert!(strangers.may_shake_hands(at(2), Some(PHONE)));
        // One that shows its id in a path has been here before.
        strangers.introduce(at(3), PHONE);
        assert!(strangers.may_shake_hands(at(3), None));
        assert_ne!(strangers.client_at(at(3)), strangers.client_at(at(1)));
        time.advance(MEMORY + Duration::from_secs(1));
        assert_eq!(strangers.client_at(at(3)), strangers.client_at(at(1)));
    }

    #[test]
    fn what_a_device_paid_as_a_stranger_is_given_back_once() {
        let (strangers, _time) = strangers();
        assert_eq!(granted(&strangers, at(1)), 30);
        strangers.introduce(at(1), PHONE);
        strangers.introduce(at(1), PHONE);
        assert_eq!(granted(&strangers, at(2)), 1);
    }

    #[test]
    fn who_uses_up_one_of_two_purses_leaves_the_other() {
        let (strangers, _time) = strangers();
        // Somebody read the phone's id off the wire, elsewhere.
        let elsewhere = IpAddr::from([198, 51, 100, 1]);
        let taken = (0..1000).take_while(|_| strangers.may_shake_hands(elsewhere, Some(PHONE)));
        assert_eq!(taken.count(), 60, "its own and those of his network");
        strangers.remember(at(3));
        assert!(
            strangers.may_shake_hands(at(3), Some(PHONE)),
            "where it is known"
        );
        // Its neighbours at one address, who show nothing.
        assert_eq!(granted(&strangers, at(3)), 29 + 30);
    }

    #[test]
    fn connections_of_one_network_have_a_rate_but_where_somebody_is_known() {
        let (strangers, _time) = strangers();
        let come = |address| {
            (0..1000)
                .take_while(|_| strangers.may_come(address))
                .count()
        };
        assert_eq!(come(at(1)), 100);
        assert_eq!(come(at(2)), 0);
        strangers.remember(at(2));
        assert_eq!(come(at(2)), 1000);
    }

    /// Both rates were once in one table, where each was forgotten by the other's measure.
    #[test]
    fn all_strangers_together_have_one_rate_however_many_they_are() {
        let (strangers, _time) = strangers();
        let from = |high: u8, low: u8| IpAddr::from([198, high, low, 1]);
        let nets = (0..=255).flat_map(|high| (0..16).map(move |low| from(high, low)));
        let granted = nets.filter(|it| strangers.may_shake_hands(*it, None));
        assert_eq!(granted.count(), 100);
        assert!(strangers.may_shake_hands(from(0, 0), Some(PHONE)));
        // A device of that name is no other.
        assert!(strangers.may_shake_hands(from(0, 0), Some(Client::Device("all"))));
    }

    #[test]
    fn what_is_known_is_bounded() {
        let (strangers, time) = strangers();
        for number in 0..MAX_KNOWN as u32 + 10 {
            strangers.remember(IpAddr::V4(number.into()));
            time.advance(Duration::from_millis(1));
        }
        assert_eq!(strangers.addresses.lock().unwrap().len(), MAX_KNOWN);
        assert!(!strangers.is_known(IpAddr::V4(9.into())), "the oldest go");
        assert!(strangers.is_known(IpAddr::V4(10.into())));
    }
}
