//! `hedgerow log`.

use std::io::{self, Write};

use super::output::{Style, latency, padded, plain, time};
use super::{Failure, LogArguments, Output};
use crate::control::api::{LogEntry, LogPage};
use crate::control::client::{Client, Event};

/// Entries shown unless somebody says.
const ENTRIES: usize = 50;

pub(super) async fn run(
    arguments: LogArguments,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let default = if arguments.follow { 0 } else { ENTRIES };
    let limit = arguments.number.unwrap_or(default);
    let mut parameters = vec![
        ("device", arguments.device),
        ("profile", arguments.profile),
        ("blocked", arguments.blocked.then(|| "true".to_owned())),
        ("limit", Some(limit.to_string())),
    ];
    let page: LogPage = daemon.get("/api/v1/log", &parameters).await?;
    if arguments.format.json && !arguments.follow {
        return Ok(output.json(&page)?);
    }
    for entry in &page.entries {
        print(entry, arguments.format.json, output)?;
    }
    if !arguments.follow {
        return Ok(());
    }
    output.out.flush()?;
    parameters.pop();
    parameters.push(("after", Some(page.next_after.to_string())));
    let mut followed = daemon.follow("/api/v1/log/stream", &parameters).await?;
    while let Some(event) = followed.next().await? {
        match event {
            Event::Entry(entry) => print(&entry, arguments.format.json, output)?,
            Event::Gap(lost) => output.note(&format!("{lost} entries went by unseen")),
        }
        output.out.flush()?;
    }
    output.note("the daemon has ended");
    Ok(())
}

fn print(entry: &LogEntry, json: bool, output: &mut Output<'_>) -> io::Result<()> {
    if json {
        return output.json_line(entry);
    }
    let verdict = entry.verdict.label();
    let styled = output.paint(Style::of_verdict(verdict), &padded(verdict, 7));
    let asked = match (&entry.name, &entry.qtype) {
        (Some(name), Some(qtype)) => format!("{} {}", plain(name), plain(qtype)),
        // The profile keeps categories only.
        _ => "-".to_owned(),
    };
    let reason = entry.reason.as_deref().unwrap_or(&entry.category);
    let took = entry.took_us.map_or_else(String::new, latency);
    output.line(&format!(
        "{}  {}  {styled}  {}  {}  {took}",
        time(&entry.at),
        padded(&plain(&entry.device), 12),
        padded(&asked, 40),
        padded(&plain(reason), 30),
    ))
}
