//! Calm while servers come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hedgerow::clock::Clock;
use hedgerow::config::Transport;
use hedgerow::upstream::{Health, Upstreams};

use crate::private::{Certificate, Door, Household, config};
use crate::stub::{Act, Seen, Stub};
use crate::{ME, ask, build, limits, question, timed, udp, until, upstreams};

/// How long the slowest but one percent of these took.
fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[tokio::test]
async fn with_one_of_two_dead_nobody_waits_longer() {
    let household = Household::new();
    // As far away as a resolver on the internet.
    let far = |seen: &Seen| {
        vec![
            Act::Delay(Duration::from_millis(25)),
            Act::Send(seen.reply(0)),
        ]
    };
    let healthy = household.server(Transport::Tls, far);
    let right = Certificate::default();
    let dead = household.server_with(Transport::Tls, &right, Door::Silent, far);
    let alone = build(&config(&household, &[&healthy]));
    let both = build(&config(&household, &[&dead, &healthy]));
    let (mut usual, mut now) = (Vec::new(), Vec::new());
    // In turn, so that whatever else this machine does hurts both.
    for index in 0..300 {
        for (upstreams, times) in [(&alone, &mut usual), (&both, &mut now)] {
            let (result, took) = timed(upstreams, &format!("n{index}.test")).await;
            assert_eq!(result, Ok(0), "{index}");
            times.push(took);
        }
    }
    let (usual, now) = (p99(&mut usual), p99(&mut now));
    assert!(
        now.as_secs_f64() <= usual.as_secs_f64() * 1.2,
        "{usual:?} and then {now:?}"
    );
}

#[tokio::test]
async fn the_quicker_of_two_is_asked_first() {
    let after = |millis| {
        Stub::start(move |seen| {
            vec![
                Act::Delay(Duration::from_millis(millis)),
                Act::Send(seen.reply(0)),
            ]
        })
    };
    let (slow, quick) = (after(60), after(1));
    let upstreams = upstreams(&[&slow, &quick]);
    // Unknown servers are asked in the order of the configuration; the first is soon known.
    for index in 0..20 {
        assert!(ask(&upstreams, &format!("n{index}.test")).await.is_ok());
    }
    let before = slow.seen().len();
    for index in 20..40 {
        assert!(ask(&upstreams, &format!("n{index}.test")).await.is_ok());
    }
    assert_eq!(
        slow.seen().len(),
        before,
        "nothing more was asked of the slow one"
    );
    assert!(quick.seen().len() >= 20);
}

#[tokio::test]
async fn the_fallback_is_asked_only_while_the_others_are_silent() {
    let speaks = Arc::new(AtomicBool::new(true));
    let its = Arc::clone(&speaks);
    let first = Stub::start(move |seen| {
        if its.load(Ordering::SeqCst) {
            vec![
                Act::Delay(Duration::from_millis(30)),
                Act::Send(seen.reply(0)),
            ]
        } else {
            Vec::new()
        }
    });
    let last = Stub::answering();
    let mut config = crate::config(&[first.address]);
    config.fallback = vec![vec![udp(last.address)]];
    config.budget = Duration::from_secs(2);
    let upstreams = build(&config);
    for index in 0..30 {
        assert!(ask(&upstreams, &format!("a{index}.test")).await.is_ok());
    }
    assert_eq!(last.seen().len(), 0, "quicker, but the fallback");
    speaks.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    for index in 0..30 {
        assert!(ask(&upstreams, &format!("b{index}.test")).await.is_ok());
    }
    assert!(
        begun.elapsed() < Duration::from_millis(1500),
        "only the first one waited"
    );
    assert!(last.seen().len() >= 30);
    assert_eq!(upstreams.status()[0].health, Health::Failing);
    speaks.store(true, Ordering::SeqCst);
    // A probe finds out, and then the fallback is left alone again.
    let start = Instant::now();
    while upstreams.status()[0].health != Health::Healthy {
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(
            ask(
                &upstreams,
                &format!("c{}.test", start.elapsed().as_micros())
            )
            .await
            .is_ok()
        );
    }
    let before = last.seen().len();
    for index in 0..10 {
        assert!(ask(&upstreams, &format!("d{index}.test")).await.is_ok());
    }
    assert_eq!(last.seen().len(), before);
}

#[tokio::test]
async fn the_first_question_after_an_outage_is_answered() {
    let household = Household::new();
    for transport in crate::private::transports() {
        let speaks = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&speaks);
        let server = household.server(transport, move |seen| {
            if its.load(Ordering::SeqCst) {
                vec![Act::Send(seen.reply(0))]
            } else {
                Vec::new()
            }
        });
        let mut config = config(&household, &[&server]);
        config.budget = Duration::from_millis(300);
        let clock = Clock::system();
        let upstreams = Upstreams::new(&config, &limits(), &[], clock.clone());
        let start = Instant::now();
        let mut index = 0;
        // What the household asks while nobody answers.
        while upstreams.status()[0].health != Health::Dead {
            index += 1;
            assert!(ask(&upstreams, &format!("a{index}.test")).await.is_err());
            assert!(start.elapsed() < Duration::from_secs(20), "{transport:?}");
        }
        speaks.store(true, Ordering::SeqCst);
        // One question in a quarter of a second is let through.
        let b = question("b.test");
        until("one is let through", || {
            upstreams.recent_failure(&b, ME, clock.now()).is_none()
        })
        .await;
        assert_eq!(timed(&upstreams, "b.test").await.0, Ok(0), "{transport:?}");
        assert_eq!(timed(&upstreams, "c.test").await.0, Ok(0), "{transport:?}");
        until("it is healthy", || {
            upstreams.status()[0].health == Health::Healthy
        })
        .await;
    }
}

#[tokio::test]
async fn lies_about_time_and_bursts_of_no_such_name_are_answers() {
    let household = Household::new();
    let server = household.server(Transport::Tls, |seen| {
        if seen.name().starts_with('x') {
            return vec![Act::Send(seen.reply(3))];
        }
        let mut reply = seen.reply(0);
        // A TTL of 68 years and more counts as zero (RFC 2181 section 8).
        let at = reply.len() - 10;
        reply[at..at + 4].copy_from_slice(&[0xff; 4]);
        vec![Act::Send(reply)]
    });
    let upstreams = build(&config(&household, &[&server]));
    for index in 0..100 {
        assert_eq!(timed(&upstreams, &format!("x{index}.test")).await.0, Ok(3));
    }
    let answer = ask(&upstreams, "a.test").await.unwrap();
    assert_eq!(answer.ttl(), None, "it must not be kept");
    assert_eq!(upstreams.status()[0].health, Health::Healthy);
}

#[tokio::test]
async fn who_declines_because_of_its_filter_has_the_last_word() {
    for (reason, is_final) in [
        (Some(17_u16), true),
        (Some(6), true),
        (Some(22), false),
        (None, false),
    ] {
        let first = Stub::start(move |seen| {
            // REFUSED, and an OPT record of our own making behind the question.
            let mut reply = seen.reply(5);
            if let Some(reason) = reason {
                reply[11] = 1;
                reply.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2]);
                reply.extend(reason.to_be_bytes());
            }
            vec![Act::Send(reply)]
        });
        let last = Stub::answering();
        let mut config = crate::config(&[first.address]);
        config.fallback = vec![vec![udp(last.address)]];
        let upstreams = build(&config);
        let failure = ask(&upstreams, "filtered.test").await.err();
        assert_eq!(failure.is_some(), is_final, "{reason:?}");
        if let Some(failure) = failure {
            assert!(failure.is_final(), "nothing of the past either: {failure}");
            assert_eq!(Some(failure.ede()), reason, "and the device hears why");
        }
        assert_eq!(last.seen().len(), usize::from(!is_final), "{reason:?}");
    }
}

/// Speaks while `speaks` is set.
fn now_and_then(speaks: &Arc<AtomicBool>) -> Stub {
    let its = Arc::clone(speaks);
    Stub::start(move |seen| match its.load(Ordering::SeqCst) {
        true => vec![Act::Send(seen.reply(0))],
        false => Vec::new(),
    })
}

#[tokio::test]
async fn a_hiccup_of_the_line_is_over_with_the_first_answer() {
    let speaks = Arc::new(AtomicBool::new(true));
    let server = now_and_then(&speaks);
    let mut config = crate::config(&[server.address]);
    config.budget = Duration::from_millis(200);
    let upstreams = build(&config);
    assert!(ask(&upstreams, "a.test").await.is_ok());
    speaks.store(false, Ordering::SeqCst);
    assert!(ask(&upstreams, "b.test").await.is_err());
    assert!(ask(&upstreams, "c.test").await.is_err());
    speaks.store(true, Ordering::SeqCst);
    assert_eq!(timed(&upstreams, "d.test").await.0, Ok(0));
    assert_eq!(timed(&upstreams, "b.test").await.0, Ok(0));
    assert_eq!(timed(&upstreams, "c.test").await.0, Ok(0));
}

#[tokio::test]
async fn the_question_that_failed_is_itself_as_good_as_any_to_find_that_out() {
    let speaks = Arc::new(AtomicBool::new(false));
    let server = now_and_then(&speaks);
    let mut config = crate::config(&[server.address]);
    config.budget = Duration::from_millis(200);
    let upstreams = build(&config);
    let begun = Instant::now();
    assert!(ask(&upstreams, "a.test").await.is_err());
    speaks.store(true, Ordering::SeqCst);
    // The very next query, which waits for its turn.
    assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0));
    // A budget and a quarter of a second, and not a second.
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}");
}

#[tokio::test]
async fn a_name_that_fails_while_others_are_answered_is_its_own_fault() {
    let server = Stub::start(|seen| match seen.name().starts_with("dead") {
        true => Vec::new(),
        false => vec![Act::Send(seen.reply(0))],
    });
    let mut config = crate::config(&[server.address]);
    config.budget = Duration::from_millis(300);
    let upstreams = build(&config);
    let (dead, ()) = tokio::join!(ask(&upstreams, "dead.test"), async {
        for index in 0..5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(ask(&upstreams, &format!("live{index}.test")).await.is_ok());
        }
    });
    assert!(dead.is_err());
    let sent = |name: &str| server.names().iter().filter(|(it, _)| it == name).count();
    let before = sent("dead.test.");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(ask(&upstreams, "more.test").await.is_ok());
    assert!(ask(&upstreams, "dead.test").await.is_err());
    assert_eq!(sent("dead.test."), before, "it was not sent again");
}

/// How often of 40 times `bad` is asked of `server`, while others are asked and answered.
async fn asked_beside_others(upstreams: &Upstreams, sent: impl Fn() -> usize) -> usize {
    let before = sent();
    for index in 0..40 {
        let live = format!("live{index}.test");
        let (bad, live) = tokio::join!(ask(upstreams, "bad.test"), ask(upstreams, &live));
        assert!(bad.is_err() && live.is_ok(), "{index}: {bad:?} {live:?}");
    }
    sent() - before
}

/// A server that is well can look as if it could not be reached, to one question.
#[tokio::test]
async fn a_name_that_no_way_leads_to_is_not_asked_time_and_again() {
    let cut = Stub::without_tcp(|seen| match seen.name().starts_with("bad") {
        true => vec![Act::Send(seen.truncated())],
        false => vec![Act::Send(seen.reply(0))],
    });
    let is_bad = |seen: &Seen| seen.name() == "bad.test.";
    let sent = || cut.seen().iter().filter(|it| is_bad(it)).count();
    let asked = asked_beside_others(&upstreams(&[&cut]), sent).await;
    assert!(asked <= 8, "{asked}");

    let household = Household::new();
    let busy = household.server(Transport::Https, |seen| {
        match seen.name().starts_with("bad") {
            true => vec![Act::Http(429, "text/plain", Vec::new())],
            false => vec![Act::Send(seen.reply(0))],
        }
    });
    let upstreams = build(&config(&household, &[&busy]));
    let sent = || busy.seen().iter().filter(|it| is_bad(it)).count();
    let asked = asked_beside_others(&upstreams, sent).await;
    assert!(asked <= 8, "{asked}");
}

#[tokio::test]
async fn a_short_budget_holds_while_nobody_answers_too() {
    let server = Stub::silent();
    let mut config = crate::config(&[server.address]);
    config.budget = Duration::from_millis(100);
    let upstreams = build(&config);
    let mut least = Duration::MAX;
    // The least of several, since the machine may have other things to do; nobody is let through but one.
    for round in 0..8 {
        let names = [0, 1, 2, 3].map(|it| format!("n{round}-{it}.test"));
        let [a, b, c, d] = names.each_ref().map(|it| timed(&upstreams, it));
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        least = least.min([a.1, b.1, c.1, d.1].into_iter().max().unwrap());
    }
    assert!(least < Duration::from_millis(250), "{least:?}");
}

#[tokio::test]
async fn a_fallback_that_hangs_up_is_not_tried_with_every_question() {
    let household = Household::new();
    let first = Stub::start(|seen| {
        let rcode = if seen.name().starts_with("bad") { 2 } else { 0 };
        vec![Act::Send(seen.reply(rcode))]
    });
    let right = Certificate::default();
    for door in [Door::ResetAtOnce, Door::CloseAfterHandshake] {
        let last = household.server_with(Transport::Tls, &right, door, |_| Vec::new());
        let mut config = config(&household, &[&last]);
        config.fallback = vec![std::mem::take(&mut config.servers)];
        config.servers = vec![udp(first.address)];
        let upstreams = build(&config);
        let begun = Instant::now();
        for index in 0..40 {
            let good = format!("good{index}.test");
            assert_eq!(timed(&upstreams, &good).await.0, Ok(0), "{door:?}");
            let bad = ask(&upstreams, &format!("bad{index}.test")).await;
            assert!(bad.is_err(), "{door:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{door:?}");
        // Each second at most one more, and a probe or two.
        let most = 6 + 2 * begun.elapsed().as_secs() as usize;
        assert!(
            last.connections() <= most,
            "{door:?}: {}",
            last.connections()
        );
    }
}
