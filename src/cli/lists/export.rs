//! `hedgerow lists export`: from the index to the syntax of another program.

use serde::Serialize;

use super::super::output::counted;
use super::super::{Backend, Failure, Output};
use super::{ExportArguments, index_of, refused};
use crate::files::Files;
use crate::lists::export::{Exported, Selection, export, items};
use crate::lists::{Effect, Index, Item, ListFormat, ListInfo, ListKind, Reach};

/// One entry, a line of JSON.
#[derive(Debug, Serialize)]
struct Line {
    /// `subtree`, `exact` or `below` a name, `pattern` or `address`.
    reach: &'static str,
    /// The name, the pattern's text or the prefix.
    what: String,
    /// `listed` or `excepted`.
    effect: &'static str,
    /// The whole of it.
    rule: String,
}

pub(super) fn run(
    arguments: &ExportArguments,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let config = backend.config(&arguments.place)?;
    let index = index_of(&config.list_store, &Files::disk())?;
    let selection = match &arguments.id {
        None => Selection::Blocklists,
        Some(id) => select(id, &index)?,
    };
    let syntax = arguments.format.unwrap_or(ListFormat::Adblock);
    let done = if arguments.json {
        items(&index, selection, |item| output.json_line(&line(item)))?
    } else {
        export(&index, selection, syntax, &mut output.out)?
    };
    if let Some(trouble) = index.trouble() {
        let why = format!("not all of the lists was written: {trouble}");
        return Err(refused(why, "`hedgerow lists compile` makes an index"));
    }
    tell(&done, syntax, selection, output);
    Ok(())
}

fn select(id: &str, index: &Index) -> Result<Selection, Failure> {
    let known = || {
        let open = |kind| kind != ListKind::Sealed;
        let shown = |list: &ListInfo| open(list.kind) && list.service.is_none();
        let lists = index.lists().filter(|(_, list)| shown(list));
        let ids: Vec<&str> = lists.map(|(_, list)| list.id).collect();
        format!("lists in the index: {}, and services", ids.join(", "))
    };
    let Some(list) = index.find(id).or_else(|| index.find_service(id)) else {
        return Err(refused(
            format!("there is no list `{id}` in the index"),
            &known(),
        ));
    };
    if index.list(list).kind == ListKind::Sealed {
        return Err(refused(
            format!("list `{id}` is sealed"),
            "the names of a sealed list are shown nowhere",
        ));
    }
    Ok(Selection::List(list))
}

/// Says what the syntax could not say.
fn tell(done: &Exported, syntax: ListFormat, selection: Selection, output: &mut Output<'_>) {
    if done.left_out == 0 {
        return;
    }
    let left_out = counted(done.left_out, "entry", "entries");
    output.note(&match selection {
        Selection::List(_) => format!("{left_out} left out that {syntax} cannot say"),
        Selection::Blocklists => format!(
            "{left_out} left out: exceptions, which would count for all lists, and what {syntax} \
             cannot say"
        ),
    });
}

fn line(item: &Item) -> Line {
    let (reach, what, effect) = match item {
        Item::Name(entry) => {
            let reach = match entry.reach {
                Reach::Subtree => "subtree",
                Reach::Exact => "exact",
                Reach::Below => "below",
            };
            (reach, entry.name.to_string(), entry.effect)
        }
        Item::Pattern(pattern) => ("pattern", pattern.text.clone(), pattern.effect),
        Item::Address(entry) => ("address", entry.prefix.to_string(), entry.effect),
        // Never handed out.
        Item::Sealed(_) => ("sealed", String::new(), Effect::Listed),
    };
    let effect = match effect {
        Effect::Listed => "listed",
        Effect::Excepted => "excepted",
    };
    Line {
        reach,
        what,
        effect,
        rule: item.to_string(),
    }
}

/// Reads a syntax that lists can be written in.
pub(super) fn parse_syntax(text: &str) -> Result<ListFormat, String> {
    let known = ListFormat::ALL
        .into_iter()
        .filter(|it| crate::lists::export::can_export(*it));
    known
        .clone()
        .find(|format| format.label() == text)
        .ok_or_else(|| {
            let known: Vec<&str> = known.map(ListFormat::label).collect();
            format!("known syntaxes: {}", known.join(", "))
        })
}
