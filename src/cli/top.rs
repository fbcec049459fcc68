//! `hedgerow top`.

use std::io::{self, Write};
use std::time::Duration;

use super::output::{Cell, Table, time};
use super::{Failure, Output, TopArguments};
use crate::control::api::{Ranked, Top};
use crate::control::client::Client;

/// How often the screen is drawn again.
const PERIOD: Duration = Duration::from_secs(2);
/// Cursor home, and clear from there.
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) async fn run(
    arguments: TopArguments,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let parameters = [("limit", Some(arguments.number.to_string()))];
    let is_live = output.out_is_terminal && !arguments.once && !arguments.format.json;
    loop {
        let top: Top = daemon.get("/api/v1/top", &parameters).await?;
        if arguments.format.json {
            return Ok(output.json(&top)?);
        }
        if is_live {
            write!(output.out, "{CLEAR}")?;
        }
        print(&top, output)?;
        if !is_live {
            return Ok(());
        }
        output.out.flush()?;
        tokio::time::sleep(PERIOD).await;
    }
}

fn print(top: &Top, output: &mut Output<'_>) -> io::Result<()> {
    let Some(since) = &top.since else {
        return output.line("The log is empty.");
    };
    output.line(&format!(
        "{} queries since {}, {} blocked",
        top.queries,
        time(since),
        top.blocked
    ))?;
    for (title, ranked) in [
        ("Devices", &top.devices),
        ("Blocked categories", &top.categories),
        ("Blocked or replaced", &top.blocked_names),
        ("Let through", &top.allowed_names),
    ] {
        print_ranking(title, ranked, output)?;
    }
    Ok(())
}

fn print_ranking(
    title: &'static str,
    ranked: &[Ranked],
    output: &mut Output<'_>,
) -> io::Result<()> {
    if ranked.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["Queries", title]);
    for place in ranked {
        table.row([Cell::number(place.count), Cell::text(&place.name)]);
    }
    output.line("")?;
    output.table(0, &table)
}
