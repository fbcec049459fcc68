//! A compile that is killed at any moment leaves the index before, or the new one, and no litter.
//!
//! Between two operations on files nothing outside of the process changes, so it is killed before
//! and in the middle of each of them: everywhere a power cut or the kernel could find it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hedgerow::files::{Draft, FileError, FileSystem, Files, FolderLock, Mapping, Scratch, Stamp};
use hedgerow::lists::{Index, ListKind, ListSource, ListSpec, Settings, Target, compile};
use hedgerow::name::Name;
use hedgerow::verdict::Tier;

/// Which operation is the last one, for the process that is killed; twice its number, and one more
/// when half of it is done.
const LAST: &str = "HEDGEROW_KILL_AT";
/// Where that process works.
const FOLDER: &str = "HEDGEROW_KILL_IN";

/// Kills at least this many.
const KILLS: usize = 1000;

#[test]
fn a_compile_killed_anywhere_leaves_an_index_and_no_litter() {
    if std::env::var_os(LAST).is_some() {
        return work();
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let index = state.join("lists.index");
    let list = folder.path().join("list");
    std::fs::write(&list, names("old")).unwrap();
    compile_into(folder.path(), &Files::disk());
    let old = std::fs::read(&index).unwrap();
    std::fs::write(&list, names("new")).unwrap();

    let mut kills = 0;
    for point in 0.. {
        if !killed_at(point, folder.path()) {
            break;
        }
        kills += 1;
        let found = says(&index);
        assert!(
            found == ["old"] || found == ["new"],
            "point {point}: {found:?}"
        );
        let litter = entries(&state);
        let known = [index.clone(), state.join("lists.index.new")];
        assert!(litter.is_subset(&known.into()), "point {point}: {litter:?}");
        if found != ["old"] {
            std::fs::write(&index, &old).unwrap();
        }
    }
    assert!(kills >= KILLS, "{kills}");
    assert_eq!(says(&index), ["new"]);
    assert_eq!(entries(&state), [index].into());
}

/// Lets another process compile up to `point` and kills it there; false if it came to its end.
fn killed_at(point: usize, folder: &Path) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("a_compile_killed_anywhere_leaves_an_index_and_no_litter")
        .env(LAST, point.to_string())
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.any(|line| line.is_ok_and(|line| line.contains(HERE)));
    if reached {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(reached || status.success(), "{status}");
    reached
}

/// What the process says when it wants to be killed.
const HERE: &str = "here";

/// What the process does that is killed.
fn work() {
    let last: usize = std::env::var(LAST).unwrap().parse().unwrap();
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let system = Mortal {
        disk: Files::disk(),
        life: Life {
            done: Arc::default(),
            last,
        },
    };
    compile_into(&folder, &Files::from_system(Arc::new(system)));
}

fn compile_into(folder: &Path, files: &Files) {
    let spec = ListSpec {
        id: "list".into(),
        category: "ads".into(),
        kind: ListKind::Block,
        tier: Tier::Lists,
        source: ListSource::File(folder.join("list")),
        format: None,
        member: None,
        public_suffixes: false,
    };
    let settings = Settings {
        // So little that there are runs, and so many of them that they are merged in several steps.
        memory: 9_000,
        folder: Some(folder.join("state")),
    };
    let path = folder.join("state/lists.index");
    let target = Target::File(&path);
    let outcome = compile(
        &[spec],
        &settings,
        files,
        None,
        &mut |_| {},
        &|| false,
        target,
    );
    assert_eq!(outcome.unwrap().lists[0].failure, None);
}

/// A list that says which it is.
fn names(which: &str) -> String {
    let name = |number: u64| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        format!("n{mixed}.{which}.example\n")
    };
    (0..700).map(name).collect()
}

/// Which lists an index says it was made of.
fn says(index: &Path) -> Vec<&'static str> {
    let index = Index::open(&Files::disk(), index).unwrap();
    assert_eq!(index.name_count(), 700);
    let listed = |which: &&str| {
        let name = names(which).lines().last().unwrap().to_owned();
        let mut hits = 0;
        index.look_up(Name::parse(&name).unwrap().as_ref(), |_| hits += 1);
        hits > 0
    };
    ["old", "new"].into_iter().filter(listed).collect()
}

fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// How long the process has to live.
#[derive(Clone, Debug)]
struct Life {
    done: Arc<AtomicUsize>,
    last: usize,
}

impl Life {
    /// Called before each operation; true if only half of it may be done before [`Self::end`].
    fn step(&self) -> bool {
        let done = self.done.fetch_add(2, Ordering::Relaxed);
        if done == self.last {
            Self::end();
        }
        done + 1 == self.last
    }

    /// Says that this is the moment, and waits to be killed.
    fn end() -> ! {
        println!("{HERE}");
        loop {
            std::thread::park();
        }
    }
}

/// The disk, for a process that will be killed.
#[derive(Debug)]
struct Mortal {
    disk: Files,
    life: Life,
}

impl Mortal {
    fn done<T>(&self, half: bool, result: Result<T, FileError>) -> io::Result<T> {
        if half {
            Life::end();
        }
        result.map_err(|error| error.source)
    }
}

impl FileSystem for Mortal {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        self.disk.open(path).map_err(|error| error.source)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(path).map_err(|error| error.source)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let stamp = self.disk.stamp(path);
        stamp.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn target(&self, path: &Path) -> Option<PathBuf> {
        self.disk.target(path)
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let half = self.life.step();
        self.done(half, self.disk.replace(path, content))
    }

    fn draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        let half = self.life.step();
        let file = self.done(half, self.disk.draft(path))?;
        let life = self.life.clone();
        Ok(Box::new(MortalFile { file, life }))
    }

    fn private_draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        self.draft(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<FolderLock>> {
        self.disk.lock(path).map_err(|error| error.source)
    }

    fn scratch(&self, folder: &Path) -> io::Result<Box<dyn Scratch>> {
        let half = self.life.step();
        let file = self.done(half, self.disk.scratch(folder))?;
        let life = self.life.clone();
        Ok(Box::new(MortalFile { file, life }))
    }

    fn mapping(&self, path: &Path) -> io::Result<Mapping> {
        self.disk.mapping(path).map_err(|error| error.source)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let half = self.life.step();
        self.done(half, self.disk.create_folder(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let half = self.life.step();
        self.done(half, self.disk.remove(path))
    }
}

/// A file that is written until the process is killed.
struct MortalFile<F: ?Sized> {
    life: Life,
    file: F,
}

impl<F: Write> Write for MortalFile<F> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.life.step() {
            self.file.write_all(&buffer[..buffer.len() / 2])?;
            Life::end();
        }
        self.file.write_all(buffer)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Read> Read for MortalFile<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl<F: Seek> Seek for MortalFile<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Draft for MortalFile<Box<dyn Draft>> {
    fn commit(self: Box<Self>) -> io::Result<()> {
        let half = self.life.step();
        self.file.commit()?;
        if half {
            Life::end();
        }
        Ok(())
    }
}
