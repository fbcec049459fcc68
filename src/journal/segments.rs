//! A log in memory that never grows: rows of bytes in segments, the oldest segment reused.
//!
//! Entries are numbered from 1 and stand one behind the other, each with its length in front. A
//! segment knows the number of its first entry, so an entry is found by its number without an
//! index. With room for two segments of three entries each, and entry 7 arriving:
//!
//! ```text
//! before   [1 2 3] [4 5 6]
//! after            [4 5 6] [7 . .]     the memory of 1, 2, 3 is now that of 7
//! ```
//!
//! Whoever reads copies one segment at a time, so a long read-out never holds up the thread that
//! answers queries for longer than it takes to copy a few kilobytes.

use std::collections::VecDeque;

/// The most one segment holds.
const MAX_SEGMENT: usize = 16 * 1024;
/// The least that makes sense for one segment: a few entries with the longest of names.
const MIN_SEGMENT: usize = 1024;
/// The longest entry; anything longer is not kept.
pub(super) const MAX_ENTRY: usize = 512;
/// Octets of the length in front of each entry.
const LENGTH: usize = 2;

/// The log.
#[derive(Debug)]
pub(super) struct Segments {
    segments: VecDeque<Segment>,
    segment_bytes: usize,
    max_segments: usize,
    newest: u64,
}

#[derive(Debug, Default)]
struct Segment {
    first: u64,
    entries: u64,
    bytes: Vec<u8>,
}

impl Segments {
    /// A log of at most `max_bytes`; less than a kilobyte keeps nothing.
    pub(super) fn new(max_bytes: usize) -> Self {
        let mut log = Self {
            segments: VecDeque::new(),
            segment_bytes: 0,
            max_segments: 0,
            newest: 0,
        };
        log.divide(max_bytes);
        log
    }

    fn divide(&mut self, max_bytes: usize) {
        let place = size_of::<Segment>();
        self.segment_bytes = (max_bytes / 16).clamp(MIN_SEGMENT, MAX_SEGMENT + place) - place;
        self.max_segments = max_bytes / (self.segment_bytes + place);
        self.segments = VecDeque::with_capacity(self.max_segments);
    }

    /// Changes the bound; the newest entries that fit stay.
    pub(super) fn set_max_bytes(&mut self, max_bytes: usize) {
        let (kept, newest) = (std::mem::take(&mut self.segments), self.newest);
        self.divide(max_bytes);
        if let Some(oldest) = kept.front() {
            self.newest = oldest.first - 1;
        }
        for entry in kept.iter().flat_map(|segment| entries(&segment.bytes)) {
            self.push([entry, &[]]);
        }
        self.newest = newest;
    }

    /// Whether anything is kept at all.
    pub(super) fn keeps(&self) -> bool {
        self.max_segments > 0
    }

    /// The number of the newest entry; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The number of the oldest entry still there, or of the next to come.
    pub(super) fn oldest(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.newest + 1, |segment| segment.first)
    }

    /// Adds `entry`, in two parts, as the newest.
    pub(super) fn push(&mut self, entry: [&[u8]; 2]) {
        let [first, second] = entry;
        let whole = first.len() + second.len();
        let Ok(length) = u16::try_from(whole) else {
            return;
        };
        if !self.keeps() || whole > MAX_ENTRY {
            return;
        }
        let needed = LENGTH + whole;
        let has_room = self
            .segments
            .back()
            .is_some_and(|last| last.bytes.len() + needed <= self.segment_bytes);
        if !has_room {
            self.begin_segment();
        }
        self.newest += 1;
        if let Some(last) = self.segments.back_mut() {
            last.bytes.extend_from_slice(&length.to_le_bytes());
            last.bytes.extend_from_slice(first);
            last.bytes.extend_from_slice(second);
            last.entries += 1;
        }
    }

    fn begin_segment(&mut self) {
        let mut segment = if self.segments.len() < self.max_segments {
            Segment {
                bytes: Vec::with_capacity(self.segment_bytes),
                ..Segment::default()
            }
        } else {
            self.segments.pop_front().unwrap_or_default()
        };
        segment.bytes.clear();
        segment.entries = 0;
        segment.first = self.newest + 1;
        self.segments.push_back(segment);
    }

    /// Copies the segment that holds entry `number`, or else the first behind it, into `copy`.
    pub(super) fn copy_from(&self, number: u64, copy: &mut SegmentCopy) -> bool {
        let place = self
            .segments
            .partition_point(|segment| segment.first + segment.entries <= number);
        copy.bytes.clear();
        let Some(segment) = self.segments.get(place) else {
            return false;
        };
        copy.first = segment.first;
        copy.next = segment.first + segment.entries;
        copy.bytes.extend_from_slice(&segment.bytes);
        true
    }

    /// Lets `change` see every entry, to blot out what must not stay.
    pub(super) fn for_each_mut(&mut self, mut change: impl FnMut(&mut [u8])) {
        for segment in &mut self.segments {
            let mut rest = segment.bytes.as_mut_slice();
            while let Some((length, tail)) = rest.split_first_chunk_mut::<LENGTH>() {
                let length = usize::from(u16::from_le_bytes(*length));
                let Some((entry, after)) = tail.split_at_mut_checked(length) else {
                    break;
                };
                change(entry);
                rest = after;
            }
        }
    }

    /// Forgets every entry; numbers go on.
    pub(super) fn clear(&mut self) {
        self.segments.clear();
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let rows: usize = self.segments.iter().map(|s| s.bytes.capacity()).sum();
        rows + self.segments.capacity() * size_of::<Segment>()
    }
}

/// One segment, copied out.
#[derive(Debug, Default)]
pub(super) struct SegmentCopy {
    first: u64,
    next: u64,
    bytes: Vec<u8>,
}

impl SegmentCopy {
    /// Its entries with their numbers, the oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.first..).zip(entries(&self.bytes))
    }

    /// The number of its first entry.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number behind its last entry.
    pub(super) fn next(&self) -> u64 {
        self.next
    }
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<LENGTH>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (entry, after) = tail.split_at_checked(length)?;
        rest = after;
        Some(entry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(log: &Segments) -> Vec<u64> {
        let mut copy = SegmentCopy::default();
        let mut all = Vec::new();
        let mut number = 0;
        while log.copy_from(number, &mut copy) {
            for (seq, entry) in copy.entries() {
                assert_eq!(entry, seq.to_be_bytes().repeat(10), "{seq}");
                all.push(seq);
            }
            number = copy.next();
        }
        all
    }

    fn fill(log: &mut Segments, count: u64) {
        for _ in 0..count {
            let entry = (log.newest() + 1).to_be_bytes().repeat(10);
            log.push([&entry, &[]]);
        }
    }

    #[test]
    fn the_newest_stay_and_numbers_never_start_over() {
        let mut log = Segments::new(4096);
        fill(&mut log, 1000);
        let kept = numbers(&log);
        assert_eq!(kept.last(), Some(&1000));
        assert_eq!(kept.first(), Some(&log.oldest()));
        assert!(kept.len() > 20, "{kept:?}");
        assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert!(log.memory_bytes() <= 4096, "{}", log.memory_bytes());
    }

    #[test]
    fn every_bound_is_kept() {
        for max_bytes in [0, 100, 1023, 1024, 5000, 70_000, 1 << 20] {
            let mut log = Segments::new(max_bytes);
            fill(&mut log, 20_000);
            assert!(log.memory_bytes() <= max_bytes, "{max_bytes}");
            assert_eq!(log.keeps(), max_bytes >= 1024, "{max_bytes}");
        }
    }

    #[test]
    fn a_smaller_bound_keeps_the_newest_and_a_larger_one_all() {
        let mut log = Segments::new(64 * 1024);
        fill(&mut log, 300);
        log.set_max_bytes(4096);
        let kept = numbers(&log);
        assert_eq!(kept.last(), Some(&300));
        assert!(log.memory_bytes() <= 4096);
        log.set_max_bytes(128 * 1024);
        assert_eq!(numbers(&log), kept);
        log.set_max_bytes(0);
        assert!(numbers(&log).is_empty());
        fill(&mut log, 3);
        log.set_max_bytes(4096);
        fill(&mut log, 1);
        assert_eq!(numbers(&log).len(), 1);
    }

    #[test]
    fn entries_can_be_blotted_out() {
        let mut log = Segments::new(4096);
        log.push([b"ke", b"ep"]);
        log.push([b"gone", b""]);
        log.for_each_mut(|entry| {
            if entry == b"gone" {
                entry.fill(0);
            }
        });
        let mut copy = SegmentCopy::default();
        assert!(log.copy_from(2, &mut copy));
        let all: Vec<_> = copy.entries().collect();
        assert_eq!(all, [(1, &b"keep"[..]), (2, &[0; 4][..])]);
    }
}
