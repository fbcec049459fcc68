//! Sorting lines in bounded memory: runs in working files, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::files::{Files, Scratch};

/// The longest line that is sorted, without its end.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// How many runs are merged at once.
const FAN_IN: usize = 32;

/// Where working files go, and how much memory sorting may take.
#[derive(Clone, Copy, Debug)]
pub struct Workshop<'w> {
    /// The file system.
    pub files: &'w Files,
    /// The folder of the working files, which have no name there.
    pub folder: &'w Path,
    /// Octets of memory; 64 KiB at least, and some 600 KiB more to merge.
    pub memory: usize,
}

impl Workshop<'_> {
    pub(super) fn scratch(&self) -> io::Result<Box<dyn Scratch>> {
        self.files
            .scratch(self.folder)
            .map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Lines in, sorted by their octets and each once, out.
pub(super) struct Sorter<'w> {
    workshop: Workshop<'w>,
    text: Vec<u8>,
    /// Where each line is in `text`.
    spans: Vec<(u32, u32)>,
    runs: Vec<Box<dyn Scratch>>,
}

impl<'w> Sorter<'w> {
    pub(super) fn new(workshop: Workshop<'w>) -> Self {
        Self {
            workshop,
            text: Vec::new(),
            spans: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Takes in a line, which has no line end in it.
    ///
    /// # Errors
    /// The line is too long, or the working file cannot be written.
    pub(super) fn push(&mut self, line: &[u8]) -> io::Result<()> {
        if line.len() > MAX_LINE || line.contains(&b'\n') {
            return Err(io::Error::other("a rule too long to be sorted"));
        }
        // Growing doubles: half of the memory is what may be in use before.
        let room = self.workshop.memory.clamp(64 * 1024, 1 << 30) / 2;
        if self.text.len() + line.len() + (self.spans.len() + 1) * size_of::<(u32, u32)>() > room {
            self.spill()?;
        }
        let start = self.text.len();
        self.text.extend_from_slice(line);
        // Both are below `room`, a number of 32 bits.
        self.spans.push((start as u32, line.len() as u32));
        Ok(())
    }

    /// All lines, sorted, in a working file that stands at its start.
    ///
    /// # Errors
    /// The working files cannot be written or read.
    pub(super) fn finish(mut self) -> io::Result<Box<dyn Scratch>> {
        self.spill()?;
        self.text = Vec::new();
        self.spans = Vec::new();
        while self.runs.len() > 1 {
            self.merge_some()?;
        }
        match self.runs.pop() {
            Some(run) => Ok(run),
            None => self.workshop.scratch(),
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.spans.is_empty() {
            return Ok(());
        }
        let text = &self.text;
        let line = |&(start, length): &(u32, u32)| -> &[u8] {
            let start = start as usize;
            text.get(start..start + length as usize).unwrap_or_default()
        };
        self.spans.sort_unstable_by(|a, b| line(a).cmp(line(b)));
        self.spans.dedup_by(|a, b| line(a) == line(b));
        let mut run = Run::new(&self.workshop)?;
        for span in &self.spans {
            run.write(line(span))?;
        }
        self.runs.push(run.finish()?);
        self.text.clear();
        self.spans.clear();
        if self.runs.len() >= FAN_IN * 4 {
            self.merge_some()?;
        }
        Ok(())
    }

    /// Makes one run of the first few.
    fn merge_some(&mut self) -> io::Result<()> {
        let count = self.runs.len().min(FAN_IN);
        let mut readers: Vec<LineReader<Box<dyn Scratch>>> =
            self.runs.drain(..count).map(LineReader::new).collect();
        let mut heads = BinaryHeap::new();
        for (index, reader) in readers.iter_mut().enumerate() {
            if let Some(line) = reader.next()? {
                heads.push(Reverse((line.to_vec(), index)));
            }
        }
        let mut run = Run::new(&self.workshop)?;
        let mut last: Option<Vec<u8>> = None;
        while let Some(Reverse((line, index))) = heads.pop() {
            if let Some(reader) = readers.get_mut(index)
                && let Some(next) = reader.next()?
            {
                heads.push(Reverse((next.to_vec(), index)));
            }
            if last.as_ref() != Some(&line) {
                run.write(&line)?;
                last = Some(line);
            }
        }
        self.runs.push(run.finish()?);
        Ok(())
    }
}

/// A run that is being written.
struct Run(io::BufWriter<Box<dyn Scratch>>);

impl Run {
    fn new(workshop: &Workshop<'_>) -> io::Result<Self> {
        Ok(Self(io::BufWriter::with_capacity(
            16 * 1024,
            workshop.scratch()?,
        )))
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.0.write_all(line)?;
        self.0.write_all(b"\n")
    }

    fn finish(self) -> io::Result<Box<dyn Scratch>> {
        let mut file = self
            .0
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// Lines of bounded length.
pub(super) struct LineReader<R> {
    source: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> LineReader<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source: BufReader::with_capacity(16 * 1024, source),
            line: Vec::new(),
        }
    }

    /// The next line without its end; none after the last.
    ///
    /// # Errors
    /// The source cannot be read, or the line is longer than any we write.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        // With the sign in front of a delta's line, and its end.
        let most = MAX_LINE as u64 + 2;
        let read = self
            .source
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        match self.line.strip_suffix(b"\n") {
            Some(line) => Ok(Some(line)),
            None if read as u64 == most => Err(io::Error::other("a line too long to be a rule")),
            None => Ok(Some(&self.line)),
        }
    }
}

impl LineReader<Box<dyn Scratch>> {
    /// The same lines from the start.
    ///
    /// # Errors
    /// The working file cannot be moved in.
    pub(super) fn rewound(self) -> io::Result<Self> {
        let mut file = self.source.into_inner();
        file.seek(SeekFrom::Start(0))?;
        Ok(Self::new(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;
    use std::collections::BTreeSet;

    #[test]
    fn more_lines_than_fit_in_memory_come_out_sorted_and_once() {
        let memory = MemoryFiles::new();
        let files = memory.files();
        let workshop = Workshop {
            files: &files,
            folder: Path::new("/run"),
            memory: 0,
        };
        let mut sorter = Sorter::new(workshop);
        let mut expected = BTreeSet::new();
        let mut number: u64 = 1;
        // Some 6 MB: more runs than are merged at once, twice over.
        for _ in 0..150_000 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(7);
            let line = format!("||name-{}.example.org^", number >> 46);
            sorter.push(line.as_bytes()).unwrap();
            expected.insert(line);
        }
        assert!(sorter.runs.len() > FAN_IN);
        let mut lines = LineReader::new(sorter.finish().unwrap());
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(String::from_utf8(line.to_vec()).unwrap());
        }
        assert!(found.iter().eq(expected.iter()));
        assert_eq!(memory.paths().len(), 0);
    }

    #[test]
    fn a_line_without_an_end_is_not_read_for_ever() {
        let mut lines = LineReader::new(io::repeat(b'a'));
        assert!(lines.next().is_err());
        let mut lines = LineReader::new(&b"a\n\nb"[..]);
        assert_eq!(lines.next().unwrap(), Some(&b"a"[..]));
        assert_eq!(lines.next().unwrap(), Some(&b""[..]));
        assert_eq!(lines.next().unwrap(), Some(&b"b"[..]));
        assert_eq!(lines.next().unwrap(), None);
    }
}
