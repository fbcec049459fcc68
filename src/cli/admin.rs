//! Verbs that change something in a running daemon: `reload`, `cache flush`.

use super::output::{Style, counted, plain};
use super::{Exit, Failure, Format, Output};
use crate::control::api::{Flushed, ReloadReport};
use crate::control::client::Client;

/// `hedgerow reload`.
pub(super) async fn reload(
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let report: ReloadReport = daemon.post("/api/v1/reload").await?;
    if format.json {
        output.json(&report)?;
    } else {
        print(&report, output)?;
    }
    if report.ok {
        Ok(())
    } else {
        // Of all that can go wrong with a reload, it is the configuration the caller can mend.
        Err(Failure::Said(Exit::BadConfig))
    }
}

fn print(report: &ReloadReport, output: &mut Output<'_>) -> std::io::Result<()> {
    for text in report.errors.iter().chain(&report.warnings) {
        output.complain_as_written(text);
    }
    if !report.ok {
        let failed = output.paint(Style::Bad, "failed");
        return output.line(&format!(
            "reload {failed}; generation {} still holds",
            report.config_generation
        ));
    }
    if report.changes.is_empty() {
        return output.line(&format!(
            "nothing changed; generation {} holds",
            report.config_generation
        ));
    }
    let done = output.paint(Style::Good, "took effect");
    output.line(&format!(
        "generation {} {done} after {} ms",
        report.config_generation, report.took_ms
    ))?;
    for change in &report.changes {
        output.line(&format!("  {}", plain(change)))?;
    }
    Ok(())
}

/// `hedgerow cache flush`.
pub(super) async fn flush_cache(
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let flushed: Flushed = daemon.post("/api/v1/cache/flush").await?;
    if format.json {
        return Ok(output.json(&flushed)?);
    }
    let answers = counted(flushed.entries, "answer", "answers");
    Ok(output.line(&format!("{answers} forgotten"))?)
}
