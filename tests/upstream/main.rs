//! Asking other resolvers, against stubs on loopback that misbehave on purpose.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bootstrap;
mod encrypted;
mod lane;
mod network;
mod private;
mod steady;
mod stub;
mod tiers;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hedgerow::clock::{Clock, ManualTime, Timestamp};
use hedgerow::config::{self, Authorities, Forward, Limits, Transport, UpstreamServer};
use hedgerow::message::{Answer, Question};
use hedgerow::name::{Name, NameBuf};
use hedgerow::upstream::{Client, Failure, Health, Load, ServerStatus, Upstreams};

use stub::{Act, Seen, Stub};

const ME: Client = Client::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)));

/// What the daemon does unless told otherwise.
fn config(servers: &[SocketAddr]) -> config::Upstream {
    config::Upstream {
        servers: servers.iter().map(|&address| udp(address)).collect(),
        fallback: Vec::new(),
        groups: Vec::new(),
        bootstrap: Vec::new(),
        forward: Vec::new(),
        validation: None,
        authorities: Authorities::default(),
        budget: Duration::from_millis(1500),
        mixed_case: true,
        resolv_conf: PathBuf::from("/nonexistent/resolv.conf"),
    }
}

fn udp(address: SocketAddr) -> UpstreamServer {
    UpstreamServer::at(address, Transport::Udp)
}

fn over_tcp(address: SocketAddr) -> config::Upstream {
    let mut config = config(&[address]);
    config.servers[0].transport = Transport::Tcp;
    config
}

fn limits() -> Limits {
    Limits {
        queries_per_second: 1000,
        burst: 2000,
        in_flight: 512,
        in_flight_per_client: 64,
        tcp_connections: 256,
        tcp_per_client: 16,
        tcp_idle: Duration::from_secs(10),
        tcp_read: Duration::from_secs(5),
        encrypted_connections: 1,
        encrypted_per_client: 1,
        encrypted_streams: 1,
        encrypted_idle: Duration::from_secs(10),
        memory: 16 << 20,
    }
}

fn build(config: &config::Upstream) -> Arc<Upstreams> {
    Arc::new(Upstreams::new(config, &limits(), &[], Clock::system()))
}

fn upstreams(servers: &[&Stub]) -> Arc<Upstreams> {
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    build(&config(&addresses))
}

fn question(name: &str) -> Question {
    Question {
        qname: NameBuf::parse(name).unwrap(),
        qtype: 1,
        dnssec_ok: false,
        checking_disabled: false,
        via: 0,
    }
}

/// As the daemon asks for a client over UDP: the quick way if that is open, else the long one.
async fn ask(upstreams: &Upstreams, name: &str) -> Result<Answer, Failure> {
    match lane::ask(upstreams, name).await {
        Some(outcome) => outcome,
        None => upstreams.resolve(&question(name), ME).await,
    }
}

/// RCODE of the answer to `name`, and how long it took.
async fn timed(upstreams: &Upstreams, name: &str) -> (Result<u16, Failure>, Duration) {
    let start = Instant::now();
    let result = ask(upstreams, name).await.map(|answer| answer.rcode());
    (result, start.elapsed())
}

fn status(upstreams: &Upstreams, server: &Stub) -> ServerStatus {
    upstreams
        .status()
        .into_iter()
        .find(|status| *status.address == *server.label())
        .unwrap()
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// Gives other tasks their turn until `done`; ends the test when that never comes.
async fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

mod replies {
    //! What is a reply and what is not.

    use super::*;

    #[tokio::test]
    async fn strangers_are_passed_over_while_the_true_reply_may_come() {
        type Forge = fn(&Seen) -> Act;
        let cases: [(&str, Forge, u64); 7] = [
            ("id", |seen| Act::Send(seen.spoilt(0, 1)), 1),
            // The kernel keeps these from us.
            ("port", |seen| Act::SendFromElsewhere(seen.reply(3)), 0),
            ("name", |seen| Act::Send(seen.spoilt(13, 1)), 1),
            ("type", |seen| Act::Send(seen.spoilt(seen.qtype_at(), 1)), 1),
            ("QR", |seen| Act::Send(seen.spoilt(2, 0x80)), 1),
            ("QDCOUNT", |seen| Act::Send(seen.spoilt(5, 1)), 1),
            ("length", |seen| Act::Send(seen.reply(0)[..20].to_vec()), 1),
        ];
        let mut ran = 0;
        for (what, forge, ignored) in cases {
            let server = Stub::start(move |seen| vec![forge(seen), Act::Send(seen.reply(0))]);
            let upstreams = upstreams(&[&server]);
            let (result, _) = timed(&upstreams, "www.example.test").await;
            assert_eq!(result, Ok(0), "{what}");
            let status = status(&upstreams, &server);
            assert_eq!((status.answered, status.ignored), (1, ignored), "{what}");
            ran += 1;
        }
        assert_eq!(ran, 7);
    }

    #[tokio::test]
    async fn a_stranger_alone_is_silence() {
        let server = Stub::start(|seen| vec![Act::Send(seen.spoilt(0, 1))]);
        let mut config = config(&[server.address]);
        config.budget = Duration::from_millis(300);
        let upstreams = build(&config);
        let expected = Failure::Timeout {
            servers: vec![server.label()],
        };
        assert_eq!(ask(&upstreams, "a.test").await, Err(expected));
    }

    #[tokio::test]
    async fn of_two_replies_the_first_counts() {
        let server = Stub::start(|seen| vec![Act::Send(seen.reply(3)), Act::Send(seen.reply(0))]);
        let upstreams = upstreams(&[&server]);
        assert_eq!(timed(&upstreams, "a.test").await.0, Ok(3));
    }

    #[tokio::test]
    async fn somebody_who_guesses_drives_us_to_tcp() {
        let server = Stub::start(|seen| {
            if seen.is_tcp {
                vec![Act::Send(seen.reply(0))]
            } else {
                vec![Act::Send(seen.spoilt(0, 1)); 40]
            }
        });
        let upstreams = upstreams(&[&server]);
        assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0));
        assert_eq!(status(&upstreams, &server).ignored, 32);
        assert_eq!(
            server.names(),
            [("a.test.".into(), false), ("a.test.".into(), true)]
        );
    }

    #[tokio::test]
    async fn a_cut_reply_is_asked_for_over_tcp() {
        let server = Stub::start(|seen| {
            let whole = seen.is_tcp;
            vec![Act::Send(if whole {
                seen.reply(0)
            } else {
                seen.truncated()
            })]
        });
        let upstreams = upstreams(&[&server]);
        for name in ["a.test", "b.test"] {
            assert_eq!(timed(&upstreams, name).await.0, Ok(0));
        }
        let over_tcp = server.seen().iter().filter(|seen| seen.is_tcp).count();
        assert_eq!((over_tcp, server.connections()), (2, 1));
    }

    #[tokio::test]
    async fn where_tcp_is_closed_the_next_server_is_asked() {
        let first = Stub::without_tcp(|seen| vec![Act::Send(seen.truncated())]);
        let second = Stub::answering();
        let upstreams = upstreams(&[&first, &second]);
        let (result, took) = timed(&upstreams, "a.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_millis(300), "{took:?}");
    }

    #[tokio::test]
    async fn questions_share_neither_ports_nor_ids() {
        let server = Stub::answering();
        let upstreams = upstreams(&[&server]);
        for index in 0..500 {
            assert!(ask(&upstreams, &format!("n{index}.test")).await.is_ok());
        }
        let seen = server.seen();
        assert_eq!(seen.len(), 500);
        let ports: HashSet<_> = seen.iter().map(|seen| seen.from.port()).collect();
        let ids: HashSet<_> = seen.iter().map(Seen::id).collect();
        assert!(
            ports.len() >= 450 && ids.len() >= 450,
            "{}, {}",
            ports.len(),
            ids.len()
        );
        let (least, most) = (ports.iter().min().unwrap(), ports.iter().max().unwrap());
        assert!(most - least > 20_000, "only from {least} to {most}");
    }
}

mod case {
    //! Mixed case as a guard, and servers that fold it.

    use super::*;

    const NAME: &str = "a-name-with-many-letters.example.test";

    #[tokio::test]
    async fn names_go_out_in_mixed_case_and_come_back_in_lower() {
        let server = Stub::answering();
        let upstreams = upstreams(&[&server]);
        assert!(ask(&upstreams, NAME).await.is_ok());
        let asked = server.seen()[0].name_as_asked();
        assert_ne!(asked, asked.to_ascii_lowercase());
        let mut config = config(&[server.address]);
        config.mixed_case = false;
        assert!(ask(&build(&config), NAME).await.is_ok());
        let asked = server.seen()[1].name_as_asked();
        assert_eq!(asked, asked.to_ascii_lowercase());
    }

    #[tokio::test]
    async fn a_server_that_folds_over_tcp_too_is_believed_and_remembered() {
        let server = Stub::start(|seen| vec![Act::Send(seen.folded())]);
        let upstreams = upstreams(&[&server]);
        assert_eq!(timed(&upstreams, NAME).await.0, Ok(0));
        let name = format!("{NAME}.");
        assert_eq!(server.names(), [(name.clone(), false), (name, true)]);
        assert!(!status(&upstreams, &server).mixed_case);
        assert_eq!(timed(&upstreams, "Other.test").await.0, Ok(0));
        let seen = server.seen();
        assert_eq!(seen.len(), 3, "no TCP for the second question");
        assert_eq!(seen[2].name_as_asked(), "other.test.");
    }

    #[tokio::test]
    async fn a_folded_forgery_neither_counts_nor_lowers_the_guard() {
        let server = Stub::start(|seen| {
            if seen.is_tcp {
                vec![Act::Send(seen.reply(3))]
            } else {
                vec![Act::Send(seen.folded()), Act::Send(seen.reply(3))]
            }
        });
        let upstreams = upstreams(&[&server]);
        assert_eq!(
            timed(&upstreams, NAME).await.0,
            Ok(3),
            "not the forged NOERROR"
        );
        assert!(status(&upstreams, &server).mixed_case);
    }

    #[tokio::test]
    async fn a_server_that_folds_and_has_no_tcp_is_believed_the_second_time() {
        let server = Stub::without_tcp(|seen| vec![Act::Send(seen.folded())]);
        let upstreams = upstreams(&[&server]);
        assert_eq!(timed(&upstreams, NAME).await.0, Ok(0));
        assert_eq!(server.seen().len(), 3);
        assert!(!status(&upstreams, &server).mixed_case);
        assert_eq!(timed(&upstreams, "other.test").await.0, Ok(0));
        assert_eq!(server.seen().len(), 4);
    }
}

mod edns {
    //! Servers from before EDNS.

    use super::*;

    #[tokio::test]
    async fn what_is_not_understood_is_asked_plainly_and_remembered() {
        type Complain = fn(&Seen) -> Vec<u8>;
        let cases: [(&str, Complain); 4] = [
            ("FORMERR", |seen| seen.reply(1)),
            ("NOTIMP", |seen| seen.reply(4)),
            ("a bare FORMERR", |seen| {
                let mut reply = seen.reply(1)[..12].to_vec();
                reply[5] = 0;
                reply
            }),
            ("BADVERS", |seen| {
                let mut reply = seen.reply(0);
                reply.truncate(seen.qtype_at() + 3);
                reply[7] = 0;
                reply[11] = 1;
                reply.extend(b"\0\0\x29\x02\0\x01\0\0\0\0\0");
                reply
            }),
        ];
        let mut ran = 0;
        for (what, complain) in cases {
            let server = Stub::start(move |seen| {
                let understands = !seen.has_edns();
                vec![Act::Send(if understands {
                    seen.reply(0)
                } else {
                    complain(seen)
                })]
            });
            let upstreams = upstreams(&[&server]);
            assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0), "{what}");
            assert_eq!(timed(&upstreams, "b.test").await.0, Ok(0), "{what}");
            let edns: Vec<_> = server.seen().iter().map(Seen::has_edns).collect();
            // A header alone is confirmed over TCP before it is believed.
            let expected = match what {
                "a bare FORMERR" => &[true, true, false, false][..],
                _ => &[true, false, false],
            };
            assert_eq!(edns, expected, "{what}");
            ran += 1;
        }
        assert_eq!(ran, 4);
    }

    /// Whoever guesses id and port can send a header; the question, its case and a connection he
    /// cannot.
    #[tokio::test]
    async fn a_forged_header_switches_nothing_off() {
        let server = Stub::start(|seen| {
            vec![Act::Send(if seen.is_tcp {
                seen.reply(0)
            } else {
                let mut forged = seen.reply(1)[..12].to_vec();
                forged[5] = 0;
                forged
            })]
        });
        let upstreams = upstreams(&[&server]);
        for name in ["a.test", "b.test"] {
            assert_eq!(timed(&upstreams, name).await.0, Ok(0), "{name}");
        }
        assert!(server.seen().iter().all(Seen::has_edns));
    }

    #[tokio::test]
    async fn a_server_that_always_says_formerr_is_no_lesson_about_edns() {
        let server = Stub::start(|seen| vec![Act::Send(seen.reply(1))]);
        let upstreams = upstreams(&[&server]);
        let refused = Failure::Refused {
            server: server.label(),
            rcode: 1,
        };
        assert_eq!(ask(&upstreams, "a.test").await, Err(refused.clone()));
        assert_eq!(ask(&upstreams, "b.test").await, Err(refused));
        let edns: Vec<_> = server.seen().iter().map(Seen::has_edns).collect();
        assert_eq!(edns, [true, false, true, false]);
    }
}

mod servers {
    //! Who is asked, and who next.

    use super::*;

    #[tokio::test]
    async fn a_server_that_declines_costs_one_round_trip() {
        for rcode in [2, 5] {
            let first = Stub::start(move |seen| vec![Act::Send(seen.reply(rcode))]);
            let second = Stub::answering();
            let upstreams = upstreams(&[&first, &second]);
            let (result, took) = timed(&upstreams, "a.test").await;
            assert_eq!(result, Ok(0), "RCODE {rcode}");
            assert!(took < Duration::from_millis(300), "{took:?}");
        }
    }

    #[tokio::test]
    async fn when_all_decline_the_first_has_the_word() {
        let first = Stub::start(|seen| vec![Act::Send(seen.reply(5))]);
        let second = Stub::start(|seen| vec![Act::Send(seen.reply(2))]);
        let upstreams = upstreams(&[&first, &second]);
        let (result, took) = timed(&upstreams, "a.test").await;
        let refused = Failure::Refused {
            server: first.label(),
            rcode: 5,
        };
        assert_eq!(result, Err(refused));
        assert!(took < Duration::from_millis(300), "{took:?}");
        assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
    }

    #[tokio::test]
    async fn a_refused_port_is_noticed_at_once() {
        let second = Stub::answering();
        let first = nobody();
        let (result, took) = timed(&build(&config(&[first, second.address])), "a.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_millis(300), "{took:?}");
        let (result, took) = timed(&build(&config(&[first])), "a.test").await;
        let unreachable = Failure::Unreachable {
            server: first.to_string().into(),
            error: ErrorKind::ConnectionRefused,
        };
        assert_eq!(result, Err(unreachable));
        assert!(took < Duration::from_millis(300), "{took:?}");
    }

    #[tokio::test]
    async fn a_black_hole_costs_one_query_and_is_found_again_when_it_returns() {
        let speaks = Arc::new(AtomicBool::new(false));
        let in_script = Arc::clone(&speaks);
        let first = Stub::start(move |seen| {
            let speaks = in_script.load(Ordering::SeqCst);
            Vec::from_iter(speaks.then(|| Act::Send(seen.reply(0))))
        });
        let second = Stub::answering();
        let upstreams = upstreams(&[&first, &second]);
        let (result, took) = timed(&upstreams, "a.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(status(&upstreams, &first).health, Health::Failing);
        for index in 0..20 {
            let (result, took) = timed(&upstreams, &format!("n{index}.test")).await;
            assert_eq!(result, Ok(0));
            assert!(took < Duration::from_millis(300), "{took:?}");
        }
        speaks.store(true, Ordering::SeqCst);
        let start = Instant::now();
        let mut index = 0;
        // Real traffic finds it; nobody waits for that.
        while status(&upstreams, &first).health != Health::Healthy {
            index += 1;
            let (result, took) = timed(&upstreams, &format!("m{index}.test")).await;
            assert_eq!(result, Ok(0));
            assert!(took < Duration::from_millis(300), "{took:?}");
            assert!(start.elapsed() < Duration::from_secs(10), "never found");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = first.seen().len();
        assert!(ask(&upstreams, "last.test").await.is_ok());
        assert_eq!(first.seen().len(), before + 1, "the first choice again");
    }

    #[tokio::test]
    async fn a_lost_packet_is_made_good_within_the_budget() {
        let count = AtomicUsize::new(0);
        let server = Stub::start(move |seen| {
            let is_lost = count.fetch_add(1, Ordering::SeqCst) == 0;
            Vec::from_iter((!is_lost).then(|| Act::Send(seen.reply(0))))
        });
        let upstreams = upstreams(&[&server]);
        let (result, took) = timed(&upstreams, "a.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(server.seen().len(), 2);
    }

    #[tokio::test]
    async fn a_slow_reply_to_the_first_attempt_still_counts() {
        let server = Stub::start(|seen| {
            vec![
                Act::Delay(Duration::from_millis(600)),
                Act::Send(seen.reply(0)),
            ]
        });
        let upstreams = upstreams(&[&server]);
        let (result, took) = timed(&upstreams, "a.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_millis(1100), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_with_the_budget_and_not_before() {
        let (first, second) = (Stub::silent(), Stub::silent());
        let upstreams = upstreams(&[&first, &second]);
        let start = tokio::time::Instant::now();
        let result = ask(&upstreams, "a.test").await;
        let took = start.elapsed();
        let timeout = Failure::Timeout {
            servers: vec![first.label(), second.label()],
        };
        assert_eq!(result, Err(timeout));
        let expected = Duration::from_millis(1500)..Duration::from_millis(1510);
        assert!(expected.contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn two_black_holes_are_passed_within_the_budget() {
        let (first, second, third) = (Stub::silent(), Stub::silent(), Stub::answering());
        let upstreams = upstreams(&[&first, &second, &third]);
        let (result, took) = timed(&upstreams, "a.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_millis(1200), "{took:?}");
        let (result, took) = timed(&upstreams, "b.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_millis(300), "{took:?}");
    }

    #[tokio::test]
    async fn nobody_to_ask() {
        assert_eq!(
            ask(&build(&config(&[])), "a.test").await,
            Err(Failure::NoServers)
        );
    }
}

mod tcp {
    //! One connection, many questions.

    use super::*;

    #[tokio::test]
    async fn questions_share_a_connection_and_answers_come_in_any_order() {
        let held = std::sync::Mutex::new(Vec::new());
        let server = Stub::start(move |seen| {
            let mut held = held.lock().unwrap();
            held.push(Act::Send(seen.reply(if seen.name() == "n3.test." {
                3
            } else {
                0
            })));
            if held.len() < 20 {
                return Vec::new();
            }
            held.reverse();
            std::mem::take(&mut *held)
        });
        let upstreams = build(&over_tcp(server.address));
        let mut tasks = Vec::new();
        for index in 0..20 {
            let upstreams = Arc::clone(&upstreams);
            tasks.push(tokio::spawn(async move {
                timed(&upstreams, &format!("n{index}.p{index}.test"))
                    .await
                    .0
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(0));
        }
        assert_eq!((server.connections(), server.seen().len()), (1, 20));
        let ids: HashSet<_> = server.seen().iter().map(Seen::id).collect();
        assert_eq!(ids.len(), 20);
    }

    #[tokio::test]
    async fn octets_may_come_one_by_one() {
        let server = Stub::start(|seen| vec![Act::Trickle(seen.reply(0))]);
        let upstreams = build(&over_tcp(server.address));
        assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0));
    }

    #[tokio::test]
    async fn a_connection_that_died_is_replaced_once() {
        // Each connection takes one question more than it answers.
        let count = AtomicUsize::new(0);
        let server = Stub::start(move |seen| match count.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => vec![Act::Send(seen.reply(0))],
            _ => vec![Act::Close],
        });
        let upstreams = build(&over_tcp(server.address));
        for index in 0..4 {
            let (result, took) = timed(&upstreams, &format!("n{index}.test")).await;
            assert_eq!(result, Ok(0));
            assert!(took < Duration::from_millis(300), "{took:?}");
        }
        assert_eq!((server.connections(), server.seen().len()), (4, 7));
    }

    #[tokio::test]
    async fn a_server_that_always_hangs_up_is_unreachable() {
        let server = Stub::start(|_| vec![Act::Close]);
        let upstreams = build(&over_tcp(server.address));
        let (result, took) = timed(&upstreams, "a.test").await;
        let unreachable = Failure::Unreachable {
            server: server.label(),
            error: ErrorKind::ConnectionAborted,
        };
        assert_eq!(result, Err(unreachable));
        assert!(took < Duration::from_millis(300), "{took:?}");
        assert_eq!(server.connections(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_went_quiet_is_not_trusted_twice() {
        // The first connection is a black hole after its first answer, as when a router forgets
        // it; the server itself is well.
        let first = std::sync::Mutex::new(None);
        let server = Stub::start(move |seen| {
            let mut first = first.lock().unwrap();
            let is_answered = match *first {
                None => first.replace(seen.from).is_none(),
                Some(port) => port != seen.from,
            };
            Vec::from_iter(is_answered.then(|| Act::Send(seen.reply(0))))
        });
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let config = over_tcp(server.address);
        let upstreams = Upstreams::new(&config, &limits(), &[], time.clock());
        assert_eq!(timed(&upstreams, "a.test").await.0, Ok(0));
        time.advance(Duration::from_secs(2));
        let (result, took) = timed(&upstreams, "b.test").await;
        assert_eq!(result, Ok(0));
        assert!(took < Duration::from_millis(500), "{took:?}");
        assert_eq!(server.connections(), 2);
    }

    #[tokio::test]
    async fn strangers_and_half_a_message_are_silence() {
        type Forge = fn(&Seen) -> Act;
        let cases: [Forge; 3] = [
            |seen| Act::Send(seen.spoilt(0, 1)),
            |seen| Act::Send(seen.spoilt(13, 1)),
            |_| Act::Send(Vec::new()),
        ];
        for forge in cases {
            let server = Stub::start(move |seen| vec![forge(seen)]);
            let mut config = over_tcp(server.address);
            config.budget = Duration::from_millis(200);
            let timeout = Failure::Timeout {
                servers: vec![server.label()],
            };
            assert_eq!(ask(&build(&config), "a.test").await, Err(timeout));
        }
    }

    #[tokio::test]
    async fn nobody_listens() {
        let first = nobody();
        let unreachable = Failure::Unreachable {
            server: first.to_string().into(),
            error: ErrorKind::ConnectionRefused,
        };
        assert_eq!(
            ask(&build(&over_tcp(first)), "a.test").await,
            Err(unreachable)
        );
    }
}

mod sharing {
    //! Many who wait for few exchanges.

    use super::*;

    #[tokio::test]
    async fn a_hundred_equal_questions_are_one() {
        let server = Stub::start(|seen| {
            vec![
                Act::Delay(Duration::from_millis(100)),
                Act::Send(seen.reply(0)),
            ]
        });
        let upstreams = upstreams(&[&server]);
        let mut tasks = Vec::new();
        for index in 0..100 {
            let upstreams = Arc::clone(&upstreams);
            let client = Client::Address([192, 0, 2, index].into());
            tasks.push(tokio::spawn(async move {
                upstreams.resolve(&question("a.test"), client).await
            }));
        }
        for task in tasks {
            assert!(task.await.unwrap().is_ok());
        }
        assert_eq!(server.seen().len(), 1);
        assert_eq!(upstreams.load(), Load::default());
    }

    #[tokio::test]
    async fn who_asked_first_may_leave_without_harm_to_the_others() {
        let server = Stub::start(|seen| {
            vec![
                Act::Delay(Duration::from_millis(100)),
                Act::Send(seen.reply(0)),
            ]
        });
        let upstreams = upstreams(&[&server]);
        let spawn = || {
            let upstreams = Arc::clone(&upstreams);
            tokio::spawn(async move { upstreams.resolve(&question("a.test"), ME).await })
        };
        let (first, second) = (spawn(), spawn());
        until("both wait", || upstreams.load().waits == 2).await;
        first.abort();
        assert!(second.await.unwrap().is_ok());
        assert_eq!(server.seen().len(), 1);
        assert_eq!(upstreams.load(), Load::default());
    }

    #[tokio::test]
    async fn when_all_leave_nothing_stays() {
        let server = Stub::silent();
        let upstreams = upstreams(&[&server]);
        for _ in 0..3 {
            let task = {
                let upstreams = Arc::clone(&upstreams);
                tokio::spawn(async move { ask(&upstreams, "a.test").await })
            };
            until("it waits", || upstreams.load().waits == 1).await;
            task.abort();
            until("it left", || upstreams.load() == Load::default()).await;
        }
    }

    #[test]
    fn runtimes_on_several_threads_share_one_exchange() {
        let server = Stub::start(|seen| {
            vec![
                Act::Delay(Duration::from_millis(200)),
                Act::Send(seen.reply(0)),
            ]
        });
        let upstreams = upstreams(&[&server]);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let upstreams = Arc::clone(&upstreams);
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(ask(&upstreams, "a.test"))
                })
            })
            .collect();
        for thread in threads {
            assert!(thread.join().unwrap().is_ok());
        }
        assert_eq!(server.seen().len(), 1);
    }

    /// Lets eight clients ask 1,000 random names a second under `parents` domains of which the
    /// upstream says nothing, and every 20 ms for another name; these must all be answered. The
    /// most that was in the table, and how many of the flood were turned away or displaced.
    async fn flood(parents: u32, names: u32) -> (Load, usize) {
        let server = Stub::start(|seen| {
            let is_flood = seen.name().ends_with(".flood.");
            Vec::from_iter((!is_flood).then(|| Act::Send(seen.reply(0))))
        });
        let upstreams = upstreams(&[&server]);
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        let mut flood = tokio::task::JoinSet::new();
        let mut others = tokio::task::JoinSet::new();
        let mut most = Load::default();
        for index in 0..names {
            tick.tick().await;
            let who = Client::Address([192, 0, 2, (index / parents % 8) as u8].into());
            let ask = |name: String| {
                let upstreams = Arc::clone(&upstreams);
                async move { upstreams.resolve(&question(&name), who).await }
            };
            flood.spawn(ask(format!("x{index}.parent{}.flood", index % parents)));
            if index % 20 == 0 {
                // From one of the flooding clients, too.
                others.spawn(ask(format!("www.site{index}.test")));
            }
            let load = upstreams.load();
            most.questions = most.questions.max(load.questions);
            most.waits = most.waits.max(load.waits);
        }
        let mut answered = 0;
        while let Some(result) = others.join_next().await {
            assert_eq!(result.unwrap().map(|answer| answer.rcode()), Ok(0));
            answered += 1;
        }
        assert_eq!(answered, names.div_ceil(20));
        let (mut refused, mut silent) = (0, 0);
        while let Some(result) = flood.join_next().await {
            match result.unwrap() {
                Err(Failure::Overloaded(_)) => refused += 1,
                Err(Failure::Timeout { .. }) => silent += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(refused + silent, names as usize);
        assert_eq!(upstreams.load(), Load::default());
        assert_eq!(status(&upstreams, &server).health, Health::Healthy);
        (most, refused)
    }

    #[tokio::test]
    async fn a_flood_under_one_parent_leaves_every_other_name_alone() {
        let (most, refused) = flood(1, 3000).await;
        // A quarter of the table, and a few of the others.
        assert!((100..=128 + 20).contains(&most.questions), "{most:?}");
        assert!(refused > 2000, "{refused}");
    }

    #[tokio::test]
    async fn a_flood_under_a_few_parents_leaves_every_other_name_alone() {
        let (most, refused) = flood(5, 3000).await;
        assert!((400..=512).contains(&most.questions), "{most:?}");
        assert!(refused > 1000, "{refused}");
    }
}

mod failures {
    //! What failed is not asked again at once.

    use super::*;

    #[tokio::test]
    async fn the_second_time_costs_nothing() {
        let server = Stub::start(|seen| match seen.name().starts_with("a.") {
            true => Vec::new(),
            false => vec![Act::Send(seen.reply(0))],
        });
        let mut config = config(&[server.address]);
        config.budget = Duration::from_millis(400);
        let upstreams = build(&config);
        let clock = Clock::system();
        assert_eq!(
            upstreams.recent_failure(&question("a.test"), ME, clock.now()),
            None
        );
        let timeout = Failure::Timeout {
            servers: vec![server.label()],
        };
        let others = async {
            for index in 0..7 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert!(ask(&upstreams, &format!("n{index}.test")).await.is_ok());
            }
        };
        let (failed, ()) = tokio::join!(ask(&upstreams, "a.test"), others);
        assert_eq!(failed, Err(timeout.clone()));
        let asked = server.seen().len();
        let recent = Failure::Recent(Box::new(timeout));
        let mut least = Duration::MAX;
        // The least of several, since the machine may have other things to do.
        for _ in 0..10 {
            let (result, took) = timed(&upstreams, "a.test").await;
            assert_eq!(result, Err(recent.clone()));
            least = least.min(took);
        }
        assert!(least < Duration::from_millis(5), "{least:?}");
        assert_eq!(
            upstreams.recent_failure(&question("a.test"), ME, clock.now()),
            Some(recent)
        );
        assert_eq!(server.seen().len(), asked);
    }

    /// While nobody answers clients ask most: whoever cannot wait must cost no more than a look.
    #[tokio::test]
    async fn who_finds_no_place_to_wait_is_told_at_once() {
        let server = Stub::silent();
        let mut config = config(&[server.address]);
        config.budget = Duration::from_millis(500);
        let upstreams = build(&config);
        let clock = Clock::system();
        while status(&upstreams, &server).health != Health::Dead {
            assert!(ask(&upstreams, "a.test").await.is_err());
        }
        let b = question("b.test");
        let told = || upstreams.recent_failure(&b, ME, clock.now());
        assert_eq!(told(), None, "it may wait");
        let waiting: Vec<_> = (0..80)
            .map(|index| {
                let upstreams = Arc::clone(&upstreams);
                tokio::spawn(async move { ask(&upstreams, &format!("n{index}.test")).await })
            })
            .collect();
        // Between two that are let through.
        until("all places are taken", || told() == Some(Failure::Down)).await;
        for asked in waiting {
            assert!(asked.await.unwrap().is_err());
        }
        assert_eq!(told(), None, "there are places again");
    }

    #[tokio::test]
    async fn when_all_are_dead_this_is_said_soon_until_one_returns() {
        let speaks = Arc::new(AtomicBool::new(false));
        let in_script = Arc::clone(&speaks);
        let server = Stub::start(move |seen| {
            let speaks = in_script.load(Ordering::SeqCst);
            Vec::from_iter(speaks.then(|| Act::Send(seen.reply(0))))
        });
        let upstreams = upstreams(&[&server]);
        let tasks: Vec<_> = (0..4)
            .map(|index| {
                let upstreams = Arc::clone(&upstreams);
                tokio::spawn(async move { ask(&upstreams, &format!("n{index}.test")).await })
            })
            .collect();
        for task in tasks {
            assert!(matches!(task.await.unwrap(), Err(Failure::Timeout { .. })));
        }
        // A question every resolver knows is asked before the server is given up.
        until("asked for the root", || {
            server.names().iter().any(|(name, _)| name.is_empty())
        })
        .await;
        let mut index = 0;
        let start = Instant::now();
        loop {
            index += 1;
            let name = format!("m{index}.test");
            let [one, two, three] = [(); 3].map(|()| ask(&upstreams, &name));
            // One of them is let through at once, and another in a quarter of a second.
            if tokio::join!(one, two, three).2 == Err(Failure::Down) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "never given up");
        }
        speaks.store(true, Ordering::SeqCst);
        // The very first query after its return, for a name that failed before, and a page's at once.
        let returned = Instant::now();
        let [a, b, c] = ["n0.test", "n1.test", "n2.test"].map(|name| timed(&upstreams, name));
        let (a, b, c) = tokio::join!(a, b, c);
        assert_eq!([a.0, b.0, c.0], [Ok(0), Ok(0), Ok(0)]);
        let took = returned.elapsed();
        assert!(took < Duration::from_millis(800), "{took:?}");
        assert_eq!(status(&upstreams, &server).health, Health::Healthy);
    }
}

mod groups {
    //! Which servers are for which names.

    use super::*;

    fn forward(domain: &str, server: SocketAddr) -> Forward {
        Forward {
            domain: Name::parse(domain).unwrap(),
            servers: vec![udp(server)],
        }
    }

    #[tokio::test]
    async fn the_most_specific_zone_has_the_name() {
        let (public, home, lab) = (Stub::answering(), Stub::answering(), Stub::answering());
        let mut config = config(&[public.address]);
        config.forward = vec![
            forward("home.test", home.address),
            forward("lab.home.test", lab.address),
        ];
        let upstreams = build(&config);
        for name in ["a.lab.home.test", "home.test", "lab.test", "nothome.test"] {
            assert!(ask(&upstreams, name).await.is_ok(), "{name}");
        }
        let names = |stub: &Stub| {
            stub.names()
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&lab), ["a.lab.home.test."]);
        assert_eq!(names(&home), ["home.test."]);
        assert_eq!(names(&public), ["lab.test.", "nothome.test."]);
        assert_eq!(upstreams.status().len(), 3);
    }

    #[tokio::test]
    async fn a_private_name_stays_private_when_its_server_is_silent() {
        let (public, home) = (Stub::answering(), Stub::silent());
        let mut config = config(&[public.address]);
        config.budget = Duration::from_millis(300);
        config.forward = vec![forward("home.test", home.address)];
        let upstreams = build(&config);
        let timeout = Failure::Timeout {
            servers: vec![home.label()],
        };
        assert_eq!(ask(&upstreams, "nas.home.test").await, Err(timeout));
        assert!(public.seen().is_empty());
    }

    #[tokio::test]
    async fn we_never_ask_ourselves() {
        let ourselves = Stub::answering();
        let config = config(&[ourselves.address]);
        let own = [ourselves.address];
        let upstreams = Upstreams::new(&config, &limits(), &own, Clock::system());
        assert_eq!(ask(&upstreams, "a.test").await, Err(Failure::NoServers));
        let wildcard = [SocketAddr::from((
            Ipv4Addr::UNSPECIFIED,
            ourselves.address.port(),
        ))];
        let upstreams = Upstreams::new(&config, &limits(), &wildcard, Clock::system());
        assert_eq!(ask(&upstreams, "a.test").await, Err(Failure::NoServers));
        assert!(ourselves.seen().is_empty());
    }

    #[tokio::test]
    async fn the_systems_list_is_read_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&[]);
        config.resolv_conf = folder.path().join("resolv.conf");
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let own: [SocketAddr; 1] = ["127.0.0.1:53".parse().unwrap()];
        let upstreams = Upstreams::new(&config, &limits(), &own, time.clock());
        assert_eq!(ask(&upstreams, "a.test").await, Err(Failure::NoServers));

        let write = |content: &str| std::fs::write(&config.resolv_conf, content).unwrap();
        let addresses = || -> Vec<_> {
            let status = upstreams.status();
            status.iter().map(|one| one.address.to_string()).collect()
        };
        write("nameserver 127.0.0.1\n");
        time.advance(Duration::from_secs(1));
        assert_eq!(ask(&upstreams, "a.test").await, Err(Failure::NoServers));
        write("nameserver 127.0.0.1\nnameserver 127.0.0.53\n");
        time.advance(Duration::from_secs(1));
        // Nobody may listen there, and that does not matter here.
        drop(ask(&upstreams, "a.test").await);
        assert_eq!(addresses(), ["127.0.0.53:53"]);

        write("nameserver 127.0.0.54\nnameserver 127.0.0.53\n");
        drop(ask(&upstreams, "b.test").await);
        assert_eq!(addresses(), ["127.0.0.53:53"], "not yet time to look");
        time.advance(Duration::from_secs(5));
        drop(ask(&upstreams, "c.test").await);
        until("it was read", || addresses().len() == 2).await;
        assert_eq!(addresses(), ["127.0.0.54:53", "127.0.0.53:53"]);
        std::fs::remove_file(&config.resolv_conf).unwrap();
        time.advance(Duration::from_secs(5));
        drop(ask(&upstreams, "d.test").await);
        assert_eq!(addresses().len(), 2, "the last word holds");
    }
}
