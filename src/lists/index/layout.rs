//! Where what stands in an index: the header and the table of its sections.

use std::ops::Range;

use twox_hash::XxHash3_64;

use super::fault::IndexFault;

/// What an index begins with. The first octet is no text, the last ones show what a transfer as
/// text does to them.
const MAGIC: [u8; 8] = *b"\x8ehdgidx\n";
/// The version written and read here.
const VERSION: u32 = 3;
/// Octets of the header.
pub(super) const HEADER: usize = 288;
/// Where sections begin is a multiple of this.
pub(super) const ALIGNMENT: u64 = 64;
/// Octets of the header that its own checksum covers.
const COVERED: usize = HEADER - 8;

/// The parts of an index, in the order in which they stand in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Lists,
    Filter,
    Codes,
    Tops,
    Separators,
    Names,
    Sets,
    Patterns,
    Addresses,
    Sealed,
}

/// How many parts there are.
pub(super) const PARTS: usize = 10;

impl Part {
    /// All of them.
    pub(super) const ALL: [Self; PARTS] = [
        Self::Lists,
        Self::Filter,
        Self::Codes,
        Self::Tops,
        Self::Separators,
        Self::Names,
        Self::Sets,
        Self::Patterns,
        Self::Addresses,
        Self::Sealed,
    ];
}

/// What the header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Octets of the file.
    pub(super) length: u64,
    /// Checksum of what stands behind the header.
    pub(super) checksum: u64,
    pub(super) recipe: [u8; 32],
    /// Different names, the root too.
    pub(super) names: u64,
    pub(super) lists: u32,
    /// Different top-level labels.
    pub(super) tops: u32,
    /// Blocks of names.
    pub(super) blocks: u32,
    /// Sets of postings that have a number.
    pub(super) sets: u32,
    /// One more than where the root's set stands; zero when nothing is said about the root.
    pub(super) root: u32,
    /// Pairs that make tokens.
    pub(super) pairs: u32,
    /// The fewest labels of a name.
    pub(super) fewest_labels: u8,
    /// The most labels of a name.
    pub(super) most_labels: u8,
    /// Names in a block, as a power of two.
    pub(super) block_bits: u8,
    /// Names in a group of a block, as a power of two.
    pub(super) group_bits: u8,
    /// Where each part begins and how long it is.
    pub(super) parts: [(u64, u64); PARTS],
}

impl Header {
    /// The header's octets.
    pub(super) fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(HEADER as u32).to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&self.recipe);
        bytes.extend_from_slice(&self.names.to_le_bytes());
        let counts = [
            self.lists,
            self.tops,
            self.blocks,
            self.sets,
            self.root,
            self.pairs,
        ];
        for count in counts {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes.extend_from_slice(&[
            self.fewest_labels,
            self.most_labels,
            self.block_bits,
            self.group_bits,
        ]);
        bytes.extend_from_slice(&[0; 4]);
        for (begin, length) in self.parts {
            bytes.extend_from_slice(&begin.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes.resize(COVERED, 0);
        let checksum = XxHash3_64::oneshot(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let mut header = [0; HEADER];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads and checks the header of a file, all of which is in `bytes`; what stands behind it is
    /// for [`Self::check`].
    ///
    /// # Errors
    /// [`IndexFault`].
    pub(super) fn read(bytes: &[u8]) -> Result<Self, IndexFault> {
        let begins = bytes.len().min(MAGIC.len());
        if bytes.is_empty() || bytes.get(..begins) != MAGIC.get(..begins) {
            return Err(IndexFault::Magic);
        }
        let cut_off = |expected| IndexFault::CutOff {
            found: bytes.len() as u64,
            expected,
        };
        let mut reader = Reader { bytes, at: 8 };
        // What an index of another version looks like behind this is not known.
        let found = reader.u32().ok_or_else(|| cut_off(HEADER as u64))?;
        if found != VERSION {
            return Err(IndexFault::Version {
                found,
                expected: VERSION,
            });
        }
        let Some(covered) = bytes.get(..COVERED) else {
            return Err(cut_off(HEADER as u64));
        };
        let this = reader.header().ok_or_else(|| cut_off(HEADER as u64))?;
        reader.at = COVERED;
        let stored = reader.u64().ok_or_else(|| cut_off(HEADER as u64))?;
        let computed = XxHash3_64::oneshot(covered);
        if stored != computed {
            return Err(IndexFault::Checksum { stored, computed });
        }
        let found = bytes.len() as u64;
        if found < this.length {
            return Err(cut_off(this.length));
        }
        if found > this.length {
            return Err(IndexFault::TooLong {
                found: found - this.length,
            });
        }
        Ok(this)
    }

    /// Checks what stands behind the header by its checksum.
    ///
    /// # Errors
    /// [`IndexFault::Checksum`].
    pub(super) fn check(&self, computed: u64) -> Result<(), IndexFault> {
        let stored = self.checksum;
        if stored != computed {
            return Err(IndexFault::Checksum { stored, computed });
        }
        Ok(())
    }

    /// Where a part stands among the octets of the file.
    ///
    /// # Errors
    /// [`IndexFault::Malformed`] when it does not stand in the file.
    pub(super) fn range(&self, part: Part) -> Result<Range<usize>, IndexFault> {
        let (begin, length) = self.parts[part as usize];
        if length == 0 {
            return Ok(0..0);
        }
        let end = begin.checked_add(length);
        let fits = begin >= HEADER as u64 && end.is_some_and(|end| end <= self.length);
        match (usize::try_from(begin), end.map(usize::try_from)) {
            (Ok(begin), Some(Ok(end))) if fits => Ok(begin..end),
            _ => Err(IndexFault::Malformed("a part is not inside the file")),
        }
    }
}

/// Reads numbers, little-endian.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let octets = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(*octets)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// What stands behind the version.
    fn header(&mut self) -> Option<Header> {
        let _length_of_header = self.u32()?;
        let mut header = Header {
            length: self.u64()?,
            checksum: self.u64()?,
            recipe: self.take()?,
            names: self.u64()?,
            lists: self.u32()?,
            tops: self.u32()?,
            blocks: self.u32()?,
            sets: self.u32()?,
            root: self.u32()?,
            pairs: self.u32()?,
            ..Header::default()
        };
        [
            header.fewest_labels,
            header.most_labels,
            header.block_bits,
            header.group_bits,
        ] = self.take()?;
        self.take::<4>()?;
        for part in &mut header.parts {
            *part = (self.u64()?, self.u64()?);
        }
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let body = b"body";
        let header = Header {
            length: (HEADER + body.len()) as u64,
            checksum: XxHash3_64::oneshot(body),
            recipe: [7; 32],
            names: 1 << 40,
            most_labels: 9,
            group_bits: 3,
            parts: [(HEADER as u64, 4); PARTS],
            ..Header::default()
        };
        [header.to_bytes().as_slice(), body].concat()
    }

    #[test]
    fn a_header_comes_back() {
        let header = Header::read(&file()).unwrap();
        assert_eq!(
            (header.names, header.most_labels, header.group_bits),
            (1 << 40, 9, 3)
        );
        assert_eq!(header.range(Part::Sealed), Ok(HEADER..HEADER + 4));
        let mut far = header.clone();
        for range in [
            (HEADER as u64, 5),
            (0, 1),
            (u64::MAX, 2),
            (HEADER as u64, u64::MAX),
        ] {
            far.parts[0] = range;
            assert!(far.range(Part::Lists).is_err());
        }
        assert_eq!(&file()[..COVERED], &header.to_bytes()[..COVERED]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |bytes: &[u8]| {
            let body = bytes.get(HEADER..).unwrap_or_default();
            let read = Header::read(bytes).and_then(|it| it.check(XxHash3_64::oneshot(body)));
            read.unwrap_err().to_string()
        };
        let file = file();
        assert_eq!(said(b""), "not an index of Hedgerow");
        assert_eq!(said(b"0.0.0.0 example.org\n"), "not an index of Hedgerow");
        let mut other = file.clone();
        other[8] = 2;
        assert_eq!(said(&other), "version 2; this program reads version 3");
        assert_eq!(said(&file[..5]), "cut off: 5 of 288 bytes");
        assert_eq!(said(&file[..290]), "cut off: 290 of 292 bytes");
        assert_eq!(said(&[&file[..], b"x"].concat()), "1 bytes follow the end");
        for place in [20, 100, HEADER - 1, HEADER, HEADER + 3] {
            let mut other = file.clone();
            other[place] ^= 1;
            assert!(
                said(&other).starts_with("damaged: its checksum is"),
                "{place}"
            );
        }
    }
}
