//! `hedgerow schedule`: when schedules hold, on the household's clocks.
//!
//! The configuration says all there is; no daemon is asked.

use clap::{Args, Subcommand};
use jiff::civil::Weekday;
use serde::Serialize;

use super::output::{Cell, Table, words};
use super::{Backend, BackendError, Failure, Format, Output, Place};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Schedule};
use crate::control::api::ErrorBody;
use crate::schedule::{Span, Zone};

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub(super) enum ScheduleVerb {
    /// List all schedules: which hold, and until when
    List(When),
    /// Show one schedule, and when it holds next
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        when: When,
    },
}

/// Of which configuration, and at which time.
#[derive(Debug, Args)]
pub(super) struct When {
    /// Configuration file
    #[arg(long, short, value_name = "PATH")]
    config: Option<std::path::PathBuf>,
    /// As of this time instead of now, as in 2026-03-29T21:31:00+02:00
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    #[command(flatten)]
    format: Format,
}

/// A schedule as programs read it. Times are as RFC 3339 writes them, with the zone's offset.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    time_zone: String,
    windows: Vec<String>,
    dates: Vec<String>,
    except: Vec<String>,
    /// The profiles that close something in it.
    profiles: Vec<String>,
    holds: bool,
    since: Option<String>,
    until: Option<String>,
    /// When it holds next, after now.
    next: Vec<ShownSpan>,
}

/// A time in which a schedule holds.
#[derive(Debug, Serialize)]
struct ShownSpan {
    from: Option<String>,
    to: Option<String>,
}

/// How many of the times to come are shown.
const NEXT: usize = 7;

/// `hedgerow schedule`.
pub(super) fn run(
    verb: ScheduleVerb,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let (name, when) = match verb {
        ScheduleVerb::List(when) => (None, when),
        ScheduleVerb::Show { name, when } => (Some(name), when),
    };
    let config = backend.config(&Place {
        config: when.config,
        state: None,
    })?;
    let at = when.at.unwrap_or_else(|| Clock::system().wall());
    match name {
        None => list(&config, at, when.format, output),
        Some(name) => show(&name, &config, at, when.format, output),
    }
}

fn list(
    config: &Config,
    at: Timestamp,
    format: Format,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if format.json {
        let schedules = config.schedules.iter().enumerate();
        let shown: Vec<Shown> = schedules
            .map(|(index, schedule)| shown(index, schedule, config, at))
            .collect();
        return Ok(output.json(&shown)?);
    }
    if config.schedules.is_empty() {
        output.note("there are no schedules; `[schedule.NAME]` in the configuration makes one");
        return Ok(());
    }
    let mut table = Table::new(&["Schedule", "Holds", "Until", "Windows"]);
    for schedule in &config.schedules {
        let span = schedule.times.span(at, &config.zone);
        table.row([
            Cell::text(&schedule.name),
            Cell::text(if span.holds { "yes" } else { "no" }),
            Cell::text(&on_clock(span.until, &config.zone)),
            Cell::text(&words(&texts(schedule.times.windows()))),
        ]);
    }
    output.table(0, &table)?;
    Ok(output.line(&format!("\nOn the clocks of {}.", config.zone.name()))?)
}

fn show(
    name: &str,
    config: &Config,
    at: Timestamp,
    format: Format,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let mut schedules = config.schedules.iter().enumerate();
    let Some((index, schedule)) = schedules.find(|(_, schedule)| schedule.name == name) else {
        let known: Vec<_> = config.schedules.iter().map(|it| it.name.as_str()).collect();
        return Err(BackendError::Failed(ErrorBody::new(
            format!("there is no schedule `{name}`"),
            match known.is_empty() {
                true => "`[schedule.NAME]` in the configuration makes one".to_owned(),
                false => format!("known schedules: {}", known.join(", ")),
            },
        ))
        .into());
    };
    let shown = shown(index, schedule, config, at);
    if format.json {
        return Ok(output.json(&shown)?);
    }
    let zone = &config.zone;
    let span = schedule.times.span(at, zone);
    let state = if span.holds { "holds" } else { "does not hold" };
    let now = match span.until {
        Some(_) => format!("{state} until {}", on_clock(span.until, zone)),
        None => format!("{state}, and that stays so"),
    };
    let facts = [
        ("schedule", shown.name),
        ("time zone", shown.time_zone),
        ("windows", words(&shown.windows)),
        ("dates", words(&shown.dates)),
        ("except", words(&shown.except)),
        ("profiles", words(&shown.profiles)),
        ("now", now),
    ];
    output.facts(&facts)?;
    let mut next = next(schedule, at, zone).peekable();
    if next.peek().is_some() {
        output.line("\nIt holds next")?;
    }
    for span in next {
        let (from, to) = (on_clock(span.since, zone), on_clock(span.until, zone));
        output.line(&format!("  {from} to {to}"))?;
    }
    Ok(())
}

/// The next times in which `schedule` holds, that at `at` left out.
fn next<'c>(
    schedule: &'c Schedule,
    at: Timestamp,
    zone: &'c Zone,
) -> impl Iterator<Item = Span> + 'c {
    let spans = schedule.times.spans(at, Timestamp::MAX, zone).skip(1);
    spans.filter(|span| span.holds).take(NEXT)
}

fn shown(index: usize, schedule: &Schedule, config: &Config, at: Timestamp) -> Shown {
    let zone = &config.zone;
    let written = |at: Option<Timestamp>| at.map(|at| zone.written(at));
    let span = schedule.times.span(at, zone);
    let users = config.profiles.iter().filter(|profile| {
        let mut closings = profile.closings.iter();
        closings.any(|closing| closing.schedule == index)
    });
    Shown {
        name: schedule.name.clone(),
        time_zone: zone.name().to_owned(),
        windows: texts(schedule.times.windows()),
        dates: texts(schedule.times.dates()),
        except: texts(schedule.times.except()),
        profiles: users.map(|profile| profile.name.clone()).collect(),
        holds: span.holds,
        since: written(span.since),
        until: written(span.until),
        next: next(schedule, at, zone)
            .map(|span| ShownSpan {
                from: written(span.since),
                to: written(span.until),
            })
            .collect(),
    }
}

fn texts(things: &[impl ToString]) -> Vec<String> {
    things.iter().map(ToString::to_string).collect()
}

/// `at` as the household's clocks and calendars show it.
fn on_clock(at: Option<Timestamp>, zone: &Zone) -> String {
    let Some(at) = at else {
        return "for good".to_owned();
    };
    let clock = zone.clock_at(at);
    let day = match clock.date().weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    let (date, hour, minute) = (clock.date(), clock.hour(), clock.minute());
    format!("{day} {date} {hour:02}:{minute:02}")
}
