//! The second half of writing an index: the working files become the file.

use std::io::{self, Read, Seek, SeekFrom, Write};

use twox_hash::XxHash3_64;

use super::alphabet::{key, short_key};
use super::bits::BitWriter;
use super::dictionary::{PREFIX_BITS, SHORT_KEY_BITS, Separator, WIDTH_BITS, top_key};
use super::fault::WriteError;
use super::layout::{ALIGNMENT, HEADER, Header, Part};
use super::meta;
use super::model::{Model, ModelEncoder, Occurrences, SetCode};
use super::record::{Record, Records};
use super::sets::SetCount;
use super::slices::Slices;
use super::spool::{Spool, Spooled};
use super::write::{
    BLOCK_BITS, Contents, GROUP_BITS, IndexWriter, MakeScratch, Neighbour, Role, Section, Totals,
    begins_block, common_prefix, rest,
};
use crate::name::MAX_LABEL;

/// What of the memory is for other things than the filter.
const ELSEWHERE: usize = 2 << 20;
/// The least octets of the filter that are in memory at a time.
const LEAST_SLICE: usize = 1 << 18;

/// Writes the index.
pub(super) fn finish(
    mut writer: IndexWriter,
    contents: Contents<'_>,
    scratch: MakeScratch<'_>,
    out: &mut (impl Write + Seek + ?Sized),
) -> Result<Totals, WriteError> {
    writer.end_top()?;
    let IndexWriter {
        memory,
        names,
        mut separators,
        tops,
        sample,
        shared,
        sets,
        plain_names,
        repeated_sets,
        lone_sets,
        tally,
        root,
        ..
    } = writer;
    let lists = contents.lists.len();
    if lists > usize::from(u16::MAX) {
        return Err(WriteError::TooManyLists(lists));
    }
    if tally.lists > lists {
        return Err(WriteError::List {
            list: (tally.lists - 1) as u16,
            count: lists,
        });
    }
    let too_large = |what| move |_| WriteError::TooLarge(what);
    let (sets, numbers) = sets.finish();
    let numbered = NumberedSets::new(&sets, numbers)?;
    let mut header = Header {
        recipe: contents.recipe,
        names: tally.names,
        // At most 65,535, by the check above.
        lists: lists as u32,
        tops: u32::try_from(tally.tops).map_err(too_large("top-level labels"))?,
        blocks: u32::try_from(tally.blocks).map_err(too_large("blocks of names"))?,
        // At most twice the sets of a room.
        sets: sets.len() as u32,
        fewest_labels: tally.fewest_labels,
        most_labels: tally.most_labels,
        block_bits: BLOCK_BITS,
        group_bits: GROUP_BITS,
        ..Header::default()
    };
    let mut output = Output::new(out)?;

    let saved = meta::write(contents.lists).map_err(|error| WriteError::Output(error.into()))?;
    output.part(&mut header, Part::Lists, |output| output.put(&saved))?;

    let mut names = names.finish()?;
    let model = (tally.tops > 0).then(|| {
        let mut counts = Occurrences::new(plain_names, repeated_sets, lone_sets);
        for (number, (_, count)) in (0..).zip(&sets) {
            counts.add(number, *count);
        }
        Model::fit(&sample, &shared, &counts)
    });
    // Before the filter takes its room.
    drop(sample);
    let slice = memory.saturating_sub(ELSEWHERE).max(LEAST_SLICE);
    let mut filter = Slices::new(tally.names, slice, scratch)?;
    let mut lone_octets = 0;
    if let Some(model) = &model {
        // At most `MAX_TOKENS`.
        header.pairs = model.pairs.len() as u32;
        let codes = model.to_bytes();
        output.part(&mut header, Part::Codes, |output| output.put(&codes))?;
        let encoder = ModelEncoder::new(model, sets.len());
        output.part(&mut header, Part::Names, |output| {
            let mut records = Records::new(&mut names, lone_sets == 0)?;
            let mut blocks = Blocks::new(&encoder, &numbered, &mut separators);
            while let Some(record) = records.next()? {
                filter.put(&record)?;
                blocks.put(&record, output)?;
            }
            blocks.end(output)?;
            lone_octets = blocks.lone_octets;
            Ok(())
        })?;
    }

    output.part(&mut header, Part::Filter, |output| {
        filter.finish(|octets| output.put(octets))
    })?;

    let mut tops = tops.finish()?;
    output.part(&mut header, Part::Tops, |output| {
        put_tops(&mut tops, tally.tops, output)
    })?;
    let mut separators = separators.finish()?;
    output.part(&mut header, Part::Separators, |output| {
        put_separators(&mut separators, tally.blocks, output)
    })?;

    output.part(&mut header, Part::Sets, |output| {
        for place in &numbered.places {
            output.put(&place.to_le_bytes())?;
        }
        for (set, _) in &sets {
            output.put(set)?;
        }
        if lone_sets > 0 {
            let mut records = Records::new(&mut names, true)?;
            while let Some(record) = records.next()? {
                if let Err(set) = record.set {
                    output.put(set)?;
                }
            }
        }
        output.put(root.as_deref().unwrap_or_default())
    })?;
    if root.is_some() {
        let place = numbered.end + lone_octets + 1;
        header.root = u32::try_from(place).map_err(too_large("sets of postings"))?;
    }

    let sections = [
        (Part::Patterns, "patterns", contents.patterns),
        (Part::Addresses, "addresses", contents.addresses),
        (Part::Sealed, "fingerprints", contents.sealed),
    ];
    for (part, name, section) in sections {
        output.part(&mut header, part, |output| output.copy(section, name))?;
    }
    output.finish(&mut header)?;
    let mut totals = Totals {
        names: tally.names,
        sets: sets.len() as u64,
        bytes: header.length,
        ..Totals::default()
    };
    for part in Part::ALL {
        totals.set(part, header.parts[part as usize].1);
    }
    Ok(totals)
}

/// The sets that have a number, and where they will stand.
struct NumberedSets {
    /// The final number of each that was given.
    finals: Vec<u32>,
    /// Where each stands, by its final number.
    places: Vec<u32>,
    /// Where the last one ends.
    end: u64,
}

impl NumberedSets {
    fn new(sets: &[(Box<[u8]>, SetCount)], finals: Vec<u32>) -> Result<Self, WriteError> {
        let mut end = 4 * sets.len() as u64;
        let mut places = Vec::with_capacity(sets.len());
        for (set, _) in sets {
            let place = u32::try_from(end).map_err(|_| WriteError::TooLarge("sets of postings"))?;
            places.push(place);
            end += set.len() as u64;
        }
        Ok(Self {
            finals,
            places,
            end,
        })
    }
}

/// Writes blocks of names.
struct Blocks<'a> {
    encoder: &'a ModelEncoder<'a>,
    sets: &'a NumberedSets,
    separators: &'a mut Spool,
    /// The heads of the block that is being written, and their groups.
    heads: Vec<Vec<u8>>,
    groups: Vec<Group>,
    /// Number of the next name below its top.
    place: u64,
    name: Neighbour,
    /// The set of the name before.
    last_set: Option<u32>,
    /// Octets of the sets without a number so far.
    lone_octets: u64,
    /// Where the next block begins.
    at: u64,
}

/// Names of a group.
struct Group {
    /// The set of the head.
    set: SetCode,
    /// The other names without their tokens.
    others: BitWriter,
    /// The tokens of the other names.
    tokens: Vec<u16>,
}

impl<'a> Blocks<'a> {
    fn new(
        encoder: &'a ModelEncoder<'a>,
        sets: &'a NumberedSets,
        separators: &'a mut Spool,
    ) -> Self {
        Self {
            encoder,
            sets,
            separators,
            heads: Vec::new(),
            groups: Vec::new(),
            place: 0,
            name: Neighbour::default(),
            last_set: None,
            lone_octets: 0,
            at: 0,
        }
    }

    /// Takes the next name.
    fn put<W: Write + Seek + ?Sized>(
        &mut self,
        record: &Record<'_>,
        output: &mut Output<'_, W>,
    ) -> Result<(), WriteError> {
        if record.is_new_top {
            self.place = 0;
        }
        let role = Role::of(self.place);
        if begins_block(self.place) {
            self.end(output)?;
        }
        self.place += 1;
        let is_repeated = record
            .set
            .ok()
            .is_some_and(|given| self.last_set == Some(given));
        let set = match record.set {
            Ok(given) => {
                let number = self.sets.finals.get(given as usize);
                SetCode::Number(number.copied().unwrap_or_default())
            }
            Err(set) => {
                let place = u32::try_from(self.sets.end + self.lone_octets)
                    .map_err(|_| WriteError::TooLarge("sets of postings"))?;
                self.lone_octets += set.len() as u64;
                SetCode::At(place)
            }
        };
        self.last_set = record.set.ok();
        let mut shared = 0;
        if role == Role::Head {
            self.heads.push(record.row.to_vec());
            self.groups.push(Group {
                set,
                others: BitWriter::default(),
                tokens: Vec::new(),
            });
        } else if let Some(group) = self.groups.last_mut() {
            let code;
            (shared, code) = self.name.shared(record.row);
            let tokens = self.encoder.tokens(rest(record.row, shared));
            self.encoder.put_shared(code, shared, &mut group.others);
            self.encoder
                .put_plain_set(set, is_repeated, &mut group.others);
            self.encoder.put_count(tokens.len(), &mut group.others);
            group.tokens.extend(tokens);
        }
        self.name.advance(record.row, shared);
        Ok(())
    }

    /// Writes the block.
    fn end<W: Write + Seek + ?Sized>(
        &mut self,
        output: &mut Output<'_, W>,
    ) -> Result<(), WriteError> {
        let Some(first) = self.heads.first() else {
            return Ok(());
        };
        let begin = u32::try_from(self.at).map_err(|_| WriteError::TooLarge("names"))?;
        self.separators.put(&key(first).to_le_bytes())?;
        self.separators.put(&begin.to_le_bytes())?;

        let prefix = common_prefix(&self.heads);
        let mut body = BitWriter::default();
        let mut offsets = Vec::new();
        for (head, group) in self.heads.iter().zip(&self.groups) {
            let tokens = self.encoder.tokens(rest(head, prefix));
            for token in tokens.iter().chain(&group.tokens).rev() {
                self.encoder.put_token(*token, &mut body);
            }
            // A block has some 300,000 bits at most.
            offsets.push(body.len() as u32);
            self.encoder.put_set(group.set, &mut body);
            self.encoder.put_count(tokens.len(), &mut body);
            body.append(&group.others);
        }
        let width = u32::BITS - offsets.last().map_or(32, |last| last.leading_zeros());
        let mut block = BitWriter::default();
        block.put(prefix as u32, PREFIX_BITS);
        block.put(width, WIDTH_BITS);
        for head in self.heads.iter().skip(1) {
            block.put(short_key(head, prefix).into(), SHORT_KEY_BITS);
        }
        for offset in &offsets {
            block.put(*offset, width);
        }
        block.append(&body);
        let block = block.align();
        self.at += block.len() as u64;
        self.heads.clear();
        self.groups.clear();
        output.put(block)
    }
}

/// Writes how each top begins, where each stands, then the tops.
fn put_tops<W: Write + Seek + ?Sized>(
    tops: &mut Spooled,
    count: u64,
    output: &mut Output<'_, W>,
) -> Result<(), WriteError> {
    const FIXED: usize = 9;
    let mut place = 12 * count;
    let mut entry = [0; FIXED + MAX_LABEL];
    for column in 0..3 {
        let mut reader = tops.read()?;
        for _ in 0..count {
            let (fixed, label) = entry.split_at_mut(FIXED);
            reader.take(fixed)?;
            let length = usize::from(fixed[FIXED - 1]).min(MAX_LABEL);
            let label = label.get_mut(..length).unwrap_or_default();
            reader.take(label)?;
            match column {
                0 => output.put(&top_key(label).to_be_bytes())?,
                1 => {
                    let at = u32::try_from(place);
                    let at = at.map_err(|_| WriteError::TooLarge("top-level labels"))?;
                    output.put(&at.to_le_bytes())?;
                    place += (FIXED + length) as u64;
                }
                _ => output.put(entry.get(..FIXED + length).unwrap_or_default())?,
            }
        }
    }
    Ok(())
}

/// Writes the separators of all blocks.
fn put_separators<W: Write + Seek + ?Sized>(
    separators: &mut Spooled,
    count: u64,
    output: &mut Output<'_, W>,
) -> Result<(), WriteError> {
    let mut reader = separators.read()?;
    let mut separator: Separator = [0; _];
    for _ in 0..count {
        reader.take(&mut separator)?;
        output.put(&separator)?;
    }
    Ok(())
}

/// The file, part by part.
struct Output<'a, W: Write + ?Sized> {
    out: io::BufWriter<&'a mut W>,
    /// Where the file begins in `out`.
    begin: u64,
    /// Octets so far.
    length: u64,
    checksum: XxHash3_64,
}

impl<'a, W: Write + Seek + ?Sized> Output<'a, W> {
    fn new(out: &'a mut W) -> Result<Self, WriteError> {
        let begin = out.stream_position().map_err(WriteError::Output)?;
        let mut out = io::BufWriter::with_capacity(1 << 15, out);
        // The header is known at the end.
        out.write_all(&[0; HEADER]).map_err(WriteError::Output)?;
        Ok(Self {
            out,
            begin,
            length: HEADER as u64,
            checksum: XxHash3_64::with_seed(0),
        })
    }

    /// Writes a part and where it stands.
    fn part(
        &mut self,
        header: &mut Header,
        part: Part,
        write: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let gap = self.length.next_multiple_of(ALIGNMENT) - self.length;
        self.put(
            [0; ALIGNMENT as usize]
                .get(..gap as usize)
                .unwrap_or_default(),
        )?;
        let begin = self.length;
        write(self)?;
        header.parts[part as usize] = (begin, self.length - begin);
        Ok(())
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        use std::hash::Hasher;
        self.checksum.write(octets);
        self.length += octets.len() as u64;
        self.out.write_all(octets).map_err(WriteError::Output)
    }

    /// Copies a section of somebody else.
    fn copy(&mut self, mut section: Section<'_>, part: &'static str) -> Result<(), WriteError> {
        let failed = |source| WriteError::Section { part, source };
        let mut left = section.length;
        let mut buffer = [0; 4096];
        // One octet more than there should be would be read too.
        loop {
            let room = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
            let room = buffer.get_mut(..room.min(4096)).unwrap_or_default();
            let count = match section.bytes.read(room) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            if count == 0 && left == 0 {
                return Ok(());
            }
            if count == 0 || count as u64 > left {
                return Err(failed(io::Error::other("not as long as was said")));
            }
            left -= count as u64;
            self.put(buffer.get(..count).unwrap_or_default())?;
        }
    }

    /// Writes the header.
    fn finish(mut self, header: &mut Header) -> Result<(), WriteError> {
        use std::hash::Hasher;
        header.length = self.length;
        header.checksum = self.checksum.finish();
        let mut write = || {
            let end = self.begin + self.length;
            self.out.seek(SeekFrom::Start(self.begin))?;
            self.out.write_all(&header.to_bytes())?;
            self.out.seek(SeekFrom::Start(end))?;
            self.out.flush()
        };
        write().map_err(WriteError::Output)
    }
}
