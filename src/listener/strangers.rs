//! What handshakes cost whom, when they come from outside the home.
//!
//! Nobody out there is told from anybody by an address: behind one of a carrier's networks stand
//! thousands of homes. So whoever shows a device's id pays as that device, before the handshake where
//! the id stands in the server's name, and afterwards, what was paid being given back, where it stands
//! in a path. Where a device has shown its id it is known for a day, so that strangers at other addresses
//! cannot use up what it needs to show it again. Only the others pay as strangers, and who has used up what
//! is his own: first with all of their provider, then with fewer and fewer neighbours, and at last with all
//! strangers there are. Addresses cost nobody anything, and somebody with a site of IPv6 has 65,536
//! networks; so each width has a rate that leaves most of the next wider one's to others ([`WIDTHS`]). Whoever
//! is at many providers uses up what there is for all strangers, but not for those from networks where a
//! device was seen before, which have some for each width ([`Familiar`]).
//!
//! None of the rates is a setting. What grows with the number of a provider's customers, devices that
//! are known, has a rate for each; and that of strangers bounds what nobody asked for.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::familiar::{Familiar, GRADES};
use super::places::Comer;
use super::widths::{WIDTHS, narrowest, networks};
use crate::clock::{Clock, Moment};
use crate::limit::{Bucket, Client, Rate, RateLimiter, Whereabouts};

/// Handshakes of one device, or of one address where a device is known: a family's devices that are away
/// need some a minute.
const EACH: Rate = rate(2, 30);
/// Those of a network of each width, where nobody is known.
const HANDSHAKES: [Rate; WIDTHS.len()] = [rate(5, 50), rate(4, 40), rate(3, 35), EACH];
/// Connections of a network of each width where nobody is known, whatever comes of them: each costs some
/// memory until its time is over.
const ARRIVALS: [Rate; WIDTHS.len()] = [
    rate(200, 2000),
    rate(100, 1000),
    rate(20, 200),
    rate(10, 100),
];
/// Handshakes of all strangers: a router's core can do some hundred a second.
const TOGETHER: Rate = rate(20, 100);
/// Those that all from networks which are known equally well have before that.
const FAMILIAR: Rate = rate(5, 30);

/// What handshakes from outside may cost.
#[derive(Debug)]
pub(super) struct Strangers {
    clock: Clock,
    /// Handshakes of networks where nobody is known.
    handshakes: Purses,
    /// Their connections, before they have shown anything.
    arrivals: Purses,
    /// All handshakes of those networks, by how well they are known.
    together: Mutex<[Bucket; GRADES]>,
    /// Devices, and addresses where one is known.
    known: RateLimiter,
    /// Where a device showed its id.
    familiar: Mutex<Familiar>,
}

impl Strangers {
    /// Those that have not come yet.
    pub(super) fn new(clock: Clock) -> Self {
        let now = clock.now();
        let together = std::array::from_fn(|grade| Bucket::full(together(grade), now));
        Self {
            clock,
            handshakes: Purses::new(HANDSHAKES),
            arrivals: Purses::new(ARRIVALS),
            together: Mutex::new(together),
            known: RateLimiter::growing(),
            familiar: Mutex::default(),
        }
    }

    /// Who comes from `address` and has shown nothing yet.
    pub(super) fn comer_at(&self, address: IpAddr) -> Comer {
        Comer::Stranger {
            client: match self.is_known(address) {
                true => Client::Address(address),
                false => Client::Address(narrowest(address)),
            },
            familiarity: self.familiarity(address),
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
        let grade = usize::from(self.familiarity(address));
        if !self.handshakes.take(address, grade, now) {
            return false;
        }
        let mut purses = self.together();
        // Who has used up what is for those from such networks is one of all strangers.
        let mut grades = [grade, 0].into_iter();
        let may = grades.any(|grade| purses[grade].take(together(grade), now));
        if !may {
            self.handshakes.give_back(address, grade);
        }
        may
    }

    /// Whether somebody at `address` may have a place in which to show who he is.
    pub(super) fn may_come(&self, address: IpAddr) -> bool {
        let grade = usize::from(self.familiarity(address));
        self.is_known(address) || self.arrivals.take(address, grade, self.clock.now())
    }

    /// Somebody at `address` has shown that he is `device`: what he paid as a stranger he pays as that.
    pub(super) fn introduce(&self, address: IpAddr, device: Client) {
        let now = self.clock.now();
        // As it was when he paid.
        let grade = usize::from(self.familiarity(address));
        if !self.remember(address, device)
            || !self.known.admit(device, Whereabouts::Shown, EACH, now)
        {
            return;
        }
        self.handshakes.give_back(address, grade);
        self.together()[grade].give_back(together(grade));
    }

    /// Knows `address` as `device`'s for a day, and its networks for longer; whether it was not known before.
    pub(super) fn remember(&self, address: IpAddr, device: Client) -> bool {
        let now = self.clock.now();
        self.familiar().note(address, device, now)
    }

    fn is_known(&self, address: IpAddr) -> bool {
        let now = self.clock.now();
        self.familiar().knows(address, now)
    }

    fn familiarity(&self, address: IpAddr) -> u8 {
        let now = self.clock.now();
        let mut familiar = self.familiar();
        familiar.sweep(now);
        familiar.familiarity(address, now)
    }

    fn familiar(&self) -> MutexGuard<'_, Familiar> {
        self.familiar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn together(&self) -> MutexGuard<'_, [Bucket; GRADES]> {
        self.together.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all have together whose networks are so well known.
const fn together(grade: usize) -> Rate {
    match grade {
        0 => TOGETHER,
        _ => FAMILIAR,
    }
}

/// What networks of each width may do.
#[derive(Debug)]
struct Purses([(RateLimiter, Rate); WIDTHS.len()]);

impl Purses {
    fn new(rates: [Rate; WIDTHS.len()]) -> Self {
        Self(rates.map(|rate| (RateLimiter::growing(), rate)))
    }

    /// Whether all networks that `address` is in may do one thing more: of a place that is known so well
    /// (`grade`, see [`Familiar::familiarity`]) the one it is known by and narrower ones, since strangers
    /// at the same provider have those that are wider. The widest is asked first, so that one site does not
    /// fill the tables of those that are narrower.
    fn take(&self, address: IpAddr, grade: usize, now: Moment) -> bool {
        let mut purses = self.purses(address, grade).enumerate();
        let refused = purses.find(|(_, (limiter, rate, network))| {
            !limiter.admit(*network, Whereabouts::Shown, **rate, now)
        });
        if let Some((wider, _)) = refused {
            self.give_back_first(wider, address, grade);
        }
        refused.is_none()
    }

    /// Gives back what one thing of `address` has cost.
    fn give_back(&self, address: IpAddr, grade: usize) {
        self.give_back_first(WIDTHS.len(), address, grade);
    }

    /// The same to so many of those that paid, the widest first.
    fn give_back_first(&self, count: usize, address: IpAddr, grade: usize) {
        for (limiter, rate, network) in self.purses(address, grade).take(count) {
            limiter.give_back(network, Whereabouts::Shown, *rate);
        }
    }

    /// Those that pay for `address`, the widest first.
    fn purses(
        &self,
        address: IpAddr,
        grade: usize,
    ) -> impl Iterator<Item = (&RateLimiter, &Rate, Client)> {
        let purses = self.0.iter().zip(networks(address));
        let purses = purses.skip(grade.saturating_sub(1).min(WIDTHS.len() - 1));
        purses.map(|((limiter, rate), network)| (limiter, rate, Client::Address(network)))
    }
}

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert_ne!(strangers.comer_at(at(3)), strangers.comer_at(at(1)));
        time.advance(super::super::familiar::MEMORY + Duration::from_secs(1));
        assert_eq!(strangers.comer_at(at(3)), strangers.comer_at(at(1)));
    }

    #[test]
    fn strangers_at_the_same_provider_leave_a_known_network_its_handshakes() {
        let (strangers, time) = strangers();
        let phone = |last: u8| IpAddr::from([198, 51, 100, last]);
        strangers.introduce(phone(7), PHONE);
        // Its address is another's after a day, its network is still known.
        time.advance(Duration::from_hours(48));
        for second in 0..60 {
            for site in [0, 16, 32, 48] {
                for _ in 0..3 {
                    strangers.may_shake_hands(IpAddr::from([198, 51, site, 9]), None);
                }
            }
            let another = IpAddr::from([198, 51, 64, 9]);
            assert!(second < 20 || !strangers.may_shake_hands(another, None));
            assert!(strangers.may_come(phone(77)), "{second}");
            assert!(strangers.may_shake_hands(phone(77), None), "{second}");
            time.advance(Duration::from_secs(1));
        }
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
        strangers.remember(at(3), PHONE);
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
        strangers.remember(at(2), PHONE);
        assert_eq!(come(at(2)), 1000);
    }

    /// Both rates were once in one table, where each was forgotten by the other's measure.
    #[test]
    fn all_strangers_together_have_one_rate_however_many_they_are() {
        let (strangers, _time) = strangers();
        let from = |high: u8, low: u8| IpAddr::from([198, high, 16 * low, 1]);
        let nets = (0..=255).flat_map(|high| (0..16).map(move |low| from(high, low)));
        let granted = nets.filter(|it| strangers.may_shake_hands(*it, None));
        assert_eq!(granted.count(), 100);
        assert!(strangers.may_shake_hands(from(0, 0), Some(PHONE)));
        // A device of that name is no other.
        assert!(strangers.may_shake_hands(from(0, 0), Some(Client::Device("all"))));
    }

    /// One site of IPv6 once used up what there is for all.
    #[test]
    fn one_party_uses_up_what_its_networks_have_and_no_more() {
        let mut phones = Vec::new();
        for (party, most, others) in [
            // 65,536 networks of a site, 256 of a household, and 256 neighbourhoods of a provider.
            ("2001:db8:1", 40, ["2001:db8:2:7::1", "2001:db9:1:7::1"]),
            ("2001:db8:1:ff", 35, ["2001:db8:1:7::1", "198.51.100.1"]),
            ("198.51", 50, ["198.52.100.1", "2001:db8:1:7::1"]),
        ] {
            let address = |number: u16| -> IpAddr {
                let text = match party {
                    "198.51" => format!("{party}.{}.1", number % 256),
                    "2001:db8:1" => format!("{party}:{number:x}::1"),
                    _ => format!("{party}{:02x}::1", number % 256),
                };
                text.parse().unwrap()
            };
            let (strangers, time) = strangers();
            let granted = |at: u16| {
                let all = (0..2000).filter(|number| {
                    strangers.may_shake_hands(address(at.wrapping_add(*number)), None)
                });
                all.count()
            };
            assert_eq!(granted(0), most, "{party}");
            // What was refused has cost nobody anything.
            time.advance(Duration::from_secs(60));
            assert_eq!(granted(3000), most, "{party}");
            for other in others {
                phones.push(other);
                let other: IpAddr = other.parse().unwrap();
                assert!(strangers.may_shake_hands(other, None), "{party} {other}");
            }
        }
        assert_eq!(phones.len(), 6);
    }

    /// Strangers at sixteen providers once used up what a phone needs that shows its id in a path.
    #[test]
    fn strangers_at_many_providers_leave_handshakes_to_those_whose_networks_are_known() {
        let (strangers, time) = strangers();
        strangers.introduce(at(3), PHONE);
        // What it had as an address is over, where it was is not.
        time.advance(Duration::from_hours(48));
        let familiarity = |address| match strangers.comer_at(address) {
            Comer::Stranger { familiarity, .. } => familiarity,
            Comer::Known { .. } => panic!("nobody is known"),
        };
        assert_eq!(familiarity(at(77)), 4);
        assert_eq!(familiarity([192, 0, 77, 77].into()), 1);
        assert_eq!(familiarity([192, 1, 2, 77].into()), 0);
        for second in 0..60_u8 {
            let from = |provider: u8, site: u8| IpAddr::from([20 + provider, 1, 16 * site, second]);
            for site in 0..16 {
                for provider in 0..16 {
                    strangers.may_shake_hands(from(provider, site), None);
                }
            }
            assert!(!strangers.may_shake_hands(IpAddr::from([99, second, 0, 1]), None));
            // A neighbour's address, then others of the same provider.
            let phone = IpAddr::from([192, 0, second, 77]);
            assert!(strangers.may_shake_hands(phone, None), "{second}");
            time.advance(Duration::from_secs(1));
        }
    }
}
