//! `[schedule.NAME]` and the household's time zone.

use std::collections::HashMap;
use std::ops::Range;

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::Around;
use super::spec::{ScheduleSpec, Text};
use super::words::id;
use crate::schedule::{Dates, DatesError, Window, WindowError, Zone, ZoneError, zone_names};

/// Times that profiles refer to by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When it holds, on the household's clocks.
    pub times: crate::schedule::Schedule,
}

/// The household's zone: the one that is written, else the system's, else UTC.
pub(super) fn zone(written: &Written, around: &Around<'_>, problems: &mut Problems) -> Zone {
    let Some(word) = &written.household.time_zone else {
        return system_zone(written, around, problems);
    };
    let text = word.text();
    match Zone::parse(text, around.files) {
        Ok(zone) => return zone,
        Err(error) => {
            let message = format!("`{}` is not a time zone", text.escape_debug());
            let diagnostic = Diagnostic::error("bad-time-zone", message)
                .at(problems.place(&word.span()), error.to_string());
            // `Berlin` is the end of one name.
            let ending = zone_names().find(|name| {
                let city = name.rsplit('/').next().unwrap_or_default();
                city.eq_ignore_ascii_case(&text.replace(' ', "_"))
            });
            problems.report(match (error, ending) {
                (ZoneError::Unknown, Some(name)) => {
                    diagnostic.help(format!("did you mean `{name}`?"))
                }
                (ZoneError::Unknown, None) => problems
                    .guess(diagnostic, text, zone_names())
                    .note("a zone is named as in \"Europe/Berlin\", or by its POSIX rule"),
                _ => diagnostic,
            });
        }
    }
    Zone::utc()
}

fn system_zone(written: &Written, around: &Around<'_>, problems: &mut Problems) -> Zone {
    if let Some(zone) = Zone::of_system(around.files) {
        return zone;
    }
    // Without times that depend on it the zone makes no difference.
    if let Some((word, _)) = written.schedules.first() {
        problems.report_absence(
            Diagnostic::warning("no-time-zone", "the system does not say its time zone")
                .at(problems.place(&word.span()), "holds in UTC")
                .help("say it in `[household]`, as in `time-zone = \"Europe/Berlin\"`"),
        );
    }
    Zone::utc()
}

/// All schedules, each with the place of its name.
///
/// One with a mistake in it is there too, so that naming it is not another.
pub(super) fn schedules(
    written: &Written,
    problems: &mut Problems,
) -> Vec<(Schedule, Range<usize>)> {
    let mut first: HashMap<&str, Range<usize>> = HashMap::new();
    let mut schedules = Vec::new();
    for (word, entry) in &written.schedules {
        let name = word.text();
        if !id(word, "a schedule", problems) {
            continue;
        }
        if let Some(earlier) = first.get(name) {
            let (second, first) = (problems.place(&word.span()), problems.place(earlier));
            let message = format!("schedule `{name}` is defined twice");
            problems.report(Diagnostic::error("duplicate", message).twice(second, first));
            continue;
        }
        first.insert(name, word.span());
        let schedule = Schedule {
            name: name.to_owned(),
            times: times(word, entry, problems),
        };
        schedules.push((schedule, word.span()));
    }
    schedules
}

fn times(
    name: &Text,
    entry: &Entry<ScheduleSpec>,
    problems: &mut Problems,
) -> crate::schedule::Schedule {
    let spec = &entry.spec;
    let told = problems.count();
    let windows = windows(name, entry, problems);
    let dates = dates_of(spec.dates.as_ref(), problems);
    let except = dates_of(spec.except.as_ref(), problems);
    let schedule = crate::schedule::Schedule::new(windows, dates, except);
    if problems.count() == told && entry.whole && !schedule.is_ever() {
        let message = format!("schedule `{}` never holds", name.text());
        problems.report(Diagnostic::warning("no-effect", message).at(
            problems.place(&name.span()),
            "no window begins on any of its dates",
        ));
    }
    schedule
}

fn windows(name: &Text, entry: &Entry<ScheduleSpec>, problems: &mut Problems) -> Vec<Window> {
    let Some(words) = &entry.spec.windows else {
        if entry.whole {
            let message = format!("schedule `{}` without `windows`", name.text());
            problems.report_absence(
                Diagnostic::error("missing-key", message)
                    .at(problems.place(&name.span()), "needs `windows = …`")
                    .help("as in `windows = [\"sun-thu 20:30-06:30\"]`; `00:00-24:00` is all day"),
            );
        }
        return Vec::new();
    };
    if words.value().is_empty() && entry.whole {
        let message = format!("schedule `{}` has no windows", name.text());
        problems.report_absence(
            Diagnostic::error("missing-value", message)
                .at(problems.place(&words.span()), "when does it hold?"),
        );
    }
    let mut windows: Vec<(Window, &Text)> = Vec::new();
    for word in words.value() {
        match Window::parse(word.text()) {
            Ok(window) => {
                overlap(&windows, window, word, problems);
                windows.push((window, word));
            }
            Err(error) => report_window(word, &error, problems),
        }
    }
    windows.into_iter().map(|(window, _)| window).collect()
}

/// Tells of an earlier window with times of the week that `window` has too.
fn overlap(earlier: &[(Window, &Text)], window: Window, word: &Text, problems: &mut Problems) {
    let twin = earlier.iter().find(|(other, _)| other.overlaps(&window));
    if let Some((_, other)) = twin {
        let (here, there) = (problems.place(&word.span()), problems.place(&other.span()));
        let message = format!("`{}` and `{}` overlap", word.text(), other.text());
        problems.report(
            Diagnostic::warning("overlap", message)
                .against(here, there, "the other one")
                .note("a window belongs to the day it begins on; together they hold in both times"),
        );
    }
}

fn report_window(word: &Text, error: &WindowError, problems: &mut Problems) {
    let text = word.text();
    let message = format!("`{}` is not a time of the week", text.escape_debug());
    let place = problems.place(&part_of(word, &error.at));
    let mut diagnostic =
        Diagnostic::error("bad-window", message).at(place, error.fault.to_string());
    if let Some(instead) = &error.instead {
        diagnostic = diagnostic.help(format!("did you mean `{instead}`?"));
    }
    problems.report(
        diagnostic.note("a window is as in \"sun-thu 20:30-06:30\", \"08:00-12:00\" is daily"),
    );
}

/// The place of the bytes `part` of the word, where it is written as it is read.
fn part_of(word: &Text, part: &Range<usize>) -> Range<usize> {
    let span = word.span();
    // One quote on each side, and nothing escaped between.
    if span.len() != word.text().len() + 2 || part.is_empty() {
        return span;
    }
    span.start + 1 + part.start..span.start + 1 + part.end
}

fn dates_of(words: Option<&Vec<Text>>, problems: &mut Problems) -> Vec<Dates> {
    let mut dates = Vec::new();
    for word in words.into_iter().flatten() {
        let text = word.text();
        let error = match Dates::parse(text) {
            Ok(read) => {
                dates.push(read);
                continue;
            }
            Err(error) => error,
        };
        let message = format!("`{}` is not a date", text.escape_debug());
        let mut diagnostic = Diagnostic::error("bad-date", message)
            .at(problems.place(&word.span()), error.to_string());
        if let (DatesError::Backwards { last }, Some((first, _))) = (error, text.split_once("..")) {
            diagnostic = diagnostic.help(format!("did you mean `{last}..{}`?", first.trim()));
        }
        problems.report(diagnostic);
    }
    dates
}

/// Tells of schedules that no profile refers to.
pub(super) fn unused(
    schedules: &[(Schedule, Range<usize>)],
    used: &[bool],
    problems: &mut Problems,
) {
    for ((schedule, span), used) in schedules.iter().zip(used) {
        if !used {
            let message = format!("no profile uses schedule `{}`", schedule.name);
            problems.report_absence(
                Diagnostic::warning("no-effect", message)
                    .at(problems.place(span), "has no effect")
                    .help(format!(
                        "refer to it by `schedule = \"{}\"` under `[[profile.NAME.during]]`",
                        schedule.name
                    )),
            );
        }
    }
}
