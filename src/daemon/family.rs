//! What the household said for a while and how much of its quotas is used: kept, written, and told
//! through the control API.
//!
//! What is here is state; what of it holds at this hour goes into every snapshot as its standings,
//! before its first query and at every change, before whoever made the change hears that it is done.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing::{info, warn};

use super::child::check_reveal;
use super::household::Daemon;
use crate::clock::{Clock, Moment, Timestamp};
use crate::config::{Config, Pattern, Subject, SubjectError, nearest};
use crate::control::child::ChildStatus;
use crate::control::family::{
    AccessRequest, By, Family, Grant, GrantChange, GrantRequest, Paused, QuotaUse, RequestChange,
    RequestRequest, Term,
};
use crate::control::{Boxed, ControlError};
use crate::files::Files;
use crate::grants::{
    self, Ask, Asked, GrantError, Grants, RequestError, Said, Scope, What, bounded_words,
    resolve_until, time_of_day,
};
use crate::lists::{ListKind, services};
use crate::policy::is_lifeline;
use crate::quota::{Meters, Quota, Shown};
use crate::resolve::TimeKeeper;
use crate::snapshot::Snapshot;
use crate::standing::{Plan, QuotaState, Standings, quotas_of};
use crate::wall::{KnownTime, Look, Wall};

/// What a restart would forget of a change.
const UNWRITTEN: &str = "it holds, but could not be written: a restart forgets it";

/// What somebody is told who asks for a lifeline.
const ALWAYS_OPEN: &str =
    "it is always open, and nobody sees who goes there: nothing was written down";

/// The family's state of the day.
#[derive(Debug)]
pub(super) struct Families {
    files: Files,
    clock: Clock,
    /// Where the grants are written; none keeps them in memory.
    path: Option<PathBuf>,
    grants: Mutex<Grants>,
    /// Held while the grants are written; the grants themselves are not.
    writing: Mutex<()>,
    /// Whether the grants are to be written with the next minute.
    is_unsaved: AtomicBool,
    /// The configuration that what was said is about.
    about: Mutex<Option<Arc<Config>>>,
    /// How much of each quota is used.
    pub(super) meters: Meters,
    known: Mutex<KnownTime>,
    /// Told when what holds may be different.
    pub(super) changed: Notify,
    /// What was wrong with the files at the start.
    pub(super) troubles: Vec<String>,
}

impl Families {
    /// What the files in `folder` say; without one, nothing is kept.
    pub(super) fn load(files: Files, clock: Clock, folder: Option<PathBuf>) -> Self {
        let path = |file: &str| folder.as_ref().map(|folder| folder.join(file));
        let mut troubles = Vec::new();
        let mut grants = Grants::default();
        if let Some(path) = path(grants::store::FILE) {
            let (read, trouble) = grants::store::load(&files, &path);
            grants = read;
            troubles.extend(trouble.map(|it| it.to_string()));
        }
        let ledger = path(crate::quota::ledger::FILE);
        let (meters, trouble) = Meters::load(files.clone(), ledger);
        troubles.extend(trouble.map(|it| it.to_string()));
        let mut known = KnownTime::load(files.clone(), path(crate::wall::FILE));
        if let Some(signed) = known.signed() {
            clock.recall_signed(signed);
        }
        let _first = look_at(&clock, &mut known);
        Self {
            path: path(grants::store::FILE),
            grants: Mutex::new(grants),
            writing: Mutex::default(),
            is_unsaved: AtomicBool::new(false),
            about: Mutex::default(),
            meters,
            known: Mutex::new(known),
            changed: Notify::new(),
            troubles,
            files,
            clock,
        }
    }

    /// Looks at the clocks; whoever keeps the time hears of a jump.
    pub(super) fn look(&self) -> Look {
        let look = look_at(&self.clock, &mut locked(&self.known)).1;
        if look.is_jump {
            self.changed.notify_one();
        }
        look
    }

    /// Why the household's clock is not believed, if it is not.
    pub(super) fn clock_doubt(&self) -> Option<String> {
        let shown = self.clock.shown();
        if self.clock.is_ahead() {
            return Some(format!(
                "the machine's own clock is ahead: it shows {shown:.0}; what time servers agree on is \
                 used in its place"
            ));
        }
        if self.clock.is_lent() {
            return Some(
                "the machine's own clock shows a time that cannot be, or is behind; what time servers \
                 agree on is used in its place"
                    .to_owned(),
            );
        }
        if let Some(ended) = self.clock.may_be_ahead() {
            return Some(format!(
                "the machine's own clock may be ahead: it shows {shown:.0}, and what was valid until \
                 {ended:.0} is still in use; set it, or name `servers` in `[time]`"
            ));
        }
        locked(&self.known).doubt()
    }

    /// The last time that was surely known, in this run or one before.
    pub(super) fn known_time(&self) -> Option<Timestamp> {
        locked(&self.known).known()
    }

    /// Begins what begins at `wall` of the quotas of `config` and ends what ends.
    fn turn(&self, config: &Config, at: Moment, wall: Wall, grants: &Grants) {
        self.meters.follow(&quotas_of(config));
        let bonus = |quota: &Quota| grants.holding(&quota.profile, None, wall).bonus(&quota.of);
        let periods = |quota: &Quota, at: Timestamp| quota.rhythm.period(at, &config.zone);
        self.meters.turn(at, wall, &periods, bonus);
    }

    /// How the quotas stand.
    pub(super) fn quota_states(&self, at: Moment) -> Vec<QuotaState> {
        let shown = self.meters.shown(at).into_iter();
        let states = shown.filter_map(|shown| {
            let meter = self.meters.meter(&shown.quota.profile, &shown.quota.of)?;
            Some(QuotaState {
                is_spent: shown.left.is_zero(),
                until: shown.period.map(|period| period.end),
                profile: shown.quota.profile,
                of: shown.quota.of,
                meter,
            })
        });
        states.collect()
    }

    /// What holds at `time` as far as is known `now`, in the world of `snapshot`.
    pub(super) fn standings_at(
        &self,
        snapshot: &Snapshot,
        now: Moment,
        time: Timestamp,
    ) -> Arc<Standings> {
        let grants = self.grants().clone();
        let plan = Plan {
            config: &snapshot.config,
            grants: &grants,
            quotas: &self.quota_states(now),
            wall: Wall::Set(time),
            at: now,
        };
        Arc::new(plan.standings(&snapshot.profiles, &snapshot.lists))
    }

    /// When something will be different by itself.
    pub(super) fn next_change(&self, wall: Wall) -> Option<Timestamp> {
        let grants = self.grants().next_change(wall);
        let periods = self.meters.next_change();
        grants.into_iter().chain(periods).min()
    }

    /// What was said and asked for.
    pub(super) fn grants(&self) -> MutexGuard<'_, Grants> {
        locked(&self.grants)
    }

    /// Ends what is over, and writes what changed since the last minute. Waits for the disk.
    pub(super) fn write(&self, is_end: bool) {
        let wall = self.look().wall;
        let is_changed = self.grants().tidy(wall);
        if self.is_unsaved.swap(false, Ordering::Relaxed) || is_changed {
            self.save();
        }
        if let Err(error) = self.meters.write(self.clock.now()) {
            warn!(%error, "what is used of quotas could not be written; the next minute tries again");
        }
        // A lent time is nobody's who set a clock, and one that may be ahead is not to be believed later.
        let is_own = !self.clock.is_lent() && self.clock.may_be_ahead().is_none();
        let signed = self.clock.signed();
        let time = is_own.then(|| locked(&self.known).to_remember(is_end, signed));
        let time = time.flatten();
        if let Some(Err(error)) = time.map(|time| time.write()) {
            warn!(%error, "the time could not be written");
        }
    }

    /// Has the grants written with the next minute.
    pub(super) fn save_soon(&self) {
        self.is_unsaved.store(true, Ordering::Relaxed);
    }

    /// Notes that what was said is about `config` now, where it was about another.
    fn be_about(&self, config: &Arc<Config>) {
        let before = locked(&self.about).replace(Arc::clone(config));
        if before.as_ref().is_none_or(|it| !Arc::ptr_eq(it, config)) {
            self.rename(before.as_deref(), config);
        }
    }

    /// Writes the grants; says whether a restart would know them.
    fn save(&self) -> bool {
        let Some(path) = &self.path else {
            return false;
        };
        let _one_at_a_time = locked(&self.writing);
        let grants = self.grants().clone();
        let saved = grants::store::save(&grants, &self.files, path);
        saved
            .inspect_err(|error| warn!(%error, "grants could not be written"))
            .is_ok()
    }
}

impl TimeKeeper for Families {
    fn standings(&self, snapshot: &Snapshot) -> Standings {
        let (at, look) = look_at(&self.clock, &mut locked(&self.known));
        let wall = look.wall;
        self.be_about(&snapshot.config);
        let grants = self.grants().clone();
        self.turn(&snapshot.config, at, wall, &grants);
        let plan = Plan {
            config: &snapshot.config,
            grants: &grants,
            quotas: &self.quota_states(at),
            wall,
            at,
        };
        plan.standings(&snapshot.profiles, &snapshot.lists)
    }
}

/// When a time in words is: `21:30`, `tomorrow`, or the next beginning of the schedule of that name.
fn named_time(word: &str, now: Timestamp, config: &Config) -> Result<Timestamp, String> {
    let schedule = config.schedules.iter().find(|it| it.name == word);
    if let Some(schedule) = schedule {
        let span = schedule.times.span(now, &config.zone);
        let after = match (span.holds, span.until) {
            (true, Some(end)) => schedule.times.span(end, &config.zone).until,
            (false, begin) => begin,
            (true, None) => None,
        };
        return after.ok_or_else(|| format!("`{word}` does not begin any more"));
    }
    let text = || format!("`{}` is neither a time nor a schedule", word.escape_debug());
    time_of_day(word, now, &config.zone).ok_or_else(text)
}

/// Whether a lifeline is meant.
fn is_always_open(subject: &Subject, snapshot: &Snapshot) -> bool {
    let Subject::Name(rule) = subject else {
        return false;
    };
    match &rule.pattern {
        Pattern::Subtree(name) | Pattern::Exact(name) | Pattern::Below(name) => {
            is_lifeline(name.as_ref(), &snapshot.lists)
        }
        Pattern::Glob(_) => false,
    }
}

/// Whether there is a service that is called so.
fn is_service(id: &str) -> bool {
    services::find(id).is_some()
}

/// One side of a change: the world it is about, and who makes it.
struct Change<'a> {
    snapshot: &'a Snapshot,
    wall: Wall,
    by: String,
}

impl Change<'_> {
    fn until(&self, term: &Term) -> Result<Timestamp, ControlError> {
        let Some(now) = self.wall.time() else {
            return Err(refused(GrantError::ClockUnset));
        };
        let named = |word: &str| named_time(word, now, &self.snapshot.config);
        resolve_until(term.time, term.until.as_deref(), now, named).map_err(|error| {
            let help = "write it as in `--for 30m`, `--until 21:30` or `--until tomorrow`";
            ControlError::bad_request(error, help)
        })
    }

    fn subject(&self, word: &str) -> Result<Subject, ControlError> {
        let lists = &self.snapshot.lists;
        let is_category = |id: &str| {
            let mut blocking = lists.lists().map(|(_, list)| list);
            blocking.any(|list| list.kind == ListKind::Block && list.category == id)
        };
        Subject::parse(word, is_category, is_service).map_err(|error| {
            let text = format!("`{}`: {error}", word.escape_debug());
            match error {
                SubjectError::Unknown => {
                    let categories = lists.lists().map(|(_, list)| list.category);
                    let all = categories.chain(services::all().map(|service| service.id));
                    let help = match nearest(word, all) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "`hedgerow service list` shows all services".to_owned(),
                    };
                    ControlError::not_found(text, &help)
                }
                SubjectError::Name(_) => ControlError::bad_request(text, ""),
            }
        })
    }

    /// Whether there is whom `scope` means.
    fn check(&self, scope: &Scope) -> Result<(), ControlError> {
        let config = &self.snapshot.config;
        let (what, name, is_there) = match scope {
            Scope::Everybody => return Ok(()),
            Scope::Profile(name) => {
                let mut profiles = config.profiles.iter();
                ("profile", name, profiles.any(|it| it.name == *name))
            }
            Scope::Device(name) => {
                let mut devices = config.devices.iter();
                ("device", name, devices.any(|it| it.name == *name))
            }
        };
        if is_there {
            return Ok(());
        }
        Err(ControlError::not_found(
            format!("there is no {what} `{}`", name.escape_debug()),
            format!("`hedgerow {what} list` shows those there are"),
        ))
    }
}

fn refused(error: GrantError) -> ControlError {
    let text = error.to_string();
    match error {
        GrantError::ClockUnset | GrantError::TooMany => ControlError::unavailable(text, ""),
        GrantError::Unknown { .. } => {
            ControlError::not_found(text, "`hedgerow grants list --all` shows those there are")
        }
        GrantError::Over { .. }
        | GrantError::TooLong { .. }
        | GrantError::Minutes { .. }
        | GrantError::NoReason
        | GrantError::RevealTime { .. }
        | GrantError::IsReveal { .. }
        | GrantError::NoReveal { .. }
        | GrantError::Ended { .. } => ControlError::bad_request(text, ""),
    }
}

fn not_asked(error: RequestError) -> ControlError {
    let text = error.to_string();
    match error {
        RequestError::Grant(error) => refused(error),
        RequestError::ClockUnset
        | RequestError::Waiting
        | RequestError::Today
        | RequestError::Full => ControlError::unavailable(text, ""),
        RequestError::Unknown { .. } => {
            let help = "`hedgerow requests list --all` shows those there are";
            ControlError::not_found(text, help)
        }
        RequestError::Answered { .. } => ControlError::bad_request(text, ""),
    }
}

/// Who asks for a change, as it is remembered: the account the kernel tells, which nobody can make
/// up, behind the name that was given.
fn who(by: &By) -> String {
    let account = by.uid.map(|uid| {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
        let name = user.ok().flatten().map(|user| user.name);
        name.unwrap_or_else(|| format!("uid {uid}"))
    });
    match (&by.name, account) {
        (Some(name), Some(account)) if *name != account => {
            // However long the name is, the account stands behind it.
            let room = grants::MAX_BY.saturating_sub(account.len() + " ()".len());
            format!("{} ({account})", bounded_words(name, room))
        }
        (Some(name), _) => name.clone(),
        (None, Some(account)) => account,
        (None, None) => "somebody".to_owned(),
    }
}

impl Daemon {
    fn change(&self, request: GrantRequest, by: &By) -> Result<GrantChange, ControlError> {
        let snapshot = self.resolver.snapshot();
        let families = &self.families;
        let change = Change {
            snapshot: &snapshot,
            wall: families.look().wall,
            by: who(by),
        };
        let (ids, done) = match request {
            GrantRequest::Undo { id, reveal } => {
                let mut grants = families.grants();
                let undone = match reveal {
                    true => grants.end_reveal(id, &change.by, change.wall),
                    false => grants.undo(id, &change.by, change.wall),
                };
                (vec![undone.map_err(refused)?.id], "undone")
            }
            saying => {
                let said = self.understand(saying, &change)?;
                let mut grants = families.grants();
                // All of it or nothing.
                let mut with = grants.clone();
                let added = said.into_iter().map(|said| with.add(said, change.wall));
                let added: Result<Vec<u32>, _> = added.collect();
                let added = added.map_err(refused)?;
                *grants = with;
                (added, "added")
            }
        };
        self.resolver.renew_standings();
        self.renew_reveals(change.wall);
        let is_written = families.save();
        let grants = families.grants();
        let found = ids.iter().filter_map(|id| grants.grant(*id));
        let mut changed: Vec<Grant> = found.map(|it| Grant::of(it, change.wall)).collect();
        drop(grants);
        families.changed.notify_one();
        for grant in &changed {
            info!(
                id = grant.id,
                kind = grant.kind,
                by = grant.by,
                done,
                "grant"
            );
        }
        let mut changed = changed.drain(..);
        let grant = changed.next().unwrap_or_default();
        let mut notes = unwritten(is_written);
        notes.extend(changed.map(|it| also(&it)));
        Ok(GrantChange {
            done: done.to_owned(),
            grant,
            notes,
        })
    }

    fn understand(
        &self,
        saying: GrantRequest,
        change: &Change<'_>,
    ) -> Result<Vec<Said>, ControlError> {
        let (what, scope, until, why) = match saying {
            GrantRequest::Allow {
                subject,
                scope,
                term,
                why,
            } => {
                let what = What::Allow(change.subject(&subject)?);
                (what, scope, change.until(&term)?, why)
            }
            GrantRequest::Pause {
                what,
                scope,
                term,
                why,
            } => {
                let what = match what {
                    Paused::Internet => What::PauseInternet,
                    Paused::Filter => What::PauseFilter,
                };
                (what, scope, change.until(&term)?, why)
            }
            GrantRequest::Bonus {
                profile,
                quota,
                minutes,
                why,
            } => {
                let scope = Scope::Profile(profile.clone());
                change.check(&scope)?;
                let ends = self.ends_of(&profile, quota.as_deref())?.into_iter();
                let each = ends.map(|(of, until)| Said {
                    what: What::Bonus {
                        minutes,
                        of: Some(of),
                    },
                    scope: scope.clone(),
                    until,
                    by: change.by.clone(),
                    why: why.clone(),
                });
                return Ok(each.collect());
            }
            GrantRequest::Reveal { profile, term, why } => {
                let scope = Scope::Profile(profile.clone());
                change.check(&scope)?;
                let mut profiles = change.snapshot.config.profiles.iter();
                check_reveal(profiles.find(|it| it.name == profile))?;
                (What::Reveal, scope, change.until(&term)?, why)
            }
            GrantRequest::Undo { id, .. } => return Err(refused(GrantError::Unknown { id })),
        };
        change.check(&scope)?;
        Ok(vec![Said {
            what,
            scope,
            until,
            by: change.by.clone(),
            why,
        }])
    }

    /// The quotas that are meant, by name, and when the running day or week of each ends.
    fn ends_of(
        &self,
        profile: &str,
        quota: Option<&str>,
    ) -> Result<Vec<(String, Timestamp)>, ControlError> {
        let shown = self.families.meters.shown(self.clock.now());
        let of_profile = shown.iter().filter(|it| it.quota.profile == profile);
        let meant: Vec<_> = of_profile
            .filter(|it| quota.is_none_or(|word| it.quota.is_called(word)))
            .collect();
        // `games` is the day's where there is a week's too that is called `games per week`.
        let is_named = |it: &&&Shown| quota == Some(it.quota.of.as_str());
        let named = meant.iter().find(is_named).map(|it| vec![*it]);
        let meant = named.unwrap_or(meant);
        if meant.is_empty() {
            let profile = profile.escape_debug();
            let error = match quota {
                Some(quota) => format!("`{profile}` has no quota `{}`", quota.escape_debug()),
                None => format!("`{profile}` has no quota"),
            };
            let help = "`hedgerow quota show` shows those there are";
            return Err(ControlError::not_found(error, help));
        }
        let ends = meant
            .iter()
            .map(|it| Some((it.quota.of.clone(), it.period?.end)));
        let ends: Option<Vec<_>> = ends.collect();
        ends.ok_or_else(|| refused(GrantError::ClockUnset))
    }

    fn hear(&self, request: RequestRequest, by: &By) -> Result<RequestChange, ControlError> {
        let snapshot = self.resolver.snapshot();
        let families = &self.families;
        let change = Change {
            snapshot: &snapshot,
            wall: families.look().wall,
            by: who(by),
        };
        let wall = change.wall;
        let (id, done) = match request {
            RequestRequest::Ask {
                subject,
                device,
                why,
            } => {
                change.check(&Scope::Device(device.clone()))?;
                let config = &snapshot.config;
                let known = config.devices.iter().find(|it| it.name == device);
                let profile = known.and_then(|it| config.profiles.get(it.profile));
                let subject = change.subject(&subject)?;
                if is_always_open(&subject, &snapshot) {
                    return Ok(RequestChange {
                        done: "open".to_owned(),
                        notes: vec![ALWAYS_OPEN.to_owned()],
                        ..RequestChange::default()
                    });
                }
                let ask = Ask {
                    profile: profile.map(|it| it.name.clone()).unwrap_or_default(),
                    device,
                    subject,
                    why,
                };
                match families.grants().ask(ask, wall).map_err(not_asked)? {
                    Asked::New(id) => (id, "asked"),
                    Asked::Again(id) => (id, "counted"),
                }
            }
            RequestRequest::Grant { id, term, word } => {
                let until = change.until(&term)?;
                let mut grants = families.grants();
                let granted = grants.grant_request(id, until, &change.by, &word, wall);
                granted.map_err(not_asked)?;
                (id, "granted")
            }
            RequestRequest::Deny { id, word } => {
                let mut grants = families.grants();
                let denied = grants.deny_request(id, &change.by, &word, wall);
                denied.map_err(not_asked)?;
                (id, "denied")
            }
        };
        if done == "granted" {
            self.resolver.renew_standings();
        }
        // One that is only counted is not worth a write to flash.
        let is_written = done == "counted" || families.save();
        let grants = families.grants();
        let mut all = grants.requests().iter();
        let found = all.find(|it| it.id == id).map(AccessRequest::from);
        let request = found.unwrap_or_default();
        let grant = request.grant.and_then(|id| grants.grant(id));
        let grant = grant.map(|it| Grant::of(it, wall));
        drop(grants);
        families.changed.notify_one();
        info!(id, done, device = request.device, "request for access");
        Ok(RequestChange {
            done: done.to_owned(),
            request,
            grant,
            notes: unwritten(is_written),
        })
    }
}

/// What is told of a grant that was made beside the first.
fn also(grant: &Grant) -> String {
    let quota = grant.quota.as_deref().unwrap_or_default();
    format!(
        "number {} gives the same for {quota}, until {}",
        grant.id, grant.until
    )
}

fn unwritten(is_written: bool) -> Vec<String> {
    let note = (!is_written).then(|| UNWRITTEN.to_owned());
    note.into_iter().collect()
}

impl Family for Arc<Daemon> {
    fn grants(&self, all: bool) -> Vec<Grant> {
        let wall = self.families.look().wall;
        let grants = self.families.grants();
        let texts = grants.grants().iter().map(|grant| Grant::of(grant, wall));
        texts.filter(|grant| all || !grant.is_over()).collect()
    }

    fn change_grants(
        &self,
        request: GrantRequest,
        by: By,
    ) -> Boxed<'_, Result<GrantChange, ControlError>> {
        let daemon = Self::clone(self);
        in_background(move || daemon.change(request, &by))
    }

    fn requests(&self, all: bool) -> Vec<AccessRequest> {
        let grants = self.families.grants();
        let wanted = grants.requests().iter().filter(|it| all || it.waits());
        wanted.map(AccessRequest::from).collect()
    }

    fn change_requests(
        &self,
        request: RequestRequest,
        by: By,
    ) -> Boxed<'_, Result<RequestChange, ControlError>> {
        let daemon = Self::clone(self);
        in_background(move || daemon.hear(request, &by))
    }

    fn quotas(&self) -> Vec<QuotaUse> {
        let shown = self.families.meters.shown(self.clock.now());
        shown.iter().map(QuotaUse::from).collect()
    }

    fn child(&self, device: &str) -> Result<ChildStatus, ControlError> {
        self.child_status(device)
    }
}

/// A change waits for the disk; the thread that serves the door does not.
fn in_background<T: Send + 'static>(
    change: impl FnOnce() -> Result<T, ControlError> + Send + 'static,
) -> Boxed<'static, Result<T, ControlError>> {
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(change).await;
        done.unwrap_or_else(|error| {
            let text = format!("the change broke off: {error}");
            Err(ControlError::unavailable(text, ""))
        })
    })
}

/// Looks at the clocks, and tells `clock` what that says of it. Whether the machine's own is believed
/// rests on what it shows itself, never on what is lent.
fn look_at(clock: &Clock, known: &mut KnownTime) -> (Moment, Look) {
    let (at, shown) = (clock.now(), clock.shown());
    let mut look = known.look(at, shown);
    if look.is_jump {
        clock.note_jump();
    }
    clock.confirm(known.standing());
    if let (Wall::Unset, Some(then)) = (look.wall, known.known()) {
        clock.doubt(then);
    }
    if clock.is_lent() {
        look.wall = Wall::Set(clock.wall());
    }
    (at, look)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualTime;
    use crate::files::MemoryFiles;

    /// Whoever keeps the time looks at the clocks while the disk hangs.
    #[test]
    fn a_disk_that_hangs_holds_up_no_look_at_the_clock() {
        let memory = MemoryFiles::new();
        let time = ManualTime::starting_at("2026-12-01T12:00:00Z".parse().unwrap());
        let families = Families::load(memory.files(), time.clock(), Some("/state".into()));
        time.advance(std::time::Duration::from_secs(3601));
        let _steady = families.look();
        let hanging = memory.hang();
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| families.write(false));
            while memory.waiting() == 0 {
                std::thread::yield_now();
            }
            // With the lock held this would never come back.
            assert_ne!(families.look().wall, Wall::Unset);
            assert_eq!(families.clock_doubt(), None);
            assert!(!writing.is_finished());
            drop(hanging);
            writing.join().unwrap();
        });
        let seen = std::path::Path::new("/state").join(crate::wall::FILE);
        assert!(memory.paths().contains(&seen));
    }
}
