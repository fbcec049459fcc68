//! The octets of an index, wherever they are.

#![allow(unsafe_code, reason = "a file is mapped into memory")]

use std::fmt;
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap, UncheckedAdvice};
use twox_hash::XxHash3_64;

use crate::files::DiskFile;

/// The octets of an index.
pub(super) enum Octets {
    /// In memory.
    Owned(Vec<u8>),
    /// In a file.
    Mapped {
        map: Mmap,
        file: DiskFile,
        path: PathBuf,
    },
}

impl Octets {
    /// Maps a file. It must not be changed in place as long as this lives: a file that somebody cuts
    /// off meanwhile ends the process with SIGBUS at the next look-up. We replace an index by
    /// renaming another over it, which leaves the mapped one as it is.
    pub(super) fn map(path: &Path, file: DiskFile) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: a mapping is unsound where the file changes underneath. Index files are written
        // beside their place, synced, and renamed over it (`files::Draft`); nothing of ours opens
        // one for writing, and its folder belongs to our account alone. What is read from the
        // mapping is checked at each use, so that even then a changed octet is a wrong answer and
        // not a wrong memory access.
        let map = unsafe { Mmap::map(&file)? };
        let path = path.to_path_buf();
        Ok(Self::Mapped { map, file, path })
    }

    /// The file, if they are in one.
    pub(super) const fn file(&self) -> Option<&DiskFile> {
        match self {
            Self::Owned(_) => None,
            Self::Mapped { file, .. } => Some(file),
        }
    }

    /// Where the file was opened.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Owned(_) => None,
            Self::Mapped { path, .. } => Some(path),
        }
    }

    /// Says that single places will be read hereafter, and gives back what was read. This is advice:
    /// that it is not taken is no error.
    pub(super) fn advise(&self) {
        if let Self::Mapped { map, .. } = self {
            self.let_go(0, map.len());
            drop(map.advise(Advice::Random));
        }
    }

    /// The checksum of all that stands behind `begin`. A file is read for it and not mapped, so that it
    /// does not fill the memory of whoever opens it, and what cannot be read ends nobody.
    ///
    /// # Errors
    /// Where the file cannot be read, or is shorter than it was.
    pub(super) fn checksum(&self, begin: usize) -> io::Result<u64> {
        let mut checksum = XxHash3_64::with_seed(0);
        match self {
            Self::Owned(bytes) => checksum.write(bytes.get(begin..).unwrap_or_default()),
            Self::Mapped { map, file, .. } => {
                let mut window = vec![0; WINDOW];
                let mut at = begin;
                while at < map.len() {
                    let length = WINDOW.min(map.len() - at);
                    let window = window.get_mut(..length).unwrap_or_default();
                    file.read_exact_at(window, at as u64)?;
                    checksum.write(window);
                    at += length;
                }
            }
        }
        Ok(checksum.finish())
    }

    /// Gives back the memory of some octets, which are read in again where they are wanted again.
    pub(super) fn let_go(&self, begin: usize, length: usize) {
        let Self::Mapped { map, .. } = self else {
            return;
        };
        let advice = UncheckedAdvice::DontNeed;
        // SAFETY: the pages of a file that is mapped shared and read-only are the same when they
        // are read in again; nothing is lost by letting them go.
        drop(unsafe { map.unchecked_advise_range(advice, begin, length) });
    }
}

/// Octets that are read at a time.
const WINDOW: usize = 64 << 10;

impl std::ops::Deref for Octets {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped { map, .. } => map,
        }
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Self::Owned(_) => "in memory",
            Self::Mapped { .. } => "mapped",
        };
        write!(f, "{} bytes {place}", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_does_not_depend_on_where_the_octets_are() {
        let octets: Vec<u8> = (0..3 * WINDOW + 7).map(|at| (at / 3) as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        std::fs::write(&path, &octets).unwrap();
        let mapped = Octets::map(&path, DiskFile::open(&path).unwrap()).unwrap();
        for begin in [0, 1, 288, WINDOW, octets.len(), octets.len() + 1] {
            let behind = octets.get(begin..).unwrap_or_default();
            let expected = XxHash3_64::oneshot(behind);
            assert_eq!(mapped.checksum(begin).unwrap(), expected, "{begin}");
            let owned = Octets::Owned(octets.clone());
            assert_eq!(owned.checksum(begin).unwrap(), expected, "{begin}");
        }
        mapped.advise();
        assert_eq!(*mapped, *octets, "what was let go is there again");
    }
}
