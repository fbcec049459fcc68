//! From bytes to items.
//!
//! [`read_list`] streams one list: it unpacks what is compressed or archived ([`unpack`],
//! [`archive`]), looks at the first bytes ([`sniff`]), detects the syntax unless told ([`detect`]),
//! then hands line after line to a [`LineReader`], which knows one file for each syntax. A line that
//! cannot be understood costs that line; whatever a list holds, memory stays bounded.

mod adblock;
mod archive;
mod detect;
mod dnsmasq;
mod domains;
mod head;
mod hosts;
mod lines;
mod mask;
mod modifiers;
mod pattern;
mod regex;
mod rpz;
mod sniff;
mod text;
mod unbound;
mod unpack;
mod wildcards;
mod zone;

use std::io::{Cursor, Read};

pub use detect::detect;
pub use head::Head;
pub use lines::{Line, Lines, MAX_LINE};

use self::archive::{Archive, Member};
use super::fault::quoted;
use super::sealed::{self, FeedHead, FeedReader};
use super::{Item, KEPT_ERRORS, LineError, LineFault, ListFault, ListFormat};

/// How much of a list is looked at before its syntax is settled.
const SAMPLE: u64 = 64 * 1024;

/// The first line of a list in canonical form, which deltas leave: adblock rules, whatever syntax
/// the list had where it came from and the configuration says it has.
pub const CANONICAL: &str = "! syntax: adblock";

/// How to read a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Its syntax; none is detected from the content.
    pub format: Option<ListFormat>,
    /// What to read of an archive: a folder (`adult`, `blacklists/adult`), of which the file
    /// `domains` is read, or a file. None reads all files called `domains`.
    pub member: Option<String>,
    /// How much it may hold.
    pub limits: Limits,
}

impl ReadOptions {
    /// As `format` says, or as the content tells, with the usual limits.
    pub fn format(format: impl Into<Option<ListFormat>>) -> Self {
        Self {
            format: format.into(),
            ..Self::default()
        }
    }
}

/// How much a list may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of text, unpacked.
    pub max_bytes: u64,
    /// How many bytes of text one compressed byte may become, behind the first MiB.
    pub max_ratio: u32,
}

impl Default for Limits {
    /// 1 GiB, some 40 million names; lists shrink to a quarter or a tenth, so 200 is far off.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_ratio: 200,
        }
    }
}

/// What a list turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its syntax, as given or detected.
    pub format: ListFormat,
    /// What it says of itself.
    pub head: Head,
    /// Items handed out.
    pub entries: u64,
    /// Lines that are neither blank nor comments.
    pub lines: u64,
    /// Lines not understood.
    pub bad_lines: u64,
    /// The first [`KEPT_ERRORS`] of them.
    pub first_errors: Vec<LineError>,
    /// Lines of an archive that are for browsers and proxies only: the files `urls`.
    pub skipped: u64,
    /// Members of an archive that were left alone, and why; the first [`KEPT_ERRORS`].
    pub notes: Vec<String>,
    /// What a sealed list says of itself.
    pub sealed: Option<FeedHead>,
    /// Why none of the items must be used, if so.
    pub failure: Option<ListFault>,
}

/// Reads a list to its end and calls `each` with every item and its line, counted from 1; in an
/// archive through all files that are read.
///
/// When the report names a failure, the items handed out before must be thrown away.
pub fn read_list(source: impl Read, options: &ReadOptions, each: impl FnMut(u32, &Item)) -> Report {
    let mut reading = Reading {
        report: Report {
            format: options.format.unwrap_or(ListFormat::Domains),
            head: Head::default(),
            entries: 0,
            lines: 0,
            bad_lines: 0,
            first_errors: Vec::new(),
            skipped: 0,
            notes: Vec::new(),
            sealed: None,
            failure: None,
        },
        format: options.format,
        line: 0,
        each,
    };
    let failure = reading.read(source, options).err();
    let mut report = reading.report;
    let (bad, lines) = (report.bad_lines, report.lines);
    report.failure = match failure {
        Some(fault) => Some(fault),
        // A handful of bad lines in a short list is a typing mistake; but a list of which nothing
        // at all was understood is not loaded, however short.
        None if bad > 0 && (report.entries == 0 || (bad > 10 && bad > lines - bad)) => {
            Some(ListFault::MostlyBad {
                bad,
                lines,
                format: report.format,
            })
        }
        None => None,
    };
    report
}

/// A list that is being read.
struct Reading<E> {
    report: Report,
    /// As given, or as the first file told.
    format: Option<ListFormat>,
    /// Lines read so far.
    line: u32,
    each: E,
}

impl<E: FnMut(u32, &Item)> Reading<E> {
    fn read(&mut self, source: impl Read, options: &ReadOptions) -> Result<(), ListFault> {
        let mut source = unpack::open(source, &options.limits)?;
        let sample = sample(&mut source)?;
        if archive::is_archive(&sample) {
            self.archive(Cursor::new(sample).chain(source), options.member.as_deref())
        } else {
            self.file(sample, source)
        }
    }

    /// Reads the files of an archive that were asked for.
    fn archive(&mut self, source: impl Read, wanted: Option<&str>) -> Result<(), ListFault> {
        let wanted: Vec<&str> = wanted
            .unwrap_or_default()
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let mut archive = Archive::new(source);
        let mut found = false;
        while let Some(member) = archive.next().map_err(|error| unpack::fault(&error))? {
            match member {
                Member::File(path) => match role(&path, &wanted) {
                    Role::List => {
                        found = true;
                        let sample = sample(&mut archive)?;
                        self.file(sample, &mut archive)?;
                    }
                    Role::Urls => self.skip(&mut archive)?,
                    Role::Other => {}
                },
                Member::Ignored { path, why } if self.report.notes.len() < KEPT_ERRORS => {
                    let note = format!("`{}` is left out: {why}", quoted(&path));
                    self.report.notes.push(note);
                }
                Member::Ignored { .. } => {}
            }
        }
        if found {
            return Ok(());
        }
        let wanted = wanted.join("/");
        Err(ListFault::NoMember(if wanted.is_empty() {
            "domains".to_owned()
        } else {
            quoted(&wanted)
        }))
    }

    /// Counts the lines of a file that say nothing to us.
    fn skip(&mut self, source: impl Read) -> Result<(), ListFault> {
        let mut lines = Lines::new(source);
        while let Some(line) = lines.next().map_err(|error| unpack::fault(&error))? {
            let text = line.text.map_or(&b"?"[..], <[u8]>::trim_ascii);
            self.report.skipped += u64::from(!text.is_empty());
        }
        Ok(())
    }

    /// Reads a file, of which `sample` was read already.
    fn file(&mut self, sample: Vec<u8>, source: impl Read) -> Result<(), ListFault> {
        if let Some(fault) = sniff::refuse(&sample) {
            return Err(fault);
        }
        if sample.starts_with(CANONICAL.as_bytes()) {
            self.format = Some(ListFormat::Adblock);
        }
        let format = *self.format.get_or_insert_with(|| detect(&sample));
        self.report.format = format;
        let mut reader = LineReader::new(format);
        let mut items = Vec::new();
        let mut lines = Lines::after(Cursor::new(sample).chain(source), self.line);
        while let Some(line) = lines.next().map_err(|error| unpack::fault(&error))? {
            if self.report.entries == 0 {
                self.report.head.note(line.text.unwrap_or_default());
            }
            items.clear();
            let understood = line
                .text
                .map_err(|bytes| LineFault::TooLong { bytes })
                .and_then(|text| reader.read(text, &mut items))
                .and_then(|()| items.iter().try_for_each(not_too_wide));
            match understood {
                Ok(()) => {
                    self.report.lines += u64::from(!items.is_empty());
                    self.report.entries += items.len() as u64;
                    for item in &items {
                        (self.each)(line.number, item);
                    }
                }
                Err(fault) => self.report.note_fault(line.number, fault),
            }
        }
        self.line = lines.count();
        if let Err(fault) = reader.finish() {
            self.report.note_fault(self.line, fault);
        }
        if let State::Sealed(feed) = reader.state {
            self.report.sealed = Some(feed.finish()?);
        }
        Ok(())
    }
}

impl Report {
    fn note_fault(&mut self, line: u32, error: LineFault) {
        self.lines += 1;
        self.bad_lines += 1;
        if self.first_errors.len() < KEPT_ERRORS {
            self.first_errors.push(LineError { line, error });
        }
    }
}

/// The first bytes of a file.
fn sample(source: &mut impl Read) -> Result<Vec<u8>, ListFault> {
    let mut sample = Vec::new();
    source
        .take(SAMPLE)
        .read_to_end(&mut sample)
        .map_err(|error| unpack::fault(&error))?;
    Ok(sample)
}

/// What a file of an archive is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    List,
    /// UT1's paths on sites, beside its list of sites.
    Urls,
    Other,
}

/// What the file at `path` is, where `wanted` was asked for.
fn role(path: &[String], wanted: &[&str]) -> Role {
    let ends_so = |path: &[String]| {
        let end = path.len().checked_sub(wanted.len());
        end.and_then(|at| path.get(at..))
            .is_some_and(|end| end == wanted)
    };
    let Some((file, folder)) = path.split_last() else {
        return Role::Other;
    };
    match file.as_str() {
        _ if !wanted.is_empty() && ends_so(path) => Role::List,
        "domains" if ends_so(folder) => Role::List,
        "urls" if ends_so(folder) => Role::Urls,
        _ => Role::Other,
    }
}

/// Reads the lines of one file in one syntax, in their order.
#[derive(Debug)]
pub struct LineReader {
    format: ListFormat,
    state: State,
}

/// What has to be known of the lines before.
#[derive(Debug)]
enum State {
    None,
    Unbound(unbound::Reader),
    Rpz(rpz::Reader),
    Sealed(FeedReader),
}

impl LineReader {
    /// For a file in this syntax.
    pub fn new(format: ListFormat) -> Self {
        let state = match format {
            ListFormat::Unbound => State::Unbound(unbound::Reader::default()),
            ListFormat::Rpz => State::Rpz(rpz::Reader::default()),
            ListFormat::Sealed => State::Sealed(FeedReader::new()),
            _ => State::None,
        };
        Self { format, state }
    }

    /// Reads the next line, without its line end, and appends what it says to `into`; blank lines
    /// and comments say nothing.
    ///
    /// # Errors
    /// Why the line cannot be understood; nothing was appended then.
    pub fn read(&mut self, line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
        match &mut self.state {
            State::Unbound(reader) => return reader.read(line, into),
            State::Rpz(reader) => return reader.read(line, into),
            State::Sealed(feed) => {
                into.extend(feed.line(line)?.map(Item::Sealed));
                return Ok(());
            }
            State::None => {}
        }
        match self.format {
            ListFormat::Hosts => hosts::read(line, into),
            ListFormat::Domains => domains::read(line, into),
            ListFormat::Wildcards => wildcards::read(line, into),
            ListFormat::Adblock => adblock::read(line, into),
            ListFormat::Dnsmasq => dnsmasq::read(line, into),
            ListFormat::Regex => regex::read(line, into),
            // Those with a state, above.
            ListFormat::Unbound | ListFormat::Rpz | ListFormat::Sealed => Ok(()),
        }
    }

    /// Says that there are no more lines.
    ///
    /// # Errors
    /// Why what the last lines began is nothing.
    pub const fn finish(&self) -> Result<(), LineFault> {
        if self.is_inside() {
            return Err(LineFault::Expected("a `)`"));
        }
        Ok(())
    }

    /// Whether what the last line said goes on.
    const fn is_inside(&self) -> bool {
        match &self.state {
            State::Rpz(reader) => reader.is_inside(),
            State::None | State::Unbound(_) | State::Sealed(_) => false,
        }
    }
}

impl ListFormat {
    /// Reads one line as if it were the only one of its file; see [`LineReader::read`].
    ///
    /// # Errors
    /// Why the line cannot be understood; nothing was appended then.
    pub fn read_line(self, line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
        if self == Self::Sealed {
            return sealed::read_line(line, into);
        }
        let mut reader = LineReader::new(self);
        reader.read(line, into)?;
        reader.finish()
    }
}

/// A prefix of few bits is half the net, or the home itself: no list's business.
fn not_too_wide(item: &Item) -> Result<(), LineFault> {
    let Item::Address(entry) = item else {
        return Ok(());
    };
    let fewest = if entry.prefix.addr().is_ipv4() {
        16
    } else {
        32
    };
    if entry.prefix.prefix_len() < fewest {
        return Err(LineFault::TooWide(entry.prefix.to_string()));
    }
    Ok(())
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

    /// The lines of a list: what they say, or what is wrong with them.
    pub(super) fn rules(format: ListFormat, text: &str) -> Vec<String> {
        let mut reader = LineReader::new(format);
        let mut said = Vec::new();
        for line in text.lines() {
            let mut items = Vec::new();
            match reader.read(line.as_bytes(), &mut items) {
                Ok(()) => said.extend(items.iter().map(ToString::to_string)),
                Err(fault) => said.push(fault.to_string()),
            }
        }
        said
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
    use super::sealed::{Day, Edition, FeedFault, KeyDelivery, SealKey, seal};
    use super::*;
    use crate::name::Name;
    use std::io;

    fn read(text: impl AsRef<[u8]>, format: Option<ListFormat>) -> (Report, Vec<String>) {
        let mut entries = Vec::new();
        let report = read_list(
            text.as_ref(),
            &ReadOptions::format(format),
            |line, entry| {
                entries.push(format!("{line} {entry}"));
            },
        );
        (report, entries)
    }

    #[test]
    fn windows_files_with_bom_read_like_others() {
        let (report, entries) = read("\u{feff}Example.org\r\n\r\nexample.net.\r\n", None);
        assert_eq!(entries, ["1 ||example.org^", "3 ||example.net^"]);
        assert_eq!((report.entries, report.bad_lines), (2, 0));
    }

    #[test]
    fn the_same_list_in_six_syntaxes_says_the_same() {
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
            (
                ListFormat::Dnsmasq,
                names.map(|n| format!("address=/{n}/::\n")).concat(),
            ),
            (
                ListFormat::Unbound,
                names
                    .map(|n| format!("local-zone: {n} always_null\n"))
                    .concat(),
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
        let report = read_list(list, &ReadOptions::default(), |line, entry| {
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
    fn a_prefix_of_half_the_net_costs_its_line() {
        let zone = "$ORIGIN rpz.test.\n8.0.0.0.10.rpz-ip CNAME .\n24.0.2.0.192.rpz-ip CNAME .\n";
        let (report, entries) = read(zone, Some(ListFormat::Rpz));
        assert_eq!((report.bad_lines, entries.len()), (1, 1));
        let said = report.first_errors[0].to_string();
        assert_eq!(said, "line 2: `10.0.0.0/8` matches too many names");
    }

    #[test]
    fn a_sealed_list_is_whole_or_it_is_not_used() {
        let names = ["one.example", "two.example"].map(|name| Name::parse(name).unwrap());
        let key = SealKey::parse("000102030405060708090a0b0c0d0e0f").unwrap();
        let edition = Edition {
            title: "Hotline".into(),
            issuer: "example".into(),
            serial: 7,
            date: Day::parse("2026-11-22").unwrap(),
            expires: None,
        };
        let names = names.iter().map(Name::as_ref);
        let feed = seal(names, &key, KeyDelivery::InFeed, &edition).unwrap();
        let (report, entries) = read(&feed, None);
        assert_eq!((report.format, report.failure), (ListFormat::Sealed, None));
        assert_eq!(report.sealed.unwrap().edition, edition);
        assert!(entries.len() == 2 && entries.iter().all(|it| it.ends_with("(sealed)")));
        let cut = feed.trim_end().rsplit_once('\n').unwrap().0;
        let (report, _) = read(cut, None);
        let (promised, found) = (2, 1);
        let fault = FeedFault::Count { promised, found };
        assert_eq!(report.failure, Some(ListFault::Sealed(fault)));
    }

    #[test]
    fn the_canonical_form_is_read_as_such_whatever_the_list_was() {
        let (report, entries) = read(
            format!("{CANONICAL}\n||example.org^\n"),
            Some(ListFormat::Hosts),
        );
        assert_eq!((report.format, report.failure), (ListFormat::Adblock, None));
        assert_eq!(entries, ["2 ||example.org^"]);
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
        let report = read_list(list, &ReadOptions::default(), |_, _| {});
        let said = "the medium is worn out".into();
        assert_eq!(report.failure, Some(ListFault::Read(said)));
    }
}
