//! Reading and replacing files, from one place, so that tests can fill the disk and cut the power.
//!
//! Every error carries its path. [`Files::disk`] is the machine's file system; [`MemoryFiles`] is
//! one in memory whose next operations a test can make fail.

#![expect(clippy::disallowed_methods, reason = "this is the one way to the disk")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        use std::os::unix::fs::OpenOptionsExt;
        // Opening a pipe would wait for somebody to write to it.
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
        Ok(Box::new(file))
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
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let written = (|| {
            let mut file = std::fs::File::create(&fresh)?;
            file.write_all(content)?;
            file.sync_all()?;
            std::fs::rename(&fresh, path)?;
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        })();
        if written.is_err() {
            drop(std::fs::remove_file(&fresh));
        }
        written
    }
}

/// A file system in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    next_failure: Mutex<Option<io::ErrorKind>>,
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
        *self
            .next_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(kind);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn planned_failure(&self) -> io::Result<()> {
        let mut next = self
            .next_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        next.take().map_or(Ok(()), |kind| Err(kind.into()))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let files = Files::disk();
        files.replace(&path, b"old").unwrap();
        let blocked = folder.path().join("state.new");
        std::fs::create_dir(&blocked).unwrap();
        let error = files.replace(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(files.read(&path, 10).unwrap(), b"old");
    }

    #[test]
    fn a_file_over_the_bound_is_refused() {
        let memory = MemoryFiles::new();
        memory.put("/a", vec![0; 11]);
        let error = memory.files().read(Path::new("/a"), 10).unwrap_err();
        assert_eq!(error.to_string(), "/a: cannot read: larger than 10 bytes");
    }

    #[test]
    fn a_full_disk_is_said_with_its_path() {
        let memory = MemoryFiles::new();
        memory.fail_next(io::ErrorKind::StorageFull);
        let error = memory
            .files()
            .replace(Path::new("/var/x"), b"")
            .unwrap_err();
        assert!(error.to_string().starts_with("/var/x: cannot write: "));
    }
}
