//! `[[test]]`: what the household says must stay so.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::DateTime;

use super::diagnostic::{Diagnostic, Place};
use super::household::{Known, profile_of};
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::missing;
use super::rules::parse_name;
use super::spec::{TestSpec, Text};
use super::words::{choice, label};
use super::{Device, Profile};
use crate::clock::Timestamp;
use crate::lists::services;
use crate::name::Name;
use crate::schedule::{Window, WindowError, Zone};
use crate::verdict::Tier;

/// Something that must stay so, as `[[test]]` says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// In words for people; made of the rest unless somebody wrote it.
    pub title: String,
    /// What is asked for.
    pub of: CaseNames,
    /// QTYPE.
    pub qtype: u16,
    /// Who asks.
    pub asker: CaseAsker,
    /// When.
    pub at: CaseTime,
    /// What must come of it.
    pub expect: Expect,
    /// What must have decided, in a word: a kind of rule, a tier, a category, a service or a schedule.
    pub because: Option<String>,
    /// Where it stands.
    pub place: Place,
}

impl Case {
    /// Whether both are about the same, wherever they stand and whatever they are called.
    pub fn asks_same(&self, other: &Self) -> bool {
        let own = Self {
            title: other.title.clone(),
            place: other.place.clone(),
            ..self.clone()
        };
        own == *other
    }
}

impl Diagnostic {
    /// What a case that is broken says of itself, called by its `title`: what was `found`, and what
    /// was `wanted`.
    pub fn of_case(title: &str, place: &Place, found: String, wanted: String) -> Self {
        Self::error("broken-test", format!("the test `{title}` fails"))
            .at(place.clone(), wanted)
            .note(found)
    }

    /// The same as something that does not stop a configuration.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self {
            severity: super::Severity::Warning,
            ..self
        }
    }
}

/// What a [`Case`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseNames {
    /// One name.
    Name(Name),
    /// All names of the service with this id.
    Service(String),
    /// Names of the lists and services of this category.
    Category(String),
}

/// Who asks in a [`Case`], by name: places change when others come before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseAsker {
    /// The device of this name.
    Device(String),
    /// Any device of the profile of this name.
    Profile(String),
}

/// When a [`Case`] asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseTime {
    /// At an hour in which no schedule holds and nothing is used up.
    Unclosed,
    /// The next time that a window would begin, on the household's clocks.
    Next(Window),
    /// A date and time on the household's clocks.
    Clock(DateTime),
    /// A moment.
    Moment(Timestamp),
}

impl CaseTime {
    /// The moment that is meant at `now`; none where no schedule counts.
    pub fn moment(&self, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match self {
            Self::Unclosed => None,
            Self::Clock(clock) => Some(zone.moment_of(*clock)),
            Self::Moment(moment) => Some(*moment),
            Self::Next(window) => {
                let times = crate::schedule::Schedule::new(vec![*window], Vec::new(), Vec::new());
                let span = times.span(now, zone);
                let next = match span.holds {
                    true if span.since == Some(now) => span.since,
                    // Its minute has begun: the one after it is meant.
                    true => times.span(span.until?, zone).until,
                    false => span.until,
                };
                Some(next.unwrap_or(now))
            }
        }
    }
}

/// What must come of a [`Case`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It gets through, if need be in its safe form.
    Allow,
    /// It is blocked.
    Block,
}

impl Expect {
    /// The word that is read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}

/// The household as far as cases refer to it.
pub(super) struct Home<'h> {
    pub(super) devices: &'h [Device],
    pub(super) profiles: &'h [Profile],
    /// Names of all profiles, those too whose chain is broken.
    pub(super) names: &'h BTreeSet<&'h str>,
    pub(super) index: &'h HashMap<&'h str, usize>,
    pub(super) guest: Option<usize>,
    pub(super) known: &'h Known<'h>,
}

/// All cases.
pub(super) fn cases(written: &Written, home: &Home<'_>, problems: &mut Problems) -> Vec<Case> {
    let cases = written.tests.iter();
    cases
        .filter_map(|entry| case(entry, home, problems))
        .collect()
}

fn case(entry: &Entry<TestSpec>, home: &Home<'_>, problems: &mut Problems) -> Option<Case> {
    let spec = &entry.spec;
    let of = names(entry, home, problems);
    let asker = asker(entry, home, problems);
    let qtype = choice(spec.r#type.as_ref(), "type", &TYPES, problems).unwrap_or(1);
    let at = match &spec.at {
        None => Some(CaseTime::Unclosed),
        Some(word) => time(word, problems),
    };
    if spec.expect.is_none() {
        missing(entry, "`[[test]]`", "expect", problems);
    }
    let expects = [("allow", Expect::Allow), ("block", Expect::Block)];
    let expect = choice(spec.expect.as_ref(), "expect", &expects, problems);
    let because = match &spec.because {
        None => None,
        Some(word) => Some(because(word, home.known, problems)?),
    };
    if let Some(word) = &spec.title
        && !label(word, "a test", problems)
    {
        return None;
    }
    let (of, asker, expect) = (of?, asker?, expect?);
    let title = match &spec.title {
        Some(word) => word.text().to_owned(),
        None => title(&of, &asker, spec.at.as_ref(), expect),
    };
    Some(Case {
        title,
        of,
        qtype,
        asker,
        at: at?,
        expect,
        because,
        place: problems.place(&entry.span),
    })
}

/// What a case is about, where nobody wrote it: `roblox.com is allowed for leo at sat 15:00`.
fn title(of: &CaseNames, asker: &CaseAsker, at: Option<&Text>, expect: Expect) -> String {
    let of = match of {
        CaseNames::Name(name) => name.to_string(),
        CaseNames::Service(id) | CaseNames::Category(id) => id.clone(),
    };
    let (CaseAsker::Device(who) | CaseAsker::Profile(who)) = asker;
    let done = match expect {
        Expect::Allow => "allowed",
        Expect::Block => "blocked",
    };
    let at = at.map_or_else(String::new, |word| format!(" at {}", word.text()));
    format!("{of} is {done} for {who}{at}")
}

/// What is asked for: one of three keys says it.
fn names(entry: &Entry<TestSpec>, home: &Home<'_>, problems: &mut Problems) -> Option<CaseNames> {
    let spec = &entry.spec;
    let said = [&spec.name, &spec.service, &spec.category];
    let mut said = said.into_iter().flatten();
    let first = said.next();
    if let (Some(first), Some(second)) = (first, said.next()) {
        let (here, there) = (
            problems.place(&second.span()),
            problems.place(&first.span()),
        );
        problems.report(
            Diagnostic::error("contradiction", "a test asks for one thing").against(
                here,
                there,
                "asked for here",
            ),
        );
        return None;
    }
    if let Some(word) = &spec.name {
        return match parse_name(word.text()) {
            Ok(name) => Some(CaseNames::Name(name)),
            Err(error) => {
                let message = format!("`{}` cannot be asked for", word.text().escape_debug());
                let place = problems.place(&word.span());
                let diagnostic =
                    Diagnostic::error("bad-name", message).at(place, error.to_string());
                problems.report(diagnostic);
                None
            }
        };
    }
    if let Some(word) = &spec.service {
        let id = one_of(word, "service", &home.known.services, problems)?;
        return Some(CaseNames::Service(id));
    }
    if let Some(word) = &spec.category {
        let id = one_of(word, "category", &home.known.categories, problems)?;
        return Some(CaseNames::Category(id));
    }
    if entry.whole {
        problems.report_absence(
            Diagnostic::error("missing-key", "what is asked for is not said").at(
                problems.place(&entry.span),
                "needs `name = …`, `service = …` or `category = …`",
            ),
        );
    }
    None
}

/// `word` as one of the ids that are known of `what`.
fn one_of(word: &Text, what: &str, known: &[&str], problems: &mut Problems) -> Option<String> {
    let text = word.text();
    if known.contains(&text) {
        return Some(text.to_owned());
    }
    let code = match what {
        "service" => "unknown-service",
        _ => "unknown-category",
    };
    let message = format!("unknown {what} `{}`", text.escape_debug());
    let diagnostic = Diagnostic::error(code, message).at(
        problems.place(&word.span()),
        format!("no {what} is called so"),
    );
    let titled = services::all().find(|it| it.title.eq_ignore_ascii_case(text));
    problems.report_absence(match titled.filter(|_| what == "service") {
        Some(service) => diagnostic.help(format!("its id is `{}`", service.id)),
        None => problems.guess(diagnostic, text, known.iter().copied()),
    });
    None
}

/// Who asks: a device or a profile.
fn asker(entry: &Entry<TestSpec>, home: &Home<'_>, problems: &mut Problems) -> Option<CaseAsker> {
    match (&entry.spec.device, &entry.spec.profile) {
        (None, None) => {
            if entry.whole {
                problems.report_absence(
                    Diagnostic::error("missing-key", "who asks is not said").at(
                        problems.place(&entry.span),
                        "needs `device = …` or `profile = …`",
                    ),
                );
            }
            None
        }
        (Some(device), Some(profile)) => {
            let here = problems.place(&profile.span());
            let there = problems.place(&device.span());
            problems.report(
                Diagnostic::error("contradiction", "a device has its profile already").against(
                    here,
                    there,
                    "the device",
                ),
            );
            None
        }
        (Some(word), None) => {
            let mut names = home.devices.iter().map(|device| &device.name);
            let found = names.find(|name| *name == word.text());
            if found.is_none() {
                let message = format!("no device is called `{}`", word.text().escape_debug());
                let diagnostic = Diagnostic::error("unknown-device", message)
                    .at(problems.place(&word.span()), "not among the devices");
                let names = home.devices.iter().map(|device| device.name.as_str());
                let diagnostic = problems.guess(diagnostic, word.text(), names);
                problems.report_absence(diagnostic);
            }
            found.cloned().map(CaseAsker::Device)
        }
        (None, Some(word)) => {
            let index = profile_of(word, home.names, home.index, home.guest, problems);
            let profile = index.and_then(|index| home.profiles.get(index));
            profile.map(|it| CaseAsker::Profile(it.name.clone()))
        }
    }
}

/// When it is asked.
fn time(word: &Text, problems: &mut Problems) -> Option<CaseTime> {
    let text = word.text().trim();
    if let Ok(moment) = text.parse() {
        return Some(CaseTime::Moment(moment));
    }
    // A date begins with a year; no window begins with four digits.
    if text.get(..4).is_some_and(|it| it.parse::<u16>().is_ok())
        && let Ok(clock) = text.parse::<DateTime>()
    {
        return Some(CaseTime::Clock(clock));
    }
    // Read as a window is that begins then, days and all.
    let window = match text.contains(':') {
        true => Window::parse(&format!("{text}-24:00")).ok(),
        false => None,
    };
    let window = window.filter(|_| !has_end(text));
    // A minute is enough to find where it begins.
    let window = window.map(|window| Window {
        end: window.begin + 1,
        ..window
    });
    if window.is_none() {
        let place = problems.place(&word.span());
        let message = format!("`{}` is no time", text.escape_debug());
        let fault = Window::parse(&format!("{text}-24:00")).err();
        let why = fault.map_or_else(
            || "not one moment".to_owned(),
            |WindowError { fault, .. }| fault.to_string(),
        );
        problems.report(Diagnostic::error("bad-time", message).at(place, why).help(
            "write it as in \"sat 15:00\", \"15:00\", \"2026-12-24 20:30\" or \
                     \"2026-12-24T20:30:00+01:00\"",
        ));
    }
    window.map(CaseTime::Next)
}

/// Whether an end stands behind the time too, as in `15:00-16:00`.
fn has_end(text: &str) -> bool {
    let time = text.find(|c: char| c.is_ascii_digit());
    time.is_some_and(|at| text[at..].contains('-'))
}

/// What must have decided.
fn because(word: &Text, known: &Known<'_>, problems: &mut Problems) -> Option<String> {
    let text = word.text();
    let mut words: Vec<&str> = KINDS.to_vec();
    words.extend(Tier::ALL.iter().map(|tier| tier.label()));
    words.extend(&known.categories);
    words.extend(&known.services);
    words.extend(&known.schedules);
    if words.contains(&text) {
        return Some(text.to_owned());
    }
    let message = format!("`because` cannot be `{}`", text.escape_debug());
    let diagnostic = Diagnostic::error("unknown-value", message).at(
        problems.place(&word.span()),
        "nothing of this name can decide",
    );
    let diagnostic = problems.guess(diagnostic, text, words).note(
        "the kind of what decides (`schedule`, `quota`, `rule`, `allow-only` …), its tier, or a \
         category, a service or a schedule",
    );
    problems.report_absence(diagnostic);
    None
}

/// The kinds of what can decide about a name, as [`crate::verdict::Reason::label`] says them.
const KINDS: [&str; 11] = [
    "unlisted",
    "schedule",
    "quota",
    "rule",
    "allow-only",
    "safe-search",
    "open-service",
    "canary",
    "unsure",
    "look-alike",
    "unusual-type",
];

/// The types a case can ask for.
const TYPES: [(&str, u16); 12] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("ANY", 255),
    ("NULL", 10),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    fn time_of(text: &str, now: &str) -> String {
        let zone = Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3", &MemoryFiles::new().files()).unwrap();
        let word = super::super::spec::Word::new(0..0, text.to_owned());
        let at = time(&word, &mut Problems::default()).unwrap();
        zone.written(at.moment(now.parse().unwrap(), &zone).unwrap())
    }

    #[test]
    fn a_time_of_the_week_is_the_next_one() {
        // A Wednesday.
        let now = "2026-03-25T16:00:00+01:00";
        for (text, at) in [
            ("sat 15:00", "2026-03-28T15:00:00+01:00"),
            // Clocks have changed by then.
            ("sun 15:00", "2026-03-29T15:00:00+02:00"),
            ("wed 15:00", "2026-04-01T15:00:00+02:00"),
            ("wed 16:00", "2026-03-25T16:00:00+01:00"),
            ("16:01", "2026-03-25T16:01:00+01:00"),
            ("15:59", "2026-03-26T15:59:00+01:00"),
            ("00:00", "2026-03-26T00:00:00+01:00"),
            ("sat,sun 09:00", "2026-03-28T09:00:00+01:00"),
            ("2026-12-24 20:30", "2026-12-24T20:30:00+01:00"),
            ("2026-12-24T19:30:00Z", "2026-12-24T20:30:00+01:00"),
        ] {
            assert_eq!(time_of(text, now), at, "{text}");
        }
    }
}
