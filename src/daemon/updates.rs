//! Keeping lists up to date: when their time has come, and when somebody asks for it.
//!
//! Downloads block, so they run on tokio's blocking pool, one at a time; queries never wait for
//! them. What comes of them is a new last good copy; the reload that follows compiles it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::household::Daemon;
use super::lists::{accepted, update_specs, updated, wanted_lists};
use crate::clock::{Clock, Moment};
use crate::config::{Config, ListStore};
use crate::control::{ControlError, ListUpdateRequest, api};
use crate::files::Files;
use crate::message::{Question, rtype};
use crate::name::{Name, NameBuf};
use crate::resolve::Resolver;
use crate::update::{
    ListState, ListUpdateSpec, Outcome, Resolve, UpdateResult, UpdateSettings, Updater,
};

/// How long until somebody looks again where nothing is due.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// The shortest pause between two looks at what is due.
const PAUSE: Duration = Duration::from_secs(1);

/// The downloads of a running daemon.
#[derive(Debug)]
pub(super) struct Updates {
    files: Files,
    clock: Clock,
    resolve: Arc<dyn Resolve>,
    /// What the configuration wants. Held for a moment only.
    wanted: Mutex<Wanted>,
    /// What downloads go on with. Held as long as they take.
    work: Mutex<Work>,
    /// What was known after the last download. Held for a moment only.
    seen: Mutex<Seen>,
    /// Lists whose copies cannot be used. Held for a moment only.
    doubted: Mutex<Vec<String>>,
    /// Tells the updater at work that what it does is no longer wanted. Held for a moment only.
    cancelled: Mutex<Arc<AtomicBool>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Wanted {
    specs: Vec<ListUpdateSpec>,
    store: Option<ListStore>,
}

#[derive(Debug, Default)]
struct Work {
    made_for: Wanted,
    updater: Option<Updater>,
    /// What was told of where working files go.
    told: Option<String>,
}

impl Work {
    /// Sees to it that there is a place for working files: one in memory may have gone.
    fn make_place(&mut self, files: &Files) {
        let (Some(updater), Some(store)) = (&mut self.updater, &self.made_for.store) else {
            return;
        };
        let (folder, warning) = store.make_work_folder(files);
        updater.set_working_folder(folder);
        if let Some(warning) = warning.as_ref().filter(|it| self.told.as_ref() != Some(it)) {
            tracing::warn!(warning, "list updates");
        }
        self.told = warning;
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// The state of each list and when it is due.
    states: BTreeMap<String, (ListState, Option<Moment>)>,
    /// When the next list is due; none if nobody has looked since the configuration changed.
    due: Option<Moment>,
}

impl Updates {
    /// Without any list yet; see [`Self::follow`].
    pub(super) fn new(files: Files, clock: Clock, resolve: Arc<dyn Resolve>) -> Self {
        Self {
            files,
            clock,
            resolve,
            wanted: Mutex::default(),
            work: Mutex::default(),
            seen: Mutex::default(),
            doubted: Mutex::default(),
            cancelled: Mutex::default(),
        }
    }

    /// Takes over the lists of `config` from the next download on.
    pub(super) fn follow(&self, config: &Config) {
        let wanted = Wanted {
            specs: update_specs(config),
            store: Some(config.list_store.clone()),
        };
        let mut before = locked(&self.wanted);
        if *before != wanted {
            *before = wanted;
            // What goes on was asked for by a configuration that no longer holds.
            self.cancel();
            locked(&self.seen).due = None;
        }
    }

    /// Learns from the disk what came in runs before. Waits for a download that goes on.
    pub(super) fn look_at_disk(&self) {
        let work = self.work();
        self.note(&work, false);
        // Nobody looked for new versions yet.
        locked(&self.seen).due = None;
    }

    /// The newest time in a signature of a list that came here, in this run or one before, in seconds
    /// since 1970.
    pub(super) fn newest_signed(&self) -> Option<i64> {
        let seen = locked(&self.seen);
        let signed = seen.states.values().filter_map(|(state, _)| {
            let version = state.signed_by.as_ref().and(state.version.as_deref())?;
            version.strip_prefix("timestamp:")?.parse().ok()
        });
        signed.max()
    }

    /// Breaks off what goes on, as soon as it can be.
    pub(super) fn cancel(&self) {
        locked(&self.cancelled).store(true, Ordering::Relaxed);
    }

    /// Has the copies of these lists, which cannot be used, looked at and fetched again where they
    /// were damaged.
    pub(super) fn doubt(&self, ids: Vec<String>) {
        if !ids.is_empty() {
            *locked(&self.doubted) = ids;
            locked(&self.seen).due = None;
        }
    }

    /// How long until a list is due; at once where that is not known.
    pub(super) fn patience(&self) -> Duration {
        let due = locked(&self.seen).due;
        due.map_or(Duration::ZERO, |due| due.since(self.clock.now()).min(IDLE))
    }

    /// Looks for new versions of the lists that are due; says in the log what is new.
    pub(super) fn update_due(&self) -> Vec<UpdateResult> {
        let mut work = self.work();
        let background = work.made_for.store.as_ref().is_some_and(|it| it.update);
        let mut updater = work.updater.as_mut().filter(|_| background);
        for id in std::mem::take(&mut *locked(&self.doubted)) {
            if let Some(updater) = &mut updater {
                updater.doubt(&id);
            }
        }
        let results = updater.map(Updater::update_due).unwrap_or_default();
        self.note(&work, background);
        drop(work);
        results.iter().for_each(tell);
        results
    }

    /// Looks for new versions of the lists `ids`, whether they are due or not.
    pub(super) fn update(&self, ids: &[String], force: bool) -> Vec<UpdateResult> {
        let mut work = self.work();
        let results: Vec<UpdateResult> = work.updater.as_mut().map_or_else(Vec::new, |updater| {
            let cancelled = Arc::clone(&locked(&self.cancelled));
            let ids = ids
                .iter()
                .take_while(|_| !cancelled.load(Ordering::Relaxed));
            ids.filter_map(|id| updater.update_one(id, force)).collect()
        });
        let background = work.made_for.store.as_ref().is_some_and(|it| it.update);
        self.note(&work, background);
        drop(work);
        results.iter().for_each(tell);
        results
    }

    /// What is known of a list's updates, and the seconds until the next look.
    pub(super) fn state_of(&self, id: &str) -> (Option<ListState>, Option<u64>) {
        let seen = locked(&self.seen);
        let Some((state, due)) = seen.states.get(id) else {
            return (None, None);
        };
        let wait = due.map(|due| due.since(self.clock.now()).as_secs());
        (Some(state.clone()), wait)
    }

    /// The updater for what the configuration wants now. Waits for a download that goes on.
    fn work(&self) -> MutexGuard<'_, Work> {
        let mut work = locked(&self.work);
        let wanted = locked(&self.wanted).clone();
        // One that was broken off does nothing any more, even if its lists are wanted again.
        let is_cancelled = locked(&self.cancelled).load(Ordering::Relaxed);
        if work.made_for != wanted || is_cancelled {
            let cancelled: Arc<AtomicBool> = Arc::default();
            *locked(&self.cancelled) = Arc::clone(&cancelled);
            work.updater = wanted
                .store
                .as_ref()
                .filter(|_| !wanted.specs.is_empty())
                .map(|store| {
                    let settings = UpdateSettings {
                        resolve: Arc::clone(&self.resolve),
                        cancelled,
                        // Told with each look at where working files go.
                        ..update_settings(store, &self.files).0
                    };
                    let (specs, files) = (wanted.specs.clone(), self.files.clone());
                    Updater::new(specs, settings, files, self.clock.clone())
                });
            work.made_for = wanted;
        }
        work.make_place(&self.files);
        work
    }

    /// Notes what is known now, for those who must not wait.
    fn note(&self, work: &Work, background: bool) {
        let updater = work.updater.as_ref();
        let due = updater.filter(|_| background).and_then(Updater::next_due);
        let specs = work.made_for.specs.iter();
        let now = self.clock.now();
        *locked(&self.seen) = Seen {
            states: specs
                .filter_map(|spec| {
                    let (updater, id) = (updater?, &spec.id);
                    let due = updater.due(id).filter(|_| background);
                    Some((id.clone(), (updater.state(id)?.clone(), due)))
                })
                .collect(),
            // Never at once: whatever an updater says, this must not become a busy loop.
            due: Some(due.map_or_else(|| now.after(IDLE), |due| due.max(now.after(PAUSE)))),
        };
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says in the log what came of an attempt, if it is news.
fn tell(result: &UpdateResult) {
    let list = &result.id;
    match &result.outcome {
        Outcome::Updated {
            entries,
            downloaded,
            ..
        } => tracing::info!(list, entries, bytes = downloaded, "list updated"),
        Outcome::Unchanged if result.news => tracing::info!(list, "list can be reached again"),
        Outcome::Unchanged => tracing::debug!(list, "list unchanged"),
        Outcome::Failed(cause) if result.news => {
            tracing::error!(list, cause, "list not updated; the last good copy stays");
        }
        Outcome::Failed(cause) => tracing::debug!(list, cause, "list not updated"),
    }
}

/// Where downloads go, and what to tell where working files are not where they should be.
pub fn update_settings(store: &ListStore, files: &Files) -> (UpdateSettings, Option<String>) {
    let (folder, warning) = store.make_work_folder(files);
    let settings = UpdateSettings {
        memory: usize::try_from(store.compile_memory / 4).unwrap_or(usize::MAX),
        ..UpdateSettings::new(store.folder.clone(), folder)
    };
    (settings, warning)
}

/// Looks up list servers by the household's upstream, past the filter: where the router asks itself
/// for names, a list must not be able to close the way to its own correction.
pub(super) struct UpstreamResolve {
    resolver: Arc<Resolver>,
    runtime: tokio::runtime::Handle,
}

impl UpstreamResolve {
    pub(super) const fn new(resolver: Arc<Resolver>, runtime: tokio::runtime::Handle) -> Self {
        Self { resolver, runtime }
    }
}

impl std::fmt::Debug for UpstreamResolve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamResolve")
    }
}

impl Resolve for UpstreamResolve {
    fn resolve(&self, host: &str, patience: Duration) -> io::Result<Vec<IpAddr>> {
        let name = Name::parse(host).map_err(io::Error::other)?;
        let upstream = Arc::clone(&self.resolver.snapshot().upstream);
        let ask = |qtype| {
            let question = Question {
                qname: NameBuf::from(name.as_ref()),
                qtype,
                dnssec_ok: false,
                checking_disabled: false,
                via: 0,
            };
            let upstream = Arc::clone(&upstream);
            async move {
                let client =
                    crate::upstream::Client::new(IpAddr::from([127, 0, 0, 1]), Some("updates"));
                upstream.resolve(&question, client).await
            }
        };
        let both = async { tokio::join!(ask(rtype::A), ask(rtype::AAAA)) };
        let both = self
            .runtime
            .block_on(async { tokio::time::timeout(patience, both).await });
        let (v4, v6) = both.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let mut addresses = Vec::new();
        let mut failure = None;
        for said in [v4, v6] {
            match said {
                Ok(answer) => addresses.extend(answer.facts().addresses()),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if addresses.is_empty() => Err(io::Error::other(error.to_string())),
            _ => Ok(addresses),
        }
    }
}

impl Daemon {
    /// Notes before what time it cannot be: what was signed is that old at least. Whoever signs could
    /// say a time to come; so it counts only as far as the machine's own clock got there once.
    pub(super) fn note_earliest(&self) {
        let signed = self.updates.newest_signed();
        let signed = signed.and_then(|it| crate::clock::Timestamp::from_second(it).ok());
        // Certificates of upstreams and list servers as well: none is signed before it begins.
        let signed = signed.max(self.clock.signed());
        if let (Some(signed), Some(known)) = (signed, self.families.known_time()) {
            self.clock.note_earliest(signed.min(known));
        }
    }

    /// Looks for new versions of the lists that are due; whether there is one.
    pub(super) fn update_lists_due(&self) -> bool {
        let results = self.updates.update_due();
        results.iter().any(is_new)
    }

    /// Looks for new versions of lists and puts them in force.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for a list that has no address.
    pub(super) fn update_lists_now(
        &self,
        request: &ListUpdateRequest,
    ) -> Result<api::ListUpdateReport, ControlError> {
        let started = self.clock.now();
        let wanted = wanted_lists(&self.resolver.snapshot().config, request)?;
        self.reloader.accept(&wanted.accept);
        let results = self.updates.update(&wanted.fetch, request.force);
        let any_new = results.iter().any(is_new) || !wanted.accept.is_empty();
        let mut report = api::ListUpdateReport {
            lists: results.into_iter().map(updated).collect(),
            ..api::ListUpdateReport::default()
        };
        if any_new {
            let before = self.resolver.snapshot();
            let reload = self.reload_now();
            let after = self.resolver.snapshot();
            report.compiled = !Arc::ptr_eq(&before.lists, &after.lists);
            if !report.compiled {
                report.failure = reload.warnings.first().cloned();
            }
        }
        let lists = &self.resolver.snapshot().lists;
        let accepted = wanted.accept.iter().map(|id| {
            let info = lists.find(id).map(|list| lists.list(list));
            accepted(id, info)
        });
        report.lists.extend(accepted);
        report.names = lists.name_count() as u64;
        report.bytes = lists.file_bytes();
        let took = self.clock.now().since(started).as_millis();
        report.took_ms = u64::try_from(took).unwrap_or(u64::MAX);
        Ok(report)
    }
}

const fn is_new(result: &UpdateResult) -> bool {
    matches!(result.outcome, Outcome::Updated { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualTime;
    use crate::files::MemoryFiles;

    #[derive(Debug)]
    struct Nobody;

    impl Resolve for Nobody {
        fn resolve(&self, _: &str, _: Duration) -> io::Result<Vec<IpAddr>> {
            Err(io::Error::from(io::ErrorKind::NotConnected))
        }
    }

    /// The bound that no time may be before was there only after the first download.
    #[test]
    fn what_was_signed_in_a_run_before_is_known_at_the_start() {
        let memory = MemoryFiles::new();
        memory.put(
            "hedgerow.toml",
            "[lists]\nfolder = \"/state\"\n[[list]]\nid = \"signed\"\ncategory = \"ads\"\n\
             url = \"https://lists.example/ads.txt\"\n",
        );
        let path = std::path::Path::new("hedgerow.toml");
        let loaded = crate::config::load(&memory.files(), path);
        let config = loaded.config.unwrap();
        let folder = config.list_store.folder.join("lists/signed.json");
        memory.put(
            folder.to_str().unwrap(),
            "{\"signed-by\": \"a key\", \"version\": \"timestamp:1796083200\"}",
        );
        let clock = ManualTime::default();
        let clock = Arc::new(clock).clock();
        let updates = Updates::new(memory.files(), clock, Arc::new(Nobody));
        updates.follow(&config);
        assert_eq!(updates.newest_signed(), None);
        updates.look_at_disk();
        assert_eq!(updates.newest_signed(), Some(1_796_083_200));
        // Whether one is due is still to be looked at.
        assert_eq!(updates.patience(), Duration::ZERO);
    }
}
