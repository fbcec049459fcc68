//! Updates that are killed, or for which the disk is full, at any moment: from the first request to
//! the index that serves.
//!
//! Between two operations that change the disk nothing outside of the process changes, so the
//! moments are before, in and after each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hedgerow::clock::ManualTime;
use hedgerow::config::{Config, Overrides};
use hedgerow::daemon::{compile_lists, update_settings, update_specs};
use hedgerow::device::Neighbours;
use hedgerow::files::Files;
use hedgerow::lists::parse::ReadOptions;
use hedgerow::lists::sealed::{Day, Edition, KeyDelivery, SealKey, SealKeys, seal};
use hedgerow::lists::{Index, Settings};
use hedgerow::name::Name;
use hedgerow::reload::{Reloader, Source};
use hedgerow::update::{Outcome, UpdateSettings, Updater, Workshop, diff};

use crate::http::{Net, Reply, Stub};
use crate::minisign::Signer;
use crate::mortal::{Fate, Moment, Mortal, PARTS};
use crate::world::{TIMEOUTS, moment};

/// Moments that are tried.
const KILLS: usize = 1000;
/// How many of a full disk.
const FULL: usize = 100;
/// The lists of the household: one that is fetched whole, one by deltas, one sealed.
const LISTS: [&str; 3] = ["whole", "steps", "sealed"];
/// Names of a list.
const NAMES: usize = 6;
/// After one in so many moments the next update is looked at too, which takes its time.
const NEXT: usize = 8;

#[test]
fn an_update_that_is_killed_at_any_moment_leaves_what_serves_and_no_litter() {
    at_random_moments(KILLS, |home, moment| home.is_killed(moment));
}

#[test]
fn an_update_for_which_the_disk_is_full_at_any_moment_leaves_what_serves_and_no_litter() {
    at_random_moments(FULL, |home, moment| {
        let fate = match moment.part % 2 {
            0 => Fate::Full,
            _ => Fate::FullOnce,
        };
        home.finds_no_room(Moment { fate, ..moment })
    });
}

/// Tries so many moments of an update; each gives what the lists said afterwards.
fn at_random_moments(count: usize, trial: impl Fn(&Home<'_>, Moment) -> Seen + Sync) {
    const WORKERS: usize = 2;
    let publisher = Publisher::new();
    let homes: Vec<Home<'_>> = (0..WORKERS).map(|_| Home::new(&publisher)).collect();
    publisher.publish("new", 2);
    let work = |(worker, home): (usize, &Home<'_>)| -> Vec<Seen> {
        let operations = home.operations();
        assert!(operations > 30, "{operations}");
        let numbers = (worker..count).step_by(WORKERS);
        let moments = numbers.map(|number| {
            let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize;
            Moment {
                after: (mixed >> 16) % operations,
                part: (mixed >> 48) % (PARTS + 1),
                fate: Fate::Killed,
            }
        });
        moments.map(|moment| trial(home, moment)).collect()
    };
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let homes = homes.iter().enumerate();
        let workers: Vec<_> = homes.map(|it| scope.spawn(move || work(it))).collect();
        let all = workers.into_iter().flat_map(|it| it.join().unwrap());
        all.collect()
    });
    assert_eq!(seen.len(), count);
    // At some moments nothing was new yet, at some a part of it, at some all.
    for kind in [Seen::Old, Seen::Mixed, Seen::New] {
        let times = seen.iter().filter(|it| **it == kind).count();
        assert!(times > count / 50, "{kind:?}: {times}");
    }
}

/// What the lists said after a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// All of them what they said before.
    Old,
    /// Some the one and some the other.
    Mixed,
    /// All of them what they say now.
    New,
}

/// Who makes the lists.
struct Publisher {
    signer: Signer,
    pages: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    net: Arc<Net>,
    _stub: Stub,
}

impl Publisher {
    /// One who has not made the new lists yet.
    fn new() -> Self {
        let pages: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let shown = Arc::clone(&pages);
        let stub = Stub::plain(
            move |request| match shown.lock().unwrap().get(&request.path) {
                Some(page) => Reply::ok(page),
                None => Reply::head(404, &["Content-Length: 0"]),
            },
        );
        let net = Net::new();
        net.publish("lists.example", &stub);
        let this = Self {
            signer: Signer::new(1),
            pages,
            net,
            _stub: stub,
        };
        this.publish("old", 1);
        this
    }

    /// Puts a version of all lists there, and the delta to the new one.
    fn publish(&self, version: &str, serial: u64) {
        for id in LISTS {
            let list = content(id, version, serial);
            self.put(&format!("/{id}"), list.into_bytes(), serial);
        }
        let (files, folder) = (Files::disk(), std::env::temp_dir());
        let workshop = Workshop {
            files: &files,
            folder: &folder,
            memory: 0,
        };
        let (old, new) = (content("steps", "old", 1), content("steps", "new", 2));
        let (old, new) = (old.as_bytes(), new.as_bytes());
        let mut delta = Vec::new();
        let summary = diff(old, new, &ReadOptions::default(), &workshop, &mut delta).unwrap();
        self.put(&format!("/steps-{}", &summary.from[..16]), delta, 2);
    }

    fn put(&self, path: &str, content: Vec<u8>, serial: u64) {
        let signature = self.signer.sign(&content, &format!("serial:{serial}"));
        let mut pages = self.pages.lock().unwrap();
        pages.insert(path.to_owned(), content);
        pages.insert(format!("{path}.minisig"), signature.into_bytes());
    }
}

fn key() -> SealKey {
    SealKey::new([7; 16])
}

/// A name on a version of the list `id`.
fn name(id: &str, version: &str, number: usize) -> Name {
    Name::parse(&format!("n{number}.{version}.{id}.example")).unwrap()
}

/// What a version of the list `id` says.
fn content(id: &str, version: &str, serial: u64) -> String {
    let names = (0..NAMES).map(|number| name(id, version, number));
    if id != "sealed" {
        return names.map(|name| format!("{name}\n")).collect();
    }
    let names: Vec<Name> = names.collect();
    let edition = Edition {
        title: "Example".to_owned(),
        issuer: "hotline.example".to_owned(),
        serial,
        date: Day::parse("2027-06-01").unwrap(),
        expires: None,
    };
    let names = names.iter().map(Name::as_ref);
    seal(names, &key(), KeyDelivery::InFeed, &edition).unwrap()
}

/// A household whose lists are the old ones.
struct Home<'p> {
    publisher: &'p Publisher,
    folder: tempfile::TempDir,
    time: Arc<ManualTime>,
    neighbours: Arc<Neighbours>,
    config: Config,
}

/// A program that was started.
struct Running<'h> {
    config: &'h Config,
    files: Files,
    updater: Updater,
    /// What serves.
    lists: Arc<Index>,
    /// Whether that is what the lists say.
    is_current: bool,
}

impl<'p> Home<'p> {
    fn new(publisher: &'p Publisher) -> Self {
        // In memory, where it costs nothing to wait for the disk.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.unwrap();
        let path = |name: &str| folder.path().join(name);
        for folder in ["state", "work", "kept", "kept/lists"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        let mut text = format!(
            "[lists]\nstarter = false\nfolder = {:?}\nwork-folder = {:?}\n",
            path("state"),
            path("work")
        );
        for (id, more) in [
            ("whole", "category = \"ads\"\nformat = \"domains\"\n"),
            (
                "steps",
                "category = \"ads\"\nformat = \"domains\"\n\
                 delta-url = \"http://lists.example/steps-{from}\"\n",
            ),
            ("sealed", "kind = \"sealed\"\nformat = \"sealed\"\n"),
        ] {
            let key = publisher.signer.public();
            text += &format!(
                "[[list]]\nid = {id:?}\nurl = \"http://lists.example/{id}\"\n\
                 signature-key = {key:?}\n{more}"
            );
        }
        std::fs::write(path("hedgerow.toml"), text).unwrap();
        let source = Source::File(path("hedgerow.toml"));
        let loaded = source.load(&Files::disk(), &Overrides::default());
        let mut config = loaded.config.unwrap();
        // Those that come with the program have nothing to fetch and take their time.
        config
            .lists
            .retain(|list| LISTS.contains(&list.id.as_str()));
        let this = Self {
            publisher,
            folder,
            time: ManualTime::starting_at(moment("2027-06-01T12:00:00Z")),
            neighbours: Neighbours::new().0,
            config,
        };
        let mut running = this.start(Files::disk()).unwrap();
        assert_eq!(running.update(), [""; 0]);
        // The keys of sealed lists are kept at a start.
        let running = this.start(Files::disk()).unwrap();
        assert_eq!(running.seen(), Seen::Old);
        for (name, path) in this.entries() {
            std::fs::hard_link(path, this.path("kept").join(name)).unwrap();
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything as it was, to the very files: they are replaced and not written.
    fn restore(&self) {
        let there = self.entries();
        for path in there.values() {
            std::fs::remove_file(path).unwrap();
        }
        let kept = files_below(&self.path("kept"));
        for (name, path) in kept {
            std::fs::hard_link(path, self.path("state").join(name)).unwrap();
        }
    }

    /// The files of the household, by what they are called.
    fn entries(&self) -> BTreeMap<String, PathBuf> {
        assert_eq!(files_below(&self.path("work")), BTreeMap::new());
        files_below(&self.path("state"))
    }

    /// There is nothing but what belongs there.
    #[track_caller]
    fn is_tidy(&self) {
        let (there, kept) = (self.entries(), files_below(&self.path("kept")));
        let there: BTreeSet<&String> = there.keys().collect();
        assert_eq!(there, kept.keys().collect());
    }

    /// Starts the program; none if the disk does not let it.
    fn start(&self, files: Files) -> Option<Running<'_>> {
        let (clock, config) = (self.time.clock(), &self.config);
        let reloader = Reloader::new(
            Source::Default,
            Overrides::default(),
            Vec::new(),
            files.clone(),
            clock.clone(),
            Arc::clone(&self.neighbours),
        );
        let first = reloader.first(config.clone(), Vec::new(), &[]).ok()?;
        let settings = UpdateSettings {
            resolve: Arc::<Net>::clone(&self.publisher.net),
            timeouts: TIMEOUTS,
            ..update_settings(&config.list_store, &files).0
        };
        let specs = update_specs(config);
        assert_eq!(specs.len(), LISTS.len());
        Some(Running {
            config,
            updater: Updater::new(specs, settings, files.clone(), clock),
            files,
            lists: Arc::clone(&first.lists),
            is_current: reloader.lists_are_current(),
        })
    }

    /// How many operations that change the disk there are from the start to the end of an update.
    fn operations(&self) -> usize {
        self.restore();
        let (files, life) = Mortal::files(Moment {
            after: usize::MAX,
            part: 0,
            fate: Fate::Killed,
        });
        let mut running = self.start(files).unwrap();
        running.update();
        assert_eq!(running.seen(), Seen::New);
        life.done()
    }

    /// The daemon is killed at a moment of an update, and started again.
    fn is_killed(&self, moment: Moment) -> Seen {
        self.restore();
        let (files, life) = Mortal::files(moment);
        if let Some(mut running) = self.start(files) {
            running.update();
        }
        assert!(life.has_come(), "{moment:?}");
        // What stands there is an index of before or of now, whoever opens it.
        let index = opened(&self.path("state/lists.index"));
        assert_ne!(seen_in(&index), Seen::Mixed, "{moment:?}");

        let mut running = self.start(Files::disk()).unwrap();
        self.is_tidy();
        let seen = running.seen();
        assert!(running.is_current, "{moment:?}");
        if moment.after.is_multiple_of(NEXT) {
            self.catches_up(&mut running, moment);
        }
        seen
    }

    /// The disk is full at a moment of an update, and then is no longer.
    fn finds_no_room(&self, moment: Moment) -> Seen {
        self.restore();
        let (files, life) = Mortal::files(moment);
        let mut running = self.start(files).unwrap();
        let failures = running.update();
        assert!(life.has_come(), "{moment:?}");
        for why in &failures {
            assert!(why.contains("no storage space"), "{moment:?}: {why}");
        }
        // What serves goes on serving, and what stands there is whole.
        running.seen();
        let seen = seen_in(&opened(&self.path("state/lists.index")));
        self.is_tidy();
        life.make_room();
        if moment.after.is_multiple_of(NEXT) {
            self.catches_up(&mut running, moment);
        }
        seen
    }

    /// The next update brings everything.
    fn catches_up(&self, running: &mut Running, moment: Moment) {
        assert_eq!(running.update(), [""; 0], "{moment:?}");
        assert_eq!(running.seen(), Seen::New, "{moment:?}");
        self.is_tidy();
    }
}

impl Running<'_> {
    /// Looks for new versions and puts them in force; gives what failed.
    fn update(&mut self) -> Vec<String> {
        let mut failures = Vec::new();
        for id in LISTS {
            let result = self.updater.update_one(id, false).unwrap();
            if let Outcome::Failed(why) = result.outcome {
                failures.push(why);
            }
        }
        let target = self.config.list_store.index();
        let compiled = compile_lists(
            self.config,
            &self.files,
            Some(&self.lists),
            Settings::MEMORY as u64,
            &[],
            &target,
            &mut |_| {},
        );
        match compiled {
            Ok(_) => self.lists = Arc::new(opened(&target)),
            Err(error) => failures.push(error.to_string()),
        }
        failures
    }

    /// What the lists in force say.
    fn seen(&self) -> Seen {
        seen_in(&self.lists)
    }
}

/// The index at `path`, as anybody finds it there.
fn opened(path: &Path) -> Index {
    let mut index = Index::open(&Files::disk(), path).unwrap();
    let mut keys = SealKeys::new();
    keys.add(key());
    index.set_seal_keys(&keys);
    index
}

/// What the lists of an index say: each of them all of one version.
fn seen_in(index: &Index) -> Seen {
    let says = |id: &str, version: &str| {
        let list = index.find(id).unwrap();
        let listed = (0..NAMES).filter(|number| {
            let mut found = false;
            let name = name(id, version, *number);
            index.look_up(name.as_ref(), |hit| found |= hit.list == list);
            found
        });
        listed.count()
    };
    let versions: BTreeSet<&str> = LISTS
        .into_iter()
        .map(|id| match (says(id, "old"), says(id, "new")) {
            (NAMES, 0) => "old",
            (0, NAMES) => "new",
            other => panic!("{id}: {other:?}"),
        })
        .collect();
    match Vec::from_iter(versions)[..] {
        ["old"] => Seen::Old,
        ["new"] => Seen::New,
        _ => Seen::Mixed,
    }
}

/// The files in a folder and in its folder `lists`.
fn files_below(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for (prefix, folder) in [("", folder.to_owned()), ("lists/", folder.join("lists"))] {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.map(Result::unwrap) {
            if !entry.file_type().unwrap().is_dir() {
                let name = entry.file_name().into_string().unwrap();
                files.insert(format!("{prefix}{name}"), entry.path());
            }
        }
    }
    files
}
