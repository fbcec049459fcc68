//! `hedgerow lists`: look into lists, fetch, compile, check and compare them.
//!
//! A running daemon is asked where it knows more ([`show`], [`search`]) or where it must not be
//! gone round ([`update`]); without one, or with `--config`, the configuration and the files say
//! all there is.

mod catalogue;
mod compile;
mod delta;
mod export;
mod seal;
mod search;
mod show;
mod update;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Backend, BackendError, Failure, Format, Output};
use crate::config::{self, Config, ListStore};
use crate::control::api::ErrorBody;
use crate::control::client::{Client, ClientError};
use crate::files::Files;
use crate::lists::sealed::Day;
use crate::lists::{Index, ListFormat};

/// What can be done with lists.
#[derive(Debug, Subcommand)]
pub(super) enum ListsVerb {
    /// Show lists: what is in them, what could not be understood, how old they are
    Show(ShowArguments),
    /// Fetch new versions of lists and put them in force
    Update(UpdateArguments),
    /// Say which lists name a name or a parent of it, with the line, and for whom it counts
    Search(SearchArguments),
    /// Compile all lists into the index that is searched
    Compile(CompileArguments),
    /// Read the lists again and ask the index for every line, and for names that are near misses
    Verify(VerifyArguments),
    /// Write what is different between two versions of a list
    Diff(DiffArguments),
    /// Make the newer version of a list from the older one and a difference
    Apply(ApplyArguments),
    /// Write a compiled list in the syntax of another program
    Export(ExportArguments),
    /// Show public lists that can be subscribed to
    Catalogue(CatalogueArguments),
    /// Make a sealed list of the names on standard input, which nobody can read
    Seal(SealArguments),
}

/// Which configuration and files are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Place {
    /// Configuration file; no daemon is asked then
    #[arg(long, short, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Folder of the compiled lists and the last good copies; no daemon is asked then
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The list to show in full
    id: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArguments {
    /// The lists to look for; all that have an address unless said
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Fetch them even if nothing changed, and believe a list that shrank or grew a lot
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct SearchArguments {
    /// The name to search for
    name: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct CatalogueArguments {
    /// Only of this category
    #[arg(long)]
    category: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct CompileArguments {
    /// Memory it may take, as in 24MiB; `compile-memory` of the configuration unless said
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,
    /// Write the index here; into the state folder unless said
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The lists to compare; all unless said
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// The older version
    old: PathBuf,
    /// The newer version
    new: PathBuf,
    /// Write the difference here; to standard output unless said
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Syntax of both; detected unless said
    #[arg(long, value_name = "SYNTAX", value_parser = parse_format)]
    format: Option<ListFormat>,
    /// Print what is different as JSON
    #[arg(long, requires = "out")]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// The older version
    base: PathBuf,
    /// The difference, as `diff` wrote it
    delta: PathBuf,
    /// Write the newer version here; to standard output unless said
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Syntax of the older version; detected unless said
    #[arg(long, value_name = "SYNTAX", value_parser = parse_format)]
    format: Option<ListFormat>,
    /// Print what is different as JSON
    #[arg(long, requires = "out")]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The list; all blocklists as one unless said
    id: Option<String>,
    /// domains, hosts, adblock, dnsmasq, unbound or rpz; adblock unless said
    #[arg(long, value_name = "SYNTAX", value_parser = export::parse_syntax)]
    format: Option<ListFormat>,
    #[command(flatten)]
    place: Place,
    /// Print an entry a line as JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SealArguments {
    /// File with the key: 32 hexadecimal digits
    #[arg(long, value_name = "PATH")]
    key: PathBuf,
    /// Put the key into the list, for those who are not given it in another way
    #[arg(long)]
    with_key: bool,
    /// What people call the list
    #[arg(long)]
    title: String,
    /// Who makes it
    #[arg(long, value_name = "NAME")]
    issuer: String,
    /// Number of this edition: higher than that of the one before
    #[arg(long, value_name = "NUMBER")]
    serial: u64,
    /// The last day it should be used, as in 2026-12-31
    #[arg(long, value_name = "DATE", value_parser = parse_day)]
    expires: Option<Day>,
    /// Write the list here; to standard output unless said
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

/// Reads how much memory compiling may take.
fn parse_memory(text: &str) -> Result<u64, String> {
    config::size_of(text, ListStore::COMPILE_MEMORY)
}

/// Reads the syntax of a list.
fn parse_format(text: &str) -> Result<ListFormat, String> {
    let found = ListFormat::ALL.into_iter().find(|it| it.label() == text);
    found.ok_or_else(|| {
        let known = ListFormat::ALL.map(ListFormat::label);
        format!("known syntaxes: {}", known.join(", "))
    })
}

/// Reads a date.
fn parse_day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "write it as in 2026-12-31".to_owned())
}

/// Does what was typed.
pub(super) fn run(
    verb: ListsVerb,
    daemon: &Client,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match verb {
        ListsVerb::Show(show) => show::run(&show, daemon, backend, output),
        ListsVerb::Update(update) => update::run(&update, daemon, backend, output),
        ListsVerb::Search(search) => search::run(&search, daemon, backend, output),
        ListsVerb::Compile(compile) => compile::run(&compile, backend, output),
        ListsVerb::Verify(verify) => verify::run(&verify, backend, output),
        ListsVerb::Diff(diff) => delta::run_diff(&diff, output),
        ListsVerb::Apply(apply) => delta::run_apply(&apply, output),
        ListsVerb::Export(export) => export::run(&export, backend, output),
        ListsVerb::Catalogue(catalogue) => catalogue::run(&catalogue, output),
        ListsVerb::Seal(seal) => seal::run(&seal, std::io::stdin().lock(), output),
    }
}

impl Place {
    /// Whether a running daemon is not to be asked.
    fn is_named(&self) -> bool {
        self.config.is_some() || self.state.is_some()
    }
}

/// Asks the daemon, or, where none runs or a place is named, the configuration and the files.
fn daemon_or_files<T>(
    place: &Place,
    backend: &dyn Backend,
    output: &mut Output<'_>,
    ask: impl AsyncFnOnce() -> Result<T, ClientError>,
    look: impl FnOnce(&Config, &mut Output<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if !place.is_named() {
        match super::waited(ask())? {
            Err(ClientError::NotRunning { .. }) => {
                output.note("no daemon answers; this is what the configuration and the files say");
            }
            Ok(answer) => return Ok(answer),
            Err(error) => return Err(error.into()),
        }
    }
    let config = backend.config(place)?;
    look(&config, output)
}

/// The index of `store`.
fn index_of(store: &ListStore, files: &Files) -> Result<Index, Failure> {
    Index::open(files, &store.index()).map_err(|error| {
        let help = "`hedgerow lists compile` makes an index";
        refused(error.to_string(), help)
    })
}

/// What went wrong, in words.
fn failed(error: impl ToString) -> Failure {
    refused(error.to_string(), "")
}

/// What went wrong and what to do about it.
fn refused(error: String, help: &str) -> Failure {
    BackendError::Failed(ErrorBody::new(error, help)).into()
}
