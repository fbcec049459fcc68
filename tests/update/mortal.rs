//! A disk that dies, or is full, at a chosen moment.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hedgerow::files::{Draft, FileError, FileSystem, Files, FolderLock, Mapping, Scratch, Stamp};

/// In how many places an operation can be cut.
pub(crate) const PARTS: usize = 16;

/// What happens when the moment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The process is killed: nothing more is done, and nobody tidies up.
    Killed,
    /// The disk is full and stays so.
    Full,
    /// The disk is full for this one operation.
    FullOnce,
}

/// The moment in a life of operations that change the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// How many operations are done before.
    pub(crate) after: usize,
    /// How much of the next one is done, of [`PARTS`]; of one that is done at once, all or nothing.
    pub(crate) part: usize,
    pub(crate) fate: Fate,
}

/// The operations of one process.
#[derive(Debug)]
pub(crate) struct Life {
    done: AtomicUsize,
    moment: Moment,
    /// Whether the moment has come.
    has_come: AtomicBool,
    /// Whether somebody made room on a disk that was full.
    has_room_again: AtomicBool,
}

impl Life {
    /// How many operations there were.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether the moment has come.
    pub(crate) fn has_come(&self) -> bool {
        self.has_come.load(Ordering::Relaxed)
    }

    /// The disk is no longer full.
    pub(crate) fn make_room(&self) {
        self.has_room_again.store(true, Ordering::Relaxed);
    }

    fn is_dead(&self) -> bool {
        self.has_come() && self.moment.fate == Fate::Killed
    }

    /// How much of the next operation is done, if not all of it.
    fn cut(&self) -> Option<usize> {
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        let is_now = number == self.moment.after;
        if is_now {
            self.has_come.store(true, Ordering::Relaxed);
            return Some(self.moment.part);
        }
        let is_over = match self.moment.fate {
            Fate::Killed => false,
            Fate::Full => self.has_room_again.load(Ordering::Relaxed),
            Fate::FullOnce => true,
        };
        (self.has_come() && !is_over).then_some(0)
    }

    /// What the system says of an operation that is not done.
    fn refusal(&self) -> io::Error {
        match self.moment.fate {
            Fate::Killed => io::Error::other("killed"),
            Fate::Full | Fate::FullOnce => ErrorKind::StorageFull.into(),
        }
    }

    /// Does an operation that is done at once.
    fn at_once<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.cut() {
            None => operation(),
            // Killed before it, or after it.
            Some(part) => {
                if part == PARTS && self.moment.fate == Fate::Killed {
                    drop(operation());
                }
                Err(self.refusal())
            }
        }
    }

    /// The dead see nothing.
    fn look<T>(&self, operation: impl FnOnce() -> Result<T, FileError>) -> io::Result<T> {
        if self.is_dead() {
            return Err(self.refusal());
        }
        operation().map_err(|error| error.source)
    }
}

/// A disk for a process with such a life.
#[derive(Debug)]
pub(crate) struct Mortal {
    disk: Files,
    life: Arc<Life>,
}

impl Mortal {
    /// The files of a process to which that happens at that moment, and its life.
    pub(crate) fn files(moment: Moment) -> (Files, Arc<Life>) {
        let life = Arc::new(Life {
            done: AtomicUsize::new(0),
            moment,
            has_come: AtomicBool::new(false),
            has_room_again: AtomicBool::new(false),
        });
        let system = Self {
            disk: Files::disk(),
            life: Arc::clone(&life),
        };
        (Files::from_system(Arc::new(system)), life)
    }

    fn file<F>(
        &self,
        path: Option<&Path>,
        open: impl FnOnce() -> Result<F, FileError>,
    ) -> io::Result<MortalFile<F>> {
        let file = self.life.at_once(|| open().map_err(|error| error.source))?;
        Ok(MortalFile {
            life: Arc::clone(&self.life),
            beside: path.map(|path| {
                let mut beside = path.as_os_str().to_owned();
                beside.push(".new");
                beside.into()
            }),
            file: Some(file),
        })
    }
}

impl FileSystem for Mortal {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        self.life.look(|| self.disk.open(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.life.look(|| self.disk.list(path))
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let stamp = self.disk.stamp(path).filter(|_| !self.life.is_dead());
        stamp.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn target(&self, path: &Path) -> Option<PathBuf> {
        self.disk.target(path)
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut draft = self.draft(path)?;
        draft.write_all(content)?;
        draft.commit()
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let add = || self.disk.append(path, content);
        self.life.at_once(|| add().map_err(|error| error.source))
    }

    fn draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        let draft = self.file(Some(path), || self.disk.draft(path))?;
        Ok(Box::new(draft))
    }

    fn private_draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        let draft = self.file(Some(path), || self.disk.private_draft(path))?;
        Ok(Box::new(draft))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<FolderLock>> {
        self.life.look(|| self.disk.lock(path))
    }

    fn scratch(&self, folder: &Path) -> io::Result<Box<dyn Scratch>> {
        Ok(Box::new(self.file(None, || self.disk.scratch(folder))?))
    }

    fn mapping(&self, path: &Path) -> io::Result<Mapping> {
        self.life.look(|| self.disk.mapping(path))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let make = || self.disk.create_folder(path);
        self.life.at_once(|| make().map_err(|error| error.source))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        // This needs no room.
        if self.life.moment.fate != Fate::Killed {
            return self.disk.remove(path).map_err(|error| error.source);
        }
        let remove = || self.disk.remove(path);
        self.life.at_once(|| remove().map_err(|error| error.source))
    }
}

/// A file that is written until the moment comes.
struct MortalFile<F> {
    life: Arc<Life>,
    /// Where a draft stands.
    beside: Option<PathBuf>,
    /// Gone once it was put in place.
    file: Option<F>,
}

impl<F> MortalFile<F> {
    fn file(&mut self) -> &mut F {
        self.file.as_mut().unwrap()
    }
}

impl<F: Write> Write for MortalFile<F> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self.life.cut() {
            None => self.file().write_all(buffer)?,
            Some(part) => {
                self.file()
                    .write_all(&buffer[..buffer.len() * part / PARTS])?;
                return Err(self.life.refusal());
            }
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl<F: Read> Read for MortalFile<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file().read(buffer)
    }
}

impl<F: Seek> Seek for MortalFile<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file().seek(to)
    }
}

impl Scratch for MortalFile<Box<dyn Scratch>> {
    fn forget(&mut self, end: u64) {
        self.file().forget(end);
    }
}

impl Draft for MortalFile<Box<dyn Draft>> {
    fn commit(mut self: Box<Self>) -> io::Result<()> {
        let life = Arc::clone(&self.life);
        let commit = || self.file.take().unwrap().commit();
        life.at_once(commit)
    }
}

impl<F> Drop for MortalFile<F> {
    fn drop(&mut self) {
        let beside = self.beside.as_ref().filter(|_| self.life.is_dead());
        // A draft that is dropped takes its file away; nobody does so for a process that was killed.
        let left = beside.and_then(|path| Some((path, std::fs::read(path).ok()?)));
        drop(self.file.take());
        if let Some((path, content)) = left {
            std::fs::write(path, content).unwrap();
        }
    }
}
