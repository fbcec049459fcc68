//! Keys, and the fingerprints they make of names.
//!
//! A fingerprint is the first 80 bits of SipHash-2-4 with 128 bits of output over the name's wire
//! format: lower case, each label behind its length, the root's zero at the end. SipHash is a
//! pseudo-random function: without the key a fingerprint says nothing about its name. It was
//! chosen over HMAC-SHA-256 because a router computes it for every query, at every depth, for
//! every sealed list, and on short inputs it costs a tenth. A slower hash would not help against
//! who has the key; `docs/sealed-lists.md` has the sums.
//!
//! With 80 bits and a million fingerprints, one in 10^18 names is blocked by accident.

use std::fmt;

use sha2::{Digest, Sha256};
use siphasher::sip128::SipHasher24;

use crate::clock::Timestamp;
use crate::lists::Fingerprint;
use crate::name::NameRef;

/// The most labels of a sealed name; what the look-up of a name somebody made up costs is bounded
/// by it.
pub const MAX_LABELS: usize = 16;
/// The fewest: a top-level domain cannot be sealed.
pub(super) const MIN_LABELS: usize = 2;
/// The most keys a machine has.
pub const MAX_KEYS: usize = 256;

/// The secret with which names become fingerprints: 128 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 16]);

impl SealKey {
    /// The key of these octets, which must come from a generator of random numbers.
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// A key as 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text.as_bytes()).map(Self)
    }

    /// What tells it from other keys: the first octets of SHA-256 of a fixed text and the key.
    pub fn id(&self) -> KeyId {
        let hash = Sha256::new()
            .chain_update(b"hedgerow sealed key\0")
            .chain_update(self.0)
            .finalize();
        let mut id = [0; 8];
        for (place, octet) in id.iter_mut().zip(hash) {
            *place = octet;
        }
        KeyId(id)
    }

    /// The fingerprint of this very name.
    pub fn fingerprint(&self, name: NameRef<'_>) -> Fingerprint {
        let [a, b, c, d, e, f, g, h, i, j, ..] = SipHasher24::new_with_key(&self.0)
            .hash(name.as_wire())
            .as_bytes();
        Fingerprint([a, b, c, d, e, f, g, h, i, j])
    }

    /// The fingerprints under which `name` would be sealed: its own and those of its parents, the
    /// longest first, each with its number of labels.
    pub fn fingerprints(&self, name: NameRef<'_>) -> impl Iterator<Item = (usize, Fingerprint)> {
        let labels = name.label_count();
        name.suffixes()
            .enumerate()
            .map(move |(cut, suffix)| (labels - cut, suffix))
            .filter(|(labels, _)| (MIN_LABELS..=MAX_LABELS).contains(labels))
            .map(|(labels, suffix)| (labels, self.fingerprint(suffix)))
    }

    /// The key for the head of a feed or the file of keys.
    pub(super) fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for SealKey {
    /// Says nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// Tells one key from another and nothing about either.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// An id as 16 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text.as_bytes()).map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A day, counted from 1970-01-01 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    /// A date such as `2026-11-22`, not before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
        let days = (date - jiff::civil::Date::constant(1970, 1, 1)).get_days();
        u32::try_from(days).ok().map(Self)
    }

    /// The day of a moment.
    pub fn of(moment: Timestamp) -> Self {
        Self(u32::try_from(moment.as_second().div_euclid(86_400)).unwrap_or(0))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::from(self.0) * 86_400;
        match Timestamp::from_second(seconds) {
            Ok(moment) => write!(f, "{}", moment.strftime("%Y-%m-%d")),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

/// The name of the file of keys in the state folder.
pub const KEYS_FILE: &str = "sealed-keys";
/// The most octets of it.
pub const MAX_KEYS_FILE: u64 = 64 * 1024;

/// The keys a machine has: the content of the file [`KEYS_FILE`], which nobody but the daemon's
/// account may read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SealKeys(Vec<(KeyId, SealKey)>);

impl SealKeys {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Reads the file: a key of 32 hexadecimal digits a line; blank lines and `#` comments are
    /// fine.
    ///
    /// # Errors
    /// The number of the first line that is no key, or one more than [`MAX_KEYS`].
    pub fn parse(text: &str) -> Result<Self, SealKeysFault> {
        let mut keys = Self::new();
        for (number, line) in text.lines().enumerate() {
            let word = line.split('#').next().unwrap_or_default().trim();
            if word.is_empty() {
                continue;
            }
            let line = number + 1;
            let key = SealKey::parse(word).ok_or(SealKeysFault::NoKey { line })?;
            if !keys.add(key) && keys.0.len() >= MAX_KEYS {
                return Err(SealKeysFault::TooMany { line });
            }
        }
        Ok(keys)
    }

    /// The keys in those lines of the file that hold one.
    pub fn of_lines(text: &str) -> Self {
        let mut keys = Self::new();
        for line in text.lines() {
            keys.extend(Self::parse(line).unwrap_or_default());
        }
        keys
    }

    /// Adds a key. Whether it was new; nothing is added to [`MAX_KEYS`].
    pub fn add(&mut self, key: SealKey) -> bool {
        let id = key.id();
        let new = self.0.len() < MAX_KEYS && self.get(id).is_none();
        if new {
            self.0.push((id, key));
            self.0.sort_unstable_by_key(|(id, _)| *id);
        }
        new
    }

    /// Adds the keys of another; those for which there is no room are left out.
    pub fn extend(&mut self, other: Self) {
        for (_, key) in other.0 {
            self.add(key);
        }
    }

    /// Keeps the keys with these ids and forgets the others.
    pub fn keep(&mut self, used: impl Fn(KeyId) -> bool) {
        self.0.retain(|(id, _)| used(*id));
    }

    /// The key with this id.
    pub fn get(&self, id: KeyId) -> Option<&SealKey> {
        self.0
            .iter()
            .find_map(|(own, key)| (*own == id).then_some(key))
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file that [`Self::parse`] reads. It holds the secrets: for the disk, not for a log.
    pub fn to_file(&self) -> String {
        let lines = self.0.iter().map(|(_, key)| key.to_hex() + "\n");
        lines.collect()
    }
}

impl fmt::Debug for SealKeys {
    /// How many; nothing of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKeys({})", self.0.len())
    }
}

/// What is wrong with a file of keys; of which nothing is repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealKeysFault {
    /// Something else than a key.
    #[error("line {line} is not a key of 32 hexadecimal digits")]
    NoKey {
        /// Which line, from 1.
        line: usize,
    },
    /// More than there may be.
    #[error("line {line} is one key more than {MAX_KEYS}")]
    TooMany {
        /// Which line, from 1.
        line: usize,
    },
}

/// Hexadecimal digits, two for each octet.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The octets of exactly as many hexadecimal digits, of any case.
pub(super) fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != N {
        return None;
    }
    let mut octets = [0; N];
    for (place, pair) in octets.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        // Two digits below 16.
        *place = (high? << 4 | low?) as u8;
    }
    Some(octets)
}
