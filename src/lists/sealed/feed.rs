//! The exchange format: what a hotline hands to an ISP, and an ISP to its routers.
//!
//! ```text
//! # comment
//! sealed: 1                        version of the format; the first field
//! title: Hosts of the example hotline
//! issuer: hotline.example
//! serial: 2026112201               grows with every edition
//! date: 2026-11-22
//! expires: 2026-12-06              the last day of its validity, UTC
//! hash: siphash-2-4-128/80
//! key: 000102030405060708090a0b0c0d0e0f
//! key-id: 0011223344556677         needed where `key` is handed over in another way
//! count: 2                         fingerprints below
//!
//! 0123456789abcdef0123
//! fedcba98765432100123
//! ```
//!
//! `docs/sealed-lists.md` is the specification.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use super::fault::{FeedFault, SealFault, SealedLineFault};
use super::key::{Day, KeyId, MAX_LABELS, MIN_LABELS, SealKey, from_hex, hex};
use crate::lists::{Fingerprint, Item, LineFault};
use crate::name::NameRef;

/// The hash of this version, as the head names it.
pub const HASH: &str = "siphash-2-4-128/80";

/// What a list says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// What people call it.
    pub title: String,
    /// Who made it.
    pub issuer: String,
    /// Grows with every edition: an older one than the last is a replay.
    pub serial: u64,
    /// When it was made.
    pub date: Day,
    /// The last day on which it should be used; a list that is past it goes on blocking, and the
    /// household is told.
    pub expires: Option<Day>,
}

/// Everything in front of the fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedHead {
    /// What the list says of itself.
    pub edition: Edition,
    /// Which key makes its fingerprints.
    pub key_id: KeyId,
    /// That key, unless it is handed over in another way.
    pub key: Option<SealKey>,
    /// How many fingerprints follow.
    pub count: u64,
}

impl FeedHead {
    /// Reads the head in the first octets of a feed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(begin: &[u8]) -> Result<Self, FeedFault> {
        let mut reader = FeedReader::new();
        for line in begin.split(|octet| *octet == b'\n') {
            match understand(line) {
                // The rest may be cut off anywhere.
                Ok(Line::Fingerprint(_)) => break,
                _ => reader.line(line)?,
            };
        }
        reader.head()
    }

    /// Whether the list is past its last day. It goes on blocking all the same: a feed that fails
    /// must not open what it closed.
    pub fn is_expired(&self, today: Day) -> bool {
        self.edition.expires.is_some_and(|last| last < today)
    }
}

/// Reads a feed line by line and holds it to what its head promises.
#[derive(Default)]
pub struct FeedReader {
    fields: [Option<String>; FIELDS.len()],
    /// What is wrong with a line or the head, the first thing.
    fault: Option<FeedFault>,
    last: Option<Fingerprint>,
    found: u64,
}

impl FeedReader {
    /// At the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a line without its line end: a fingerprint, or none for a part of the head, a comment
    /// and a blank line.
    ///
    /// # Errors
    /// What is wrong with the line. The feed as a whole fails then at [`Self::finish`].
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Fingerprint>, SealedLineFault> {
        let read = self.read(line);
        if let Err(fault) = &read {
            let fault = FeedFault::Line(fault.clone());
            self.fault.get_or_insert(fault);
        }
        read
    }

    fn read(&mut self, line: &[u8]) -> Result<Option<Fingerprint>, SealedLineFault> {
        match understand(line)? {
            Line::Nothing => Ok(None),
            Line::Field(name, value) => {
                if self.last.is_some() {
                    return Err(SealedLineFault::LateField);
                }
                let noted = self.note(name, value);
                self.fault = self.fault.take().or_else(|| noted.err());
                Ok(None)
            }
            Line::Fingerprint(fingerprint) => {
                if self.last.is_some_and(|last| last >= fingerprint) {
                    return Err(SealedLineFault::NotSorted);
                }
                self.last = Some(fingerprint);
                self.found += 1;
                Ok(Some(fingerprint))
            }
        }
    }

    /// What the head says, after the last line.
    ///
    /// # Errors
    /// Why nothing of the feed may be used: a sealed list is whole or it is not used.
    pub fn finish(self) -> Result<FeedHead, FeedFault> {
        let found = self.found;
        let head = self.head()?;
        if head.count != found {
            return Err(FeedFault::Count {
                promised: head.count,
                found,
            });
        }
        Ok(head)
    }

    fn note(&mut self, name: &str, value: &str) -> Result<(), FeedFault> {
        let first = self.fields.iter().all(Option::is_none);
        let Some(place) = FIELDS.iter().position(|field| *field == name) else {
            // The field may be of a later version: `must-…` says that it cannot be passed over.
            return if name.starts_with("must-") {
                Err(FeedFault::Demand)
            } else {
                Ok(())
            };
        };
        if first && name != "sealed" {
            return Err(FeedFault::NotSealed);
        }
        if let (Some(place), Some(name)) = (self.fields.get_mut(place), FIELDS.get(place)) {
            if place.is_some() {
                return Err(FeedFault::Twice(name));
            }
            *place = Some(value.to_owned());
        }
        Ok(())
    }

    fn head(mut self) -> Result<FeedHead, FeedFault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let version: u32 = self
            .optional("sealed", number("a number"))?
            .ok_or(FeedFault::NotSealed)?;
        if version != 1 {
            return Err(FeedFault::Version(version));
        }
        if self.needed("hash", Ok)? != HASH {
            return Err(FeedFault::Hash);
        }
        let date = |text: String| Day::parse(&text).ok_or("a date such as 2026-11-22");
        let key = self.optional("key", |text| {
            SealKey::parse(&text).ok_or("32 hexadecimal digits")
        })?;
        let key_id = self.optional("key-id", |text| {
            KeyId::parse(&text).ok_or("16 hexadecimal digits")
        })?;
        let key_id = match (&key, key_id) {
            (None, None) => return Err(FeedFault::Missing("key")),
            (Some(key), Some(id)) if key.id() != id => return Err(FeedFault::KeyId),
            (Some(key), _) => key.id(),
            (None, Some(id)) => id,
        };
        Ok(FeedHead {
            edition: Edition {
                title: self.needed("title", printable)?,
                issuer: self.needed("issuer", printable)?,
                serial: self.needed("serial", number("a number"))?,
                date: self.needed("date", date)?,
                expires: self.optional("expires", date)?,
            },
            key_id,
            key,
            count: self.needed("count", number("a number"))?,
        })
    }

    fn needed<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(String) -> Result<T, &'static str>,
    ) -> Result<T, FeedFault> {
        self.optional(name, read)?.ok_or(FeedFault::Missing(name))
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(String) -> Result<T, &'static str>,
    ) -> Result<Option<T>, FeedFault> {
        let place = FIELDS.iter().position(|field| *field == name);
        let value = place
            .and_then(|place| self.fields.get_mut(place))
            .and_then(Option::take);
        value.map(read).transpose().map_err(|expected| {
            let field = name;
            FeedFault::Value { field, expected }
        })
    }
}

impl fmt::Debug for FeedReader {
    /// How far it got; the fields may hold the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedReader({} fingerprints)", self.found)
    }
}

/// Whether these are the first octets of a sealed list.
pub fn is_feed(begin: &[u8]) -> bool {
    let mut lines = begin.split(|octet| *octet == b'\n').map(understand);
    let first = lines.find(|line| !matches!(line, Ok(Line::Nothing)));
    matches!(first, Some(Ok(Line::Field("sealed", _))))
}

/// Reads one line by itself, as [`crate::lists::ListFormat::read_line`] does: a fingerprint, or
/// nothing. What the lines make together is [`FeedReader`]'s to judge.
///
/// # Errors
/// What is wrong with the line.
pub fn read_line(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    if let Line::Fingerprint(fingerprint) = understand(line)? {
        into.push(Item::Sealed(fingerprint));
    }
    Ok(())
}

/// Where the key of a feed is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDelivery {
    /// In its head.
    InFeed,
    /// In the router's file of keys, put there in another way; the head has its id only.
    Apart,
}

/// Seals names: the text of a feed. A name below another of them is left out, since sealing a name
/// covers what is below it.
///
/// # Errors
/// Which name or field cannot be sealed.
pub fn seal<'n>(
    names: impl IntoIterator<Item = NameRef<'n>>,
    key: &SealKey,
    delivery: KeyDelivery,
    edition: &Edition,
) -> Result<String, SealFault> {
    let names: Vec<NameRef<'_>> = names.into_iter().collect();
    for (index, name) in names.iter().enumerate() {
        let place = index + 1;
        match name.label_count() {
            ..MIN_LABELS => return Err(SealFault::TopLevel(place)),
            MIN_LABELS..=MAX_LABELS => {}
            _ => return Err(SealFault::TooDeep(place)),
        }
    }
    let all: BTreeSet<&[u8]> = names.iter().map(|name| name.as_wire()).collect();
    let is_covered = |name: &NameRef<'_>| {
        name.suffixes()
            .skip(1)
            .any(|parent| all.contains(parent.as_wire()))
    };
    let fingerprints: BTreeSet<Fingerprint> = names
        .iter()
        .filter(|name| !is_covered(name))
        .map(|name| key.fingerprint(*name))
        .collect();

    let mut text = String::from("sealed: 1\n");
    let mut field = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{name}: {value}");
    };
    for (name, value) in [("title", &edition.title), ("issuer", &edition.issuer)] {
        let value = printable(value.trim().to_owned()).map_err(|_| SealFault::Field(name))?;
        field(name, &value);
    }
    field("serial", &edition.serial.to_string());
    field("date", &edition.date.to_string());
    if let Some(expires) = edition.expires {
        field("expires", &expires.to_string());
    }
    field("hash", HASH);
    if delivery == KeyDelivery::InFeed {
        field("key", &key.to_hex());
    }
    field("key-id", &key.id().to_string());
    field("count", &fingerprints.len().to_string());
    text.push('\n');
    for Fingerprint(octets) in fingerprints {
        text.push_str(&hex(&octets));
        text.push('\n');
    }
    Ok(text)
}

/// The fields of the head; others are passed over unless their name begins with `must-`.
const FIELDS: [&str; 10] = [
    "sealed", "title", "issuer", "serial", "date", "expires", "hash", "key", "key-id", "count",
];

/// One line of a feed.
enum Line<'a> {
    Nothing,
    Field(&'a str, &'a str),
    Fingerprint(Fingerprint),
}

fn understand(line: &[u8]) -> Result<Line<'_>, SealedLineFault> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(Line::Nothing);
    }
    if let Some(octets) = from_hex(line) {
        return Ok(Line::Fingerprint(Fingerprint(octets)));
    }
    let (name, value) = str::from_utf8(line)
        .ok()
        .and_then(|line| line.split_once(':'))
        .ok_or(SealedLineFault::NoFingerprint)?;
    let name = name.trim_end();
    let is_name = |octet: u8| octet.is_ascii_lowercase() || octet == b'-';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(SealedLineFault::NoFingerprint);
    }
    Ok(Line::Field(name, value.trim_start()))
}

/// A text that can be shown to people as it is.
fn printable(text: String) -> Result<String, &'static str> {
    let fine = !text.is_empty() && text.chars().count() <= 200 && !text.contains(char::is_control);
    if fine {
        Ok(text)
    } else {
        Err("a text of at most 200 characters, none of them a control character")
    }
}

fn number<T: std::str::FromStr>(
    expected: &'static str,
) -> impl FnOnce(String) -> Result<T, &'static str> {
    move |text| text.parse().map_err(|_| expected)
}
