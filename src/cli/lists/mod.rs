//! `hedgerow lists`: look into lists, fetch, compile, check and compare them.
//!
//! A running daemon is asked where it knows more ([`show`], [`search`]) or where it must not be
//! gone round ([`update`]); without one, or with `--config`, the configuration and the files say
//! all there is.

mod catalogue;
mod search;
mod show;
mod update;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Backend, Failure, Format, Output};
use crate::config::Config;
use crate::control::client::{Client, ClientError};

/// What can be done with lists.
#[derive(Debug, Subcommand)]
pub(super) enum ListsVerb {
    /// Show lists: what is in them, what could not be understood, how old they are
    Show(ShowArguments),
    /// Fetch new versions of lists and put them in force
    Update(UpdateArguments),
    /// Say which lists name a name or a parent of it, with the line, and for whom it counts
    Search(SearchArguments),
    /// Show public lists that can be subscribed to
    Catalogue(CatalogueArguments),
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
        ListsVerb::Catalogue(catalogue) => catalogue::run(&catalogue, output),
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
