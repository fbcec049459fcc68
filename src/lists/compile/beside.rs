//! What lists say beside names: patterns, addresses, fingerprints.

use std::io::{self, BufWriter, Cursor, Read, Seek, SeekFrom, Write};

use super::CompileError;
use super::fold::Side;
use super::run::Workshop;
use crate::files::{FileError, Scratch};
use crate::lists::addresses::{Addresses, AddressesBuilder};
use crate::lists::index::{Index, ListId};
use crate::lists::patterns::{Limits, Patterns, PatternsBuilder};
use crate::lists::sealed::{Sealed, SealedList, SealedWriter};
use crate::lists::{AddressEntry, Effect, Fingerprint, Item, ListKind, Pattern};

/// The sections of the index beside the names, as far as they are known.
pub(super) struct Beside {
    workshop: Option<Workshop>,
    patterns: PatternsBuilder,
    addresses: AddressesBuilder,
    sealed: Vec<(SealedList, Spool)>,
    /// See [`super::fold::Folder::new`].
    whole: Vec<Side>,
    /// What lists said before and there is no room for any more.
    lost: Vec<Lost>,
}

/// What a list says and there is no room for.
pub(super) struct Lost {
    pub(super) list: ListId,
    /// Where, from 1; 0 where nobody knows.
    pub(super) line: u32,
    /// What there is too much of, in words.
    pub(super) why: String,
}

impl Beside {
    /// Nothing yet.
    pub(super) fn new(workshop: Option<Workshop>) -> Self {
        Self {
            workshop,
            patterns: PatternsBuilder::new(Limits::default()),
            addresses: AddressesBuilder::new(),
            sealed: Vec::new(),
            whole: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// What had to make room for what other lists say, or found none, since this was last asked.
    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        let dropped = self.patterns.take_dropped().into_iter();
        let dropped = dropped.map(|it| Lost {
            list: it.list,
            line: it.line,
            why: it.fault.to_string(),
        });
        self.lost.extend(dropped);
        std::mem::take(&mut self.lost)
    }

    /// The sides on which a line stands whose precision is that of the whole name.
    pub(super) fn whole(&self) -> &[Side] {
        &self.whole
    }

    /// Lets the turn of a list be first where there is not room for all.
    pub(super) fn put_first(&mut self, list: ListId) {
        self.patterns.put_first(list);
    }

    /// Takes what a line of a list of this kind says.
    ///
    /// # Errors
    /// Why it cannot be taken, in words.
    pub(super) fn push(
        &mut self,
        list: ListId,
        kind: ListKind,
        line: u32,
        item: &Item,
    ) -> Result<(), String> {
        match item {
            Item::Pattern(pattern) => self.push_pattern(list, kind, line, pattern),
            Item::Address(entry) => {
                let pushed = self.addresses.push(list, entry);
                pushed.map_err(|fault| fault.to_string())
            }
            Item::Name(_) | Item::Sealed(_) => Ok(()),
        }
    }

    fn push_pattern(
        &mut self,
        list: ListId,
        kind: ListKind,
        line: u32,
        pattern: &Pattern,
    ) -> Result<(), String> {
        let pushed = self.patterns.push_line(list, line, pattern);
        pushed.map_err(|fault| fault.to_string())?;
        // An exception of a blocklist is heard where precision decides nothing.
        if (kind, pattern.effect) != (ListKind::Block, Effect::Excepted) {
            self.add_whole(Side::of(kind, pattern.effect));
        }
        Ok(())
    }

    fn add_whole(&mut self, side: Side) {
        if !self.whole.contains(&side) {
            self.whole.push(side);
        }
    }

    /// An empty place for the fingerprints of a list.
    pub(super) fn spool(&self) -> Spool {
        Spool {
            workshop: self.workshop.clone(),
            file: None,
            buffer: Vec::new(),
            trouble: None,
        }
    }

    /// Takes the fingerprints of a list.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn push_sealed(
        &mut self,
        list: SealedList,
        spool: Spool,
    ) -> Result<(), CompileError> {
        self.add_whole(Side::Against);
        self.sealed.push((list, spool.rewind()?));
        Ok(())
    }

    /// The same fingerprints without those that `may_stay` says no to.
    pub(super) fn sift(
        &self,
        spool: Spool,
        mut may_stay: impl FnMut(&Fingerprint) -> bool,
    ) -> Result<Spool, CompileError> {
        let (mut all, mut rest) = (spool.rewind()?, self.spool());
        while let Some(fingerprint) = all.next()? {
            if may_stay(&fingerprint) {
                rest.push(fingerprint);
            }
        }
        Ok(rest)
    }

    /// Notes that what an index said for `list` is left out.
    pub(super) fn lose(&mut self, list: ListId, why: String) {
        self.lost.push(Lost { list, line: 0, why });
    }

    /// Takes over what lists said in the index `before`, where their ids are the first of each
    /// triple. What there is no room for any more is lost, and what `taken` says that no list may
    /// take.
    ///
    /// # Errors
    /// What the disk said, or that nobody wants it any more.
    pub(super) fn keep(
        &mut self,
        before: &Index,
        kept: &[(ListId, ListId, ListKind)],
        taken: &mut dyn FnMut(ListId, &Pattern) -> Option<String>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), CompileError> {
        let now = |list: ListId| {
            let known = kept.iter().find(|(old, _, _)| *old == list).copied();
            known.filter(|_| !cancelled())
        };
        let section = before.patterns_section();
        let patterns = Patterns::open(section).unwrap_or_default();
        patterns.walk(section, |old, pattern| {
            let Some((_, list, kind)) = now(old) else {
                return;
            };
            if let Some(why) = taken(old, &pattern) {
                self.lose(list, why);
            } else if let Err(why) = self.push_pattern(list, kind, 0, &pattern) {
                self.lose(list, why);
            }
        });
        let section = before.addresses_section();
        let addresses = Addresses::open(section).unwrap_or_default();
        addresses.walk(section, |old, entry: AddressEntry| {
            if let Some((_, list, _)) = now(old)
                && let Err(fault) = self.addresses.push(list, &entry)
            {
                self.lose(list, fault.to_string());
            }
        });
        let section = before.sealed_section();
        let sealed = Sealed::open(section).unwrap_or_default();
        for info in sealed.lists() {
            let Some((_, list, _)) = now(info.list) else {
                continue;
            };
            let mut spool = self.spool();
            sealed.walk(section, info.list, |fingerprint| spool.push(fingerprint));
            let list = SealedList {
                list,
                key_id: info.key_id,
                expires: info.expires,
            };
            self.push_sealed(list, spool)?;
        }
        if cancelled() {
            return Err(CompileError::Cancelled);
        }
        Ok(())
    }

    /// Writes the sections.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn finish(self) -> Result<Sections, CompileError> {
        let Self {
            workshop,
            patterns,
            addresses,
            mut sealed,
            ..
        } = self;
        let mut sections = Sections {
            patterns: patterns.finish(),
            addresses: addresses.finish(),
            sealed_length: 0,
            sealed: Box::new(Cursor::new(Vec::new())),
        };
        if sealed.is_empty() {
            return Ok(sections);
        }
        sealed.sort_by_key(|(list, _)| list.list);
        let failed = |source| failed(workshop.as_ref(), source);
        let out = BufWriter::new(scratch(workshop.as_ref())?);
        let lists: Vec<SealedList> = sealed.iter().map(|(list, _)| *list).collect();
        let mut writer = SealedWriter::new(out, lists);
        for (list, mut spool) in sealed {
            while let Some(fingerprint) = spool.next()? {
                writer.push(list.list, fingerprint).map_err(failed)?;
            }
        }
        let (length, out) = writer.finish().map_err(failed)?;
        let mut file = out
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        (sections.sealed_length, sections.sealed) = (length, file);
        Ok(sections)
    }
}

/// The sections of the index beside the names.
pub(super) struct Sections {
    pub(super) patterns: Vec<u8>,
    pub(super) addresses: Vec<u8>,
    /// Octets of the next.
    pub(super) sealed_length: u64,
    /// The section of sealed lists, to be read.
    pub(super) sealed: Box<dyn Scratch>,
}

/// Fingerprints of one list in ascending order, in memory while they are few.
pub(super) struct Spool {
    workshop: Option<Workshop>,
    file: Option<Box<dyn Scratch>>,
    /// What is not in the file yet, or was read from it last.
    buffer: Vec<u8>,
    /// What the disk said.
    trouble: Option<CompileError>,
}

impl Spool {
    /// Octets of a fingerprint.
    const ONE: usize = 10;
    /// Octets that are kept in memory.
    const ROOM: usize = 3000 * Self::ONE;

    /// Takes the next; what the disk says to it is told by [`Self::rewind`].
    pub(super) fn push(&mut self, fingerprint: Fingerprint) {
        if self.trouble.is_some() {
            return;
        }
        if self.buffer.len() >= Self::ROOM && self.workshop.is_some() {
            self.trouble = self.flush().err();
        }
        self.buffer.extend_from_slice(&fingerprint.0);
    }

    fn flush(&mut self) -> Result<(), CompileError> {
        let workshop = self.workshop.as_ref();
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(scratch(workshop)?),
        };
        let written = file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| failed(workshop, source))
    }

    /// Goes back to the first.
    fn rewind(mut self) -> Result<Self, CompileError> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        if self.file.is_some() {
            self.flush()?;
        }
        match &mut self.file {
            Some(file) => {
                let moved = file.seek(SeekFrom::Start(0));
                moved.map_err(|source| failed(self.workshop.as_ref(), source))?;
            }
            // Taken from the end.
            None => {
                let (all, _) = self.buffer.as_chunks_mut::<{ Self::ONE }>();
                all.reverse();
            }
        }
        Ok(self)
    }

    /// The next.
    fn next(&mut self) -> Result<Option<Fingerprint>, CompileError> {
        if self.buffer.is_empty()
            && let Some(file) = &mut self.file
        {
            let read = file.take(Self::ROOM as u64).read_to_end(&mut self.buffer);
            read.map_err(|source| failed(self.workshop.as_ref(), source))?;
            let (all, _) = self.buffer.as_chunks_mut::<{ Self::ONE }>();
            all.reverse();
        }
        let Some((rest, last)) = self.buffer.split_last_chunk() else {
            return Ok(None);
        };
        let fingerprint = Fingerprint(*last);
        self.buffer.truncate(rest.len());
        Ok(Some(fingerprint))
    }
}

/// A working file, in memory where there is no folder for it.
pub(super) fn scratch(workshop: Option<&Workshop>) -> Result<Box<dyn Scratch>, FileError> {
    match workshop {
        Some(workshop) => workshop.files.scratch(&workshop.folder),
        None => Ok(Box::new(Cursor::new(Vec::new()))),
    }
}

/// An error of a working file.
fn failed(workshop: Option<&Workshop>, source: io::Error) -> CompileError {
    match workshop {
        Some(workshop) => workshop.failed("cannot use a working file", source).into(),
        None => CompileError::Write(crate::lists::WriteError::Scratch(source)),
    }
}
