//! What the network looks like that keeps us from our upstreams: a login page, or a hotel that lets
//! nothing encrypted through. Told from what the household's own questions met; nothing is sent for it,
//! and of a name no more is kept than a keyed hash of the last one's parent.
//!
//! Only the household's own resolvers count, not those of named groups and forward zones; and who is asked
//! over an encrypted transport has shown who he is, so that his answers are nobody else's.
//!
//! What is done: it is said, and what may be a login page's answers is not kept. Nothing is asked in the
//! clear because of it, and nothing is let through the filter.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::group::Group;
use super::server::Server;
use crate::clock::Moment;
use crate::message::{Answer, Question};
use crate::name::NameRef;

/// What the network between us and our upstreams looks like. Shown in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Somebody else answers in place of every encrypted upstream.
    Intercepted,
    /// Nothing encrypted comes through, while who is asked in the clear answers.
    Closed,
    /// Whatever is asked for in the clear leads to one address.
    Redirected(IpAddr),
}

impl Network {
    /// What it looks like and what to do, in sentences for an admin.
    pub fn advice(self) -> String {
        let sign_in = "sign in from a device that uses the network's own resolver";
        match self {
            Self::Intercepted => format!(
                "somebody else answers in place of every encrypted upstream, with a certificate nobody \
                 vouches for: this looks like a login page (a hotel, a train) or like a network that \
                 reads along. If there is a login, {sign_in}; nothing is asked in the clear meanwhile"
            ),
            Self::Closed => "no encrypted upstream can be reached while resolvers in the clear answer: \
                 this looks like a network that closes encrypted DNS. Port 443 is closed least often: an \
                 upstream written as `https://…` may come through"
                .to_owned(),
            Self::Redirected(address) => format!(
                "whatever is asked for leads to {address}: this looks like a login page (a hotel, a \
                 train). If there is one, {sign_in}, or open http://{} there",
                match address {
                    IpAddr::V4(v4) => v4.to_string(),
                    IpAddr::V6(v6) => format!("[{v6}]"),
                }
            ),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intercepted => f.write_str("somebody else answers in place of the upstreams"),
            Self::Closed => f.write_str("this network seems to close encrypted DNS"),
            Self::Redirected(_) => f.write_str("this network seems to want a login"),
        }
    }
}

/// The signs that were seen.
#[derive(Debug, Default)]
pub(super) struct Signs {
    keys: RandomState,
    seen: Mutex<Seen>,
    /// Whether answers are not to be kept.
    is_doubted: AtomicBool,
    /// Since when what came is to be forgotten, in microseconds and one more; 0 if nothing is.
    doubted_since: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    /// Where the last answers lead, of IPv4 and of IPv6: a login page may have an address of each.
    leads_to: [Option<Target>; 2],
    /// The parents of names that lead to an odd one, each once.
    parents: Vec<u64>,
    /// When the first and the last of them came.
    since: Moment,
    last: Moment,
    /// What was said last.
    told: Option<Network>,
    /// Since when and how often something was given out to be forgotten.
    forgotten: (Moment, u32),
}

/// Where all answers of one kind lead.
#[derive(Clone, Copy, Debug)]
struct Target {
    address: IpAddr,
    /// Whether that is odd by itself. If not, it is a sign of nothing, and only does not end what the other
    /// kind is a sign of: each of a login page's names leads there.
    is_odd: bool,
}

impl Seen {
    /// Where it is odd that answers lead, IPv4 first.
    fn odd(&self) -> Option<IpAddr> {
        let mut all = self.leads_to.iter().flatten();
        all.find(|it| it.is_odd).map(|it| it.address)
    }

    /// Whether an answer that leads to `target` goes on with the row: where its kind led before, or the
    /// first of its kind beside odd ones of the other.
    fn goes_on(&self, target: Target) -> bool {
        let [same, other] = match target.address {
            IpAddr::V4(_) => self.leads_to,
            IpAddr::V6(_) => [self.leads_to[1], self.leads_to[0]],
        };
        let is_known = same.is_none_or(|it| it.address == target.address);
        // What was odd and is kept for long now is another.
        let is_still = target.is_odd || same.is_none_or(|it| !it.is_odd);
        is_known && is_still && (target.is_odd || other.is_some_and(|it| it.is_odd))
    }
}

/// Names of different parents in a row that lead to one odd address.
const REDIRECTED_AT: usize = 8;
/// So many, and they are not kept.
const DOUBTED_AT: usize = 3;
/// In how long a time how often what is kept is looked through.
const FORGETTING: Duration = Duration::from_secs(10);
const FORGETTINGS: u32 = 4;
/// How long it holds that names lead to one address, when nothing more is heard.
const REDIRECTED: Duration = Duration::from_mins(10);
/// How long ago somebody in the clear may have been heard.
const LATELY: Duration = Duration::from_secs(60);

impl Signs {
    /// Looks where an answer to the household leads that `server` gave; whether that is odd.
    pub(super) fn note_answer(
        &self,
        question: &Question,
        answer: &Answer,
        server: &Server,
        now: Moment,
    ) -> bool {
        if question.via != 0 || is_of_home(question.qname.as_ref()) {
            return false;
        }
        let mut addresses = answer.facts().addresses();
        // "No such name" and the like say nothing.
        let Some(first) = addresses.next() else {
            return false;
        };
        let is_short = answer.ttl().unwrap_or(0) == 0;
        let leads_nowhere = first.is_unspecified() || first.is_loopback();
        let is_one = addresses.all(|it| it == first) && !leads_nowhere && !server.is_encrypted();
        let target = Target {
            address: first,
            is_odd: is_one && (is_inside(first) || is_short),
        };
        let mut seen = self.lock();
        let goes_on = is_one && seen.goes_on(target);
        if !goes_on {
            self.end(&mut seen);
        }
        if !goes_on && !target.is_odd {
            return false;
        }
        if seen.odd().is_none() {
            seen.since = now;
        }
        let before = &mut seen.leads_to[usize::from(first.is_ipv6())];
        *before = Some(target);
        if !target.is_odd {
            return false;
        }
        let parent = self
            .keys
            .hash_one(question.qname.as_ref().registrable_guess());
        seen.last = now;
        if seen.parents.len() < REDIRECTED_AT && !seen.parents.contains(&parent) {
            seen.parents.push(parent);
            if seen.parents.len() == DOUBTED_AT {
                self.is_doubted.store(true, Ordering::Relaxed);
                self.forget_since(seen.since);
            }
        }
        true
    }

    /// The answers in a row that led to one address have ended.
    fn end(&self, seen: &mut Seen) {
        if seen.parents.len() >= DOUBTED_AT {
            self.is_doubted.store(false, Ordering::Relaxed);
            // Some that were on their way may have been kept.
            self.forget_since(seen.since);
        }
        seen.leads_to = [None; 2];
        seen.parents.clear();
    }

    fn forget_since(&self, since: Moment) {
        let since = since.as_micros() + 1;
        let earlier = |old| (old == 0 || since < old).then_some(since);
        let order = Ordering::Relaxed;
        // It fails where enough is to be forgotten already.
        let _enough = self.doubted_since.try_update(order, order, earlier);
    }

    /// Whether what comes in the clear may be a login page's.
    pub(super) fn is_doubted(&self) -> bool {
        self.is_doubted.load(Ordering::Relaxed)
    }

    /// Since when it was, to be forgotten; said once, and not too often: to forget is to look at all that
    /// is kept, and whoever asks for names that lead into homes could have it looked at all day.
    pub(super) fn take_doubted(&self, now: Moment) -> Option<Moment> {
        if self.doubted_since.load(Ordering::Relaxed) == 0 {
            return None;
        }
        {
            let mut seen = self.lock();
            let (begun, times) = seen.forgotten;
            let is_over = now.since(begun) >= FORGETTING;
            if !is_over && times >= FORGETTINGS {
                return None;
            }
            seen.forgotten = if is_over {
                (now, 1)
            } else {
                (begun, times + 1)
            };
        }
        let since = self.doubted_since.swap(0, Ordering::Relaxed);
        since.checked_sub(1).map(Moment::from_micros)
    }

    /// What it looks like now, where the household's resolvers are `group` and `bootstrap` are asked
    /// where those are; tells the log when that is new.
    pub(super) fn look(&self, group: &Group, bootstrap: &Group, now: Moment) {
        let network = self.judge(group, bootstrap, now);
        let before = std::mem::replace(&mut self.lock().told, network);
        match network {
            Some(network) if before != Some(network) => tracing::warn!("{}", network.advice()),
            None if before.is_some() => tracing::info!("the network lets upstreams through again"),
            _ => {}
        }
    }

    /// What it looked like last.
    pub(super) fn told(&self) -> Option<Network> {
        self.lock().told
    }

    fn judge(&self, group: &Group, bootstrap: &Group, now: Moment) -> Option<Network> {
        {
            let seen = self.lock();
            if let Some(address) = seen
                .odd()
                .filter(|_| seen.parents.len() >= REDIRECTED_AT)
                .filter(|_| now.since(seen.last) < REDIRECTED)
            {
                return Some(Network::Redirected(address));
            }
        }
        let private = || group.servers().iter().filter(|it| it.is_encrypted());
        if private().next().is_none() || !private().all(|server| server.is_failing()) {
            return None;
        }
        if private().any(|server| server.way.is_somebody_else(now)) {
            return Some(Network::Intercepted);
        }
        let heard = private().map(|server| server.heard()).max();
        let is_heard = |server: &&Arc<Server>| {
            let at = server.heard();
            at != Moment::default() && now.since(at) < LATELY && Some(at) > heard
        };
        let all = || group.servers().iter().chain(bootstrap.servers());
        let in_the_clear = || all().filter(|it| !it.is_encrypted()).filter(is_heard);
        // One operator may be out of order, unless his own servers answer in the clear.
        let mut others = private().skip(1);
        let is_several = private()
            .next()
            .is_some_and(|first| others.any(|it| !it.has_operator_of(first)));
        let is_there = in_the_clear().any(|clear| private().any(|it| it.is_beside(clear)));
        let is_closed = private().all(|server| server.is_out_of_reach());
        let is_open = in_the_clear().next().is_some();
        (is_closed && is_open && (is_several || is_there)).then_some(Network::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a name is below a top level that is no public one: in most homes the router answers for those,
/// and of course with addresses inside.
fn is_of_home(name: NameRef<'_>) -> bool {
    /// RFC 6762 appendix G, RFC 8375, and what routers of great makers have.
    const OF_HOMES: [&[u8]; 13] = [
        b"arpa",
        b"box",
        b"corp",
        b"domain",
        b"home",
        b"internal",
        b"intranet",
        b"lan",
        b"local",
        b"localdomain",
        b"localhost",
        b"private",
        b"router",
    ];
    name.labels()
        .last()
        .is_none_or(|top| OF_HOMES.contains(&top))
}

/// Whether an address is of no use outside of the network it is in. Those by which filters block, such
/// as 0.0.0.0, are no sign of a login page.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // RFC 6598.
            let is_shared = a == 100 && b & 0xc0 == 64;
            v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Transport, UpstreamServer};
    use crate::name::NameBuf;
    use crate::upstream::server::Shown;
    use crate::upstream::server::tests::alone;

    fn millis(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    fn server(address: &str, transport: Transport, name: Option<&str>) -> Arc<Server> {
        Arc::new(alone(&UpstreamServer {
            tls_name: name.map(Into::into),
            ..UpstreamServer::at(address.parse().unwrap(), transport)
        }))
    }

    /// An answer of `server` at `now`: `name` leads to `address` for `ttl` seconds.
    struct Told<'t> {
        server: &'t Server,
        name: &'t str,
        address: IpAddr,
        ttl: u32,
        via: u8,
        now: Moment,
    }

    /// Lets `signs` see an answer.
    fn note(signs: &Signs, told: &Told<'_>) -> Option<Network> {
        let question = Question {
            qname: NameBuf::parse(told.name).unwrap(),
            qtype: if told.address.is_ipv6() { 28 } else { 1 },
            dnssec_ok: false,
            checking_disabled: false,
            via: told.via,
        };
        let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        wire.extend_from_slice(question.qname.as_ref().as_wire());
        let kind = question.qtype as u8;
        wire.extend_from_slice(&[0, kind, 0, 1, 0xc0, 12, 0, kind, 0, 1]);
        wire.extend_from_slice(&told.ttl.to_be_bytes());
        match told.address {
            IpAddr::V4(v4) => {
                wire.extend_from_slice(&[0, 4]);
                wire.extend_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) => {
                wire.extend_from_slice(&[0, 16]);
                wire.extend_from_slice(&v6.octets());
            }
        }
        let answer = Answer::from_upstream(&wire, &question).unwrap();
        signs.note_answer(&question, &answer, told.server, told.now);
        let nobody = Group::new(None, []);
        signs.look(&nobody, &nobody, told.now);
        signs.told()
    }

    /// The same of a server in the clear, to the household.
    fn see(signs: &Signs, name: &str, address: impl Into<IpAddr>, ttl: u32) -> Option<Network> {
        let told = Told {
            server: &server("192.0.2.53:53", Transport::Udp, None),
            name,
            address: address.into(),
            ttl,
            via: 0,
            now: millis(1000),
        };
        note(signs, &told)
    }

    #[test]
    fn eight_names_of_different_parents_that_lead_inside_are_a_login_page() {
        let signs = Signs::default();
        let portal = [10, 0, 0, 1];
        for index in 0..7 {
            assert_eq!(see(&signs, &format!("www.n{index}.test"), portal, 30), None);
        }
        // More of the same sites is nothing new, such as two that lead to a server in the home.
        for index in 0..8 {
            let again = format!("img{index}.n{}.test", index % 7);
            assert_eq!(see(&signs, &again, portal, 30), None);
        }
        let network = Network::Redirected(portal.into());
        assert_eq!(see(&signs, "n7.test", portal, 30), Some(network));
        assert!(
            network.advice().contains("http://10.0.0.1 "),
            "{}",
            network.advice()
        );
        assert_eq!(
            see(&signs, "n8.test", [192, 0, 2, 1], 30),
            None,
            "signed in"
        );
    }

    /// The second kind of answers ended each row, though it led to the login page as well.
    #[test]
    fn a_login_page_with_addresses_of_both_kinds_is_one() {
        let portal: IpAddr = [10, 0, 0, 1].into();
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        // Inside, and outside where only that every name leads there is odd.
        for beside in ["fd00::1", "2001:db8::1"] {
            let signs = Signs::default();
            let mut told = None;
            for index in 0..8 {
                assert_eq!(told, None);
                let name = format!("n{index}.test");
                see(&signs, &name, address(beside), 60);
                told = see(&signs, &name, portal, 60);
            }
            assert_eq!(told, Some(Network::Redirected(portal)), "{beside}");
            // Who signed in is there with the first answer of the kind that was odd.
            let signed_in = see(&signs, "n9.test", [192, 0, 2, 1], 60);
            assert_eq!(signed_in, None);
        }
        // One that has only an address of IPv6.
        let signs = Signs::default();
        let told = (0..8).map(|it| see(&signs, &format!("n{it}.test"), address("fd00::1"), 60));
        assert_eq!(
            told.last().flatten(),
            Some(Network::Redirected(address("fd00::1")))
        );
    }

    #[test]
    fn sites_of_the_home_between_others_are_no_login_page_by_either_kind() {
        let signs = Signs::default();
        let beside = |index: u8| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(index)]);
        for index in 0..20 {
            // Inside by IPv4, outside by IPv6, each at its own address.
            let name = format!("n{index}.test");
            assert_eq!(see(&signs, &name, [10, 0, 0, 1], 60), None);
            assert_eq!(see(&signs, &name, beside(index), 60), None);
        }
        for index in 0..20 {
            // Of each kind two addresses in turn.
            let name = format!("n{index}.test");
            let last = index % 2 + 1;
            assert_eq!(see(&signs, &name, [10, 0, 0, last], 60), None);
            let address = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)]);
            assert_eq!(see(&signs, &name, address, 60), None);
        }
        for index in 0..20 {
            // One of the home, and one of the world that has both.
            assert_eq!(
                see(&signs, &format!("h{index}.test"), [10, 0, 0, 1], 60),
                None
            );
            let name = format!("w{index}.test");
            assert_eq!(see(&signs, &name, beside(1), 60), None);
            assert_eq!(see(&signs, &name, [192, 0, 2, 1], 60), None);
        }
        assert!(!signs.is_doubted());
    }

    #[test]
    fn an_address_outside_is_odd_only_where_it_must_not_be_kept() {
        let signs = Signs::default();
        for index in 0..20 {
            let told = see(&signs, &format!("n{index}.test"), [192, 0, 2, 1], 60);
            assert_eq!(told, None, "a large host of many sites");
        }
        let told = (0..8).map(|index| see(&signs, &format!("n{index}.test"), [192, 0, 2, 1], 0));
        assert_eq!(
            told.last().flatten(),
            Some(Network::Redirected([192, 0, 2, 1].into()))
        );
        for index in 0..20 {
            let told = see(&signs, &format!("n{index}.test"), [0, 0, 0, 0], 60);
            assert_eq!(told, None, "a filter blocks that way");
        }
    }

    #[test]
    fn what_may_be_a_login_page_s_is_forgotten_and_not_kept() {
        let signs = Signs::default();
        let clear = server("192.0.2.53:53", Transport::Udp, None);
        let see = |index: u64, address: [u8; 4]| {
            let told = Told {
                server: &clear,
                name: &format!("n{index}.test"),
                address: address.into(),
                ttl: 3600,
                via: 0,
                now: millis(index),
            };
            note(&signs, &told);
            (signs.is_doubted(), signs.take_doubted(told.now))
        };
        let (portal, right) = ([10, 0, 0, 1], [192, 0, 2, 1]);
        assert_eq!(see(5, portal), (false, None));
        assert_eq!(see(6, portal), (false, None));
        assert_eq!(see(7, portal), (true, Some(millis(5))));
        assert_eq!(see(8, portal), (true, None), "said once");
        assert_eq!(see(9, right), (false, Some(millis(5))));
        assert_eq!(see(10, right), (false, None));
        // Two sites that lead to a server in the home are none.
        assert_eq!(see(11, portal), (false, None));
        assert_eq!(see(12, portal), (false, None));
        assert_eq!(see(13, right), (false, None));
    }

    #[test]
    fn what_is_kept_is_not_looked_through_as_often_as_somebody_likes() {
        let signs = Signs::default();
        let mut times = 0;
        for round in 0..100 {
            for (name, address) in [("a", 10), ("b", 10), ("c", 10), ("d", 192)] {
                let told = Told {
                    server: &server("192.0.2.53:53", Transport::Udp, None),
                    name: &format!("{name}.test"),
                    address: [address, 0, 0, 1].into(),
                    ttl: 60,
                    via: 0,
                    now: millis(100 * round),
                };
                note(&signs, &told);
                times += u32::from(signs.take_doubted(told.now).is_some());
            }
        }
        assert_eq!(times, FORGETTINGS, "in ten seconds");
        let later = signs.take_doubted(millis(10_000));
        assert!(later.is_some(), "what waited is told in time");
    }

    #[test]
    fn a_home_full_of_names_is_no_login_page() {
        let signs = Signs::default();
        for top in ["lan", "box", "home.arpa"] {
            for index in 0..20 {
                let name = format!("n{index}.{top}");
                assert_eq!(see(&signs, &name, [192, 168, 178, 10], 60), None, "{name}");
            }
        }
        assert!(!signs.is_doubted());
    }

    #[test]
    fn only_what_came_in_the_clear_to_the_household_is_a_sign() {
        let clear = server("192.0.2.53:53", Transport::Udp, None);
        let private = server("192.0.2.1:853", Transport::Tls, Some("dns.example"));
        for (server, via) in [(&private, 0), (&clear, 1)] {
            let signs = Signs::default();
            for index in 0..20 {
                let told = Told {
                    server,
                    name: &format!("n{index}.test"),
                    address: [10, 0, 0, 1].into(),
                    ttl: 60,
                    via,
                    now: millis(1000),
                };
                assert_eq!(note(&signs, &told), None);
                assert!(!signs.is_doubted());
            }
        }
    }

    #[test]
    fn a_login_page_of_which_nothing_is_heard_is_no_longer_said() {
        let signs = Signs::default();
        for index in 0..8 {
            see(&signs, &format!("n{index}.test"), [10, 0, 0, 1], 60);
        }
        assert!(signs.told().is_some());
        let nobody = Group::new(None, []);
        let later = millis(1000).after(REDIRECTED);
        signs.look(&nobody, &nobody, later);
        assert_eq!(signs.told(), None);
    }

    #[test]
    fn one_operator_out_of_order_is_no_closed_network() {
        let one = |last: u8| {
            let address = format!("192.0.2.{last}:853");
            server(&address, Transport::Tls, Some("one.dns.example"))
        };
        let other = || {
            server(
                "198.51.100.1:853",
                Transport::Tls,
                Some("dns.other.example"),
            )
        };
        let clear = || server("203.0.113.53:53", Transport::Udp, None);
        let beside = || server("192.0.2.1:53", Transport::Udp, None);
        let look = |private: Vec<Arc<Server>>, clear: Arc<Server>| {
            for server in &private {
                for at in 0..3 {
                    let error = || "no route".to_owned();
                    server.note_unreachable(error, millis(at), millis(at), Shown::Yes);
                }
            }
            clear.note_reply(0, Duration::from_millis(2), millis(2000), Shown::Yes);
            let group = Group::new(None, [private, vec![clear]]);
            let signs = Signs::default();
            signs.look(&group, &Group::new(None, []), millis(3000));
            signs.told()
        };
        assert_eq!(look(vec![one(1), one(2)], clear()), None);
        assert_eq!(look(vec![one(1), other()], clear()), Some(Network::Closed));
        // Its machines answer, but for what is encrypted.
        assert_eq!(look(vec![one(1), one(2)], beside()), Some(Network::Closed));
    }
}
