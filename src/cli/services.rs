//! `hedgerow service`: the services that come with the program, and what blocking one means.

use serde::Serialize;

use super::output::{Cell, Table, counted};
use super::{Exit, Failure, Format, Output};
use crate::lists::services::{self, GROUPS, Service};

/// A service as JSON shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    id: &'static str,
    title: &'static str,
    group: &'static str,
    category: &'static str,
    minimum_age: Option<u8>,
    alone_from: Option<u8>,
    #[serde(skip_serializing_if = "str::is_empty")]
    age_note: &'static str,
    breaks: &'static str,
    names: Vec<&'static str>,
    shared: Vec<ShownShared>,
}

/// A name it shares with others.
#[derive(Debug, Serialize)]
struct ShownShared {
    name: &'static str,
    with: Vec<&'static str>,
    why: &'static str,
}

impl From<&Service> for Shown {
    fn from(service: &Service) -> Self {
        let shared = service.shared().map(|shared| ShownShared {
            name: shared.name,
            with: shared.with().collect(),
            why: shared.why,
        });
        Self {
            id: service.id,
            title: service.title,
            group: service.group.id,
            category: service.category(),
            minimum_age: service.minimum_age,
            alone_from: service.alone_from,
            age_note: service.age_note,
            breaks: service.breaks,
            names: service.names().collect(),
            shared: shared.collect(),
        }
    }
}

/// `hedgerow service list`.
pub(super) fn list(
    group: Option<&str>,
    format: Format,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if let Some(group) = group.filter(|it| GROUPS.iter().all(|known| known.id != *it)) {
        let known = GROUPS.map(|group| group.id).join(", ");
        output.complain(
            &format!("there is no group `{group}`"),
            Some(&format!("known groups: {known}")),
        );
        return Err(Failure::Said(Exit::Failed));
    }
    let wanted = services::all().filter(|it| group.is_none_or(|group| it.group.id == group));
    let wanted: Vec<Service> = wanted.collect();
    if format.json {
        let shown: Vec<Shown> = wanted.iter().map(Shown::from).collect();
        return Ok(output.json(&shown)?);
    }
    let mut table = Table::new(&["Service", "Title", "Group", "Category", "From age"]);
    for service in &wanted {
        table.row([
            Cell::text(service.id),
            Cell::text(service.title),
            Cell::text(service.group.id),
            Cell::text(service.category()),
            Cell::number(service.minimum_age.map(u64::from)),
        ]);
    }
    output.table(0, &table)?;
    Ok(output.line(&counted(wanted.len() as u64, "service", "services"))?)
}

/// `hedgerow service show`.
pub(super) fn show(id: &str, format: Format, output: &mut Output<'_>) -> Result<(), Failure> {
    let Some(service) = services::find(id) else {
        output.complain(
            &format!("there is no service `{id}`"),
            Some("`hedgerow service list` shows those there are"),
        );
        return Err(Failure::Said(Exit::Failed));
    };
    if format.json {
        return Ok(output.json(&Shown::from(&service))?);
    }
    let mut facts = vec![
        ("service", service.id.to_owned()),
        ("title", service.title.to_owned()),
        ("group", service.group.title.to_owned()),
        ("category", service.category().to_owned()),
        ("breaks", service.breaks.to_owned()),
    ];
    facts.extend(ages(&service).map(|ages| ("ages", ages)));
    facts.push(("names", service.names().collect::<Vec<_>>().join(", ")));
    for shared in service.shared() {
        let with = shared.with().collect::<Vec<_>>().join(", ");
        let text = format!("{} with {with}: {}", shared.name, shared.why);
        facts.push(("shared", text));
    }
    Ok(output.facts(&facts)?)
}

/// What its terms say of ages.
fn ages(service: &Service) -> Option<String> {
    let least = service.minimum_age.map(|age| match age {
        0 => "any age".to_owned(),
        age => format!("from {age}"),
    });
    let alone = service.alone_from.map(|age| format!("alone from {age}"));
    let note = (!service.age_note.is_empty()).then(|| service.age_note.to_owned());
    let all: Vec<String> = least.into_iter().chain(alone).chain(note).collect();
    (!all.is_empty()).then(|| all.join(", "))
}
