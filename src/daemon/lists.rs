//! What is known of the lists, and new versions of them, with or without a running daemon.

use std::path::Path;

use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::control::api::{BadLine, List, ListSummary, ListUpdated, ListUpdates};
use crate::control::{ControlError, ListUpdateRequest};
use crate::files::Files;
use crate::lists::{
    self, Accepted, CompileError, Index, LineNote, ListInfo, ListSource, ListSpec, Progress,
    Settings, Target,
};
use crate::reload::{self, note_sources, specs_to_compile, tier_of};
use crate::update::{ListState, ListUpdateSpec, Outcome, SignatureSpec, UpdateResult};

/// The lists of `config` as far as what was `compiled` and the states of their updates tell, in its
/// order.
///
/// `state` gives what is known of the updates of a list and, where a daemon runs, the seconds until
/// the next attempt.
pub fn list_states<'i>(
    config: &Config,
    compiled: impl IntoIterator<Item = &'i ListInfo>,
    now: Timestamp,
    state: impl Fn(&str) -> (Option<ListState>, Option<u64>),
) -> Vec<List> {
    let compiled: Vec<&ListInfo> = compiled.into_iter().collect();
    let lists = config.lists.iter().map(|list| {
        let is_it = |info: &&&ListInfo| info.service.is_none() && info.id == list.id;
        let info = compiled.iter().find(is_it).copied();
        let updates = list.download.as_ref().map(|download| {
            let (state, next_s) = state(&list.id);
            updates(download, state.unwrap_or_default(), next_s, now)
        });
        list_state(list, info, updates)
    });
    lists.collect()
}

/// What is known of one list.
fn list_state(list: &config::List, info: Option<&ListInfo>, updates: Option<ListUpdates>) -> List {
    let origin = match (&list.download, &list.source) {
        (Some(download), _) => download.url.clone(),
        (None, ListSource::File(path)) => path.display().to_string(),
        (None, ListSource::Embedded(name)) => format!("embedded blocklists/{name}"),
        (None, ListSource::Inline(_)) => "configuration".to_owned(),
    };
    let whole = List {
        id: list.id.clone(),
        category: list.category.clone(),
        kind: list.kind.label().to_owned(),
        tier: tier_of(list).label().to_owned(),
        origin,
        format: list.format.map(|format| format.label().to_owned()),
        updates,
        ..List::default()
    };
    let Some(info) = info else {
        return whole;
    };
    List {
        title: info.head.as_ref().and_then(|head| head.title.clone()),
        format: info.format.map(|format| format.label().to_owned()),
        entries: info.entries,
        bad_lines: info.bad_lines,
        first_errors: notes(&info.first_errors),
        flagged_lines: info.flagged_lines,
        first_flags: notes(&info.first_flags),
        failure: info.failure.clone().map(|failure| match &whole.updates {
            // Not a file that is missing: nobody put one there yet.
            Some(updates) if updates.bytes == 0 => match &updates.error {
                Some(error) => format!("not fetched yet: {error}"),
                None => "not fetched yet; `hedgerow lists update` does that".to_owned(),
            },
            _ => failure,
        }),
        stale: info.stale.clone(),
        ..whole
    }
}

/// Lines of a list that somebody should look at.
fn notes(notes: &[LineNote]) -> Vec<BadLine> {
    let notes = notes.iter().map(|note| BadLine {
        line: note.line,
        error: note.text.clone(),
    });
    notes.collect()
}

fn updates(
    download: &config::Download,
    state: ListState,
    next_s: Option<u64>,
    now: Timestamp,
) -> ListUpdates {
    let fetched: Option<Timestamp> = state.fetched.as_deref().and_then(|at| at.parse().ok());
    // A clock that was set back says nothing of ages.
    let age = fetched.map(|at| now.as_second() - at.as_second());
    ListUpdates {
        url: download.url.clone(),
        every_s: download.every.as_secs(),
        signed: download.signature.is_some(),
        bytes: state.bytes,
        fetched: state.fetched,
        age_s: age.and_then(|age| u64::try_from(age).ok()),
        checked: state.checked,
        next_s,
        error: state.error,
        failures: state.failures,
        protected: state.protected,
    }
}

/// The lists of an index in short.
pub fn list_summary(index: &Index) -> ListSummary {
    let ids = |wanted: fn(&ListInfo) -> bool| {
        let lists = index.lists().filter(|(_, list)| wanted(list));
        lists.map(|(_, list)| list.id.to_owned()).collect()
    };
    ListSummary {
        // Services are shown by themselves.
        count: index.lists().filter(|(_, it)| it.service.is_none()).count() as u64,
        names: index.name_count() as u64,
        bytes: index.file_bytes(),
        failed: ids(|list| list.failure.is_some()),
        stale: ids(|list| list.stale.is_some()),
    }
}

/// What the compiler needs to know of all lists of `config`.
pub fn list_specs(config: &Config) -> Vec<ListSpec> {
    reload::list_specs(config)
}

/// Compiles the lists of `config` to the file `target`, in `memory` octets. Lists that cannot be
/// loaded keep what they said in the index `before`; those of `accept` are taken however much they
/// shrank or grew. The second of the two says what went wrong without keeping the index from its
/// place.
///
/// # Errors
/// [`CompileError`]; the file is as it was then.
pub fn compile_lists(
    config: &Config,
    files: &Files,
    before: Option<&Index>,
    memory: u64,
    accept: &[Accepted],
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(lists::Outcome, Vec<String>), CompileError> {
    let specs = specs_to_compile(config, files);
    let sources = lists::recipe(&specs, files);
    let store = &config.list_store;
    let (folder, elsewhere) = store.make_work_folder(files);
    let settings = Settings {
        memory: usize::try_from(memory).unwrap_or(usize::MAX),
        folder: Some(folder),
        accept: accept.to_vec(),
    };
    let done = lists::compile(
        &specs,
        &settings,
        files,
        before,
        progress,
        &|| false,
        Target::File(target),
    )?;
    let mut warnings = Vec::from_iter(elsewhere);
    if target == store.index() {
        warnings.extend(note_sources(store, files, &sources)?);
    }
    Ok((done, warnings))
}

/// What the updater needs to know of the lists of `config` that have an address.
pub fn update_specs(config: &Config) -> Vec<ListUpdateSpec> {
    let lists = config.lists.iter();
    let specs = lists.filter_map(|list| {
        let download = list.download.as_ref()?;
        Some(ListUpdateSpec {
            id: list.id.clone(),
            kind: list.kind,
            url: download.url.clone(),
            format: list.format,
            member: list.member.clone(),
            interval: download.every,
            max_bytes: download.max_bytes,
            allow_private: download.allow_private,
            signature: download.signature.as_ref().map(|signature| SignatureSpec {
                keys: signature.keys.clone(),
                url: signature.url.clone(),
            }),
            delta_url: download.delta_url.clone(),
        })
    });
    specs.collect()
}

/// The lists of `config` with these ids, to be taken as their files are now.
pub fn accept_lists(ids: &[String], config: &Config, files: &Files) -> Vec<Accepted> {
    Accepted::now(ids, &list_specs(config), files)
}

/// The lists `request` is about, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedLists {
    /// Ids of those that are fetched.
    pub fetch: Vec<String>,
    /// Ids of those in files here, which are taken however much they shrank or grew.
    pub accept: Vec<String>,
}

/// The lists `request` is about.
///
/// # Errors
/// [`ControlError::NotFound`] for an id that no list has, or one without an address unless it is
/// to be taken as it is.
pub fn wanted_lists(
    config: &Config,
    request: &ListUpdateRequest,
) -> Result<WantedLists, ControlError> {
    let with_address = || config.lists.iter().filter(|list| list.download.is_some());
    let mut wanted = WantedLists::default();
    if request.ids.is_empty() {
        wanted.fetch = with_address().map(|list| list.id.clone()).collect();
        return Ok(wanted);
    }
    for id in &request.ids {
        let list = config.lists.iter().find(|list| list.id == *id);
        let in_file = |list: &config::List| matches!(list.source, ListSource::File(_));
        let ids = match list {
            Some(list) if list.download.is_some() => &mut wanted.fetch,
            Some(list) if request.force && in_file(list) => &mut wanted.accept,
            _ => {
                let known: Vec<&str> = with_address().map(|list| list.id.as_str()).collect();
                let id = id.escape_debug();
                let error = if list.is_some() {
                    format!("list `{id}` has no address to fetch it from")
                } else {
                    format!("there is no list `{id}`")
                };
                let help = if known.is_empty() {
                    "no list of the configuration has a `url`".to_owned()
                } else {
                    format!("lists with an address: {}", known.join(", "))
                };
                return Err(ControlError::not_found(error, help));
            }
        };
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    Ok(wanted)
}

/// What came of taking the list `id` of a file as it is, as far as `compiled` tells.
pub fn accepted(id: &str, compiled: Option<&ListInfo>) -> ListUpdated {
    let trouble = compiled.and_then(|info| info.failure.clone().or_else(|| info.stale.clone()));
    ListUpdated {
        id: id.to_owned(),
        outcome: if trouble.is_some() {
            "failed".to_owned()
        } else {
            "accepted".to_owned()
        },
        entries: compiled.map(|info| info.entries),
        error: trouble,
        ..ListUpdated::default()
    }
}

/// What came of one list, for people and programs.
pub fn updated(result: UpdateResult) -> ListUpdated {
    let told = ListUpdated {
        id: result.id,
        failures: result.failures,
        next_s: result.next.as_secs(),
        ..ListUpdated::default()
    };
    match result.outcome {
        Outcome::Updated {
            entries,
            before,
            downloaded,
            by_delta,
            bad_lines,
            protected,
        } => ListUpdated {
            outcome: "updated".to_owned(),
            entries: Some(entries),
            before,
            downloaded,
            by_delta,
            bad_lines,
            protected,
            ..told
        },
        Outcome::Unchanged => ListUpdated {
            outcome: "unchanged".to_owned(),
            ..told
        },
        Outcome::Failed(error) => ListUpdated {
            outcome: "failed".to_owned(),
            error: Some(error),
            ..told
        },
    }
}
