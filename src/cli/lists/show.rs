//! `hedgerow lists show`: all lists in a table, or one in full.

use std::io;

use super::super::output::{Cell, Style, Table, counted, plain, size, span, time};
use super::super::{Backend, Exit, Failure, Output};
use super::{ShowArguments, daemon_or_files};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::api::{List, ListSummary, ListUpdates, Status};
use crate::control::client::Client;
use crate::daemon::{list_states, list_summary};
use crate::files::Files;
use crate::lists::{Index, IndexError, ListInfo};
use crate::update::ListState;

pub(super) fn run(
    arguments: &ShowArguments,
    daemon: &Client,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let (lists, summary) = daemon_or_files(
        &arguments.place,
        backend,
        output,
        async || {
            let lists: Vec<List> = daemon.get("/api/v1/lists", &[]).await?;
            let status: Status = daemon.get("/api/v1/status", &[]).await?;
            Ok((lists, Some(status.lists)))
        },
        |config, output| Ok(known(config, output)),
    )?;
    let Some(id) = &arguments.id else {
        if arguments.format.json {
            return Ok(output.json(&lists)?);
        }
        return Ok(print_all(&lists, summary.as_ref(), output)?);
    };
    let Some(list) = lists.iter().find(|list| list.id == *id) else {
        let known: Vec<_> = lists.iter().map(|list| list.id.as_str()).collect();
        output.complain(
            &format!("there is no list `{id}`"),
            Some(&format!("known lists: {}", known.join(", "))),
        );
        return Err(Failure::Said(Exit::Failed));
    };
    if arguments.format.json {
        return Ok(output.json(list)?);
    }
    Ok(print_one(list, output)?)
}

/// What the configuration, the index and the states of updates say.
fn known(config: &Config, output: &mut Output<'_>) -> (Vec<List>, Option<ListSummary>) {
    let files = Files::disk();
    let path = config.list_store.index();
    let index = Index::open(&files, &path).map_err(|error| match error {
        IndexError::File(error) if error.is_missing() => {
            "there is no index yet; `hedgerow lists compile` makes one".to_owned()
        }
        error => error.to_string(),
    });
    if let Err(why) = &index {
        output.note(why);
    }
    let index = index.ok();
    let infos = index.iter().flat_map(Index::lists).map(|(_, info)| info);
    let lists = states(config, infos, &files);
    (lists, index.as_ref().map(list_summary))
}

/// What `compiled` and the state folder say of the lists.
pub(super) fn states<'i>(
    config: &Config,
    compiled: impl IntoIterator<Item = &'i ListInfo>,
    files: &Files,
) -> Vec<List> {
    let now = Clock::system().wall();
    list_states(config, compiled, now, |id| {
        (saved_state(config, id, files), None)
    })
}

/// What the state folder says of the updates of a list.
fn saved_state(config: &Config, id: &str, files: &Files) -> Option<ListState> {
    /// The largest state that is read, in octets.
    const MAX_STATE: u64 = 1 << 20;
    let path = config.list_store.copies().join(format!("{id}.json"));
    let text = files.read(&path, MAX_STATE).ok()?;
    serde_json::from_slice(&text).ok()
}

/// All lists in a table; without an index nobody knows what is in them.
fn print_all(
    lists: &[List],
    summary: Option<&ListSummary>,
    output: &mut Output<'_>,
) -> io::Result<()> {
    let heads = [
        "List",
        "Category",
        "Kind",
        "Tier",
        "Names",
        "Bad lines",
        "Format",
        "Age",
        "Origin",
    ];
    let mut table = Table::new(&heads);
    for list in lists {
        let style = match (&list.failure, &list.stale) {
            (Some(_), _) => Style::Bad,
            (None, Some(_)) => Style::Odd,
            (None, None) => Style::Plain,
        };
        let age = list.updates.as_ref().and_then(|updates| updates.age_s);
        table.row([
            Cell::text(&list.id).styled(style),
            Cell::text(&list.category),
            Cell::text(&list.kind),
            Cell::text(&list.tier),
            Cell::number(summary.map(|_| list.entries)),
            Cell::number(summary.map(|_| list.bad_lines)),
            Cell::text(list.format.as_deref().unwrap_or_default()),
            Cell::text(&age.map(roughly).unwrap_or_default()),
            Cell::text(&list.origin),
        ]);
    }
    output.table(0, &table)?;
    if let Some(summary) = summary {
        output.line(&format!(
            "{} in {}, {}",
            counted(summary.names, "name", "names"),
            counted(lists.len() as u64, "list", "lists"),
            sizes(summary.bytes, summary.names),
        ))?;
    }
    for list in lists {
        print_troubles(list, output)?;
    }
    Ok(())
}

/// What is wrong with a list, a line each, with the place where there is one.
pub(super) fn print_troubles(list: &List, output: &mut Output<'_>) -> io::Result<()> {
    let (id, origin) = (plain(&list.id), plain(&list.origin));
    if let Some(failure) = &list.failure {
        let label = output.paint(Style::Bad, "failed:");
        output.line(&format!("{label} {id}: {}", plain(failure)))?;
    }
    if let Some(why) = &list.stale {
        let label = output.paint(Style::Odd, "stale:");
        let why = plain(why);
        output.line(&format!("{label} {id} holds what it said before: {why}"))?;
    }
    let error = list.updates.as_ref().and_then(|it| it.error.as_ref());
    // Told once, where it is why the list is not whole.
    let told = |error: &&String| list.failure.is_some() || list.stale.as_ref() == Some(*error);
    if let Some(error) = error.filter(|error| !told(error)) {
        let label = output.paint(Style::Odd, "update:");
        output.line(&format!("{label} {id}: {}", plain(error)))?;
    }
    for note in list.first_errors.iter().chain(&list.first_flags) {
        let error = plain(&note.error);
        // Of some nobody knows the line.
        let line = match note.line {
            0 => String::new(),
            line => format!(":{line}"),
        };
        output.line(&format!("{id}: {origin}{line}: {error}"))?;
    }
    Ok(())
}

fn print_one(list: &List, output: &mut Output<'_>) -> io::Result<()> {
    let mut facts = vec![("list", plain(&list.id))];
    let title = list.title.as_deref().map(plain);
    facts.extend(title.map(|title| ("title", title)));
    facts.extend([
        ("category", plain(&list.category)),
        ("kind", plain(&list.kind)),
        ("tier", plain(&list.tier)),
        ("origin", plain(&list.origin)),
    ]);
    let format = list.format.as_deref().map(plain);
    facts.push(("format", format.unwrap_or_else(|| "-".to_owned())));
    facts.push(("entries", list.entries.to_string()));
    facts.push(("bad lines", list.bad_lines.to_string()));
    facts.push(("flagged lines", list.flagged_lines.to_string()));
    if let Some(updates) = &list.updates {
        facts.extend(update_facts(updates));
    }
    output.facts(&facts)?;
    print_troubles(list, output)?;
    for (kept, count, what) in [
        (&list.first_errors, list.bad_lines, "bad"),
        (&list.first_flags, list.flagged_lines, "flagged"),
    ] {
        let more = count.saturating_sub(kept.len() as u64);
        if more > 0 {
            output.line(&format!("and {more} more {what} lines"))?;
        }
    }
    Ok(())
}

fn update_facts(updates: &ListUpdates) -> Vec<(&'static str, String)> {
    let mut facts = vec![("address", plain(&updates.url))];
    facts.push(("looked for", format!("every {}", span(updates.every_s))));
    let signed = if updates.signed { "yes" } else { "no" };
    facts.push(("signed", signed.to_owned()));
    let when = updates.fetched.as_deref().map(time);
    let age = updates.age_s.map(|age| format!("{} ago", span(age)));
    let fetched = match (updates.bytes, when, age) {
        (0, ..) => "never".to_owned(),
        (bytes, Some(when), Some(age)) => format!("{when}, {age}, {}", size(bytes)),
        (bytes, Some(when), None) => format!("{when}, {}", size(bytes)),
        (bytes, None, _) => format!("while the clock was not set, {}", size(bytes)),
    };
    facts.push(("fetched", fetched));
    facts.extend(updates.checked.as_deref().map(|it| ("checked", time(it))));
    let result = match &updates.error {
        Some(error) if updates.failures > 1 => {
            format!("{}, {} times in a row", plain(error), updates.failures)
        }
        Some(error) => plain(error),
        None if updates.bytes == 0 => "none yet".to_owned(),
        None => "fine".to_owned(),
    };
    facts.push(("last result", result));
    let next = updates.next_s.map(|next| format!("in {}", span(next)));
    facts.extend(next.map(|next| ("next attempt", next)));
    if updates.protected > 0 {
        facts.push(("not obeyed", format!("{}, protected", updates.protected)));
    }
    facts
}

/// `7.6 MiB, 6.5 octets a name`.
pub(super) fn sizes(bytes: u64, names: u64) -> String {
    let tenths = bytes.saturating_mul(10).checked_div(names);
    let each = tenths.map(|tenths| format!(", {}.{} octets a name", tenths / 10, tenths % 10));
    format!("{}{}", size(bytes), each.unwrap_or_default())
}

/// A span in its largest unit, for a column.
fn roughly(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(
        || format!("{seconds} s"),
        |(length, unit)| format!("{} {unit}", seconds / length),
    )
}
