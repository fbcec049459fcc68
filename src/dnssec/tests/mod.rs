//! Verdicts on a small world of signed zones, in each way in which it can be wrong.

mod world;

use std::time::{Duration, Instant};

use super::*;
use crate::clock::{Standing, Timestamp};
use crate::message::Ttl;
use world::{A, CNAME, DNAME, DNSKEY, DS, Denial, NOW, NS, NSEC, NSEC3, RRSIG, SOA, TXT};
use world::{Message, Rr, TestKey, World, Zone, name, word};

const HOUR: u32 = 3600;

/// Both ways to say no.
const DENIALS: [Denial; 3] = [
    Denial::Nsec,
    Denial::Nsec3 {
        iterations: 0,
        opt_out: false,
    },
    Denial::Nsec3 {
        iterations: 5,
        opt_out: false,
    },
];

fn world_with(denial: Denial) -> World {
    let mut world = World::new();
    for zone in &mut world.zones {
        zone.denial = denial;
    }
    world
}

#[test]
fn what_is_signed_is_secure() {
    for denial in DENIALS {
        let mut world = world_with(denial);
        world.add_unsigned("plain.test");
        for (qname, qtype, expected) in [
            ("www.example.test", A, "secure"),
            ("www.example.test", TXT, "secure"),
            ("nowhere.example.test", A, "secure"),
            ("a.b.c.nowhere.example.test", A, "secure"),
            ("empty.example.test", A, "secure"),
            ("any.wild.example.test", A, "secure"),
            ("far.off.wild.example.test", A, "secure"),
            ("any.wild.example.test", TXT, "secure"),
            ("alias.example.test", A, "secure"),
            ("alias.example.test", CNAME, "secure"),
            ("alias.example.test", TXT, "secure"),
            ("example.test", DNSKEY, "secure"),
            ("example.test", DS, "secure"),
            ("www.example.test", DS, "secure"),
            ("plain.test", DS, "secure"),
            (".", NS, "secure"),
            (".", DS, "secure"),
            (".", A, "secure"),
            ("nosuchtld", A, "secure"),
            ("www.plain.test", A, "insecure"),
            ("nowhere.plain.test", A, "insecure"),
            ("www.plain.test", TXT, "insecure"),
        ] {
            assert_eq!(
                world.verdict(qname, qtype),
                expected,
                "{qname} {qtype} {denial:?}"
            );
        }
    }
}

#[test]
fn what_is_left_out_of_a_zone_is_insecure_and_nothing_else() {
    let mut world = World::new();
    world.zone("test").denial = Denial::Nsec3 {
        iterations: 1,
        opt_out: true,
    };
    world.add_unsigned("plain.test");
    assert_eq!(world.verdict("www.plain.test", A), "insecure");
    assert_eq!(world.verdict("plain.test", DS), "insecure");
    assert_eq!(world.verdict("nowhere.test", A), "insecure");
    assert_eq!(world.verdict("www.example.test", A), "secure");
    // Behind a delegation with DS opt-out is no way out.
    let world = world.spoil(|_, message| message.retain(|it| it.kind != RRSIG || it.data[1] == 2));
    assert!(world.verdict("www.example.test", A).starts_with("bogus"));
}

#[test]
fn aliases_are_checked_link_by_link() {
    let mut world = World::new();
    world.add_unsigned("plain.test");
    world.zones.push(Zone::new("other.test", 4));
    world.delegate("other.test");
    world
        .zone("other.test")
        .add("host.other.test", A, &[192, 0, 2, 7]);
    let zone = world.zone("example.test");
    zone.add(
        "to-other.example.test",
        CNAME,
        b"\x04host\x05other\x04test\0",
    );
    zone.add(
        "to-plain.example.test",
        CNAME,
        b"\x03www\x05plain\x04test\0",
    );
    zone.add(
        "to-nothing.example.test",
        CNAME,
        b"\x07nowhere\x05other\x04test\0",
    );
    zone.add("moved.example.test", DNAME, b"\x05other\x04test\0");
    assert_eq!(world.verdict("to-other.example.test", A), "secure");
    assert_eq!(world.verdict("to-plain.example.test", A), "insecure");
    assert_eq!(world.verdict("to-nothing.example.test", A), "secure");
    assert_eq!(world.verdict("host.moved.example.test", A), "secure");
    // A link that is wrong spoils all of it, wherever it stands.
    let world = world.spoil(|_, message| {
        for rr in message.answers.iter_mut().filter(|it| it.kind == A) {
            rr.data[3] ^= 1;
        }
    });
    assert_eq!(world.verdict("to-other.example.test", A), "bogus 6");
    assert_eq!(world.verdict("host.moved.example.test", A), "bogus 6");
    let world = world.spoil(|_, message| {
        for rr in message.answers.iter_mut().filter(|it| it.kind == CNAME) {
            rr.data = b"\x03www\x05plain\x04test\0".to_vec();
        }
    });
    assert_eq!(world.verdict("to-other.example.test", A), "bogus 6");
    assert_eq!(world.verdict("host.moved.example.test", A), "bogus 6");
}

/// What somebody does to an answer on its way, or a zone does to itself, and what is said of it.
#[test]
fn what_is_wrong_is_bogus_and_told() {
    type Spoil = fn(&Question, &mut Message);
    let cases: [(&str, &str, u16, Spoil, &str); 12] = [
        (
            "an address is another",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == A {
                    m.answers[0].data = vec![192, 0, 2, 66];
                }
            },
            "bogus 6",
        ),
        (
            "an address is missing",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == A {
                    m.answers.remove(0);
                }
            },
            "bogus 6",
        ),
        (
            "a signature is another",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == A {
                    let last = m.answers.last_mut().unwrap();
                    *last.data.last_mut().unwrap() ^= 1;
                }
            },
            "bogus 6",
        ),
        (
            "signatures are stripped",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == A {
                    m.retain(|it| it.kind != RRSIG);
                }
            },
            "bogus 10",
        ),
        (
            "all signatures are stripped",
            "www.example.test",
            A,
            |_, m| {
                m.retain(|it| it.kind != RRSIG);
            },
            "bogus 10",
        ),
        (
            "proofs are stripped",
            "nowhere.example.test",
            A,
            |q, m| {
                if q.qtype == A {
                    m.retain(|it| it.kind == SOA);
                }
            },
            "bogus 12",
        ),
        (
            "proofs alone are stripped",
            "nowhere.example.test",
            A,
            |q, m| {
                if q.qtype == A {
                    m.authorities.truncate(2);
                }
            },
            "bogus 12",
        ),
        (
            "a name that exists is denied",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == A && m.rcode == 0 {
                    m.answers.clear();
                    m.rcode = 3;
                }
            },
            "bogus 12",
        ),
        (
            "the keys are left out",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == DNSKEY && q.qname == name("example.test") {
                    m.answers.clear();
                }
            },
            "bogus 9",
        ),
        (
            "the keys are others",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == DNSKEY && q.qname == name("example.test") {
                    m.answers.retain(|it| it.kind == DNSKEY);
                    m.answers[0].data = TestKey::new(77).data();
                }
            },
            "bogus 9",
        ),
        (
            "the DS is left out",
            "www.example.test",
            A,
            |q, m| {
                if q.qtype == DS && q.qname == name("example.test") {
                    m.answers.clear();
                }
            },
            "bogus 12",
        ),
        (
            "no address where a type is denied",
            "www.example.test",
            TXT,
            |q, m| {
                if q.qtype == TXT {
                    let www = name("www.example.test");
                    m.retain(|it| it.owner != www);
                }
            },
            "bogus 12",
        ),
    ];
    let count = cases.len();
    let mut done = 0;
    for (what, qname, qtype, spoil, expected) in cases {
        let world = World::new().spoil(spoil);
        assert_eq!(world.verdict(qname, qtype), expected, "{what}");
        done += 1;
    }
    assert_eq!(done, count);
}

#[test]
fn a_signature_holds_for_its_time() {
    let at = |change: fn(&mut Zone), wall| {
        let mut world = World::new();
        change(world.zone("example.test"));
        world.at(wall).verdict("www.example.test", A)
    };
    let expired: fn(&mut Zone) = |zone| zone.expiration = NOW - 2 * HOUR;
    let early: fn(&mut Zone) = |zone| zone.inception = NOW + 2 * HOUR;
    assert_eq!(at(expired, NOW), "bogus 7");
    assert_eq!(at(early, NOW), "bogus 8");
    // A home's clock may be wrong by some minutes.
    assert_eq!(at(|zone| zone.expiration = NOW - HOUR / 2, NOW), "secure");
    assert_eq!(at(|zone| zone.inception = NOW + HOUR / 2, NOW), "secure");
    // A router that boots in 1970 looks up the server of the time.
    assert_eq!(at(expired, 1), "secure");
    assert_eq!(at(early, 1), "secure");
    let mut world = World::new();
    world.zone("example.test").expiration = NOW - 2 * HOUR;
    let world = world.at(1).spoil(|q, m| {
        if q.qtype == A {
            m.answers[0].data[0] ^= 1;
        }
    });
    assert_eq!(world.verdict("www.example.test", A), "bogus 6");
}

const DAY: u32 = 24 * HOUR;

/// A world in which all was signed `days` from now, for two weeks, by a clock that nobody confirmed.
fn signed_in(days: u32) -> World {
    let mut world = World::new();
    world.clock.confirm(Standing::Unsure);
    for zone in &mut world.zones {
        zone.inception = NOW + days * DAY;
        zone.expiration = zone.inception + 14 * DAY;
    }
    world
}

/// A router that starts at the time of some file had every signed name bogus.
#[test]
fn a_clock_that_is_months_behind_closes_no_signed_name() {
    let world = signed_in(90);
    let verdicts = |world: &World| {
        [("www.example.test", A), ("nowhere.example.test", A)]
            .map(|(qname, qtype)| world.verdict(qname, qtype))
    };
    assert!(!world.clock.needs_time());
    assert_eq!(verdicts(&world), ["secure", "secure"]);
    // What the root signed says that it is behind; the network is asked for the time.
    assert!(world.clock.needs_time());
    let true_time = Timestamp::from_second((NOW + 91 * DAY).into()).unwrap();
    assert!(world.clock.lend(true_time));
    assert_eq!(verdicts(&world), ["secure", "secure"]);
    // All else is checked as ever.
    let world = signed_in(90).spoil(|question, message| {
        if question.qtype == A {
            message.retain(|it| it.kind != RRSIG);
        }
    });
    assert_eq!(verdicts(&world), ["bogus 10", "bogus 12"]);
    // Somebody set the clock: now it is the signature that is wrong.
    let world = signed_in(90);
    world.clock.confirm(Standing::Set);
    assert_eq!(verdicts(&world), ["bogus 8", "bogus 8"]);
}

/// A router whose clock starts years ahead.
#[test]
fn a_clock_that_is_ahead_is_told_by_what_the_root_signed() {
    let ended = |world: &World| world.clock.may_be_ahead().map(|it| it.as_second());
    let world = World::new().at(NOW + 400 * DAY);
    world.clock.confirm(Standing::Ran);
    assert_eq!(world.verdict("www.example.test", A), "bogus 7");
    assert_eq!(ended(&world), Some((NOW + DAY).into()));
    assert!(!world.clock.needs_time(), "asking comes first");
    let true_time = Timestamp::from_second(NOW.into()).unwrap();
    assert!(world.clock.lend(true_time));
    assert_eq!(world.verdict("www.example.test", A), "secure");
    // A zone that is over says nothing of the clock, nor does a root that nobody signed.
    let mut world = World::new();
    world.clock.confirm(Standing::Unsure);
    world.zone("example.test").expiration = NOW - DAY;
    assert_eq!(world.verdict("www.example.test", A), "bogus 7");
    assert_eq!(ended(&world), None);
    let world = World::new().at(NOW + 400 * DAY).spoil(|question, message| {
        if question.qtype == DNSKEY {
            message.answers[0].data[10] ^= 1;
        }
    });
    world.clock.confirm(Standing::Unsure);
    assert!(world.verdict("www.example.test", A).starts_with("bogus"));
    assert_eq!(ended(&world), None);
    // Nor does anything, of a clock that was seen to be set.
    let world = World::new().at(NOW + 400 * DAY);
    assert_eq!(world.verdict("www.example.test", A), "bogus 7");
    assert_eq!(ended(&world), None);
}

/// The root's keys live longer than a signature of them: whoever shows an old one beside the one that holds
/// shows nothing.
#[test]
fn an_old_signature_of_the_root_beside_one_that_holds_says_nothing_of_the_clock() {
    let mut older = World::new();
    older.zone(".").expiration = NOW - 2 * DAY;
    let keys = World::question(".", DNSKEY);
    let old = older.message(&keys).answers;
    let old: Vec<Rr> = old.into_iter().filter(|it| it.kind == RRSIG).collect();
    assert_eq!(old.len(), 1);
    for is_alone in [false, true] {
        let old = old.clone();
        let world = World::new().spoil(move |question, message| {
            if (question.qtype, question.qname) == (DNSKEY, keys.qname) {
                message.retain(|it| !is_alone || it.kind != RRSIG);
                message.answers.splice(0..0, old.clone());
            }
        });
        world.clock.confirm(Standing::Ran);
        let before = Timestamp::from_second((NOW - 3 * DAY).into()).unwrap();
        world.clock.note_ended(before);
        assert_eq!(world.clock.may_be_ahead(), Some(before));
        let verdict = world.verdict("www.example.test", A);
        assert_eq!(verdict, if is_alone { "bogus 7" } else { "secure" });
        assert_eq!(world.clock.may_be_ahead().is_some(), is_alone);
    }
}

/// One zone of many that is signed for a time to come says nothing of the clock.
#[test]
fn a_zone_of_its_own_time_does_not_tell_ours() {
    let mut world = World::new();
    world.clock.confirm(Standing::Unsure);
    world.zone("example.test").inception = NOW + 40 * DAY;
    world.zone("example.test").expiration = NOW + 50 * DAY;
    assert_eq!(world.verdict("www.example.test", A), "bogus 8");
    assert!(!world.clock.needs_time());
    // What is nearer to the root can be older, out of a cache.
    world.zone("example.test").inception = NOW + 20 * DAY;
    assert_eq!(world.verdict("www.example.test", A), "secure");
    assert!(!world.clock.needs_time());
}

#[test]
fn what_ended_before_a_time_that_is_surely_past_is_over_without_a_clock_too() {
    let mut world = World::new();
    world.zone("example.test").expiration = NOW - 2 * HOUR;
    let world = world.at(1);
    assert_eq!(world.verdict("www.example.test", A), "secure");
    let proven = Timestamp::from_second(NOW.into()).unwrap();
    world.clock.note_earliest(proven);
    assert_eq!(world.verdict("www.example.test", A), "bogus 7");
    // So it is where the clock shows a time that can be, before that.
    let world = world.at(NOW - 3 * DAY);
    assert_eq!(world.verdict("www.example.test", A), "bogus 7");
    assert_eq!(world.verdict("nowhere.test", A), "secure");
}

#[test]
fn what_was_found_out_without_a_clock_is_looked_at_again_with_one() {
    let mut world = World::new();
    world.clock.confirm(Standing::Unsure);
    world.zone("test").expiration = NOW - 2 * HOUR;
    let world = world.at(1);
    let validator = world.validator();
    let judged = world.judge(&validator, "www.example.test", A).unwrap();
    assert!(judged.is_secure);
    assert_eq!(judged.ceiling, 60);
    let asked = world.asked();
    // Known for a minute.
    assert!(world.judge(&validator, "www.example.test", A).is_ok());
    assert_eq!(world.asked(), asked);
    let world = world.at(NOW);
    let verdict = word(world.judge(&validator, "www.example.test", A));
    assert_eq!(verdict, "bogus 7");
    // And what is found out by a clock that is set later.
    let mut world = World::new();
    world.clock.confirm(Standing::Unsure);
    world.zone("test").expiration = NOW + 100;
    let validator = world.validator();
    assert!(world.judge(&validator, "www.example.test", A).is_ok());
    world.clock.note_jump();
    let world = world.at(NOW + 2 * HOUR);
    let verdict = word(world.judge(&validator, "www.example.test", A));
    assert_eq!(verdict, "bogus 7");
}

#[test]
fn nobody_signs_with_a_key_that_must_not() {
    let mut world = World::new();
    world.zone("example.test").keys[0].flags = 0x0001;
    world
        .parent_of("example.test")
        .records
        .remove(&(name("example.test").as_ref().to_name(), DS));
    world.delegate("example.test");
    assert_eq!(world.verdict("www.example.test", A), "bogus 11");
    let mut world = World::new();
    world.zone("example.test").keys[0].flags = 0x0181;
    world
        .parent_of("example.test")
        .records
        .remove(&(name("example.test").as_ref().to_name(), DS));
    world.delegate("example.test");
    assert_eq!(world.verdict("www.example.test", A), "bogus 9", "revoked");
}

#[test]
fn what_cannot_be_checked_here_is_insecure() {
    for (at, expected) in [(2, "insecure 1"), (3, "insecure 2")] {
        let mut world = World::new();
        let key = (name("example.test").as_ref().to_name(), DS);
        let parent = world.parent_of("example.test");
        let ds = parent.records.get_mut(&key).unwrap();
        ds[0][at] = 200;
        assert_eq!(world.verdict("www.example.test", A), expected);
    }
    // One that can be checked counts, whatever stands beside it.
    let mut world = World::new();
    let key = (name("example.test").as_ref().to_name(), DS);
    let all = world
        .parent_of("example.test")
        .records
        .get_mut(&key)
        .unwrap();
    let mut other = all[0].clone();
    other[2] = 200;
    all.push(other);
    assert_eq!(world.verdict("www.example.test", A), "secure");
}

#[test]
fn names_hashed_too_often_are_insecure() {
    let with = |iterations| {
        world_with(Denial::Nsec3 {
            iterations,
            opt_out: false,
        })
    };
    assert_eq!(with(50).verdict("nowhere.example.test", A), "secure");
    let world = with(51);
    assert_eq!(world.verdict("nowhere.example.test", A), "insecure 27");
    assert_eq!(world.verdict("www.example.test", TXT), "insecure 27");
    assert_eq!(world.verdict("www.example.test", A), "secure");
    // That they are is signed too.
    let world = with(5).spoil(|_, message| {
        for rr in message.authorities.iter_mut().filter(|it| it.kind == NSEC3) {
            rr.data[2..4].copy_from_slice(&2500_u16.to_be_bytes());
        }
    });
    assert_eq!(world.verdict("nowhere.example.test", A), "bogus 6");
}

#[test]
fn a_name_with_many_labels_costs_no_more_than_it_may() {
    let labels = vec!["a"; 100].join(".");
    let qname = format!("{labels}.example.test");
    let cheap = world_with(Denial::Nsec3 {
        iterations: 0,
        opt_out: false,
    });
    assert_eq!(cheap.verdict(&qname, A), "secure");
    let costly = world_with(Denial::Nsec3 {
        iterations: 50,
        opt_out: false,
    });
    assert_eq!(costly.verdict(&qname, A), "bogus 6");
}

/// Names below `ip6.arpa` are that deep, and RFC 5155 wants a hash for each label.
#[test]
fn a_deep_name_of_an_honest_zone_is_checked() {
    for (iterations, labels) in [(50, 40), (20, 120)] {
        let mut world = world_with(Denial::Nsec3 {
            iterations,
            opt_out: false,
        });
        let qname = format!("{}.example.test", vec!["a"; labels].join("."));
        assert_eq!(world.verdict(&qname, A), "secure", "{iterations}");
        // One that is there, with each label between a name without records.
        let qname = format!("{}.ip6.example.test", vec!["f"; 32].join("."));
        world.zone("example.test").add(&qname, TXT, b"\x01x");
        assert_eq!(world.verdict(&qname, A), "secure", "{iterations}");
        assert_eq!(world.verdict(&format!("0.{qname}"), A), "secure");
    }
}

/// Who answers for an unsigned zone may add its parent's proof that it is one.
#[test]
fn the_deepest_zone_has_the_say() {
    let mut world = World::new();
    world.add_unsigned("plain.test");
    let proof = world.message(&World::question("plain.test", DS));
    let world = world.spoil(move |question, message| {
        if question.qtype == TXT {
            let more = proof.authorities.iter().filter(|it| {
                it.kind == NSEC || it.kind == RRSIG && it.data[..2] == NSEC.to_be_bytes()
            });
            message.authorities.extend(more.cloned());
        }
    });
    assert_eq!(world.verdict("www.plain.test", TXT), "insecure");
    assert_eq!(world.verdict("nowhere.plain.test", TXT), "insecure");
    // Where nothing is signed but the zone, a name that is said to be one changes nothing.
    let world = World::new().spoil(|question, message| {
        if question.qtype == TXT {
            let mut soa = message.authorities[0].clone();
            soa.owner = name("www.example.test");
            message.authorities.insert(0, soa);
        }
    });
    assert_eq!(world.verdict("www.example.test", TXT), "secure");
}

/// Where a zone begins its NSEC and its parent's have the same owner.
#[test]
fn two_zones_may_have_an_nsec_of_one_name_in_an_answer() {
    let mut world = World::new();
    let of_parent = world.message(&World::question("nowhere.test", A));
    world
        .zone("example.test")
        .add("example.test", CNAME + 100, b"x");
    let world = world.spoil(move |question, message| {
        if question.qtype == TXT {
            let apex = name("example.test");
            let of_parent = of_parent.authorities.iter().filter(|it| it.owner == apex);
            message.authorities.splice(0..0, of_parent.cloned());
        }
    });
    let validator = world.validator();
    let judged = world.judge(&validator, "example.test", TXT).unwrap();
    assert!(judged.is_secure);
    // One of them was not checked, and both look alike to whoever hands them on.
    let apex = name("example.test");
    assert!(judged.proofs.contains(&(apex, SOA)) && !judged.proofs.contains(&(apex, NSEC)));
}

#[test]
fn what_lies_above_a_trust_anchor_renames_nothing_below() {
    // `test` is not signed; the household has a key of `example.test`.
    let mut world = World::new();
    let test = name("test").as_ref().to_name();
    world.zone(".").records.remove(&(test, DS));
    world.zone("test").is_signed = false;
    world.zones.push(Zone::new("evil", 6));
    world.zone("evil").is_signed = false;
    world
        .zone("evil")
        .add("www.example.evil", A, &[192, 0, 2, 66]);
    let island = world.zone("example.test");
    let ds = island.keys[0].ds(&island.apex);
    let owner = island.apex.as_ref().to_name();
    world.anchors.push((owner, ds));
    assert_eq!(world.verdict("www.example.test", A), "secure");
    assert_eq!(world.verdict("www.test", A), "insecure");
    // Its DS is its parent's to sign.
    assert_eq!(world.verdict("example.test", DS), "insecure");
    let world = world.spoil(|question, message| {
        if question.qname == name("www.example.test") && question.qtype == A {
            let alias = |owner: &str, kind, data: &[u8]| Rr {
                owner: name(owner),
                kind,
                data: data.to_vec(),
            };
            message.answers = vec![
                alias("test", DNAME, b"\x04evil\0"),
                alias("www.example.test", CNAME, b"\x03www\x07example\x04evil\0"),
                alias("www.example.evil", A, &[192, 0, 2, 66]),
            ];
        }
    });
    assert_eq!(world.verdict("www.example.test", A), "bogus 10");
}

#[test]
fn the_ds_of_a_name_with_a_key_of_its_own_is_its_parents() {
    let mut world = World::new();
    let island = world.zone("example.test");
    let ds = island.keys[0].ds(&island.apex);
    let owner = island.apex.as_ref().to_name();
    world.anchors.push((owner, ds));
    assert_eq!(world.verdict("example.test", DS), "secure");
    assert_eq!(world.verdict("www.example.test", A), "secure");
}

#[test]
fn many_ds_of_keys_that_are_not_there_hide_none_that_is() {
    let mut world = World::new();
    let key = (name("example.test").as_ref().to_name(), DS);
    let records = &mut world.parent_of("example.test").records;
    let all = records.get_mut(&key).unwrap();
    let (good, tag) = (all[0].clone(), u16::from_be_bytes([all[0][0], all[0][1]]));
    // Smaller in canonical order, so that they come first.
    for other in (0..tag).take(40) {
        let mut ds = good.clone();
        ds[..2].copy_from_slice(&other.to_be_bytes());
        all.push(ds);
    }
    assert!(all.len() > 20, "{tag}");
    assert_eq!(world.verdict("www.example.test", A), "secure");
}

/// RSA of 8,192 bits that signs all but the keys, and the DS with which a parent vouches for it.
fn too_large() -> (Vec<u8>, Vec<u8>) {
    let large = [&[1, 0, 3, 8, 3, 1, 0, 1][..], &[0xc1; 1024]].concat();
    let key = key::Key::read(&large).unwrap();
    let apex = name("example.test");
    let wire = [apex.as_ref().as_wire(), &large].concat();
    let mut ds = key.tag.to_be_bytes().to_vec();
    ds.extend([8, 2]);
    ds.extend(ring::digest::digest(&ring::digest::SHA256, &wire).as_ref());
    (large, ds)
}

/// Keys that are larger than what is checked are as algorithms that are not known.
#[test]
fn keys_that_are_too_large_are_insecure_if_the_parent_vouches_for_them() {
    let (large, ds) = too_large();
    let mut world = World::new().spoil(move |question, message| {
        if question.qtype == DNSKEY && question.qname == name("example.test") {
            message.answers.retain(|it| it.kind == RRSIG);
            message.answers.push(Rr {
                owner: question.qname,
                kind: DNSKEY,
                data: large.clone(),
            });
        }
    });
    assert_eq!(world.verdict("www.example.test", A), "bogus 9");
    let parent = world.parent_of("example.test");
    let owner = name("example.test").as_ref().to_name();
    // It vouches for another as well, and somebody on the way took that out.
    let other = parent.records[&(owner.clone(), DS)][0].clone();
    let both = vec![ds.clone(), other];
    parent.records.insert((owner.clone(), DS), both);
    assert_eq!(world.verdict("www.example.test", A), "bogus 9");
    let parent = world.parent_of("example.test");
    parent.records.insert((owner, DS), vec![ds]);
    assert_eq!(world.verdict("www.example.test", A), "insecure 1");
}

/// One that nobody signed with made its zone insecure.
#[test]
fn a_key_that_is_too_large_changes_nothing_beside_one_that_signs() {
    let (large, ds) = too_large();
    let mut world = World::new();
    let zone = world.zone("example.test");
    let owner = zone.apex.as_ref().to_name();
    zone.more_keys.push(large);
    assert_eq!(world.verdict("www.example.test", A), "secure");
    let parent = world.parent_of("example.test");
    parent.records.get_mut(&(owner, DS)).unwrap().push(ds);
    assert_eq!(world.verdict("www.example.test", A), "secure");
    let world = world.spoil(|question, message| {
        if question.qtype == A {
            message.retain(|it| it.kind != RRSIG);
        }
    });
    assert_eq!(world.verdict("www.example.test", A), "bogus 10");
}

/// One after the other the five questions took five round trips.
#[test]
fn the_way_down_takes_one_round_trip() {
    let mut world = World::new();
    world.add_unsigned("plain.test");
    world.zones.push(Zone::new("sub.example.test", 7));
    world.delegate("sub.example.test");
    world
        .zone("sub.example.test")
        .add("www.sub.example.test", A, &[192, 0, 2, 7]);
    for (qname, verdict, asked, trips) in [
        ("www.example.test", "secure", 5, 1),
        ("nowhere.example.test", "secure", 5, 1),
        ("www.plain.test", "insecure", 4, 1),
        // Whether `example.test` is a zone is guessed.
        ("www.sub.example.test", "secure", 7, 1),
    ] {
        world.forget_counts();
        assert_eq!(world.verdict(qname, A), verdict, "{qname}");
        assert_eq!((world.asked(), world.trips()), (asked, trips), "{qname}");
    }
    // A name that nobody says is a zone is walked to.
    world.forget_counts();
    assert_eq!(world.verdict("a.b.www.plain.test", A), "insecure");
    assert_eq!((world.asked(), world.trips()), (4, 1));
    // What is known is not asked again.
    let validator = world.validator();
    assert!(world.judge(&validator, "www.example.test", A).is_ok());
    world.forget_counts();
    assert!(world.judge(&validator, "www.sub.example.test", A).is_ok());
    assert_eq!((world.asked(), world.trips()), (2, 1));
}

/// CVE-2023-50387: keys of one tag, and signatures by that tag, as many as fit into a message.
#[test]
fn keytrap_costs_a_few_signatures() {
    // As many colliding keys as are tried, and as many as fit.
    for (keys, expected) in [(3, "bogus 6"), (399, "bogus 9")] {
        keytrap(keys, expected);
    }
}

fn keytrap(count: u16, expected: &str) {
    let mut world = World::new();
    let zone = world.zone("example.test");
    let tag = zone.keys[0].tag();
    // Two octets of a public key make every tag.
    let colliding = |seed: u16| {
        let mut data = vec![1, 1, 3, 15];
        data.extend([seed.to_be_bytes(), [0, 0]].concat());
        data.extend([0; 26]);
        data.extend([0, 0]);
        let mut own = key::Key::read(&data).unwrap().tag;
        while own != tag {
            let at = data.len() - 2;
            let now = u16::from_be_bytes([data[at], data[at + 1]]);
            let next = now.wrapping_add(tag.wrapping_sub(own).max(1));
            data[at..].copy_from_slice(&next.to_be_bytes());
            own = key::Key::read(&data).unwrap().tag;
        }
        data
    };
    let keys: Vec<Vec<u8>> = (1..=count).map(colliding).collect();
    let zone_key = TestKey::new(3);
    let mut signer = Zone::new("example.test", 3);
    signer.keys = vec![TestKey::new(3)];
    let world = world.spoil(move |question, message| {
        let apex = name("example.test");
        if question.qtype == DNSKEY && question.qname == apex {
            let mut set: Vec<Rr> = message
                .answers
                .iter()
                .filter(|it| it.kind == DNSKEY)
                .cloned()
                .collect();
            set.extend(keys.iter().map(|data| Rr {
                owner: apex,
                kind: DNSKEY,
                data: data.clone(),
            }));
            // Its owner signs all of it.
            set.sort_by(|left, right| left.data.cmp(&right.data));
            let data = signer.signature(&zone_key, &set);
            set.push(Rr {
                owner: apex,
                kind: RRSIG,
                data,
            });
            message.answers = set;
        }
        if question.qtype == A {
            // Many signatures, and none is right.
            let signature = message.answers.last().unwrap().clone();
            for wrong in 0..300_u16 {
                let mut next = signature.clone();
                let end = next.data.len();
                next.data[end - 2..].copy_from_slice(&wrong.to_be_bytes());
                message.answers.insert(0, next);
            }
            message.answers.pop();
        }
    });
    let validator = world.validator();
    let begin = Instant::now();
    let verdict = word(world.judge(&validator, "www.example.test", A));
    let took = begin.elapsed();
    assert_eq!(verdict, expected);
    let checked = validator.judgements().signatures;
    assert!(checked <= 30, "{checked} signatures");
    println!("{count} keys, 300 signatures: {checked} checked in {took:?}");
    // Some milliseconds; the bound is for a machine that does other things too.
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn the_way_down_is_walked_once() {
    let world = World::new();
    let validator = world.validator();
    assert_eq!(
        word(world.judge(&validator, "www.example.test", A)),
        "secure"
    );
    // Keys of three zones, delegations of two.
    assert_eq!(world.asked(), 5);
    assert_eq!(
        word(world.judge(&validator, "alias.example.test", A)),
        "secure"
    );
    assert_eq!(
        word(world.judge(&validator, "nowhere.example.test", A)),
        "secure"
    );
    assert_eq!(world.asked(), 5);
    let judgements = validator.judgements();
    assert_eq!((judgements.secure, judgements.bogus), (3, 0));
}

#[test]
fn what_is_bogus_is_remembered_and_looked_at_again_when_doubted() {
    use std::sync::atomic::AtomicBool;
    static STRIPS: AtomicBool = AtomicBool::new(true);
    let world = World::new().spoil(|question, message| {
        if STRIPS.load(Ordering::Relaxed) && question.qtype == DNSKEY {
            message.retain(|it| it.kind != RRSIG);
        }
    });
    let validator = world.validator();
    assert_eq!(
        word(world.judge(&validator, "www.example.test", A)),
        "bogus 10"
    );
    let asked = world.asked();
    STRIPS.store(false, Ordering::Relaxed);
    assert_eq!(
        word(world.judge(&validator, "www.example.test", A)),
        "bogus 10"
    );
    assert_eq!(world.asked(), asked);
    let question = World::question("www.example.test", A);
    let answer = world.answer(&question);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let again = validator.judge(&answer, &question, &world, Memory::Doubted);
    assert_eq!(word(runtime.block_on(again)), "secure");
    assert_eq!(
        word(world.judge(&validator, "www.example.test", A)),
        "secure"
    );
}

#[test]
fn below_a_negative_trust_anchor_nothing_is_checked() {
    let spoil = |question: &Question, message: &mut Message| {
        if question.qtype == A {
            message.retain(|it| it.kind != RRSIG);
        }
    };
    let world = World::new().spoil(spoil).distrust("example.test");
    assert_eq!(world.verdict("www.example.test", A), "insecure");
    assert!(
        !world
            .validator()
            .concerns(name("www.example.test").as_ref())
    );
    assert!(world.validator().concerns(name("test").as_ref()));
    assert_eq!(world.asked(), 0);
}

#[test]
fn a_wildcard_does_not_hide_a_name() {
    // Somebody shows the wildcard's address for a name that exists.
    let mut world = World::new();
    let zone = world.zone("example.test");
    zone.add("own.wild.example.test", A, &[192, 0, 2, 4]);
    let world = world.spoil(|question, message| {
        if question.qname == name("own.wild.example.test") && question.qtype == A {
            let other = World::new().message(&World::question("any.wild.example.test", A));
            message.answers = other.answers;
            for rr in &mut message.answers {
                rr.owner = question.qname;
            }
            let zone = World::new();
            let mut no = zone.message(&World::question("nowhere.example.test", A));
            no.authorities.retain(|it| it.kind != SOA);
            message.authorities = no.authorities;
        }
    });
    // With the proofs of a time when the name did not exist it is secure; with today's it is not.
    assert_eq!(world.verdict("own.wild.example.test", A), "secure");
    let mut today = World::new();
    today
        .zone("example.test")
        .add("own.wild.example.test", A, &[192, 0, 2, 4]);
    let proofs = today
        .message(&World::question("nowhere.example.test", A))
        .authorities;
    let world = today.spoil(move |question, message| {
        if question.qname == name("own.wild.example.test") && question.qtype == A {
            let other = World::new().message(&World::question("any.wild.example.test", A));
            message.answers = other.answers;
            for rr in &mut message.answers {
                rr.owner = question.qname;
            }
            message.authorities = proofs.clone();
        }
    });
    assert_eq!(world.verdict("own.wild.example.test", A), "bogus 12");
}

#[test]
fn a_wildcard_does_not_hide_what_lies_below_a_name_without_records() {
    let mut today = World::new();
    today
        .zone("example.test")
        .add("a.own.wild.example.test", A, &[192, 0, 2, 4]);
    // In the gap of its NSEC lies `own.wild.example.test`, which exists without records.
    let other = today.message(&World::question("any.wild.example.test", A));
    let world = today.spoil(move |question, message| {
        if question.qname == name("a.own.wild.example.test") && question.qtype == A {
            message.answers.clone_from(&other.answers);
            for rr in &mut message.answers {
                rr.owner = question.qname;
            }
            message.authorities.clone_from(&other.authorities);
        }
    });
    assert_eq!(world.verdict("any.wild.example.test", A), "secure");
    assert_eq!(world.verdict("a.own.wild.example.test", A), "bogus 12");
}

#[test]
fn nothing_unsigned_stands_among_what_is_secure() {
    const CNAME: u16 = 5;
    const DNAME: u16 = 39;
    for (owner, kind) in [("www.example.test", CNAME), ("test", DNAME)] {
        let world = World::new().spoil(move |question, message| {
            if question.qtype == A {
                message.answers.insert(
                    0,
                    Rr {
                        owner: name(owner),
                        kind,
                        data: b"\x04evil\x04test\0".to_vec(),
                    },
                );
            }
        });
        assert_eq!(world.verdict("www.example.test", A), "bogus 6", "{kind}");
    }
}

#[test]
fn the_parents_side_of_a_delegation_denies_nothing_below() {
    // The NSEC of `plain.test` in `test` is shown for a name below it (RFC 6840 section 4.1).
    let mut world = World::new();
    world.zones.push(Zone::new("child.test", 5));
    world.delegate("child.test");
    world
        .zone("child.test")
        .add("www.child.test", A, &[192, 0, 2, 8]);
    let world = world.spoil(|question, message| {
        if question.qname == name("www.child.test") && question.qtype == A {
            let mut world = World::new();
            world.zones.push(Zone::new("child.test", 5));
            world.delegate("child.test");
            *message = world.message(&World::question("nowhere.test", A));
        }
    });
    assert_eq!(world.verdict("www.child.test", A), "bogus 12");
}

#[test]
fn an_alias_where_a_zone_may_begin_is_believed_only_signed() {
    let mut world = World::new();
    world
        .zone("test")
        .add("alias.test", CNAME, b"\x03www\x07example\x04test\0");
    world
        .zone("test")
        .add("moved.test", DNAME, b"\x07example\x04test\0");
    assert_eq!(world.verdict("alias.test", DS), "secure");
    assert_eq!(world.verdict("www.moved.test", DS), "secure");
    assert_eq!(world.verdict("x.alias.test", A), "secure");
    // A forged one must not hide that a zone begins there.
    let world = world.spoil(|question, message| {
        if question.qtype == DS && question.qname == name("example.test") {
            message.answers = vec![Rr {
                owner: question.qname,
                kind: CNAME,
                data: b"\x04evil\x04test\0".to_vec(),
            }];
        }
    });
    assert_eq!(world.verdict("www.example.test", A), "bogus 10");
}

#[test]
fn it_is_kept_no_longer_than_its_signatures() {
    let mut world = World::new();
    world.zone("example.test").expiration = NOW + 100;
    let validator = world.validator();
    let judged = world.judge(&validator, "www.example.test", A).unwrap();
    assert_eq!(judged.ceiling, 100);
    let question = World::question("www.example.test", A);
    let answer = world.answer(&question);
    assert_eq!(answer.ttl(), Some(3600));
    let plain = Question {
        dnssec_ok: false,
        ..question
    };
    let checked = answer.checked(&plain, &judged.authenticity()).unwrap();
    assert_eq!(checked.ttl(), Some(100));
    assert!(checked.is_authentic());
    let kinds = |answer: &Answer| -> Vec<u16> {
        answer
            .records()
            .map(|(_, record)| record.unwrap().rtype)
            .collect()
    };
    assert_eq!(kinds(&checked), [A, A]);
    let with = answer.checked(&question, &judged.authenticity()).unwrap();
    assert_eq!(kinds(&with), [A, A, RRSIG]);
}

#[test]
fn what_was_not_checked_is_not_handed_on_as_checked() {
    let world = World::new().spoil(|question, message| {
        if question.qtype == A {
            // An NS record that nobody signed, as servers add it.
            message.authorities.push(Rr {
                owner: name("example.test"),
                kind: NS,
                data: b"\x04evil\x04test\0".to_vec(),
            });
        }
    });
    let validator = world.validator();
    for (qname, kinds) in [
        ("www.example.test", &[A, A, RRSIG][..]),
        ("any.wild.example.test", &[A, RRSIG, NSEC, RRSIG]),
        ("www.nowhere.example.test", &[SOA, RRSIG, NSEC, RRSIG]),
    ] {
        let judged = world.judge(&validator, qname, A).unwrap();
        assert!(judged.is_secure, "{qname}");
        let question = World::question(qname, A);
        let checked = world
            .answer(&question)
            .checked(&question, &judged.authenticity());
        let mut found: Vec<u16> = Vec::new();
        for (_, record) in checked.unwrap().records() {
            found.push(record.unwrap().rtype);
        }
        assert_eq!(&found[..kinds.len()], kinds, "{qname}");
        assert!(!found.contains(&NS), "{qname}");
    }
    assert_eq!(Ttl::FRESH.age, 0);
}

/// After a change of the records `HEDGEROW_BLESS=1` writes the seeds of the fuzz target anew.
#[test]
fn whatever_comes_comes_to_an_end() {
    let mut seeds: Vec<(&str, Question, Vec<u8>)> = Vec::new();
    for (kind, denial) in [
        ("nsec", Denial::Nsec),
        (
            "nsec3",
            Denial::Nsec3 {
                iterations: 3,
                opt_out: true,
            },
        ),
    ] {
        let mut world = world_with(denial);
        let zone = world.zone("example.test");
        zone.add("moved.example.test", DNAME, b"\x05other\x04test\0");
        for (qname, qtype) in [
            ("www.example.test", A),
            ("nowhere.example.test", A),
            ("www.example.test", TXT),
            ("any.wild.example.test", A),
            ("alias.example.test", A),
            ("a.moved.example.test", A),
            ("example.test", DNSKEY),
            ("example.test", DS),
        ] {
            let question = World::question(qname, qtype);
            let bytes = world.message(&question).to_wire(&question);
            seeds.push((kind, question, bytes));
        }
    }
    let mut seen = 0;
    for (kind, question, bytes) in &seeds {
        if std::env::var_os("HEDGEROW_BLESS").is_some() {
            let file = format!("{kind}-{}-{}", question.qname.as_ref(), question.qtype);
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            let path = folder.join("fuzz/corpus/dnssec").join(file);
            crate::files::Files::disk().replace(&path, bytes).unwrap();
        }
        seen += take_apart(bytes, question);
        for at in 0..bytes.len() {
            take_apart(&bytes[..at], question);
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            take_apart(&other, question);
        }
    }
    assert!(seen > 40, "{seen}");
}
