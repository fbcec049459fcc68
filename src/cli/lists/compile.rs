//! `hedgerow lists compile`: from the sources to the index.

use std::path::Path;

use serde::Serialize;

use super::super::output::{Style, counted, plain};
use super::super::progress::Progress;
use super::super::{Backend, Exit, Failure, Output};
use super::show::{print_troubles, sizes, states};
use super::{CompileArguments, failed};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::api::List;
use crate::daemon::compile_lists;
use crate::files::Files;
use crate::lists::{Accepted, Index, Outcome, Stage};

/// What came of compiling.
#[derive(Debug, Default, Serialize)]
pub(super) struct Compiled {
    /// The file.
    index: String,
    /// Different names in it.
    pub(super) names: u64,
    /// Different names that lists mention; those that a parent covers are left out.
    mentioned: u64,
    /// How often a list says of a name what it says of a parent already.
    folded: u64,
    /// Size of the file.
    pub(super) bytes: u64,
    /// How long it took.
    took_ms: u64,
    /// What was read of each list.
    lists: Vec<List>,
}

pub(super) fn run(
    arguments: &CompileArguments,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let config = backend.config(&arguments.place)?;
    let files = Files::disk();
    let store = &config.list_store;
    if arguments.out.is_none() {
        files.create_folder(&store.folder).map_err(failed)?;
    }
    let target = arguments.out.clone().unwrap_or_else(|| store.index());
    let memory = arguments.memory.unwrap_or(store.compile_memory);
    let compiled = compile(&config, memory, &[], &target, &files, output)?;
    if arguments.format.json {
        output.json(&compiled)?;
    } else {
        for list in &compiled.lists {
            print_troubles(list, output)?;
        }
        let done = output.paint(Style::Good, "compiled:");
        output.line(&format!(
            "{done} {} of {}, {}, after {} ms: {}",
            counted(compiled.names, "name", "names"),
            counted(compiled.lists.len() as u64, "list", "lists"),
            sizes(compiled.bytes, compiled.names),
            compiled.took_ms,
            plain(&compiled.index)
        ))?;
    }
    let is_whole = |list: &List| list.failure.is_none() && list.stale.is_none();
    if compiled.lists.iter().all(is_whole) {
        return Ok(());
    }
    // There is an index, but not of all that was asked for.
    Err(Failure::Said(Exit::Failed))
}

/// Compiles to `target`, with a bar; lists of `accept` are taken however much they shrank or grew.
pub(super) fn compile(
    config: &Config,
    memory: u64,
    accept: &[Accepted],
    target: &Path,
    files: &Files,
    output: &mut Output<'_>,
) -> Result<Compiled, Failure> {
    let clock = Clock::system();
    let started = clock.now();
    let mut bar = Progress::new(clock.clone(), output);
    // What a list said before stands in when it cannot be read now.
    let before = Index::open(files, &config.list_store.index()).ok();
    let mut tick = |progress: crate::lists::Progress| {
        let what = match progress.stage {
            Stage::Reading => "reading",
            Stage::Writing => "writing",
        };
        bar.show(what, progress.done, progress.total, output);
    };
    let before = before.as_ref();
    let done = compile_lists(config, files, before, memory, accept, target, &mut tick);
    bar.clear(output);
    let (outcome, warnings) = done.map_err(failed)?;
    for warning in warnings {
        output.note(&warning);
    }
    let Outcome {
        lists,
        totals,
        mentioned,
        folded,
        ..
    } = outcome;
    Ok(Compiled {
        index: target.display().to_string(),
        names: totals.names,
        mentioned,
        folded,
        bytes: totals.bytes,
        took_ms: u64::try_from(clock.now().since(started).as_millis()).unwrap_or(u64::MAX),
        lists: states(config, &lists, files),
    })
}
