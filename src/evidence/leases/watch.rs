//! Notices when files of leases change, come or go.
//!
//! Folders are watched rather than files: servers put a new file in the place of the old one, and a
//! file may come long after us. A folder that is not there yet shows itself in the nearest one that
//! is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::Watcher as _;
use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use super::gather::{Gatherer, LeaseFile};
use super::places::{self, Names, Spot};
use crate::clock::Clock;
use crate::config::Identity;
use crate::device::Neighbours;
use crate::files::Files;

/// After the last change of a file, before it is read: some servers empty it and write it anew.
const SETTLE: Duration = Duration::from_millis(200);
/// The longest a stream of changes may put off a look.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);
/// How often files are looked at where changes cannot be seen.
const WITHOUT_WATCH: Duration = Duration::from_secs(60);

/// Follows files of leases.
#[derive(Debug)]
pub struct Leases {
    gatherer: Gatherer,
    files: Files,
    identity: Mutex<Identity>,
    /// Told when the settings changed.
    followed: Notify,
}

impl Leases {
    /// One that follows the files that `identity` means, once [`Self::run`] goes.
    pub fn new(
        files: Files,
        clock: Clock,
        neighbours: Arc<Neighbours>,
        identity: Identity,
    ) -> Arc<Self> {
        Arc::new(Self {
            gatherer: Gatherer::new(files.clone(), clock, neighbours),
            files,
            identity: Mutex::new(identity),
            followed: Notify::new(),
        })
    }

    /// Looks at all files now. Takes as long as the disk takes.
    pub fn gather(&self) {
        let identity = self.identity().clone();
        self.gatherer.gather(&identity);
    }

    /// Follows other settings from now on.
    pub fn follow(&self, identity: &Identity) {
        let mut held = self.identity();
        if *held != *identity {
            held.clone_from(identity);
            self.followed.notify_one();
        }
    }

    /// The files as the last look found them.
    pub fn seen(&self) -> Vec<LeaseFile> {
        self.gatherer.seen()
    }

    /// Follows the files until it is dropped. Files are read beside the runtime.
    pub async fn run(self: Arc<Self>) {
        let (changed, mut changes) = mpsc::channel(1);
        let mut watch = Watch::new(changed);
        loop {
            // Watched first, then read: nothing is missed between.
            let (this, mut watched) = (Arc::clone(&self), watch);
            let looking = tokio::task::spawn_blocking(move || {
                watched.set(&this.spots(), &this.files);
                this.gather();
                watched
            });
            watch = match looking.await {
                Ok(watched) => watched,
                // It broke, or the end has come.
                Err(error) => {
                    debug!(%error, "leases are no longer followed");
                    return;
                }
            };
            let pause = self.gatherer.until_first_end();
            let pause = match (pause, watch.works()) {
                (pause, false) => Some(pause.map_or(WITHOUT_WATCH, |it| it.min(WITHOUT_WATCH))),
                (pause, true) => pause,
            };
            tokio::select! {
                Some(()) = changes.recv() => settle(&mut changes).await,
                () = self.followed.notified() => {}
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    /// All places that matter.
    fn spots(&self) -> Vec<Spot> {
        let identity = self.identity().clone();
        let mut spots = places::leases(&self.files, &identity);
        spots.push(Spot::File(identity.ethers));
        spots
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until there were no changes for a moment.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    let quiet =
        async { while let Ok(Some(())) = tokio::time::timeout(SETTLE, changes.recv()).await {} };
    // Too many changes: read what is there.
    drop(tokio::time::timeout(SETTLE_AT_MOST, quiet).await);
}

/// Watches folders.
struct Watch {
    watcher: Option<notify::RecommendedWatcher>,
    names: Arc<Mutex<Names>>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    fn new(changed: mpsc::Sender<()>) -> Self {
        let names = Arc::new(Mutex::new(Names::default()));
        let shared = Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = match event {
                // Some were lost: any may have mattered.
                Err(_) => true,
                Ok(event) if event.need_rescan() => true,
                Ok(event) => {
                    let names = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    !event.kind.is_access() && event.paths.iter().any(|path| names.cover(path))
                }
            };
            if matters {
                // Full means that somebody was told already.
                let _full = changed.try_send(());
            }
        });
        let watcher = watcher.inspect_err(|error| {
            warn!(%error, "changes of leases are not seen; they are read once a minute");
        });
        Self {
            watcher: watcher.ok(),
            names,
            folders: BTreeSet::new(),
        }
    }

    /// Whether changes are seen at all.
    const fn works(&self) -> bool {
        self.watcher.is_some()
    }

    /// Watches these places in place of those before.
    fn set(&mut self, spots: &[Spot], files: &Files) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut names = Names::default();
        let mut folders = BTreeSet::new();
        for spot in spots {
            names.add(spot);
            folders.insert(nearest(spot.folder(), files));
            if let Spot::File(path) = spot
                // A link is replaced where it points to.
                && let Some(target) = files.target(path)
            {
                names.add_path(&target);
                folders.extend(target.parent().map(|folder| nearest(folder, files)));
            }
        }
        // The watcher's thread waits for this lock, and we for that thread below.
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        for gone in self.folders.difference(&folders) {
            // It may be gone from the disk too.
            drop(watcher.unwatch(gone));
        }
        // Also those watched already: a folder that was replaced is another one.
        for folder in &folders {
            if let Err(error) = watcher.watch(folder, notify::RecursiveMode::NonRecursive) {
                debug!(folder = %folder.display(), %error, "not watched");
            }
        }
        self.folders = folders;
    }
}

/// The folder itself or the nearest above it that is there, without links: one folder must not be
/// watched under two names.
fn nearest(folder: &Path, files: &Files) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    let there = there.unwrap_or(folder);
    files.target(there).unwrap_or_else(|| there.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::device::{Place, Witness};

    /// A home on the disk whose leases are followed.
    struct Home {
        folder: tempfile::TempDir,
        neighbours: Arc<Neighbours>,
        leases: Arc<Leases>,
    }

    impl Home {
        fn new(file: &str) -> Self {
            let folder = tempfile::TempDir::new().unwrap();
            let neighbours = Neighbours::new().0;
            let mut identity = Config::default_home().identity;
            identity.leases = Some(vec![folder.path().join(file)]);
            identity.ethers = folder.path().join("ethers");
            let leases = Leases::new(
                Files::disk(),
                Clock::system(),
                Arc::clone(&neighbours),
                identity,
            );
            Self {
                folder,
                neighbours,
                leases,
            }
        }

        fn write(&self, file: &str, last: u8) {
            let text = format!("0 02:00:5e:10:00:0{last} 192.0.2.7 * *\n");
            Files::disk()
                .replace(&self.folder.path().join(file), text.as_bytes())
                .unwrap();
        }

        /// Waits until the table says this.
        async fn until(&self, last: Option<u8>) {
            let place = Place::new("192.0.2.7".parse().unwrap(), 0);
            let said = || {
                let id = self.neighbours.find(place)?.by(Witness::Lease)?;
                Some(self.neighbours.mac(id)?.octets()[5])
            };
            let waiting = async {
                while said() != last {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let patience = Duration::from_secs(20);
            tokio::time::timeout(patience, waiting).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_that_comes_changes_and_goes_is_seen() {
        let home = Home::new("later/leases");
        let running = tokio::spawn(Arc::clone(&home.leases).run());
        home.until(None).await;
        Files::disk()
            .create_folder(&home.folder.path().join("later"))
            .unwrap();
        home.write("later/leases", 1);
        home.until(Some(1)).await;
        home.write("later/leases", 2);
        home.until(Some(2)).await;
        Files::disk()
            .remove(&home.folder.path().join("later/leases"))
            .unwrap();
        home.until(None).await;
        running.abort();
    }

    #[tokio::test]
    async fn other_settings_are_followed() {
        let home = Home::new("one");
        home.write("one", 1);
        home.write("two", 2);
        let running = tokio::spawn(Arc::clone(&home.leases).run());
        home.until(Some(1)).await;
        let mut identity = home.leases.identity().clone();
        identity.leases = Some(vec![home.folder.path().join("two")]);
        home.leases.follow(&identity);
        home.until(Some(2)).await;
        running.abort();
    }
}
