//! `hedgerow lists diff` and `apply`: what is different between two versions of a list.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use super::super::output::{counted, plain};
use super::super::{Failure, Output};
use super::{ApplyArguments, DiffArguments, failed};
use crate::files::{Draft, Files};
use crate::lists::parse::ReadOptions;
use crate::update::{DeltaError, DeltaSummary, Workshop, apply, diff};

/// Octets of memory for sorting.
const MEMORY: usize = 16 << 20;

/// `hedgerow lists diff`.
pub(super) fn run_diff(arguments: &DiffArguments, output: &mut Output<'_>) -> Result<(), Failure> {
    let files = Files::disk();
    let old = files.open(&arguments.old).map_err(failed)?;
    let new = files.open(&arguments.new).map_err(failed)?;
    let options = ReadOptions::format(arguments.format);
    let summary = write(&files, arguments.out.as_deref(), output, |workshop, out| {
        diff(old, new, &options, workshop, out)
    })?;
    tell(&summary, arguments.json, arguments.out.as_deref(), output)
}

/// `hedgerow lists apply`.
pub(super) fn run_apply(
    arguments: &ApplyArguments,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let files = Files::disk();
    let base = files.open(&arguments.base).map_err(failed)?;
    let delta: Box<dyn Read> = files.open(&arguments.delta).map_err(failed)?;
    let options = ReadOptions::format(arguments.format);
    let summary = write(&files, arguments.out.as_deref(), output, |workshop, out| {
        apply(base, delta, &options, workshop, out)
    })?;
    tell(&summary, arguments.json, arguments.out.as_deref(), output)
}

/// Lets `work` write to the file `path`, whole or not at all, or to the output.
fn write(
    files: &Files,
    path: Option<&Path>,
    output: &mut Output<'_>,
    work: impl FnOnce(&Workshop<'_>, &mut dyn Write) -> Result<DeltaSummary, DeltaError>,
) -> Result<DeltaSummary, Failure> {
    let folder = std::env::temp_dir();
    let workshop = Workshop {
        files,
        folder: &folder,
        memory: MEMORY,
    };
    let Some(path) = path else {
        return work(&workshop, &mut output.out).map_err(failed);
    };
    let mut draft = BufWriter::new(files.draft(path).map_err(failed)?);
    let summary = work(&workshop, &mut draft).map_err(failed)?;
    commit(draft).map_err(|error| failed(format!("{}: cannot write: {error}", path.display())))?;
    Ok(summary)
}

/// Puts what was written at its place.
fn commit(draft: BufWriter<Box<dyn Draft>>) -> io::Result<()> {
    draft
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .commit()
}

/// Says what is different: beside the result where that goes to the output.
fn tell(
    summary: &DeltaSummary,
    json: bool,
    out: Option<&Path>,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if json {
        return Ok(output.json(summary)?);
    }
    let rules = counted(summary.rules, "rule", "rules");
    let text = format!(
        "{} added, {} removed, {rules} in the new version",
        summary.added, summary.removed
    );
    match out {
        None => output.note(&text),
        Some(path) => {
            let path = plain(&path.display().to_string());
            output.line(&format!("{path}: {text}"))?;
        }
    }
    Ok(())
}
