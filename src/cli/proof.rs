//! `hedgerow test`, `simulate` and `diff`: what a configuration does, before it does it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::output::{Cell, Style, Table, counted, plain};
use super::{Backend, Exit, Failure, Format, Output, Place, wait};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, duration_of};
use crate::control::ControlError;
use crate::control::api::LogPage;
use crate::control::client::Client;
use crate::control::family::Grant;
use crate::grants::Scope;
use crate::lists::services;
use crate::proof::effect::{Difference, differences};
use crate::proof::replay::{Opening, Replay, Replayer};
use crate::proof::{Proved, try_cases};
use crate::schedule::Zone;
use crate::snapshot::Snapshot;

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Configuration file
    #[arg(long, short, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct SimulateArguments {
    /// The new configuration
    #[arg(long, short, value_name = "PATH")]
    config: PathBuf,
    /// The oldest question that counts: `yesterday`, `2h`, or a time; all that the log holds unless
    /// said
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// The configuration as it was
    old: PathBuf,
    /// The configuration as it would be
    new: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// `hedgerow test`.
pub(super) fn test(
    arguments: TestArguments,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let snapshot = backend.world(&Place {
        config: arguments.config,
        state: None,
    })?;
    let tried = try_cases(&snapshot, Clock::system().wall());
    let failed = tried.iter().filter(|proved| !proved.ok).count();
    if arguments.format.json {
        output.json(&tried)?;
    } else if tried.is_empty() {
        output.note("there are no tests; `[[test]]` in the configuration makes one");
    } else {
        for proved in &tried {
            print_case(proved, output)?;
        }
        let all = counted(tried.len() as u64, "test", "tests");
        output.line(&format!("{all}, {failed} failed"))?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Said(Exit::Failed)),
    }
}

fn print_case(proved: &Proved, output: &mut Output<'_>) -> Result<(), Failure> {
    let (style, word) = match proved.ok {
        true => (Style::Good, "ok    "),
        false => (Style::Bad, "failed"),
    };
    let word = output.paint(style, word);
    let title = plain(&proved.title);
    let sentence = plain(&proved.sentence());
    let place = match proved.ok {
        true => String::new(),
        false => format!(
            " (expected {}; {}:{})",
            proved.expect,
            plain(&proved.file),
            proved.line
        ),
    };
    Ok(output.line(&format!("{word}  {title}: {sentence}{place}"))?)
}

/// `hedgerow simulate`.
pub(super) fn simulate(
    arguments: SimulateArguments,
    daemon: &Client,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let snapshot = backend.world(&Place {
        config: Some(arguments.config),
        state: None,
    })?;
    let since = arguments.since.as_deref();
    let now = Clock::system().wall();
    let since = since.map(|text| since_of(text, now, &snapshot.config.zone));
    let since = since.transpose()?;
    let replay = replay(&snapshot, since, daemon)?;
    if arguments.format.json {
        return Ok(output.json(&replay)?);
    }
    print_replay(&replay, output)
}

/// Judges again what the daemon's log holds.
fn replay(
    snapshot: &Arc<Snapshot>,
    since: Option<Timestamp>,
    daemon: &Client,
) -> Result<Replay, Failure> {
    /// Entries of one page; the daemon gives no more.
    const PAGE: usize = 1000;
    let mut replayer = Replayer::new(snapshot);
    wait(async {
        let all = [("all", Some(true.to_string()))];
        let grants: Vec<Grant> = daemon.get("/api/v1/grants", &all).await?;
        replayer.was_open(grants.iter().filter_map(opening));
        let mut after = 0_u64;
        loop {
            let parameters = [
                ("after", Some(after.to_string())),
                ("limit", Some(PAGE.to_string())),
            ];
            let page: LogPage = daemon.get("/api/v1/log", &parameters).await?;
            for entry in &page.entries {
                let at: Option<Timestamp> = entry.at.parse().ok();
                if since.is_none_or(|since| at.is_some_and(|at| at >= since)) {
                    replayer.judge(entry);
                }
            }
            // The log grows while it is read; its end is where nothing more came.
            if page.entries.len() < PAGE || page.next_after <= after {
                return Ok(());
            }
            after = page.next_after;
        }
    })?;
    Ok(replayer.finish())
}

/// What a grant opened without leaving a word in the log, if it did.
fn opening(grant: &Grant) -> Option<Opening> {
    // Of a name and a service the log says that they were granted.
    let is_told = |subject: &str| subject.contains('.') || services::find(subject).is_some();
    let opens = match grant.kind.as_str() {
        "allow" => !is_told(grant.subject.as_deref().unwrap_or_default()),
        kind => kind == "pause-filter",
    };
    let end = grant.ended.as_ref().unwrap_or(&grant.until);
    let scope = match (&grant.profile, &grant.device) {
        (_, Some(device)) => Scope::Device(device.clone()),
        (Some(profile), None) => Scope::Profile(profile.clone()),
        (None, None) => Scope::Everybody,
    };
    // They are told in whole seconds.
    let end: Timestamp = end.parse().ok()?;
    let until = end.checked_add(Duration::from_secs(1)).unwrap_or(end);
    let since = grant.since.parse().ok()?;
    opens.then_some(Opening {
        scope,
        since,
        until,
    })
}

fn print_replay(replay: &Replay, output: &mut Output<'_>) -> Result<(), Failure> {
    let changes = |before: &'static str, after: &'static str| {
        let changes = replay.changes.iter();
        changes.filter(move |change| {
            let blocked = |word: &str| match word {
                "block" => "block",
                _ => "allow",
            };
            (blocked(&change.before), blocked(&change.after)) == (before, after)
        })
    };
    for (title, before, after) in [
        ("Would be blocked now", "allow", "block"),
        ("Would be let through now", "block", "allow"),
        ("Would be answered in another form", "allow", "allow"),
    ] {
        let mut table = Table::new(&["Times", "Device", "Profile", "Name", "Was", "Would be"]);
        let mut count = 0;
        for change in changes(before, after) {
            count += change.count;
            table.row([
                Cell::number(change.count),
                Cell::text(&change.device),
                Cell::text(&change.profile),
                Cell::text(change.name.as_deref().unwrap_or("(withheld)")),
                Cell::text(&format!("{}: {}", change.before, change.reason_before)),
                Cell::text(&format!("{}: {}", change.after, change.reason_after)),
            ]);
        }
        if count > 0 {
            let times = counted(count, "question", "questions");
            output.line(&format!("{title}, {times}:"))?;
            output.table(2, &table)?;
            output.line("")?;
        }
    }
    let judged = counted(replay.judged, "question", "questions");
    output.line(&format!(
        "{judged} judged again, {} otherwise than before",
        replay.changed
    ))?;
    if replay.without_name > 0 {
        let count = counted(replay.without_name, "question", "questions");
        output.line(&format!(
            "{count} could not be judged: privacy keeps no name of them"
        ))?;
    }
    if replay.undecided > 0 {
        let count = counted(replay.undecided, "question", "questions");
        output.line(&format!(
            "{count} could not be judged: a grant, a pause, a quota or the answer decided"
        ))?;
    }
    Ok(())
}

/// The moment that `--since` means.
fn since_of(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp, Failure> {
    let today = zone.clock_at(now).date();
    let moment = match text {
        "today" => Some(zone.moment_of(today.at(0, 0, 0, 0))),
        "yesterday" => today
            .yesterday()
            .ok()
            .map(|day| zone.moment_of(day.at(0, 0, 0, 0))),
        _ => match text.parse() {
            Ok(moment) => Some(moment),
            Err(_) => duration_of(text)
                .ok()
                .and_then(|ago| now.checked_sub(ago).ok()),
        },
    };
    let clock = || {
        let clock: jiff::civil::DateTime = text.parse().ok()?;
        Some(zone.moment_of(clock))
    };
    moment.or_else(clock).ok_or_else(|| {
        ControlError::bad_request(
            format!("`{}` is not a time", text.escape_debug()),
            "write it as in `yesterday`, `2h`, `2026-03-29 21:31` or `2026-03-29T21:31:00+02:00`",
        )
        .into()
    })
}

/// What two configurations mean differently, for programs.
#[derive(Debug, Serialize)]
struct Diffed {
    old: String,
    new: String,
    differences: Vec<Difference>,
}

/// `hedgerow diff`.
pub(super) fn diff(
    arguments: &DiffArguments,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let read = |path: &Path| -> Result<Config, Failure> {
        Ok(backend.config(&Place {
            config: Some(path.to_owned()),
            state: None,
        })?)
    };
    let differences = differences(&read(&arguments.old)?, &read(&arguments.new)?);
    if arguments.format.json {
        return Ok(output.json(&Diffed {
            old: arguments.old.display().to_string(),
            new: arguments.new.display().to_string(),
            differences,
        })?);
    }
    if differences.is_empty() {
        return Ok(output.line("nothing is different")?);
    }
    for difference in &differences {
        let about = match difference.name.as_str() {
            "" => difference.kind.to_owned(),
            name => match difference.kind {
                "profile" => name.to_owned(),
                kind => format!("{kind} {name}"),
            },
        };
        output.line(&format!("{}: {}", plain(&about), plain(&difference.what)))?;
    }
    Ok(())
}
