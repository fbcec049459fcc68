//! The octets of an index, wherever they are.

#![allow(unsafe_code, reason = "a file is mapped into memory")]

use std::fmt;
use std::hash::Hasher;
use std::io;

use memmap2::{Advice, Mmap, UncheckedAdvice};
use twox_hash::XxHash3_64;

use crate::files::DiskFile;

/// The octets of an index.
pub(super) enum Octets {
    /// In memory.
    Owned(Vec<u8>),
    /// In a file.
    Mapped { map: Mmap, file: DiskFile },
}

impl Octets {
    /// Maps a file. It must not be changed in place as long as this lives: a file that somebody cuts
    /// off meanwhile ends the process with SIGBUS at the next look-up. We replace an index by
    /// renaming another over it, which leaves the mapped one as it is.
    pub(super) fn map(file: DiskFile) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: a mapping is unsound where the file changes underneath. Index files are written
        // beside their place, synced, and renamed over it (`files::Draft`); nothing of ours opens
        // one for writing, and its folder belongs to our account alone. What is read from the
        // mapping is checked at each use, so that even then a changed octet is a wrong answer and
        // not a wrong memory access.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self::Mapped { map, file })
    }

    /// The file, if they are in one.
    pub(super) const fn file(&self) -> Option<&DiskFile> {
        match self {
            Self::Owned(_) => None,
            Self::Mapped { file, .. } => Some(file),
        }
    }

    /// Says that everything will be read from begin to end, or hereafter single places. Either is
    /// advice: that it is not taken is no error.
    pub(super) fn advise(&self, whole: bool) {
        let Self::Mapped { map, .. } = self else {
            return;
        };
        if whole {
            drop(map.advise(Advice::Sequential));
            return;
        }
        self.let_go(0, map.len());
        drop(map.advise(Advice::Random));
    }

    /// The checksum of all that stands behind `begin`. What was read is let go soon after, so that
    /// a large file does not fill the memory of whoever opens it.
    pub(super) fn checksum(&self, begin: usize) -> u64 {
        let mut checksum = XxHash3_64::with_seed(0);
        let mut at = begin;
        for window in self.get(begin..).unwrap_or_default().chunks(WINDOW) {
            checksum.write(window);
            self.let_go(at, window.len());
            at += window.len();
        }
        checksum.finish()
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

/// Octets that are read before they are let go.
const WINDOW: usize = 256 << 10;

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
        let mapped = Octets::map(DiskFile::open(&path).unwrap()).unwrap();
        for begin in [0, 1, 288, WINDOW, octets.len(), octets.len() + 1] {
            let behind = octets.get(begin..).unwrap_or_default();
            let expected = XxHash3_64::oneshot(behind);
            assert_eq!(mapped.checksum(begin), expected, "{begin}");
            let owned = Octets::Owned(octets.clone());
            assert_eq!(owned.checksum(begin), expected, "{begin}");
        }
        assert_eq!(*mapped, *octets, "what was let go is there again");
    }
}
