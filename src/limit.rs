//! How much one client may ask, and the cookies that show it is where it says.
//!
//! Limits are per device, never per subnet: one child's flood must not silence a sibling.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::clock::Moment;
use crate::hash::{Map, keyed};
use crate::mac::Mac;
use crate::message::Cookie;

/// How many clients are kept apart; beyond that the idle ones are forgotten.
const MAX_CLIENTS: usize = 1024;
/// How often at most the idle ones are looked for: a look is at all of them, and whoever floods us from
/// made-up addresses would have one with each packet.
const LOOK: Duration = Duration::from_millis(100);

/// Who is counted: a device somebody named, or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// By its name, which stays when a reload numbers the devices anew.
    Device(&'static str),
    /// Nobody named it.
    Address(IpAddr),
    /// All addresses of a machine that nobody named.
    Machine(Mac),
}

/// Whether a client is where its packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whereabouts {
    /// A datagram says so, which anybody can write.
    Claimed,
    /// A connection or a cookie of ours shows it.
    Shown,
}

/// Queries a second for each client: a bucket that holds `burst` and refills at `rate`; and a second
/// one for what shows where it comes from, so that whoever forges a device's address uses up the
/// first only. The rate is one for all clients; it changes at a reload only.
#[derive(Debug)]
pub struct RateLimiter {
    clients: Mutex<Clients>,
}

#[derive(Debug)]
struct Clients {
    buckets: Map<(Client, Whereabouts), Bucket>,
    /// When the idle ones are looked for again, if there is no room.
    look: Moment,
}

impl Clients {
    fn of(buckets: Map<(Client, Whereabouts), Bucket>) -> Mutex<Self> {
        Mutex::new(Self {
            buckets,
            look: Moment::from_micros(0),
        })
    }

    /// Forgets the idle ones; whether there is room for one more then.
    fn make_room(&mut self, rate: Rate, now: Moment) -> bool {
        if now >= self.look {
            self.look = now.after(LOOK);
            (self.buckets).retain(|_, bucket| bucket.refilled(rate, now).left < rate.full());
        }
        self.buckets.len() < MAX_CLIENTS
    }
}

/// What one client has left, or all together.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Queries left, in thousandths.
    left: u64,
    filled: Moment,
}

/// A rate: queries a second and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Queries a second; 0 is no limit.
    pub per_second: u32,
    /// Queries at once after a rest.
    pub burst: u32,
}

impl Rate {
    /// What a bucket holds, in thousandths of a query.
    fn full(self) -> u64 {
        u64::from(self.burst.max(1)) * 1000
    }
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self {
            clients: Clients::of(Map::with_capacity_and_hasher(MAX_CLIENTS, keyed())),
        }
    }
}

impl RateLimiter {
    /// One that takes memory only as clients come: the one for queries has all of it from the start.
    pub fn growing() -> Self {
        Self {
            clients: Clients::of(crate::hash::map()),
        }
    }

    /// Gives back to `client` what it was charged for one query.
    pub fn give_back(&self, client: Client, at: Whereabouts, rate: Rate) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // Who was forgotten has everything.
        if let Some(bucket) = clients.buckets.get_mut(&(client, at)) {
            bucket.give_back(rate);
        }
    }

    /// Whether `client` may ask once more at `now`.
    pub fn admit(&self, client: Client, at: Whereabouts, rate: Rate, now: Moment) -> bool {
        if rate.per_second == 0 {
            return true;
        }
        let key = (client, at);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.buckets.len() >= MAX_CLIENTS
            && !clients.buckets.contains_key(&key)
            && !clients.make_room(rate, now)
        {
            // A thousand busy clients at once are a flood from made-up addresses; what they
            // could do is bounded by the table of questions in flight.
            return true;
        }
        let buckets = &mut clients.buckets;
        let bucket = buckets
            .entry(key)
            .or_insert_with(|| Bucket::full(rate, now));
        bucket.take(rate, now)
    }
}

impl Bucket {
    /// One that is full at `now`.
    pub fn full(rate: Rate, now: Moment) -> Self {
        Self {
            left: rate.full(),
            filled: now,
        }
    }

    /// Whether one more query may be asked at `now`, which is charged then.
    pub fn take(&mut self, rate: Rate, now: Moment) -> bool {
        *self = self.refilled(rate, now);
        if self.left < 1000 {
            return false;
        }
        self.left -= 1000;
        true
    }

    /// Gives back what one query was charged.
    pub fn give_back(&mut self, rate: Rate) {
        self.left = self.left.saturating_add(1000).min(rate.full());
    }

    fn refilled(self, rate: Rate, now: Moment) -> Self {
        let micros = now.since(self.filled).as_micros();
        let gained = micros.saturating_mul(u128::from(rate.per_second)) / 1000;
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        if gained == 0 {
            // Too short a time to count; it is not lost.
            return self;
        }
        Self {
            left: self.left.saturating_add(gained).min(rate.full()),
            filled: now,
        }
    }
}

/// Makes and checks our part of DNS cookies (RFC 7873), as RFC 9018 section 4 lays it out.
#[derive(Clone, Copy)]
pub struct CookieJar {
    secret: (u64, u64),
}

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieJar { .. }")
    }
}

/// How long our part of a cookie is good (RFC 9018 section 4.3).
const COOKIE_LIFE: u32 = 3600;

impl CookieJar {
    /// A jar with a secret of its own, new at every start.
    pub fn new() -> Self {
        Self {
            secret: (rand::random(), rand::random()),
        }
    }

    /// Our part for `client`'s.
    pub fn bake(&self, client: [u8; 8], address: IpAddr, now: Moment) -> [u8; 16] {
        // Seconds since our start: the household's clock may be anything, and nobody but us reads
        // it.
        self.bake_at(client, address, now.as_secs() as u32)
    }

    /// Whether our part of `cookie` is one we gave to this address, and not too long ago.
    pub fn is_ours(&self, cookie: &Cookie, address: IpAddr, now: Moment) -> bool {
        let Some(server) = cookie.server else {
            return false;
        };
        let [_, _, _, _, a, b, c, d, ..] = server;
        let made = u32::from_be_bytes([a, b, c, d]);
        let age = (now.as_secs() as u32).wrapping_sub(made);
        age <= COOKIE_LIFE && self.bake_at(cookie.client, address, made) == server
    }

    fn bake_at(&self, client: [u8; 8], address: IpAddr, seconds: u32) -> [u8; 16] {
        let mut cookie = [0_u8; 16];
        cookie[0] = 1;
        cookie[4..8].copy_from_slice(&seconds.to_be_bytes());
        let mut hasher = SipHasher24::new_with_keys(self.secret.0, self.secret.1);
        hasher.write(&client);
        hasher.write(&cookie[..8]);
        match address {
            IpAddr::V4(v4) => hasher.write(&v4.octets()),
            IpAddr::V6(v6) => hasher.write(&v6.octets()),
        }
        cookie[8..].copy_from_slice(&hasher.finish().to_le_bytes());
        cookie
    }
}

impl Default for CookieJar {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 20,
    };

    fn at(micros: u64) -> Moment {
        Moment::from_micros(micros)
    }

    fn client(last: u8) -> Client {
        Client::Address(IpAddr::from([192, 0, 2, last]))
    }

    fn admit(limiter: &RateLimiter, client: Client, now: Moment) -> bool {
        limiter.admit(client, Whereabouts::Claimed, RATE, now)
    }

    #[test]
    fn a_burst_then_the_rate_and_each_client_for_itself() {
        let limiter = RateLimiter::default();
        let admitted = (0..100).filter(|_| admit(&limiter, client(1), at(0)));
        assert_eq!(admitted.count(), 20);
        assert!(
            admit(&limiter, client(2), at(0)),
            "a sibling is not silenced"
        );
        // 10 a second for two seconds, asked every millisecond.
        let admitted = (1..=2000).filter(|ms| admit(&limiter, client(1), at(ms * 1000)));
        assert_eq!(admitted.count(), 20);
    }

    /// Both once drew from one bucket, so that a forger used up the owner's share as well.
    #[test]
    fn what_is_claimed_uses_up_nothing_of_what_is_shown() {
        let limiter = RateLimiter::default();
        while admit(&limiter, client(1), at(0)) {}
        let shown = |now| limiter.admit(client(1), Whereabouts::Shown, RATE, now);
        assert_eq!((0..100).filter(|_| shown(at(0))).count(), 20);
        assert!(!admit(&limiter, client(1), at(0)), "nor gives to it");
    }

    #[test]
    fn the_table_is_bounded() {
        let limiter = RateLimiter::default();
        for high in 0..=255_u8 {
            for low in 0..20_u8 {
                let address = IpAddr::from([10, 0, high, low]);
                admit(&limiter, Client::Address(address), at(0));
            }
        }
        assert!(limiter.clients.lock().unwrap().buckets.len() <= MAX_CLIENTS);
    }

    /// Each packet from one more address once had all of them looked at.
    #[test]
    fn the_idle_are_looked_for_now_and_then() {
        let limiter = RateLimiter::default();
        let numbered = |number: u16| {
            let [high, low] = number.to_be_bytes();
            Client::Address(IpAddr::from([10, 0, high, low]))
        };
        let has_place = |limiter: &RateLimiter, client| {
            let clients = limiter.clients.lock().unwrap();
            clients
                .buckets
                .contains_key(&(client, Whereabouts::Claimed))
        };
        for number in 0..1024 {
            assert!(admit(&limiter, numbered(number), at(0)));
        }
        // They are busy at 50 ms, and have rested at 100; so they are found at 150.
        for (micros, number, expected) in [
            (50_000, 2000, false),
            (101_000, 2001, false),
            (149_999, 2002, false),
            (150_000, 2003, true),
        ] {
            assert!(admit(&limiter, numbered(number), at(micros)), "{micros}");
            assert_eq!(has_place(&limiter, numbered(number)), expected, "{micros}");
        }
        assert!(!has_place(&limiter, numbered(0)));
    }

    #[test]
    fn a_cookie_is_good_for_its_address_and_its_hour() {
        let jar = CookieJar::new();
        let address = IpAddr::from([192, 0, 2, 1]);
        let client = *b"abcdefgh";
        let server = Some(jar.bake(client, address, at(5_000_000)));
        let cookie = Cookie { client, server };
        assert!(jar.is_ours(&cookie, address, at(6_000_000)));
        assert!(!jar.is_ours(&cookie, IpAddr::from([192, 0, 2, 2]), at(6_000_000)));
        assert!(!jar.is_ours(&cookie, address, at(4_000_000_000)));
        assert!(!CookieJar::new().is_ours(&cookie, address, at(6_000_000)));
    }
}
