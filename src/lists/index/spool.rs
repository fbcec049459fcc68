//! Working files: written once from begin to end, then read as often as wanted.

use std::io::{self, BufReader, BufWriter, Read, SeekFrom, Write};

use super::fault::WriteError;
use crate::files::{FORGOTTEN_AT_ONCE, Scratch};

/// Octets of a buffer.
const BUFFER: usize = 1 << 15;

/// A working file while it is written.
pub(super) struct Spool {
    file: BufWriter<Box<dyn Scratch>>,
}

impl Spool {
    /// An empty one.
    pub(super) fn new(file: Box<dyn Scratch>) -> Self {
        Self::with_buffer(file, BUFFER)
    }

    /// An empty one that gathers `octets` before each write.
    pub(super) fn with_buffer(file: Box<dyn Scratch>, octets: usize) -> Self {
        Self {
            file: BufWriter::with_capacity(octets, file),
        }
    }

    /// Appends octets.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(octets).map_err(WriteError::Scratch)
    }

    /// Ends the writing.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn finish(self) -> Result<Spooled, WriteError> {
        let ended = self.file.into_inner();
        let file = ended.map_err(|error| WriteError::Scratch(error.into_error()))?;
        Ok(Spooled { file })
    }
}

/// A working file that is complete.
pub(super) struct Spooled {
    file: Box<dyn Scratch>,
}

impl Spooled {
    /// Reads it from its begin.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn read(&mut self) -> Result<SpoolReader<'_>, WriteError> {
        self.reader(false)
    }

    /// Reads it from its begin for the last time: what was read is given back to the file system.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn read_out(&mut self) -> Result<SpoolReader<'_>, WriteError> {
        self.reader(true)
    }

    fn reader(&mut self, is_last: bool) -> Result<SpoolReader<'_>, WriteError> {
        let begin = self.file.seek(SeekFrom::Start(0));
        begin.map_err(WriteError::Scratch)?;
        let pass = Pass {
            file: &mut *self.file,
            is_last,
            read: 0,
            forgotten: 0,
        };
        Ok(SpoolReader {
            file: BufReader::with_capacity(BUFFER, pass),
        })
    }
}

/// A working file that is read from its begin to its end.
struct Pass<'a> {
    file: &'a mut dyn Scratch,
    is_last: bool,
    /// Octets that were read.
    read: u64,
    /// Octets that were given back.
    forgotten: u64,
}

impl Read for Pass<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        if self.is_last && self.read - self.forgotten >= FORGOTTEN_AT_ONCE {
            self.file.forget(self.read);
            self.forgotten = self.read;
        }
        Ok(read)
    }
}

/// A working file while it is read.
pub(super) struct SpoolReader<'a> {
    file: BufReader<Pass<'a>>,
}

impl SpoolReader<'_> {
    /// The next octet; none at the end.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn next_octet(&mut self) -> Result<Option<u8>, WriteError> {
        let mut octet = [0];
        match self.file.read_exact(&mut octet) {
            Ok(()) => Ok(Some(octet[0])),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(WriteError::Scratch(error)),
        }
    }

    /// The next octet, which must be there.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn octet(&mut self) -> Result<u8, WriteError> {
        let mut octet = [0];
        self.take(&mut octet)?;
        Ok(octet[0])
    }

    /// The next octets, as many as there is room for.
    ///
    /// # Errors
    /// [`WriteError::Scratch`], also when there are fewer.
    pub(super) fn take(&mut self, into: &mut [u8]) -> Result<(), WriteError> {
        self.file.read_exact(into).map_err(WriteError::Scratch)
    }

    /// The next number, seven bits in an octet.
    ///
    /// # Errors
    /// [`WriteError::Scratch`].
    pub(super) fn number(&mut self) -> Result<u64, WriteError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    #[test]
    fn a_file_is_given_back_while_it_is_read_for_the_last_time() {
        let memory = MemoryFiles::new();
        let octets: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
        let mut spool = Spool::new(memory.files().scratch("/work".as_ref()).unwrap());
        spool.put(&octets).unwrap();
        let mut spooled = spool.finish().unwrap();
        for is_last in [false, false, true] {
            assert_eq!(memory.forgotten(), 0);
            let mut reader = spooled.reader(is_last).unwrap();
            for (read, octet) in (1..).zip(&octets) {
                assert_eq!(reader.next_octet().unwrap(), Some(*octet));
                let ahead = read - memory.forgotten().min(read);
                let most = if is_last { FORGOTTEN_AT_ONCE } else { 300_000 };
                assert!(ahead <= most, "{ahead}");
            }
            assert_eq!(reader.next_octet().unwrap(), None);
        }
        assert!(memory.forgotten() > 300_000 - FORGOTTEN_AT_ONCE);
    }
}
