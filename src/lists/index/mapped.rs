//! The octets of an index, wherever they are.

#![allow(unsafe_code, reason = "a file is mapped into memory")]

use std::fmt;
use std::io;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use crate::files::DiskFile;

/// The octets of an index.
pub(super) enum Octets {
    /// In memory.
    Owned(Vec<u8>),
    /// In a file.
    Mapped(Mmap),
}

impl Octets {
    /// Maps a file. It must not be changed in place as long as this lives: a file that somebody cuts
    /// off meanwhile ends the process with SIGBUS at the next look-up. We replace an index by
    /// renaming another over it, which leaves the mapped one as it is.
    pub(super) fn map(file: &DiskFile) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: a mapping is unsound where the file changes underneath. Index files are written
        // beside their place, synced, and renamed over it (`files::Draft`); nothing of ours opens
        // one for writing, and its folder belongs to our account alone. What is read from the
        // mapping is checked at each use, so that even then a changed octet is a wrong answer and
        // not a wrong memory access.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self::Mapped(map))
    }

    /// Says that everything will be read from begin to end, or hereafter single places. Either is
    /// advice: that it is not taken is no error.
    pub(super) fn advise(&self, whole: bool) {
        let Self::Mapped(map) = self else { return };
        if whole {
            drop(map.advise(Advice::Sequential));
            return;
        }
        // SAFETY: the pages of a file that is mapped shared and read-only are the same when they
        // are read in again; nothing is lost by letting them go.
        drop(unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) });
        drop(map.advise(Advice::Random));
    }
}

impl std::ops::Deref for Octets {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Self::Owned(_) => "in memory",
            Self::Mapped(_) => "mapped",
        };
        write!(f, "{} bytes {place}", self.len())
    }
}
