//! The path of a query.
//!
//! ```text
//! listener → decode → may it ask → which device → which rules → verdict on the name
//!          → cache → upstream → verdict on the answer → encode → journal
//! ```
//!
//! The first half, [`Resolver::answer_now`], never waits, starts no task and allocates nothing on
//! the way to a block or a fresh answer from the cache. Only what must be asked of an upstream goes
//! on into the second, [`Resolver::answer_later`]. Between the halves stands [`Pending`], between
//! this file and the sockets nothing but bytes: a listener hands in a message and sends what lies in
//! the buffer afterwards, so a batching loop can take its place without a change here.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::cache::Hit;
use crate::clock::{Clock, Moment};
use crate::config::DeviceMatch;
use crate::device::{Asking, Claim, Origin, Via, Who};
use crate::discovery::{Designated, Designation};
use crate::egress::{self, Egress, Opening, Spelling};
use crate::journal::{Journal, Outcome, Source, Transport};
use crate::limit::{Client, CookieJar, Rate, RateLimiter, Whereabouts};
use crate::mac::Mac;
use crate::message::{
    Answer, Decoded, Extra, Fact, Query, Question, Refusal, Reply, Services, Ttl, ede, rcode, rtype,
};
use crate::name::{Name, NameBuf};
use crate::policy::{
    SpecialUse, Tunnels, View, is_suffixed_lifeline, judge_answer, judge_name, marks_of,
    reason_to_allow,
};
use crate::snapshot::Snapshot;
use crate::standing::Standings;
use crate::synth::{self, Frame};
use crate::upstream::{self, Errand, Failure, Lane};
use crate::verdict::{Cause, Reason, Tier, Trigger, Verdict};

/// How long a client may keep the alias to a restricted name.
const ALIAS_TTL: u32 = 300;
/// How long a client may keep what may be a login page's answer.
const DOUBTED_TTL: u32 = 10;
/// How long a client may keep what it is told of a lifeline, whatever upstream says: a TTL that
/// shrinks tells when somebody asked.
const LIFELINE_TTL: Ttl = Ttl {
    age: 0,
    floor: 60,
    ceiling: 60,
};

/// Everything that lives longer than a query.
#[derive(Debug)]
pub struct Resolver {
    world: ArcSwap<Snapshot>,
    /// Held while a world is put in force, or what holds in it is made anew.
    keeper: Mutex<Option<Arc<dyn TimeKeeper>>>,
    limiter: RateLimiter,
    cookies: CookieJar,
    tunnels: Tunnels,
    /// What is said of our own encrypted DNS, if there is any.
    designation: ArcSwapOption<Designation>,
    journal: Arc<Journal>,
    clock: Clock,
    egress: Egress,
    refused: Refused,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
}

/// How often the cache had a fresh answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUps {
    /// It had one.
    pub hits: u64,
    /// It had none, or one past its time.
    pub misses: u64,
}

/// Somebody who knows what holds at this hour.
pub trait TimeKeeper: std::fmt::Debug + Send + Sync {
    /// What holds in the world of `snapshot` from now on.
    fn standings(&self, snapshot: &Snapshot) -> Standings;
}

/// Messages that did not become queries, since the start.
#[derive(Debug, Default)]
pub struct Refused {
    /// Responses and junk.
    pub silent: AtomicU64,
    /// Malformed or of a kind we do not serve.
    pub malformed: AtomicU64,
    /// From outside the ranges we serve.
    pub foreign: AtomicU64,
    /// The last of those that asked a proper question: an admin may have forgotten a prefix.
    pub last_foreign: Mutex<Option<IpAddr>>,
    /// Over a client's rate.
    pub limited: AtomicU64,
    /// Of a forwarder's client who cannot be told: its options said two things at once or were
    /// malformed, or it was so that the forwarder may have written none. Such a client is a guest.
    pub void_claims: AtomicU64,
}

/// How the first half ended.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an outcome in a box would be an allocation for every query"
)]
pub enum Step {
    /// Send what is in the buffer, then record it.
    Reply(Outcome),
    /// Send what is in the buffer; it was no query, there is nothing to record.
    Error,
    /// Send nothing.
    Silence,
    /// The kernel or upstream must be asked: go on with [`Resolver::answer_later`] when convenient.
    Wait(Box<Pending>),
}

/// A query between the two halves.
#[derive(Debug)]
pub struct Pending {
    message: Box<[u8]>,
    snapshot: Arc<Snapshot>,
    origin: Origin,
    transport: Transport,
    at: Moment,
    /// None when it has to be found out first who asks.
    asked: Option<Asked>,
}

impl Pending {
    /// Whose share of the questions in flight it takes.
    fn client(&self, asked: &Asked) -> upstream::Client {
        let device = asked.device.and_then(|it| self.snapshot.devices.device(it));
        upstream::Client::new(self.origin.client, device.map(|device| device.name))
    }

    /// What is asked of upstream; none while it has to be found out first who asks.
    pub fn question(&self) -> Option<&Question> {
        self.asked.as_ref().map(|asked| &asked.question)
    }
}

/// Who asks, and how.
struct Asker<'q> {
    origin: &'q Origin,
    transport: Transport,
    /// The device; none is a guest.
    index: Option<u16>,
    /// Its address for the log and for rules about clients: the forwarder's, unless that says all
    /// of its client's.
    client: IpAddr,
    /// What its forwarder says of it.
    claim: Option<Claim>,
    at: Moment,
}

/// What is asked of upstream, and for whom.
#[derive(Debug)]
struct Asked {
    device: Option<u16>,
    /// The client's address for the log and for rules about clients.
    client: IpAddr,
    verdict: Verdict,
    /// Whether nobody is told of it.
    of_lifeline: bool,
    /// What upstream is asked: the query's question, or the restricted name in its place.
    question: Question,
    /// An answer past its time, should upstream be silent.
    stale: Option<Hit>,
}

impl Resolver {
    /// A resolver in the world of `snapshot`.
    pub fn new(snapshot: Arc<Snapshot>, journal: Arc<Journal>, clock: Clock) -> Self {
        Self {
            world: ArcSwap::new(snapshot),
            keeper: Mutex::default(),
            limiter: RateLimiter::default(),
            cookies: CookieJar::new(),
            tunnels: Tunnels::default(),
            designation: ArcSwapOption::empty(),
            journal,
            clock,
            egress: Egress::default(),
            refused: Refused::default(),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
        }
    }

    /// The world of queries that arrive now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.world.load_full()
    }

    /// Puts another world in its place; queries under way end in the old one. What holds in it at
    /// this hour is known before its first query.
    pub fn replace_snapshot(&self, next: Arc<Snapshot>) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = &*keeper {
            next.standings.store(Arc::new(keeper.standings(&next)));
        }
        self.world.store(Arc::clone(&next));
        self.close_egress(&next);
    }

    /// Says from now on that of our own encrypted DNS; without it there is none.
    pub fn designate(&self, designation: Option<Designation>) {
        self.designation.store(designation.map(Arc::new));
    }

    /// Lets `keeper` say from now on what holds.
    pub fn keep_time(&self, keeper: Arc<dyn TimeKeeper>) {
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        self.renew_standings();
    }

    /// To be called whenever what holds may be different: the next query is judged by it.
    pub fn renew_standings(&self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = &*keeper {
            let snapshot = self.world.load_full();
            let standings = keeper.standings(&snapshot);
            snapshot.standings.store(Arc::new(standings));
            self.close_egress(&snapshot);
        }
    }

    /// To be called when queries have arrived, before [`Self::answer_now`] looks at them: who is
    /// behind which address is known up to this moment then. Gives the moment, which is that of their
    /// arrival: what comes together looks at the clock once.
    pub fn catch_up(&self) -> Moment {
        self.world.load().devices.catch_up();
        self.clock.now()
    }

    /// The moment at which what was answered has left, for [`Self::record`].
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Messages that did not become queries.
    pub const fn refused(&self) -> &Refused {
        &self.refused
    }

    /// How often the cache had a fresh answer, since the start.
    pub fn cache_look_ups(&self) -> LookUps {
        LookUps {
            hits: self.cache_hits.load(Ordering::Relaxed),
            misses: self.cache_misses.load(Ordering::Relaxed),
        }
    }

    /// The first half: what can be answered at once is answered into `out`. It arrived `at` the moment
    /// that [`Self::catch_up`] gave.
    pub fn answer_now(
        &self,
        message: &[u8],
        origin: &Origin,
        transport: Transport,
        at: Moment,
        out: &mut Vec<u8>,
    ) -> Step {
        let decoded = Query::decode(message);
        if matches!(decoded, Decoded::Silence) {
            count(&self.refused.silent);
            return Step::Silence;
        }
        let snapshot = self.world.load();
        let claim = match &decoded {
            Decoded::Ask(query) => snapshot.devices.claim(origin, query),
            Decoded::Error(_) | Decoded::Silence => None,
        };
        if claim.is_some_and(|claim| claim.is_void) {
            count(&self.refused.void_claims);
        }
        let who = snapshot.devices.identify(origin, claim.as_ref());
        let is_ours = may_ask(&snapshot, origin, who);
        let index = match who {
            Who::Device(index) => Some(index),
            Who::Guest | Who::Unseen => None,
        };
        // Before anything is said: an error costs as much to send as an answer.
        let is_told = claim.is_some() || origin.via != Via::Nothing;
        let device = index.and_then(|index| snapshot.devices.device(index));
        let asker = match device {
            Some(device) => Client::Device(device.name),
            None => Client::Address(origin.client),
        };
        // The machine itself may always ask; whoever it asks for has the share of every other.
        let is_free = origin.client.is_loopback() && !is_told;
        if !is_free && !self.admit(&snapshot, asker, origin, transport, &decoded, at) {
            count(&self.refused.limited);
            return self.answer_limited(&decoded, transport, out);
        }
        if who == Who::Unseen && is_ours && matches!(decoded, Decoded::Ask(_)) {
            return Step::Wait(Box::new(Pending {
                message: message.into(),
                snapshot: Arc::clone(&snapshot),
                origin: *origin,
                transport,
                at,
                asked: None,
            }));
        }
        let query = match decoded {
            Decoded::Ask(query) => query,
            Decoded::Error(refusal) if is_ours => {
                count(&self.refused.malformed);
                return self.answer_refusal(&refusal, origin, out);
            }
            // A stranger's junk deserves no word.
            Decoded::Error(_) | Decoded::Silence => {
                count(&self.refused.foreign);
                return Step::Silence;
            }
        };
        if is_ours {
            let asker = Asker {
                origin,
                transport,
                index,
                client: claim.and_then(|it| it.address()).unwrap_or(origin.client),
                claim,
                at,
            };
            return self.answer_asker(&snapshot, &query, &asker, out);
        }
        let frame = self.frame(&snapshot, &query, origin, transport, at);
        count(&self.refused.foreign);
        if transport.is_encrypted() {
            // Somebody is there, and sees what is wrong.
            let why = Some((ede::PROHIBITED, "no device has this id"));
            synth::error(&query, rcode::REFUSED, why, frame, out);
            return Step::Error;
        }
        let last = &self.refused.last_foreign;
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(origin.client);
        // Not an octet more than was asked: the address may be forged (RFC 5358).
        let bare = Frame {
            extra: Extra::default(),
            ..frame
        };
        synth::error(&query, rcode::REFUSED, None, bare, out);
        Step::Error
    }

    /// The rest of the first half, once it is known who asks.
    fn answer_asker(
        &self,
        snapshot: &Arc<Snapshot>,
        query: &Query<'_>,
        asker: &Asker<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let &Asker {
            origin,
            transport,
            index,
            client,
            claim,
            at,
        } = asker;
        let mut frame = self.frame(snapshot, query, origin, transport, at);
        if index.is_none() {
            snapshot.devices.note_guest(origin, claim.as_ref());
        }
        let hour = snapshot.at(at);
        let (device, view) = hour.view_of(index, Some(client));
        frame.ceiling = view.ttl_ceiling(at);
        let question = &query.question;
        // Before all rules: they are there because of us, and who finds us is bound by them.
        let ours = self.designation.load();
        let ours = ours.as_ref().and_then(|it| {
            let what = it.find(question.qname.as_ref(), question.qtype, client)?;
            Some((it, what))
        });
        let mut outcome = Outcome {
            at,
            transport,
            device: device.map_or(view.profile.name, |device| device.name),
            client,
            profile: view.profile.name,
            privacy: view.profile.privacy,
            qname: question.qname,
            qtype: question.qtype,
            verdict: match ours {
                Some(_) => Verdict::Allow(SPECIAL_USE),
                None => judge_name(question.qname.as_ref(), question.qtype, &view),
            },
            of_lifeline: false,
            source: Source::Own,
            rcode: 0,
            took: Duration::ZERO,
        };
        if let Some((designation, what)) = ours {
            // An id before our name is a secret: the log must not hold it.
            if what == Designated::OurName {
                outcome.qname = designation.name();
            }
            let code = synth::designated(what, designation, client, query, frame, out);
            return self.done(outcome, code);
        }
        // Before another reason stands in its place.
        outcome.of_lifeline = outcome.is_of_lifeline();
        let other;
        let asked = match outcome.verdict {
            Verdict::Block(reason) => {
                let code = synth::block(query, view.profile, &reason, frame, out);
                return self.done(outcome, code);
            }
            Verdict::Rewrite(target, _) => {
                let restricted = snapshot.safe_search.target(target);
                let qname = NameBuf::from(restricted);
                let via = snapshot.via(view.profile, restricted, outcome.of_lifeline);
                other = Question {
                    qname,
                    via,
                    ..*question
                };
                &other
            }
            Verdict::Allow(_) => {
                let via = snapshot.via(view.profile, question.qname.as_ref(), outcome.of_lifeline);
                if via == question.via {
                    question
                } else {
                    other = Question { via, ..*question };
                    &other
                }
            }
        };
        if question.qtype == rtype::ANY {
            let code = synth::any(query, frame, out);
            return self.done(outcome, code);
        }
        let asking = Asking {
            client: Some(client),
            hears_all: index.is_some() || snapshot.devices.is_this_machine(origin),
        };
        if let Some(answer) = snapshot.ask_home(asked, asking) {
            outcome.verdict = Verdict::Allow(SPECIAL_USE);
            let code = synth::home(&answer, query, frame, out);
            return self.done(outcome, code);
        }
        let special = SpecialUse::of(asked.qname.as_ref());
        if let Some(special) = special.filter(|_| !snapshot.is_forwarded(asked.qname.as_ref())) {
            outcome.verdict = Verdict::Allow(SPECIAL_USE);
            let code = synth::special_use(special, query, frame, out);
            return self.done(outcome, code);
        }

        if query.raw[2] & 0x01 == 0 {
            // RD=0 asks for what is known already, which is what others asked for: who may ask that
            // reads the household's day (RFC 1035 section 4.3.1 leaves it to us).
            let why = Some((
                ede::OTHER,
                "without recursion nothing is told of what others asked",
            ));
            let code = synth::error(query, rcode::REFUSED, why, frame, out);
            return self.done(outcome, code);
        }
        // Neither how long ago a lifeline was asked for nor how fast it is answered tells of another.
        let found = match outcome.of_lifeline {
            true => None,
            false => snapshot.cache.find(asked, at),
        };
        let failed = match &found {
            Some(hit) if !hit.stale => {
                self.count_look_up(&self.cache_hits, &outcome);
                let cached = Source::Cache;
                let code = self.deliver(hit, cached, query, &view, &mut outcome, frame, out);
                self.open_egress(snapshot, origin, hit, &view, &outcome);
                return self.done(outcome, code);
            }
            Some(_) => snapshot.upstream.failure_beside_stale(asked, at),
            None => {
                let device = index.and_then(|it| snapshot.devices.device(it));
                let whose = upstream::Client::new(client, device.map(|device| device.name));
                snapshot.upstream.recent_failure(asked, whose, at)
            }
        };
        // That such a name does not exist is kept nowhere, so it cannot have been found above.
        outcome.of_lifeline |= is_suffixed_lifeline(question.qname.as_ref(), &snapshot.lists);
        self.count_look_up(&self.cache_misses, &outcome);
        match (failed, &found) {
            (Some(failure), Some(stale)) if !failure.is_final() => {
                let source = Source::Stale;
                let code = self.deliver(stale, source, query, &view, &mut outcome, frame, out);
                self.open_egress(snapshot, origin, stale, &view, &outcome);
                return self.done(outcome, code);
            }
            (Some(failure), _) => {
                let code = self.fail(&failure, query, &mut outcome, frame, out);
                return self.done(outcome, code);
            }
            _ => {}
        }
        if self.is_tunnel(snapshot, &outcome, &view) {
            outcome.verdict = Verdict::Block(TUNNEL);
            let code = synth::block(query, view.profile, &TUNNEL, frame, out);
            return self.done(outcome, code);
        }
        Step::Wait(Box::new(Pending {
            message: query.raw.into(),
            snapshot: Arc::clone(snapshot),
            origin: *origin,
            transport,
            at,
            asked: Some(Asked {
                device: index,
                client,
                verdict: outcome.verdict,
                of_lifeline: outcome.of_lifeline,
                question: *asked,
                stale: found,
            }),
        }))
    }

    /// The second half: finds out who asks where that is not known, asks upstream, judges what it
    /// says, answers into `out`.
    pub async fn answer_later(&self, mut pending: Pending, out: &mut Vec<u8>) -> Step {
        let asked = match pending.asked.take() {
            Some(asked) => asked,
            None => match self.answer_stranger(&pending, out).await {
                Step::Wait(next) => match *next {
                    Pending {
                        asked: Some(asked), ..
                    } => asked,
                    _ => return Step::Silence,
                },
                other => return other,
            },
        };
        let snapshot = &pending.snapshot;
        let client = pending.client(&asked);
        let said = if asked.of_lifeline {
            let upstream = &snapshot.upstream;
            upstream.resolve_untold(&asked.question, client).await
        } else {
            snapshot.upstream.resolve(&asked.question, client).await
        };
        // Who has which address now.
        snapshot.devices.catch_up();
        self.conclude(&pending, &asked, said, out)
    }

    /// Asks upstream by `lane` on behalf of who sent a query; gives it back if
    /// [`Self::answer_later`] has to.
    ///
    /// # Errors
    /// The errand.
    pub fn ask_by<E>(lane: &mut Lane<E>, errand: E) -> Result<(), E>
    where
        E: Errand + AsRef<Pending>,
    {
        let pending = errand.as_ref();
        // Nobody is told of a lifeline, and a lane tells.
        let Some(asked) = pending.asked.as_ref().filter(|it| !it.of_lifeline) else {
            return Err(errand);
        };
        let (client, snapshot) = (pending.client(asked), Arc::clone(&pending.snapshot));
        lane.ask(&snapshot.upstream, client, errand)
    }

    /// The second half for a question that a lane brought an end to: judges what upstream `said`,
    /// answers into `out`. [`Self::catch_up`] comes before.
    pub fn answer_said(
        &self,
        pending: &Pending,
        said: upstream::Outcome,
        out: &mut Vec<u8>,
    ) -> Step {
        if !Arc::ptr_eq(&self.world.load(), &pending.snapshot) {
            // Of the world before, in which it ends.
            pending.snapshot.devices.catch_up();
        }
        match &pending.asked {
            Some(asked) => self.conclude(pending, asked, said, out),
            None => Step::Silence,
        }
    }

    /// The end of the second half.
    fn conclude(
        &self,
        pending: &Pending,
        asked: &Asked,
        said: upstream::Outcome,
        out: &mut Vec<u8>,
    ) -> Step {
        let snapshot = &pending.snapshot;
        // The same message as in the first half: it is a query.
        let Decoded::Ask(query) = Query::decode(&pending.message) else {
            return Step::Silence;
        };
        let device = asked.device.and_then(|it| snapshot.devices.device(it));
        let label = device.map(|device| device.name);
        // A name that does exist is no lifeline with a search suffix but somebody's own.
        let is_told = asked.verdict.reason().tier != Tier::Lifeline
            && said.as_ref().is_ok_and(|answer| answer.is_positive());
        let of_lifeline = asked.of_lifeline && !is_told;
        // The household's resolvers are meant, and not those of a profile or of a domain.
        let is_theirs = |domain: &Name| query.question.qname.as_ref().is_within(domain.as_ref());
        let is_doubted = asked.question.via == 0
            && snapshot.upstream.is_doubted()
            && !snapshot.private_domains.iter().any(is_theirs);
        if let Some(since) = snapshot.upstream.take_doubted() {
            snapshot.cache.forget_since(since);
        }
        let keep = |answer: &Answer, now| {
            if !of_lifeline && !is_doubted {
                snapshot.cache.store(&asked.question, answer, now);
            }
        };
        if said.as_ref().is_err_and(Failure::is_no) {
            // Nor must an outage bring back what is declined now.
            snapshot.cache.forget(&asked.question);
        }

        // The answer reaches whoever has the address now. If that is another by now, the one it was
        // judged for is gone, and the other asks again.
        let claim = snapshot.devices.claim(&pending.origin, &query);
        let who = snapshot.devices.identify(&pending.origin, claim.as_ref());
        let is_same = match who {
            Who::Device(index) => asked.device == Some(index),
            Who::Guest => asked.device.is_none(),
            Who::Unseen => true,
        };
        let now = self.clock.now();
        if !is_same {
            if let Ok(answer) = &said {
                keep(answer, now);
            }
            return Step::Silence;
        }
        // Bedtime may have come meanwhile.
        let hour = snapshot.at(now);
        let (_, view) = hour.view_of(asked.device, Some(asked.client));
        let mut frame = self.frame(snapshot, &query, &pending.origin, pending.transport, now);
        frame.ceiling = view.ttl_ceiling(now);
        if is_doubted {
            frame.ceiling = frame.ceiling.min(DOUBTED_TTL);
        }
        let mut outcome = Outcome {
            at: pending.at,
            transport: pending.transport,
            device: label.unwrap_or(view.profile.name),
            client: asked.client,
            profile: view.profile.name,
            privacy: view.profile.privacy,
            qname: query.question.qname,
            qtype: query.question.qtype,
            verdict: asked.verdict,
            of_lifeline,
            source: Source::Upstream,
            rcode: 0,
            took: Duration::ZERO,
        };
        let question = &query.question;
        let again = judge_name(question.qname.as_ref(), question.qtype, &view);
        if let Verdict::Block(reason) = again {
            if let Ok(answer) = &said {
                keep(answer, now);
            }
            outcome.verdict = again;
            let code = synth::block(&query, view.profile, &reason, frame, out);
            return self.done(outcome, code);
        }
        let origin = &pending.origin;
        let code = match (said, &asked.stale) {
            (Ok(answer), _) => {
                keep(&answer, now);
                self.note_told(snapshot, &outcome, &view, answer.wire_len());
                let hit = Hit {
                    ttl: snapshot.cache.ttl_of_news(&answer),
                    answer,
                    stale: false,
                };
                let source = Source::Upstream;
                let code = self.deliver(&hit, source, &query, &view, &mut outcome, frame, out);
                self.open_egress(snapshot, origin, &hit, &view, &outcome);
                code
            }
            (Err(failure), Some(stale)) if !failure.is_final() => {
                let source = Source::Stale;
                let code = self.deliver(stale, source, &query, &view, &mut outcome, frame, out);
                self.open_egress(snapshot, origin, stale, &view, &outcome);
                code
            }
            (Err(failure), _) => self.fail(&failure, &query, &mut outcome, frame, out),
        };
        self.done(outcome, code)
    }

    /// Waits until the kernel has resolved the client's address, as it must before it can deliver
    /// the answer, and does the first half again.
    async fn answer_stranger(&self, pending: &Pending, out: &mut Vec<u8>) -> Step {
        let (snapshot, origin) = (&pending.snapshot, &pending.origin);
        let index = match snapshot.devices.wait_for(origin).await {
            Some(Who::Device(index)) => Some(index),
            Some(Who::Guest) => None,
            // Not known in time. A wrong answer it would keep, so it is told to come by TCP: then the
            // kernel has to resolve its address before a word is said.
            Some(Who::Unseen) | None if pending.transport == Transport::Udp => {
                if let Decoded::Ask(query) = Query::decode(&pending.message) {
                    Reply::to_query(&query, rcode::NOERROR, out).finish_truncated();
                    return Step::Error;
                }
                return Step::Silence;
            }
            Some(Who::Unseen) | None => snapshot.devices.settle(origin, None),
        };
        let Decoded::Ask(query) = Query::decode(&pending.message) else {
            return Step::Silence;
        };
        if !may_ask(snapshot, origin, index.map_or(Who::Guest, Who::Device)) {
            count(&self.refused.foreign);
            return Step::Silence;
        }
        // A forwarder that is known by MAC address could not be believed before.
        let claim = snapshot.devices.claim(origin, &query);
        let asker = Asker {
            origin,
            transport: pending.transport,
            index: match &claim {
                Some(_) => snapshot.devices.settle(origin, claim.as_ref()),
                None => index,
            },
            client: claim.and_then(|it| it.address()).unwrap_or(origin.client),
            claim,
            at: pending.at,
        };
        self.answer_asker(snapshot, &query, &asker, out)
    }

    /// Enters an outcome into the journal, after its answer was sent; that was at `sent`.
    pub fn record(&self, mut outcome: Outcome, sent: Moment) {
        outcome.took = sent.since(outcome.at);
        // Answers of upstream were looked at before they were kept; who closes a name by itself means
        // that name.
        let was_looked_at = match outcome.source {
            Source::Own | Source::Failure => outcome.verdict.is_of_the_name(),
            Source::Cache | Source::Stale | Source::Upstream => true,
        };
        if !was_looked_at {
            let lists = &self.world.load().lists;
            outcome.of_lifeline |= is_suffixed_lifeline(outcome.qname.as_ref(), lists);
        }
        self.journal.record(&outcome);
    }

    /// Judges an answer from upstream, whenever it came, and writes it or the block.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one query, all borrowed"
    )]
    fn deliver(
        &self,
        hit: &Hit,
        source: Source,
        query: &Query<'_>,
        view: &View<'_>,
        outcome: &mut Outcome,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> u16 {
        outcome.source = source;
        let (name, qtype) = (query.question.qname.as_ref(), query.question.qtype);
        let allowed = match outcome.verdict {
            Verdict::Rewrite(..) => reason_to_allow(name, qtype, view),
            other => other.reason(),
        };
        let facts = hit.answer.facts();
        if let Verdict::Block(reason) = judge_answer(name, qtype, facts, allowed, view) {
            outcome.verdict = Verdict::Block(reason);
            return synth::block(query, view.profile, &reason, frame, out);
        }
        let mut extra = frame.extra;
        extra.error = hit.answer.note().map(|code| (code, ""));
        if source == Source::Stale {
            extra.error = Some((ede::STALE, "upstream gave no newer answer"));
        }
        // What the frame says of this hour, a minute where time is counted, and where an answer opens
        // the firewall not longer than that.
        let mut ceiling = frame.ceiling;
        if view.standing.has_meters() && !outcome.of_lifeline {
            let (marks, now) = (marks_of(name, qtype, view), self.clock.now());
            view.standing.touch(&marks, now);
            ceiling = ceiling.min(view.standing.metered_ceiling(&marks, now));
        }
        if view.profile.pinned_egress {
            ceiling = ceiling.min(egress::TTL);
        }
        let ttl = match outcome.of_lifeline {
            true => LIFELINE_TTL,
            false => Ttl {
                ceiling: hit.ttl.ceiling.min(ceiling),
                ..hit.ttl
            },
        };
        let services = if view.profile.close_bypass && hit.answer.leads_round() {
            Services::WithoutEch
        } else {
            Services::Whole
        };
        let frame = Frame {
            extra,
            ceiling,
            ..frame
        };
        let code = write_answer(
            &hit.answer,
            ttl,
            &outcome.verdict,
            services,
            query,
            frame,
            out,
        );
        // Its signatures may be over by now.
        if let (Source::Stale, Some(flags)) = (source, out.get_mut(3)) {
            *flags &= !0x20;
        }
        code
    }

    /// Lets a device whose egress is pinned reach what it is about to be told.
    fn open_egress(
        &self,
        snapshot: &Snapshot,
        origin: &Origin,
        hit: &Hit,
        view: &View<'_>,
        outcome: &Outcome,
    ) {
        if !view.profile.pinned_egress || outcome.verdict.is_block() {
            return;
        }
        let facts = hit.answer.facts();
        let addresses = facts.filter_map(|fact| match fact {
            Fact::Address(address) | Fact::SvcbHint(address) => Some(address),
            Fact::Cname(_) | Fact::SvcbTarget(_) => None,
        });
        // Who spells an address as a name was told nothing that it did not say itself.
        let asked = Spelling::of(outcome.qname.as_ref());
        let addresses = addresses.filter(|address| !asked.spells(*address));
        if let Some((mac, _)) = snapshot.devices.mac_of(origin) {
            let now = self.clock.now();
            let ceiling = view.standing.ttl_ceiling(now);
            let opening = Opening {
                mac,
                lasts: Duration::from_secs(ceiling.into()),
                while_closed: view.standing.may_close_everything(),
            };
            // What failed is counted, and stays closed.
            let _closed = self.egress.open(opening, addresses, now);
        }
    }

    /// Takes back what was opened to pinned devices for which everything is closed now.
    fn close_egress(&self, snapshot: &Snapshot) {
        if !snapshot.profiles.iter().any(|it| it.pinned_egress) {
            return;
        }
        let now = self.clock.now();
        let hour = snapshot.at(now);
        let is_closed = |mac: Mac| {
            let mut devices = (0..).zip(&snapshot.config.devices);
            let known = devices.find(|(_, it)| it.matches.contains(&DeviceMatch::Mac(mac)));
            let (_, view) = hour.view_of(known.map(|(index, _)| index), None);
            view.profile.pinned_egress && view.standing.may_close_everything()
        };
        // What failed is counted, and ends by itself.
        let _open = self.egress.close(is_closed, now);
    }

    /// Pinned egress.
    pub const fn egress(&self) -> &Egress {
        &self.egress
    }

    fn fail(
        &self,
        failure: &Failure,
        query: &Query<'_>,
        outcome: &mut Outcome,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> u16 {
        outcome.source = Source::Failure;
        let text = failure.to_string();
        let why = Some((failure.ede(), text.as_str()));
        synth::error(query, rcode::SERVFAIL, why, frame, out)
    }

    /// Whether a question that has to go to an upstream is a piece of a tunnel.
    fn is_tunnel(&self, snapshot: &Snapshot, outcome: &Outcome, view: &View<'_>) -> bool {
        let (name, qtype, at) = (outcome.qname.as_ref(), outcome.qtype, outcome.at);
        may_be_tunnel(snapshot, outcome, view)
            && match view.device {
                Some(_) => self.tunnels.is_piece(name, qtype, outcome.device, at),
                None => self.tunnels.is_piece(name, qtype, outcome.client, at),
            }
    }

    /// Counts what an upstream has said, as a tunnel may bring it.
    fn note_told(&self, snapshot: &Snapshot, outcome: &Outcome, view: &View<'_>, octets: usize) {
        let (name, qtype, at) = (outcome.qname.as_ref(), outcome.qtype, outcome.at);
        if !may_be_tunnel(snapshot, outcome, view) {
            return;
        }
        match view.device {
            Some(_) => (self.tunnels).note_told(name, qtype, octets, outcome.device, at),
            None => (self.tunnels).note_told(name, qtype, octets, outcome.client, at),
        }
    }

    /// Counts a look-up in the cache, unless it was for a lifeline: looked for and answered must
    /// not differ by the number of those.
    fn count_look_up(&self, counter: &AtomicU64, outcome: &Outcome) {
        if !outcome.of_lifeline {
            count(counter);
        }
    }

    #[inline]
    fn done(&self, mut outcome: Outcome, code: u16) -> Step {
        // The upper bits of RCODE exist in BADVERS only, which is no outcome of a query.
        outcome.rcode = (code & 0xf) as u8;
        Step::Reply(outcome)
    }

    /// Whether this client may ask once more. Those behind a forwarder that are no device share its
    /// rate.
    fn admit(
        &self,
        snapshot: &Snapshot,
        client: Client,
        origin: &Origin,
        transport: Transport,
        decoded: &Decoded<'_>,
        at: Moment,
    ) -> bool {
        let limits = &snapshot.config.limits;
        let rate = Rate {
            per_second: limits.queries_per_second,
            burst: limits.burst,
        };
        let admit = |whereabouts| self.limiter.admit(client, whereabouts, rate, at);
        // Whoever has shown where it is has a share that nobody can use up in its name.
        let has_shown = || {
            transport != Transport::Udp
                || matches!(decoded, Decoded::Ask(Query { edns: Some(edns), .. })
                    if edns.cookie.is_some_and(|c| self.cookies.is_ours(&c, origin.client, at)))
        };
        admit(Whereabouts::Claimed) || has_shown() && admit(Whereabouts::Shown)
    }

    /// Over the limit: silence, but now and then an empty answer that says "come by TCP", so that
    /// one whose address another has forged can still get through.
    fn answer_limited(
        &self,
        decoded: &Decoded<'_>,
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Step {
        const EVERY: u64 = 4;
        let turn = self
            .refused
            .limited
            .load(Ordering::Relaxed)
            .is_multiple_of(EVERY);
        match (decoded, transport) {
            (Decoded::Ask(query), Transport::Udp) if turn => {
                Reply::to_query(query, rcode::NOERROR, out).finish_truncated();
                Step::Error
            }
            // A connection stays open for the answers that are on their way.
            (Decoded::Ask(query), _) if transport != Transport::Udp => {
                let error = Some((ede::OTHER, "too many queries from this device"));
                let extra = Extra {
                    error,
                    ..Extra::default()
                };
                Reply::to_query(query, rcode::REFUSED, out).finish(usize::from(u16::MAX), extra);
                Step::Error
            }
            _ => Step::Silence,
        }
    }

    fn answer_refusal(&self, refusal: &Refusal<'_>, origin: &Origin, out: &mut Vec<u8>) -> Step {
        let cookie = refusal.edns.and_then(|edns| edns.cookie);
        let now = self.clock.now();
        let extra = Extra {
            cookie: cookie.map(|c| (c, self.cookies.bake(c.client, origin.client, now))),
            ..Extra::default()
        };
        Reply::to_refused(refusal, out).finish(512, extra);
        Step::Error
    }

    fn frame(
        &self,
        snapshot: &Snapshot,
        query: &Query<'_>,
        origin: &Origin,
        transport: Transport,
        now: Moment,
    ) -> Frame<'static> {
        let limit = match transport {
            Transport::Udp => query.udp_limit(snapshot.config.server.udp_payload),
            _ => usize::from(u16::MAX),
        };
        let limits = &snapshot.config.limits;
        // Neither HTTP nor QUIC may carry it (RFC 9250 section 5.5.2).
        let idle = match transport {
            Transport::Tcp => Some(limits.tcp_idle),
            Transport::Dot => Some(limits.encrypted_idle),
            Transport::Udp | Transport::Doh | Transport::Doh3 | Transport::Doq => None,
        };
        let keepalive = idle
            .map(|idle| u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX))
            .filter(|_| query.edns.is_some_and(|edns| edns.keepalive));
        let cookie = query.edns.and_then(|edns| edns.cookie);
        Frame {
            limit,
            extra: Extra {
                error: None,
                structured: None,
                cookie: cookie.map(|c| (c, self.cookies.bake(c.client, origin.client, now))),
                keepalive,
                padding: transport.is_encrypted(),
            },
            ceiling: u32::MAX,
        }
    }
}

/// Why a special-use name, or one of the home, is answered here.
pub const SPECIAL_USE: Reason = Reason {
    tier: Tier::Lists,
    cause: Cause::SpecialUse,
    trigger: Trigger::Qname,
};

/// Whether who asks from `origin` is answered. Who shows an id that no device has is answered nowhere:
/// it was revoked, or somebody tries some; outside the home only a device's id is a reason to answer.
fn may_ask(snapshot: &Snapshot, origin: &Origin, who: Who) -> bool {
    let is_home = snapshot.serves(origin.client);
    match snapshot.devices.shows_id(origin) {
        Some(is_known) => is_known && (is_home || who != Who::Guest),
        None => is_home,
    }
}

/// Whether what is asked and answered counts for a tunnel: of names nothing spoke about.
fn may_be_tunnel(snapshot: &Snapshot, outcome: &Outcome, view: &View<'_>) -> bool {
    view.profile.ways_round.tunnels
        && outcome.verdict == Verdict::Allow(Reason::UNLISTED)
        && !snapshot.is_forwarded(outcome.qname.as_ref())
}

/// Why a piece of a tunnel is not asked.
const TUNNEL: Reason = Reason {
    tier: Tier::ChildSafety,
    cause: Cause::Tunnel,
    trigger: Trigger::Qname,
};

fn write_answer(
    answer: &Answer,
    ttl: Ttl,
    verdict: &Verdict,
    services: Services,
    query: &Query<'_>,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let Frame { limit, extra, .. } = frame;
    let alias_ttl = ALIAS_TTL.min(frame.ceiling);
    let written = match (verdict, services) {
        (Verdict::Rewrite(..), _) => {
            answer.write_behind_alias(query, alias_ttl, ttl, limit, services, extra, out)
        }
        (_, Services::WithoutEch) => answer.write_without_ech(query, ttl, limit, extra, out),
        (_, Services::Whole) => {
            answer.write(query, ttl, limit, extra, out);
            Ok(())
        }
    };
    match written {
        Ok(()) => answer.rcode(),
        Err(_) => synth::error(query, rcode::SERVFAIL, None, frame, out),
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
