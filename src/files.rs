//! Reading and replacing files, from one place, so that tests can fill the disk and cut the power.
//!
//! Every error carries its path. [`Files::disk`] is the machine's file system; [`MemoryFiles`] is
//! one in memory whose next operations a test can make fail.

#![expect(clippy::disallowed_methods, reason = "this is the one way to the disk")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// A file operation that failed, with the path it was about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {doing}: {source}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried, as in "cannot read".
    pub doing: &'static str,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// Whether the reason is that there is no such file.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Tells one content of a file from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Octets.
    pub length: u64,
    /// When it was last written, in nanoseconds; meaningful only compared with itself.
    pub modified: u128,
    /// The file's number: a replaced file has another.
    pub inode: u64,
}

/// A file system.
pub trait FileSystem: Send + Sync + Debug {
    /// Opens `path` for reading from its start.
    ///
    /// # Errors
    /// What the system said.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>>;

    /// The entries of the folder `path`, sorted.
    ///
    /// # Errors
    /// What the system said.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// What changes when the content of `path` does.
    ///
    /// # Errors
    /// What the system said.
    fn stamp(&self, path: &Path) -> io::Result<Stamp>;

    /// Where `path` leads when all links are followed; none if that cannot be told.
    fn target(&self, path: &Path) -> Option<PathBuf>;

    /// Puts `content` at `path` so that a power cut at any instant leaves the old file or the new.
    ///
    /// # Errors
    /// What the system said; the old file is then still there.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Adds `content` to the end of the file `path`, which is there. A power cut leaves none of it,
    /// some of it, or all.
    ///
    /// # Errors
    /// What the system said; some of it may be there.
    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Begins to replace `path`, too large to be held whole: what is written to the draft stands
    /// there once [`Draft::commit`] was called, and nowhere when the draft is dropped.
    ///
    /// # Errors
    /// What the system said.
    fn draft(&self, path: &Path) -> io::Result<Box<dyn Draft>>;

    /// The same, for a file that only its owner may read. It belongs to whom the folder belongs, so
    /// that the daemon can read what an administrator wrote.
    ///
    /// # Errors
    /// What the system said.
    fn private_draft(&self, path: &Path) -> io::Result<Box<dyn Draft>>;

    /// Keeps other processes that ask the same out of the folder `path` as long as the lock lives;
    /// none if one of them was first.
    ///
    /// # Errors
    /// What the system said.
    fn lock(&self, path: &Path) -> io::Result<Option<FolderLock>>;

    /// An empty file without a name in `folder`, gone with its handle or with the process.
    ///
    /// # Errors
    /// What the system said.
    fn scratch(&self, folder: &Path) -> io::Result<Box<dyn Scratch>>;

    /// Opens `path` to be searched in place.
    ///
    /// # Errors
    /// What the system said.
    fn mapping(&self, path: &Path) -> io::Result<Mapping>;

    /// Makes the folder `path` and those above it, for its owner alone, unless it is there.
    ///
    /// # Errors
    /// What the system said.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Takes the file `path` away; that it is not there is no error.
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written and does not stand at its place yet.
pub trait Draft: Write + Seek + Send {
    /// Puts it at its place so that a power cut at any instant leaves the old file or the new.
    ///
    /// # Errors
    /// What the system said; the old file is then still there.
    fn commit(self: Box<Self>) -> io::Result<()>;
}

/// A folder that no other process works in; see [`FileSystem::lock`].
#[derive(Debug)]
pub struct FolderLock {
    /// The kernel's lock goes with it.
    _folder: Option<std::fs::File>,
}

/// How many octets of a working file are given back at once, so that it costs next to nothing.
pub const FORGOTTEN_AT_ONCE: u64 = 1 << 16;

/// A working file without a name.
pub trait Scratch: Read + Write + Seek + Send {
    /// Gives back the room of the octets before `end` where that is memory, as on many routers.
    /// Nobody reads them any more: zeroes stand there afterwards, or what stood there.
    fn forget(&mut self, end: u64) {
        _ = end;
    }
}

/// A working file on a disk, some of which write out what they are then told to forget.
impl Scratch for std::fs::File {}

/// A working file of a file system that is in memory.
#[derive(Debug)]
struct MemoryScratch(std::fs::File);

impl Scratch for MemoryScratch {
    fn forget(&mut self, end: u64) {
        use nix::fcntl::{FallocateFlags, fallocate};
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        // Whole pages alone give room back: the page in which it ends does so the next time.
        if let Ok(end @ 1..) = end.try_into() {
            _ = fallocate(&self.0, hole, 0, end);
        }
    }
}

impl Read for MemoryScratch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for MemoryScratch {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for MemoryScratch {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// `file` as a working file.
fn as_scratch(file: std::fs::File) -> Box<dyn Scratch> {
    use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
    match fstatfs(&file) {
        Ok(told) if told.filesystem_type() == TMPFS_MAGIC => Box::new(MemoryScratch(file)),
        _ => Box::new(file),
    }
}

impl Scratch for io::Cursor<Vec<u8>> {}

/// A file on the disk that is open for reading.
pub type DiskFile = std::fs::File;

/// A file to be searched in place.
#[derive(Debug)]
pub enum Mapping {
    /// On the disk, to be mapped.
    File(DiskFile),
    /// In memory already.
    Bytes(Vec<u8>),
}

/// A handle on a file system; cheap to clone.
#[derive(Clone, Debug)]
pub struct Files(Arc<dyn FileSystem>);

impl Files {
    /// The machine's own disk.
    pub fn disk() -> Self {
        Self(Arc::new(Disk))
    }

    /// Another file system, such as [`MemoryFiles`].
    pub fn from_system(system: Arc<dyn FileSystem>) -> Self {
        Self(system)
    }

    /// Opens `path` for reading.
    ///
    /// # Errors
    /// With path and cause.
    pub fn open(&self, path: &Path) -> Result<Box<dyn Read>, FileError> {
        self.0.open(path).map_err(failed(path, "cannot open"))
    }

    /// The whole content of `path`, which must not exceed `max_bytes`.
    ///
    /// # Errors
    /// With path and cause.
    pub fn read(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
        let mut content = Vec::new();
        self.open(path)?
            .take(max_bytes.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(failed(path, "cannot read"))?;
        if content.len() as u64 > max_bytes {
            let cause = io::Error::other(format!("larger than {max_bytes} bytes"));
            return Err(failed(path, "cannot read")(cause));
        }
        Ok(content)
    }

    /// The entries of the folder `path`, sorted.
    ///
    /// # Errors
    /// With path and cause.
    pub fn list(&self, path: &Path) -> Result<Vec<PathBuf>, FileError> {
        self.0
            .list(path)
            .map_err(failed(path, "cannot list the folder"))
    }

    /// What changes when the content of `path` does; none if it cannot be told.
    pub fn stamp(&self, path: &Path) -> Option<Stamp> {
        self.0.stamp(path).ok()
    }

    /// The file behind `path` where that is a link; none for a file that is itself.
    pub fn target(&self, path: &Path) -> Option<PathBuf> {
        self.0.target(path).filter(|target| target != path)
    }

    /// Where the link `path` leads, if that is outside of the folder it stands in.
    ///
    /// Whoever may write into that folder could otherwise have any file of the machine read.
    pub fn leads_out(&self, path: &Path) -> Option<PathBuf> {
        let target = self.0.target(path)?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let inside = self.0.target(folder)?;
        (!target.starts_with(inside)).then_some(target)
    }

    /// Replaces `path` by `content`, whole or not at all.
    ///
    /// # Errors
    /// With path and cause; the old file is then still there.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<(), FileError> {
        self.0
            .replace(path, content)
            .map_err(failed(path, "cannot write"))
    }
}

impl Files {
    /// Begins to replace `path`; see [`FileSystem::draft`].
    ///
    /// # Errors
    /// With path and cause.
    pub fn draft(&self, path: &Path) -> Result<Box<dyn Draft>, FileError> {
        self.0.draft(path).map_err(failed(path, "cannot write"))
    }

    /// Begins to replace `path` by a file only its owner may read; see
    /// [`FileSystem::private_draft`].
    ///
    /// # Errors
    /// With path and cause.
    pub fn private_draft(&self, path: &Path) -> Result<Box<dyn Draft>, FileError> {
        self.0
            .private_draft(path)
            .map_err(failed(path, "cannot write"))
    }

    /// Replaces `path` by `content`, whole or not at all, for its owner alone; see
    /// [`FileSystem::private_draft`].
    ///
    /// # Errors
    /// With path and cause; the old file is then still there.
    pub fn replace_privately(&self, path: &Path, content: &[u8]) -> Result<(), FileError> {
        let mut draft = self.private_draft(path)?;
        let written = draft.write_all(content);
        let done = written.and_then(|()| draft.commit());
        done.map_err(failed(path, "cannot write"))
    }

    /// Adds `content` to the end of `path`; see [`FileSystem::append`].
    ///
    /// # Errors
    /// With path and cause.
    pub fn append(&self, path: &Path, content: &[u8]) -> Result<(), FileError> {
        let added = self.0.append(path, content);
        added.map_err(failed(path, "cannot add to the file"))
    }

    /// Keeps other processes out of the folder `path`; see [`FileSystem::lock`].
    ///
    /// # Errors
    /// With path and cause.
    pub fn lock(&self, path: &Path) -> Result<Option<FolderLock>, FileError> {
        self.0
            .lock(path)
            .map_err(failed(path, "cannot lock the folder"))
    }

    /// An empty file without a name in `folder`.
    ///
    /// # Errors
    /// With path and cause.
    pub fn scratch(&self, folder: &Path) -> Result<Box<dyn Scratch>, FileError> {
        self.0
            .scratch(folder)
            .map_err(failed(folder, "cannot make a working file"))
    }

    /// Opens `path` to be searched in place.
    ///
    /// # Errors
    /// With path and cause.
    pub fn mapping(&self, path: &Path) -> Result<Mapping, FileError> {
        self.0.mapping(path).map_err(failed(path, "cannot open"))
    }

    /// Makes the folder `path` and those above it, for its owner alone, unless it is there.
    ///
    /// # Errors
    /// With path and cause.
    pub fn create_folder(&self, path: &Path) -> Result<(), FileError> {
        self.0
            .create_folder(path)
            .map_err(failed(path, "cannot make the folder"))
    }

    /// Takes the file `path` away; that it is not there is no error.
    ///
    /// # Errors
    /// With path and cause.
    pub fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.0.remove(path).map_err(failed(path, "cannot remove"))
    }
}

fn failed<'p>(path: &'p Path, doing: &'static str) -> impl FnOnce(io::Error) -> FileError + 'p {
    move |source| FileError {
        path: path.to_path_buf(),
        doing,
        source,
    }
}

#[derive(Debug)]
struct Disk;

impl FileSystem for Disk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(open_regular(path)?))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path)?;
        let since_epoch = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        Ok(Stamp {
            length: metadata.len(),
            modified: since_epoch.unwrap_or_default().as_nanos(),
            inode: metadata.ino(),
        })
    }

    fn target(&self, path: &Path) -> Option<PathBuf> {
        std::fs::canonicalize(path).ok()
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut draft = self.draft(path)?;
        draft.write_all(content)?;
        draft.commit()
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .custom_flags((nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK).bits())
            .open(path)?;
        file.write_all(content)?;
        file.sync_data()
    }

    fn draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        let fresh = fresh(path);
        Ok(Box::new(DiskDraft {
            file: std::fs::File::create(&fresh)?,
            fresh: Some(fresh),
            path: path.to_path_buf(),
        }))
    }

    fn private_draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
        let fresh = fresh(path);
        // What a kill left behind, or a link that somebody put there.
        self.remove(&fresh)?;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        let draft = DiskDraft {
            file,
            fresh: Some(fresh),
            path: path.to_path_buf(),
        };
        let owner = std::fs::metadata(folder_of(path))?;
        let own = draft.file.metadata()?;
        if (own.uid(), own.gid()) != (owner.uid(), owner.gid()) && own.uid() == 0 {
            fchown(&draft.file, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(Box::new(draft))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<FolderLock>> {
        let folder = std::fs::File::open(path)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(FolderLock {
                _folder: Some(folder),
            })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn scratch(&self, folder: &Path) -> io::Result<Box<dyn Scratch>> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let nameless = options
            .clone()
            .custom_flags(nix::fcntl::OFlag::O_TMPFILE.bits())
            .open(folder);
        if let Ok(file) = nameless {
            return Ok(as_scratch(file));
        }
        // A file system without nameless files: the name lives for a moment.
        let name = format!(
            ".hedgerow-{}-{:x}",
            std::process::id(),
            rand::random::<u64>()
        );
        let path = folder.join(name);
        let file = options.create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(as_scratch(file))
    }

    fn mapping(&self, path: &Path) -> io::Result<Mapping> {
        open_regular(path).map(Mapping::File)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// Asks the kernel to end this process before all others when memory runs out.
///
/// # Errors
/// What the system said.
pub fn end_this_process_first() -> io::Result<()> {
    // The highest there is; everybody may make his own higher.
    std::fs::write("/proc/self/oom_score_adj", "1000")
}

/// Opens a file that is a file: opening a pipe would wait for somebody to write to it.
fn open_regular(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let kind = file.metadata()?;
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// Where what will replace `path` stands until it does.
fn fresh(path: &Path) -> PathBuf {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    fresh.into()
}

/// The folder that `path` is in.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

/// A file beside the one it will replace.
struct DiskDraft {
    file: std::fs::File,
    /// Where it stands for now; none once it stands at its place.
    fresh: Option<PathBuf>,
    path: PathBuf,
}

impl Write for DiskDraft {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for DiskDraft {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Draft for DiskDraft {
    fn commit(mut self: Box<Self>) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(fresh) = &self.fresh {
            std::fs::rename(fresh, &self.path)?;
        }
        self.fresh = None;
        std::fs::File::open(folder_of(&self.path))?.sync_all()
    }
}

impl Drop for DiskDraft {
    fn drop(&mut self) {
        if let Some(fresh) = &self.fresh {
            drop(std::fs::remove_file(fresh));
        }
    }
}

/// A file system in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    files: Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>,
    failure: Arc<Mutex<Failure>>,
    /// Held while the disk hangs.
    hanging: Mutex<()>,
    /// How many operations there were that met the disk.
    waiting: std::sync::atomic::AtomicUsize,
    /// Octets of working files that were given back.
    forgotten: Arc<std::sync::atomic::AtomicU64>,
}

/// When the disk is to fail.
#[derive(Debug, Default)]
struct Failure {
    /// How many operations succeed before, and how the next ones fail.
    planned: Option<(usize, io::ErrorKind)>,
    /// Whether all that follow fail too.
    lasting: bool,
    /// How putting a draft in its place fails.
    committing: Option<io::ErrorKind>,
}

impl Failure {
    fn meet(shared: &Mutex<Self>) -> io::Result<()> {
        let mut this = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match this.planned {
            Some((0, kind)) => {
                if !this.lasting {
                    this.planned = None;
                }
                Err(kind.into())
            }
            Some((left, kind)) => {
                this.planned = Some((left - 1, kind));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl MemoryFiles {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The handle to give to the code under test.
    pub fn files(self: &Arc<Self>) -> Files {
        Files::from_system(Arc::clone(self) as Arc<dyn FileSystem>)
    }

    /// Puts a file there.
    pub fn put(&self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.locked().insert(path.into(), content.into());
    }

    /// Takes a file away.
    pub fn remove(&self, path: &Path) {
        self.locked().remove(path);
    }

    /// Makes the next operation fail, as a full disk does with [`io::ErrorKind::StorageFull`].
    pub fn fail_next(&self, kind: io::ErrorKind) {
        self.plan(0, kind, false);
    }

    /// How many octets of working files were given back by [`Scratch::forget`].
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Makes every operation fail after `successes` more, writes to open files included, until
    /// [`Self::recover`].
    pub fn fail_after(&self, successes: usize, kind: io::ErrorKind) {
        self.plan(successes, kind, true);
    }

    /// Makes every draft fail when it is to take its place, until [`Self::recover`].
    pub fn fail_commits(&self, kind: io::ErrorKind) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.committing = Some(kind);
    }

    /// Makes all operations wait until what is given is dropped.
    pub fn hang(&self) -> std::sync::MutexGuard<'_, ()> {
        let hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.store(0, std::sync::atomic::Ordering::SeqCst);
        hanging
    }

    /// How many operations wait since the disk hangs.
    pub fn waiting(&self) -> usize {
        self.waiting.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Lets all operations succeed again.
    pub fn recover(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Failure::default();
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.locked().keys().cloned().collect()
    }

    fn plan(&self, successes: usize, kind: io::ErrorKind, lasting: bool) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Failure {
            planned: Some((successes, kind)),
            lasting,
            committing: None,
        };
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_draft(&self, path: &Path) -> MemoryDraft {
        MemoryDraft {
            content: io::Cursor::default(),
            path: path.to_path_buf(),
            files: Arc::clone(&self.files),
            failure: Arc::clone(&self.failure),
            given_back: 0,
            forgotten: Arc::clone(&self.forgotten),
        }
    }

    fn planned_failure(&self) -> io::Result<()> {
        self.waiting
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        drop(self.hanging.lock().unwrap_or_else(PoisonError::into_inner));
        Failure::meet(&self.failure)
    }
}

/// A file in memory that is written, under a name once it is committed or without any.
struct MemoryDraft {
    content: io::Cursor<Vec<u8>>,
    path: PathBuf,
    files: Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>,
    failure: Arc<Mutex<Failure>>,
    /// How many of its octets were given back.
    given_back: u64,
    /// How many of all files.
    forgotten: Arc<std::sync::atomic::AtomicU64>,
}

impl Scratch for MemoryDraft {
    fn forget(&mut self, end: u64) {
        let content = self.content.get_mut();
        let end = end.min(content.len() as u64);
        let Some(more) = end.checked_sub(self.given_back) else {
            return;
        };
        let begin = (end - more) as usize;
        if let Some(octets) = content.get_mut(begin..end as usize) {
            octets.fill(0);
        }
        self.given_back = end;
        self.forgotten
            .fetch_add(more, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Read for MemoryDraft {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Failure::meet(&self.failure)?;
        self.content.read(buffer)
    }
}

impl Write for MemoryDraft {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Failure::meet(&self.failure)?;
        self.content.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MemoryDraft {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}

impl Draft for MemoryDraft {
    fn commit(self: Box<Self>) -> io::Result<()> {
        Failure::meet(&self.failure)?;
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = failure.committing {
            return Err(kind.into());
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(self.path, self.content.into_inner());
        Ok(())
    }
}

impl FileSystem for MemoryFiles {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        self.planned_failure()?;
        let content = self.locked().get(path).cloned();
        content
            .map(|bytes| Box::new(io::Cursor::new(bytes)) as Box<dyn Read>)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.planned_failure()?;
        let entries: Vec<_> = self
            .locked()
            .keys()
            .filter(|file| file.parent() == Some(path))
            .cloned()
            .collect();
        if entries.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(entries)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let files = self.locked();
        let content = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Ok(Stamp {
            length: content.len() as u64,
            modified: hasher.finish().into(),
            inode: 0,
        })
    }

    fn target(&self, _path: &Path) -> Option<PathBuf> {
        None
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.planned_failure()?;
        self.put(path, content);
        Ok(())
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.planned_failure()?;
        let mut files = self.locked();
        let file = files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        file.extend_from_slice(content);
        Ok(())
    }

    fn draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        self.planned_failure()?;
        Ok(Box::new(self.new_draft(path)))
    }

    fn private_draft(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        self.draft(path)
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<FolderLock>> {
        self.planned_failure()?;
        Ok(Some(FolderLock { _folder: None }))
    }

    fn scratch(&self, folder: &Path) -> io::Result<Box<dyn Scratch>> {
        self.planned_failure()?;
        Ok(Box::new(self.new_draft(folder)))
    }

    fn mapping(&self, path: &Path) -> io::Result<Mapping> {
        self.planned_failure()?;
        let content = self.locked().get(path).cloned();
        content
            .map(Mapping::Bytes)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        self.planned_failure()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.planned_failure()?;
        self.locked().remove(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
