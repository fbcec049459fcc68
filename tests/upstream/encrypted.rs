//! Asking over TLS, HTTPS, QUIC and HTTP/3.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hedgerow::config::{Transport, UpstreamServer};
use hedgerow::upstream::Failure;

use crate::private::{Certificate, Door, Household, Private, config, transports};
use crate::stub::{Act, Seen, Stub};
use crate::{ask, build, timed, until, upstreams};

const NAME: &str = "Some-Name.example.test";

/// The failure of a question to `server` alone.
async fn failure(household: &Household, server: &Private) -> Failure {
    let upstreams = build(&config(household, &[server]));
    ask(&upstreams, NAME).await.unwrap_err()
}

#[tokio::test]
async fn a_question_tells_nothing_but_its_name() {
    let household = Household::new();
    let mut ran = 0;
    for transport in transports() {
        let server = household.answering(transport);
        let upstreams = build(&config(&household, &[&server]));
        assert_eq!(timed(&upstreams, NAME).await.0, Ok(0), "{transport:?}");
        assert_eq!(timed(&upstreams, "b.test").await.0, Ok(0), "{transport:?}");
        let seen = server.seen();
        assert_eq!(seen.len(), 2, "{transport:?}");
        for seen in &seen {
            assert_eq!(seen.bytes.len(), 128, "{transport:?}");
            let name = seen.name_as_asked();
            assert_eq!(name, name.to_ascii_lowercase(), "{transport:?}");
            // RFC 8484 section 4.1, RFC 9250 section 4.2.1.
            assert_eq!(seen.id() == 0, transport != Transport::Tls, "{transport:?}");
            // Nothing in the options but the padding.
            assert_eq!(seen.options(), [(12, seen.bytes.len() - seen.padding_at())]);
        }
        assert_eq!(server.connections(), 1, "{transport:?}");
        ran += 1;
    }
    assert_eq!(ran, transports().len());
    assert!(ran >= 2);
}

#[tokio::test]
async fn a_hundred_questions_share_a_connection_and_come_back_in_any_order() {
    let household = Household::new();
    for transport in transports() {
        let server = household.server(transport, |seen| {
            // The first ones wait longest.
            let index: u64 = seen.name()[1..].split('.').next().unwrap().parse().unwrap();
            let delay = Duration::from_millis(100 - index);
            vec![
                Act::Delay(delay),
                Act::Send(seen.reply((index % 2 * 3) as u8)),
            ]
        });
        let upstreams = build(&config(&household, &[&server]));
        let mut tasks = Vec::new();
        for index in 0..60_u16 {
            let upstreams = Arc::clone(&upstreams);
            tasks.push(tokio::spawn(async move {
                let name = format!("n{index}.n{index}.test");
                (index % 2 * 3, ask(&upstreams, &name).await)
            }));
        }
        for task in tasks {
            let (rcode, answer) = task.await.unwrap();
            assert_eq!(answer.unwrap().rcode(), rcode, "{transport:?}");
        }
        assert_eq!(server.connections(), 1, "{transport:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_anew_and_resumes_the_session() {
    let household = Household::new();
    let server = household.server(Transport::Tls, |seen| {
        vec![Act::Send(seen.reply(0)), Act::Close]
    });
    let upstreams = build(&config(&household, &[&server]));
    for (index, name) in ["a.test", "b.test", "c.test"].into_iter().enumerate() {
        assert_eq!(timed(&upstreams, name).await.0, Ok(0), "{name}");
        until("another connection", || server.connections() > index).await;
    }
    assert!(server.resumed() >= 1, "{}", server.resumed());
}

#[tokio::test]
async fn who_a_server_says_it_is_must_be_who_was_meant() {
    let household = Household::new();
    let others = Household::new();
    let names = |names: &[&'static str]| Certificate {
        names: names.to_vec(),
        ..Certificate::default()
    };
    let cases = [
        (names(&["dns.test"]), "dns.test", None),
        (names(&["*.dns.test"]), "one.dns.test", None),
        (names(&["127.0.0.1"]), "", None),
        (
            names(&["dns.test"]),
            "",
            Some("its certificate is for other names: dns.test"),
        ),
        (
            names(&["other.test"]),
            "dns.test",
            Some("its certificate is for other names: other.test"),
        ),
        (
            Certificate {
                years: (2020, 2021),
                ..Certificate::default()
            },
            "dns.test",
            Some("its certificate was valid until 2021-01-01, or this machine's clock is wrong"),
        ),
    ];
    let mut ran = 0;
    for transport in transports() {
        for (certificate, asked_as, expected) in &cases {
            let script = |seen: &Seen| vec![Act::Send(seen.reply(0))];
            let server = household.server_with(transport, certificate, Door::Open, script);
            let mut config = config(&household, &[&server]);
            config.servers[0].tls_name = (!asked_as.is_empty()).then(|| (*asked_as).into());
            let result = ask(&build(&config), NAME).await;
            match expected {
                None => assert!(result.is_ok(), "{transport:?}: {result:?}"),
                Some(expected) => {
                    let text = result.unwrap_err().to_string();
                    assert!(text.contains("cannot be used: "), "{transport:?}: {text}");
                    // QUIC tells no more than the code of the alert.
                    assert!(transport.is_quic() || text.ends_with(expected), "{text}");
                    assert_eq!(server.seen().len(), 0, "{transport:?}: nothing was told");
                }
            }
            ran += 1;
        }
        let stranger = others.answering(transport);
        let text = failure(&household, &stranger).await.to_string();
        assert!(
            transport.is_quic() || text.ends_with("no authority we trust signed its certificate")
        );
        assert_eq!(stranger.seen().len(), 0);
    }
    assert_eq!(ran, transports().len() * cases.len());
}

#[tokio::test]
async fn what_is_no_reply_to_our_question_is_none() {
    type Spoil = fn(&Seen) -> Vec<u8>;
    let household = Household::new();
    let spoilt: [(&str, Spoil); 4] = [
        ("name", |seen| seen.spoilt(13, 1)),
        ("type", |seen| seen.spoilt(seen.qtype_at(), 1)),
        ("QR", |seen| seen.spoilt(2, 0x80)),
        ("length", |seen| seen.reply(0)[..20].to_vec()),
    ];
    for transport in transports() {
        for (what, spoil) in spoilt {
            let server = household.server(transport, move |seen| vec![Act::Send(spoil(seen))]);
            let mut config = config(&household, &[&server]);
            config.budget = Duration::from_millis(400);
            let failure = ask(&build(&config), NAME).await.unwrap_err();
            match (transport, &failure) {
                // Another reply may still come on the same connection.
                (Transport::Tls, Failure::Timeout { .. }) => {}
                (Transport::Tls, _) => panic!("{what}: {failure}"),
                (_, Failure::Malformed { .. }) => {}
                _ => panic!("{transport:?}, {what}: {failure}"),
            }
        }
    }
}

#[tokio::test]
async fn what_http_says_in_place_of_an_answer_is_told() {
    let household = Household::new();
    let cases = [
        (503, "text/plain", "HTTP status 503"),
        (302, "text/html", "HTTP status 302"),
        (200, "text/html", "its HTTP answer is no DNS message"),
    ];
    let mut ran = 0;
    for transport in transports().into_iter().filter(|it| it.is_http()) {
        for (status, kind, expected) in cases {
            let page = b"<html>please log in</html>".to_vec();
            let server = household.server(transport, move |_| {
                vec![Act::Http(status, kind, page.clone())]
            });
            let text = failure(&household, &server).await.to_string();
            assert!(text.ends_with(expected), "{transport:?}: {text}");
            ran += 1;
        }
        let endless = household.server(transport, |_| {
            vec![Act::Http(200, "application/dns-message", vec![0; 70_000])]
        });
        let text = failure(&household, &endless).await.to_string();
        assert!(
            text.ends_with("its HTTP answer is too long"),
            "{transport:?}: {text}"
        );
    }
    assert!(ran >= cases.len());
}

#[tokio::test]
async fn one_of_two_may_fail_in_any_way_and_nobody_notices() {
    type Script = fn(&Seen) -> Vec<Act>;
    let answers: Script = |seen| vec![Act::Send(seen.reply(0))];
    let faults: [(&str, Door, Script); 15] = [
        ("reset at once", Door::ResetAtOnce, answers),
        ("reset in the handshake", Door::ResetInHandshake, answers),
        (
            "reset after the handshake",
            Door::ResetAfterHandshake,
            answers,
        ),
        (
            "closed after the handshake",
            Door::CloseAfterHandshake,
            answers,
        ),
        ("silent before the handshake", Door::Silent, answers),
        ("no TLS", Door::Babble, answers),
        ("silent", Door::Open, |_| Vec::new()),
        ("closed in place of an answer", Door::Open, |_| {
            vec![Act::Close]
        }),
        ("slow octets", Door::Open, |seen| {
            vec![
                Act::Delay(Duration::from_millis(300)),
                Act::Trickle(seen.reply(0)),
            ]
        }),
        ("another id", Door::Open, |seen| {
            vec![Act::Send(seen.spoilt(0, 1))]
        }),
        ("another question", Door::Open, |seen| {
            vec![Act::Send(seen.spoilt(13, 1))]
        }),
        ("cut", Door::Open, |seen| {
            vec![Act::Send(seen.reply(0)[..15].to_vec())]
        }),
        ("SERVFAIL", Door::Open, |seen| {
            vec![Act::Send(seen.reply(2))]
        }),
        ("REFUSED", Door::Open, |seen| vec![Act::Send(seen.reply(5))]),
        ("records of others", Door::Open, |seen| {
            let mut reply = seen.reply(0);
            reply[11] = 1;
            reply.extend(b"\x05other\x04test\0\0\x01\0\x01\0\0\x0e\x10\0\x04\xcb\0\x71\x01");
            vec![Act::Send(reply)]
        }),
    ];
    let household = Household::new();
    let mut ran = 0;
    for transport in transports() {
        for (what, door, script) in faults {
            let faulty = household.server_with(transport, &Certificate::default(), door, script);
            let healthy = household.answering(transport);
            let upstreams = build(&config(&household, &[&faulty, &healthy]));
            for index in 0..20 {
                let (result, took) = timed(&upstreams, &format!("n{index}.test")).await;
                assert_eq!(result, Ok(0), "{transport:?}, {what}, question {index}");
                assert!(
                    took < Duration::from_millis(1400),
                    "{transport:?}, {what}: {took:?}"
                );
            }
            ran += 1;
        }
    }
    assert_eq!(ran, transports().len() * faults.len());
}

#[tokio::test]
async fn the_next_in_line_has_its_connection_open() {
    let household = Household::new();
    for transport in transports() {
        let [first, second] = [(); 2].map(|()| household.answering(transport));
        let upstreams = build(&config(&household, &[&first, &second]));
        assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0));
        until("the second connection", || second.connections() == 1).await;
        assert_eq!(
            second.seen().len(),
            0,
            "{transport:?}: and nothing is asked there"
        );
    }
}

#[tokio::test]
async fn a_server_whose_certificate_is_wrong_does_not_keep_others_from_answering() {
    let household = Household::new();
    let wrong = Certificate {
        names: vec!["other.test"],
        ..Certificate::default()
    };
    let script = |seen: &Seen| vec![Act::Send(seen.reply(3))];
    let stranger = household.server_with(Transport::Tls, &wrong, Door::Open, script);
    let plain = Stub::answering();
    let mut config = config(&household, &[&stranger]);
    config.fallback = vec![vec![UpstreamServer::at(plain.address, Transport::Udp)]];
    let upstreams = build(&config);
    let (result, took) = timed(&upstreams, "a.test").await;
    assert_eq!(result, Ok(0));
    assert!(took < Duration::from_millis(400), "{took:?}");
    let status = upstreams.status();
    let last_error = status[0].last_error.as_deref();
    assert_eq!(
        last_error,
        Some("its certificate is for other names: other.test")
    );
    assert_eq!((status[0].tier, status[1].tier), (0, 1));
}

/// The reset of one stream ended a connection on which others were waiting.
#[tokio::test]
async fn a_stream_that_is_reset_is_asked_again_on_the_same_connection() {
    let household = Household::new();
    let times = AtomicUsize::new(0);
    let server = household.server(Transport::Https, move |seen| {
        match times.fetch_add(1, Ordering::SeqCst) % 4 {
            1 => vec![Act::Reset],
            _ => vec![Act::Send(seen.reply(0))],
        }
    });
    let upstreams = build(&config(&household, &[&server]));
    for index in 0..9 {
        let name = format!("n{index}.test");
        assert_eq!(timed(&upstreams, &name).await.0, Ok(0), "{name}");
    }
    assert!(server.seen().len() > 9, "some were reset");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_on_which_every_stream_is_reset_is_dead() {
    let household = Household::new();
    let times = AtomicUsize::new(0);
    let server = household.server(Transport::Https, move |seen| {
        match times.fetch_add(1, Ordering::SeqCst) {
            0 | 4.. => vec![Act::Send(seen.reply(0))],
            _ => vec![Act::Reset],
        }
    });
    let upstreams = build(&config(&household, &[&server]));
    assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0));
    // Its first attempt and the one that follows at once, and then the first of another.
    let mut index = 0;
    while server.connections() == 1 && index < 10 {
        let _answer = timed(&upstreams, &format!("n{index}.test")).await;
        index += 1;
    }
    assert_eq!(server.connections(), 2);
    assert_eq!(timed(&upstreams, "z.test").await.0, Ok(0));
}

/// Resets were once counted over all connections to a server, and a new one ended for those of the old.
#[tokio::test]
async fn a_connection_does_not_end_for_streams_that_another_lost() {
    let household = Household::new();
    let times = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&times);
    let server = household.server(Transport::Https, move |seen| {
        match times.fetch_add(1, Ordering::SeqCst) {
            1 | 2 | 4 => vec![Act::Reset],
            3 => vec![Act::Reset, Act::Close],
            _ => vec![Act::Send(seen.reply(0))],
        }
    });
    let upstreams = build(&config(&household, &[&server]));
    let mut index = 0;
    while asked.load(Ordering::SeqCst) < 5 && index < 10 {
        let _answer = timed(&upstreams, &format!("n{index}.test")).await;
        index += 1;
    }
    assert_eq!(timed(&upstreams, "z.test").await.0, Ok(0));
    assert!(asked.load(Ordering::SeqCst) > 5);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn nothing_of_it_is_needed_without_encryption() {
    let plain = Stub::answering();
    let upstreams = upstreams(&[&plain]);
    assert_eq!(timed(&upstreams, NAME).await.0, Ok(0));
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn over_quic_an_answer_is_whole_when_it_is_as_long_as_it_says() {
    let household = Household::new();
    let right = Certificate::default();
    let answers = |seen: &Seen| vec![Act::Send(seen.reply(0))];
    let server = household.server_with(Transport::Quic, &right, Door::LeavesOpen, answers);
    let upstreams = build(&config(&household, &[&server]));
    for name in ["a.test", "b.test"] {
        let (result, took) = timed(&upstreams, name).await;
        assert_eq!(result, Ok(0), "{name}");
        assert!(took < Duration::from_millis(1000), "{name}: {took:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_clock_decades_ahead_is_none() {
    use hedgerow::clock::ManualTime;
    let household = Household::new();
    let until_2040 = Certificate {
        years: (2020, 2040),
        ..Certificate::default()
    };
    let answers = |seen: &Seen| vec![Act::Send(seen.reply(0))];
    for (year, is_believed) in [(1970, true), (2030, true), (2050, false), (2090, true)] {
        let server = household.server_with(Transport::Tls, &until_2040, Door::Open, answers);
        let wall = format!("{year}-01-01T00:00:00Z").parse().unwrap();
        let clock = ManualTime::starting_at(wall).clock();
        let config = config(&household, &[&server]);
        let upstreams = hedgerow::upstream::Upstreams::new(&config, &crate::limits(), &[], clock);
        let answer = ask(&upstreams, "a.test").await;
        assert_eq!(answer.is_ok(), is_believed, "{year}: {answer:?}");
    }
}

#[tokio::test]
async fn a_time_that_is_lent_and_one_that_was_signed_count_for_certificates() {
    use hedgerow::clock::{Clock, ManualTime, Timestamp};
    let household = Household::new();
    let until_2030 = Certificate {
        years: (2020, 2030),
        ..Certificate::default()
    };
    let answers = |seen: &Seen| vec![Act::Send(seen.reply(0))];
    let lend = |clock: &Clock, year: u16| {
        let lent = format!("{year}-06-01T00:00:00Z").parse().unwrap();
        assert!(clock.lend(lent), "{year}");
    };
    let signed = |clock: &Clock, year: u16| {
        clock.note_earliest(format!("{year}-06-01T00:00:00Z").parse().unwrap());
    };
    type Told<'t> = &'t dyn Fn(&Clock);
    let cases: [(&str, Told<'_>, bool); 5] = [
        ("nothing", &|_| {}, true),
        ("lent, valid", &|clock| lend(clock, 2029), true),
        ("lent, expired", &|clock| lend(clock, 2031), false),
        ("signed, valid", &|clock| signed(clock, 2029), true),
        ("signed, expired", &|clock| signed(clock, 2031), false),
    ];
    let mut ran = 0;
    for (what, told, is_believed) in cases {
        let server = household.server_with(Transport::Tls, &until_2030, Door::Open, answers);
        let clock = ManualTime::starting_at(Timestamp::UNIX_EPOCH).clock();
        told(&clock);
        let config = config(&household, &[&server]);
        let upstreams = hedgerow::upstream::Upstreams::new(&config, &crate::limits(), &[], clock);
        let answer = ask(&upstreams, "a.test").await;
        assert_eq!(answer.is_ok(), is_believed, "{what}: {answer:?}");
        ran += 1;
    }
    assert_eq!(ran, 5);
}

/// Every certificate looked expired on a router whose clock starts years ahead.
#[tokio::test]
async fn a_clock_that_is_ahead_is_noticed_and_what_is_lent_in_its_place_counts() {
    use hedgerow::clock::{ManualTime, Timestamp};
    let household = Household::new();
    let certificate = Certificate {
        years: (2028, 2030),
        ..Certificate::default()
    };
    let answers = |seen: &Seen| vec![Act::Send(seen.reply(0))];
    let time = |text: &str| -> Timestamp { text.parse().unwrap() };
    let manual = ManualTime::starting_at(time("2029-01-01T00:00:00Z"));
    let clock = manual.clock();
    for transport in [Transport::Tls, Transport::Https] {
        manual.set_wall(time("2029-01-01T00:00:00Z"));
        clock.note_jump();
        let server = household.server_with(transport, &certificate, Door::Open, answers);
        let config = config(&household, &[&server]);
        let upstreams = |clock: &hedgerow::clock::Clock| {
            hedgerow::upstream::Upstreams::new(&config, &crate::limits(), &[], clock.clone())
        };
        assert!(ask(&upstreams(&clock), "a.test").await.is_ok());
        assert_eq!(clock.may_be_ahead(), None);
        // It began in that year, so that it is not before.
        let began = clock.signed().unwrap();
        assert!(began >= time("2028-01-01T00:00:00Z"), "{began}");
        manual.set_wall(time("2040-01-01T00:00:00Z"));
        clock.note_jump();
        let ahead = upstreams(&clock);
        assert!(ask(&ahead, "a.test").await.is_err());
        let ended = clock.may_be_ahead().unwrap();
        assert!(ended < time("2031-01-01T00:00:00Z"), "{ended}");
        let refusal = clock.refusal(time("2027-12-31T00:00:00Z"));
        let refusal = refusal.map(|it| it.to_string()).unwrap_or_default();
        let said = format!("the certificate of dns.test began at {began}, after that");
        assert!(refusal.starts_with(&said), "{refusal}");
        assert!(!clock.lend(time("2027-12-31T00:00:00Z")));
        assert!(!clock.is_ahead());
        assert!(clock.lend(time("2029-06-01T00:00:00Z")));
        // The same servers, once what failed is tried anew.
        manual.advance(Duration::from_secs(60));
        let answer = ask(&ahead, "b.test").await;
        assert!(answer.is_ok(), "{transport:?}: {answer:?}");
    }
    // One that is somebody else's says nothing of the clock, whenever it ended.
    let wrong = Certificate {
        names: vec!["other.test"],
        years: (2028, 2030),
        ..Certificate::default()
    };
    let server = household.server_with(Transport::Tls, &wrong, Door::Open, answers);
    let config = config(&household, &[&server]);
    let clock = ManualTime::starting_at(time("2040-01-01T00:00:00Z")).clock();
    let upstreams =
        hedgerow::upstream::Upstreams::new(&config, &crate::limits(), &[], clock.clone());
    assert!(ask(&upstreams, "a.test").await.is_err());
    assert_eq!(clock.may_be_ahead(), None);
}
