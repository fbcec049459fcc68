//! From bytes to entries.
//!
//! [`read_list`] streams one list: it looks at the first bytes ([`sniff`]), detects the syntax
//! unless told ([`detect`]), then hands line after line to [`ListFormat::read_line`], which knows
//! one file for each syntax. A line that cannot be understood costs that line; whatever a list
//! holds, memory stays bounded by the longest line that could mean something.

mod adblock;
mod detect;
mod domains;
mod head;
mod hosts;
mod lines;
mod sniff;
mod text;
mod wildcards;

use std::io::{Cursor, Read};

pub use detect::detect;
pub use head::Head;
pub use lines::{Line, Lines, MAX_LINE};

use super::{Item, KEPT_ERRORS, LineError, LineFault, ListFault, ListFormat};

/// How much of a list is looked at before its syntax is settled.
const SAMPLE: u64 = 64 * 1024;

/// What a list turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its syntax, as given or detected.
    pub format: ListFormat,
    /// What it says of itself.
    pub head: Head,
    /// Entries handed out.
    pub entries: u64,
    /// Lines that are neither blank nor comments.
    pub lines: u64,
    /// Lines not understood.
    pub bad_lines: u64,
    /// The first [`KEPT_ERRORS`] of them.
    pub first_errors: Vec<LineError>,
    /// Why none of the entries must be used, if so.
    pub failure: Option<ListFault>,
}

/// Reads a list to its end and calls `each` with every entry and its line, counted from 1.
///
/// When the report names a failure, the entries handed out before must be thrown away.
pub fn read_list(
    mut source: impl Read,
    format: Option<ListFormat>,
    mut each: impl FnMut(u32, &Item),
) -> Report {
    let mut report = Report {
        format: format.unwrap_or(ListFormat::Domains),
        head: Head::default(),
        entries: 0,
        lines: 0,
        bad_lines: 0,
        first_errors: Vec::new(),
        failure: None,
    };
    let mut sample = Vec::new();
    if let Err(cause) = source.by_ref().take(SAMPLE).read_to_end(&mut sample) {
        report.failure = Some(ListFault::Read(cause.to_string()));
        return report;
    }
    report.failure = sniff::refuse(&sample);
    if report.failure.is_some() {
        return report;
    }
    let format = format.unwrap_or_else(|| detect(&sample));
    report.format = format;

    let mut lines = Lines::new(Cursor::new(sample).chain(source));
    let mut entries = Vec::new();
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(cause) => {
                report.failure = Some(ListFault::Read(cause.to_string()));
                return report;
            }
        };
        if report.entries == 0 {
            report.head.note(line.text.unwrap_or_default());
        }
        entries.clear();
        let understood = line
            .text
            .map_err(|bytes| LineFault::TooLong { bytes })
            .and_then(|text| format.read_line(text, &mut entries));
        match understood {
            Ok(()) => {
                report.lines += u64::from(!entries.is_empty());
                report.entries += entries.len() as u64;
                for entry in &entries {
                    each(line.number, entry);
                }
            }
            Err(error) => {
                report.lines += 1;
                report.bad_lines += 1;
                if report.first_errors.len() < KEPT_ERRORS {
                    let line = line.number;
                    report.first_errors.push(LineError { line, error });
                }
            }
        }
    }
    let (bad, lines) = (report.bad_lines, report.lines);
    // A handful of bad lines in a short list is a typing mistake; but a list of which nothing at
    // all was understood is not loaded, however short.
    if bad > 0 && (report.entries == 0 || (bad > 10 && bad > lines - bad)) {
        report.failure = Some(ListFault::MostlyBad { bad, lines, format });
    }
    report
}

impl ListFormat {
    /// Reads one line, without its line end, and appends what it says to `into`; blank lines and
    /// comments say nothing.
    ///
    /// # Errors
    /// Why the line cannot be understood; nothing was appended then.
    pub fn read_line(self, line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
        match self {
            Self::Hosts => hosts::read(line, into),
            Self::Domains => domains::read(line, into),
            Self::Wildcards => wildcards::read(line, into),
            Self::Adblock => adblock::read(line, into),
            Self::Dnsmasq | Self::Unbound | Self::Rpz | Self::Regex | Self::Sealed => {
                Err(super::Unsupported::Regex.into())
            }
        }
    }
}

/// What the parsers' tests share.
#[cfg(test)]
mod testing {
    use super::*;

    /// The entries of a line, printed as rules.
    pub(super) fn entries(format: ListFormat, line: impl AsRef<[u8]>) -> Vec<String> {
        let mut into = Vec::new();
        format.read_line(line.as_ref(), &mut into).unwrap();
        into.iter().map(ToString::to_string).collect()
    }

    /// What is wrong with a line.
    pub(super) fn fault(format: ListFormat, line: impl AsRef<[u8]>) -> LineFault {
        let mut into = Vec::new();
        let fault = format.read_line(line.as_ref(), &mut into).unwrap_err();
        assert!(into.is_empty());
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn read(text: impl AsRef<[u8]>, format: Option<ListFormat>) -> (Report, Vec<String>) {
        let mut entries = Vec::new();
        let report = read_list(text.as_ref(), format, |line, entry| {
            entries.push(format!("{line} {entry}"));
        });
        (report, entries)
    }

    #[test]
    fn windows_files_with_bom_read_like_others() {
        let (report, entries) = read("\u{feff}Example.org\r\n\r\nexample.net.\r\n", None);
        assert_eq!(entries, ["1 ||example.org^", "3 ||example.net^"]);
        assert_eq!((report.entries, report.bad_lines), (2, 0));
    }

    #[test]
    fn the_same_list_in_four_syntaxes_says_the_same() {
        let names = [
            "example.org",
            "www.example.net",
            "münchen.example",
            "a_b.test",
        ];
        let lists = [
            (
                ListFormat::Domains,
                names.map(|n| format!("{n}\n")).concat(),
            ),
            (
                ListFormat::Hosts,
                names.map(|n| format!("0.0.0.0 {n}\n")).concat(),
            ),
            (
                ListFormat::Wildcards,
                names.map(|n| format!("*.{n}\n")).concat(),
            ),
            (
                ListFormat::Adblock,
                names.map(|n| format!("||{n}^\n")).concat(),
            ),
        ];
        let mut answers = Vec::new();
        for (format, text) in lists {
            let (report, entries) = read(text, None);
            assert_eq!(report.format, format);
            answers.push(entries);
        }
        assert_eq!(answers[0].len(), 4);
        assert!(answers.iter().all(|other| *other == answers[0]));
    }

    #[test]
    fn a_few_bad_lines_cost_those_lines() {
        let mut text = "example.org\n".repeat(9);
        text += &"no name\n".repeat(10);
        let (report, entries) = read(text, Some(ListFormat::Domains));
        assert_eq!((report.failure, report.bad_lines), (None, 10));
        assert_eq!(entries.len(), 9);
        let second_word = LineFault::SecondWord("name".into());
        assert_eq!(
            report.first_errors[0],
            LineError {
                line: 10,
                error: second_word
            }
        );
    }

    #[test]
    fn a_list_that_lost_most_of_its_lines_is_refused() {
        let bad = "no name\n".repeat(11);
        let (report, _) = read(format!("{}{bad}", "example.org\n".repeat(11)), None);
        assert_eq!(report.failure, None);
        let (report, _) = read(format!("{}{bad}", "example.org\n".repeat(10)), None);
        let failure = report.failure.unwrap();
        assert_eq!(
            failure,
            ListFault::MostlyBad {
                bad: 11,
                lines: 21,
                format: ListFormat::Domains
            }
        );
        assert_eq!(
            failure.to_string(),
            "11 of 21 lines not understood as domains; a list that lost most of its lines is not used"
        );
    }

    #[test]
    fn a_short_list_of_which_nothing_was_understood_is_refused() {
        let (report, _) = read("no name\n", None);
        assert_eq!(
            report.failure,
            Some(ListFault::MostlyBad {
                bad: 1,
                lines: 1,
                format: ListFormat::Domains
            })
        );
        assert_eq!(read("# nothing yet\n", None).0.failure, None);
        assert_eq!(read("", None).0.failure, None);
    }

    #[test]
    fn only_the_first_errors_are_kept() {
        let text = "no name\n".repeat(25) + &"example.org\n".repeat(25);
        let (report, _) = read(text, None);
        assert_eq!(
            (report.bad_lines, report.first_errors.len()),
            (25, KEPT_ERRORS)
        );
    }

    /// A line of a hundred million bytes, made as it is read.
    struct Endless {
        left: u64,
        largest_request: usize,
    }

    impl Read for &mut Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.largest_request = self.largest_request.max(buffer.len());
            let count = buffer.len().min(usize::try_from(self.left).unwrap());
            buffer[..count].fill(b'a');
            self.left -= count as u64;
            Ok(count)
        }
    }

    #[test]
    fn a_line_of_a_hundred_megabytes_is_one_bad_line() {
        let mut endless = Endless {
            left: 100_000_000,
            largest_request: 0,
        };
        let list = b"example.org\n"
            .chain(&mut endless)
            .chain(&b"\nexample.net\n"[..]);
        let mut entries = Vec::new();
        let report = read_list(list, None, |line, entry| {
            entries.push((line, entry.to_string()))
        });
        assert_eq!(
            entries,
            [(1, "||example.org^".into()), (3, "||example.net^".into())]
        );
        let error = LineFault::TooLong { bytes: 100_000_001 };
        assert_eq!(report.first_errors, [LineError { line: 2, error }]);
        assert!(
            endless.largest_request <= 128 * 1024,
            "{}",
            endless.largest_request
        );
    }

    #[test]
    fn an_error_of_the_disk_fails_the_list() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the medium is worn out"))
            }
        }
        let list = Cursor::new("example.org\n".repeat(10_000)).chain(Broken);
        let report = read_list(list, None, |_, _| {});
        let said = "the medium is worn out".into();
        assert_eq!(report.failure, Some(ListFault::Read(said)));
    }
}
