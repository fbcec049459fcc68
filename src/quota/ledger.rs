//! What is used, on flash: small records, added at the end, that a power cut can only shorten.
//!
//! The file begins with eight octets that say what it is. Each record has 32: the key of the meter
//! (8), the seconds since 1970 its period began at (8), milliseconds used (4), seconds carried on
//! (4), stretches of activity (4), and the CRC-32 of what stands before (4); numbers have their
//! lowest octet first. The last record of a meter and a period counts. A record of which the end
//! is missing, or whose checksum is wrong, is none.
//!
//! One record is added for each meter that changed, once a minute at most: 46,080 octets for a
//! meter that runs all day, 5,760 for one that runs for three hours. At 64 KiB the file is replaced
//! by one that holds only what counts, so that a meter that never stops has that written about once
//! in a day and a half.

use std::path::PathBuf;
use std::time::Duration;

use super::meters::HISTORY;
use crate::clock::Timestamp;
use crate::files::{FileError, Files};

/// The name of the file in the state folder.
pub const FILE: &str = "quota.ledger";
/// How large it may grow before it is written anew.
pub const MAX_BYTES: usize = 64 << 10;
/// What the file begins with.
const MAGIC: &[u8; 8] = b"HGquota1";
/// Octets of a record.
const RECORD: usize = 32;
/// A begin that is not known.
const UNKNOWN: i64 = i64::MIN;
/// How many records of different meters and periods are kept.
const MAX_KEPT: usize = 1024;

/// What was used of a meter in a period, by the end of some minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// [`key`] of the meter.
    pub key: u64,
    /// When the period began; none when no clock told it.
    pub begin: Option<Timestamp>,
    /// What was used.
    pub used: Duration,
    /// What was carried on into it.
    pub carried: Duration,
    /// How often activity began.
    pub stretches: u64,
}

/// What is wrong with a ledger that was read; what could be used is.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It cannot be read: everything begins at nothing.
    #[error("{0}; quotas begin anew")]
    File(#[from] FileError),
    /// It is no ledger of this version: everything begins at nothing.
    #[error("{}: no ledger of quotas that this build reads; quotas begin anew", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Some records are spoilt.
    #[error("{}: {records} records of used time are spoilt and do not count", path.display())]
    Spoilt {
        /// The file.
        path: PathBuf,
        /// How many.
        records: usize,
    },
}

/// The number by which a meter is known in the file.
pub fn key(profile: &str, of: &str) -> u64 {
    let text = format!("{profile}\0{of}");
    twox_hash::XxHash3_64::oneshot(text.as_bytes())
}

/// The file.
#[derive(Debug)]
pub(super) struct Ledger {
    files: Files,
    path: Option<PathBuf>,
    /// What counts: the last record of each meter and period, the oldest period first.
    kept: Vec<Record>,
    /// Octets of the file; none when it must be written anew.
    length: Option<usize>,
}

impl Ledger {
    /// Reads the file at `path`, if there is one.
    pub(super) fn load(files: Files, path: Option<PathBuf>) -> (Self, Option<LedgerError>) {
        let mut ledger = Self {
            files,
            path,
            kept: Vec::new(),
            length: None,
        };
        let Some(path) = ledger.path.clone() else {
            return (ledger, None);
        };
        // Twice what it should have: the last minute may have passed the bound.
        let content = match ledger.files.read(&path, 2 * MAX_BYTES as u64) {
            Ok(content) => content,
            Err(error) if error.is_missing() => return (ledger, None),
            Err(error) => return (ledger, Some(error.into())),
        };
        let Some(records) = content.strip_prefix(MAGIC) else {
            let is_torn = MAGIC.starts_with(&content);
            return (ledger, (!is_torn).then_some(LedgerError::Foreign { path }));
        };
        let mut spoilt = 0;
        for octets in records.chunks_exact(RECORD) {
            match Record::decode(octets) {
                Some(record) => ledger.keep(record),
                None => spoilt += 1,
            }
        }
        let is_whole = records.len() % RECORD == 0;
        ledger.length = (is_whole && spoilt == 0).then_some(content.len());
        let error = LedgerError::Spoilt {
            path,
            records: spoilt,
        };
        (ledger, (spoilt > 0).then_some(error))
    }

    /// What is known of a meter, the oldest period first.
    pub(super) fn records_of(&self, key: u64) -> Vec<Record> {
        let of_meter = self.kept.iter().filter(|record| record.key == key);
        of_meter.copied().collect()
    }

    /// Adds `records`.
    ///
    /// # Errors
    /// With path and cause; the next time writes the file anew.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), FileError> {
        if records.is_empty() {
            return Ok(());
        }
        for record in records {
            self.keep(*record);
        }
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        let added = RECORD * records.len();
        // Whatever fails below leaves a file of which nothing is known.
        match self.length.take() {
            Some(length) if length + added <= MAX_BYTES => {
                let mut octets = Vec::with_capacity(added);
                records.iter().for_each(|it| it.encode(&mut octets));
                self.files.append(&path, &octets)?;
                self.length = Some(length + added);
            }
            _ => {
                let mut octets = MAGIC.to_vec();
                self.kept.iter().for_each(|it| it.encode(&mut octets));
                if let Some(folder) = path.parent() {
                    self.files.create_folder(folder)?;
                }
                self.files.replace_privately(&path, &octets)?;
                self.length = Some(octets.len());
            }
        }
        Ok(())
    }

    /// Takes a record in for the one before it of the same meter and period. A period that begins
    /// earlier than one that is known was come back to: what was after it was not.
    fn keep(&mut self, record: Record) {
        let is_before =
            |it: &Record| it.key != record.key || it.begin.is_some() && it.begin < record.begin;
        self.kept.retain(is_before);
        self.kept.push(record);
        let of_meter = self.kept.iter().filter(|it| it.key == record.key).count();
        let is_surplus = of_meter > HISTORY + 1 || self.kept.len() > MAX_KEPT;
        let whose = |it: &Record| of_meter <= HISTORY + 1 || it.key == record.key;
        if is_surplus && let Some(oldest) = self.kept.iter().position(whose) {
            self.kept.remove(oldest);
        }
    }
}

impl Record {
    /// As it comes back from the file.
    pub(super) fn rounded(mut self) -> Self {
        let millis = u32::try_from(self.used.as_millis()).unwrap_or(u32::MAX);
        self.used = Duration::from_millis(u64::from(millis));
        let seconds = u32::try_from(self.carried.as_secs()).unwrap_or(u32::MAX);
        self.carried = Duration::from_secs(u64::from(seconds));
        self.stretches = self.stretches.min(u64::from(u32::MAX));
        self
    }

    fn encode(&self, octets: &mut Vec<u8>) {
        let low = |number: u128| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let start = octets.len();
        let begin = self.begin.map_or(UNKNOWN, Timestamp::as_second);
        octets.extend_from_slice(&self.key.to_le_bytes());
        octets.extend_from_slice(&begin.to_le_bytes());
        octets.extend_from_slice(&low(self.used.as_millis()));
        octets.extend_from_slice(&low(self.carried.as_secs().into()));
        octets.extend_from_slice(&low(self.stretches.into()));
        let checksum = checksum(&octets[start..]);
        octets.extend_from_slice(&checksum.to_le_bytes());
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(octets.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(octets.get(at..at + 8)?.try_into().ok()?));
        if word(28)? != checksum(octets.get(..28)?) {
            return None;
        }
        let begin = long(8)?.cast_signed();
        Some(Self {
            key: long(0)?,
            begin: match begin {
                UNKNOWN => None,
                seconds => Some(Timestamp::from_second(seconds).ok()?),
            },
            used: Duration::from_millis(word(16)?.into()),
            carried: Duration::from_secs(word(20)?.into()),
            stretches: word(24)?.into(),
        })
    }
}

/// CRC-32 as Ethernet and gzip use it.
fn checksum(octets: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(octets);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::files::MemoryFiles;

    const PATH: &str = "/state/quota.ledger";

    fn load(memory: &Arc<MemoryFiles>) -> (Ledger, Option<LedgerError>) {
        Ledger::load(memory.files(), Some(PATH.into()))
    }

    fn content(memory: &Arc<MemoryFiles>) -> Vec<u8> {
        memory.files().read(Path::new(PATH), 1 << 20).unwrap()
    }

    fn record(key: u64, day: i64, minutes: u64) -> Record {
        Record {
            key,
            begin: Some(Timestamp::from_second(1_796_083_200 + day * 86_400).unwrap()),
            used: Duration::from_secs(60 * minutes),
            carried: Duration::from_secs(5),
            stretches: minutes,
        }
    }

    #[test]
    fn a_cut_at_any_octet_loses_one_record_at_most() {
        let memory = MemoryFiles::new();
        let (mut ledger, _) = load(&memory);
        for minute in 1..=5 {
            ledger
                .append(&[record(1, 0, minute), record(2, 0, 2 * minute)])
                .unwrap();
        }
        let whole = content(&memory);
        assert_eq!(whole.len(), 8 + 2 * RECORD + 4 * 2 * RECORD);
        for length in 0..=whole.len() {
            memory.put(PATH, &whole[..length]);
            let (mut ledger, error) = load(&memory);
            assert!(error.is_none(), "{length}: {error:?}");
            let complete = length.saturating_sub(8) / RECORD;
            let expected = |nth: usize| (complete + 2 - nth) as u64 / 2;
            let minutes = |records: &[Record]| records.last().map_or(0, |it| it.stretches);
            assert_eq!(minutes(&ledger.records_of(1)), expected(1), "{length}");
            assert_eq!(minutes(&ledger.records_of(2)), 2 * expected(2), "{length}");
            // And what is written next can be read.
            ledger.append(&[record(1, 0, 9)]).unwrap();
            let (ledger, error) = load(&memory);
            assert!(error.is_none(), "{length}: {error:?}");
            assert_eq!(minutes(&ledger.records_of(1)), 9, "{length}");
            assert_eq!(minutes(&ledger.records_of(2)), 2 * expected(2), "{length}");
        }
    }

    #[test]
    fn a_spoilt_octet_spoils_one_record() {
        let memory = MemoryFiles::new();
        let (mut ledger, _) = load(&memory);
        for minute in 1..=3 {
            ledger.append(&[record(1, 0, minute)]).unwrap();
        }
        let mut spoilt = content(&memory);
        for place in 8..spoilt.len() {
            spoilt[place] ^= 0x10;
            memory.put(PATH, &*spoilt);
            let (ledger, error) = load(&memory);
            assert!(
                matches!(error, Some(LedgerError::Spoilt { records: 1, .. })),
                "{place}: {error:?}"
            );
            let expected = if place < 8 + 2 * RECORD { 3 } else { 2 };
            assert_eq!(ledger.records_of(1), [record(1, 0, expected)], "{place}");
            spoilt[place] ^= 0x10;
        }
        spoilt[0] = b'X';
        memory.put(PATH, &*spoilt);
        let (ledger, error) = load(&memory);
        assert!(matches!(error, Some(LedgerError::Foreign { .. })));
        assert!(ledger.records_of(1).is_empty());
    }

    #[test]
    fn it_is_written_anew_before_it_grows_too_large() {
        let memory = MemoryFiles::new();
        let (mut ledger, _) = load(&memory);
        let mut largest = 0;
        for minute in 0..5_000_u64 {
            let day = i64::try_from(minute / 250).unwrap();
            ledger.append(&[record(1, day, minute)]).unwrap();
            largest = largest.max(content(&memory).len());
        }
        assert!(
            largest <= MAX_BYTES && largest > MAX_BYTES - 2 * RECORD,
            "{largest}"
        );
        let (ledger, _) = load(&memory);
        let kept = ledger.records_of(1);
        assert_eq!(kept.len(), HISTORY + 1);
        assert_eq!(kept.last(), Some(&record(1, 19, 4_999)));
        assert_eq!(kept.first(), Some(&record(1, 11, 2_999)));
    }

    #[test]
    fn a_full_disk_is_written_to_again() {
        let memory = MemoryFiles::new();
        let (mut ledger, _) = load(&memory);
        ledger.append(&[record(1, 0, 1)]).unwrap();
        memory.fail_next(std::io::ErrorKind::StorageFull);
        assert!(ledger.append(&[record(1, 0, 2)]).is_err());
        ledger.append(&[record(2, 0, 7)]).unwrap();
        let (ledger, _) = load(&memory);
        assert_eq!(ledger.records_of(1), [record(1, 0, 2)]);
        assert_eq!(ledger.records_of(2), [record(2, 0, 7)]);
    }
}
