//! Sorting more records than memory holds.
//!
//! Records gather in an arena of bounded size. When it is full it is sorted and written to a
//! working file, a *run*; in the end all runs are merged. Of many runs some are merged into a
//! longer one on the way, so that neither open files nor buffers grow with the lists. When all
//! records fit into the arena nothing goes to the disk.

use super::CompileError;
use super::record::{self, PREFIX};
use super::run::{Run, RunReader, RunWriter, Workshop};
use crate::files::FileError;

/// How much memory sorting may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Octets of records and of the table that sorts them.
    pub(super) arena: usize,
    /// How many runs are merged at once, at least two.
    pub(super) fan_in: usize,
    /// Octets of the buffer of each run.
    pub(super) buffer: usize,
}

impl Room {
    /// Shares out `octets` of memory: four fifths for the arena, or more, the rest for merging.
    pub(super) fn of(octets: usize) -> Self {
        // A page: the kernel reads ahead of each run, and the more runs are merged at once, the fewer
        // are merged twice.
        const BUFFER: usize = 4 << 10;
        const MOST: usize = 257;
        let merging = (octets / 5).min(MOST * BUFFER);
        // One buffer more is that of the run that is written.
        let fan_in = (merging / BUFFER).clamp(5, MOST) - 1;
        Self {
            arena: octets - merging,
            fan_in,
            buffer: (merging / (fan_in + 1)).clamp(256, BUFFER),
        }
    }

    /// All in memory, however much it is.
    pub(super) const UNBOUNDED: Self = Self {
        arena: usize::MAX,
        fan_in: 2,
        buffer: 0,
    };
}

/// Takes records in any order.
pub(super) struct Sorter {
    room: Room,
    /// None keeps everything in memory.
    workshop: Option<Workshop>,
    arena: Arena,
    /// Runs by how often their records were merged.
    levels: Vec<Vec<Run>>,
}

impl Sorter {
    /// An empty one, which sorts in memory alone where there is no `workshop`.
    pub(super) fn new(workshop: Option<Workshop>, room: Room) -> Self {
        Self {
            room,
            workshop,
            arena: Arena::default(),
            levels: Vec::new(),
        }
    }

    /// Takes the record that `write` puts behind what stands in the buffer it is given; false if
    /// it says that it wrote none.
    ///
    /// # Errors
    /// What the disk said; [`CompileError::TooLarge`] where there is none.
    pub(super) fn push(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> Result<bool, CompileError> {
        if self.arena.octets.len() > MAX_ARENA {
            return Err(CompileError::TooLarge);
        }
        if !self.arena.push(write) {
            return Ok(false);
        }
        // The arena may be over its bound by one record.
        if self.arena.octets() > self.room.arena.min(MAX_ARENA) && self.workshop.is_some() {
            self.spill()?;
        }
        Ok(true)
    }

    /// All records in their order; those that are the same may come once or several times.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn finish(mut self) -> Result<Sorted, FileError> {
        let Some(workshop) = self.workshop.clone().filter(|_| !self.levels.is_empty()) else {
            self.arena.sort();
            return Ok(Sorted::Memory {
                arena: self.arena,
                next: 0,
            });
        };
        self.spill()?;
        // Before the buffers of the runs are made.
        drop(std::mem::take(&mut self.arena));
        // The shortest first.
        let mut runs: Vec<Run> = self.levels.into_iter().flatten().collect();
        while runs.len() > self.room.fan_in {
            let rest = runs.split_off(self.room.fan_in.min(runs.len()));
            let merged = merge(runs, &workshop, self.room)?;
            runs = rest;
            runs.push(merged);
        }
        Merge::new(runs, self.room).map(Sorted::Runs)
    }

    /// Empties the arena into a run.
    fn spill(&mut self) -> Result<(), FileError> {
        let Some(workshop) = &self.workshop else {
            return Ok(());
        };
        if self.arena.entries.is_empty() {
            return Ok(());
        }
        self.arena.sort();
        let mut writer = RunWriter::new(workshop, self.room.buffer)?;
        for at in 0..self.arena.entries.len() {
            writer.push(self.arena.get(at).unwrap_or_default())?;
        }
        let mut run = writer.finish()?;
        self.arena.clear();
        for level in 0.. {
            match self.levels.get_mut(level) {
                None => {
                    self.levels.push(vec![run]);
                    break;
                }
                Some(runs) => {
                    runs.push(run);
                    if runs.len() < self.room.fan_in {
                        break;
                    }
                    run = merge(std::mem::take(runs), workshop, self.room)?;
                }
            }
        }
        Ok(())
    }
}

/// The most octets an arena can address.
const MAX_ARENA: usize = u32::MAX as usize / 2;

/// Merges runs into one.
fn merge(runs: Vec<Run>, workshop: &Workshop, room: Room) -> Result<Run, FileError> {
    let mut merge = Merge::new(runs, room)?;
    let mut writer = RunWriter::new(workshop, room.buffer)?;
    while let Some(record) = merge.next()? {
        writer.push(record)?;
    }
    writer.finish()
}

/// Records in their order.
pub(super) enum Sorted {
    /// All of them in memory.
    Memory { arena: Arena, next: usize },
    /// On the disk.
    Runs(Merge),
}

impl Sorted {
    /// The next record.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, FileError> {
        match self {
            Self::Memory { arena, next } => {
                *next += 1;
                Ok(arena.get(*next - 1))
            }
            Self::Runs(merge) => merge.next(),
        }
    }

    /// How many records there are at most.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory { arena, .. } => arena.entries.len() as u64,
            Self::Runs(merge) => merge.records,
        }
    }
}

/// Records in memory.
#[derive(Default)]
pub(super) struct Arena {
    octets: Vec<u8>,
    entries: Vec<Place>,
}

/// Where a record stands in the arena, and what decides its place among the others.
#[derive(Clone, Copy)]
struct Place {
    /// Twelve symbols of its key.
    prefix: u64,
    at: u32,
    length: u16,
}

impl Arena {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let at = self.octets.len();
        if !write(&mut self.octets) {
            return false;
        }
        let record = self.octets.get(at..).unwrap_or_default();
        self.entries.push(Place {
            prefix: record::prefix(record, 0),
            // Below `MAX_ARENA`, and a record is shorter than 64 KiB.
            at: at as u32,
            length: record.len() as u16,
        });
        true
    }

    /// Octets it takes.
    fn octets(&self) -> usize {
        self.octets.len() + size_of_val(&*self.entries)
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.entries.clear();
    }

    fn sort(&mut self) {
        sort_from(&mut self.entries, &self.octets, 0);
    }

    fn get(&self, at: usize) -> Option<&[u8]> {
        self.entries.get(at).map(|place| place.of(&self.octets))
    }
}

impl Place {
    fn of(self, octets: &[u8]) -> &[u8] {
        let at = self.at as usize;
        octets
            .get(at..at + usize::from(self.length))
            .unwrap_or_default()
    }
}

/// Sorts places whose records are the same up to `skip`, from where their prefixes were taken.
///
/// Numbers are sorted without a look at the records; where many are the same, those are sorted by
/// the next twelve symbols.
fn sort_from(places: &mut [Place], octets: &[u8], skip: usize) {
    const FEW: usize = 24;
    places.sort_unstable_by_key(|place| place.prefix);
    for same in places.chunk_by_mut(|left, right| left.prefix == right.prefix) {
        let [first, _, ..] = same else { continue };
        // The last of twelve symbols is the end, or the key ended before.
        let ended = first.prefix % 40 == 0;
        if ended || same.len() <= FEW {
            same.sort_unstable_by(|left, right| {
                let rest = |place: &Place| place.of(octets).get(skip..).unwrap_or_default();
                rest(left).cmp(rest(right))
            });
        } else {
            for place in &mut *same {
                place.prefix = record::prefix(place.of(octets), skip + PREFIX);
            }
            sort_from(same, octets, skip + PREFIX);
        }
    }
}

/// Merges runs.
pub(super) struct Merge {
    readers: Vec<RunReader>,
    /// Indexes into `readers`: a heap with the least record on top.
    heap: Vec<usize>,
    /// Whether the record on top was handed out.
    spent: bool,
    /// Records in all runs.
    records: u64,
}

impl Merge {
    fn new(runs: Vec<Run>, room: Room) -> Result<Self, FileError> {
        let mut merge = Self {
            readers: Vec::with_capacity(runs.len()),
            heap: Vec::with_capacity(runs.len()),
            spent: false,
            records: runs.iter().map(|run| run.records).sum(),
        };
        for run in runs {
            let mut reader = run.read(room.buffer)?;
            if reader.advance()? {
                merge.heap.push(merge.readers.len());
                merge.readers.push(reader);
            }
        }
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    fn next(&mut self) -> Result<Option<&[u8]>, FileError> {
        if std::mem::take(&mut self.spent) {
            let top = self.heap.first();
            if let Some(reader) = top.and_then(|index| self.readers.get_mut(*index)) {
                if !reader.advance()? {
                    self.heap.swap_remove(0);
                }
                self.sink(0);
            }
        }
        self.spent = true;
        let top = self.heap.first().and_then(|index| self.readers.get(*index));
        Ok(top.map(RunReader::record))
    }

    /// Lets the reader at `at` of the heap sink to its place.
    fn sink(&mut self, mut at: usize) {
        let order = |index: Option<&usize>| {
            index
                .and_then(|index| self.readers.get(*index))
                .map(RunReader::order)
        };
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(of_left) = order(self.heap.get(left)) else {
                break;
            };
            let (child, least) = match order(self.heap.get(right)) {
                Some(of_right) if of_right < of_left => (right, of_right),
                _ => (left, of_left),
            };
            if order(self.heap.get(at)).is_none_or(|own| own <= least) {
                break;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::files::MemoryFiles;

    fn sorted(records: &[Vec<u8>], workshop: Option<Workshop>, room: Room) -> Vec<Vec<u8>> {
        let mut sorter = Sorter::new(workshop, room);
        for record in records {
            let write = |into: &mut Vec<u8>| {
                into.extend_from_slice(record);
                true
            };
            assert!(sorter.push(write).unwrap());
        }
        let mut sorted = sorter.finish().unwrap();
        let mut all = Vec::new();
        while let Some(record) = sorted.next().unwrap() {
            all.push(record.to_vec());
        }
        all
    }

    fn workshop(memory: &Arc<MemoryFiles>) -> Workshop {
        Workshop {
            files: memory.files(),
            folder: "/work".into(),
        }
    }

    fn record() -> impl Strategy<Value = Vec<u8>> {
        let key = "(com|org)(\u{1}[ab]{0,3}){0,3}(\u{1}aaaaaaaaaaaaaaaaaaaaaaaaaa[ab]?)?";
        (key, 0_u8..3, "[ab]{0,2}").prop_map(|(key, list, modifiers)| {
            [key.as_bytes(), &[0, 0, list, 0], modifiers.as_bytes()].concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn the_order_does_not_depend_on_the_memory(
            records in prop::collection::vec(record(), 0..300),
            arena in 0_usize..4_000,
            fan_in in 2_usize..6,
            buffer in 1_usize..200,
        ) {
            let mut expected = records.clone();
            expected.sort();
            expected.dedup();
            let mut in_memory = sorted(&records, None, Room::UNBOUNDED);
            in_memory.dedup();
            prop_assert_eq!(&in_memory, &expected);
            let memory = MemoryFiles::new();
            let room = Room { arena, fan_in, buffer };
            let mut on_disk = sorted(&records, Some(workshop(&memory)), room);
            on_disk.dedup();
            prop_assert_eq!(&on_disk, &expected);
        }
    }

    #[test]
    fn memory_is_shared_out_within_its_bound() {
        for octets in [20_000, 1 << 20, 14 << 20, 100 << 20] {
            let room = Room::of(octets);
            let merging = (room.fan_in + 1) * room.buffer;
            assert!(room.arena + merging <= octets, "{octets} {room:?}");
            assert!(room.fan_in >= 4, "{octets} {room:?}");
        }
    }
}
