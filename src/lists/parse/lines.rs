//! Lines of a stream, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line that could mean something: a name has at most 255 octets, so this leaves room
/// for a hosts line with many of them and for a long comment.
pub const MAX_LINE: usize = 4096;

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
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u32,
}

impl<R: Read> Lines<R> {
    /// The lines of `source`.
    pub fn new(source: R) -> Self {
        Self {
            reader: BufReader::with_capacity(32 * 1024, source),
            line: Vec::new(),
            number: 0,
        }
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
        // The text, CR and LF.
        const MOST: usize = MAX_LINE + 2;
        self.line.clear();
        let read = self
            .reader
            .by_ref()
            .take(MOST as u64)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let mut text = self.line.as_slice();
        let mut skipped = 0;
        if let Some(ended) = text.strip_suffix(b"\n") {
            text = ended.strip_suffix(b"\r").unwrap_or(ended);
        } else if read == MOST {
            skipped = self.reader.skip_until(b'\n')?;
        }
        if self.number == 1 {
            // The byte-order mark that some editors put in front of UTF-8.
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        Ok(Some(Line {
            number: self.number,
            text: if text.len() > MAX_LINE {
                Err((read + skipped) as u64)
            } else {
                Ok(text)
            },
        }))
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
