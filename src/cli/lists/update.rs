//! `hedgerow lists update`: new versions of lists.

use std::io;

use super::super::output::{Cell, Style, Table, counted, plain, size, span};
use super::super::progress::Progress;
use super::super::{Backend, BackendError, Exit, Failure, Output};
use super::compile::compile;
use super::{UpdateArguments, daemon_or_files, failed};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::ListUpdateRequest;
use crate::control::api::{ListUpdateReport, ListUpdated};
use crate::control::client::Client;
use crate::daemon::{accept_lists, accepted, update_settings, update_specs, updated, wanted_lists};
use crate::files::Files;
use crate::lists::Index;
use crate::update::{Outcome, Updater};

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
        |config, output| fetch(arguments, config, output),
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

/// Fetches and compiles without a daemon.
fn fetch(
    arguments: &UpdateArguments,
    config: &Config,
    output: &mut Output<'_>,
) -> Result<ListUpdateReport, Failure> {
    let request = ListUpdateRequest {
        ids: arguments.ids.clone(),
        force: arguments.force,
    };
    let wanted = wanted_lists(config, &request).map_err(BackendError::from)?;
    let (ids, accept) = (&wanted.fetch, &wanted.accept);
    if ids.is_empty() && accept.is_empty() {
        return Ok(ListUpdateReport::default());
    }
    let (files, clock) = (Files::disk(), Clock::system());
    let as_they_are = accept_lists(accept, config, &files);
    let store = &config.list_store;
    files.create_folder(&store.copies()).map_err(failed)?;
    let started = clock.now();
    let (settings, warning) = update_settings(store, &files);
    if let Some(warning) = warning {
        output.note(&warning);
    }
    let specs = update_specs(config);
    let mut updater = Updater::new(specs, settings, files.clone(), clock.clone());
    let mut bar = Progress::new(clock.clone(), output);
    let mut report = ListUpdateReport::default();
    let mut any_new = !accept.is_empty();
    for (id, done) in ids.iter().zip(0..) {
        bar.show("fetching", done, ids.len() as u64, output);
        let Some(result) = updater.update_one(id, arguments.force) else {
            continue;
        };
        any_new |= matches!(result.outcome, Outcome::Updated { .. });
        report.lists.push(updated(result));
    }
    bar.clear(output);
    if any_new {
        let (memory, index) = (store.compile_memory, store.index());
        match compile(config, memory, &as_they_are, &index, &files, output) {
            Ok(compiled) => {
                let index = Index::open(&files, &index).ok();
                let info = |id: &String| {
                    let index = index.as_ref()?;
                    index.find(id).map(|list| index.list(list))
                };
                let taken = accept.iter().map(|id| accepted(id, info(id)));
                report.lists.extend(taken);
                report.compiled = true;
                report.names = compiled.names;
                report.bytes = compiled.bytes;
            }
            Err(Failure::Backend(error)) => report.failure = Some(error.to_string()),
            Err(failure) => return Err(failure),
        }
    }
    let took = clock.now().since(started).as_millis();
    report.took_ms = u64::try_from(took).unwrap_or(u64::MAX);
    Ok(report)
}

fn print(report: &ListUpdateReport, output: &mut Output<'_>) -> io::Result<()> {
    if report.lists.is_empty() {
        return output.line("no list has an address; `hedgerow lists catalogue` shows some");
    }
    let mut table = Table::new(&["List", "Outcome", "What came of it"]);
    for list in &report.lists {
        let style = match list.outcome.as_str() {
            "updated" | "accepted" => Style::Good,
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
        if list.next_s > 0 {
            facts.push(format!("tried again in {}", span(list.next_s)));
        }
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
