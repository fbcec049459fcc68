//! The canonical form of a list, by whose sum versions are known.

use std::fmt::Write as _;
use std::io::{self, Read, Seek, Write};

use sha2::{Digest, Sha256};

use super::DeltaError;
use crate::files::Scratch;
use crate::lists::parse::{CANONICAL, Head, MAX_LINE, ReadOptions, read_list};
use crate::lists::sealed::{FeedReader, is_feed};
use crate::lists::{Item, ListFormat};
use crate::update::sorted::{LineReader, Sorter, Workshop};

/// The most lines in the head of a sealed list.
const MAX_HEAD: usize = 64;

/// A list in canonical form.
pub(super) struct Canonical {
    pub(super) format: ListFormat,
    pub(super) head: Vec<String>,
    /// The sorted rules.
    pub(super) rules: LineReader<Box<dyn Scratch>>,
    pub(super) count: u64,
    pub(super) sum: String,
}

impl Canonical {
    /// Reads `list` and puts it into that form.
    pub(super) fn of(
        mut list: impl Read,
        options: &ReadOptions,
        workshop: &Workshop<'_>,
    ) -> Result<Self, DeltaError> {
        let mut begin = Vec::new();
        list.by_ref().take(16 * 1024).read_to_end(&mut begin)?;
        let sealed = is_feed(&begin);
        let list = io::Cursor::new(begin).chain(list);
        if sealed {
            return Self::of_feed(list, workshop);
        }
        let mut sorter = Sorter::new(*workshop);
        let mut failed = None;
        let mut line = String::new();
        let report = read_list(list, options, |number, item| {
            line.clear();
            // Writing to a string does not fail.
            let _written = write!(line, "{item}");
            if failed.is_none() {
                failed = if is_sayable(item, &line) {
                    sorter.push(line.as_bytes()).err().map(DeltaError::from)
                } else {
                    Some(DeltaError::Unsayable { line: number })
                };
            }
        });
        if let Some(fault) = report.failure {
            return Err(fault.into());
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if report.format == ListFormat::Sealed {
            return Err(DeltaError::Packed);
        }
        Self::sum_up(
            ListFormat::Adblock,
            head_lines(&report.head),
            LineReader::new(sorter.finish()?),
        )
    }

    /// A sealed list is in order already, and all of its head counts.
    fn of_feed(list: impl Read, workshop: &Workshop<'_>) -> Result<Self, DeltaError> {
        let mut feed = FeedReader::new();
        let mut lines = LineReader::new(list);
        let mut head = Vec::new();
        let mut rules = io::BufWriter::new(workshop.scratch()?);
        while let Some(line) = lines.next()? {
            let line = line.trim_ascii();
            match feed.line(line) {
                Ok(Some(fingerprint)) => writeln!(rules, "{}", hexadecimal(&fingerprint.0))?,
                Ok(None) if line.is_empty() || line.starts_with(b"#") => {}
                Ok(None) if head.len() < MAX_HEAD => {
                    head.push(String::from_utf8_lossy(line).into_owned());
                }
                Ok(None) => return Err(DeltaError::Feed("its head is too long".to_owned())),
                Err(fault) => return Err(DeltaError::Feed(fault.to_string())),
            }
        }
        feed.finish()
            .map_err(|fault| DeltaError::Feed(fault.to_string()))?;
        let mut rules = rules.into_inner().map_err(io::IntoInnerError::into_error)?;
        rules.seek(io::SeekFrom::Start(0))?;
        Self::sum_up(ListFormat::Sealed, head, LineReader::new(rules))
    }

    fn sum_up(
        format: ListFormat,
        head: Vec<String>,
        mut rules: LineReader<Box<dyn Scratch>>,
    ) -> Result<Self, DeltaError> {
        let mut nowhere = io::sink();
        let mut sum = Summed::new(&mut nowhere);
        for line in &head {
            sum.head(line.as_bytes())?;
        }
        while let Some(rule) = rules.next()? {
            sum.rule(rule)?;
        }
        let (sum, count) = sum.finish();
        Ok(Self {
            format,
            head,
            rules: rules.rewound()?,
            count,
            sum,
        })
    }
}

/// Whether `line` in an adblock list says the same as `item`, so that the canonical form is itself a
/// list of that meaning. Addresses of a zone, for one, cannot be said there.
fn is_sayable(item: &Item, line: &str) -> bool {
    if matches!(item, Item::Name(entry) if entry.modifiers.is_none()) {
        return true;
    }
    let mut again = Vec::new();
    let understood = ListFormat::Adblock.read_line(line.as_bytes(), &mut again);
    line.len() < MAX_LINE && understood.is_ok() && again == [item.clone()]
}

/// What a list of names says of itself, as it stands in the canonical form.
fn head_lines(head: &Head) -> Vec<String> {
    let facts = [
        ("title", &head.title),
        ("category", &head.category),
        ("kind", &head.kind),
        ("source", &head.source),
        ("date", &head.date),
        ("licence", &head.licence),
        ("covers", &head.covers),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some(format!("! {key}: {}", value.as_ref()?)));
    std::iter::once(CANONICAL.to_owned()).chain(facts).collect()
}

/// A canonical form that is written and summed up.
pub(super) struct Summed<'w> {
    to: &'w mut dyn Write,
    hash: Sha256,
    rules: u64,
}

impl<'w> Summed<'w> {
    pub(super) fn new(to: &'w mut dyn Write) -> Self {
        Self {
            to,
            hash: Sha256::new(),
            rules: 0,
        }
    }

    pub(super) fn head(&mut self, line: &[u8]) -> io::Result<()> {
        for part in [line, b"\n"] {
            self.hash.update(part);
            self.to.write_all(part)?;
        }
        Ok(())
    }

    pub(super) fn rule(&mut self, line: &[u8]) -> io::Result<()> {
        self.rules += 1;
        self.head(line)
    }

    pub(super) fn finish(self) -> (String, u64) {
        (hexadecimal(&self.hash.finalize()), self.rules)
    }
}

/// Octets as text.
pub(in crate::update) fn hexadecimal(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing to a string does not fail.
        let _written = write!(text, "{octet:02x}");
    }
    text
}
