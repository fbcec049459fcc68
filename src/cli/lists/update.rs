//! `hedgerow lists update`: new versions of lists.

use std::io;

use super::super::output::{Cell, Style, Table, counted, plain, size, span};
use super::super::{Backend, Exit, Failure, Output};
use super::{UpdateArguments, daemon_or_files};
use crate::control::api::{ListUpdateReport, ListUpdated};
use crate::control::client::Client;

pub(super) fn run(
    arguments: &UpdateArguments,
    daemon: &Client,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let ids = arguments.ids.join(",");
    let parameters = [
        ("lists", (!ids.is_empty()).then_some(ids)),
        ("force", arguments.force.then(|| "true".to_owned())),
    ];
    let report: ListUpdateReport = daemon_or_files(
        &arguments.place,
        backend,
        output,
        async || daemon.post_with("/api/v1/lists/update", &parameters).await,
        |_, _| todo!(),
    )?;
    if arguments.format.json {
        output.json(&report)?;
    } else {
        print(&report, output)?;
    }
    let failed = |list: &ListUpdated| list.outcome == "failed";
    if report.failure.is_some() || report.lists.iter().any(failed) {
        return Err(Failure::Said(Exit::Failed));
    }
    Ok(())
}

fn print(report: &ListUpdateReport, output: &mut Output<'_>) -> io::Result<()> {
    if report.lists.is_empty() {
        return output.line("no list has an address; `hedgerow lists catalogue` shows some");
    }
    let mut table = Table::new(&["List", "Outcome", "What came of it"]);
    for list in &report.lists {
        let style = match list.outcome.as_str() {
            "updated" => Style::Good,
            "failed" => Style::Bad,
            _ => Style::Plain,
        };
        table.row([
            Cell::text(&list.id),
            Cell::text(&list.outcome).styled(style),
            Cell::text(&told(list)),
        ]);
    }
    output.table(0, &table)?;
    if let Some(failure) = &report.failure {
        let label = output.paint(Style::Bad, "failed:");
        let failure = plain(failure);
        output.line(&format!(
            "{label} {failure}; the lists before stay in force"
        ))?;
    } else if report.compiled {
        output.line(&format!(
            "{} in force, {}, after {} ms",
            counted(report.names, "name", "names"),
            size(report.bytes),
            report.took_ms
        ))?;
    }
    Ok(())
}

/// What came of one list, in words.
fn told(list: &ListUpdated) -> String {
    let mut facts = Vec::new();
    if let Some(error) = &list.error {
        facts.push(error.clone());
        if list.failures > 1 {
            facts.push(format!("{} times in a row", list.failures));
        }
        facts.push(format!("tried again in {}", span(list.next_s)));
        return facts.join(", ");
    }
    if let Some(entries) = list.entries {
        let entries = counted(entries, "entry", "entries");
        facts.push(match list.before {
            Some(before) => format!("{entries} (before: {before})"),
            None => entries,
        });
    }
    if list.downloaded > 0 {
        let way = if list.by_delta { " by a delta" } else { "" };
        facts.push(format!("{} downloaded{way}", size(list.downloaded)));
    }
    if list.bad_lines > 0 {
        let lines = counted(list.bad_lines, "line", "lines");
        facts.push(format!("{lines} not understood"));
    }
    if list.protected > 0 {
        let entries = counted(list.protected, "entry", "entries");
        facts.push(format!("{entries} not obeyed: protected"));
    }
    facts.join(", ")
}
