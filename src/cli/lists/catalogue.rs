//! `hedgerow lists catalogue`: public lists that can be subscribed to.

use super::super::output::{Cell, Table, counted, plain};
use super::super::{Exit, Failure, Output};
use super::CatalogueArguments;
use crate::config::{CatalogueEntry, catalogue};

pub(super) fn run(arguments: &CatalogueArguments, output: &mut Output<'_>) -> Result<(), Failure> {
    let wanted = |entry: &&CatalogueEntry| {
        let category = arguments.category.as_ref();
        category.is_none_or(|category| *category == entry.category)
    };
    let entries: Vec<&CatalogueEntry> = catalogue().iter().filter(wanted).collect();
    if entries.is_empty() {
        return nothing(arguments.category.as_deref().unwrap_or_default(), output);
    }
    if arguments.format.json {
        return Ok(output.json(&entries)?);
    }
    let mut table = Table::new(&["List", "Category", "Names", "Licence", "Title"]);
    for entry in &entries {
        table.row([
            Cell::text(&entry.id),
            Cell::text(&entry.category),
            Cell::number(entry.entries),
            Cell::text(&entry.licence),
            Cell::text(&entry.title),
        ]);
    }
    output.table(0, &table)?;
    if arguments.category.is_some() {
        for entry in &entries {
            output.line("")?;
            output.line(&plain(&entry.id))?;
            output.line(&format!("  {}", plain(&entry.note)))?;
            output.line(&format!("  {}", plain(&entry.homepage)))?;
        }
    }
    let count = counted(entries.len() as u64, "list", "lists");
    output.line("")?;
    output.line(&format!(
        "{count}; to use one write `catalogue = \"ID\"` under a `[[list]]` of its own"
    ))?;
    Ok(())
}

fn nothing(category: &str, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut known: Vec<&str> = catalogue().iter().map(|it| it.category.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    output.complain(
        &format!("the catalogue has no list of category `{category}`"),
        Some(&format!("known categories: {}", known.join(", "))),
    );
    Err(Failure::Said(Exit::Failed))
}
