//! What stands between the items of lists and the index: sorting, folding, writing.

use std::io::{Seek, Write};

use super::beside::{Beside, scratch};
use super::fold::Folder;
use super::group::{Grouped, MOST_SAID, group};
use super::read::leave_out;
use super::record::{self, Flags};
use super::run::Workshop;
use super::sort::{Room, Sorter};
use super::{CompileError, Outcome};
use crate::lists::index::{Contents, IndexWriter, ListId, Section, WriteError};
use crate::lists::{Entry, ListInfo, ListKind, Posting, Reach, modifiers};
use crate::name::NameRef;
use crate::verdict::Tier;

/// Takes what all lists say and writes the index.
pub(super) struct Pipeline {
    workshop: Option<Workshop>,
    sorter: Sorter,
    pub(super) beside: Beside,
    /// Octets of memory for the writer of the index.
    writer: usize,
    lists: Vec<ListInfo>,
    states: Vec<State>,
}

/// Which records of a list count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// None: it could not be loaded.
    Empty,
    /// Those of its source.
    Fresh,
    /// Those of the index before.
    Kept,
}

impl Pipeline {
    /// Without any list. Of `buffers` octets of memory two thirds are for sorting, the rest is for
    /// writing; without a workshop everything is in memory anyway.
    pub(super) fn new(workshop: Option<Workshop>, buffers: usize) -> Self {
        let (writer, room) = match workshop {
            Some(_) => (buffers / 3, Room::of(buffers - buffers / 3)),
            None => (usize::MAX, Room::UNBOUNDED),
        };
        Self {
            sorter: Sorter::new(workshop.clone(), room),
            beside: Beside::new(workshop.clone()),
            workshop,
            writer,
            lists: Vec::new(),
            states: Vec::new(),
        }
    }

    /// Adds a list, none of whose records count yet.
    pub(super) fn add_list(&mut self, info: ListInfo) -> Result<ListId, CompileError> {
        let list = u16::try_from(self.lists.len()).ok();
        let list = list.filter(|list| *list < u16::MAX).map(ListId);
        if let Some(list) = list.filter(|_| info.tier != Tier::Lists) {
            self.beside.put_first(list);
        }
        self.lists.push(info);
        self.states.push(State::Empty);
        list.ok_or(CompileError::TooManyLists)
    }

    /// What is known of a list, to be completed.
    pub(super) fn list(&mut self, list: ListId) -> Option<&mut ListInfo> {
        self.lists.get_mut(usize::from(list.0))
    }

    /// Says which records of a list count.
    pub(super) fn settle(&mut self, list: ListId, state: State) {
        if let Some(place) = self.states.get_mut(usize::from(list.0)) {
            *place = state;
        }
    }

    /// Takes what a line of a list says; `reach` is what is made of the line's own.
    pub(super) fn push(
        &mut self,
        list: ListId,
        entry: &Entry,
        reach: Reach,
    ) -> Result<(), CompileError> {
        let modifiers = entry.modifiers.as_deref();
        let encoded = modifiers.map(modifiers::encode).unwrap_or_default();
        let flags = Flags {
            reach,
            effect: entry.effect,
            important: modifiers.is_some_and(|it| it.important),
            modified: !encoded.is_empty(),
            badfilter: modifiers.is_some_and(|it| it.badfilter),
            kept: false,
        };
        self.push_record(list, entry.name.as_ref(), flags, &encoded)
    }

    /// Takes what the index before says for a list.
    pub(super) fn push_kept(
        &mut self,
        list: ListId,
        name: NameRef<'_>,
        posting: &Posting<'_>,
    ) -> Result<(), CompileError> {
        let flags = Flags {
            reach: posting.reach,
            effect: posting.effect,
            important: posting.important,
            modified: posting.modifiers.is_some(),
            badfilter: false,
            kept: true,
        };
        self.push_record(list, name, flags, posting.modifiers.unwrap_or_default())
    }

    fn push_record(
        &mut self,
        list: ListId,
        name: NameRef<'_>,
        flags: Flags,
        modifiers: &[u8],
    ) -> Result<(), CompileError> {
        // Names of lists come from `Name::parse`, so that all of them have a record.
        self.sorter
            .push(|into| record::write(name, list, flags, modifiers, into))
            .map(|_| ())
    }

    /// Writes the index to `out`; `recipe` is what tells it from others, of lists that were read.
    /// `tick` hears how many of how many records are done.
    pub(super) fn write(
        self,
        recipe: impl FnOnce(&[ListInfo]) -> [u8; 32],
        out: &mut (impl Write + Seek + ?Sized),
        tick: &mut dyn FnMut(u64, u64) -> Result<(), CompileError>,
    ) -> Result<Outcome, CompileError> {
        let Self {
            workshop,
            sorter,
            beside,
            writer,
            mut lists,
            states,
        } = self;
        let mut sorted = sorter.finish()?;
        let total = sorted.len();
        let failed = |error| write_failed(error, workshop.as_ref());
        let mut scratch = || scratch(workshop.as_ref());
        let mut writer = IndexWriter::new(&mut scratch, writer).map_err(failed)?;
        let kinds: Vec<ListKind> = lists.iter().map(|info| info.kind).collect();
        let folder = Folder::new(kinds, beside.whole());
        let mut sections = beside.finish()?;
        let valid = |list: ListId, flags: Flags| {
            let state = states.get(usize::from(list.0)).copied();
            state
                == Some(if flags.kept {
                    State::Kept
                } else {
                    State::Fresh
                })
        };
        let grouped = group(
            &mut sorted,
            valid,
            folder,
            &mut |name, postings| writer.push(name, postings).map_err(failed),
            &mut |done| tick(done, total),
        )?;
        drop(sorted);
        let Grouped {
            mentioned,
            folded,
            lost,
        } = grouped;
        for (list, (count, name)) in lost {
            if let Some(info) = lists.get_mut(usize::from(list.0)) {
                info.entries = info.entries.saturating_sub(count);
                let why =
                    format!("`{name}`: {MOST_SAID} lines of a list about one name are the most");
                leave_out(info, 0, why);
                info.flagged_lines += count - 1;
            }
        }
        let recipe = recipe(&lists);
        let contents = Contents {
            lists: &lists,
            recipe,
            patterns: Section::from(sections.patterns.as_slice()),
            addresses: Section::from(sections.addresses.as_slice()),
            sealed: Section::new(sections.sealed_length, &mut sections.sealed),
        };
        let totals = writer.finish(contents, &mut scratch, out).map_err(failed)?;
        Ok(Outcome {
            lists,
            recipe,
            totals,
            mentioned,
            folded,
            bytes: None,
        })
    }
}

/// The error of the writer, with the folder where it is about working files.
fn write_failed(error: WriteError, workshop: Option<&Workshop>) -> CompileError {
    match (error, workshop) {
        (WriteError::File(error), _) => CompileError::File(error),
        (WriteError::Scratch(source), Some(workshop)) => {
            workshop.failed("cannot use a working file", source).into()
        }
        (error, _) => CompileError::Write(error),
    }
}
