//! Lines of a stream, in bounded memory.

use std::io::{self, BufRead, Read};

/// The longest line that could mean something: a name has at most 255 octets, so this leaves room
/// for a hosts line with many of them and for a long comment.
pub const MAX_LINE: usize = 4096;

/// How much is read at once.
const BUFFER: usize = 64 * 1024;

/// One line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// Its bytes without the line end (LF or CRLF); or, where they are more than [`MAX_LINE`],
    /// how many there were, line end included.
    pub text: Result<&'a [u8], u64>,
}

/// Cuts a stream into lines; a line over [`MAX_LINE`] is skipped without being kept anywhere.
///
/// Lines are handed out where they lie in the buffer, without a copy.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// Of what was read and not handed out.
    start: usize,
    end: usize,
    ended: bool,
    number: u32,
    /// Whether the next line is the first of a file, which may have a byte-order mark.
    first: bool,
}

impl<R: Read> Lines<R> {
    /// The lines of `source`.
    pub fn new(source: R) -> Self {
        Self::after(source, 0)
    }

    /// The lines of `source`, numbered on from those that came `before`.
    pub(super) fn after(source: R, before: u32) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            ended: false,
            number: before,
            first: true,
        }
    }

    /// How many lines there were, those before included.
    pub(super) const fn count(&self) -> u32 {
        self.number
    }

    /// The next line, if there is one.
    ///
    /// # Errors
    /// What the stream said.
    #[expect(
        clippy::should_implement_trait,
        reason = "a line borrows from the reader, which an `Iterator` cannot say"
    )]
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut looked_at = 0;
        // Of a line that is too long, what the buffer had no room for.
        let mut skipped = 0_u64;
        let (length, has_end) = loop {
            let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
            let mut fresh = waiting.get(looked_at..).unwrap_or_default();
            // The standard library's search for an octet; it does not fail on a slice.
            let found = looked_at + fresh.skip_until(b'\n')?;
            if let Some((length, b'\n')) = found
                .checked_sub(1)
                .and_then(|last| Some((last, *waiting.get(last)?)))
                .filter(|_| found > looked_at)
            {
                break (length, true);
            }
            if self.ended {
                if waiting.is_empty() && skipped == 0 {
                    return Ok(None);
                }
                break (waiting.len(), false);
            }
            looked_at = waiting.len();
            // Without the CR and LF that may follow.
            if skipped > 0 || looked_at > MAX_LINE + 1 {
                skipped += looked_at as u64;
                looked_at = 0;
                self.start = self.end;
            }
            self.refill()?;
        };
        self.number = self.number.saturating_add(1);
        let begin = self.start;
        self.start += length + usize::from(has_end);
        let mut text = self.buffer.get(begin..begin + length).unwrap_or_default();
        let whole = skipped + (self.start - begin) as u64;
        if has_end {
            text = text.strip_suffix(b"\r").unwrap_or(text);
        }
        let too_long = skipped > 0 || text.len() > MAX_LINE;
        if std::mem::take(&mut self.first) {
            // The byte-order mark that some editors put in front of UTF-8.
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        Ok(Some(Line {
            number: self.number,
            text: if too_long { Err(whole) } else { Ok(text) },
        }))
    }

    /// Makes room and reads once.
    fn refill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.source.read(room) {
                Ok(read) => {
                    self.end += read;
                    self.ended = read == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u32, Result<String, u64>)> {
        let mut lines = Lines::new(text);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let text = line.text.map(|text| text.escape_ascii().to_string());
            all.push((line.number, text));
        }
        all
    }

    #[test]
    fn line_ends_of_all_systems_and_none() {
        let (a, b) = (|| Ok("a".to_owned()), || Ok("b".to_owned()));
        assert_eq!(all(b"\xef\xbb\xbfa\nb"), [(1, a()), (2, b())]);
        assert_eq!(
            all(b"a\r\n\r\nb\r\n"),
            [(1, a()), (2, Ok(String::new())), (3, b())]
        );
        assert_eq!(all(b"a\rb\n"), [(1, Ok("a\\rb".into()))]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn the_longest_line_is_a_line_with_either_end() {
        let longest = "x".repeat(MAX_LINE);
        for end in ["", "\n", "\r\n"] {
            let text = format!("{longest}{end}");
            assert_eq!(all(text.as_bytes()), [(1, Ok(longest.clone()))]);
            let text = format!("{longest}x{end}");
            assert_eq!(all(text.as_bytes()), [(1, Err(text.len() as u64))]);
        }
        let text = format!("{}\na", "x".repeat(100_000));
        assert_eq!(
            all(text.as_bytes()),
            [(1, Err(100_001)), (2, Ok("a".into()))]
        );
    }
}
