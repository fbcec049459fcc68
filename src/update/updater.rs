//! Which lists are looked for, when, and what came of it.
//!
//! What happens in one attempt stands in [`super::attempt`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::attempt::{Done, UpdateError};
use super::fetch::{Fetcher, Timeouts};
use super::lookup::{Resolve, SystemResolve};
use super::schedule;
use super::spec::ListUpdateSpec;
use super::state::{Folder, ListState};
use crate::clock::{Clock, Moment, RELEASED, Timestamp};
use crate::files::{Files, Stamp};

/// What the clock must show to have moved by a day, for the one write a day that says nothing but
/// that a list was looked for.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an [`Updater`] keeps things and what it may use.
#[derive(Clone, Debug)]
pub struct UpdateSettings {
    /// The state folder; last good copies and what is known of them are in `lists` below it.
    pub state_folder: PathBuf,
    /// Where working files go: a file system in memory.
    pub working_folder: PathBuf,
    /// How patient downloads are.
    pub timeouts: Timeouts,
    /// Certificates of authorities to trust besides the usual ones, as PEM.
    pub extra_roots: Vec<u8>,
    /// How server names are looked up.
    pub resolve: Arc<dyn Resolve>,
    /// Octets of memory for sorting, which deltas need.
    pub memory: usize,
    /// Set by whoever no longer wants what goes on: no other list is looked for, and one that is
    /// being read is left as it was.
    pub cancelled: Arc<AtomicBool>,
}

impl UpdateSettings {
    /// The usual settings.
    pub fn new(state_folder: impl Into<PathBuf>, working_folder: impl Into<PathBuf>) -> Self {
        Self {
            state_folder: state_folder.into(),
            working_folder: working_folder.into(),
            timeouts: Timeouts::default(),
            extra_roots: Vec::new(),
            resolve: Arc::new(SystemResolve),
            memory: 8 << 20,
            cancelled: Arc::default(),
        }
    }
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
    /// Why a delta did not help although there was one.
    pub remark: Option<String>,
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
    /// Why it failed. The copy at hand, if any, stays in use.
    Failed(String),
}

/// Fetches lists, checks them and keeps the last good copy of each. It blocks: one thread is its own.
#[derive(Debug)]
pub struct Updater {
    pub(super) settings: UpdateSettings,
    pub(super) files: Files,
    pub(super) clock: Clock,
    pub(super) folder: Folder,
    pub(super) fetcher: Fetcher,
    pub(super) lists: Vec<Kept>,
}

/// A list that is kept up to date.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) spec: ListUpdateSpec,
    pub(super) state: ListState,
    /// That of the state's file when it was read or written last.
    pub(super) stamp: Option<Stamp>,
    /// Whether the state's file lacks something.
    pub(super) unsaved: bool,
    /// When the state's file was written by this process.
    pub(super) saved: Option<Moment>,
    pub(super) due: Moment,
}

impl Updater {
    /// An updater for `specs`. Reads what is known of them, and takes away what a kill left in the
    /// folder.
    pub fn new(
        specs: Vec<ListUpdateSpec>,
        settings: UpdateSettings,
        files: Files,
        clock: Clock,
    ) -> Self {
        let folder = Folder(settings.state_folder.join("lists"));
        if let Ok(Some(_lock)) = files.lock(&folder.0) {
            folder.sweep(&files);
        }
        let fetcher = Fetcher::new(
            settings.timeouts,
            Arc::clone(&settings.resolve),
            &settings.extra_roots,
            clock.clone(),
        );
        let mut this = Self {
            settings,
            files,
            clock,
            folder,
            fetcher,
            lists: Vec::new(),
        };
        this.lists = specs.into_iter().map(|spec| this.keep(spec)).collect();
        this
    }

    /// Has working files go to `folder` from now on.
    pub fn set_working_folder(&mut self, folder: PathBuf) {
        self.settings.working_folder = folder;
    }

    /// Looks for a new version of the list `id` now; none if there is no such list.
    ///
    /// With `force` the server is asked for the whole list even if nothing changed, and a list that
    /// shrank or grew a lot is believed; a bad signature, an old version and a list that is none are
    /// refused all the same.
    pub fn update_one(&mut self, id: &str, force: bool) -> Option<UpdateResult> {
        let place = self.lists.iter().position(|list| list.spec.id == id)?;
        let mut list = self.lists.remove(place);
        let mut remark = None;
        let done = self.attempt(&mut list, force, &mut remark);
        let result = UpdateResult {
            remark,
            ..self.settle(&mut list, done)
        };
        self.lists.insert(place, list);
        Some(result)
    }

    /// Looks for new versions of the lists that are due.
    pub fn update_due(&mut self) -> Vec<UpdateResult> {
        let now = self.clock.now();
        let mut due: Vec<(Moment, String)> = self
            .lists
            .iter()
            .filter(|list| list.due <= now)
            .map(|list| (list.due, list.spec.id.clone()))
            .collect();
        due.sort();
        let cancelled = Arc::clone(&self.settings.cancelled);
        due.iter()
            .take_while(|_| !cancelled.load(Ordering::Relaxed))
            .filter_map(|(_, id)| self.update_one(id, false))
            .collect()
    }

    /// Has the list `id`, whose copy cannot be used, looked for now if that copy is not what was
    /// downloaded; unless it is looked for again anyway since the last attempt failed.
    pub fn doubt(&mut self, id: &str) {
        let now = self.clock.now();
        let Some(place) = self.lists.iter().position(|list| list.spec.id == id) else {
            return;
        };
        let is_damaged = self.lists.get(place).is_some_and(|list| {
            list.state.has_copy() && list.state.failures == 0 && !self.is_copy_at_hand(list)
        });
        if let Some(list) = self.lists.get_mut(place).filter(|_| is_damaged) {
            list.due = list.due.min(now);
        }
    }

    /// Whether nobody wants any more what goes on.
    pub(super) fn is_cancelled(&self) -> bool {
        self.settings.cancelled.load(Ordering::Relaxed)
    }

    /// When the next list is due; none without lists.
    pub fn next_due(&self) -> Option<Moment> {
        self.lists.iter().map(|list| list.due).min()
    }

    /// When the list `id` is due.
    pub fn due(&self, id: &str) -> Option<Moment> {
        self.list(id).map(|list| list.due)
    }

    /// What is known of the list `id`.
    pub fn state(&self, id: &str) -> Option<&ListState> {
        self.list(id).map(|list| &list.state)
    }

    /// Where the last good copy of the list `id` is; none if there is none.
    pub fn copy_of(&self, id: &str) -> Option<PathBuf> {
        let list = self.list(id).filter(|list| list.state.has_copy())?;
        Some(self.folder.copy(&list.spec.id))
    }

    fn list(&self, id: &str) -> Option<&Kept> {
        self.lists.iter().find(|list| list.spec.id == id)
    }

    /// Takes up a list at the start.
    fn keep(&self, spec: ListUpdateSpec) -> Kept {
        let path = self.folder.state(&spec.id);
        let state = match spec.check_id() {
            Ok(()) => ListState::load(&self.files, &path).unwrap_or_default(),
            Err(_) => ListState::default(),
        };
        let wait = if state.has_copy() {
            let age = state.checked.as_deref().and_then(|then| self.age(then));
            let age = age.filter(|_| state.error.is_none());
            schedule::first(age, spec.interval)
        } else {
            schedule::at_once()
        };
        Kept {
            stamp: self.files.stamp(&path),
            due: self.clock.now().after(wait),
            unsaved: false,
            saved: None,
            spec,
            state,
        }
    }

    /// Notes what came of an attempt, and when the next one is due.
    fn settle(&self, list: &mut Kept, done: Result<Done, UpdateError>) -> UpdateResult {
        let now = self.clock.now();
        let (outcome, news) = match done {
            Ok(Done::Updated {
                before,
                downloaded,
                by_delta,
            }) => {
                let state = &list.state;
                let outcome = Outcome::Updated {
                    entries: state.entries,
                    before,
                    downloaded,
                    by_delta,
                    bad_lines: state.bad_lines,
                    protected: state.protected,
                };
                (outcome, true)
            }
            Ok(Done::Unchanged) => {
                let failed = list.state.error.take().is_some();
                list.state.failures = 0;
                list.unsaved |= failed;
                list.state.checked = self.today().or_else(|| list.state.checked.take());
                if list.unsaved || self.is_a_day_since_saved(list, now) {
                    self.save(list);
                }
                (Outcome::Unchanged, failed)
            }
            Err(error @ (UpdateError::Busy | UpdateError::Cancelled)) => {
                let outcome = Outcome::Failed(error.to_string());
                let next = schedule::retry(1, list.spec.interval);
                list.due = now.after(next);
                return result(list, outcome, false, next);
            }
            Err(error) => {
                let text = error.to_string();
                let news = list.state.error.as_ref() != Some(&text);
                list.state.failures = list.state.failures.saturating_add(1);
                list.state.error = Some(text.clone());
                if (news || list.unsaved) && list.spec.check_id().is_ok() {
                    self.save(list);
                }
                (Outcome::Failed(text), news)
            }
        };
        let next = match list.state.failures {
            0 => schedule::regular(list.spec.interval),
            failures => schedule::retry(failures, list.spec.interval),
        };
        list.due = now.after(next);
        result(list, outcome, news, next)
    }

    /// Writes the state; on a full disk it stays in memory and is written next time.
    pub(super) fn save(&self, list: &mut Kept) {
        let path = self.folder.state(&list.spec.id);
        list.unsaved = list.state.save(&self.files, &path).is_err();
        if !list.unsaved {
            list.stamp = self.files.stamp(&path);
            list.saved = Some(self.clock.now());
        }
    }

    /// Whether a write that says nothing but that the list was looked for is due.
    fn is_a_day_since_saved(&self, list: &Kept, now: Moment) -> bool {
        match list.saved {
            Some(saved) => now.since(saved) >= DAY,
            // Not yet since the start. Without a clock there is nothing to say.
            None => self.today().is_some() && self.restarted_long_after(list),
        }
    }

    fn restarted_long_after(&self, list: &Kept) -> bool {
        let path = self.folder.state(&list.spec.id);
        let written = ListState::load(&self.files, &path).unwrap_or_default();
        let age = written.checked.as_deref().and_then(|then| self.age(then));
        // What lies in the future was written by a clock that was wrong.
        age.is_none_or(|age| age >= DAY)
    }

    /// What the household's clock shows, if it can be right.
    pub(super) fn today(&self) -> Option<String> {
        let wall = self.clock.wall();
        let seconds = u64::try_from(wall.as_second()).ok()?;
        let whole = Timestamp::from_second(wall.as_second()).ok()?;
        (seconds >= RELEASED).then(|| whole.to_string())
    }

    /// How long ago `then` is, if the household's clock can tell.
    fn age(&self, then: &str) -> Option<Duration> {
        self.today()?;
        let then: Timestamp = then.parse().ok()?;
        let seconds = self
            .clock
            .wall()
            .as_second()
            .checked_sub(then.as_second())?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }
}

fn result(list: &Kept, outcome: Outcome, news: bool, next: Duration) -> UpdateResult {
    UpdateResult {
        id: list.spec.id.clone(),
        outcome,
        news,
        failures: list.state.failures,
        next,
        remark: None,
    }
}
