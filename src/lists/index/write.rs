//! From names in order to the bytes of an index.

use std::io::{Read, Seek, Write};

use super::alphabet::{END, KEY_SYMBOLS, Spelled, to_wire};
use super::dictionary::matching;
use super::fault::WriteError;
use super::layout::Part;
use super::model::{SharedCounts, shared_code};
use super::record;
use super::sets::{self, SetTable};
use super::spool::Spool;
use super::tokens::Sample;
use crate::files::{FileError, Scratch};
use crate::lists::{ListInfo, Posting};
use crate::name::{MAX_NAME, NameRef};

/// Names in a block, as a power of two.
pub(super) const BLOCK_BITS: u8 = 6;
/// Names in a group of a block, as a power of two.
pub(super) const GROUP_BITS: u8 = 3;

/// Takes names in canonical order and writes an index.
///
/// While names come in, they go to a working file, and what is needed to choose the codes is
/// collected: a sample of what they say, which set how often. [`Self::finish`] reads the working
/// file again and writes the names in these codes. Memory does not depend on how many names there
/// are.
pub struct IndexWriter {
    pub(super) memory: usize,
    /// The names; see [`super::record`].
    pub(super) names: Spool,
    /// For each block its separator, then where it begins.
    pub(super) separators: Spool,
    /// The tops.
    pub(super) tops: Spool,
    pub(super) sample: Sample,
    pub(super) shared: SharedCounts,
    pub(super) sets: SetTable,
    /// How many names are no heads of groups, and how many of them have the set of the name before.
    pub(super) plain_names: u64,
    pub(super) repeated_sets: u64,
    /// How often a set had no number.
    pub(super) lone_sets: u64,
    pub(super) tally: Tally,
    /// What is said about the root.
    pub(super) root: Option<Vec<u8>>,
    last: Last,
    /// The set being written.
    set: Vec<u8>,
}

/// What is counted of all names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) names: u64,
    pub(super) tops: u64,
    pub(super) blocks: u64,
    pub(super) fewest_labels: u8,
    pub(super) most_labels: u8,
    /// One more than the highest list of a posting.
    pub(super) lists: usize,
}

/// The name that came last.
struct Last {
    top: Vec<u8>,
    /// Its number below its top; none before the first name.
    place: Option<u64>,
    /// The number of its set.
    set: Option<u32>,
    name: Neighbour,
    /// The heads of its block.
    heads: Vec<Vec<u8>>,
}

/// Where a name stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The first of its group.
    Head,
    /// Any other.
    Plain,
}

impl Role {
    /// That of the name with this number below its top.
    pub(super) const fn of(place: u64) -> Self {
        if place.is_multiple_of(1 << GROUP_BITS) {
            Self::Head
        } else {
            Self::Plain
        }
    }
}

/// Whether a name with this number below its top begins a block.
pub(super) const fn begins_block(place: u64) -> bool {
    place.is_multiple_of(1 << BLOCK_BITS)
}

/// How many symbols the heads of a block, given as rows with their ends, have in common; no more
/// than a separator has.
pub(super) fn common_prefix(heads: &[Vec<u8>]) -> usize {
    let common = match heads {
        [] => 0,
        // Its end is always written.
        [head] => head.len().saturating_sub(1),
        // They are in order.
        [first, .., last] => matching(first, last),
    };
    common.min(KEY_SYMBOLS)
}

/// What a row says behind its first symbols, without its end.
pub(super) fn rest(row: &[u8], shared: usize) -> &[u8] {
    let body = row.strip_suffix(&[END]).unwrap_or(row);
    body.get(shared..).unwrap_or_default()
}

/// The name before, with which the next one is compared.
#[derive(Debug, Default)]
pub(super) struct Neighbour {
    /// As a row with its end.
    row: Vec<u8>,
    /// How much it shared with the one before it.
    shared: usize,
}

impl Neighbour {
    /// Its row.
    pub(super) fn row(&self) -> &[u8] {
        &self.row
    }

    /// How many symbols `row` shares with it, and the code for that number.
    pub(super) fn shared(&self, row: &[u8]) -> (usize, usize) {
        (matching(&self.row, row), shared_code(self.shared))
    }

    /// Goes on to `row`, which shared so much with it; nothing counts that a head shares.
    pub(super) fn advance(&mut self, row: &[u8], shared: usize) {
        self.shared = shared;
        self.row.clear();
        self.row.extend_from_slice(row);
    }
}

/// Makes a working file.
pub type MakeScratch<'a> = &'a mut dyn FnMut() -> Result<Box<dyn Scratch>, FileError>;

/// What stands in an index beside its names.
pub struct Contents<'a> {
    /// The lists, in the order of their ids.
    pub lists: &'a [ListInfo],
    /// Tells one compilation from another: a hash over sources and settings, or zeroes.
    pub recipe: [u8; 32],
    /// The patterns, opaque here.
    pub patterns: Section<'a>,
    /// The address prefixes, opaque here.
    pub addresses: Section<'a>,
    /// The fingerprints, opaque here.
    pub sealed: Section<'a>,
}

/// A part of an index that somebody else writes and reads.
pub struct Section<'a> {
    pub(super) length: u64,
    pub(super) bytes: Box<dyn Read + 'a>,
}

impl<'a> Section<'a> {
    /// Nothing.
    pub fn empty() -> Self {
        Self::from([].as_slice())
    }

    /// A section of `length` octets, read when the index is written.
    pub fn new(length: u64, bytes: impl Read + 'a) -> Self {
        Self {
            length,
            bytes: Box::new(bytes),
        }
    }
}

impl<'a> From<&'a [u8]> for Section<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::new(bytes.len() as u64, bytes)
    }
}

/// What an index has become, in octets unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many names.
    pub names: u64,
    /// How many different sets of postings have a number.
    pub sets: u64,
    /// All of it, with header and padding.
    pub bytes: u64,
    /// What is known of the lists.
    pub lists: u64,
    /// The filter that says "surely not listed".
    pub filter: u64,
    /// The codes in which names are written.
    pub codes: u64,
    /// The top-level labels.
    pub tops: u64,
    /// How blocks of names begin, and where.
    pub separators: u64,
    /// The names.
    pub dictionary: u64,
    /// What lists say about them.
    pub postings: u64,
    /// The patterns.
    pub patterns: u64,
    /// The address prefixes.
    pub addresses: u64,
    /// The fingerprints.
    pub sealed: u64,
}

impl Totals {
    /// Sets the size of a part.
    pub(super) fn set(&mut self, part: Part, length: u64) {
        let place = match part {
            Part::Lists => &mut self.lists,
            Part::Filter => &mut self.filter,
            Part::Codes => &mut self.codes,
            Part::Tops => &mut self.tops,
            Part::Separators => &mut self.separators,
            Part::Names => &mut self.dictionary,
            Part::Sets => &mut self.postings,
            Part::Patterns => &mut self.patterns,
            Part::Addresses => &mut self.addresses,
            Part::Sealed => &mut self.sealed,
        };
        *place = length;
    }
}

impl IndexWriter {
    /// Begins an index. `scratch` makes working files: three are asked for, which together become
    /// about twice as large as the index. `memory` is how many octets may be used, more or less: 3
    /// MiB are enough for 49 million names, and what is written does not depend on it.
    ///
    /// # Errors
    /// [`WriteError::File`].
    pub fn new(scratch: MakeScratch<'_>, memory: usize) -> Result<Self, WriteError> {
        Ok(Self {
            memory,
            names: Spool::new(scratch()?),
            separators: Spool::new(scratch()?),
            tops: Spool::new(scratch()?),
            sample: Sample::new(),
            shared: SharedCounts::new(),
            sets: SetTable::default(),
            plain_names: 0,
            repeated_sets: 0,
            lone_sets: 0,
            tally: Tally::default(),
            root: None,
            last: Last {
                top: Vec::new(),
                place: None,
                set: None,
                name: Neighbour::default(),
                heads: Vec::new(),
            },
            set: Vec::new(),
        })
    }

    /// Takes a name with what lists say about it. Names come in canonical order, each once, with
    /// at least one posting; postings are in ascending order.
    ///
    /// # Errors
    /// [`WriteError`]; the writer is of no use afterwards.
    pub fn push(&mut self, name: NameRef<'_>, postings: &[Posting<'_>]) -> Result<(), WriteError> {
        let wrong_postings = || WriteError::Postings {
            name: name.to_name(),
            count: postings.len(),
        };
        let too_long = |posting: &Posting<'_>| {
            posting
                .modifiers
                .is_some_and(|bytes| bytes.len() > sets::MAX_MODIFIERS)
        };
        if postings.is_empty()
            || postings.len() > sets::MAX_POSTINGS
            || postings.iter().any(too_long)
        {
            return Err(wrong_postings());
        }
        let lists = postings
            .iter()
            .map(|posting| usize::from(posting.list.0) + 1);
        self.tally.lists = lists.fold(self.tally.lists, usize::max);
        let mut set = std::mem::take(&mut self.set);
        set.clear();
        sets::put(&mut set, postings);
        let has_modifiers = postings.iter().any(|posting| posting.modifiers.is_some());
        let mut spelled = Spelled::new();
        if spelled.spell(name).is_none() {
            if self.tally.names > 0 {
                return Err(self.wrong_order(name));
            }
            self.root = Some(set);
            self.tally.names = 1;
            return Ok(());
        }
        let labels = name.label_count();
        let is_new_top = self.start_top(name, spelled.top)?;
        let pushed = spelled.with_row(0, |wanted| {
            self.push_row(name, wanted.row, is_new_top, &set, has_modifiers)
        });
        pushed.unwrap_or_else(|| Err(WriteError::Alphabet(name.to_name())))?;
        self.set = set;
        let is_only = self.tally.names == u64::from(self.root.is_some());
        self.tally.names += 1;
        // At most 127.
        let labels = labels as u8;
        self.tally.most_labels = self.tally.most_labels.max(labels);
        self.tally.fewest_labels = match self.tally.fewest_labels {
            _ if is_only => labels,
            fewest => fewest.min(labels),
        };
        Ok(())
    }

    /// Whether this is the first name of a top-level label, which is then taken note of.
    fn start_top(&mut self, name: NameRef<'_>, top: &[u8]) -> Result<bool, WriteError> {
        let is_first = self.last.place.is_none();
        if !is_first && top == self.last.top {
            return Ok(false);
        }
        let is_letter = |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
        if !top
            .iter()
            .all(|octet| is_letter(octet) || matches!(octet, b'-' | b'_'))
        {
            return Err(WriteError::Alphabet(name.to_name()));
        }
        if !is_first && *top < *self.last.top {
            return Err(self.wrong_order(name));
        }
        self.end_top()?;
        self.last.top.clear();
        self.last.top.extend_from_slice(top);
        self.tally.tops += 1;
        record::put_top(&mut self.names, top)?;
        Ok(true)
    }

    /// Writes what there is to know of a top-level label whose names have all come.
    pub(super) fn end_top(&mut self) -> Result<(), WriteError> {
        let Some(place) = self.last.place.take() else {
            return Ok(());
        };
        self.end_block();
        let names = place + 1;
        let number =
            |number: u64, what| u32::try_from(number).map_err(|_| WriteError::TooLarge(what));
        let entry = [
            number(self.tally.blocks, "blocks of names")?.to_le_bytes(),
            number(names, "names below a label")?.to_le_bytes(),
        ];
        self.tops.put(entry.as_flattened())?;
        self.tops.put(&[self.last.top.len() as u8])?;
        self.tops.put(&self.last.top)?;
        self.tally.blocks += names.div_ceil(1 << BLOCK_BITS);
        Ok(())
    }

    /// Takes a name as a row of symbols.
    fn push_row(
        &mut self,
        name: NameRef<'_>,
        row: &[u8],
        is_new_top: bool,
        set: &[u8],
        has_modifiers: bool,
    ) -> Result<(), WriteError> {
        if !is_new_top && row <= self.last.name.row() {
            return Err(self.wrong_order(name));
        }
        let place = self.last.place.map_or(0, |place| place + 1);
        let role = Role::of(place);
        if begins_block(place) {
            self.end_block();
        }
        let mut shared = 0;
        if role == Role::Head {
            // How many symbols heads have in common shows at the end of the block.
            self.last.heads.push(row.to_vec());
        } else {
            let code;
            (shared, code) = self.last.name.shared(row);
            self.shared.add(code, shared);
            self.sample.add(rest(row, shared));
        }
        let number = self.sets.number(set, has_modifiers);
        let is_repeated = role == Role::Plain && number.is_some() && number == self.last.set;
        self.plain_names += u64::from(role == Role::Plain);
        self.repeated_sets += u64::from(is_repeated);
        match number {
            Some(number) => self.sets.count(number, is_repeated),
            None => self.lone_sets += 1,
        }
        let before = if is_new_top {
            &[]
        } else {
            self.last.name.row()
        };
        record::put_name(&mut self.names, row, before, number.ok_or(set))?;
        self.last.name.advance(row, shared);
        self.last.place = Some(place);
        self.last.set = number;
        Ok(())
    }

    /// Takes note of the heads of a block.
    fn end_block(&mut self) {
        let prefix = common_prefix(&self.last.heads);
        for head in self.last.heads.drain(..) {
            self.sample.add(rest(&head, prefix));
        }
    }

    fn wrong_order(&self, name: NameRef<'_>) -> WriteError {
        let mut wire = [0; MAX_NAME];
        let length = match self.last.place {
            Some(_) => {
                let row = self.last.name.row();
                let body = row.strip_suffix(&[END]).unwrap_or(row);
                to_wire(&self.last.top, body, &mut wire)
            }
            None => Some(1),
        };
        let before = length.and_then(|length| NameRef::from_wire(wire.get(..length)?).ok());
        WriteError::Order {
            before: before.map_or_else(|| NameRef::ROOT.to_name(), NameRef::to_name),
            name: name.to_name(),
        }
    }

    /// Writes the index to `out`, from where that stands, and says what became of it. `scratch`
    /// is asked for as many working files more as the filter has pieces that do not fit into
    /// memory, 64 at most; for each name outside the first they hold 12 octets. Names go from their
    /// working file as these come, unless sets are so rare that names are read twice.
    ///
    /// # Errors
    /// [`WriteError`]; what was written then is no index.
    pub fn finish(
        self,
        contents: Contents<'_>,
        scratch: MakeScratch<'_>,
        out: &mut (impl Write + Seek + ?Sized),
    ) -> Result<Totals, WriteError> {
        super::finish::finish(self, contents, scratch, out)
    }
}

impl std::fmt::Debug for IndexWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexWriter")
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}
