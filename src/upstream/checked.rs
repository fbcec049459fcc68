//! Asking with signatures, and checking them before anybody hears of the answer.
//!
//! A question goes out with DO, for the signatures, and with CD, so that the upstream's own validation
//! hides nothing from ours (RFC 6840 section 5.9). What the check needs besides, DS and DNSKEY records,
//! is asked of the same servers; equal ones share one exchange in a table of their own, since whoever
//! asks holds a place in the other. When an answer is bogus it is asked for once more, of another
//! server where there is one: one that leaves signatures out makes every signed name look like that.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::exchange::{self, exchange_among};
use super::failure::Failure;
use super::flight::{Client, Lead, Table};
use super::group::{Group, Ranked};
use super::server::{Server, Shown};
use super::{Checks, Shared};
use crate::clock::{Clock, Moment};
use crate::config;
use crate::dnssec::{Fault, Fetch, Judged, Memory, Stop, Validator};
use crate::message::{Answer, Question};
use crate::name::NameRef;

/// What checks signatures.
#[derive(Debug)]
pub(super) struct Checking {
    validator: Validator,
    /// Questions for keys and delegations.
    table: Arc<Table>,
    /// Servers that left out what others had, and until when they are asked last.
    distrusted: Mutex<Vec<(Arc<str>, Moment)>>,
    /// Answers that were bogus from one server and right from another.
    elsewhere: AtomicU64,
}

/// How long a server that leaves out signatures is asked last.
const DISTRUST: Duration = Duration::from_mins(5);
/// Whose share of the table of keys a question takes: nobody's, they are everybody's.
const NOBODY: Client = Client::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

impl Checking {
    /// As `config` says; none if nothing is to be checked.
    pub(super) fn new(
        config: &config::Upstream,
        limits: &config::Limits,
        clock: &Clock,
    ) -> Option<Self> {
        let settings = config.validation.as_ref()?;
        let forwarded = config.forward.iter().map(|it| &it.domain);
        Some(Self {
            validator: Validator::new(settings, forwarded, clock.clone()),
            // Half of the share of one client is the share of one domain.
            table: Table::new(limits.in_flight, limits.in_flight.saturating_mul(4)),
            distrusted: Mutex::default(),
            elsewhere: AtomicU64::new(0),
        })
    }

    /// Whether answers about `name` are checked.
    pub(super) fn concerns(&self, name: NameRef<'_>) -> bool {
        self.validator.concerns(name)
    }

    /// What came of checks.
    pub(super) fn checks(&self) -> Checks {
        let judgements = self.validator.judgements();
        Checks {
            secure: judgements.secure,
            insecure: judgements.insecure,
            bogus: judgements.bogus,
            signatures: judgements.signatures,
            elsewhere: self.elsewhere.load(Ordering::Relaxed),
        }
    }

    /// Asks `question` of the servers of `group` and checks what they say; says who did.
    pub(super) async fn ask(
        &self,
        shared: &Arc<Shared>,
        group: &Arc<Group>,
        question: &Question,
        shown: Shown,
    ) -> Result<(Answer, Arc<Server>), Failure> {
        let budget = shared.budget;
        let is_forwarded = !group.domain().as_ref().is_root();
        let concerns = self.validator.concerns(question.qname.as_ref());
        if question.checking_disabled || is_forwarded && !concerns {
            return exchange::exchange(group, question, &shared.clock, budget, shown, None).await;
        }
        // A help line is answered whatever became of somebody's signature, here and at the upstream.
        if !concerns || shown == Shown::No {
            let unchecked = Question {
                checking_disabled: true,
                ..*question
            };
            return exchange::exchange(group, &unchecked, &shared.clock, budget, shown, None).await;
        }
        let deadline = Instant::now() + budget;
        let asking = self.ask_twice(shared, group, question, deadline, shown);
        timeout_at(deadline, asking)
            .await
            .unwrap_or_else(|_| Err(group.timeout()))
    }

    async fn ask_twice(
        &self,
        shared: &Arc<Shared>,
        group: &Arc<Group>,
        question: &Question,
        deadline: Instant,
        shown: Shown,
    ) -> Result<(Answer, Arc<Server>), Failure> {
        let mut bearer = Bearer {
            checking: self,
            shared,
            deadline,
            shown,
            via: question.via,
            avoided: None,
        };
        let (answer, server) = bearer.ask_with_signatures(group, question).await?;
        let judged = self
            .validator
            .judge(&answer, question, &bearer, Memory::Trusted);
        let fault = match judged.await {
            Ok(judged) => return for_asker(&answer, question, &judged, server),
            Err(Stop::Fetch(failure)) => return Err(failure),
            Err(Stop::Fault(fault)) => fault,
        };
        // Without the name: what the home asks for stands in the journal alone.
        tracing::debug!(server = %server.label, error = fault.ede(), "an answer is bogus");
        // A filter may have made it: to ask another would be to go round it.
        let worth_it = fault.may_be_the_servers() && !answer.is_filtered();
        if !worth_it {
            return Err(bogus(&fault));
        }
        bearer.avoided = Some(Arc::clone(&server));
        if bearer.ranked(group).is_empty() {
            // The only one there is, once more: it may have been one message that was forged or damaged.
            bearer.avoided = None;
        }
        let Ok((answer, other)) = bearer.ask_with_signatures(group, question).await else {
            return Err(bogus(&fault));
        };
        let judged = self
            .validator
            .judge(&answer, question, &bearer, Memory::Doubted);
        let Ok(judged) = judged.await else {
            return Err(bogus(&fault));
        };
        if !Arc::ptr_eq(&server, &other) {
            self.elsewhere.fetch_add(1, Ordering::Relaxed);
            self.distrust(&server, shared.clock.now());
        }
        for_asker(&answer, question, &judged, other)
    }

    /// Has `server` asked last for a while.
    fn distrust(&self, server: &Server, now: Moment) {
        let mut all = self
            .distrusted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.retain(|(label, until)| *until > now && *label != server.label);
        all.push((Arc::clone(&server.label), now.after(DISTRUST)));
        drop(all);
        tracing::warn!(
            server = %server.label,
            "this server's answers fail validation where another's do not; it is asked last for a while"
        );
    }
}

/// The answer as it is for whoever asked `question`.
fn for_asker(
    answer: &Answer,
    question: &Question,
    judged: &Judged,
    server: Arc<Server>,
) -> Result<(Answer, Arc<Server>), Failure> {
    match answer.checked(question, &judged.authenticity()) {
        Ok(checked) => Ok((checked, server)),
        Err(error) => Err(Failure::Malformed {
            server: Arc::clone(&server.label),
            what: error.to_string(),
        }),
    }
}

fn bogus(fault: &Fault) -> Failure {
    Failure::Bogus {
        code: fault.ede(),
        what: fault.to_string().into(),
    }
}

/// Brings answers for one check.
struct Bearer<'a> {
    checking: &'a Checking,
    shared: &'a Arc<Shared>,
    deadline: Instant,
    shown: Shown,
    /// Which resolvers are asked, as in [`Question::via`].
    via: u8,
    /// Who is not asked again.
    avoided: Option<Arc<Server>>,
}

impl Bearer<'_> {
    /// Asks of `group`, with signatures and without the upstream's validation.
    async fn ask_with_signatures(
        &self,
        group: &Group,
        question: &Question,
    ) -> Result<(Answer, Arc<Server>), Failure> {
        let question = Question {
            dnssec_ok: true,
            checking_disabled: true,
            ..*question
        };
        let budget = self.deadline.saturating_duration_since(Instant::now());
        let (servers, clock) = (self.ranked(group), &self.shared.clock);
        exchange_among(servers, &question, clock, budget, self.shown, None).await
    }

    /// Whom to ask, the first choice first. Who is avoided is replaced by one of the same rank: a
    /// fallback may filter what the others do not, and the other way round.
    fn ranked(&self, group: &Group) -> Vec<Ranked> {
        let mut ranked = group.ranked(self.shared.clock.now());
        if let Some(avoided) = &self.avoided {
            let its = ranked.iter().find(|it| Arc::ptr_eq(&it.server, avoided));
            let tier = its.map_or(0, |it| it.tier);
            ranked.retain(|it| !Arc::ptr_eq(&it.server, avoided) && it.tier == tier);
        }
        let distrusted = &self.checking.distrusted;
        let distrusted = distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        if !distrusted.is_empty() {
            let now = self.shared.clock.now();
            let is_distrusted = |it: &Ranked| {
                let mut all = distrusted.iter();
                all.any(|(label, until)| *label == it.server.label && now < *until)
            };
            // Stable: the order of the others stays.
            ranked.sort_by_key(|it| (it.tier, is_distrusted(it)));
        }
        ranked
    }
}

impl Fetch for Bearer<'_> {
    type Error = Failure;

    async fn fetch(&self, question: Question) -> Result<Answer, Failure> {
        let shared = self.shared;
        // Of those who were asked the question itself.
        let question = Question {
            via: self.via,
            ..question
        };
        let group = shared.group(&question);
        if self.avoided.is_some() {
            let said = self.ask_with_signatures(&group, &question).await;
            return said.map(|(answer, _)| answer);
        }
        if let Some(kept) = shared.kept(&group, &question, shared.clock.now()) {
            return Err(Failure::Recent(Box::new(kept.failure)));
        }
        let table = &self.checking.table;
        let (wait, lead) = table
            .enter_in_turn(&question, NOBODY, self.deadline)
            .await?;
        if let Some(lead) = lead {
            let flight = lead.flight();
            let servers = self.ranked(&group);
            // All of it, and not what is left of ours: others may wait longer, and what failed for want of
            // time would be remembered as a failure of the question. It ends when nobody waits any more.
            let asking = fetch(Arc::clone(shared), servers, question, lead, self.shown);
            let task = tokio::spawn(asking).abort_handle();
            table.is_carried_by(flight, task);
        }
        let outcome = timeout_at(self.deadline, wait.outcome()).await;
        outcome.unwrap_or_else(|_| Err(group.timeout()))
    }
}

/// Asks for keys or a delegation, and tells everybody who waits for them.
async fn fetch(
    shared: Arc<Shared>,
    servers: Vec<Ranked>,
    question: Question,
    lead: Lead,
    shown: Shown,
) {
    let asked = shared.clock.now();
    let budget = shared.budget;
    let outcome = exchange_among(servers, &question, &shared.clock, budget, shown, None)
        .await
        .map(|(answer, _)| answer);
    if let Err(failure) = &outcome {
        shared.keep(&shared.group(&question), &question, failure, asked);
    }
    lead.finish(&outcome);
}
