//! `[[profile.NAME.during]]` and `[[profile.NAME.quota]]`: what is closed at certain times, and what
//! is open for a certain time only.

use std::ops::Range;
use std::time::Duration;

use jiff::civil::Weekday;

use super::diagnostic::Diagnostic;
use super::household::Known;
use super::presets::LIFELINES;
use super::problems::Problems;
use super::read::Entry;
use super::resolve::missing;
use super::spec::{DuringSpec, QuotaSpec, Tables, Text, Word};
use super::subject::{Subject, SubjectError};
use super::words::{choice, duration};
use crate::schedule::{Window, minute_of_day};

/// How many closings and quotas one profile may have, inherited ones included: as many can be told
/// apart at a time.
pub const MAX_TIMES: usize = 64;

/// What a profile closes while a schedule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Index into the schedules of [`super::Config`].
    pub schedule: usize,
    /// What is closed.
    pub close: Vec<Subject>,
    /// What stays open of it.
    pub open: Vec<Subject>,
}

/// What a profile has for a certain time only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is counted together, and closed when the time is used up.
    pub of: Vec<Subject>,
    /// The time for each period; less than the period.
    pub time: Duration,
    /// The period.
    pub per: Period,
    /// The minute of the day at which a period begins, on the household's clocks.
    pub reset: u16,
    /// How much unused time goes over into the next period.
    pub roll_over: Duration,
    /// How long one query counts as activity.
    pub linger: Duration,
}

impl Quota {
    /// What is counted together, in the order of the alphabet: the order it was written in changes
    /// nothing.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.of.iter().map(Subject::to_string).collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    /// What it is called, at most 200 octets long: `games, roblox`, or `games per week`. A profile
    /// has no two quotas of the same name.
    pub fn label(&self) -> String {
        /// Room for subjects that are named.
        const NAMED: usize = 150;
        let words = self.words();
        let mut text = words.join(", ");
        if text.len() > NAMED {
            let sum = twox_hash::XxHash3_64::oneshot(text.as_bytes());
            let mut kept = 0;
            let mut length = 0;
            for word in &words {
                length += word.len() + ", ".len();
                kept += usize::from(length <= NAMED);
            }
            let mut named = words[..kept].to_vec();
            named.push(format!("{} more (#{:08x})", words.len() - kept, sum >> 32));
            text = named.join(", ");
        }
        match self.per {
            Period::Day => text,
            Period::Week(_) => format!("{text} per week"),
        }
    }

    /// Whether both are of the same, and both of days or both of weeks.
    pub fn is_same(&self, other: &Self) -> bool {
        self.per.is_like(other.per) && same_subjects(&self.of, &other.of)
    }
}

/// How often a quota begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Each day.
    Day,
    /// Each week, on this day.
    Week(Weekday),
}

impl Period {
    /// How long it is when no clocks change.
    pub const fn length(self) -> Duration {
        match self {
            Self::Day => Duration::from_hours(24),
            Self::Week(_) => Duration::from_hours(7 * 24),
        }
    }

    /// Whether both are days or both are weeks, whenever they begin.
    fn is_like(self, other: Self) -> bool {
        matches!(self, Self::Day) == matches!(other, Self::Day)
    }
}

/// What schedules mean while the clock is not set, as after a boot without network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenClockUnset {
    /// What they would ever close is closed.
    Close,
    /// Nothing is closed by them.
    Open,
}

/// What one profile says itself of times, with its places.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Times {
    closings: Vec<(Range<usize>, Closing)>,
    quotas: Vec<(Range<usize>, Quota)>,
}

impl Times {
    /// Adds what this profile says to what those it stands on say: for the same schedule and the same
    /// subjects the nearer word counts.
    pub(super) fn lay_over(&self, closings: &mut Vec<Closing>, quotas: &mut Vec<Quota>) {
        for (_, own) in &self.closings {
            closings.retain(|it| it.schedule != own.schedule);
            if !own.close.is_empty() {
                closings.push(own.clone());
            }
        }
        for (_, own) in &self.quotas {
            quotas.retain(|it| !it.is_same(own));
            if own.time < own.per.length() {
                quotas.push(own.clone());
            }
        }
    }

    /// Tells of what changes nothing: a closing of nothing and a quota of all the time there is, where
    /// none of the profiles below says otherwise.
    pub(super) fn check_effect(&self, below: &[&Self], problems: &mut Problems) {
        for (span, own) in &self.closings {
            let mut inherited = below.iter().flat_map(|it| &it.closings);
            if own.close.is_empty() && !inherited.any(|(_, it)| it.schedule == own.schedule) {
                problems.report(
                    Diagnostic::warning("no-effect", "nothing is closed")
                        .at(problems.place(span), "has no effect")
                        .help("`close = [\"everything\"]` closes all but lifelines"),
                );
            }
        }
        for (span, own) in &self.quotas {
            let mut inherited = below.iter().flat_map(|it| &it.quotas);
            if own.time >= own.per.length() && !inherited.any(|(_, it)| it.is_same(own)) {
                let period = match own.per {
                    Period::Day => "a day",
                    Period::Week(_) => "a week",
                };
                problems.report(
                    Diagnostic::warning("no-effect", "this quota limits nothing").at(
                        problems.place(span),
                        format!("{period} has no more time than that"),
                    ),
                );
            }
        }
    }

    /// Tells of more closings and quotas than a profile may have, those it takes over included.
    pub(super) fn check_number(
        &self,
        closings: &[Closing],
        quotas: &[Quota],
        problems: &mut Problems,
    ) {
        let number = closings.len() + quotas.len();
        let own = self.quotas.iter().map(|(span, _)| span);
        let last = own
            .chain(self.closings.iter().map(|(span, _)| span))
            .next_back();
        if number > MAX_TIMES
            && let Some(span) = last
        {
            let message = format!("more than {MAX_TIMES} closings and quotas of one profile");
            problems.report(
                Diagnostic::error("too-many", message)
                    .at(problems.place(span), format!("there are {number}"))
                    .help("one may name many categories, services and names"),
            );
        }
    }

    /// The schedules it refers to.
    pub(super) fn schedules(&self) -> impl Iterator<Item = usize> + '_ {
        self.closings.iter().map(|(_, closing)| closing.schedule)
    }
}

/// Whether both are the same subjects, in whatever order.
fn same_subjects(one: &[Subject], other: &[Subject]) -> bool {
    let within = |these: &[Subject], those: &[Subject]| {
        these
            .iter()
            .all(|it| those.iter().any(|other| it.means_same(other)))
    };
    within(one, other) && within(other, one)
}

/// What one profile says of times.
pub(super) fn times(
    during: Option<&Tables<DuringSpec>>,
    quotas: Option<&Tables<QuotaSpec>>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Times {
    let mut times = Times::default();
    for entry in during.iter().flat_map(|tables| &tables.0) {
        if let Some(closing) = closing(entry, known, problems) {
            let same = |(_, it): &&(Range<usize>, Closing)| it.schedule == closing.schedule;
            if let Some((first, _)) = times.closings.iter().find(same) {
                let (second, first) = (problems.place(&entry.span), problems.place(first));
                let message = "one profile uses a schedule twice";
                problems.report(
                    Diagnostic::error("duplicate", message)
                        .twice(second, first)
                        .help("put both into one `[[profile.NAME.during]]`"),
                );
            }
            times.closings.push((entry.span.clone(), closing));
        }
    }
    for entry in quotas.iter().flat_map(|tables| &tables.0) {
        if let Some(quota) = quota(entry, known, problems) {
            let same = |(_, it): &&(Range<usize>, Quota)| it.is_same(&quota);
            if let Some((first, _)) = times.quotas.iter().find(same) {
                let (second, first) = (problems.place(&entry.span), problems.place(first));
                let message = "one profile has two quotas of the same";
                problems.report(
                    Diagnostic::error("duplicate", message)
                        .twice(second, first)
                        .note("one for each day and one for each week may stand beside each other"),
                );
            }
            times.quotas.push((entry.span.clone(), quota));
        }
    }
    times
}

fn closing(
    entry: &Entry<DuringSpec>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Option<Closing> {
    let spec = &entry.spec;
    let schedule = match &spec.schedule {
        Some(word) => schedule_of(word, known, problems),
        None => {
            missing(entry, "`during`", "schedule", problems);
            None
        }
    };
    let close = subjects(spec.close.as_ref().map(Word::value), known, problems);
    let mut open = subjects(spec.open.as_ref(), known, problems);
    let only = subjects(spec.only.as_ref().map(Word::value), known, problems);
    if let Some(word) = spec.open.iter().flatten().find(|word| is_all(word)) {
        problems.report(
            Diagnostic::error("contradiction", "`everything` cannot stay open")
                .at(problems.place(&word.span()), "nothing would be closed")
                .help("`close = []` takes an inherited closing back"),
        );
    }
    match (&spec.only, &spec.close) {
        (None, None) => {
            if entry.whole {
                problems.report_absence(
                    Diagnostic::error("missing-key", "what is closed is not said")
                        .at(
                            problems.place(&entry.span),
                            "needs `close = …` or `only = …`",
                        )
                        .help("`close = [\"everything\"]` closes all but lifelines"),
                );
            }
            return None;
        }
        (Some(only), Some(close)) => {
            let (here, there) = (problems.place(&only.span()), problems.place(&close.span()));
            problems.report(
                Diagnostic::error("contradiction", "`only` closes everything else already")
                    .against(here, there, "closed here"),
            );
            return None;
        }
        (Some(words), None) => {
            if let Some(word) = words.value().iter().find(|word| is_all(word)) {
                problems.report(
                    Diagnostic::error("contradiction", "`only` everything closes nothing")
                        .at(problems.place(&word.span()), "name what stays open"),
                );
            }
            open.extend(only);
            return Some(Closing {
                schedule: schedule?,
                close: vec![Subject::Everything],
                open,
            });
        }
        (None, Some(_)) => {}
    }
    Some(Closing {
        schedule: schedule?,
        close,
        open,
    })
}

fn is_all(word: &Text) -> bool {
    matches!(
        Subject::parse(word.text(), |_| false, |_| false),
        Ok(Subject::Everything)
    )
}

/// The index of the schedule that `word` names.
fn schedule_of(word: &Text, known: &Known<'_>, problems: &mut Problems) -> Option<usize> {
    let found = known.schedules.iter().position(|name| *name == word.text());
    if found.is_none() {
        let message = format!("unknown schedule `{}`", word.text());
        let diagnostic = Diagnostic::error("unknown-schedule", message)
            .at(problems.place(&word.span()), "no schedule has this name");
        let names = || known.schedules.iter().copied();
        let mut diagnostic = problems.guess(diagnostic, word.text(), names());
        if diagnostic.help.is_none() && Window::parse(word.text()).is_ok() {
            diagnostic = diagnostic.help("give these times a name: `[schedule.NAME]`");
        }
        problems.report_absence(diagnostic.known("known schedules", names()));
    }
    found
}

/// The subjects that `words` name; those that name none are told.
fn subjects(words: Option<&Vec<Text>>, known: &Known<'_>, problems: &mut Problems) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for word in words.into_iter().flatten() {
        let text = word.text();
        if text == LIFELINES {
            problems.report(
                Diagnostic::error("lifelines", "lifelines cannot be blocked or opened").at(
                    problems.place(&word.span()),
                    "always reachable, for everybody",
                ),
            );
            continue;
        }
        let is_category = |id: &str| known.categories.contains(&id);
        let is_service = |id: &str| known.services.contains(&id);
        let error = match Subject::parse(text, is_category, is_service) {
            Ok(mut subject) => {
                if let Subject::Name(rule) = &mut subject {
                    let place = problems.place(&word.span());
                    rule.written_in = Some((place.file, place.line));
                }
                subjects.push(subject);
                continue;
            }
            Err(error) => error,
        };
        let message = format!("`{}` is nothing that can be closed", text.escape_debug());
        let place = problems.place(&word.span());
        let diagnostic = Diagnostic::error("unknown-subject", message).at(place, error.to_string());
        problems.report_absence(if error == SubjectError::Unknown {
            let all = ["everything"].into_iter();
            let words = all
                .chain(known.categories.iter().copied())
                .chain(known.services.iter().copied());
            problems
                .guess(diagnostic, text, words)
                .note("a category, a service, a name as in a rule, or `everything`")
        } else {
            diagnostic
        });
    }
    subjects
}

fn quota(entry: &Entry<QuotaSpec>, known: &Known<'_>, problems: &mut Problems) -> Option<Quota> {
    /// The hour at which most families sleep: a late evening belongs to the day before.
    const USUAL_RESET: u16 = 4 * 60;
    const MINUTE: Duration = Duration::from_mins(1);
    const WEEK: Duration = Duration::from_hours(7 * 24);
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let spec = &entry.spec;
    let of = subjects(spec.of.as_ref().map(Word::value), known, problems);
    match &spec.of {
        None => missing(entry, "`quota`", "of", problems),
        Some(words) if words.value().is_empty() => problems.report(
            Diagnostic::error("missing-value", "a quota of nothing")
                .at(problems.place(&words.span()), "of what?")
                .help("`of = [\"everything\"]` is of all but lifelines"),
        ),
        Some(_) => {}
    }
    if spec.time.is_none() {
        missing(entry, "`quota`", "time", problems);
    }
    let reset_day = choice(spec.reset_day.as_ref(), "reset-day", &DAYS, problems);
    let week = Period::Week(reset_day.unwrap_or(Weekday::Monday));
    let periods = [("day", Period::Day), ("week", week)];
    let per = choice(spec.per.as_ref(), "per", &periods, problems).unwrap_or(Period::Day);
    if let (Some(word), Period::Day) = (&spec.reset_day, per) {
        problems.report(
            Diagnostic::warning("no-effect", "`reset-day` has no effect")
                .at(
                    problems.place(&word.span()),
                    "this quota begins anew each day",
                )
                .help("`per = \"week\"` uses it"),
        );
    }
    let time = spec.time.as_ref();
    let time = duration(time, "time", Duration::ZERO..=WEEK, WEEK, problems);
    if let (Some(word), true) = (&spec.time, time.is_zero()) {
        problems.report(
            Diagnostic::warning("no-time", "a quota of no time")
                .at(problems.place(&word.span()), "closed from the beginning")
                .help("`block` closes a category for good"),
        );
    }
    let reset = spec.reset.as_ref().map_or(USUAL_RESET, |word| {
        minute_of_day(word.text()).unwrap_or_else(|error| {
            let diagnostic = Diagnostic::error("bad-time", "`reset` cannot be read")
                .at(problems.place(&word.span()), error.fault.to_string());
            problems.report(match error.instead {
                Some(instead) => diagnostic.help(format!("did you mean `{instead}`?")),
                None => diagnostic,
            });
            USUAL_RESET
        })
    });
    Some(Quota {
        of: Some(of).filter(|of| !of.is_empty())?,
        time,
        per,
        reset,
        roll_over: duration(
            spec.roll_over.as_ref(),
            "roll-over",
            Duration::ZERO..=WEEK,
            Duration::ZERO,
            problems,
        ),
        linger: duration(
            spec.linger.as_ref(),
            "linger",
            MINUTE / 2..=30 * MINUTE,
            3 * MINUTE,
            problems,
        ),
    })
}
