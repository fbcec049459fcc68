//! Keeping lists up to date.

mod address;
mod delta;
mod fetch;
mod lookup;
mod schedule;
mod signature;
mod sorted;
mod spec;
mod state;
mod tls;
mod url;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use delta::{DeltaError, DeltaSummary, apply, diff, version};
pub use fetch::{FetchError, Phase, Timeouts};
pub use lookup::{Resolve, SystemResolve};
pub use signature::{SignatureError, Version};
pub use sorted::Workshop;
pub use spec::{ListUpdateSpec, SignatureSpec};
pub use state::ListState;
pub use url::UrlFault;

use crate::clock::{Clock, Moment};
use crate::files::Files;

/// Where an [`Updater`] keeps things and what it may use.
#[derive(Clone, Debug)]
pub struct UpdateSettings {
    /// The state folder; the lists are in `lists` below it.
    pub state_folder: PathBuf,
    /// Where working files go: a file system in memory.
    pub working_folder: PathBuf,
    /// How patient downloads are.
    pub timeouts: Timeouts,
    /// Roots of certificates to trust besides the usual ones, as PEM.
    pub extra_roots: Vec<u8>,
    /// How server names are looked up.
    pub resolve: Arc<dyn Resolve>,
    /// Octets of memory for sorting.
    pub memory: usize,
}

/// What came of looking for a new version of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateResult {
    /// The list's id.
    pub id: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether it has to be told: a new version, a failure with another cause than last time, or
    /// the end of failures. The same failure again is only counted.
    pub news: bool,
    /// How many attempts failed since the last that did not.
    pub failures: u32,
    /// How long until the next attempt.
    pub next: Duration,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a new last good copy; the index has to be compiled.
    Updated {
        /// Entries now.
        entries: u64,
        /// Entries before; none for the first copy.
        before: Option<u64>,
        /// Octets downloaded.
        downloaded: u64,
        /// Whether a delta was enough.
        by_delta: bool,
        /// Lines not understood.
        bad_lines: u64,
        /// Entries that name what is protected; they are not obeyed.
        protected: u64,
    },
    /// The copy at hand is the newest.
    Unchanged,
    /// The copy at hand, if any, stays in use.
    Failed(String),
}

/// Fetches lists, checks them and keeps the last good copy of each. It blocks: one thread is its own.
#[derive(Debug)]
pub struct Updater {
    settings: UpdateSettings,
    files: Files,
    clock: Clock,
    specs: Vec<ListUpdateSpec>,
}

impl Updater {
    /// An updater for `specs`; looks at what is in the state folder and removes what a kill left.
    pub fn new(
        specs: Vec<ListUpdateSpec>,
        settings: UpdateSettings,
        files: Files,
        clock: Clock,
    ) -> Self {
        Self {
            settings,
            files,
            clock,
            specs,
        }
    }

    /// Looks for a new version of the list `id` now; none if there is no such list.
    ///
    /// With `force` the server is asked for the whole list even if it says that nothing changed,
    /// and a list that shrank or grew a lot is believed; nothing else is.
    pub fn update_one(&mut self, id: &str, force: bool) -> Option<UpdateResult> {
        let _ = (id, force, &self.settings, &self.files, &self.specs);
        None
    }

    /// Looks for new versions of the lists that are due.
    pub fn update_due(&mut self) -> Vec<UpdateResult> {
        Vec::new()
    }

    /// When the next list is due; none without lists.
    pub fn next_due(&self) -> Option<Moment> {
        let _ = self.clock.now();
        None
    }

    /// What is known of the list `id`.
    pub fn state(&self, id: &str) -> Option<&ListState> {
        let _ = id;
        None
    }

    /// Where the last good copy of the list `id` is kept.
    pub fn copy_path(&self, id: &str) -> PathBuf {
        self.settings
            .state_folder
            .join("lists")
            .join(format!("{id}.list"))
    }
}
