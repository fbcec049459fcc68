//! The filter while it is written.
//!
//! Names come in their order, their blocks in any. Where not all blocks fit into memory those of
//! the first *slice* do, and what belongs into each other slice waits in a working file of its own
//! until that is in memory. So names are looked at once, however little memory there is.

use super::alphabet::{GAP, octet_of};
use super::fault::WriteError;
use super::filter::{self, BLOCK, Homes};
use super::record::Record;
use super::spool::Spool;
use super::write::MakeScratch;
use crate::name::MAX_LABEL;

/// The most slices that wait in a working file: each is an open file and [`BUFFER`].
const MOST_WAITING: u64 = 64;
/// Octets of the buffer of a working file: nearly a page.
const BUFFER: usize = 341 * WAITING;
/// Octets of what waits: which block of the slice it belongs into, then the hash.
const WAITING: usize = 4 + 8;

/// A filter that takes names.
pub(super) struct Slices {
    homes: Homes,
    blocks: Blocks,
    /// Where each label of the last name ends in its row.
    ends: Vec<usize>,
    /// The hashes of its parents, from its top to itself.
    hashes: Vec<u64>,
}

/// The blocks of a filter.
struct Blocks {
    /// How many there are.
    all: u64,
    /// How many a slice has, the last one excepted; at least one.
    each: u64,
    /// Those of the slice that is in memory.
    here: Vec<[u8; BLOCK]>,
    /// What waits for each slice behind the first.
    waiting: Vec<Waiting>,
    /// What the disk said meanwhile.
    failed: Option<WriteError>,
}

/// What waits for a slice.
struct Waiting {
    spool: Spool,
    count: u64,
}

impl Slices {
    /// An empty filter for so many names, of which `memory` octets are in memory at a time, or more
    /// where that would be too many slices. `scratch` makes the working files of the others.
    ///
    /// # Errors
    /// [`WriteError::File`].
    pub(super) fn new(
        names: u64,
        memory: usize,
        scratch: MakeScratch<'_>,
    ) -> Result<Self, WriteError> {
        let all = filter::blocks(names);
        let each = (memory / BLOCK).max(1) as u64;
        let each = each.max(all.div_ceil(1 + MOST_WAITING));
        let mut waiting = Vec::new();
        for _ in 1..all.div_ceil(each) {
            waiting.push(Waiting {
                spool: Spool::with_buffer(scratch()?, BUFFER),
                count: 0,
            });
        }
        let mut blocks = Blocks {
            all,
            each,
            here: Vec::new(),
            waiting,
            failed: None,
        };
        blocks.begin(0);
        Ok(Self {
            homes: Homes::default(),
            blocks,
            ends: Vec::new(),
            hashes: Vec::new(),
        })
    }

    /// Takes a name. Names come one after the other.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn put(&mut self, record: &Record<'_>) -> Result<(), WriteError> {
        if record.is_new_top {
            self.ends.clear();
            self.hashes.clear();
            let mut wire = [0; MAX_LABEL + 1];
            // A label has at most 63 octets.
            wire[0] = record.top.len() as u8;
            let end = 1 + record.top.len();
            if let Some(place) = wire.get_mut(1..end) {
                place.copy_from_slice(record.top);
            }
            self.hashes
                .push(filter::hash_label(filter::SEED, &wire, 0..end));
        }
        // What the last name shares has the same hashes.
        while self.ends.pop_if(|end| *end >= record.shared).is_some() {
            self.hashes.pop();
        }
        let mut begin = self.ends.last().map_or(0, |end| end + 1);
        let mut hash = self.hashes.last().copied().unwrap_or_default();
        let body = record.row.split_last().map_or(record.row, |(_, body)| body);
        for label in body
            .get(begin..)
            .unwrap_or_default()
            .split(|symbol| *symbol == GAP)
        {
            if label.is_empty() {
                break;
            }
            let mut wire = [0; MAX_LABEL + 1];
            wire[0] = label.len() as u8;
            for (place, symbol) in wire[1..].iter_mut().zip(label) {
                *place = octet_of(*symbol);
            }
            let end = begin + label.len();
            hash = filter::hash_label(hash, &wire, 0..1 + label.len());
            self.ends.push(end);
            self.hashes.push(hash);
            begin = end + 1;
        }
        let blocks = &mut self.blocks;
        self.homes
            .put(&self.hashes, &mut |home, hash| blocks.put(home, hash));
        blocks.failed.take().map_or(Ok(()), Err)
    }

    /// Gives `output` the octets of all blocks, once all names have come.
    ///
    /// # Errors
    /// [`WriteError::Scratch`], and what `output` said.
    pub(super) fn finish(
        self,
        mut output: impl FnMut(&[u8]) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let Self {
            mut homes,
            mut blocks,
            ..
        } = self;
        homes.end(&mut |home, hash| blocks.put(home, hash));
        blocks.failed.take().map_or(Ok(()), Err)?;
        output(blocks.here.as_flattened())?;
        let waiting = std::mem::take(&mut blocks.waiting);
        for (slice, waiting) in (1..).zip(waiting) {
            blocks.begin(slice);
            let mut spooled = waiting.spool.finish()?;
            let mut reader = spooled.read_out()?;
            for _ in 0..waiting.count {
                let (mut place, mut hash) = ([0; 4], [0; 8]);
                reader.take(&mut place)?;
                reader.take(&mut hash)?;
                let block = blocks.here.get_mut(u32::from_le_bytes(place) as usize);
                if let Some(block) = block {
                    filter::put(block, u64::from_le_bytes(hash));
                }
            }
            output(blocks.here.as_flattened())?;
        }
        Ok(())
    }
}

impl Blocks {
    /// Makes the blocks of a slice, all of them empty.
    fn begin(&mut self, slice: u64) {
        let left = self.all.saturating_sub(slice * self.each);
        self.here.clear();
        // No more than were asked for, or a 64th of 4 milliards.
        self.here.resize(left.min(self.each) as usize, [0; BLOCK]);
    }

    /// Puts a hash into the block of its home, or has it wait for that.
    fn put(&mut self, home: u64, hash: u64) {
        let place = filter::block_of(home, self.all);
        if place < self.each {
            if let Some(block) = self.here.get_mut(place as usize) {
                filter::put(block, hash);
            }
            return;
        }
        let slice = (place / self.each - 1) as usize;
        if let Some(waiting) = self.waiting.get_mut(slice) {
            let mut octets = [0; WAITING];
            // A filter has no more blocks than 32 bits can say.
            octets[..4].copy_from_slice(&((place % self.each) as u32).to_le_bytes());
            octets[4..].copy_from_slice(&hash.to_le_bytes());
            waiting.count += 1;
            if let Err(error) = waiting.spool.put(&octets) {
                self.failed.get_or_insert(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::files::{FileError, Scratch};
    use crate::lists::index::alphabet::{END, Spelled};
    use crate::lists::index::record::{self, Records};
    use crate::lists::posting::canonical_order;
    use crate::name::Name;

    /// A disk in memory with room for so many files.
    fn files(mut room: usize) -> impl FnMut() -> Result<Box<dyn Scratch>, FileError> {
        move || {
            room = room.checked_sub(1).ok_or_else(|| FileError {
                path: "/work".into(),
                doing: "cannot make a working file",
                source: std::io::ErrorKind::StorageFull.into(),
            })?;
            Ok(Box::new(Cursor::new(Vec::new())))
        }
    }

    /// Names in their order: crowded parents among others, and every depth.
    fn names() -> Vec<Name> {
        let texts = (0..3_000).map(|n| match n % 4 {
            0 => format!("{n}.example"),
            1 => format!("{n}.crowded.example"),
            2 => format!("a{n}.b{}.c.org", n % 50),
            _ => format!("{n}.{}.net", n % 7),
        });
        let mut names: Vec<Name> = texts.map(|text| Name::parse(&text).unwrap()).collect();
        names.sort_by(|left, right| canonical_order(left.as_ref(), right.as_ref()));
        names
    }

    /// The filter of names of which so many octets are in memory.
    fn filter(names: &[Name], memory: usize, room: usize) -> Result<Vec<u8>, WriteError> {
        let mut spool = Spool::new(files(1)()?);
        let (mut top, mut before) = (Vec::new(), Vec::new());
        for name in names {
            let mut spelled = Spelled::new();
            spelled.spell(name.as_ref()).unwrap();
            if top != spelled.top {
                top = spelled.top.to_vec();
                record::put_top(&mut spool, &top)?;
                before.clear();
            }
            let row = spelled.with_row(0, |wanted| wanted.row.to_vec()).unwrap();
            record::put_name(&mut spool, &row, &before, Ok(0))?;
            before = row;
        }
        let mut slices = Slices::new(names.len() as u64, memory, &mut files(room))?;
        let mut spooled = spool.finish()?;
        let mut records = Records::new(&mut spooled, true)?;
        while let Some(record) = records.next()? {
            slices.put(&record)?;
        }
        let mut octets = Vec::new();
        slices.finish(|some| {
            octets.extend_from_slice(some);
            Ok(())
        })?;
        Ok(octets)
    }

    #[test]
    fn a_filter_in_slices_is_that_which_was_made_at_once() {
        let names = names();
        let whole = filter(&names, usize::MAX, 0).unwrap();
        let blocks = filter::blocks(names.len() as u64);
        assert_eq!(whole.len() as u64, blocks * BLOCK as u64);
        assert_eq!(blocks, 65);
        assert!(whole.iter().any(|octet| *octet != 0));
        // One block at a time, some, all but one, all.
        for (memory, files) in [
            (0, 64),
            (64, 64),
            (6 * 64 + 3, 10),
            (64 * 64, 1),
            (65 * 64, 0),
        ] {
            assert_eq!(filter(&names, memory, files).unwrap(), whole, "{memory}");
            if let Some(fewer) = files.checked_sub(1) {
                let refused = filter(&names, memory, fewer).unwrap_err();
                assert!(matches!(refused, WriteError::File(_)), "{refused}");
            }
        }
        assert!(filter(&[], 0, 0).unwrap().is_empty());
    }

    #[test]
    fn there_are_no_more_slices_than_may_be_open() {
        let all = 1 + MOST_WAITING as usize;
        let slices = Slices::new(1_000_000, 0, &mut files(all)).unwrap();
        let blocks = filter::blocks(1_000_000);
        assert_eq!(slices.blocks.each, blocks.div_ceil(1 + MOST_WAITING));
        assert_eq!(
            slices.blocks.waiting.len() as u64,
            blocks.div_ceil(slices.blocks.each) - 1
        );
        assert!(slices.blocks.waiting.len() as u64 <= MOST_WAITING);
    }

    #[test]
    fn a_full_disk_ends_it() {
        struct Full;
        impl std::io::Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        impl std::io::Read for Full {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Ok(0)
            }
        }
        impl Scratch for Full {}
        impl std::io::Seek for Full {
            fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
                Ok(0)
            }
        }
        let mut slices = Slices::new(100_000, 64, &mut || Ok(Box::new(Full))).unwrap();
        let row = [END];
        let mut refused = 0;
        for number in 0..100_000_u32 {
            let top = number.to_string();
            let record = Record {
                top: top.as_bytes(),
                is_new_top: true,
                row: &row,
                shared: 0,
                set: Ok(0),
            };
            match slices.put(&record) {
                Err(WriteError::Scratch(_)) => refused += 1,
                Err(error) => panic!("{error}"),
                Ok(()) => {}
            }
        }
        assert!(refused > 0);
    }
}
