//! The quick way: what it ends itself, and what it hands on to the long one.

use std::collections::HashSet;
use std::future::poll_fn;
use std::net::UdpSocket;
use std::task::Poll;

use hedgerow::upstream::{Cap, Ended, Errand, Lane};

use super::*;

/// A question that somebody waits for.
#[derive(Debug)]
pub(crate) struct Asks(Question);

impl Errand for Asks {
    fn question(&self) -> Option<&Question> {
        Some(&self.0)
    }
}

/// What came of a question that was sent by a lane; none if it has to go the long way from its start.
pub(crate) async fn ask(upstreams: &Upstreams, name: &str) -> Option<Result<Answer, Failure>> {
    let mut lane = Lane::new().unwrap();
    lane.ask(upstreams, ME, Asks(question(name))).ok()?;
    Some(outcome(end_of(&mut lane).await).await)
}

/// What comes of the one question in `lane`.
async fn end_of(lane: &mut Lane<Asks>) -> Ended {
    let mut ended = Vec::new();
    lane.set_out(|_, what| ended.push(what));
    while ended.is_empty() {
        let is_heard = poll_fn(|context| {
            if lane.poll_heard(context).map(Result::unwrap).is_ready() {
                return Poll::Ready(true);
            }
            lane.poll_overdue(context).map(|()| false)
        });
        match is_heard.await {
            true => {
                lane.hear(|_, what| ended.push(what));
            }
            false => lane.send_on(|_, what| ended.push(what)),
        }
    }
    assert!(lane.is_empty());
    ended.remove(0)
}

async fn outcome(ended: Ended) -> Result<Answer, Failure> {
    match ended {
        Ended::Answered(answer) => Ok(answer),
        Ended::Late(late) => late.outcome().await,
    }
}

fn lane_with(upstreams: &Upstreams, name: &str) -> Lane<Asks> {
    let mut lane = Lane::new().unwrap();
    lane.ask(upstreams, ME, Asks(question(name))).unwrap();
    lane
}

#[tokio::test]
async fn a_reply_in_time_is_an_answer_and_leaves_nothing_behind() {
    let server = Stub::answering();
    let upstreams = upstreams(&[&server]);
    let mut lane = lane_with(&upstreams, "www.example");
    assert_eq!((upstreams.load().questions, upstreams.load().waits), (1, 1));
    let Ended::Answered(answer) = end_of(&mut lane).await else {
        panic!("the long way for nothing");
    };
    assert_eq!(answer.rcode(), 0);
    assert_eq!(upstreams.load(), Load::default());
    let status = status(&upstreams, &server);
    assert_eq!((status.answered, status.health), (1, Health::Healthy));
}

#[tokio::test]
async fn every_question_has_a_port_an_id_and_a_case_of_its_own() {
    let server = Stub::answering();
    let upstreams = upstreams(&[&server]);
    let mut lane = Lane::new().unwrap();
    for number in 0..100 {
        let name = format!("long-enough-for-its-case-{number}.example");
        lane.ask(&upstreams, ME, Asks(question(&name))).unwrap();
        assert!(
            matches!(end_of(&mut lane).await, Ended::Answered(_)),
            "{number}"
        );
    }
    let seen = server.seen();
    // Of 26 letters each: that one is as it was written happens once in 67 million questions.
    let is_mixed = |it: &Seen| it.name_as_asked() != it.name();
    assert!(seen.iter().all(is_mixed), "{:?}", server.names());
    let letters = |it: &Seen| {
        let name = it.name_as_asked();
        name.bytes()
            .filter(u8::is_ascii_alphabetic)
            .map(|it| it.is_ascii_uppercase())
            .collect()
    };
    let cases: HashSet<Vec<bool>> = seen.iter().map(letters).collect();
    assert!(cases.len() > 95, "{}", cases.len());
    let ports: HashSet<u16> = seen.iter().map(|it| it.from.port()).collect();
    let ids: HashSet<&[u8]> = seen.iter().map(|it| &it.bytes[..2]).collect();
    // 100 of 28,232 meet in 0.2 cases on average, 100 of 65,536 in 0.1.
    assert!(
        ports.len() > 90 && ids.len() > 90,
        "{} {}",
        ports.len(),
        ids.len()
    );
}

#[tokio::test]
async fn equal_questions_share_the_one_under_way() {
    let server = Stub::answering();
    let upstreams = upstreams(&[&server]);
    let mut lane = lane_with(&upstreams, "www.example");
    // Nothing was sent yet: whoever joins now waits for this one.
    let refused = lane.ask(&upstreams, ME, Asks(question("www.example")));
    refused.unwrap_err();
    let joined = {
        let upstreams = Arc::clone(&upstreams);
        tokio::spawn(async move { upstreams.resolve(&question("www.example"), ME).await })
    };
    until("somebody joins", || upstreams.load().waits == 2).await;
    let first = outcome(end_of(&mut lane).await).await.unwrap();
    assert!(std::ptr::eq(
        first.wire(),
        joined.await.unwrap().unwrap().wire()
    ));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_late_reply_to_the_first_attempt_still_counts() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let upstreams = build(&config(&[socket.local_addr().unwrap()]));
    let mut lane = lane_with(&upstreams, "www.example");
    let Ended::Late(late) = end_of(&mut lane).await else {
        panic!("an answer out of nothing");
    };
    let mut buffer = [0; 512];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    let seen = Seen {
        bytes: buffer[..length].to_vec(),
        from,
        is_tcp: false,
    };
    socket.set_nonblocking(true).unwrap();
    let waiting = tokio::spawn(late.outcome());
    until("it is asked once more", || {
        socket.peek_from(&mut [0; 512]).is_ok()
    })
    .await;
    socket.send_to(&seen.reply(0), from).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().rcode(), 0);
    assert_eq!(upstreams.load(), Load::default());
}

/// What comes of a question of a budget of 20 ms while this machine stands still for `still`, and the
/// reply came meanwhile or not. That the time is over is noticed first.
async fn stood_still(
    still: Duration,
    is_answered: bool,
) -> (Result<Answer, Failure>, Arc<Upstreams>, Lane<Asks>) {
    let mute = Mute::new();
    let mut config = config(&[mute.0.local_addr().unwrap()]);
    config.budget = Duration::from_millis(20);
    let upstreams = build(&config);
    let mut lane = lane_with(&upstreams, "www.example");
    lane.set_out(|_, _| panic!("it cannot be sent"));
    let seen = mute.hear();
    if is_answered {
        mute.0.send_to(&seen.reply(0), seen.from).unwrap();
    }
    std::thread::sleep(still);
    let mut ended = Vec::new();
    lane.send_on(|_, what| ended.push(what));
    (outcome(ended.remove(0)).await, upstreams, lane)
}

/// A router that writes to its flash may do nothing else for seconds.
#[tokio::test]
async fn what_came_while_this_machine_stood_still_is_read_all_the_same() {
    let (said, ..) = stood_still(Duration::from_millis(60), true).await;
    assert_eq!(said.unwrap().rcode(), 0);
}

#[tokio::test]
async fn that_this_machine_stood_still_is_no_failure_to_remember() {
    let (said, upstreams, mut lane) = stood_still(Duration::from_millis(300), false).await;
    assert!(said.is_err());
    // With a machine that runs the same question waits for its turn, since it has failed.
    lane.ask(&upstreams, ME, Asks(question("www.example")))
        .unwrap();
}

#[tokio::test]
async fn that_nobody_listens_is_said_at_once() {
    let upstreams = build(&config(&[nobody()]));
    let mut lane = lane_with(&upstreams, "www.example");
    let failure = outcome(end_of(&mut lane).await).await.unwrap_err();
    assert!(
        matches!(
            failure,
            Failure::Unreachable {
                error: ErrorKind::ConnectionRefused,
                ..
            }
        ),
        "{failure:?}"
    );
}

/// A server that hears and does not answer, and what was asked of it.
struct Mute(UdpSocket);

impl Mute {
    fn new() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    fn upstreams(&self, limits: &Limits, clock: Clock) -> Arc<Upstreams> {
        let config = config(&[self.0.local_addr().unwrap()]);
        Arc::new(Upstreams::new(&config, limits, &[], clock))
    }

    /// The next question.
    fn hear(&self) -> Seen {
        let mut buffer = [0; 512];
        let (length, from) = self.0.recv_from(&mut buffer).unwrap();
        Seen {
            bytes: buffer[..length].to_vec(),
            from,
            is_tcp: false,
        }
    }

    fn answer(&self, seen: &Seen) {
        self.0.send_to(&seen.reply(0), seen.from).unwrap();
    }
}

/// Gives `lane` its turn until `count` errands have ended.
async fn ends_of(lane: &mut Lane<Asks>, count: usize) -> Vec<(Asks, Ended)> {
    let mut ended = Vec::new();
    lane.set_out(|errand, what| ended.push((errand, what)));
    while ended.len() < count {
        let is_heard = poll_fn(|context| {
            if lane.poll_heard(context).map(Result::unwrap).is_ready() {
                return Poll::Ready(true);
            }
            lane.poll_overdue(context).map(|()| false)
        });
        match is_heard.await {
            true => {
                lane.hear(|errand, what| ended.push((errand, what)));
            }
            false => lane.send_on(|errand, what| ended.push((errand, what))),
        }
    }
    ended
}

/// A table of four places, of which a domain may have one.
fn few() -> Limits {
    Limits {
        in_flight: 4,
        ..limits()
    }
}

#[tokio::test]
async fn who_finds_no_place_goes_the_long_way_and_what_is_dropped_gives_its_back() {
    let server = Mute::new();
    let upstreams = server.upstreams(&few(), Clock::system());
    let mut lane = Lane::new().unwrap();
    for name in [
        "a.flood.test",
        "b.second.test",
        "c.third.test",
        "d.fourth.test",
    ] {
        lane.ask(&upstreams, ME, Asks(question(name))).unwrap();
    }
    let more = lane.ask(&upstreams, ME, Asks(question("e.fifth.test")));
    more.unwrap_err();
    assert_eq!(upstreams.load().questions, 4);
    drop(lane);
    assert_eq!(
        upstreams.load(),
        Load::default(),
        "what is dropped gives its places back"
    );
}

#[tokio::test]
async fn whoever_is_displaced_has_an_answer_in_time_or_hears_so() {
    for is_answered in [true, false] {
        let server = Mute::new();
        let few = Limits {
            in_flight: 8,
            ..limits()
        };
        let upstreams = server.upstreams(&few, Clock::system());
        let mut lane = Lane::new().unwrap();
        // A domain may have two of eight.
        for name in ["a.flood.test", "b.flood.test"] {
            lane.ask(&upstreams, ME, Asks(question(name))).unwrap();
        }
        lane.set_out(|_, _| panic!("it was sent"));
        let joined = {
            let upstreams = Arc::clone(&upstreams);
            let other = Client::Address([192, 0, 2, 99].into());
            tokio::spawn(async move { upstreams.resolve(&question("a.flood.test"), other).await })
        };
        until("somebody joins", || upstreams.load().waits == 3).await;
        let first = server.hear();
        let mut others = Vec::new();
        for number in 0..7 {
            let upstreams = Arc::clone(&upstreams);
            let who = Client::Address([192, 0, 2, 100 + number].into());
            others.push(tokio::spawn(async move {
                let name = format!("n{number}.quiet{number}.test");
                upstreams.resolve(&question(&name), who).await
            }));
        }
        until("all have a place", || {
            upstreams.load().questions == 8 && upstreams.load().waits == 8
        })
        .await;
        let displaced = Err(Failure::Overloaded(Cap::Table));
        assert_eq!(joined.await.unwrap(), displaced, "who joined hears at once");
        if is_answered {
            server.answer(&first);
        }
        let (errand, ended) = ends_of(&mut lane, 1).await.remove(0);
        assert_eq!(errand.0, question("a.flood.test"));
        match (ended, is_answered) {
            (Ended::Answered(answer), true) => assert_eq!(answer.rcode(), 0),
            (Ended::Late(late), false) => assert_eq!(late.outcome().await, displaced),
            (ended, _) => panic!("{ended:?}"),
        }
        drop(lane);
        others.iter().for_each(tokio::task::JoinHandle::abort);
        until("nothing is left", || upstreams.load() == Load::default()).await;
    }
}

/// Its own client's newcomer takes the place of the errand's wait; whoever joined still waits.
#[tokio::test]
async fn a_joiner_has_the_answer_though_who_asked_first_lost_the_place() {
    for is_late in [false, true] {
        let server = Mute::new();
        let few = Limits {
            in_flight_per_client: 4,
            ..limits()
        };
        let upstreams = server.upstreams(&few, Clock::system());
        let mut lane = Lane::new().unwrap();
        for name in [
            "a.flood.test",
            "b.flood.test",
            "c.third.test",
            "d.fourth.test",
        ] {
            lane.ask(&upstreams, ME, Asks(question(name))).unwrap();
        }
        lane.set_out(|_, _| panic!("it was sent"));
        let first = server.hear();
        let spawn = |name: &'static str, who: Client| {
            let upstreams = Arc::clone(&upstreams);
            tokio::spawn(async move { upstreams.resolve(&question(name), who).await })
        };
        let joined = spawn("a.flood.test", Client::Address([192, 0, 2, 99].into()));
        until("somebody joins", || upstreams.load().waits == 5).await;
        let newcomer = spawn("e.fifth.test", ME);
        until("the newcomer has a place", || {
            upstreams.load().questions == 5
        })
        .await;
        assert_eq!(upstreams.load().waits, 5, "one went for it");
        if !is_late {
            server.answer(&first);
        }
        let (errand, ended) = ends_of(&mut lane, 1).await.remove(0);
        assert_eq!(errand.0, question("a.flood.test"));
        match ended {
            Ended::Answered(_) => assert!(!is_late),
            Ended::Late(late) => {
                let lost = late.outcome().await;
                assert!(
                    is_late && lost == Err(Failure::Overloaded(Cap::Table)),
                    "{lost:?}"
                );
                server.answer(&first);
            }
        }
        assert_eq!(joined.await.unwrap().unwrap().rcode(), 0, "{is_late}");
        newcomer.abort();
    }
}

#[tokio::test]
async fn many_replies_at_once_all_come_in() {
    let server = Mute::new();
    let many = Limits {
        in_flight_per_client: 512,
        ..limits()
    };
    let upstreams = server.upstreams(&many, Clock::system());
    let mut lane = Lane::new().unwrap();
    for number in 0..100 {
        let name = format!("www.n{number}.test");
        lane.ask(&upstreams, ME, Asks(question(&name))).unwrap();
    }
    lane.set_out(|_, _| panic!("it was sent"));
    for _ in 0..100 {
        server.answer(&server.hear());
    }
    let ended = ends_of(&mut lane, 100).await;
    let answered = |(_, it): &(Asks, Ended)| matches!(it, Ended::Answered(_));
    assert!(ended.iter().all(answered));
    assert!(lane.is_empty());
    assert_eq!(upstreams.load(), Load::default());
}

#[tokio::test]
async fn a_full_lane_sends_the_next_the_long_way() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // A thousand sockets beside those of other tests.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= 4096, "the machine allows {hard} descriptors");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let server = Mute::new();
    let many = Limits {
        in_flight: 8192,
        in_flight_per_client: 8192,
        ..limits()
    };
    let upstreams = server.upstreams(&many, Clock::system());
    let mut lane = Lane::new().unwrap();
    let mut taken = 0;
    let refused = loop {
        let name = format!("www.n{taken}.test");
        match lane.ask(&upstreams, ME, Asks(question(&name))) {
            Ok(()) => taken += 1,
            Err(errand) => break errand,
        }
        assert!(taken <= 1024, "it has no end");
    };
    assert_eq!(taken, 1024);
    assert_eq!(upstreams.load().questions, taken);
    let name = format!("www.n{taken}.test");
    assert_eq!(refused.0, question(&name), "and it was not entered");
    drop(lane);
    assert_eq!(upstreams.load(), Load::default());
}

#[tokio::test]
async fn a_server_that_rests_or_fails_has_no_quick_way() {
    let upstreams = build(&config(&[nobody()]));
    for index in 0..3 {
        let name = format!("www.n{index}.test");
        assert!(upstreams.resolve(&question(&name), ME).await.is_err());
    }
    assert_eq!(upstreams.status()[0].health, Health::Failing);
    let mut lane = Lane::new().unwrap();
    let refused = lane.ask(&upstreams, ME, Asks(question("more.test")));
    refused.unwrap_err();
}

#[tokio::test]
async fn what_is_known_of_edns_holds_on_the_quick_way_and_its_detour() {
    // It understands no EDNS.
    let server = Stub::start(|seen| {
        let rcode = if seen.has_edns() { 1 } else { 0 };
        vec![Act::Send(seen.reply(rcode))]
    });
    let upstreams = upstreams(&[&server]);
    for name in ["a.test", "b.test"] {
        let mut lane = lane_with(&upstreams, name);
        assert_eq!(
            outcome(end_of(&mut lane).await).await.unwrap().rcode(),
            0,
            "{name}"
        );
    }
    let edns: Vec<_> = server.seen().iter().map(Seen::has_edns).collect();
    assert_eq!(edns, [true, false, false], "the lesson is kept");
}

/// What goes the long way keeps the rhythm: the same is asked once more after as long as the quick way
/// waited, and more rarely then.
#[tokio::test]
async fn the_long_way_goes_on_where_the_quick_one_ended() {
    let server = Mute::new();
    let upstreams = server.upstreams(&limits(), Clock::system());
    let begun = Instant::now();
    let mut lane = lane_with(&upstreams, "www.example");
    let Ended::Late(late) = end_of(&mut lane).await else {
        panic!("an answer out of nothing");
    };
    let first = server.hear();
    assert!(begun.elapsed() >= Duration::from_millis(400));
    let failure = late.outcome().await.unwrap_err();
    let took = begun.elapsed();
    assert!(matches!(failure, Failure::Timeout { .. }), "{failure}");
    let budget = Duration::from_millis(1500)..Duration::from_millis(1900);
    assert!(budget.contains(&took), "of both ways together: {took:?}");
    server.0.set_nonblocking(true).unwrap();
    let mut repeats = Vec::new();
    let mut buffer = [0; 512];
    while let Ok((length, from)) = server.0.recv_from(&mut buffer) {
        let seen = Seen {
            bytes: buffer[..length].to_vec(),
            from,
            is_tcp: false,
        };
        if seen.name() == first.name() {
            repeats.push((seen.id(), seen.from));
        }
    }
    // At 400 and 1200 ms.
    assert_eq!(repeats.len(), 2);
    assert!(!repeats.contains(&(first.id(), first.from)), "each anew");
}
