//! What holds for each profile at this hour: schedules, quotas, grants and pauses, compiled so that
//! a query compares bits.
//!
//! A [`Profile`] is what is so at any hour. Who knows the time (schedules), what was used (quotas)
//! and what somebody allowed or stopped for a while (grants, pauses) says so in a [`StandingInput`];
//! of these and the profile a [`Standing`] is made, which holds for one span of time. The spans of
//! the next hours of all profiles are [`Standings`]; they hang in the snapshot, and a query picks
//! its span by comparing moments. Nothing here asks a clock.

mod names;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Moment, Timestamp};
use crate::config::Subject;
use crate::intern::intern;
use crate::lists::{Index, ListId, ListKind};
use crate::name::NameRef;
use crate::profile::{ListSet, Profile, ServiceSet};
use crate::quota;
use crate::verdict::{Cause, Tier};

use names::Names;
pub use plan::{Plan, QuotaState, quotas_of};

/// How long a client may keep an answer for a name whose time is counted, in seconds.
pub const METERED_TTL: u32 = 60;

/// Closings, and meters, that can be told apart in one span; no profile has more of both.
const MAX_MARKS: usize = crate::config::MAX_TIMES;

/// The category of the lists of names that devices ask for by themselves.
const BACKGROUND: &str = "background";

/// Categories that a pause of the filter leaves closed where the profile closes ways round it.
const WAYS_ROUND: [&str; 3] = ["encrypted-dns", "proxy", "vpn"];

/// What was said to hold for one profile in one span of time.
#[derive(Clone, Debug, Default)]
pub struct StandingInput {
    /// What schedules and quotas close.
    pub closings: Vec<Closing>,
    /// What somebody allowed for a while; the caller leaves out those that have expired.
    pub grants: Vec<Grant>,
    /// The internet is paused.
    pub internet_pause: Option<Pause>,
    /// The filter is paused.
    pub filter_pause: Option<Pause>,
    /// Names whose time is counted.
    pub meters: Vec<Meter>,
    /// When the span began, as far as anybody knows.
    pub since: Option<Timestamp>,
    /// When something changes next.
    pub until: Option<Timestamp>,
    /// The same on the monotonic clock, which decides; none is never.
    pub ends: Option<Moment>,
}

/// Something a schedule or a quota closes.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// Which.
    pub by: Closer,
    /// What is closed.
    pub close: Vec<Subject>,
    /// What stays open in it.
    pub open: Vec<Subject>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// Who closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The schedule of this name.
    Schedule(String),
    /// The quota of these subjects, as written: its time is used up.
    Quota(String),
}

/// Something allowed for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// What.
    pub subject: Subject,
    /// Its place in the order of grants and pauses: a pause of the internet holds against grants
    /// made before it.
    pub made: u64,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A pause of the internet or of the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who said so, in a word for people.
    pub by: String,
    /// Its place in the order of grants and pauses.
    pub made: u64,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// Names whose time is counted.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// What is counted together.
    pub of: Vec<Subject>,
    /// The first moment at which its time could be used up, if somebody went on from now and no
    /// `count` tells it.
    pub used_up_at: Option<Moment>,
    /// What counts it.
    pub count: Option<Count>,
}

/// What counts the time of a [`Meter`].
#[derive(Clone, Debug)]
pub struct Count {
    /// Shared by all devices of a profile.
    pub meter: Arc<quota::Meter>,
    /// Whether the span was made for a time in which it is used up.
    pub is_spent: bool,
}

/// What holds for one profile in one span of time.
#[derive(Debug, Default)]
pub struct Standing {
    /// Lists whose names the profile blocks, services among them.
    pub blocks: ListSet,
    /// Whether allow-only, safe search and the video service's restriction are off.
    pub filter_paused: bool,
    closings: Box<[Closed]>,
    names: Box<[GrantedName]>,
    /// Services that were granted.
    services: ServiceSet,
    /// Lists of categories that were granted.
    categories: ListSet,
    pause: Option<Paused>,
    meters: Box<[Metered]>,
    /// Lists of names that use up no quota.
    background: ListSet,
    /// What is told of each cause.
    times: Box<[(Cause, Times)]>,
    /// When this span began.
    pub since: Option<Timestamp>,
    /// When it ends.
    pub until: Option<Timestamp>,
    /// The same on the monotonic clock; none is never.
    pub ends: Option<Moment>,
}

/// From when to when something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// One subject of a closing.
#[derive(Debug)]
struct Closed {
    cause: Cause,
    /// None is everything.
    what: Option<Names>,
    open: Arc<Names>,
}

#[derive(Debug)]
struct GrantedName {
    cause: Cause,
    pattern: crate::config::Pattern,
}

#[derive(Debug)]
struct Paused {
    cause: Cause,
    /// What was granted after it was paused.
    open: Names,
    /// Whether that is everything.
    lifted: bool,
}

#[derive(Debug)]
struct Metered {
    everything: bool,
    of: Names,
    used_up_at: Option<Moment>,
    count: Option<Count>,
}

/// What a name has to do with a [`Standing`], collected while the lists are asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    closed: u64,
    left_open: u64,
    metered: u64,
    /// With how exactly its list names the name.
    granted_service: Option<(&'static str, u16)>,
    in_granted_category: bool,
    open_in_pause: bool,
    in_background: bool,
}

impl Marks {
    /// Whether the name is of a category that was granted.
    pub const fn is_granted(&self) -> bool {
        self.in_granted_category
    }

    /// The meters whose names it is among, a bit each in the order of [`StandingInput::meters`];
    /// none where devices ask for the name by themselves.
    pub const fn meters(&self) -> u64 {
        if self.in_background { 0 } else { self.metered }
    }
}

impl Standing {
    /// What holds for `profile` when nothing but its own settings does.
    pub fn plain(profile: &Profile) -> Self {
        Self {
            blocks: profile.blocks.clone(),
            ..Self::default()
        }
    }

    /// What holds for `profile` while `input` does.
    pub fn compile(input: &StandingInput, profile: &Profile, lists: &Index) -> Self {
        let subjects = |wanted: fn(&Subject) -> bool| {
            let grants = input.grants.iter().map(|grant| &grant.subject);
            grants.filter(move |subject| wanted(subject)).cloned()
        };
        let categories: Vec<Subject> = subjects(|it| matches!(it, Subject::Category(_))).collect();
        let categories = Names::new(&categories, lists).into_lists();
        let lifts_closings = subjects(|it| *it == Subject::Everything).next().is_some();
        let services: Vec<String> = subjects(|it| matches!(it, Subject::Service(_)))
            .map(|subject| subject.to_string())
            .collect();
        let blocks = match &input.filter_pause {
            None => profile.blocks.clone(),
            Some(_) => ListSet::of(lists, |list| {
                let closes_a_way_round =
                    profile.close_bypass && WAYS_ROUND.contains(&list.category);
                list.tier == Tier::Security || closes_a_way_round
            })
            .intersection(&profile.blocks),
        };
        let mut times = Vec::new();
        let closings = match lifts_closings {
            true => Vec::new(),
            false => closings(&input.closings, &categories, lists, &mut times),
        };
        let mut names = Vec::new();
        for grant in &input.grants {
            let cause = Cause::Grant {
                of: intern(&grant.subject.to_string()),
                is_service: matches!(grant.subject, Subject::Service(_)),
            };
            if let Some(pattern) = grant.subject.pattern().cloned() {
                names.push(GrantedName { cause, pattern });
            }
            let (since, until) = (grant.since, grant.until);
            times.push((cause, Times { since, until }));
        }
        let pause = input.internet_pause.as_ref().map(|pause| {
            let cause = Cause::Pause {
                by: intern(&pause.by),
            };
            let (since, until) = (pause.since, pause.until);
            times.push((cause, Times { since, until }));
            let later = input.grants.iter().filter(|grant| grant.made > pause.made);
            let later: Vec<Subject> = later.map(|grant| grant.subject.clone()).collect();
            Paused {
                cause,
                lifted: later.contains(&Subject::Everything),
                open: Names::new(&later, lists),
            }
        });
        let metered = input.meters.iter().take(MAX_MARKS).map(|meter| Metered {
            everything: meter.of.contains(&Subject::Everything),
            of: Names::new(&meter.of, lists),
            used_up_at: meter.used_up_at,
            count: meter.count.clone(),
        });
        let background = match input.meters.is_empty() {
            true => ListSet::default(),
            false => ListSet::of(lists, |list| {
                list.kind == ListKind::Allow && list.category == BACKGROUND
            }),
        };
        Self {
            blocks: blocks.without(&categories),
            filter_paused: input.filter_pause.is_some(),
            closings: closings.into(),
            names: names.into(),
            services: ServiceSet::new(&services, lists),
            categories,
            pause,
            meters: metered.collect(),
            background,
            times: times.into(),
            since: input.since,
            until: input.until,
            ends: input.ends,
        }
    }

    /// Whether nothing speaks here but the profile itself.
    pub fn is_plain(&self) -> bool {
        self.closings.is_empty()
            && self.names.is_empty()
            && self.services.is_empty()
            && self.categories.is_empty()
            && self.pause.is_none()
            && self.meters.is_empty()
    }

    /// Whether a list of this kind that holds a name makes a difference here.
    pub(crate) fn is_marked_by(&self, list: ListId, kind: ListKind) -> bool {
        can_be_closed(kind) || self.background.contains(list)
    }

    /// Notes that a list holds the name, and how exactly (see [`crate::policy::Voice::precision`]).
    pub fn mark_list(&self, list: ListId, precision: u16, marks: &mut Marks) {
        for (place, closed) in self.closings.iter().enumerate() {
            let holds = closed.what.as_ref().is_some_and(|it| it.has_list(list));
            marks.closed |= u64::from(holds) << place;
            marks.left_open |= u64::from(closed.open.has_list(list)) << place;
        }
        for (place, meter) in self.meters.iter().enumerate() {
            marks.metered |= u64::from(meter.of.has_list(list)) << place;
        }
        marks.in_granted_category |= self.categories.contains(list);
        marks.in_background |= self.background.contains(list);
        if self.services.contains(list) {
            let found = self.services.first_with(list);
            let found = found.map(|service| (service, precision));
            let is_less = |(_, other): &(&str, u16)| *other < precision;
            if marks.granted_service.as_ref().is_none_or(is_less) {
                marks.granted_service = found;
            }
        }
        if let Some(pause) = &self.pause {
            marks.open_in_pause |= pause.open.has_list(list);
        }
    }

    /// Notes what is said of the name itself.
    pub fn mark_name(&self, name: NameRef<'_>, marks: &mut Marks) {
        for (place, closed) in self.closings.iter().enumerate() {
            let holds = closed.what.as_ref().is_none_or(|it| it.has_name(name));
            marks.closed |= u64::from(holds) << place;
            marks.left_open |= u64::from(closed.open.may_open(name)) << place;
        }
        for (place, meter) in self.meters.iter().enumerate() {
            let counts = meter.everything || meter.of.has_name(name);
            marks.metered |= u64::from(counts) << place;
        }
        let sharing = || Some((self.services.sharing(name)?, 1));
        marks.granted_service = marks.granted_service.or_else(sharing);
        if let Some(pause) = &self.pause {
            marks.open_in_pause |= pause.lifted || pause.open.may_open(name);
        }
    }

    /// What closes a name with these marks, each with whether it closes everything.
    pub fn closings(&self, marks: &Marks) -> impl Iterator<Item = (Cause, bool)> {
        let (closing, is_granted) = (marks.closed & !marks.left_open, marks.in_granted_category);
        self.closings
            .iter()
            .enumerate()
            .filter(move |(place, closed)| {
                let is_everything = closed.what.is_none();
                closing >> place & 1 == 1 && !(is_everything && is_granted)
            })
            .map(|(_, closed)| (closed.cause, closed.what.is_none()))
    }

    /// Whether closings or a pause may concern names that no list and no rule knows.
    pub fn may_close_everything(&self) -> bool {
        self.pause.is_some() || self.closings.iter().any(|closed| closed.what.is_none())
    }

    /// The pause of the internet, unless what was granted later opens a name with these marks.
    pub fn pause(&self, marks: &Marks) -> Option<Cause> {
        let pause = self.pause.as_ref().filter(|_| !marks.open_in_pause);
        pause.map(|pause| pause.cause)
    }

    /// The grants of names that hold `name`, each with how many of its labels it means.
    pub fn granted_names(&self, name: NameRef<'_>) -> impl Iterator<Item = (Cause, u8, bool)> {
        self.names.iter().filter_map(move |grant| {
            let labels = grant.pattern.labels_of(name)?;
            let is_exact = matches!(grant.pattern, crate::config::Pattern::Exact(_));
            Some((grant.cause, labels, is_exact))
        })
    }

    /// The grant of a service that a name with these marks belongs to, and how exactly the service
    /// names it.
    pub fn granted_service(&self, marks: &Marks) -> Option<(Cause, u16)> {
        let (of, precision) = marks.granted_service?;
        let cause = Cause::Grant {
            of,
            is_service: true,
        };
        Some((cause, precision))
    }

    /// How long a client may keep what it is told at `at`, in seconds: not longer than this holds.
    pub fn ttl_ceiling(&self, at: Moment) -> u32 {
        self.ends.map_or(u32::MAX, |ends| seconds(ends.since(at)))
    }

    /// The same for a name with these marks, whose time may be counted.
    pub fn metered_ceiling(&self, marks: &Marks, at: Moment) -> u32 {
        let ceilings = self.metered(marks).map(|meter| {
            let left = match &meter.count {
                Some(count) if !count.is_spent => Some(count.meter.left(at)),
                Some(_) => None,
                None => meter.used_up_at.map(|end| end.since(at)),
            };
            left.map_or(METERED_TTL, seconds).min(METERED_TTL)
        });
        ceilings.min().unwrap_or(u32::MAX)
    }

    /// Counts that a name with these marks was asked for and let through.
    pub fn touch(&self, marks: &Marks, at: Moment) {
        for meter in self.metered(marks) {
            if let Some(count) = &meter.count {
                count.meter.touch(at);
            }
        }
    }

    /// The meters a name with these marks is among.
    fn metered(&self, marks: &Marks) -> impl Iterator<Item = &Metered> {
        let meters = marks.meters();
        let all = self.meters.iter().enumerate();
        all.filter(move |(place, _)| meters >> place & 1 == 1)
            .map(|(_, meter)| meter)
    }

    /// Whether a quota is used up that was not when this was made, or the other way round.
    fn is_outdated(&self, at: Moment) -> bool {
        let mut counts = self.meters.iter().filter_map(|it| it.count.as_ref());
        counts.any(|count| count.meter.is_spent(at) != count.is_spent)
    }

    /// Whether the time of any name is counted.
    pub fn has_meters(&self) -> bool {
        !self.meters.is_empty()
    }

    /// From when to when what `cause` says holds, if it is for a while.
    pub fn times_of(&self, cause: &Cause) -> Option<Times> {
        let mut times = self.times.iter();
        times.find_map(|(known, times)| (known == cause).then_some(*times))
    }
}

/// Closings subject by subject, so that each can say what it is about; where those are too many,
/// closing by closing.
fn closings(
    inputs: &[Closing],
    granted: &ListSet,
    lists: &Index,
    times: &mut Vec<(Cause, Times)>,
) -> Vec<Closed> {
    let mut all: Vec<Closed> = Vec::new();
    let subjects: usize = inputs.iter().map(|input| input.close.len()).sum();
    for input in inputs {
        let open = Arc::new(Names::new(&input.open, lists));
        let together = match subjects > MAX_MARKS {
            true => input.close.len().max(1),
            false => 1,
        };
        for close in input.close.chunks(together) {
            let of = match close {
                [subject] => intern(&subject.to_string()),
                [first, others @ ..] => intern(&format!("{first} and {} more", others.len())),
                [] => continue,
            };
            let cause = match &input.by {
                Closer::Schedule(name) => Cause::Schedule {
                    schedule: intern(name),
                    of,
                },
                Closer::Quota(name) => Cause::Quota {
                    quota: intern(name),
                    of,
                },
            };
            let (since, until) = (input.since, input.until);
            times.push((cause, Times { since, until }));
            let what = match close.contains(&Subject::Everything) {
                true => None,
                false => Some(Names::new(close, lists).without(granted)),
            };
            // The configuration has no more; if it had, closed would be closed, whatever this one
            // would leave open.
            if all.len() == MAX_MARKS {
                let last = &mut all[MAX_MARKS - 1];
                last.open = Arc::default();
                last.what = match (last.what.take(), what) {
                    (Some(one), Some(other)) => Some(one.and(other)),
                    _ => None,
                };
                continue;
            }
            let open = Arc::clone(&open);
            all.push(Closed { cause, what, open });
        }
    }
    all
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// What holds for every profile, now and for some time.
#[derive(Debug, Default)]
pub struct Standings {
    /// For each profile its spans, one behind the other.
    profiles: Box<[Box<[Standing]>]>,
    /// The same for single devices of which something was said that was not said of their profiles,
    /// by index.
    devices: Box<[(u16, Box<[Standing]>)]>,
}

impl Standings {
    /// Where nothing but the profiles' own settings holds, for ever.
    pub fn plain(profiles: &[Profile]) -> Self {
        let one = |profile| Box::from([Standing::plain(profile)]);
        Self {
            profiles: profiles.iter().map(one).collect(),
            devices: Box::default(),
        }
    }

    /// For each of `profiles` the spans that `inputs` say, one behind the other; where they say
    /// none, the profile's own settings hold.
    pub fn compile(profiles: &[Profile], inputs: &[Vec<StandingInput>], lists: &Index) -> Self {
        let spans = |(place, profile): (usize, &Profile)| {
            compile_spans(profile, inputs.get(place).map_or(&[], Vec::as_slice), lists)
        };
        Self {
            profiles: profiles.iter().enumerate().map(spans).collect(),
            devices: Box::default(),
        }
    }

    /// The same with single devices, each by its index with its profile and what holds for it.
    #[must_use]
    pub fn with_devices<'p>(
        self,
        devices: impl Iterator<Item = (u16, &'p Profile, Vec<StandingInput>)>,
        lists: &Index,
    ) -> Self {
        let spans = |(index, profile, inputs): (u16, &Profile, Vec<StandingInput>)| {
            (index, compile_spans(profile, &inputs, lists))
        };
        let mut devices: Vec<_> = devices.map(spans).collect();
        devices.sort_unstable_by_key(|(index, _)| *index);
        Self {
            devices: devices.into(),
            ..self
        }
    }

    /// What holds at `at` for the profile, or for the device where something was said of it alone;
    /// past the last span, that one, so that a late renewal opens nothing.
    ///
    /// # Panics
    /// When these are not the standings of the profile's snapshot.
    pub fn at(&self, profile: u16, device: Option<u16>, at: Moment) -> &Standing {
        let spans = device
            .and_then(|device| self.of_device(device))
            .unwrap_or_else(|| &self.profiles[usize::from(profile)]);
        span_at(spans, at)
    }

    fn of_device(&self, device: u16) -> Option<&[Standing]> {
        let known = self
            .devices
            .binary_search_by_key(&device, |(index, _)| *index);
        known.ok().map(|place| &*self.devices[place].1)
    }

    /// All rows of spans.
    fn rows(&self) -> impl Iterator<Item = &[Standing]> {
        let devices = self.devices.iter().map(|(_, spans)| &**spans);
        self.profiles.iter().map(|spans| &**spans).chain(devices)
    }

    /// Whether something is different from what was foreseen: a quota was used up.
    pub fn are_outdated(&self, at: Moment) -> bool {
        self.rows().any(|spans| span_at(spans, at).is_outdated(at))
    }

    /// The spans of a profile, one behind the other.
    pub fn spans(&self, profile: u16) -> &[Standing] {
        self.profiles
            .get(usize::from(profile))
            .map_or(&[], |spans| spans)
    }

    /// The first moment at which the last span of a profile ends: by then they must be made anew.
    pub fn last_until(&self) -> Option<Moment> {
        self.rows().filter_map(|spans| spans.last()?.ends).min()
    }
}

/// The spans that `inputs` say, one behind the other; where they say none, the profile's own
/// settings hold.
fn compile_spans(profile: &Profile, inputs: &[StandingInput], lists: &Index) -> Box<[Standing]> {
    if inputs.is_empty() {
        return Box::from([Standing::plain(profile)]);
    }
    let compile = |input| Standing::compile(input, profile, lists);
    inputs.iter().map(compile).collect()
}

/// The span that `at` lies in, or the last.
fn span_at(spans: &[Standing], at: Moment) -> &Standing {
    let lasting = |span: &&Standing| span.ends.is_none_or(|ends| at < ends);
    let found = spans.iter().find(lasting).or_else(|| spans.last());
    found.expect("every row has a span")
}

/// Whether a list of this kind can be closed by what is here.
const fn can_be_closed(kind: ListKind) -> bool {
    matches!(kind, ListKind::Block)
}
