//! The compiled lists: which lists name this name or a parent of it?
//!
//! [`IndexWriter`] makes one file of all lists, [`Index`] searches it where it is. The file is
//! described octet by octet in `docs/index-format.md`. Read [`Index`] first, then `dictionary`,
//! which finds names, and `model`, which says in how few bits they are written.

mod alphabet;
mod beside;
mod bits;
mod blocks;
mod code;
mod dictionary;
mod fault;
mod filter;
mod finish;
mod hit;
mod layout;
mod mapped;
mod meta;
mod model;
mod record;
mod remembered;
mod sets;
mod slices;
mod spool;
mod tokens;
mod write;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::addresses::Addresses;
use super::patterns::Patterns;
use super::sealed::Sealed;
use super::{ListInfo, ListSpec, Posting, Reach};
use crate::files::{DiskFile, FileError, Files, Mapping};
use crate::name::{MAX_LABEL, MAX_NAME, NameRef};
use alphabet::Spelled;
use blocks::{Blocks, Place, Unread};
use dictionary::{Dictionary, LIKELY_TOPS};
use layout::{HEADER, Header, PARTS, Part};
use mapped::Octets;
use model::{ModelDecoder, SetCode};
use remembered::{Finding, Found, Remembered};
use sets::SetReader;

pub use fault::{IndexError, IndexFault, WriteError};
pub use hit::{Hit, ListId, Matcher, RuleId};
pub use write::{Contents, IndexWriter, MakeScratch, Section, Totals};

/// All lists, compiled: immutable, exact, searched in their file. Nothing is allocated for that but for a block of long names.
///
/// # How a name is found
///
/// Each parent of the name is looked for in a Bloom filter, which says "surely not listed" for
/// nearly all that are not. What it lets through is looked for among the names themselves. Those
/// stand in order, divided by top-level label, then into blocks of 64. A table of *separators* says
/// how each block begins; the search ends in one block, which is read from the file, in eight names of
/// which it goes from name to name. A name is written as what differs from the one before, in *tokens*: frequent rows of
/// letters, such as `com` or `shop-`, each a number of twelve bits.
///
/// # A small example
///
/// List 0 says `||example.org^`, `||ads.example.org^` and `||example.test^`. The last two labels
/// have a table of their own, so that the names are, from the root down:
///
/// ```text
/// org   example end
///       example gap ads end     →  7 shared, then: gap ads end
/// test  example end
/// ```
///
/// The question `www.example.org` has three parents. The filter knows neither `org` nor
/// `www.example.org`; `example.org` it does. Below `org` there is one block with the separator
/// `example`; its first name is the one.
///
/// # What can be in the file
///
/// Anything: every offset, number and length is checked where it is used. A file that is not what
/// [`IndexWriter`] wrote is refused by its checksum, or, where somebody made the checksum right,
/// gives senseless hits; it makes no look-up long and stops no process. But see [`Self::open`].
pub struct Index {
    octets: Octets,
    header: Header,
    /// Where the parts stand.
    parts: [Range<usize>; PARTS],
    lists: Vec<ListInfo>,
    /// None without names.
    model: Option<Box<ModelDecoder>>,
    /// Some of the separators, and some of the top-level labels.
    strides: Box<[u64]>,
    likely_tops: Box<[u16; LIKELY_TOPS]>,
    /// What was found about names lately.
    remembered: Remembered,
    /// What of the names could not be read.
    unread: Unread,
    patterns: Patterns,
    addresses: Addresses,
    sealed: Sealed,
}

impl Default for Index {
    fn default() -> Self {
        Self::empty()
    }
}

impl Index {
    /// Without any list.
    pub fn empty() -> Self {
        Self {
            octets: Octets::Owned(Vec::new()),
            header: Header::default(),
            parts: [const { 0..0 }; PARTS],
            lists: Vec::new(),
            model: None,
            strides: Box::default(),
            likely_tops: Box::new([0; LIKELY_TOPS]),
            remembered: Remembered::new(),
            unread: Unread::default(),
            patterns: Patterns::default(),
            addresses: Addresses::default(),
            sealed: Sealed::default(),
        }
    }

    /// Opens the index at `path`: maps what every search needs, and leaves the names in the file, where
    /// a search that needs some reads them. The file must be replaced by renaming and never be changed
    /// in place: cutting off a mapped file ends the process that reads it (SIGBUS).
    ///
    /// # Errors
    /// [`IndexError`], with the path.
    pub fn open(files: &Files, path: &Path) -> Result<Self, IndexError> {
        let octets = match files.mapping(path)? {
            Mapping::Bytes(bytes) => Octets::Owned(bytes),
            Mapping::File(file) => Octets::map(path, file).map_err(|source| FileError {
                path: path.to_path_buf(),
                doing: "cannot map",
                source,
            })?,
        };
        Self::read(octets).map_err(|fault| IndexError::Refused {
            path: path.to_path_buf(),
            fault,
        })
    }

    /// Takes an index that is in memory.
    ///
    /// # Errors
    /// [`IndexError::Bytes`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, IndexError> {
        Ok(Self::read(Octets::Owned(bytes))?)
    }

    /// Checks the octets and reads what is kept in memory.
    fn read(octets: Octets) -> Result<Self, IndexFault> {
        // First: it is read, and tells of what cannot be, where the mapping would end us.
        let checksum = octets.checksum(HEADER);
        let checksum = checksum.map_err(|fault| IndexFault::Unreadable(fault.to_string()))?;
        let header = Header::read(&octets)?;
        header.check(checksum)?;
        let mut parts = [const { 0..0 }; PARTS];
        for (place, part) in parts.iter_mut().zip(Part::ALL) {
            *place = header.range(part)?;
        }
        let part = |part: Part| octets.get(parts[part as usize].clone()).unwrap_or_default();
        let lists = meta::read(part(Part::Lists)).map_err(IndexFault::Malformed)?;
        if lists.len() != header.lists as usize {
            return Err(IndexFault::Malformed("another number of lists"));
        }
        if header.block_bits > MAX_BLOCK_BITS || header.group_bits > header.block_bits {
            return Err(IndexFault::Malformed("the size of a block"));
        }
        if part(Part::Separators).len() as u64 != u64::from(header.blocks) * 12 {
            return Err(IndexFault::Malformed("the number of blocks"));
        }
        if (part(Part::Tops).len() as u64) < u64::from(header.tops) * 12 {
            return Err(IndexFault::Malformed("the number of top-level labels"));
        }
        if (part(Part::Sets).len() as u64) < u64::from(header.sets) * 4 {
            return Err(IndexFault::Malformed("the number of sets"));
        }
        let model = match part(Part::Codes) {
            [] => None,
            bytes => Some(
                ModelDecoder::new(bytes, header.pairs as usize, header.sets as usize)
                    .ok_or(IndexFault::Malformed("the codes"))?,
            ),
        };
        let (separators, _) = part(Part::Separators).as_chunks();
        let strides = separators.iter().step_by(dictionary::STRIDE);
        let strides = strides.map(dictionary::separator_key).collect();
        let wrong = |part| move |what| IndexFault::Section { part, what };
        let patterns = Patterns::open(part(Part::Patterns)).map_err(wrong("patterns"))?;
        let addresses = Addresses::open(part(Part::Addresses)).map_err(wrong("addresses"))?;
        let sealed = Sealed::open(part(Part::Sealed)).map_err(wrong("sealed lists"))?;
        if sealed
            .lists()
            .any(|it| usize::from(it.list.0) >= lists.len())
        {
            return Err(IndexFault::Malformed("a sealed list that is not there"));
        }
        let mut this = Self {
            octets,
            header,
            parts,
            lists,
            model,
            strides,
            likely_tops: Box::new([0; LIKELY_TOPS]),
            remembered: Remembered::new(),
            unread: Unread::default(),
            patterns,
            addresses,
            sealed,
        };
        this.check_tops()?;
        if let Some(tops) = this.dictionary().map(|it| it.most_likely_tops()) {
            *this.likely_tops = tops;
        }
        this.octets.advise();
        Ok(this)
    }

    /// Checks that the names of the tops are all names, and their blocks all blocks, each once: so
    /// that what walks over all of them comes to an end.
    fn check_tops(&self) -> Result<(), IndexFault> {
        let wrong = || IndexFault::Malformed("the top-level labels");
        let mut names = u64::from(self.header.root > 0);
        let mut blocks = 0;
        let dictionary = self.dictionary();
        for number in 0..self.header.tops as usize {
            let top = dictionary.and_then(|it| it.top(number)).ok_or_else(wrong)?;
            if top.label.is_empty() || top.label.len() > MAX_LABEL || top.first_block != blocks {
                return Err(wrong());
            }
            blocks += top.names.div_ceil(1 << self.header.block_bits);
            names += top.names as u64;
        }
        if blocks != self.header.blocks as usize || names != self.header.names {
            return Err(wrong());
        }
        Ok(())
    }

    /// Calls `each` for every line of every list that matches `name`: the lines that name it first,
    /// then those that name its parents, the nearest parent first, then patterns, then sealed names.
    ///
    /// What is sealed is found once [`Self::set_seal_keys`] was given the keys.
    ///
    /// Whether all that is said could be read; if not, lists may say more about the name.
    pub fn look_up(&self, name: NameRef<'_>, mut each: impl FnMut(Hit)) -> bool {
        let mark = self.remembered.mark(name);
        if let Some(finding) = self.remembered.find(mark) {
            for found in finding.sets() {
                self.tell(found, &mut each);
            }
            return true;
        }
        let (finding, is_whole) = self.look_up_anew(name, &mut each);
        if let Some(finding) = finding {
            self.remembered.remember(mark, finding);
        }
        is_whole
    }

    /// [`Self::look_up`] of what is not remembered; what there is to remember, if it can be, and whether all
    /// could be read.
    #[inline(always)]
    fn look_up_anew(
        &self,
        name: NameRef<'_>,
        each: &mut impl FnMut(Hit),
    ) -> (Option<Finding>, bool) {
        let (filter, _) = self.part(Part::Filter).as_chunks();
        let wire = name.as_wire();
        // Where each label begins, from left to right.
        let mut begins = [0_u8; 128];
        let mut labels = 0;
        let mut at = 0;
        while let Some(length) = wire.get(at).filter(|length| **length > 0)
            && let Some(place) = begins.get_mut(labels)
        {
            // A name has at most 255 octets.
            *place = at as u8;
            at += 1 + usize::from(*length);
            labels += 1;
        }
        let begins = begins.get(..labels).unwrap_or_default();
        let left_out = labels.saturating_sub(self.header.most_labels.into());
        let maybe = filter::ask(
            filter,
            wire,
            begins.get(left_out..).unwrap_or_default(),
            at,
            self.header.fewest_labels.into(),
        );
        let mut finding = Finding::default();
        let (mut is_all, mut is_whole) = (true, true);
        if maybe != 0 {
            let unread = self.unread();
            self.look_up_exactly(name, begins, maybe, |found| {
                is_all &= finding.add(found);
                self.tell(found, each);
            });
            // What could not be read now may be next time. What another thread could not read meanwhile
            // counts too, of a name that may be listed: it is doubt.
            is_whole = self.unread() == unread;
            is_all &= is_whole;
        }
        if let Some(root) = self.header.root.checked_sub(1) {
            let found = Found {
                place: root as usize,
                count: 0,
                itself: labels == 0,
            };
            is_all &= finding.add(found);
            self.tell(found, each);
        }
        // What patterns and sealed lists say stands in no set.
        let mut each = |hit| {
            is_all = false;
            each(hit);
        };
        if !self.patterns.is_empty() {
            self.look_up_patterns(name, labels, &mut each);
        }
        if !self.sealed.is_empty() {
            self.look_up_sealed(name, &mut each);
        }
        (is_all.then_some(finding), is_whole)
    }

    /// Looks for the parents of a name whose bits are set; `begins` is where its labels begin.
    #[inline(never)]
    fn look_up_exactly(
        &self,
        name: NameRef<'_>,
        begins: &[u8],
        mut maybe: u128,
        mut each: impl FnMut(Found),
    ) {
        let Some(dictionary) = self.dictionary() else {
            return;
        };
        let mut spelled = Spelled::new();
        if spelled.spell(name).is_none() {
            return;
        }
        let Some(top) = dictionary.find_top(spelled.top) else {
            return;
        };
        while maybe != 0 {
            let count = maybe.ilog2() as usize;
            maybe &= !(1 << count);
            let place = begins.len().checked_sub(count);
            let Some(begin) = place.and_then(|place| begins.get(place)) else {
                continue;
            };
            let found =
                spelled.with_row(usize::from(*begin), |wanted| dictionary.find(&top, wanted));
            if let Some(place) = found.flatten().and_then(|set| self.set_place(set)) {
                let itself = count == begins.len();
                each(Found {
                    place,
                    count,
                    itself,
                });
            }
        }
    }

    /// Tells what a set says about a name.
    fn tell(&self, found: Found, each: &mut impl FnMut(Hit)) {
        let Found {
            place,
            count,
            itself,
        } = found;
        for (posting, rule) in SetReader::new(self.part(Part::Sets), place) {
            let matches = match posting.reach {
                Reach::Subtree => true,
                Reach::Exact => itself,
                Reach::Below => !itself,
            };
            if matches && usize::from(posting.list.0) < self.lists.len() {
                each(Hit {
                    list: posting.list,
                    reach: posting.reach,
                    effect: posting.effect,
                    // At most 127.
                    labels: count as u8,
                    important: posting.important,
                    rule: rule.map(RuleId),
                    by: Matcher::Name,
                });
            }
        }
    }

    /// Calls `each` for every name with its postings, in canonical order. Where names cannot be read, those
    /// behind them below the same top-level label are left out, and [`Self::unread`] rises.
    pub fn walk(&self, mut each: impl FnMut(NameRef<'_>, &[Posting<'_>])) {
        /// Names after which what was read of the file is let go: some half a megabyte.
        const STRETCH: u32 = 1 << 16;
        let sets = self.part(Part::Sets);
        let mut postings = Vec::new();
        let mut told = 0_u32;
        let mut tell = |name: NameRef<'_>, place: usize| {
            told = told.wrapping_add(1);
            if told.is_multiple_of(STRETCH) {
                self.octets.let_go(0, self.octets.len());
            }
            postings.clear();
            let known = SetReader::new(sets, place).map(|(posting, _)| posting);
            postings.extend(known.filter(|it| usize::from(it.list.0) < self.lists.len()));
            each(name, &postings);
        };
        if let Some(root) = self.header.root.checked_sub(1) {
            tell(NameRef::ROOT, root as usize);
        }
        let Some(dictionary) = self.dictionary() else {
            return;
        };
        let mut wire = [0; MAX_NAME];
        for top in (0..self.header.tops as usize).map_while(|number| dictionary.top(number)) {
            dictionary.walk(&top, |row, set| {
                let length = alphabet::to_wire(top.label, row, &mut wire);
                let name = length.and_then(|length| NameRef::from_wire(wire.get(..length)?).ok());
                if let (Some(name), Some(place)) = (name, self.set_place(set)) {
                    tell(name, place);
                }
            });
        }
    }

    /// What is known of a list.
    ///
    /// # Panics
    /// When `list` comes from another index with more lists.
    pub fn list(&self, list: ListId) -> &ListInfo {
        &self.lists[usize::from(list.0)]
    }

    /// All lists, in the order of their ids; those that could not be loaded too.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = (ListId, &ListInfo)> {
        // `IndexWriter` takes no more than 65,535.
        let ids = (0..=u16::MAX).map(ListId);
        self.lists.iter().zip(ids).map(|(info, id)| (id, info))
    }

    /// The list with this id in the configuration. Services have ids of their own: a list may be
    /// called like one.
    pub fn find(&self, id: &str) -> Option<ListId> {
        self.find_where(|info| info.service.is_none() && info.id == id)
    }

    /// The list of the service with this id.
    pub fn find_service(&self, id: &str) -> Option<ListId> {
        self.find_where(|info| info.service.is_some() && info.id == id)
    }

    /// The list that was compiled from `spec`.
    pub fn find_spec(&self, spec: &ListSpec) -> Option<ListId> {
        match spec.is_service() {
            true => self.find_service(&spec.id),
            false => self.find(&spec.id),
        }
    }

    fn find_where(&self, is_it: impl Fn(&ListInfo) -> bool) -> Option<ListId> {
        self.lists()
            .find_map(|(list, info)| is_it(info).then_some(list))
    }

    /// How many different names are listed.
    pub fn name_count(&self) -> usize {
        usize::try_from(self.header.names).unwrap_or(usize::MAX)
    }

    /// Octets of the whole file.
    pub fn file_bytes(&self) -> u64 {
        self.octets.len() as u64
    }

    /// The file, if it is searched in one: also after another took its place.
    pub const fn file(&self) -> Option<&DiskFile> {
        self.octets.file()
    }

    /// How many times names were looked for where the file could not be read; what is said of them there
    /// was not found.
    #[inline]
    pub fn unread(&self) -> u64 {
        self.unread.times()
    }

    /// What is wrong with the file, and which it is, where names in it could not be read.
    pub fn trouble(&self) -> Option<FileError> {
        (self.unread() > 0).then(|| FileError {
            path: self
                .octets
                .path()
                .map(Path::to_path_buf)
                .unwrap_or_default(),
            doing: "cannot read",
            source: self.unread.error(),
        })
    }

    /// Octets in memory beside the file: the codes, some separators, some top-level labels. What is
    /// known of the lists is not counted.
    pub fn memory_bytes(&self) -> usize {
        let model = self.model.as_ref().map_or(0, |model| model.memory_bytes());
        let tables = size_of_val(&*self.strides) + size_of_val(&*self.likely_tops);
        size_of::<Self>() + model + tables + Remembered::memory_bytes()
    }

    /// What tells this compilation from another, as it was given.
    pub const fn recipe(&self) -> &[u8; 32] {
        &self.header.recipe
    }

    /// The patterns, as they were given.
    pub fn patterns_section(&self) -> &[u8] {
        self.part(Part::Patterns)
    }

    /// The address prefixes, as they were given.
    pub fn addresses_section(&self) -> &[u8] {
        self.part(Part::Addresses)
    }

    /// The fingerprints, as they were given.
    pub fn sealed_section(&self) -> &[u8] {
        self.part(Part::Sealed)
    }

    /// The octets of a part.
    #[inline]
    fn part(&self, part: Part) -> &[u8] {
        let range = self.parts[part as usize].clone();
        self.octets.get(range).unwrap_or_default()
    }

    /// The blocks of names: read, where there is a file, else in memory.
    #[inline]
    fn blocks(&self) -> Blocks<'_> {
        let range = &self.parts[Part::Names as usize];
        let place = match self.octets.file() {
            Some(file) => Place::File {
                file,
                begin: range.start,
                unread: &self.unread,
            },
            None => Place::Memory(self.part(Part::Names)),
        };
        Blocks {
            length: range.len(),
            place,
        }
    }

    /// The names.
    fn dictionary(&self) -> Option<Dictionary<'_>> {
        let tops = self.part(Part::Tops);
        let count = self.header.tops as usize;
        let (top_keys, rest) = tops.split_at_checked(count * 8)?;
        let (top_places, _) = rest.split_at_checked(count * 4)?;
        Some(Dictionary {
            top_keys: top_keys.as_chunks().0,
            top_places: top_places.as_chunks().0,
            tops,
            separators: self.part(Part::Separators).as_chunks().0,
            strides: &self.strides,
            likely_tops: &self.likely_tops,
            names: self.blocks(),
            model: self.model.as_deref()?,
            block_bits: self.header.block_bits,
            group_bits: self.header.group_bits,
        })
    }

    /// Where a set stands.
    fn set_place(&self, set: SetCode) -> Option<usize> {
        match set {
            SetCode::Number(number) if number < self.header.sets => {
                let places = self.part(Part::Sets);
                let place = places.get(number as usize * 4..)?.first_chunk()?;
                Some(u32::from_le_bytes(*place) as usize)
            }
            SetCode::Number(_) => None,
            SetCode::At(place) => Some(place as usize),
        }
    }
}

/// The largest block that is read, as a power of two.
const MAX_BLOCK_BITS: u8 = 10;

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("lists", &self.lists.len())
            .field("names", &self.header.names)
            .field("octets", &self.octets)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Effect, Entry, IndexBuilder, ListKind};
    use crate::name::Name;
    use crate::verdict::Tier;
    use twox_hash::XxHash3_64;

    /// The octets of an index of these names.
    fn octets(names: &[Name]) -> Vec<u8> {
        octets_of("a", names)
    }

    /// The same, with this id of their list.
    fn octets_of(list: &'static str, names: &[Name]) -> Vec<u8> {
        let mut builder = IndexBuilder::new();
        let info = ListInfo::new(list, "ads", ListKind::Block, Tier::Lists);
        let entry = |name: &Name| Entry {
            name: name.clone(),
            reach: Reach::Subtree,
            effect: Effect::Listed,
            modifiers: None,
        };
        let entries = names.iter().map(|name| (1, entry(name)));
        builder.add_list(info, entries).unwrap();
        builder.build().octets.to_vec()
    }

    impl Index {
        /// An index of these names on one list, none of which can be read any more.
        pub(crate) fn broken(list: &'static str, names: &[&str]) -> Self {
            let names: Vec<Name> = names.iter().map(|it| Name::parse(it).unwrap()).collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), octets_of(list, &names)).unwrap();
            let mut index = Self::open(&Files::disk(), file.path()).unwrap();
            if let Octets::Mapped { file, .. } = &mut index.octets {
                *file = tempfile::tempfile().unwrap();
            }
            index
        }
    }

    /// The same octets with checksums that are right.
    fn sealed(mut octets: Vec<u8>) -> Vec<u8> {
        let (header, body) = octets.split_at_mut(HEADER);
        header[24..32].copy_from_slice(&XxHash3_64::oneshot(body).to_le_bytes());
        let (covered, checksum) = header.split_at_mut(HEADER - 8);
        checksum.copy_from_slice(&XxHash3_64::oneshot(covered).to_le_bytes());
        octets
    }

    #[test]
    fn a_broken_index_is_told_of() {
        let index = Index::broken("a", &["example.test"]);
        let name = Name::parse("example.test").unwrap();
        index.look_up(name.as_ref(), |_| panic!("it cannot be read"));
        assert_eq!(index.unread(), 1);
        assert!(index.trouble().is_some());
        let read = |name: &str| index.look_up(Name::parse(name).unwrap().as_ref(), |_| ());
        assert!(!read("example.test") && !read("www.example.test"));
        assert!(read("example.org"), "the filter knows that nobody lists it");
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_not_asked_for_again() {
        let names = ["ads.example.org", "example.test"].map(|it| Name::parse(it).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), octets(&names)).unwrap();
        let mut index = Index::open(&Files::disk(), file.path()).unwrap();
        let hits = |index: &Index, name: &str| {
            let mut hits = 0;
            index.look_up(Name::parse(name).unwrap().as_ref(), |_| hits += 1);
            hits
        };
        assert_eq!(hits(&index, "example.test"), 1);
        assert_eq!(index.unread(), 0);
        let gone = tempfile::tempfile().unwrap();
        let swap = |index: &mut Index, other: DiskFile| match &mut index.octets {
            Octets::Mapped { file, .. } => std::mem::replace(file, other),
            Octets::Owned(_) => panic!("it is in a file"),
        };
        let there = swap(&mut index, gone);
        for unread in 1..4 {
            assert_eq!(hits(&index, "www.ads.example.org"), 0);
            assert_eq!(index.unread(), unread);
        }
        // What was found before is remembered.
        assert_eq!(hits(&index, "example.test"), 1);
        let trouble = index.trouble().unwrap();
        assert_eq!(trouble.path, file.path());
        assert_eq!(trouble.source.kind(), std::io::ErrorKind::UnexpectedEof);
        // The disk is not asked again for what it could not say.
        let gone = swap(&mut index, there);
        assert_eq!(hits(&index, "www.ads.example.org"), 0);
        assert_eq!(index.unread(), 4);
        let before = index.unread();
        let mut names = 0;
        index.walk(|_, _| names += 1);
        assert_eq!(
            (names, index.unread() - before),
            (1, 1),
            "one below each top"
        );
        drop(gone);
        let anew = Index::open(&Files::disk(), file.path()).unwrap();
        assert_eq!(hits(&anew, "www.ads.example.org"), 1);
        assert!(anew.trouble().is_none());
    }

    #[test]
    fn octets_that_make_no_sense_harm_nobody() {
        let names: Vec<Name> = (0..3_000_u32)
            .map(|n| {
                let text = format!(
                    "n{}.some-host{}.example{}.{}",
                    n % 7,
                    n,
                    n / 9,
                    ["com", "org"][n as usize % 2]
                );
                Name::parse(&text).unwrap()
            })
            .collect();
        let whole = octets(&names);
        assert_eq!(sealed(whole.clone()), whole);
        let mut next = 1_u32;
        let mut random = || {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (next >> 8) as usize
        };
        let (mut opened, mut hits) = (0, 0);
        for _ in 0..300 {
            let mut octets = whole.clone();
            for _ in 0..1 + random() % 30 {
                // Behind the header, or what that says of the sizes of blocks.
                let place = match random() % 8 {
                    0 => 96 + random() % 4,
                    _ => HEADER + random() % (whole.len() - HEADER),
                };
                octets[place] = random() as u8;
            }
            let Ok(index) = Index::from_bytes(sealed(octets)) else {
                continue;
            };
            opened += 1;
            for name in names.iter().step_by(13) {
                index.look_up(name.as_ref(), |_| hits += 1);
            }
            index.walk(|_, _| ());
        }
        assert!(opened > 30, "{opened}");
        assert!(hits > opened * 100, "{hits}");
    }
}
