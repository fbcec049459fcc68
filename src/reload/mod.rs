//! Building the next world of queries beside the one in use.
//!
//! Reads the configuration and, only where their sources changed, the lists; makes a
//! [`Snapshot`]; swaps it in. A configuration with an error changes nothing: the one before stays
//! in force and the report says why. What is expensive or precious (the lists, the cache, what is
//! known of upstreams) lives on while its own settings stay as they were, so a new rule costs a
//! rule.

mod apart;
mod doubt;
mod shelf;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Clock, Moment, Timestamp};
use crate::config::{self, Config, DevicesRead, Diagnostic, GivenDevices, Loaded, Overrides};
use crate::device::Neighbours;
use crate::files::{FileError, Files, Stamp};
use crate::footprint;
use crate::lists::sealed::Day;
use crate::lists::{
    Accepted, CompileError, Index, ListInfo, ListKind, ListSource, ListSpec, services,
};
use crate::policy::{SafeSearch, SafeSearchError};
use crate::proof::{self, Proved};
use crate::resolve::Resolver;
use crate::snapshot::{Lasting, Snapshot};
use crate::update::{state_of_copy, sum_of_copy};
use crate::upstream::Upstreams;
use crate::verdict::Tier;
use apart::Apart;
pub use apart::{VERB, compile_for_daemon};
use doubt::Doubts;
pub use shelf::note_sources;
use shelf::{Shelf, Standing};

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The usual place; defaults where nothing is.
    Default,
    /// A file somebody named, which must be there.
    File(PathBuf),
    /// The family that came with the program.
    Demo,
}

impl Source {
    /// Reads it.
    pub fn load(&self, files: &Files, overrides: &Overrides) -> Loaded {
        match self {
            Self::Default => config::load_default(files, overrides),
            Self::File(path) => config::load_with(files, path, overrides),
            Self::Demo => config::load_embedded(config::DEMO, files, overrides),
        }
    }

    /// Reads it to begin with: see [`config::load_to_start`].
    pub fn load_to_start(&self, files: &Files, overrides: &Overrides) -> Loaded {
        config::load_to_start(files, overrides, |overrides| self.load(files, overrides))
    }

    /// What people call it.
    pub fn label(&self) -> String {
        match self {
            Self::Default => config::DEFAULT_PATH.to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Demo => "built-in demonstration".to_owned(),
        }
    }
}

/// What came of reading the configuration again.
#[derive(Clone, Debug)]
pub struct Report {
    /// When, by the household's clock.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Whether the new configuration holds; if not, the one before does.
    pub ok: bool,
    /// The generation in force afterwards.
    pub generation: u64,
    /// All that is wrong, errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What took effect although something is odd.
    pub warnings: Vec<String>,
    /// Settings that were changed and take effect after a restart, one sentence each.
    pub restart_needed: Vec<String>,
    /// What is different, one line each; empty if nothing is.
    pub changes: Vec<String>,
}

/// Why there is no world to begin with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has errors.
    #[error("the configuration has errors")]
    Config(Vec<Diagnostic>),
    /// The lists are more than an index can hold.
    #[error("the lists cannot be compiled: {0}")]
    Lists(#[from] CompileError),
    /// The table of safe forms that came with the program is broken.
    #[error("the table of safe searches cannot be read: {0}")]
    SafeSearch(#[from] SafeSearchError),
}

/// Builds worlds.
#[derive(Debug)]
pub struct Reloader {
    files: Files,
    clock: Clock,
    source: Source,
    overrides: Overrides,
    /// Where we listen: addresses never to be asked as upstreams.
    own_addresses: Vec<SocketAddr>,
    /// Which MAC address stands behind an address.
    neighbours: Arc<Neighbours>,
    /// Whether nothing may be written.
    only_looks: bool,
    /// Has lists compiled by another process, if this program may start one.
    apart: Option<Apart>,
    /// Held as long as a reload takes.
    state: Mutex<State>,
    /// What it was after the last one, for those who only look. Held for a moment.
    seen: Mutex<Arc<State>>,
}

/// Why everything is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Something changed, somebody wants it, or the time for another attempt has come.
    Asked,
    /// Something may have changed.
    Missed,
}

/// How often lists are compiled for no other reason than that the index cannot be read.
const MEND_EVERY: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, Default)]
struct State {
    generation: u64,
    list_sources: Vec<(ListSpec, Option<Stamp>)>,
    /// Whether the index in use holds what `list_sources` say.
    lists_are_current: bool,
    /// What is odd about where the index is kept.
    shelf_warnings: Vec<String>,
    /// How often compiling failed in a row, and when it is tried again.
    failures: u32,
    retry: Option<Moment>,
    /// When compiling may be tried again for no other reason than that the index cannot be read.
    mending: Option<Moment>,
    /// Files that are taken at the next reload however much they shrank or grew.
    accept: Vec<Accepted>,
    /// Those that are not believed.
    doubts: Doubts,
    watched: Vec<PathBuf>,
    last: Option<Report>,
    /// What is odd in the configuration in force, one line each.
    oddities: Vec<String>,
    /// The configuration we started with: what holds until a restart.
    started_with: Option<Arc<Config>>,
}

impl Reloader {
    /// Builds worlds from `source`.
    pub fn new(
        source: Source,
        overrides: Overrides,
        own_addresses: Vec<SocketAddr>,
        files: Files,
        clock: Clock,
        neighbours: Arc<Neighbours>,
    ) -> Self {
        Self {
            files,
            clock,
            source,
            overrides,
            own_addresses,
            neighbours,
            only_looks: false,
            apart: None,
            state: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Has lists compiled in a process of its own: by this program, run with [`VERB`].
    #[must_use]
    pub fn with_processes(mut self) -> Self {
        self.apart = Some(Apart::default());
        self
    }

    /// The first world, of a configuration that was read already.
    ///
    /// # Errors
    /// When there can be none.
    pub fn first(
        &self,
        config: Config,
        watched: Vec<PathBuf>,
        diagnostics: &[Diagnostic],
    ) -> Result<Arc<Snapshot>, StartError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = self.stamp_lists(&config);
        let served = self.shelf(&config).first(&specs_of(&sources, &config))?;
        state.lists_are_current = served.standing == Standing::Current;
        state.shelf_warnings = served.warnings;
        if served.standing == Standing::Failed {
            state.postpone(self.clock.now());
        }
        let lasting = Lasting {
            lists: Arc::new(served.index),
            safe_search: Arc::new(SafeSearch::embedded()?),
            cache: Arc::new(Cache::new(&config.cache)),
            upstream: Arc::new(self.upstreams(&config)),
            neighbours: Arc::clone(&self.neighbours),
        };
        state.generation = 1;
        state.list_sources = sources;
        state.doubts = Doubts::load(&config.list_store.doubts(), &self.files, &self.clock);
        self.doubt(&mut state, &config, &lasting.lists);
        state.watched = watched;
        state.oddities = diagnostics.iter().map(Diagnostic::one_line).collect();
        let config = Arc::new(config);
        state.started_with = Some(Arc::clone(&config));
        let listeners = config.server.listen.clone();
        let snapshot = Snapshot::new(1, config, &listeners, lasting);
        if !self.only_looks {
            // A home without DNS is worse than one in which a test fails.
            let tried = proof::try_cases(&snapshot, self.clock.wall());
            let broken = tried.iter().filter_map(Proved::diagnostic);
            state.oddities.extend(broken.map(|it| told_of_case(&it)));
        }
        self.show(&state);
        Ok(Arc::new(snapshot))
    }

    /// Reads everything again and, if it is right, puts the new world into `resolver`. Takes as
    /// long as reading changed lists takes; queries go on meanwhile.
    ///
    /// While the configuration has errors the one before holds, with what its lists say now.
    pub fn reload(&self, resolver: &Resolver) -> Report {
        self.reload_for(Wish::Asked, resolver)
    }

    /// The same right after the start, for what changed while nobody watched. Lists that could not
    /// be compiled a moment ago wait for their time.
    pub fn catch_up(&self, resolver: &Resolver) -> Report {
        self.reload_for(Wish::Missed, resolver)
    }

    fn reload_for(&self, wish: Wish, resolver: &Resolver) -> Report {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let started = self.clock.now();
        let loaded = self.try_all();
        self.let_go();
        let current = resolver.snapshot();
        let mut report = Report {
            at: self.clock.wall(),
            took: Duration::ZERO,
            ok: false,
            generation: current.generation,
            diagnostics: loaded.diagnostics,
            warnings: Vec::new(),
            restart_needed: Vec::new(),
            changes: Vec::new(),
        };
        // Folders that came with the new files are watched from now on; those of a configuration
        // with errors too, or its correction would not be seen.
        if loaded.config.is_some() {
            state.watched = loaded.watched;
        } else {
            let news = loaded.watched.into_iter();
            let news: Vec<_> = news.filter(|it| !state.watched.contains(it)).collect();
            state.watched.extend(news);
        }
        if let Some(config) = loaded.config {
            self.advance(config, &current, resolver, wish, &mut state, &mut report);
            if let Some(Err(error)) = loaded.devices.map(|devices| self.keep_good(&devices)) {
                let warning = format!("no copy is kept of the devices file: {error}");
                report.warnings.push(warning);
            }
        } else {
            let lists = self.renew_lists(&current.config, &current, wish, &mut state, &mut report);
            Self::renew(lists, &current, resolver, &mut state);
            report.generation = state.generation;
        }
        report.took = self.clock.now().since(started);
        // The look right after the start, which found nothing, is no event.
        if !report.ok || !report.changes.is_empty() || state.last.is_some() {
            state.last = Some(report.clone());
        }
        self.show(&state);
        self.let_go();
        report
    }

    /// Each part of a reload runs through code of its own: what one has used makes room for the next.
    /// Whoever compiles in this process is no daemon that lasts.
    fn let_go(&self) {
        if self.apart.is_some() {
            footprint::let_go_of_code();
        }
    }

    /// Keeps a copy of what the devices file said, since it was right.
    fn keep_good(&self, devices: &DevicesRead) -> Result<(), FileError> {
        let Some(text) = devices.text.as_ref().filter(|_| !self.only_looks) else {
            return Ok(());
        };
        let copy = config::good_copy(&devices.path);
        let kept = self.files.read(&copy, config::MAX_FILE);
        if kept.is_ok_and(|kept| kept == *text) {
            return Ok(());
        }
        self.files.replace_privately(&copy, text)
    }

    /// Reads everything as if `text` stood in the devices file at `path`, and puts nothing in force.
    /// There is no configuration where a reload would refuse it beside the world `current`.
    pub fn try_devices(&self, path: &Path, text: &str, current: &Snapshot) -> Loaded {
        let overrides = Overrides {
            devices: Some(GivenDevices::new(path, text.to_owned())),
            ..self.overrides()
        };
        self.tried(self.source.load(&self.files, &overrides), current)
    }

    /// The same with the devices file as it is.
    pub fn try_all_beside(&self, current: &Snapshot) -> Loaded {
        self.tried(self.try_all(), current)
    }

    /// `loaded` without its configuration where that breaks a test; lists are as they are in force.
    fn tried(&self, mut loaded: Loaded, current: &Snapshot) -> Loaded {
        let proved = loaded.config.take().map(|config| {
            let diagnostics = &mut loaded.diagnostics;
            self.proved(config, &current.lasting(), current, diagnostics)
        });
        let config = proved.and_then(Result::ok);
        loaded.config = config.map(Arc::unwrap_or_clone);
        loaded
    }

    /// Reads everything, and puts nothing in force.
    pub fn try_all(&self) -> Loaded {
        self.source.load(&self.files, &self.overrides())
    }

    /// What the command line said, at this hour.
    fn overrides(&self) -> Overrides {
        Overrides {
            now: Some(self.clock.wall()),
            ..self.overrides.clone()
        }
    }

    /// The files it reads.
    pub const fn files(&self) -> &Files {
        &self.files
    }

    fn advance(
        &self,
        config: Config,
        current: &Snapshot,
        resolver: &Resolver,
        wish: Wish,
        state: &mut State,
        report: &mut Report,
    ) {
        let before = state.clone();
        let warned = report.warnings.len();
        report.changes = differences(&current.config, &config);
        report.restart_needed = state
            .started_with
            .as_ref()
            .map_or_else(Vec::new, |first| restart_needed(first, &config));
        let mut lasting = current.lasting();
        if let Some(lists) = self.renew_lists(&config, current, wish, state, report) {
            lasting.lists = lists;
        }
        let config = match self.proved(config, &lasting, current, &mut report.diagnostics) {
            Ok(config) => config,
            Err(refused) => {
                report.changes.clear();
                report.restart_needed.clear();
                let is_same = refused.lists == current.config.lists
                    && refused.services == current.config.services;
                let lists = if is_same {
                    // What they say now holds here too.
                    Some(lasting.lists).filter(|it| !Arc::ptr_eq(it, &current.lists))
                } else {
                    // Those of another configuration: they are compiled again when one takes effect.
                    let watched = std::mem::take(&mut state.watched);
                    *state = State { watched, ..before };
                    report.warnings.truncate(warned);
                    self.renew_lists(&current.config, current, wish, state, report)
                };
                Self::renew(lists, current, resolver, state);
                report.generation = state.generation;
                return;
            }
        };
        if config.cache != current.config.cache {
            lasting.cache = Arc::new(Cache::new(&config.cache));
        }
        if config.upstream != current.config.upstream || config.limits != current.config.limits {
            lasting.upstream = Arc::new(self.upstreams(&config));
            if config.upstream != current.config.upstream {
                // Another resolver may say something else, and so may answers that are still on their
                // way to the cache of before.
                lasting.cache = Arc::new(Cache::new(&config.cache));
            }
        }
        if config != current.config || !Arc::ptr_eq(&lasting.lists, &current.lists) {
            Self::put_in_force(config, lasting, current, resolver, state);
        }
        state.oddities = report
            .diagnostics
            .iter()
            .map(|it| match it.code {
                proof::BROKEN => told_of_case(it),
                _ => it.one_line(),
            })
            .collect();
        report.ok = true;
        report.generation = state.generation;
    }

    /// `config`, if it breaks no test that the one in force keeps; else it comes back as refused, with
    /// why in `diagnostics`.
    ///
    /// What the lists say now is not refused: that a household's words are broken by it is told, and
    /// the lists hold. So do changes beside a test that is broken anyway.
    fn proved(
        &self,
        config: Config,
        lasting: &Lasting,
        current: &Snapshot,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Arc<Config>, Arc<Config>> {
        let config = Arc::new(config);
        if config.cases.is_empty() {
            return Ok(config);
        }
        let now = self.clock.wall();
        let next = Snapshot::new(0, Arc::clone(&config), &[], lasting.clone());
        let after = proof::try_cases(&next, now);
        let broken = match *config == *current.config {
            true => Vec::new(),
            false => {
                let before = proof::try_cases(current, now);
                proof::broken_by(&after, &before, &current.config)
            }
        };
        let told = after.iter().enumerate().filter_map(|(place, proved)| {
            let diagnostic = proved.diagnostic()?;
            Some(match broken.contains(&place) {
                true => diagnostic,
                false => diagnostic.as_warning(),
            })
        });
        diagnostics.extend(told);
        match broken.is_empty() {
            true => Ok(config),
            false => Err(config),
        }
    }

    /// Puts `lists`, if there are any, in force under the configuration that holds.
    fn renew(
        lists: Option<Arc<Index>>,
        current: &Snapshot,
        resolver: &Resolver,
        state: &mut State,
    ) {
        if let Some(lists) = lists {
            let lasting = Lasting {
                lists,
                ..current.lasting()
            };
            let config = Arc::clone(&current.config);
            Self::put_in_force(config, lasting, current, resolver, state);
        }
    }

    fn put_in_force(
        config: Arc<Config>,
        lasting: Lasting,
        current: &Snapshot,
        resolver: &Resolver,
        state: &mut State,
    ) {
        state.generation += 1;
        let started_with = state.started_with.as_ref().unwrap_or(&current.config);
        let listeners = &started_with.server.listen;
        let next = Snapshot::new(state.generation, config, listeners, lasting);
        resolver.replace_snapshot(Arc::new(next));
    }

    /// Compiles the lists of `config` where those in use, of the world `current`, are not what they
    /// say now; tells in `report` what came of it.
    fn renew_lists(
        &self,
        config: &Config,
        current: &Snapshot,
        wish: Wish,
        state: &mut State,
        report: &mut Report,
    ) -> Option<Arc<Index>> {
        let sources = self.stamp_lists(config);
        let moved = config.list_store != current.config.list_store;
        let now = self.clock.now();
        let accept = state.accepted(&sources, &self.clock);
        let is_new = sources != state.list_sources || moved || !accept.is_empty();
        let may_retry = wish == Wish::Asked || state.retry.is_none_or(|retry| retry <= now);
        let mut renewed = None;
        let shelf = self.shelf(config).accepting(&accept);
        let wants = is_new || !state.lists_are_current && may_retry;
        let is_to_mend = state.is_to_mend(&current.lists, now);
        if is_to_mend {
            // Whatever becomes of it, and shown before it takes its time: nobody is to ask again meanwhile.
            state.mending = Some(now.after(MEND_EVERY));
            self.show(state);
        }
        let mends = !wants && is_to_mend && shelf.is_writable();
        if wants || mends {
            let specs = specs_of(&sources, config);
            match shelf.renew(&specs, Some(&current.lists)) {
                Ok(served) if mends && is_less(&served.index, &current.lists) => {
                    let worse = "the compiled lists cannot be read everywhere, and what was compiled in \
                                 their place lacks a list: they stay in force";
                    state.shelf_warnings = vec![worse.to_owned()];
                }
                Ok(served) => {
                    let names = served.index.name_count();
                    report.changes.push(format!("lists: {names} names"));
                    state.list_sources = sources;
                    state.lists_are_current = true;
                    state.shelf_warnings = served.warnings;
                    (state.failures, state.retry) = (0, None);
                    state.accept.clear();
                    state.doubts.forget(&accept);
                    self.doubt(state, config, &served.index);
                    renewed = Some(Arc::new(served.index));
                }
                Err(error) if mends => {
                    state.shelf_warnings = vec![shelf::told(&error, &specs, &current.lists)];
                }
                Err(error) => {
                    state.lists_are_current = false;
                    state.shelf_warnings = vec![shelf::told(&error, &specs, &current.lists)];
                    state.postpone(now);
                }
            }
        }
        if renewed.is_none() {
            self.doubt(state, config, &current.lists);
        }
        let lists = renewed.as_ref().unwrap_or(&current.lists);
        report.warnings.extend(list_troubles(lists));
        report.warnings.extend(state.shelf_warnings.iter().cloned());
        renewed
    }

    /// Takes these lists, which are in files, at the next reload however much they shrank or grew:
    /// as the files are now. What is written there later is judged like any other.
    pub fn accept(&self, ids: &[String]) {
        // Before waiting for a reload that goes on.
        let seen = self.seen();
        let specs = seen.list_sources.iter().map(|(spec, _)| spec);
        let accepted = Accepted::now(ids, specs, &self.files);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.accept.extend(accepted);
    }

    /// Whether the next reload compiles `lists` for no other reason than that they cannot be read everywhere.
    pub fn is_to_mend(&self, lists: &Index) -> bool {
        lists.unread() > 0 && self.seen().is_to_mend(lists, self.clock.now())
    }

    /// Notes which files `lists` does not believe, where a restart finds it.
    fn doubt(&self, state: &mut State, config: &Config, lists: &Index) {
        state.doubts.note(&state.list_sources, lists, &self.clock);
        if self.writes()
            && let Err(error) = state.doubts.keep(&config.list_store.doubts(), &self.files)
        {
            let warning = error.to_string();
            if !state.shelf_warnings.contains(&warning) {
                state.shelf_warnings.push(warning);
            }
        }
    }

    /// How long until a reload is due although nobody asks for one: because the lists could not be
    /// compiled, or a file holds long enough what was not believed.
    pub fn patience(&self) -> Duration {
        /// Where nothing is due.
        const LONG: Duration = Duration::from_hours(24);
        /// Where something is.
        const PAUSE: Duration = Duration::from_secs(1);
        let due = self.seen().due(&self.clock);
        // Never at once: whatever a reload comes to, this must not become a busy loop.
        due.map_or(LONG, |due| due.since(self.clock.now()).max(PAUSE))
    }

    fn show(&self, state: &State) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(state.clone());
    }

    /// What a reload left behind, without waiting for one that goes on.
    fn seen(&self) -> Arc<State> {
        Arc::clone(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last attempt, if there was one.
    pub fn last_report(&self) -> Option<Report> {
        let state = self.seen();
        state.last.clone()
    }

    /// What is odd in the configuration in force, one line each.
    pub fn oddities(&self) -> Vec<String> {
        let state = self.seen();
        state.oddities.clone()
    }

    /// What is odd about where the compiled lists are kept, one line each.
    pub fn shelf_warnings(&self) -> Vec<String> {
        let state = self.seen();
        state.shelf_warnings.clone()
    }

    /// Whether the lists in force are those of an earlier run and have to be compiled.
    pub fn lists_are_current(&self) -> bool {
        let state = self.seen();
        state.lists_are_current
    }

    /// Which changes on the disk may matter.
    pub fn interest(&self) -> Interest {
        let state = self.seen();
        let lists = state.list_sources.iter();
        let mut interest = Interest {
            folders: state.watched.clone(),
            lists: Vec::new(),
        };
        for (spec, _) in lists {
            if let ListSource::File(path) = &spec.source {
                // A link is replaced where it points to.
                if let Some(target) = self.files.target(path) {
                    interest
                        .folders
                        .extend(target.parent().map(Path::to_path_buf));
                    interest.lists.push(target);
                }
                interest.lists.push(path.clone());
                if !spec.urls.is_empty() {
                    interest.lists.push(state_of_copy(path));
                }
            }
        }
        interest
    }

    /// Where the configuration is.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    fn shelf<'a>(&'a self, config: &'a Config) -> Shelf<'a> {
        let today = Day::of(self.clock.wall());
        Shelf::new(
            &self.files,
            &config.list_store,
            self.writes(),
            today,
            self.apart.as_ref(),
        )
    }

    /// Whether anything may be written.
    fn writes(&self) -> bool {
        !self.only_looks && self.source != Source::Demo
    }

    fn stamp_lists(&self, config: &Config) -> Vec<(ListSpec, Option<Stamp>)> {
        let stamp = |source: &ListSource| match source {
            ListSource::File(path) => self.files.stamp(path),
            ListSource::Embedded(_) | ListSource::Inline(_) => None,
        };
        let specs = written_specs(config, &self.files).into_iter();
        specs
            .map(|spec| {
                let stamp = stamp(&spec.source);
                (spec, stamp)
            })
            .collect()
    }

    fn upstreams(&self, config: &Config) -> Upstreams {
        Upstreams::new(
            &config.upstream,
            &config.limits,
            &self.own_addresses,
            self.clock.clone(),
        )
    }
}

impl State {
    /// Whether lists that can no longer be read everywhere are to be compiled for that alone: not one after
    /// the other where the disk goes on breaking, and not while a list is held as it was, of which nothing
    /// might be left.
    fn is_to_mend(&self, lists: &Index, now: Moment) -> bool {
        let holds = || lists.lists().any(|(_, info)| info.stale.is_some());
        let waits = self.mending.is_some_and(|next| now < next);
        lists.unread() > 0 && !waits && !holds()
    }

    /// Lets compiling, which failed, wait for its next time.
    fn postpone(&mut self, now: Moment) {
        self.retry = Some(now.after(retry_after(self.failures)));
        self.failures = self.failures.saturating_add(1);
    }

    /// When a reload is due; none where nothing is.
    fn due(&self, clock: &Clock) -> Option<Moment> {
        self.retry.or_else(|| self.doubts.due(clock))
    }

    /// The lists that are taken now however much they shrank or grew, where files are as `sources`
    /// say. Of files that have changed since somebody said so nothing is left.
    fn accepted(&mut self, sources: &[(ListSpec, Option<Stamp>)], clock: &Clock) -> Vec<Accepted> {
        let is_there = |it: &Accepted| {
            let mut there = sources.iter();
            there.any(|(spec, stamp)| spec.id == it.id && *stamp == Some(it.stamp))
        };
        self.accept.retain(is_there);
        let mut accepted = self.doubts.believed(sources, clock);
        accepted.extend_from_slice(&self.accept);
        accepted
    }
}

/// How long after that many failures before compiling is tried again.
fn retry_after(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(30);
    const LAST: Duration = Duration::from_hours(2);
    FIRST.saturating_mul(1 << failures.min(16)).min(LAST)
}

/// A world for one question, such as `explain` without a daemon asks: it may be looked at, and
/// would be asked of nobody.
///
/// # Errors
/// When there can be none.
pub fn offline_snapshot(
    config: Config,
    files: &Files,
    clock: &Clock,
) -> Result<Arc<Snapshot>, StartError> {
    let mut reloader = Reloader::new(
        Source::Default,
        Overrides::default(),
        Vec::new(),
        files.clone(),
        clock.clone(),
        Neighbours::new().0,
    );
    reloader.only_looks = true;
    reloader.first(config, Vec::new(), &[])
}

/// The weight of what a list says.
pub fn tier_of(list: &config::List) -> Tier {
    let known = config::CATEGORIES
        .iter()
        .find(|(category, _)| *category == list.category);
    match (list.kind, known) {
        (ListKind::Lifeline, _) => Tier::Lifeline,
        (ListKind::Sealed, _) => Tier::Sealed,
        (_, Some((_, tier))) => *tier,
        // A category of the household's own is one it wants its children kept from.
        (_, None) => Tier::ChildSafety,
    }
}

fn specs_of(sources: &[(ListSpec, Option<Stamp>)], config: &Config) -> Vec<ListSpec> {
    let written = sources.iter().map(|(spec, _)| spec.clone());
    written.chain(service_specs(config)).collect()
}

/// What the compiler needs to know of all lists of `config`, services included.
pub fn list_specs(config: &Config) -> Vec<ListSpec> {
    let written = config.lists.iter().map(list_spec);
    written.chain(service_specs(config)).collect()
}

/// The services are the same in every household; nothing is kept of them between two compilations.
fn service_specs(config: &Config) -> impl Iterator<Item = ListSpec> {
    let all = config.services.then(services::all);
    all.into_iter().flatten().map(|it| ListSpec::service(&it))
}

/// What the compiler needs to know of a list.
pub fn list_spec(list: &config::List) -> ListSpec {
    let urls = list.download.iter().flat_map(config::Download::urls);
    ListSpec {
        id: list.id.clone(),
        category: list.category.clone(),
        kind: list.kind,
        tier: tier_of(list),
        source: list.source.clone(),
        format: list.format,
        member: list.member.clone(),
        public_suffixes: list.public_suffixes,
        urls: urls.map(str::to_owned).collect(),
        sha256: None,
    }
}

/// The same, with what copies of downloads have to be.
pub fn specs_to_compile(config: &Config, files: &Files) -> Vec<ListSpec> {
    let written = written_specs(config, files).into_iter();
    written.chain(service_specs(config)).collect()
}

/// The same without services.
fn written_specs(config: &Config, files: &Files) -> Vec<ListSpec> {
    let lists = config.lists.iter();
    let specs = lists.map(|list| {
        let sha256 = match (&list.download, &list.source) {
            (Some(_), ListSource::File(copy)) => sum_of_copy(files, copy),
            _ => None,
        };
        ListSpec {
            sha256,
            ..list_spec(list)
        }
    });
    specs.collect()
}

/// Lists that could not be loaded, or hold what they said before; one sentence each.
pub fn list_troubles(lists: &Index) -> Vec<String> {
    let infos = lists.lists().map(|(_, list)| list);
    let troubles = infos.filter_map(|list| match (&list.failure, &list.stale) {
        (Some(failure), _) => Some(format!("list `{}` is not loaded: {failure}", list.id)),
        (None, Some(why)) => Some(format!(
            "list `{}` holds what it said before: {why}",
            list.id
        )),
        (None, None) => None,
    });
    troubles.chain(unread(lists)).collect()
}

/// Whether a list that `before` holds as its source says cannot be loaded in `after`.
fn is_less(after: &Index, before: &Index) -> bool {
    let is_whole = |info: &ListInfo| info.failure.is_none() && info.stale.is_none();
    let find = |info: &ListInfo| match &info.service {
        Some(_) => after.find_service(info.id),
        None => after.find(info.id),
    };
    let is_there = |info: &ListInfo| find(info).is_some_and(|id| is_whole(after.list(id)));
    let mut before = before.lists();
    before.any(|(_, info)| is_whole(info) && !is_there(info))
}

/// That the compiled lists cannot be read where they could be when they were opened.
pub fn unread(lists: &Index) -> Option<String> {
    let trouble = lists.trouble()?;
    Some(format!(
        "{trouble}: what lists say of names that stand there holds no longer, allowlists and your own \
         lifelines neither, until the lists are compiled anew, which is tried"
    ))
}

/// A test that fails, in one line with why.
fn told_of_case(diagnostic: &Diagnostic) -> String {
    let why = diagnostic.notes.join("; ");
    format!("{}: {why}", diagnostic.one_line())
}

/// What is different, in words.
fn differences(before: &Config, after: &Config) -> Vec<String> {
    let mut changes = Vec::new();
    named(
        &mut changes,
        "profile",
        &before.profiles,
        &after.profiles,
        |profile| &profile.name,
    );
    named(
        &mut changes,
        "device",
        &before.devices,
        &after.devices,
        |device| &device.name,
    );
    named(&mut changes, "list", &before.lists, &after.lists, |list| {
        &list.id
    });
    for (what, changed) in [
        ("household rules", before.household != after.household),
        ("upstream", before.upstream != after.upstream),
        ("cache", before.cache != after.cache),
        ("identity", before.identity != after.identity),
        ("limits", before.limits != after.limits),
        ("time", before.time != after.time),
        ("journal", before.journal != after.journal),
        ("log", before.log != after.log),
        ("server", before.server != after.server),
    ] {
        if changed {
            changes.push(format!("{what}: changed"));
        }
    }
    changes
}

fn named<T: PartialEq>(
    changes: &mut Vec<String>,
    what: &str,
    before: &[T],
    after: &[T],
    name: impl Fn(&T) -> &String,
) {
    for item in after {
        match before.iter().find(|old| name(old) == name(item)) {
            None => changes.push(format!("{what} `{}`: added", name(item))),
            Some(old) if old != item => changes.push(format!("{what} `{}`: changed", name(item))),
            Some(_) => {}
        }
    }
    for old in before {
        if !after.iter().any(|item| name(item) == name(old)) {
            changes.push(format!("{what} `{}`: removed", name(old)));
        }
    }
}

/// Settings that hold from the start on: the sockets are bound and the privileges dropped.
fn restart_needed(before: &Config, after: &Config) -> Vec<String> {
    [
        ("server.listen", before.server.listen != after.server.listen),
        (
            "server.workers",
            before.server.workers != after.server.workers,
        ),
        ("server.user", before.server.user != after.server.user),
        ("encrypted.dot", before.encrypted.dot != after.encrypted.dot),
        ("encrypted.doh", before.encrypted.doh != after.encrypted.doh),
        ("encrypted.doq", before.encrypted.doq != after.encrypted.doq),
        (
            "encrypted.http3",
            before.encrypted.http3 != after.encrypted.http3,
        ),
        ("control", before.control != after.control),
        ("metrics", before.metrics != after.metrics),
        ("log.target", before.log.target != after.log.target),
    ]
    .into_iter()
    .filter(|(_, changed)| *changed)
    .map(|(setting, _)| format!("`{setting}` takes effect after a restart"))
    .collect()
}

/// What a change in a watched folder must be about to matter: a configuration file, one of the
/// folders they stand in, or a list. Editors write swap and backup files beside the one they edit,
/// and a socket or a log may live there too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    folders: Vec<PathBuf>,
    lists: Vec<PathBuf>,
}

impl Interest {
    /// Whether a change at `path` can matter.
    pub fn covers(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_config = name.ends_with(".toml") && !name.starts_with(['.', '#']);
        is_config
            // A folder that comes back, or one above it.
            || self.folders.iter().any(|folder| folder.starts_with(path))
            || matches!(&*name, "conf.d" | "profiles")
            || self
                .lists
                .iter()
                .any(|list| list.file_name() == path.file_name())
    }

    /// The folders to watch.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }
}

#[cfg(test)]
mod tests;
