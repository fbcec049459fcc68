//! Data hidden in names: a program that carries a connection in DNS asks for one made-up name after
//! another, each a piece of data, all below a name of its own.
//!
//! Only questions that go to an upstream are looked at, of a name that nothing spoke about: what is
//! blocked, allowed by somebody or in the cache costs nothing. For each device and each registrable
//! name the last minute's *made-up* names are counted. When there are about a hundred different ones
//! that carry three thousand octets, what is below that name stays closed to that device for ten
//! minutes.
//!
//! # Why it does not fire on others
//! A made-up name is long (32 octets below the registrable name) and mixes letters and figures as no
//! words do. Many services use such names: content networks, trackers, printers, players. But they
//! use a few of them, again and again, and those come from the cache; nobody but a tunnel needs a
//! hundred new ones in a minute. Those that do, virus scanners and lists of mail servers above all,
//! are known by name ([`HONEST`]).
//!
//! # What it does not find
//! Up to the moment it fires some fifteen kilobytes have passed. A tunnel that keeps below a hundred
//! names a minute passes at about 200 octets a second, too slow for pictures; and words instead of
//! figures would deceive it.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Moment;
use crate::name::NameRef;

/// How long questions are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// How long a tunnel stays closed after the last question.
const CLOSED: Duration = Duration::from_mins(10);
/// Marks of 256 that are set by about a hundred different names.
const MANY: u32 = 83;
/// Octets that a hundred shorter names would not carry.
const MUCH: u32 = 3000;
/// Octets of a name below the registrable one that are worth a tunnel's while.
const LONG: usize = 32;
/// Pairs of device and name that are watched at a time, 64 octets each.
const PLACES: usize = 512;
/// Places one pair may stand in.
const WAYS: usize = 8;

/// Names below which honest programs ask for many made-up ones: virus scanners, lists of mail
/// servers and of addresses, and what a network asks of itself.
const HONEST: [&[u8]; 27] = [
    b"\x04arpa\x00",
    b"\x06mcafee\x03com\x00",
    b"\x08sophosxl\x03net\x00",
    b"\x08sophosxl\x03com\x00",
    b"\x02e5\x02sk\x00",
    b"\x04eset\x03com\x00",
    b"\x0atrendmicro\x03com\x00",
    b"\x09kaspersky\x03com\x00",
    b"\x0ekaspersky-labs\x03com\x00",
    b"\x0bbitdefender\x03net\x00",
    b"\x05avast\x03com\x00",
    b"\x05avcdn\x03net\x00",
    b"\x06norton\x03com\x00",
    b"\x08symantec\x03com\x00",
    b"\x08f-secure\x03com\x00",
    b"\x05fsapi\x03com\x00",
    b"\x0ewebrootcloudav\x03com\x00",
    b"\x0cmalwarebytes\x03com\x00",
    b"\x06clamav\x03net\x00",
    b"\x08spamhaus\x03org\x00",
    b"\x08spamhaus\x03net\x00",
    b"\x05surbl\x03org\x00",
    b"\x05uribl\x03com\x00",
    b"\x05dnswl\x03org\x00",
    b"\x10barracudacentral\x03org\x00",
    b"\x05cymru\x03com\x00",
    b"\x0bsenderscore\x03com\x00",
];

/// Who asks for how many made-up names below what.
#[derive(Debug)]
pub struct Tunnels {
    hasher: RandomState,
    places: Mutex<Box<[Place]>>,
}

/// What one device asks below one name.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Both, hashed; 0 is nobody.
    key: u64,
    /// When counting began, in microseconds.
    since: u64,
    /// Until when it is closed.
    closed_until: u64,
    /// Octets of the made-up names.
    octets: u32,
    /// One mark of 256 for each name, by its hash: names are told apart without being kept.
    marks: [u64; 4],
}

impl Default for Tunnels {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            places: Mutex::new(vec![Place::default(); PLACES].into_boxed_slice()),
        }
    }
}

impl Tunnels {
    /// Takes note that `who` is about to ask an upstream for `name`; says whether it is one more
    /// piece of a tunnel.
    pub fn is_piece(&self, name: NameRef<'_>, who: impl Hash, at: Moment) -> bool {
        let parent = name.registrable_guess();
        if HONEST
            .iter()
            .any(|honest| NameRef::from_wire(honest).is_ok_and(|honest| parent.is_within(honest)))
        {
            return false;
        }
        let made_up = made_up_octets(name, parent);
        let key = self.hasher.hash_one((who, parent.as_wire())).max(1);
        let now = at.as_micros();
        // Nobody waits here: where another thread is at it, this question is not counted.
        let Ok(mut places) = self.places.try_lock() else {
            return false;
        };
        let first = key as usize % (PLACES / WAYS) * WAYS;
        let ways = &mut places[first..first + WAYS];
        let found = ways.iter().position(|place| place.key == key);
        let Some(at) = found.or_else(|| made_up.and_then(|_| oldest(ways))) else {
            return false;
        };
        let place = &mut ways[at];
        if place.closed_until > now && place.key == key {
            place.closed_until = now + CLOSED.as_micros() as u64;
            return true;
        }
        let Some(octets) = made_up else {
            return false;
        };
        if place.key != key || now.saturating_sub(place.since) > WINDOW.as_micros() as u64 {
            *place = Place {
                key,
                since: now,
                ..Place::default()
            };
        }
        let mark = self.hasher.hash_one(name.as_wire());
        place.marks[(mark >> 6 & 3) as usize] |= 1 << (mark & 63);
        place.octets = place.octets.saturating_add(octets);
        let marks: u32 = place.marks.iter().map(|word| word.count_ones()).sum();
        let is_tunnel = marks >= MANY && place.octets >= MUCH;
        if is_tunnel {
            place.closed_until = now + CLOSED.as_micros() as u64;
        }
        is_tunnel
    }
}

/// The place that was begun first.
fn oldest(ways: &[Place]) -> Option<usize> {
    let begun = |place: &Place| place.since.max(place.closed_until);
    (0..ways.len()).min_by_key(|at| begun(&ways[*at]))
}

/// The octets of `name` below `parent`, if they look made up: long, and with so many changes between
/// letters and figures as there are in no words.
fn made_up_octets(name: NameRef<'_>, parent: NameRef<'_>) -> Option<u32> {
    let octets = name.as_wire().len() - parent.as_wire().len();
    if octets < LONG {
        return None;
    }
    let own = name.label_count() - parent.label_count();
    let (mut changes, mut last) = (0, None);
    for octet in name.labels().take(own).flatten() {
        let kind = match octet {
            b'0'..=b'9' => Some(true),
            b'a'..=b'z' => Some(false),
            _ => last,
        };
        changes += usize::from(last.is_some() && kind != last);
        last = kind;
    }
    // At most 255 by the length of names. Random figures and letters change in one place of three
    // or four.
    (changes * 7 >= octets).then_some(octets as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::name::NameBuf;

    /// Numbers that look random and are the same each time.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            self.0 >> 33
        }

        fn text(&mut self, alphabet: &[u8], length: usize) -> String {
            let mut letter = || alphabet[self.roll() as usize % alphabet.len()];
            (0..length).map(|_| char::from(letter())).collect()
        }
    }

    const HEX: &[u8] = b"0123456789abcdef";
    const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    const BASE36: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

    fn ask(tunnels: &Tunnels, text: &str, who: &str, millis: u64) -> bool {
        let name = NameBuf::parse(text).unwrap();
        tunnels.is_piece(name.as_ref(), who, Moment::from_micros(millis * 1000))
    }

    /// How many of `count` names of `make` pass, `every` milliseconds apart.
    fn passing(count: usize, every: u64, mut make: impl FnMut(&mut Dice) -> String) -> usize {
        let tunnels = Tunnels::default();
        let mut dice = Dice(7);
        let mut asked = 0..count as u64;
        asked
            .position(|at| ask(&tunnels, &make(&mut dice), "tablet", 1000 + at * every))
            .unwrap_or(count)
    }

    #[test]
    fn tunnels_are_closed_after_a_hundred_names() {
        for (what, alphabet, length) in [
            ("hex", HEX, 60),
            ("base 32", BASE32, 60),
            ("base 36", BASE36, 63),
            ("short", HEX, 36),
        ] {
            let passed = passing(2000, 50, |dice| {
                format!("{}.t.example.net", dice.text(alphabet, length))
            });
            assert!((60..=160).contains(&passed), "{what}: {passed}");
        }
        let long = passing(2000, 10, |dice| {
            let mut label = || dice.text(BASE32, 55);
            format!("{}.{}.{}.example.net", label(), label(), label())
        });
        assert!((60..=160).contains(&long), "{long}");
    }

    #[test]
    fn a_closed_tunnel_stays_closed_to_that_device_alone() {
        let tunnels = Tunnels::default();
        let mut dice = Dice(1);
        let mut closed = false;
        for at in 0..300 {
            let name = format!("{}.example.net", dice.text(HEX, 60));
            closed |= ask(&tunnels, &name, "tablet", at);
        }
        assert!(closed);
        assert!(ask(&tunnels, "www.example.net", "tablet", 400));
        assert!(!ask(&tunnels, "www.example.net", "laptop", 400));
        assert!(!ask(&tunnels, "www.example.org", "tablet", 400));
        let after = 400 + 1 + CLOSED.as_millis() as u64;
        assert!(!ask(&tunnels, "www.example.net", "tablet", after));
    }

    /// Makes up a name of one sort.
    type Draw = fn(&mut Dice) -> String;

    /// What homes ask for, as fast as they could: none of it is a tunnel.
    #[test]
    fn ordinary_names_are_none() {
        let everyday: [(&str, Draw); 13] = [
            ("content network", |dice| {
                format!("d{}.cloudfront.test", dice.text(BASE36, 13))
            }),
            ("video", |dice| {
                format!(
                    "rr{}---sn-{}.video.test",
                    dice.roll() % 9,
                    dice.text(BASE36, 8)
                )
            }),
            ("shop", |dice| {
                format!("images-{}.media.shop.test", dice.roll() % 999)
            }),
            ("load balancer", |dice| {
                format!(
                    "my-service-production-{}.eu-west-1.elb.cloud.test",
                    dice.roll() % 99_999
                )
            }),
            ("words", |dice| {
                let words = [
                    "quick", "brown", "summer", "winter", "garden", "castle", "bridge",
                ];
                let mut word = || words[dice.roll() as usize % words.len()];
                format!(
                    "{}-{}-{}-{}-{}.blog.test",
                    word(),
                    word(),
                    word(),
                    word(),
                    word()
                )
            }),
            ("reverse", |dice| {
                let nibbles: Vec<String> = (0..32).map(|_| dice.text(HEX, 1)).collect();
                format!("{}.ip6.arpa", nibbles.join("."))
            }),
            ("blocklist of mail", |dice| {
                let mut octet = || dice.roll() % 256;
                format!(
                    "{}.{}.{}.{}.zen.spamhaus.org",
                    octet(),
                    octet(),
                    octet(),
                    octet()
                )
            }),
            ("virus scanner", |dice| {
                format!("{}.avqs.mcafee.com", dice.text(BASE36, 26))
            }),
            ("virus scanner", |dice| {
                format!("{}.i.01.s.sophosxl.net", dice.text(BASE36, 40))
            }),
            ("DKIM", |dice| {
                format!("s{}._domainkey.mail{}.test", dice.roll() % 9, dice.roll())
            }),
            ("certificate", |dice| {
                format!("_acme-challenge.host{}.test", dice.roll() % 50)
            }),
            ("telemetry", |dice| {
                format!("v{}.events.data.system.test", dice.roll() % 30)
            }),
            ("a network's test", |dice| {
                format!("{}.test", dice.text(BASE32, 12))
            }),
        ];
        for (what, make) in everyday {
            assert_eq!(passing(600, 80, make), 600, "{what}");
        }
        // A player's own servers: long and made up, but few of them, asked again and again.
        let servers = passing(2000, 10, |dice| {
            let host = dice.roll() % 40;
            let mut own = Dice(host);
            format!("192-168-1-{host}.{}.player.test", own.text(HEX, 32))
        });
        assert_eq!(servers, 2000);
        // Telemetry with a number for each message, one every two seconds.
        let messages = passing(900, 2000, |dice| {
            format!("{}.metrics.test", dice.text(HEX, 40))
        });
        assert_eq!(messages, 900);
    }

    #[test]
    fn every_honest_name_is_a_name() {
        for honest in HONEST {
            assert!(NameRef::from_wire(honest).is_ok(), "{honest:?}");
        }
    }

    #[test]
    fn memory_is_bounded_whatever_is_asked() {
        assert!(size_of::<Place>() * PLACES <= 32 << 10);
        let tunnels = Tunnels::default();
        let mut dice = Dice(3);
        for at in 0..5000 {
            let name = format!("{}.example-{at}.test", dice.text(HEX, 40));
            assert!(!ask(&tunnels, &name, "tablet", at));
        }
    }

    proptest! {
        /// Fewer than 83 names in a window never fire, whatever they look like.
        #[test]
        fn few_names_never_fire(texts in prop::collection::vec("[a-z0-9]{33,60}", 1..82)) {
            let tunnels = Tunnels::default();
            for (text, at) in texts.iter().zip(0..) {
                for repeat in 0..3 {
                    let fired = ask(&tunnels, &format!("{text}.example.net"), "tablet", at + repeat);
                    prop_assert!(!fired);
                }
            }
        }
    }
}
