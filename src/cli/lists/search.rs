//! `hedgerow lists search`: which lists name it, with the line, and for whom it counts.

use std::io;

use super::super::output::{Style, padded, plain};
use super::super::{Backend, Failure, Output};
use super::{SearchArguments, daemon_or_files};
use crate::control::ListSearchQuery;
use crate::control::api::{ListMatch, ListSearch, VoiceEffect};
use crate::control::client::Client;
use crate::daemon::search_lists;
use crate::files::Files;
use crate::lists::Index;

pub(super) fn run(
    arguments: &SearchArguments,
    daemon: &Client,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let query = ListSearchQuery {
        name: arguments.name.clone(),
    };
    // A mistake in the name is found here, whoever answers.
    let name = query.parse()?;
    let parameters = [("name", Some(query.name))];
    let search: ListSearch = daemon_or_files(
        &arguments.place,
        backend,
        output,
        async || daemon.get("/api/v1/lists/search", &parameters).await,
        |config, _| {
            let files = Files::disk();
            let index = Index::open(&files, &config.list_store.index()).ok();
            let mut search = search_lists(config, index.as_ref(), &files, name.as_ref());
            if index.is_some_and(|index| index.sealed_lists().next().is_some()) {
                search.notes.push(NO_KEYS.to_owned());
            }
            Ok(search)
        },
    )?;
    if arguments.format.json {
        return Ok(output.json(&search)?);
    }
    Ok(print(&search, output)?)
}

fn print(search: &ListSearch, output: &mut Output<'_>) -> io::Result<()> {
    let name = plain(&search.name);
    if search.found.is_empty() {
        output.line(&format!("no list names {name} or a parent of it"))?;
    }
    for line in &search.found {
        print_match(line, output)?;
    }
    for note in &search.notes {
        output.note(note);
    }
    Ok(())
}

fn print_match(line: &ListMatch, output: &mut Output<'_>) -> io::Result<()> {
    let style = match line.effect {
        VoiceEffect::Block => Style::Bad,
        VoiceEffect::Exception => Style::Odd,
        _ => Style::Good,
    };
    let effect = output.paint(style, &padded(line.effect.label(), 9));
    let Some(list) = &line.list else {
        return output.line(&format!("{effect}  a sealed list, for everybody"));
    };
    let mut text = format!("{effect}  {} ({})", plain(list), plain(&line.category));
    if let Some(rule) = &line.rule {
        text.push_str(&format!(": `{}`", plain(rule)));
    }
    output.line(&text)?;
    if let (Some(file), Some(number)) = (&line.file, line.line) {
        output.line(&format!("           {}:{number}", plain(file)))?;
    }
    if let Some(note) = &line.note {
        output.line(&format!("           {}", plain(note)))?;
    }
    let whom = if line.everybody {
        "for everybody".to_owned()
    } else if line.profiles.is_empty() {
        "for nobody: no profile uses the list".to_owned()
    } else {
        format!("for {}", plain(&line.profiles.join(", ")))
    };
    output.line(&format!("           {whom}"))
}

/// What is told where there are sealed lists and no daemon answers.
const NO_KEYS: &str = "sealed lists were not asked: only the daemon has their keys";
