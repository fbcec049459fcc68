//! `hedgerow lists verify`: whether the index says what the lists say.

use serde::Serialize;

use super::super::output::{Style, counted, plain};
use super::super::progress::Progress;
use super::super::{Backend, Exit, Failure, Output};
use super::{VerifyArguments, index_of, refused};
use crate::clock::Clock;
use crate::daemon::list_specs;
use crate::files::Files;
use crate::lists::{VerifyReport, verify};

/// What came of comparing.
#[derive(Debug, Serialize)]
struct Verified {
    /// What lines say, each asked of the index.
    replayed: u64,
    /// What lines say and no index holds: protected names, and what there is no room for.
    left_out: u64,
    /// Names asked for the sake of what must not be said.
    near_misses: u64,
    /// How often the index says something else.
    differences: u64,
    /// The first of these.
    first: Vec<Difference>,
    /// Lists that could not be compared.
    skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
struct Difference {
    list: &'static str,
    /// The line, from 1; none for a name of the sample.
    line: Option<u32>,
    text: String,
}

#[derive(Debug, Serialize)]
struct Skipped {
    list: &'static str,
    why: String,
}

pub(super) fn run(
    arguments: &VerifyArguments,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let config = backend.config(&arguments.place)?;
    let files = Files::disk();
    let index = index_of(&config.list_store, &files)?;
    let specs = list_specs(&config);
    for id in &arguments.ids {
        if !specs.iter().any(|spec| spec.id == *id) {
            let known: Vec<&str> = specs.iter().map(|spec| spec.id.as_str()).collect();
            return Err(refused(
                format!("there is no list `{id}`"),
                &format!("known lists: {}", known.join(", ")),
            ));
        }
    }
    let compared = match arguments.ids.as_slice() {
        [] => specs.len(),
        ids => specs.iter().filter(|spec| ids.contains(&spec.id)).count(),
    };
    let mut bar = Progress::new(Clock::system(), output);
    let report = verify(&specs, &arguments.ids, &files, &index, &mut |progress| {
        bar.show("comparing", progress.done, progress.total, output);
    });
    bar.clear(output);
    let verified = Verified::from(report);
    if arguments.format.json {
        output.json(&verified)?;
    } else {
        print(&verified, compared, output)?;
    }
    if verified.differences == 0 {
        return Ok(());
    }
    Err(Failure::Said(Exit::Failed))
}

fn print(verified: &Verified, lists: usize, output: &mut Output<'_>) -> std::io::Result<()> {
    for difference in &verified.first {
        let line = difference
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        let text = plain(&difference.text);
        let label = output.paint(Style::Bad, "different:");
        output.line(&format!("{label} {}{line}: {text}", plain(difference.list)))?;
    }
    let more = verified
        .differences
        .saturating_sub(verified.first.len() as u64);
    if more > 0 {
        output.line(&format!("and {more} more"))?;
    }
    for skipped in &verified.skipped {
        let label = output.paint(Style::Odd, "skipped:");
        let why = plain(&skipped.why);
        output.line(&format!("{label} {}: {why}", plain(skipped.list)))?;
    }
    if verified.left_out > 0 {
        let left_out = counted(verified.left_out, "entry", "entries");
        output.note(&format!(
            "{left_out} left out: protected names, and what there is no room for; `lists show` \
             has their lines"
        ));
    }
    let style = match verified.differences {
        0 => Style::Good,
        _ => Style::Bad,
    };
    let found = counted(verified.differences, "difference", "differences");
    let found = output.paint(style, &found);
    output.line(&format!(
        "{}, {} of their lines and {} near misses asked: {found}",
        counted(
            lists as u64 - verified.skipped.len() as u64,
            "list",
            "lists"
        ),
        verified.replayed,
        verified.near_misses,
    ))
}

impl From<VerifyReport> for Verified {
    fn from(report: VerifyReport) -> Self {
        let first = report.first.into_iter().map(|difference| Difference {
            list: difference.list,
            line: difference.line,
            text: difference.text,
        });
        let skipped = report.skipped.into_iter();
        Self {
            replayed: report.replayed,
            left_out: report.left_out,
            near_misses: report.near_misses,
            differences: report.differences,
            first: first.collect(),
            skipped: skipped.map(|(list, why)| Skipped { list, why }).collect(),
        }
    }
}
