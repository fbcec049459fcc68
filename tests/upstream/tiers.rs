//! Tiers of resolvers, and groups of them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hedgerow::clock::{ManualTime, Timestamp};

use hedgerow::config::{Resolvers, Transport};
use hedgerow::message::Question;
use hedgerow::upstream::{Failure, Health, Upstreams};

use crate::private::{Certificate, Door, Household};
use crate::stub::{Act, Seen, Stub};
use crate::{ME, ask, build, limits, question, status, timed, udp, until};

fn answers(seen: &Seen) -> Vec<Act> {
    vec![Act::Send(seen.reply(0))]
}

#[tokio::test]
async fn tiers_are_asked_one_after_the_other() {
    let declining = || Stub::start(|seen| vec![Act::Send(seen.reply(2))]);
    let (first, second, third, last) = (
        declining(),
        declining(),
        Stub::answering(),
        Stub::answering(),
    );
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![
        vec![udp(second.address)],
        vec![udp(third.address)],
        vec![udp(last.address)],
    ];
    let upstreams = build(&config);
    assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0));
    assert_eq!(first.names(), [("a.test.".into(), false)]);
    assert_eq!(second.names(), [("a.test.".into(), false)]);
    assert_eq!(third.names(), [("a.test.".into(), false)]);
    assert_eq!(last.names(), [], "nobody had to ask it");
    let tiers: Vec<_> = upstreams.status().iter().map(|it| it.tier).collect();
    assert_eq!(tiers, [0, 1, 2, 3]);
}

#[tokio::test]
async fn what_one_group_says_is_not_told_to_who_asks_another() {
    let (ours, theirs) = (
        Stub::answering(),
        Stub::start(|seen| vec![Act::Send(seen.reply(3))]),
    );
    let mut config = crate::config(&[ours.address]);
    config.groups = vec![Resolvers {
        name: "small".into(),
        servers: vec![udp(theirs.address)],
        fallback: vec![vec![udp(ours.address)]],
    }];
    let upstreams = build(&config);
    let via = |via| Question {
        via,
        ..question("a.test")
    };
    // At once, so that they would share an exchange if they could.
    let (small, household) = (via(1), via(0));
    let (small, household) = tokio::join!(
        upstreams.resolve(&small, ME),
        upstreams.resolve(&household, ME)
    );
    assert_eq!(small.unwrap().rcode(), 3);
    assert_eq!(household.unwrap().rcode(), 0);
    assert_eq!((ours.seen().len(), theirs.seen().len()), (1, 1));
    let status = upstreams.status();
    assert_eq!(status.len(), 2);
    assert!(status[0].of_household && !status[1].of_household);
    assert_eq!(status[0].resolvers, [Arc::from("small")]);
    assert_eq!(status[1].resolvers, [Arc::from("small")]);
}

#[tokio::test]
async fn a_domain_with_resolvers_of_its_own_has_them_for_every_group() {
    let (home, theirs) = (Stub::answering(), Stub::answering());
    let mut config = crate::config(&[theirs.address]);
    config.groups = vec![Resolvers {
        name: "small".into(),
        servers: vec![udp(theirs.address)],
        fallback: Vec::new(),
    }];
    config.forward = vec![hedgerow::config::Forward {
        domain: hedgerow::name::Name::parse("home.test").unwrap(),
        servers: vec![udp(home.address)],
    }];
    let upstreams = build(&config);
    let question = Question {
        via: 1,
        ..question("nas.home.test")
    };
    assert!(upstreams.resolve(&question, ME).await.is_ok());
    assert_eq!((home.seen().len(), theirs.seen().len()), (1, 0));
}

/// A household's filter is not to be left for a fallback just because its line is long.
#[tokio::test]
async fn a_slow_handshake_hands_nobody_over() {
    let household = Household::new();
    for transport in crate::private::transports() {
        let right = Certificate::default();
        let door = Door::Slow(Duration::from_millis(700));
        let first = household.server_with(transport, &right, door, answers);
        let last = Stub::answering();
        let mut config = crate::private::config(&household, &[&first]);
        config.fallback = vec![vec![udp(last.address)]];
        config.budget = Duration::from_secs(2);
        let upstreams = build(&config);
        let (result, took) = timed(&upstreams, "a.test").await;
        assert_eq!(result, Ok(0), "{transport:?}");
        assert!(
            took >= Duration::from_millis(700),
            "{transport:?}: {took:?}"
        );
        assert_eq!(last.seen().len(), 0, "{transport:?}");
        assert_eq!(upstreams.status()[0].health, Health::Healthy);
    }
}

#[tokio::test]
async fn a_first_choice_that_never_ends_its_handshake_is_overtaken_and_found_dead() {
    let household = Household::new();
    let right = Certificate::default();
    for transport in [Transport::Tls, Transport::Https] {
        let first = household.server_with(transport, &right, Door::Silent, answers);
        let last = Stub::answering();
        let mut config = crate::private::config(&household, &[&first]);
        config.fallback = vec![vec![udp(last.address)]];
        config.budget = Duration::from_secs(2);
        let upstreams = build(&config);
        let (result, took) = timed(&upstreams, "a.test").await;
        assert_eq!(result, Ok(0), "{transport:?}");
        assert!(
            took < Duration::from_millis(1500),
            "{transport:?}: {took:?}"
        );
        // From then on nobody waits for it.
        let (result, took) = timed(&upstreams, "b.test").await;
        assert_eq!(result, Ok(0), "{transport:?}");
        assert!(took < Duration::from_millis(300), "{transport:?}: {took:?}");
        let begun = Instant::now();
        let mut index = 0;
        while upstreams.status()[0].health != Health::Dead {
            assert!(begun.elapsed() < Duration::from_secs(20), "{transport:?}");
            index += 1;
            assert!(ask(&upstreams, &format!("n{index}.test")).await.is_ok());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// An answer that took its time is no reason to leave the first choice for a second.
#[tokio::test]
async fn who_was_overtaken_by_a_fallback_and_answers_after_all_is_first_again_at_once() {
    let first = Stub::start(|seen| match seen.name().starts_with("slow") {
        true => vec![
            Act::Delay(Duration::from_millis(700)),
            Act::Send(seen.reply(0)),
        ],
        false => answers(seen),
    });
    let last = Stub::answering();
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![vec![udp(last.address)]];
    config.budget = Duration::from_secs(2);
    let upstreams = build(&config);
    assert!(ask(&upstreams, "a.test").await.is_ok());
    assert_eq!(timed(&upstreams, "slow.test").await.0, Ok(0));
    assert_eq!(last.seen().len(), 1, "it was overtaken");
    assert_eq!(upstreams.status()[0].health, Health::Failing);
    until("it is healthy again, though nobody asks anything", || {
        upstreams.status()[0].health == Health::Healthy
    })
    .await;
    assert!(ask(&upstreams, "b.test").await.is_ok());
    assert_eq!(last.seen().len(), 1);
}

/// Whoever owns a name can have one resolver fail with it, and a child would be out of its filter.
#[tokio::test]
async fn names_that_only_the_fallback_answers_leave_the_first_choice_first() {
    for (is_silent, names) in [(false, 6), (true, 3)] {
        let first = Stub::start(
            move |seen| match (seen.name().starts_with("odd"), is_silent) {
                (true, true) => Vec::new(),
                (true, false) => vec![Act::Send(seen.reply(2))],
                (false, _) => answers(seen),
            },
        );
        let last = Stub::answering();
        let mut config = crate::config(&[first.address]);
        config.fallback = vec![vec![udp(last.address)]];
        config.budget = Duration::from_secs(2);
        let upstreams = build(&config);
        assert!(ask(&upstreams, "a.test").await.is_ok());
        for index in 0..names {
            let odd = format!("odd.n{index}.test");
            assert_eq!(timed(&upstreams, &odd).await.0, Ok(0), "{odd}");
            let health = status(&upstreams, &first).health;
            assert_eq!(health, Health::Healthy, "{odd}, {is_silent}");
        }
        assert_eq!(timed(&upstreams, "b.test").await.0, Ok(0));
        assert_eq!(last.seen().len(), names, "those names and no other");
    }
}

#[tokio::test]
async fn a_first_choice_that_answers_nothing_but_neutral_questions_is_left_until_it_does() {
    let is_well = Arc::new(AtomicBool::new(false));
    let its = Arc::clone(&is_well);
    let first = Stub::start(move |seen| {
        let answers = its.load(Ordering::SeqCst) || seen.name().is_empty();
        vec![Act::Send(seen.reply(if answers { 0 } else { 2 }))]
    });
    let last = Stub::answering();
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![vec![udp(last.address)]];
    let upstreams = build(&config);
    let mut asked = 0;
    while status(&upstreams, &first).health != Health::Failing {
        asked += 1;
        assert!(asked <= 8, "eight domains are enough");
        let name = format!("n{asked}.n{asked}.test");
        assert_eq!(timed(&upstreams, &name).await.0, Ok(0));
    }
    assert_eq!(asked, 8);
    is_well.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    while status(&upstreams, &first).health != Health::Healthy {
        assert!(begun.elapsed() < Duration::from_secs(10), "never again");
        let name = format!("m{}.test", begun.elapsed().as_micros());
        assert!(ask(&upstreams, &name).await.is_ok());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_first_choice_that_declines_even_a_neutral_question_is_left_soon() {
    let first = Stub::start(|seen| vec![Act::Send(seen.reply(2))]);
    let last = Stub::answering();
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![vec![udp(last.address)]];
    let upstreams = build(&config);
    for index in 0..4 {
        let name = format!("n{index}.n{index}.test");
        assert_eq!(timed(&upstreams, &name).await.0, Ok(0));
    }
    until("it is left", || {
        status(&upstreams, &first).health == Health::Failing
    })
    .await;
}

/// As when a router forgets a connection: the server is well, and a new one leads there.
#[tokio::test]
async fn a_connection_that_went_quiet_hands_nobody_over() {
    let household = Household::new();
    for transport in crate::private::transports() {
        let alive = Mutex::new(None);
        let first = household.server(transport, move |seen| {
            let mut alive = alive.lock().unwrap();
            let is_answered = match *alive {
                None => alive.replace(seen.from).is_none(),
                Some(dead) => dead != seen.from,
            };
            Vec::from_iter(is_answered.then(|| Act::Send(seen.reply(0))))
        });
        let last = Stub::answering();
        let mut config = crate::private::config(&household, &[&first]);
        config.fallback = vec![vec![udp(last.address)]];
        config.budget = Duration::from_secs(2);
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let upstreams = Upstreams::new(&config, &limits(), &[], time.clock());
        assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0), "{transport:?}");
        time.advance(Duration::from_secs(40));
        assert_eq!(timed(&upstreams, "b.test").await.0, Ok(0), "{transport:?}");
        assert_eq!(last.seen().len(), 0, "{transport:?}");
        assert_eq!(first.connections(), 2, "{transport:?}");
    }
}

/// RFC 7766 section 6.2.4: a server may close whenever it likes, and that is no fault of its.
#[tokio::test]
async fn a_connection_that_was_closed_hands_nobody_over() {
    let household = Household::new();
    let transports = crate::private::transports();
    for transport in transports.into_iter().filter(|it| !it.is_http()) {
        let used = Mutex::new(HashSet::new());
        let first = household.server(transport, move |seen| {
            match used.lock().unwrap().insert(seen.from) {
                true => answers(seen),
                false => vec![Act::Close],
            }
        });
        let last = Stub::answering();
        let mut config = crate::private::config(&household, &[&first]);
        config.fallback = vec![vec![udp(last.address)]];
        let upstreams = build(&config);
        for index in 0..6 {
            let name = format!("n{index}.test");
            assert_eq!(timed(&upstreams, &name).await.0, Ok(0), "{transport:?}");
        }
        assert_eq!(last.seen().len(), 0, "{transport:?}");
        assert_eq!(upstreams.status()[0].health, Health::Healthy);
    }
}

#[tokio::test]
async fn a_lost_packet_hands_nobody_over() {
    let lost = Mutex::new(HashSet::new());
    let first = Stub::start(move |seen| match lost.lock().unwrap().insert(seen.name()) {
        true => Vec::new(),
        false => answers(seen),
    });
    let last = Stub::answering();
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![vec![udp(last.address)]];
    let upstreams = build(&config);
    for name in ["a.test", "b.test"] {
        assert_eq!(timed(&upstreams, name).await.0, Ok(0), "{name}");
    }
    assert_eq!(last.seen().len(), 0);
}

#[tokio::test]
async fn every_tier_has_its_turn_within_the_budget() {
    let silent = [Stub::silent(), Stub::silent(), Stub::silent()];
    let last = Stub::answering();
    let mut config = crate::config(&[silent[0].address]);
    config.fallback = vec![
        vec![udp(silent[1].address), udp(silent[2].address)],
        vec![udp(last.address)],
    ];
    config.budget = Duration::from_secs(1);
    let upstreams = build(&config);
    let (result, took) = timed(&upstreams, "a.test").await;
    assert_eq!(result, Ok(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn while_all_tiers_fail_everybody_hears_so_within_the_budget() {
    let speak = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
    let [first, last] = [0, 1].map(|at| {
        let speaks = Arc::clone(&speak[at]);
        Stub::start(move |seen| match speaks.load(Ordering::SeqCst) {
            true => answers(seen),
            false => Vec::new(),
        })
    });
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![vec![udp(last.address)]];
    config.budget = Duration::from_secs(1);
    let upstreams = build(&config);
    assert!(ask(&upstreams, "a.test").await.is_ok());
    speak[0].store(false, Ordering::SeqCst);
    assert!(ask(&upstreams, "b.test").await.is_ok(), "by the fallback");
    assert_eq!(status(&upstreams, &first).health, Health::Failing);
    speak[1].store(false, Ordering::SeqCst);
    for name in ["c.test", "d.test"] {
        let asked = (first.seen().len(), last.seen().len());
        let (result, took) = timed(&upstreams, name).await;
        let failure = result.unwrap_err();
        assert!(matches!(failure, Failure::Timeout { .. }), "{failure}");
        assert_eq!(failure.ede(), 22);
        assert!(took < Duration::from_millis(1100), "{took:?}");
        let both = first.seen().len() > asked.0 && last.seen().len() > asked.1;
        assert!(both, "{name} was asked of both");
    }
}

/// That those of the first tier are asked once more is not at the expense of the fallback.
#[tokio::test]
async fn a_fallback_has_its_turn_behind_however_many() {
    for tiers in [&[4, 1][..], &[2, 1, 1, 1]] {
        let speaks = Arc::new(AtomicBool::new(true));
        let silent: Vec<Vec<Stub>> = tiers[..tiers.len() - 1]
            .iter()
            .map(|count| {
                let start = |_| {
                    let speaks = Arc::clone(&speaks);
                    Stub::start(move |seen| match speaks.load(Ordering::SeqCst) {
                        true => answers(seen),
                        false => Vec::new(),
                    })
                };
                (0..*count).map(start).collect()
            })
            .collect();
        let last = Stub::answering();
        let first: Vec<_> = silent[0].iter().map(|stub| stub.address).collect();
        let mut config = crate::config(&first);
        let addresses = |tier: &Vec<Stub>| tier.iter().map(|stub| udp(stub.address)).collect();
        config.fallback = silent[1..].iter().map(addresses).collect();
        config.fallback.push(vec![udp(last.address)]);
        config.budget = Duration::from_secs(2);
        let upstreams = build(&config);
        assert!(ask(&upstreams, "a.test").await.is_ok());
        speaks.store(false, Ordering::SeqCst);
        for index in 0..3 {
            let name = format!("n{index}.test");
            assert_eq!(timed(&upstreams, &name).await.0, Ok(0), "{tiers:?} {name}");
        }
    }
}

/// Whoever is dead is known as such, so that nobody waits for him time and again.
#[tokio::test]
async fn with_a_fallback_too_all_that_are_dead_are_found_dead() {
    let silent = [(); 4].map(|()| Stub::silent());
    let [a, b, c, last] = silent.each_ref().map(|stub| stub.address);
    let mut config = crate::config(&[a, b, c]);
    config.fallback = vec![vec![udp(last)]];
    config.budget = Duration::from_millis(500);
    let upstreams = build(&config);
    let mut index = 0;
    let begun = Instant::now();
    let is_dead = |it: &hedgerow::upstream::ServerStatus| it.health == Health::Dead;
    while !upstreams.status().iter().all(is_dead) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            upstreams.status()
        );
        index += 1;
        assert!(ask(&upstreams, &format!("n{index}.test")).await.is_err());
    }
    let asked = ["a.test", "b.test", "c.test", "d.test"].map(|name| timed(&upstreams, name));
    let [a, b, c, d] = asked;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let outcomes = [a, b, c, d];
    // But for those that are let through to find out whether somebody answers again.
    let is_told = |(result, took): &(_, Duration)| {
        *result == Err(Failure::Down) && *took < Duration::from_millis(480)
    };
    let told = outcomes.iter().filter(|it| is_told(it)).count();
    assert!(told >= 2, "{outcomes:?}");
}

/// A provider's resolver refuses whoever comes from another network.
#[tokio::test]
async fn what_a_fallback_refuses_while_the_first_is_silent_is_no_decision() {
    let speaks = Arc::new(AtomicBool::new(false));
    let hears = Arc::clone(&speaks);
    let first = Stub::start(move |seen| match hears.load(Ordering::SeqCst) {
        true => answers(seen),
        false => Vec::new(),
    });
    let last = Stub::start(|seen| vec![Act::Send(seen.reply(5))]);
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![vec![udp(last.address)]];
    config.budget = Duration::from_secs(1);
    let upstreams = build(&config);
    let failure = ask(&upstreams, "a.test").await.unwrap_err();
    assert!(!failure.is_final() && !failure.is_no(), "{failure}");
    speaks.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let mut index = 0;
    while ask(&upstreams, &format!("n{index}.test")).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not asked");
        index += 1;
    }
    while ask(&upstreams, "a.test").await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it stays lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Such as a validating resolver that has no time after a power cut.
#[tokio::test]
async fn who_says_of_everything_that_it_is_bogus_is_left() {
    let first = Stub::start(|seen| {
        // SERVFAIL, and an OPT record with "Signature Expired" behind the question.
        let mut reply = seen.reply(2);
        reply[11] = 1;
        reply.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, 7]);
        vec![Act::Send(reply)]
    });
    let second = Stub::answering();
    let upstreams = build(&crate::config(&[first.address, second.address]));
    // Whichever is asked first; once the first was, it is found out.
    for index in 0..20 {
        if ask(&upstreams, &format!("n{index}.test")).await.is_err() {
            break;
        }
    }
    until("the one that knows no time is left", || {
        first.seen().is_empty() || status(&upstreams, &first).health == Health::Failing
    })
    .await;
    for index in 0..5 {
        assert_eq!(timed(&upstreams, &format!("m{index}.test")).await.0, Ok(0));
    }
}
