//! Data hidden in names: a program that carries a connection in DNS asks for one name after another,
//! each a piece of data, all below a name of its own, and is told data in the answers.
//!
//! Only questions that go to an upstream are looked at, of a name that nothing spoke about: what is
//! blocked, allowed by somebody or in the cache costs nothing. For each device and each registrable
//! name two things are counted in a minute:
//!
//! - *up*: different names that may be pieces, and the octets in them. About a hundred names with
//!   three thousand octets together are a tunnel; of shorter names it takes more.
//! - *down*: octets of answers where ordinary ones are short. 64 KiB are a tunnel.
//!
//! What is below that name then stays closed to that device for ten minutes.
//!
//! # What may be a piece
//! Browsers, apps and games ask for addresses (A, AAAA, HTTPS), and for many of them: there only a
//! *made-up* name counts, one that is long (20 octets below the registrable name) and either mixes
//! letters and figures or has rows of consonants as no words do. Of every other type (TXT, CNAME,
//! MX, DNSKEY …) every name counts, since nobody asks for hundreds of those below one name; and so
//! do the octets of every answer, where of addresses only what is beyond 512 octets does.
//!
//! # Why it does not fire on others
//! Many services use made-up names: content networks, trackers, printers, players. But they use a
//! few of them, again and again, and those come from the cache; nobody but a tunnel needs a hundred
//! new ones in a minute. Those that do, virus scanners and lists of mail servers above all, are known
//! by name ([`HONEST`]).
//!
//! # What it does not find
//! Up to the moment it fires some kilobytes have passed. A tunnel that stays below these numbers
//! passes: about 50 octets a second up, a kilobyte a second down, too slow for pictures. Addresses
//! of short names, or of names put together from words, carry less still and are not found at any
//! rate up to the device's limit of questions.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Moment;
use crate::message::rtype;
use crate::name::NameRef;

/// How long questions are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// How long a tunnel stays closed after the last question.
const CLOSED: Duration = Duration::from_mins(10);
/// Marks of 256 that are set by about a hundred different names.
const MANY: u32 = 83;
/// Octets that a hundred shorter names would not carry.
const MUCH: u32 = 3000;
/// Octets of a name below the registrable one that are worth a tunnel's while, where addresses are
/// asked for.
const LONG: usize = 20;
/// Octets of answers that nobody needs in a minute.
const TOLD: u32 = 64 << 10;
/// What an answer with addresses may have without being counted.
const ORDINARY: u32 = 512;
/// Pairs of device and name that are watched at a time, 64 octets each.
const PLACES: usize = 512;
/// Places one pair may stand in.
const WAYS: usize = 8;

/// Names below which honest programs ask for many made-up ones: virus scanners, lists of mail
/// servers and of addresses.
const HONEST: [&[u8]; 30] = [
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
    b"\x07spamcop\x03net\x00",
    b"\x05sorbs\x03net\x00",
    b"\x09mailspike\x03net\x00",
    b"\x06rspamd\x03com\x00",
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
    /// Octets of the pieces.
    octets: u32,
    /// Octets of answers.
    told: u32,
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
    /// Takes note that `who` is about to ask an upstream for `qtype` of `name`; says whether it is one
    /// more piece of a tunnel.
    pub fn is_piece(&self, name: NameRef<'_>, qtype: u16, who: impl Hash, at: Moment) -> bool {
        if is_reverse(name, qtype) {
            return false;
        }
        let parent = name.registrable_guess();
        let piece = octets_of_piece(name, parent, qtype);
        self.note(parent, who, at, piece.is_some(), |place, hasher| {
            let mark = hasher.hash_one(name.as_wire());
            place.marks[(mark >> 6 & 3) as usize] |= 1 << (mark & 63);
            place.octets = place.octets.saturating_add(piece.unwrap_or(0));
        })
    }

    /// Takes note that an upstream has told `who` so many `octets` of `qtype` of `name`.
    pub fn note_told(
        &self,
        name: NameRef<'_>,
        qtype: u16,
        octets: usize,
        who: impl Hash,
        at: Moment,
    ) {
        if is_reverse(name, qtype) {
            return;
        }
        // A message has 64 KiB at most.
        let octets = octets as u32;
        let ordinary = if is_common(qtype) { ORDINARY } else { 0 };
        let counted = octets.saturating_sub(ordinary);
        let parent = name.registrable_guess();
        let _closed = self.note(parent, who, at, counted > 0, |place, _| {
            place.told = place.told.saturating_add(counted);
        });
    }

    /// Whether what is below `parent` is closed to `who`, once `count` has counted if it is to.
    fn note(
        &self,
        parent: NameRef<'_>,
        who: impl Hash,
        at: Moment,
        is_counted: bool,
        count: impl FnOnce(&mut Place, &RandomState),
    ) -> bool {
        if HONEST
            .iter()
            .any(|honest| NameRef::from_wire(honest).is_ok_and(|honest| parent.is_within(honest)))
        {
            return false;
        }
        let key = self.hasher.hash_one((who, parent.as_wire())).max(1);
        let now = at.as_micros();
        // Nobody waits here: where another thread is at it, this question is not counted.
        let Ok(mut places) = self.places.try_lock() else {
            return false;
        };
        let first = key as usize % (PLACES / WAYS) * WAYS;
        let ways = &mut places[first..first + WAYS];
        let found = ways.iter().position(|place| place.key == key);
        let Some(at) = found.or_else(|| is_counted.then(|| oldest(ways)).flatten()) else {
            return false;
        };
        let place = &mut ways[at];
        if place.closed_until > now && place.key == key {
            // Only more of the same keeps it closed, not an app that tries again.
            if is_counted {
                place.closed_until = now + CLOSED.as_micros() as u64;
            }
            return true;
        }
        if !is_counted {
            return false;
        }
        if place.key != key || now.saturating_sub(place.since) > WINDOW.as_micros() as u64 {
            *place = Place {
                key,
                since: now,
                ..Place::default()
            };
        }
        count(place, &self.hasher);
        let is_tunnel = place.is_tunnel();
        if is_tunnel {
            place.closed_until = now + CLOSED.as_micros() as u64;
        }
        is_tunnel
    }
}

/// Whether a network asks who has an address of its own, or what is offered there (RFC 1035 section
/// 3.5, RFC 3596 section 2.5, RFC 6763 section 11). Only in the form of an address: zones below `arpa`
/// are given away to anybody, and any server may stand behind them.
fn is_reverse(name: NameRef<'_>, qtype: u16) -> bool {
    const REVERSE: &[u8] = b"\x04arpa\x00";
    let Some(mut rest) = name.as_wire().strip_suffix(REVERSE) else {
        return false;
    };
    while let Some((label, after)) =
        (rest.split_first()).and_then(|(length, rest)| rest.split_at_checked(usize::from(*length)))
    {
        // A number of an address or a word of DNS-SD such as `lb`; longer ones only as they are.
        let is_known = matches!(
            label,
            b"in-addr" | b"ip6" | b"_dns-sd" | b"_services" | b"_tcp" | b"_udp"
        );
        if label.len() > 3 && !is_known {
            return false;
        }
        rest = after;
    }
    qtype == rtype::PTR
}

impl Place {
    fn is_tunnel(&self) -> bool {
        let marks: u32 = self.marks.iter().map(|word| word.count_ones()).sum();
        marks >= MANY && self.octets >= MUCH || self.told >= TOLD
    }
}

/// The place that was begun first.
fn oldest(ways: &[Place]) -> Option<usize> {
    let begun = |place: &Place| place.since.max(place.closed_until);
    (0..ways.len()).min_by_key(|at| begun(&ways[*at]))
}

/// Whether ordinary programs ask for this type all the time.
const fn is_common(qtype: u16) -> bool {
    matches!(qtype, rtype::A | rtype::AAAA | rtype::HTTPS | rtype::PTR)
}

/// The octets of `name` below `parent`, if it may be a piece of a tunnel.
fn octets_of_piece(name: NameRef<'_>, parent: NameRef<'_>, qtype: u16) -> Option<u32> {
    let octets = name.as_wire().len() - parent.as_wire().len();
    if octets == 0 || is_common(qtype) && octets < LONG {
        return None;
    }
    // At most 255 by the length of names.
    (!is_common(qtype) || is_made_up(name, parent, octets)).then_some(octets as u32)
}

/// Whether the labels of `name` below `parent`, so many `octets`, look like no words.
fn is_made_up(name: NameRef<'_>, parent: NameRef<'_>, octets: usize) -> bool {
    /// Consonants in a row that hardly a word has.
    const ROW: usize = 5;
    let own = name.label_count() - parent.label_count();
    let (mut changes, mut last) = (0, None);
    let mut rows = 0;
    for label in name.labels().take(own) {
        let mut row = 0;
        for octet in label {
            let kind = match octet {
                b'0'..=b'9' => Some(true),
                b'a'..=b'z' => Some(false),
                _ => last,
            };
            changes += usize::from(last.is_some() && kind != last);
            last = kind;
            row = match octet {
                b'a' | b'e' | b'i' | b'o' | b'u' | b'y' => 0,
                b'a'..=b'z' => row + 1,
                _ => 0,
            };
            rows += usize::from(row >= ROW);
        }
    }
    // Random figures and letters change in one place of three or four; of random letters, one in
    // four ends a row.
    changes * 7 >= octets || rows * 10 >= octets
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
        ask_type(tunnels, &name, rtype::A, who, millis)
    }

    fn ask_type(tunnels: &Tunnels, name: &NameBuf, qtype: u16, who: &str, millis: u64) -> bool {
        let at = Moment::from_micros(millis * 1000);
        tunnels.is_piece(name.as_ref(), qtype, who, at)
    }

    #[test]
    fn reverse_names_pass_as_addresses_and_hide_nothing() {
        let reverse = |dice: &mut Dice| {
            let nibbles: Vec<String> = (0..32).map(|_| dice.text(HEX, 1)).collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        };
        assert_eq!(passing_of(rtype::PTR, 2000, 10, reverse), 2000);
        let offered = |_: &mut Dice| "lb._dns-sd._udp.0.7.168.192.in-addr.arpa".to_owned();
        assert_eq!(passing_of(rtype::PTR, 2000, 10, offered), 2000);
        // A zone below it that somebody was given.
        for qtype in [16, rtype::PTR] {
            let hidden =
                |dice: &mut Dice| format!("{}.8.b.d.0.1.0.0.2.ip6.arpa", dice.text(BASE32, 44));
            let passed = passing_of(qtype, 2000, 10, hidden);
            assert!(passed < 400, "{qtype}: {passed}");
        }
    }

    /// How many of `count` names of `make` pass, `every` milliseconds apart.
    fn passing(count: usize, every: u64, make: impl FnMut(&mut Dice) -> String) -> usize {
        passing_of(rtype::A, count, every, make)
    }

    fn passing_of(
        qtype: u16,
        count: usize,
        every: u64,
        mut make: impl FnMut(&mut Dice) -> String,
    ) -> usize {
        let tunnels = Tunnels::default();
        let mut dice = Dice(7);
        let mut asked = 0..count as u64;
        asked
            .position(|at| {
                let name = NameBuf::parse(&make(&mut dice)).unwrap();
                ask_type(&tunnels, &name, qtype, "tablet", 1000 + at * every)
            })
            .unwrap_or(count)
    }

    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

    #[test]
    fn short_pieces_are_found_too() {
        // Letters alone, thirty of them, 44 a second.
        let letters = passing(400, 23, |dice| {
            format!("{}.example.net", dice.text(LETTERS, 30))
        });
        assert!((60..=220).contains(&letters), "{letters}");
        // Below a registrable name that might be a registry's.
        let own = passing(400, 23, |dice| format!("{}.abc.me", dice.text(BASE32, 30)));
        assert!((60..=160).contains(&own), "{own}");
        // Of types that hold data, any name: words, and ten letters.
        const CNAME: u16 = 5;
        const TXT: u16 = 16;
        for qtype in [TXT, CNAME, rtype::DNSKEY] {
            let words = ["summer", "winter", "garden", "castle", "bridge", "river"];
            let short = passing_of(qtype, 600, 50, |dice| {
                let mut word = || words[dice.roll() as usize % words.len()];
                format!("{}{}{}.t.example.net", word(), word(), word())
            });
            assert!((60..=300).contains(&short), "{qtype}: {short}");
            let ten = passing_of(qtype, 600, 50, |dice| {
                format!("{}.t.example.net", dice.text(LETTERS, 10))
            });
            assert!((150..=350).contains(&ten), "{qtype}: {ten}");
        }
    }

    /// How many answers of so many octets pass to `n1.t.example.net` and so on, 20 a second.
    fn told(qtype: u16, octets: usize, count: u64, every: u64) -> u64 {
        let tunnels = Tunnels::default();
        let is_closed = |at: u64| {
            let name = NameBuf::parse(&format!("n{at}.t.example.net")).unwrap();
            let is_closed = ask_type(&tunnels, &name, qtype, "tablet", at * every);
            let moment = Moment::from_micros(at * every * 1000);
            tunnels.note_told(name.as_ref(), qtype, octets, "tablet", moment);
            is_closed
        };
        (0..count).find(|at| is_closed(*at)).unwrap_or(count)
    }

    #[test]
    fn what_is_told_is_counted_where_answers_are_short() {
        const TXT: u16 = 16;
        let passed = told(TXT, 1000, 400, 50);
        assert!((60..=80).contains(&passed), "{passed}");
        let passed = told(rtype::HTTPS, 4000, 400, 50);
        assert!((15..=30).contains(&passed), "{passed}");
        // A page of another country's newspaper, with long chains of aliases.
        assert_eq!(told(rtype::A, 480, 400, 50), 400);
        // Keys of all zones that a validator meets, mail servers' policies.
        assert_eq!(told(rtype::DNSKEY, 1400, 40, 1000), 40);
        assert_eq!(told(TXT, 500, 100, 100), 100);
        // A key alone that changes at each question.
        let tunnels = Tunnels::default();
        let name = NameBuf::parse("example.net").unwrap();
        let mut closed = 0;
        for at in 0..200 {
            let (moment, octets) = (Moment::from_micros(at * 50_000), 1200);
            tunnels.note_told(name.as_ref(), rtype::DNSKEY, octets, "tablet", moment);
            closed += u64::from(ask_type(&tunnels, &name, rtype::DNSKEY, "tablet", at * 50));
        }
        assert!((130..=150).contains(&closed), "{closed}");
    }

    /// What mail servers, validators and apps ask for by types that hold data.
    #[test]
    fn ordinary_questions_for_data_are_no_tunnel() {
        const TXT: u16 = 16;
        const SRV: u16 = 33;
        let everyday: [(&str, u16, Draw); 6] = [
            ("DKIM of one mailer", TXT, |dice| {
                format!("s{}._domainkey.mailer.test", dice.roll() % 20)
            }),
            ("certificates of many hosts", TXT, |dice| {
                format!("_acme-challenge.host{}.shop.test", dice.roll() % 40)
            }),
            ("services of a chat", SRV, |dice| {
                format!("_xmpp-server._tcp.room{}.chat.test", dice.roll() % 30)
            }),
            ("a validator", rtype::DS, |dice| {
                format!("img{}.shop.test", dice.roll() % 200)
            }),
            ("who sent the mail", TXT, |dice| {
                format!("_dmarc.mail{}.test", dice.roll())
            }),
            ("a blocklist of mail", TXT, |dice| {
                let mut octet = || dice.roll() % 256;
                format!(
                    "{}.{}.{}.{}.zen.spamhaus.org",
                    octet(),
                    octet(),
                    octet(),
                    octet()
                )
            }),
        ];
        for (what, qtype, make) in everyday {
            assert_eq!(passing_of(qtype, 400, 200, make), 400, "{what}");
        }
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
        let everyday: [(&str, Draw); 12] = [
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
