//! Sorted records on the disk: written once, read back once, and given back while they are read.
//!
//! A record in a run shares its beginning with the one before it: one octet says how many octets,
//! then comes the length of the rest (one octet, or 255 and two), then the rest. That halves what
//! goes through the disk, which on many routers is memory.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record;
use crate::files::{FORGOTTEN_AT_ONCE, FileError, Files, Scratch};

/// The length octet that says that two more follow.
const LONG: u8 = u8::MAX;
/// Octets in front of the rest of a record.
const HEAD: usize = 4;

/// Where working files are made.
#[derive(Clone, Debug)]
pub(super) struct Workshop {
    pub(super) files: Files,
    pub(super) folder: PathBuf,
}

impl Workshop {
    /// What went wrong with a working file, with the folder it is in.
    pub(super) fn failed(&self, doing: &'static str, source: io::Error) -> FileError {
        FileError {
            path: Path::to_path_buf(&self.folder),
            doing,
            source,
        }
    }
}

/// Writes a run.
pub(super) struct RunWriter {
    workshop: Workshop,
    file: Box<dyn Scratch>,
    buffer: Vec<u8>,
    room: usize,
    last: Vec<u8>,
    records: u64,
}

impl RunWriter {
    /// An empty run that gathers `room` octets before each write.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn new(workshop: &Workshop, room: usize) -> Result<Self, FileError> {
        Ok(Self {
            file: workshop.files.scratch(&workshop.folder)?,
            workshop: workshop.clone(),
            buffer: Vec::with_capacity(room),
            room,
            last: Vec::new(),
            records: 0,
        })
    }

    /// Appends a record, which must not be before the last; one that is the last again is left out.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<(), FileError> {
        debug_assert!(self.last.as_slice() <= record);
        if self.records > 0 && self.last == record {
            return Ok(());
        }
        let shared = shared(&self.last, record);
        let rest = record.get(shared..).unwrap_or_default();
        if self.buffer.len() + HEAD + rest.len() > self.room {
            self.flush()?;
        }
        // At most 255, and a record is shorter than 64 KiB.
        self.buffer.push(shared as u8);
        match u8::try_from(rest.len()) {
            Ok(length) if length < LONG => self.buffer.push(length),
            _ => {
                self.buffer.push(LONG);
                let length = rest.len() as u16;
                self.buffer.extend_from_slice(&length.to_le_bytes());
            }
        }
        self.buffer.extend_from_slice(rest);
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        self.records += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| self.workshop.failed("cannot write a working file", source))
    }

    /// The finished run.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn finish(mut self) -> Result<Run, FileError> {
        self.flush()?;
        let Self {
            workshop,
            file,
            records,
            ..
        } = self;
        Ok(Run {
            workshop,
            file,
            records,
        })
    }
}

/// How many octets two records have in common at their beginning, up to 255.
fn shared(left: &[u8], right: &[u8]) -> usize {
    let (lefts, rights) = (left.as_chunks::<8>().0, right.as_chunks::<8>().0);
    let words = lefts.iter().zip(rights).take_while(|(a, b)| a == b).count() * 8;
    let rest = left.iter().zip(right).skip(words);
    (words + rest.take_while(|(a, b)| a == b).count()).min(255)
}

/// Sorted records in a working file.
pub(super) struct Run {
    workshop: Workshop,
    file: Box<dyn Scratch>,
    pub(super) records: u64,
}

impl Run {
    /// Reads it from its beginning, `room` octets at a time.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn read(mut self, room: usize) -> Result<RunReader, FileError> {
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(|source| self.workshop.failed("cannot read a working file", source))?;
        Ok(RunReader {
            workshop: self.workshop,
            file: self.file,
            left: self.records,
            read: 0,
            forgotten: 0,
            buffer: vec![0; room],
            at: 0,
            end: 0,
            record: Vec::new(),
            prefix: 0,
        })
    }
}

/// Reads a run.
pub(super) struct RunReader {
    workshop: Workshop,
    file: Box<dyn Scratch>,
    /// Records not read yet.
    left: u64,
    /// Octets read, and those of them that were given back: nobody reads a run twice.
    read: u64,
    forgotten: u64,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// The record read last.
    record: Vec<u8>,
    /// Its first symbols.
    prefix: u64,
}

impl RunReader {
    /// Goes on to the next record; false at the end.
    ///
    /// # Errors
    /// What the disk said, or that it does not give back what was written.
    pub(super) fn advance(&mut self) -> Result<bool, FileError> {
        if self.left == 0 {
            self.forget();
            return Ok(false);
        }
        self.left -= 1;
        let shared = usize::from(self.octet()?);
        let length = match self.octet()? {
            LONG => usize::from(u16::from_le_bytes([self.octet()?, self.octet()?])),
            length => usize::from(length),
        };
        self.record.truncate(shared);
        let mut missing = length;
        while missing > 0 {
            if self.at == self.end {
                self.refill()?;
            }
            let part = self.buffer.get(self.at..self.end).unwrap_or_default();
            let part = part.get(..missing).unwrap_or(part);
            self.record.extend_from_slice(part);
            self.at += part.len();
            missing -= part.len();
        }
        self.prefix = record::prefix(&self.record, 0);
        Ok(true)
    }

    /// The record read last.
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    /// What decides the order of records: nearly always the first number.
    pub(super) fn order(&self) -> (u64, &[u8]) {
        (self.prefix, &self.record)
    }

    fn octet(&mut self) -> Result<u8, FileError> {
        if self.at == self.end {
            self.refill()?;
        }
        let octet = self.buffer.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        Ok(octet)
    }

    /// Gives back what was read.
    fn forget(&mut self) {
        if self.read > self.forgotten {
            self.file.forget(self.read);
            self.forgotten = self.read;
        }
    }

    /// Reads the next octets, of which there must be some.
    fn refill(&mut self) -> Result<(), FileError> {
        if self.read - self.forgotten >= FORGOTTEN_AT_ONCE {
            self.forget();
        }
        let failed = |source| self.workshop.failed("cannot read a working file", source);
        (self.at, self.end) = (0, 0);
        while self.end == 0 {
            match self.file.read(&mut self.buffer) {
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => {
                    self.end = read;
                    self.read += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    fn workshop(memory: &std::sync::Arc<MemoryFiles>) -> Workshop {
        Workshop {
            files: memory.files(),
            folder: "/work".into(),
        }
    }

    #[test]
    fn a_run_gives_back_what_it_was_given_once() {
        let memory = MemoryFiles::new();
        let long = [b"b".repeat(254), b"c".repeat(60_000)].concat();
        let longer = [b"b".repeat(300), b"c".repeat(254)].concat();
        let mut records: Vec<&[u8]> = vec![b"a", b"a", b"ab", b"abcd", b"b", &long, &longer, b"z"];
        records.sort_unstable();
        for room in [1, 7, 100, 100_000] {
            let mut writer = RunWriter::new(&workshop(&memory), room).unwrap();
            for record in &records {
                writer.push(record).unwrap();
            }
            let run = writer.finish().unwrap();
            assert_eq!(run.records, 7);
            let mut reader = run.read(room).unwrap();
            let mut back = Vec::new();
            while reader.advance().unwrap() {
                back.push(reader.record().to_vec());
            }
            let mut expected = records.clone();
            expected.dedup();
            assert_eq!(back, expected, "{room}");
        }
    }

    #[test]
    fn a_run_is_given_back_while_it_is_read() {
        let memory = MemoryFiles::new();
        let mut writer = RunWriter::new(&workshop(&memory), 4096).unwrap();
        for number in 0..100_000_u32 {
            writer.push(&number.to_be_bytes()).unwrap();
        }
        let run = writer.finish().unwrap();
        let mut reader = run.read(4096).unwrap();
        for number in 0..100_000_u32 {
            assert!(reader.advance().unwrap());
            assert_eq!(reader.record(), number.to_be_bytes());
            let ahead = reader.read - memory.forgotten();
            assert!(ahead <= FORGOTTEN_AT_ONCE + 4096, "{ahead}");
        }
        assert!(!reader.advance().unwrap());
        assert_eq!(memory.forgotten(), reader.read);
        assert!(reader.read > 4 * FORGOTTEN_AT_ONCE);
    }

    #[test]
    fn a_full_disk_is_said_with_the_folder() {
        let memory = MemoryFiles::new();
        let mut writer = RunWriter::new(&workshop(&memory), 1).unwrap();
        writer.push(b"a").unwrap();
        memory.fail_after(0, io::ErrorKind::StorageFull);
        let error = writer.push(b"b").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/work: cannot write a working file: "),
            "{error}"
        );
    }
}
