//! A compile that is killed at any moment leaves the index before, or the new one, and no litter.
//!
//! Between two operations on files nothing outside of the process changes, so it is killed before
//! each of them, in the middle of each write, and after those that are done in one step: everywhere
//! a power cut or the kernel could find it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use hedgerow::files::{Draft, FileError, FileSystem, Files, FolderLock, Mapping, Scratch, Stamp};
use hedgerow::lists::{Index, ListKind, ListSource, ListSpec, Settings, Target, compile};
use hedgerow::name::Name;
use hedgerow::verdict::Tier;

/// Which operation is the last one, for the process that is killed.
const LAST: &str = "HEDGEROW_KILL_AT";
/// How much of it is done.
const PART: &str = "HEDGEROW_KILL_PART";
/// Where that process works.
const FOLDER: &str = "HEDGEROW_KILL_IN";

/// Kills at least this many.
const KILLS: usize = 1000;
/// In how many places a write is cut.
const PARTS: usize = 16;
/// Names of a list.
const NAMES: u64 = 300;

#[test]
fn a_compile_killed_anywhere_leaves_an_index_and_no_litter() {
    if std::env::var_os(LAST).is_some() {
        return work();
    }
    let next = AtomicUsize::new(0);
    // A process that begins has all files of ours for a moment, and with them the locks of who compiles.
    let all_compiled = Barrier::new(4);
    let kills: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| kill_on_and_on(&next, &all_compiled)))
            .collect();
        workers.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert!(kills >= KILLS, "{kills}");
}

/// Kills a compile in every part of the `next` operation, and the one after, to the last; how often.
fn kill_on_and_on(next: &AtomicUsize, all_compiled: &Barrier) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let index = state.join("lists.index");
    let list = folder.path().join("list");
    std::fs::write(&list, names("old")).unwrap();
    compile_into(folder.path(), &Files::disk());
    all_compiled.wait();
    let old = std::fs::read(&index).unwrap();
    std::fs::write(&list, names("new")).unwrap();

    let mut kills = 0;
    loop {
        let last = next.fetch_add(1, Ordering::Relaxed);
        for part in 0.. {
            let end = killed_at(last, part, folder.path());
            let found = says(&index);
            let point = format!("{last} {part}: {found:?}");
            let Some(end) = end else {
                assert_eq!(found, ["new"], "{point}");
                assert_eq!(entries(&state), [index].into(), "{point}");
                return kills;
            };
            kills += 1;
            assert!(found == ["old"] || found == ["new"], "{point}");
            let litter = entries(&state);
            let known = [index.clone(), state.join("lists.index.new")];
            assert!(litter.is_subset(&known.into()), "{point} {litter:?}");
            if found != ["old"] {
                std::fs::write(&index, &old).unwrap();
            }
            if end == End::WholeOperation {
                break;
            }
        }
    }
}

/// Where a process was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More of the operation could have been done.
    Somewhere,
    /// The operation was done.
    WholeOperation,
}

impl End {
    /// What the process says when it wants to be killed.
    const fn word(self) -> &'static str {
        match self {
            Self::Somewhere => "killed here: in the middle",
            Self::WholeOperation => "killed here: all done",
        }
    }
}

/// Lets another process compile up to a part of an operation and kills it there; none if it came
/// to its end.
fn killed_at(last: usize, part: usize, folder: &Path) -> Option<End> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("a_compile_killed_anywhere_leaves_an_index_and_no_litter")
        .env(LAST, last.to_string())
        .env(PART, part.to_string())
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let end = lines.map_while(Result::ok).find_map(|line| {
        let ends = [End::Somewhere, End::WholeOperation];
        ends.into_iter().find(|end| line.contains(end.word()))
    });
    if end.is_some() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(end.is_some() || status.success(), "{status}");
    end
}

/// What the process does that is killed.
fn work() {
    let number = |name| std::env::var(name).unwrap().parse().unwrap();
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let system = Mortal {
        disk: Files::disk(),
        life: Life {
            done: Arc::default(),
            last: number(LAST),
            part: number(PART),
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
        urls: Vec::new(),
        sha256: None,
    };
    let settings = Settings {
        // So little that there are runs, and so many of them that they are merged in several steps.
        memory: 1_000,
        folder: Some(folder.join("state")),
        accept: Vec::new(),
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
    (0..NAMES).map(name).collect()
}

/// Which lists an index says it was made of.
fn says(index: &Path) -> Vec<&'static str> {
    let index = Index::open(&Files::disk(), index).unwrap();
    assert_eq!(index.name_count() as u64, NAMES);
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
    part: usize,
}

impl Life {
    /// Whether the next operation is the last.
    fn is_last(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed) == self.last
    }

    /// Does an operation that is done at once, and dies before it or after it if it is the last.
    fn at_once<T>(&self, operation: impl FnOnce() -> T) -> T {
        let is_last = self.is_last();
        if is_last && self.part == 0 {
            Self::end(End::Somewhere);
        }
        let result = operation();
        if is_last {
            Self::end(End::WholeOperation);
        }
        result
    }

    /// Says that this is the moment, and waits to be killed.
    fn end(end: End) -> ! {
        println!("{}", end.word());
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
    /// A file that counts.
    fn file<F>(&self, open: impl FnOnce() -> Result<F, FileError>) -> io::Result<MortalFile<F>> {
        let file = self.life.at_once(open).map_err(|error| error.source)?;
        let life = self.life.clone();
        Ok(MortalFile { life, file })
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
        let replaced = self.life.at_once(|| self.disk.replace(path, content));
        replaced.map_err(|error| error.source)
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let added = self.life.at_once(|| self.disk.append(path, content));
        added.map_err(|error| error.source)
    }

    fn draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        Ok(Box::new(self.file(|| self.disk.draft(path))?))
    }

    fn private_draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        Ok(Box::new(self.file(|| self.disk.private_draft(path))?))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<FolderLock>> {
        self.disk.lock(path).map_err(|error| error.source)
    }

    fn scratch(&self, folder: &Path) -> io::Result<Box<dyn Scratch>> {
        Ok(Box::new(self.file(|| self.disk.scratch(folder))?))
    }

    fn mapping(&self, path: &Path) -> io::Result<Mapping> {
        self.disk.mapping(path).map_err(|error| error.source)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let created = self.life.at_once(|| self.disk.create_folder(path));
        created.map_err(|error| error.source)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.life.at_once(|| self.disk.remove(path));
        removed.map_err(|error| error.source)
    }
}

/// A file that is written until the process is killed.
struct MortalFile<F: ?Sized> {
    life: Life,
    file: F,
}

impl<F: Write> Write for MortalFile<F> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.life.is_last() {
            let cut = (buffer.len() * self.life.part).div_ceil(PARTS);
            self.file.write_all(&buffer[..cut.min(buffer.len())])?;
            Life::end(if cut < buffer.len() {
                End::Somewhere
            } else {
                End::WholeOperation
            });
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

impl Scratch for MortalFile<Box<dyn Scratch>> {
    fn forget(&mut self, end: u64) {
        self.file.forget(end);
    }
}

impl Draft for MortalFile<Box<dyn Draft>> {
    fn commit(self: Box<Self>) -> io::Result<()> {
        let Self { life, file } = *self;
        life.at_once(|| file.commit())
    }
}
