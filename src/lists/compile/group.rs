//! From sorted records to names with what lists say about them.

use std::collections::BTreeMap;

use super::CompileError;
use super::fold::{Folder, Said};
use super::record::{Flags, Record, name_of};
use super::sort::Sorted;
use crate::lists::{ListId, Posting};
use crate::name::NameRef;

/// Takes a name and its postings.
pub(super) type Sink<'s> = dyn FnMut(NameRef<'_>, &[Posting<'_>]) -> Result<(), CompileError> + 's;

/// What became of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grouped {
    /// Different names that lists mention.
    pub(super) mentioned: u64,
    /// Postings left out because their list says the same of a parent.
    pub(super) folded: u64,
    /// Lists that say more of a name than is kept: how often, and of which name first.
    pub(super) lost: BTreeMap<ListId, (u64, String)>,
}

/// Whether a record is one of those that count: the other records of its list were taken back.
pub(super) trait Valid: Fn(ListId, Flags) -> bool {}

impl<F: Fn(ListId, Flags) -> bool> Valid for F {}

/// Gathers the records of each name, applies `badfilter`, leaves out what is said twice or by a
/// parent, and hands the rest to `sink`. `tick` is called now and then with the number of records.
pub(super) fn group(
    sorted: &mut Sorted,
    valid: impl Valid,
    mut folder: Folder,
    sink: &mut Sink<'_>,
    tick: &mut dyn FnMut(u64) -> Result<(), CompileError>,
) -> Result<Grouped, CompileError> {
    let mut gathered = Gathered::default();
    let mut grouped = Grouped::default();
    let mut records = 0_u64;
    while let Some(octets) = sorted.next()? {
        records += 1;
        if records.is_multiple_of(TICK) {
            tick(records)?;
        }
        let Some(record) = Record::parse(octets) else {
            continue;
        };
        if !valid(record.list, record.flags) {
            continue;
        }
        if record.key != gathered.key {
            gathered.hand_out(&mut folder, sink, &mut grouped)?;
            gathered.key.clear();
            gathered.key.extend_from_slice(record.key);
        }
        if !gathered.add(&record) {
            let name = || name_of(record.key).map_or_else(String::new, |it| it.to_string());
            let lost = grouped.lost.entry(record.list);
            lost.or_insert_with(|| (0, name())).0 += 1;
        }
    }
    gathered.hand_out(&mut folder, sink, &mut grouped)?;
    tick(records)?;
    Ok(grouped)
}

/// Records between two calls of `tick`.
const TICK: u64 = 1 << 14;

/// The records of one name.
#[derive(Default)]
struct Gathered {
    key: Vec<u8>,
    held: Vec<Held>,
    /// The modifiers of all.
    modifiers: Vec<u8>,
    said: Vec<Said>,
    drops: Vec<bool>,
}

/// The most that one list may say of one name; what is more is left out. Real lists say a handful.
pub(super) const MOST_SAID: usize = 256;

/// One of them.
#[derive(Clone, Copy)]
struct Held {
    list: ListId,
    flags: Flags,
    /// Where its modifiers stand.
    begin: usize,
    end: usize,
}

impl Gathered {
    /// Adds a record unless it is the last again; false if its list says too much of the name.
    fn add(&mut self, record: &Record<'_>) -> bool {
        if let Some(last) = self.held.last()
            && (last.list, last.flags) == (record.list, record.flags)
            && self.modifiers_of(last) == record.modifiers
        {
            return true;
        }
        // A list that says a thousand things of one name wants to be slow, not to be exact.
        let of_list = self
            .held
            .iter()
            .rev()
            .take_while(|it| it.list == record.list);
        if of_list.take(MOST_SAID).count() == MOST_SAID {
            return false;
        }
        let begin = self.modifiers.len();
        self.modifiers.extend_from_slice(record.modifiers);
        self.held.push(Held {
            list: record.list,
            flags: record.flags,
            begin,
            end: self.modifiers.len(),
        });
        true
    }

    fn modifiers_of(&self, held: &Held) -> &[u8] {
        self.modifiers.get(held.begin..held.end).unwrap_or_default()
    }

    /// Hands out what was gathered, if there is anything left of it, and begins anew.
    fn hand_out(
        &mut self,
        folder: &mut Folder,
        sink: &mut Sink<'_>,
        grouped: &mut Grouped,
    ) -> Result<(), CompileError> {
        if self.held.is_empty() {
            return Ok(());
        }
        grouped.mentioned += 1;
        if self.held.iter().any(|held| held.flags.badfilter) {
            self.apply_badfilter();
        }
        self.said.clear();
        self.said.extend(self.held.iter().map(|held| Said {
            list: held.list,
            reach: held.flags.reach,
            effect: held.flags.effect,
            plain: !held.flags.important && !held.flags.modified,
        }));
        folder.next(&self.key, &self.said, &mut self.drops);
        let mut few = [NONE; 8];
        let mut many = Vec::new();
        let kept = self
            .held
            .iter()
            .zip(&self.drops)
            .filter(|(_, drop)| !**drop);
        let mut count = 0;
        for (held, _) in kept {
            let posting = Posting {
                list: held.list,
                reach: held.flags.reach,
                effect: held.flags.effect,
                important: held.flags.important,
                modifiers: held
                    .flags
                    .modified
                    .then(|| self.modifiers.get(held.begin..held.end))
                    .flatten(),
            };
            match few.get_mut(count) {
                Some(place) => *place = posting,
                None => {
                    if many.is_empty() {
                        many.extend_from_slice(&few);
                    }
                    many.push(posting);
                }
            }
            count += 1;
        }
        grouped.folded += (self.held.len() - count) as u64;
        let postings = if many.is_empty() {
            few.get(..count).unwrap_or_default()
        } else {
            &many
        };
        if !postings.is_empty()
            && let Some(name) = name_of(&self.key)
        {
            sink(name.as_ref(), postings)?;
        }
        self.held.clear();
        self.modifiers.clear();
        Ok(())
    }

    /// Takes out every `badfilter` and what it is the same as but for that word.
    fn apply_badfilter(&mut self) {
        let mut kept = std::mem::take(&mut self.held);
        let filters: Vec<Held> = kept
            .iter()
            .filter(|held| held.flags.badfilter)
            .copied()
            .collect();
        kept.retain(|held| {
            !held.flags.badfilter
                && !filters.iter().any(|filter| {
                    let without = Flags {
                        badfilter: false,
                        ..filter.flags
                    };
                    (filter.list, without) == (held.list, held.flags)
                        && self.modifiers_of(filter) == self.modifiers_of(held)
                })
        });
        self.held = kept;
    }
}

/// Fills places that hold no posting yet.
const NONE: Posting<'static> = Posting {
    list: ListId(0),
    reach: crate::lists::Reach::Subtree,
    effect: crate::lists::Effect::Listed,
    important: false,
    modifiers: None,
};
