//! The time from the network, for as long as the machine has none of its own, or one that is ahead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::household::Daemon;
use crate::clock::{Clock, Moment, Refusal, Timestamp};
use crate::config::Host;
use crate::message::{Question, rtype};
use crate::name::NameBuf;
use crate::sntp;
use crate::upstream::{Client, Upstreams};

/// How soon the servers are asked again that did not agree, twice as long each time.
const RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// How long a lent time is good before it is asked for again, and how often it is looked whether one is
/// needed.
const RENEW: Duration = Duration::from_hours(1);
const LOOK: Duration = Duration::from_secs(10);
/// Servers that are asked at once.
const SERVERS: usize = 16;
/// Addresses of one server that are tried, one after the other.
const ADDRESSES: usize = 4;

/// Sees to it until the daemon ends that there is a time.
pub(super) async fn keep(daemon: Arc<Daemon>, stopped: watch::Receiver<bool>) {
    let stopped = super::wait_for(stopped);
    tokio::pin!(stopped);
    let mut rounds = Rounds::default();
    // What was known of the clock when it was told last that it may be ahead.
    let mut told = None;
    loop {
        daemon.note_earliest();
        let snapshot = daemon.resolver.snapshot();
        let servers = &snapshot.config.time.servers;
        let asking = rounds.step(&daemon.clock, servers, &snapshot.upstream);
        let (patience, is_new) = tokio::select! {
            done = asking => done,
            () = &mut stopped => return,
        };
        if is_new {
            // What holds at this hour may be something else.
            daemon.families.changed.notify_one();
        }
        drop(snapshot);
        let clock = &daemon.clock;
        let is_news = !clock.is_ahead() && told != Some(clock.generation());
        if is_news && clock.may_be_ahead().is_some() {
            told = Some(clock.generation());
            if let Some(doubt) = daemon.families.clock_doubt() {
                warn!("{doubt}");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(patience) => {}
            () = &mut stopped => return,
        }
    }
}

/// What was done so far.
#[derive(Debug, Default)]
struct Rounds {
    failures: u32,
    lent: Option<Moment>,
    /// Why what the servers agreed on last was not used.
    refusal: Option<Refusal>,
}

impl Rounds {
    /// Whether nobody is to be asked now.
    fn is_good(&self, clock: &Clock) -> bool {
        match clock.needs_time() {
            true => {
                let now = clock.now();
                clock.is_lent() && self.lent.is_some_and(|at| now.since(at) < RENEW)
            }
            false => clock.may_be_ahead().is_none(),
        }
    }

    /// Asks `servers` if there is no time, or one that may be ahead; how long until it is to be looked at
    /// again, and whether a time was lent.
    async fn step(
        &mut self,
        clock: &Clock,
        servers: &[Host],
        upstream: &Upstreams,
    ) -> (Duration, bool) {
        let now = clock.now();
        if servers.is_empty() || self.is_good(clock) {
            self.failures = 0;
            return (LOOK, false);
        }
        let said = ask_all(clock, servers, upstream).await;
        let passed = clock.now().since(now);
        let agreed = sntp::agreed(&said).and_then(|begun| begun.checked_add(passed).ok());
        if !clock.needs_time() && agreed.is_some_and(|wall| !clock.is_ahead_of(wall)) {
            // Whatever looks expired is.
            self.failures = 0;
            clock.vouch(RENEW);
            return (LOOK, false);
        }
        if agreed.is_some_and(|wall| clock.lend(wall)) {
            self.failures = 0;
            self.lent = Some(clock.now());
            let (agreed, shown, answers) = (clock.wall(), clock.shown(), said.len());
            if clock.is_ahead() {
                warn!(
                    %agreed, %shown, answers,
                    "the machine's clock is ahead, so the time of the network is used; its clock is not set"
                );
            } else {
                info!(
                    %agreed, answers,
                    "the machine has no time, so that of the network is used; its clock is not set"
                );
            }
            return (LOOK, true);
        }
        let refusal = agreed.and_then(|wall| clock.refusal(wall));
        let is_new = refusal.is_some() && refusal != self.refusal;
        if self.failures == 0 || is_new {
            let (answers, shown) = (said.len(), clock.shown());
            match (agreed, &refusal) {
                (Some(agreed), Some(why)) => warn!(
                    answers, %agreed, %shown, %why,
                    "the machine has no time, or one that may be ahead, and the one that the time servers \
                     agree on is not used"
                ),
                _ => warn!(
                    answers, %shown,
                    "the machine has no time, or one that may be ahead, and the time servers do not agree on \
                     one"
                ),
            }
        }
        self.refusal = refusal;
        // Silence says nothing of what was lent; enough that speak and do not agree on it any more do.
        let is_another = said.len() >= sntp::AGREE && clock.take_back();
        let patience = RETRY * 2_u32.pow(self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        (patience.min(LONGEST_RETRY), is_another)
    }
}

/// What each of `servers` says that answers, all as it was when they began to be asked.
async fn ask_all(clock: &Clock, servers: &[Host], upstream: &Upstreams) -> Vec<Timestamp> {
    let begun = clock.now();
    let mut found: Vec<Vec<SocketAddr>> = Vec::new();
    for server in servers.iter().take(SERVERS) {
        found.push(addresses_of(clock, server, upstream).await);
    }
    let mut asked = JoinSet::new();
    for addresses in apart(found) {
        let clock = clock.clone();
        asked.spawn(async move {
            for address in addresses.into_iter().take(ADDRESSES) {
                let said = ask(&clock, address, begun).await;
                if said.is_some() {
                    return said;
                }
            }
            None
        });
    }
    let said = asked.join_all().await;
    said.into_iter().flatten().collect()
}

/// The addresses of each server: what shares one is one server, and has one voice, under however many
/// names and ports it was written.
fn apart(found: Vec<Vec<SocketAddr>>) -> Vec<Vec<SocketAddr>> {
    let mut servers: Vec<Vec<SocketAddr>> = Vec::new();
    for mut addresses in found {
        let is_shared = |other: &Vec<SocketAddr>| {
            let same = |one: &SocketAddr, its: &SocketAddr| {
                one.ip().to_canonical() == its.ip().to_canonical()
            };
            let mut all = addresses.iter();
            all.any(|one| other.iter().any(|its| same(one, its)))
        };
        // It may join two that were apart until now.
        let (one, others) = servers.into_iter().partition(is_shared);
        servers = others;
        let mut joined: Vec<SocketAddr> = Vec::into_iter(one).flatten().collect();
        joined.append(&mut addresses);
        if !joined.is_empty() {
            servers.push(joined);
        }
    }
    servers
}

/// Where a time server is; names are asked of the household's upstream, past the filter. A clock that is
/// ahead keeps us from encrypted ones, and from what is signed: then without a look at signatures, and of
/// the bootstrap servers where those do not answer.
async fn addresses_of(clock: &Clock, server: &Host, upstream: &Upstreams) -> Vec<SocketAddr> {
    let (name, port) = match server {
        Host::Addresses(addresses) => return addresses.clone(),
        Host::Name { name, port } => (NameBuf::parse(name), *port),
    };
    let Ok(name) = name else {
        return Vec::new();
    };
    let is_ahead = clock.may_be_ahead().is_some();
    let client = Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Some("time"));
    let of_type = |qtype| {
        let question = Question {
            qname: name,
            qtype,
            dnssec_ok: false,
            checking_disabled: is_ahead,
            via: 0,
        };
        async move { upstream.resolve(&question, client).await }
    };
    let (v4, v6) = tokio::join!(of_type(rtype::A), of_type(rtype::AAAA));
    let mut addresses = Vec::new();
    for answer in [v4, v6].into_iter().flatten() {
        let found = answer.facts().addresses();
        addresses.extend(found.map(|address| SocketAddr::new(address, port)));
    }
    if addresses.is_empty() && is_ahead {
        let found = upstream.find(name).await;
        addresses.extend(found.into_iter().map(|it| SocketAddr::new(it, port)));
    }
    addresses
}

/// What the server at `address` says, as it was at `begun`; from there and no other, since the socket
/// is connected.
async fn ask(clock: &Clock, address: SocketAddr, begun: Moment) -> Option<Timestamp> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(address).await.ok()?;
    let cookie: [u8; 8] = rand::rng().random();
    let asked = clock.now();
    socket.send(&sntp::request(cookie)).await.ok()?;
    let hear = async {
        let mut packet = [0; 1024];
        loop {
            let count = socket.recv(&mut packet).await.ok()?;
            let heard = clock.now();
            if let Some(said) = sntp::read_reply(packet.get(..count)?, cookie) {
                // It left there half way between.
                let left = asked.after(heard.since(asked) / 2);
                return said.checked_sub(left.since(begun)).ok();
            }
        }
    };
    tokio::time::timeout(sntp::PATIENCE, hear).await.ok()?
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::{ManualTime, can_be};
    use crate::config;
    use crate::ports::free_port;

    /// A time server on loopback that says `wall`, as long as it is held.
    struct Server {
        address: SocketAddr,
        asked: Arc<AtomicUsize>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    impl Server {
        /// On 127.0.0.`last`, since one address has one voice; `spoil` changes its reply.
        async fn start(last: u8, wall: &str, spoil: fn(&mut [u8])) -> Self {
            let wall: Timestamp = wall.parse().unwrap();
            let seconds = wall.as_second() + 2_208_988_800;
            let seconds = (seconds as u32).to_be_bytes();
            let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, last], 0)));
            let socket = socket.await.unwrap();
            let address = socket.local_addr().unwrap();
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let task = tokio::spawn(async move {
                let mut request = [0; 128];
                loop {
                    let (length, from) = socket.recv_from(&mut request).await.unwrap();
                    assert_eq!(length, sntp::LENGTH);
                    count.fetch_add(1, Ordering::SeqCst);
                    let mut reply = [0; sntp::LENGTH];
                    (reply[0], reply[1]) = (0x24, 2);
                    reply[24..32].copy_from_slice(&request[40..48]);
                    reply[40..44].copy_from_slice(&seconds);
                    spoil(&mut reply);
                    socket.send_to(&reply, from).await.unwrap();
                }
            });
            Self {
                address,
                asked,
                task,
            }
        }

        fn host(&self) -> Host {
            Host::Addresses(vec![self.address])
        }
    }

    fn upstream(clock: &Clock) -> Upstreams {
        upstream_of("servers = [\"192.0.2.1\"]", clock)
    }

    fn upstream_of(settings: &str, clock: &Clock) -> Upstreams {
        let memory = crate::files::MemoryFiles::new();
        memory.put("hedgerow.toml", format!("[upstream]\n{settings}\n"));
        let loaded = config::load(&memory.files(), std::path::Path::new("hedgerow.toml"));
        let config = loaded.config.unwrap();
        Upstreams::new(&config.upstream, &config.limits, &[], clock.clone())
    }

    const NOON: &str = "2027-01-01T12:00:00Z";

    #[tokio::test]
    async fn what_three_servers_agree_on_is_the_time_until_the_machine_has_one() {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let clock = time.clock();
        let upstream = upstream(&clock);
        let servers = [
            Server::start(1, NOON, |_| {}).await,
            Server::start(2, "2027-01-01T12:00:01Z", |_| {}).await,
            Server::start(3, "2031-05-05T05:05:05Z", |_| {}).await,
            Server::start(4, NOON, |_| {}).await,
        ];
        let hosts: Vec<Host> = servers.iter().map(Server::host).collect();
        let mut rounds = Rounds::default();
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, true));
        assert_eq!(clock.wall().to_string(), NOON);
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, false));
        assert_eq!(
            servers[0].asked.load(Ordering::SeqCst),
            1,
            "it is good for an hour"
        );
        time.advance(RENEW);
        assert_eq!(clock.wall().to_string(), "2027-01-01T13:00:00Z");
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, true));
        assert_eq!(servers[0].asked.load(Ordering::SeqCst), 2);
        // The machine's own counts as soon as it can be, and nobody is asked any more.
        let own = "2026-12-31T23:00:00Z".parse().unwrap();
        time.set_wall(own);
        assert!(can_be(own));
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, false));
        assert_eq!(clock.wall(), own);
        assert_eq!(servers[0].asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn two_are_too_few_and_so_are_two_and_somebody_who_does_not_answer_us() {
        let clock = ManualTime::starting_at(Timestamp::UNIX_EPOCH).clock();
        let upstream = upstream(&clock);
        let servers = [
            Server::start(1, NOON, |_| {}).await,
            Server::start(2, NOON, |_| {}).await,
            Server::start(3, NOON, |reply| reply[24] ^= 1).await,
            Server::start(4, NOON, |reply| reply[1] = 0).await,
        ];
        let mut hosts: Vec<Host> = servers.iter().map(Server::host).collect();
        // Twice the same server has one voice.
        hosts.push(servers[0].host());
        let mut rounds = Rounds::default();
        for patience in [RETRY, RETRY * 2] {
            let step = rounds.step(&clock, &hosts, &upstream).await;
            assert_eq!(step, (patience, false));
        }
        assert_eq!(clock.wall(), Timestamp::UNIX_EPOCH);
    }

    /// Three servers that say it is noon, and where they are.
    async fn three_that_agree() -> (Vec<Server>, Vec<Host>) {
        let mut servers = Vec::new();
        for last in 1..=3 {
            servers.push(Server::start(last, NOON, |_| {}).await);
        }
        let hosts = servers.iter().map(Server::host).collect();
        (servers, hosts)
    }

    #[tokio::test]
    async fn a_clock_that_is_behind_gets_a_time_and_gives_it_back() {
        let shown = "2026-12-01T12:00:00Z".parse().unwrap();
        let time = ManualTime::starting_at(shown);
        let clock = time.clock();
        let upstream = upstream(&clock);
        let (_servers, hosts) = three_that_agree().await;
        let mut rounds = Rounds::default();
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, false));
        // Somebody signed something later.
        clock.doubt("2026-12-20T00:00:00Z".parse().unwrap());
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, true));
        assert_eq!(clock.wall().to_string(), NOON);
        // An hour later they say three different things: the first may have been a lie.
        let liars = [
            Server::start(1, "2028-01-01T12:00:00Z", |_| {}).await,
            Server::start(2, "2029-01-01T12:00:00Z", |_| {}).await,
            Server::start(3, "2030-01-01T12:00:00Z", |_| {}).await,
        ];
        let others: Vec<Host> = liars.iter().map(Server::host).collect();
        time.advance(RENEW);
        let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let gone = [Host::Addresses(vec![nobody])];
        assert_eq!(rounds.step(&clock, &gone, &upstream).await, (RETRY, false));
        assert!(clock.is_lent(), "silence says nothing of it");
        let step = rounds.step(&clock, &others, &upstream).await;
        assert_eq!((step, clock.is_lent()), ((RETRY * 2, true), false));
        assert_eq!(clock.wall(), shown + jiff::SignedDuration::from_hours(1));
    }

    /// Every certificate and signature looked expired on a router whose clock starts years ahead.
    #[tokio::test]
    async fn a_clock_that_is_ahead_gets_a_time_and_one_that_is_right_does_not() {
        let shown: Timestamp = "2040-01-01T00:00:00Z".parse().unwrap();
        let time = ManualTime::starting_at(shown);
        let clock = time.clock();
        let upstream = upstream(&clock);
        let (servers, hosts) = three_that_agree().await;
        let times_asked = || servers[0].asked.load(Ordering::SeqCst);
        let ended: Timestamp = "2027-03-01T00:00:00Z".parse().unwrap();
        let mut rounds = Rounds::default();
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, false));
        assert_eq!(times_asked(), 0, "nothing says so");
        clock.note_ended(ended);
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, true));
        assert_eq!(
            (clock.wall().to_string(), clock.is_ahead()),
            (NOON.into(), true)
        );
        // It stays so, and is asked again after an hour.
        time.advance(RENEW);
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, true));
        assert_eq!(times_asked(), 2);
        // Somebody sets the machine's clock.
        time.set_wall("2027-01-01T13:00:00Z".parse().unwrap());
        clock.note_jump();
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, false));
        assert!(!clock.is_lent());
        // A certificate that is over: they say that the clock is right, and are not asked each time.
        time.set_wall(NOON.parse().unwrap());
        for _ in 0..2 {
            clock.note_ended("2026-12-24T00:00:00Z".parse().unwrap());
            assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, false));
            assert_eq!((times_asked(), clock.is_lent()), (3, false));
        }
    }

    /// Nothing encrypted is believed by a clock that is ahead, and so no name was found by which it could
    /// be set.
    #[tokio::test]
    async fn time_servers_by_name_are_found_though_the_clock_is_ahead() {
        let clock = ManualTime::starting_at("2040-01-01T00:00:00Z".parse().unwrap()).clock();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let bootstrap = socket.local_addr().unwrap();
        // `t1.test` is at 127.0.0.1, and so on, where A is asked for.
        let names = tokio::spawn(async move {
            let mut packet = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let end = 12 + b"\x02t1\x04test\0".len() + 4;
                assert!(length >= end);
                let mut reply = packet[..end].to_vec();
                let is_a = reply[end - 3] == 1;
                reply[2..4].copy_from_slice(&[0x81, 0x80]);
                reply[6..12].copy_from_slice(&[0, u8::from(is_a), 0, 0, 0, 0]);
                if is_a {
                    let last = reply[14] - b'0';
                    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, last]);
                }
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let settings =
            format!("servers = [\"tls://{nobody}#dns.example\"]\nbootstrap = [\"{bootstrap}\"]");
        let upstream = upstream_of(&settings, &clock);
        let mut servers = Vec::new();
        let mut hosts = Vec::new();
        for last in 1..=3 {
            let server = Server::start(last, NOON, |_| {}).await;
            hosts.push(Host::Name {
                name: format!("t{last}.test"),
                port: server.address.port(),
            });
            servers.push(server);
        }
        clock.note_ended("2027-03-01T00:00:00Z".parse().unwrap());
        let mut rounds = Rounds::default();
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, true));
        assert_eq!(clock.wall().to_string(), NOON);
        names.abort();
    }

    #[test]
    fn what_shares_an_address_is_one_server() {
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (a, b, c) = (
            at("192.0.2.1:123"),
            at("192.0.2.2:123"),
            at("[2001:db8::1]:123"),
        );
        let mapped = at("[::ffff:192.0.2.1]:124");
        assert_eq!(apart(vec![vec![a], vec![b], vec![c]]).len(), 3);
        assert_eq!(apart(vec![vec![a], vec![mapped], vec![]]).len(), 1);
        // By a name that has both.
        assert_eq!(apart(vec![vec![a], vec![c], vec![b], vec![c, a]]).len(), 2);
    }

    #[tokio::test]
    async fn nobody_turns_the_time_back_before_what_was_signed() {
        let clock = ManualTime::starting_at(Timestamp::UNIX_EPOCH).clock();
        clock.note_earliest("2027-03-01T00:00:00Z".parse().unwrap());
        let upstream = upstream(&clock);
        let (_servers, hosts) = three_that_agree().await;
        let mut rounds = Rounds::default();
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (RETRY, false));
        assert!(!clock.is_lent());
        let earliest = clock.earliest();
        assert_eq!(rounds.refusal, Some(Refusal::Past { earliest }));
    }

    #[tokio::test]
    async fn without_servers_or_with_a_clock_nobody_is_asked() {
        let time = ManualTime::starting_at(NOON.parse().unwrap());
        let clock = time.clock();
        let upstream = upstream(&clock);
        let server = Server::start(1, NOON, |_| {}).await;
        let mut rounds = Rounds::default();
        let hosts = [server.host()];
        assert_eq!(rounds.step(&clock, &hosts, &upstream).await, (LOOK, false));
        time.set_wall(Timestamp::UNIX_EPOCH);
        assert_eq!(rounds.step(&clock, &[], &upstream).await, (LOOK, false));
        assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    }
}
