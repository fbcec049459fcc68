//! Blocks of names, in memory or read from their file one at a time.
//!
//! Blocks are most of an index, and each is asked for seldom: what is asked again is
//! [remembered](super::remembered). So they are not mapped where there is a file, but read. The kernel
//! keeps as much of the file as it has room for, and drops it when it has none: our process does not
//! hold it. And a place of the disk that cannot be read any more costs the names there, where in a
//! mapping it would end the process.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use crate::files::DiskFile;

/// Octets of a block that need no memory of their own; nearly all have less.
const NEAR: usize = 1024;

/// The part of an index that holds blocks of names.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    /// Octets of the part.
    pub(super) length: usize,
    pub(super) place: Place<'a>,
}

/// Where the blocks are.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Memory(&'a [u8]),
    File {
        file: &'a DiskFile,
        /// Where the part begins in it.
        begin: usize,
        /// What could not be read.
        unread: &'a Unread,
    },
}

/// What of a file could not be read.
#[derive(Debug)]
pub(super) struct Unread {
    /// How many times something was wanted of it.
    times: AtomicU64,
    /// The last error of the system; 0 where the file ended too soon.
    error: AtomicI32,
    /// Where, one more than the place: the disk would take its time to say so again.
    places: Box<[AtomicU32]>,
    /// Which of them is next.
    next: AtomicU32,
}

/// How many places are remembered that cannot be read.
const PLACES: usize = 256;

impl Default for Unread {
    fn default() -> Self {
        Self {
            times: AtomicU64::new(0),
            error: AtomicI32::new(0),
            places: (0..PLACES).map(|_| AtomicU32::new(0)).collect(),
            next: AtomicU32::new(0),
        }
    }
}

impl Unread {
    /// How many times something was wanted that could not be read.
    #[inline]
    pub(super) fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }

    /// What the system said of it last.
    pub(super) fn error(&self) -> io::Error {
        match self.error.load(Ordering::Relaxed) {
            0 => io::ErrorKind::UnexpectedEof.into(),
            error => io::Error::from_raw_os_error(error),
        }
    }

    /// Whether nothing could be read at `place` before.
    fn is_at(&self, place: usize) -> bool {
        let is_it = |it: &AtomicU32| it.load(Ordering::Relaxed) as usize == place.wrapping_add(1);
        self.places.iter().any(is_it)
    }

    fn add(&self, place: usize, error: &io::Error) {
        if self.is_at(place) {
            return;
        }
        self.error
            .store(error.raw_os_error().unwrap_or(0), Ordering::Relaxed);
        let next = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        // A part has at most 4 GiB.
        if let Some(free) = self.places.get(next % PLACES) {
            free.store(place.wrapping_add(1) as u32, Ordering::Relaxed);
        }
    }
}

/// Room for a block.
pub(super) struct Room {
    near: [u8; NEAR],
    /// For what is larger.
    far: Vec<u8>,
}

impl Default for Room {
    #[inline(always)]
    fn default() -> Self {
        Self {
            near: [0; NEAR],
            far: Vec::new(),
        }
    }
}

impl<'a> Blocks<'a> {
    /// So many octets from `begin` on. None where there are none, or they cannot be read.
    #[inline(always)]
    pub(super) fn read<'b>(
        &self,
        begin: usize,
        length: usize,
        room: &'b mut Room,
    ) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        match self.place {
            Place::Memory(octets) => octets.get(begin..begin.checked_add(length)?),
            Place::File { .. } => self.read_file(begin, length, room),
        }
    }

    #[inline(never)]
    fn read_file<'b>(&self, begin: usize, length: usize, room: &'b mut Room) -> Option<&'b [u8]> {
        let Place::File {
            file,
            begin: part,
            unread,
        } = self.place
        else {
            return None;
        };
        let octets = if length <= NEAR {
            room.near.get_mut(..length)?
        } else {
            room.far.resize(length, 0);
            &mut room.far
        };
        let at = part.checked_add(begin)?;
        if unread.times() > 0 && unread.is_at(begin) {
            unread.times.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        match file.read_exact_at(octets, at as u64) {
            Ok(()) => Some(octets),
            Err(error) => {
                unread.add(begin, &error);
                unread.times.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_says_what_memory_says_and_what_cannot_be_read_is_counted() {
        let octets: Vec<u8> = (0..5 * NEAR).map(|at| (at / 3) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100]).unwrap();
        file.write_all(&octets).unwrap();
        let unread = Unread::default();
        let length = octets.len();
        let memory = Blocks {
            length,
            place: Place::Memory(&octets),
        };
        let place = Place::File {
            file: &file,
            begin: 100,
            unread: &unread,
        };
        let in_file = Blocks { length, place };
        let mut rooms = [(); 2].map(|()| Room::default());
        let [room, other] = &mut rooms;
        for length in [0, 1, NEAR, NEAR + 1, 3 * NEAR, 8] {
            for begin in [0, 1, NEAR, 2 * NEAR] {
                let said = memory.read(begin, length, room);
                assert_eq!(said.unwrap().len(), length);
                assert_eq!(in_file.read(begin, length, other), said);
            }
        }
        assert_eq!(unread.times(), 0);
        assert_eq!(memory.read(length - 1, 2, room), None);
        file.set_len(100 + NEAR as u64).unwrap();
        assert_eq!(in_file.read(NEAR - 1, 2, other), None);
        assert_eq!(in_file.read(usize::MAX, 2, other), None);
        assert_eq!(unread.times(), 1);
        assert_eq!(unread.error().kind(), io::ErrorKind::UnexpectedEof);
        assert!(in_file.read(NEAR - 2, 2, other).is_some());
        // What could not be read is not tried again, but as long as few other places are the same.
        file.set_len(100 + length as u64).unwrap();
        assert_eq!(in_file.read(NEAR - 1, 2, other), None);
        assert_eq!(unread.times(), 2);
        for place in 0..PLACES {
            unread.add(place, &io::Error::from_raw_os_error(5));
        }
        assert_eq!(unread.error().raw_os_error(), Some(5));
        assert!(in_file.read(NEAR - 1, 2, other).is_some());
        assert_eq!(unread.times(), 2);
    }
}
