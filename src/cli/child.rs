//! `reveal`, `reveals` and `child`: names that are kept for a while, and what a child can see of the rules.

use clap::{Args, Subcommand};

use super::family::{change, grant_state};
use super::output::{Cell, Table, plain, span, time};
use super::{Failure, Format, Output};
use crate::control::api::{ChildStatus, Grant};
use crate::control::client::Client;

#[derive(Debug, Args)]
pub(super) struct RevealArguments {
    /// Whose names
    #[arg(long)]
    profile: String,
    /// Why; the child reads it
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// How long, 10m to 24h
    #[arg(long = "for", value_name = "TIME")]
    time: String,
    /// Who says so, beside the account of the caller
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
pub(super) enum RevealsVerb {
    /// List the reveals that hold, with who said it and why
    List {
        /// Also those of the last 90 days
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: Format,
    },
    /// End a reveal before its time
    End {
        /// Its number
        id: u32,
        /// Who says so, beside the account of the caller
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ChildVerb {
    /// Show what holds for the child with a device, and what was revealed
    Status {
        /// The device
        #[arg(long)]
        device: String,
        #[command(flatten)]
        format: Format,
    },
}

/// `hedgerow reveal`.
pub(super) async fn reveal(
    arguments: RevealArguments,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let parameters = [
        ("profile", Some(arguments.profile)),
        ("for", Some(arguments.time)),
        ("why", Some(arguments.why)),
        ("by", arguments.by),
    ];
    let path = "/api/v1/reveals";
    change(path, &parameters, arguments.format, daemon, output).await
}

/// `hedgerow reveals`.
pub(super) async fn reveals(
    verb: RevealsVerb,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let (all, format) = match verb {
        RevealsVerb::End { id, by, format } => {
            let reveal = Some(true.to_string());
            let parameters = [("id", Some(id.to_string())), ("reveal", reveal), ("by", by)];
            let path = "/api/v1/grants/undo";
            return change(path, &parameters, format, daemon, output).await;
        }
        RevealsVerb::List { all, format } => (all, format),
    };
    let parameters = [("all", Some(all.to_string()))];
    let reveals: Vec<Grant> = daemon.get("/api/v1/reveals", &parameters).await?;
    if format.json {
        return Ok(output.json(&reveals)?);
    }
    if reveals.is_empty() {
        return Ok(output.line("no names are revealed")?);
    }
    Ok(output.table(0, &table(&reveals))?)
}

/// `hedgerow child`.
pub(super) async fn child(
    verb: ChildVerb,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let ChildVerb::Status { device, format } = verb;
    let parameters = [("device", Some(device))];
    let status: ChildStatus = daemon.get("/api/v1/child", &parameters).await?;
    if format.json {
        return Ok(output.json(&status)?);
    }
    let mut facts = vec![
        ("device", plain(&status.device)),
        ("profile", plain(&status.profile)),
        ("preset", plain(&status.preset)),
        ("privacy", plain(&status.privacy)),
        ("what others see", plain(&status.seen)),
    ];
    if let Some(growth) = &status.growth {
        facts.push(("growing up", plain(&growth.next())));
    }
    for quota in &status.quotas {
        let text = format!("{}: {} left", plain(&quota.quota), span(quota.left_s));
        facts.push(("quota", text));
    }
    for request in &status.requests {
        let text = format!("{}: {}", plain(&request.subject), plain(&request.state));
        facts.push(("asked for", text));
    }
    output.facts(&facts)?;
    if status.reveals.is_empty() {
        return Ok(output.line("no names were revealed")?);
    }
    Ok(output.table(0, &table(&status.reveals))?)
}

fn table(reveals: &[Grant]) -> Table {
    let mut table = Table::new(&["Number", "Profile", "Since", "Until", "By", "Why", "State"]);
    for reveal in reveals {
        table.row([
            Cell::number(u64::from(reveal.id)),
            Cell::text(reveal.profile.as_deref().unwrap_or_default()),
            Cell::text(&time(&reveal.since)),
            Cell::text(&time(&reveal.until)),
            Cell::text(&reveal.by),
            Cell::text(&reveal.why),
            Cell::text(&grant_state(reveal)),
        ]);
    }
    table
}
