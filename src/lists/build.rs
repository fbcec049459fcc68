//! From entries to an [`Index`], in little more memory than the index itself.

use std::hash::{BuildHasher, RandomState};

use super::index::{
    Index, ListId, MAX_LINE_NUMBER, RECORD, Record, SHARDS, Shard, hash_name, shard_of,
};
use super::{Effect, Entry, ListInfo, Reach};
use crate::name::NameRef;

/// Why a list or an entry cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A [`ListId`] has 16 bits.
    #[error("more than {most} lists", most = MAX_LISTS)]
    TooManyLists,
    /// A shard is addressed with 32 bits.
    #[error("the lists are larger than {most} bytes", most = SHARDS as u64 * MAX_SHARD as u64)]
    TooLarge,
}

/// The most lists of an index.
const MAX_LISTS: usize = u16::MAX as usize;
/// The most octets waiting in a shard.
const MAX_SHARD: usize = u32::MAX as usize;

/// Collects the entries of all lists.
///
/// Entries wait in the shard in which their name will stand, one behind the other: the record of
/// six octets, the length of the name, the name. [`Self::build`] then takes shard after shard,
/// sorts what waits there, writes the final items and lets go of the old ones, so that at no time
/// two copies of everything exist. Waiting shards grow by a quarter, not to the double.
#[derive(Debug)]
pub struct IndexBuilder {
    key: u64,
    lists: Vec<ListInfo>,
    waiting: Vec<Vec<u8>>,
}

impl Default for IndexBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl IndexBuilder {
    /// Without any list.
    pub fn new() -> Self {
        Self {
            // Keyed from the system's randomness; any value will do as a key.
            key: RandomState::new().hash_one(0),
            lists: Vec::new(),
            waiting: vec![Vec::new(); SHARDS],
        }
    }

    /// Adds a list whose entries come one by one.
    ///
    /// # Errors
    /// [`BuildError::TooManyLists`].
    pub fn start_list(&mut self, info: ListInfo) -> Result<ListWriter<'_>, BuildError> {
        if self.lists.len() == MAX_LISTS {
            return Err(BuildError::TooManyLists);
        }
        // Below 65,535, by the check above.
        let list = ListId(self.lists.len() as u16);
        self.lists.push(info);
        Ok(ListWriter {
            marks: self.waiting.iter().map(Vec::len).collect(),
            builder: self,
            list,
            full: false,
        })
    }

    /// Adds a list whose entries, each with its line, are at hand; counts them in its
    /// [`ListInfo::entries`].
    ///
    /// # Errors
    /// [`BuildError`], without any of the entries.
    pub fn add_list(
        &mut self,
        info: ListInfo,
        entries: impl IntoIterator<Item = (u32, Entry)>,
    ) -> Result<ListId, BuildError> {
        let mut writer = self.start_list(info)?;
        let mut count = 0;
        for (line, entry) in entries {
            writer.push(line, &entry);
            count += 1;
        }
        writer.finish(|info| info.entries = count)
    }

    /// The compiled lists.
    pub fn build(self) -> Index {
        let Self {
            key,
            lists,
            waiting,
        } = self;
        let mut counts = Counts::default();
        let shards = waiting
            .into_iter()
            .map(|waiting| compile_shard(key, &waiting, &mut counts))
            .collect();
        Index {
            key,
            lists,
            shards,
            names: counts.names,
            fewest_labels: counts.fewest_labels,
            most_labels: counts.most_labels,
        }
    }
}

/// Takes the entries of one list.
#[derive(Debug)]
pub struct ListWriter<'b> {
    builder: &'b mut IndexBuilder,
    list: ListId,
    /// How much waited in each shard before this list.
    marks: Vec<usize>,
    full: bool,
}

impl ListWriter<'_> {
    /// Takes in an entry and its line.
    pub fn push(&mut self, line: u32, entry: &Entry) {
        self.push_name(entry.name.as_ref(), line, entry.reach, entry.effect);
    }

    /// Takes in an entry by its parts.
    pub fn push_name(&mut self, name: NameRef<'_>, line: u32, reach: Reach, effect: Effect) {
        let wire = name.as_wire();
        let body = wire.get(..wire.len() - 1).unwrap_or_default();
        let shard = shard_of(hash_name(self.builder.key, body));
        let Some(waiting) = self.builder.waiting.get_mut(shard) else {
            return;
        };
        let needed = RECORD + 1 + body.len();
        if waiting.len() + needed > MAX_SHARD {
            self.full = true;
            return;
        }
        if waiting.capacity() - waiting.len() < needed {
            waiting.reserve_exact(needed.max(waiting.len() / 4).max(64));
        }
        let record = Record {
            list: self.list,
            line: line.min(MAX_LINE_NUMBER),
            reach,
            effect,
        };
        waiting.extend_from_slice(&record.to_bytes(false));
        // At most 254, the longest name without its root.
        waiting.push(body.len() as u8);
        waiting.extend_from_slice(body);
    }

    /// Forgets the entries taken in so far.
    pub fn clear(&mut self) {
        for (waiting, mark) in self.builder.waiting.iter_mut().zip(&self.marks) {
            waiting.truncate(*mark);
        }
        self.full = false;
    }

    /// Ends the list; `note` may complete what is known of it.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`]; none of the entries is kept then.
    pub fn finish(self, note: impl FnOnce(&mut ListInfo)) -> Result<ListId, BuildError> {
        if self.full {
            let failed =
                |info: &mut ListInfo| info.failure = Some(BuildError::TooLarge.to_string());
            self.discard(failed);
            return Err(BuildError::TooLarge);
        }
        if let Some(info) = self.builder.lists.last_mut() {
            note(info);
        }
        Ok(self.list)
    }

    /// Ends a list that failed: none of its entries is kept, the list itself is, with what `note`
    /// says of it.
    pub fn discard(mut self, note: impl FnOnce(&mut ListInfo)) -> ListId {
        self.clear();
        if let Some(info) = self.builder.lists.last_mut() {
            note(info);
        }
        self.list
    }
}

/// What [`IndexBuilder::build`] counts on the way.
#[derive(Default)]
struct Counts {
    names: usize,
    fewest_labels: usize,
    most_labels: usize,
}

impl Counts {
    /// Counts a name.
    fn add(&mut self, name: &[u8]) {
        let labels = label_count(name);
        self.fewest_labels = match self.names {
            0 => labels,
            _ => self.fewest_labels.min(labels),
        };
        self.most_labels = self.most_labels.max(labels);
        self.names += 1;
    }
}

/// How many labels a name in wire format without the root has.
fn label_count(name: &[u8]) -> usize {
    let mut count = 0;
    let mut at = 0;
    while let Some(length) = name.get(at) {
        at += 1 + usize::from(*length);
        count += 1;
    }
    count
}

/// One entry that waits.
struct Waiting<'a> {
    hash: u64,
    name: &'a [u8],
    record: Record,
}

/// Sorts what waits in a shard and writes its items.
fn compile_shard(key: u64, waiting: &[u8], counts: &mut Counts) -> Shard {
    let mut entries = Vec::new();
    let mut rest = waiting;
    while let Some((entry, after)) = read_waiting(key, rest) {
        entries.push(entry);
        rest = after;
    }
    // Equal names come together; the order of their lists and lines stays.
    entries.sort_by(|a, b| (a.hash, a.name).cmp(&(b.hash, b.name)));
    // Never longer than what waited.
    let mut items = Vec::with_capacity(waiting.len());
    let mut ends = Vec::new();
    for same_name in entries.chunk_by(|a, b| a.name == b.name) {
        let Some(first) = same_name.first() else {
            continue;
        };
        counts.add(first.name);
        // At most 254.
        items.push(first.name.len() as u8);
        items.extend_from_slice(first.name);
        let mut records = same_name
            .iter()
            .enumerate()
            .filter(|(at, entry)| !is_repeated(entry, same_name.get(..*at).unwrap_or_default()))
            .map(|(_, entry)| entry.record)
            .peekable();
        while let Some(record) = records.next() {
            items.extend_from_slice(&record.to_bytes(records.peek().is_some()));
        }
        // At most `MAX_SHARD`.
        ends.push((first.hash, items.len() as u32));
    }
    Shard::new(items.into_boxed_slice(), &ends)
}

/// The first entry of what waits, and the rest.
fn read_waiting(key: u64, waiting: &[u8]) -> Option<(Waiting<'_>, &[u8])> {
    let (record, rest) = waiting.split_first_chunk()?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let entry = Waiting {
        hash: hash_name(key, name),
        name,
        record: Record::from_bytes(*record).0,
    };
    Some((entry, rest))
}

/// Whether the same list said the same of the same name in an earlier line.
fn is_repeated(entry: &Waiting<'_>, earlier: &[Waiting<'_>]) -> bool {
    let this = &entry.record;
    // Entries of one list stand together, so most look at their neighbour only.
    earlier
        .iter()
        .rev()
        .map(|other| &other.record)
        .take_while(|other| other.list == this.list)
        .any(|other| (other.reach, other.effect) == (this.reach, this.effect))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Hit, ListFormat, ListKind};
    use crate::name::Name;
    use crate::verdict::Tier;

    fn info(id: &'static str) -> ListInfo {
        ListInfo::new(id, "ads", ListKind::Block, Tier::Lists)
    }

    fn entries(rules: &str) -> Vec<(u32, Entry)> {
        let mut all = Vec::new();
        for (line, rule) in (1..).zip(rules.split(' ')) {
            let mut one = Vec::new();
            ListFormat::Adblock
                .read_line(rule.as_bytes(), &mut one)
                .unwrap();
            all.extend(one.into_iter().filter_map(|item| match item {
                crate::lists::Item::Name(entry) => Some((line, entry)),
                _ => None,
            }));
        }
        all
    }

    fn hits(index: &Index, name: &str) -> Vec<(u16, u8)> {
        let mut hits = Vec::new();
        index.look_up(Name::parse(name).unwrap().as_ref(), |hit| {
            hits.push((hit.list.0, hit.labels));
        });
        hits
    }

    #[test]
    fn an_empty_index_lists_nothing() {
        let index = IndexBuilder::new().build();
        assert_eq!(hits(&index, "example.org"), []);
        assert_eq!(hits(&index, "."), []);
        assert_eq!((index.name_count(), index.lists().len()), (0, 0));
        assert_eq!(index.find("ads"), None);
    }

    #[test]
    fn the_name_comes_before_its_parents_and_lists_in_order() {
        let mut builder = IndexBuilder::new();
        builder
            .add_list(
                info("a"),
                entries("||example.org^ ||www.example.org^ |example.org^"),
            )
            .unwrap();
        builder
            .add_list(
                info("b"),
                entries("@@||*.example.org^ ||example.org^ ||example.net^"),
            )
            .unwrap();
        let index = builder.build();
        assert_eq!(index.name_count(), 3);
        assert_eq!(
            hits(&index, "www.example.org"),
            [(0, 3), (0, 2), (1, 2), (1, 2)]
        );
        assert_eq!(hits(&index, "example.org"), [(0, 2), (0, 2), (1, 2)]);
        assert_eq!(hits(&index, "notexample.org"), []);
        assert_eq!(hits(&index, "org"), []);
        let b = index.find("b").unwrap();
        assert_eq!((b, index.list(b).entries), (ListId(1), 3));
        let mut effects = Vec::new();
        index.look_up(
            Name::parse("a.example.org").unwrap().as_ref(),
            |Hit { effect, reach, .. }| {
                effects.push((effect, reach));
            },
        );
        assert_eq!(
            effects,
            [
                (Effect::Listed, Reach::Subtree),
                (Effect::Excepted, Reach::Below),
                (Effect::Listed, Reach::Subtree),
            ]
        );
    }

    #[test]
    fn what_a_list_says_twice_counts_once() {
        let mut builder = IndexBuilder::new();
        let twice = "||example.org^ ||example.org^ |example.org^ |example.org^";
        builder.add_list(info("a"), entries(twice)).unwrap();
        let index = builder.build();
        assert_eq!(hits(&index, "example.org"), [(0, 2), (0, 2)]);
    }

    #[test]
    fn a_discarded_list_leaves_its_report_and_nothing_else() {
        let mut builder = IndexBuilder::new();
        builder
            .add_list(info("a"), entries("||example.org^"))
            .unwrap();
        let mut writer = builder.start_list(info("b")).unwrap();
        for (line, entry) in entries("||example.org^ ||example.net^") {
            writer.push(line, &entry);
        }
        let b = writer.discard(|info| info.failure = Some("worn out".into()));
        builder
            .add_list(info("c"), entries("||example.net^"))
            .unwrap();
        let index = builder.build();
        assert_eq!(hits(&index, "example.org"), [(0, 2)]);
        assert_eq!(hits(&index, "example.net"), [(2, 2)]);
        assert_eq!(index.list(b).failure.as_deref(), Some("worn out"));
    }

    #[test]
    fn the_longest_and_the_shortest_names() {
        let deepest = "a.".repeat(126) + "b";
        let label = "x".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "y".repeat(61));
        let mut builder = IndexBuilder::new();
        let mut writer = builder.start_list(info("a")).unwrap();
        for (line, name) in (1..).zip([deepest.as_str(), &longest, "b", "."]) {
            let name = Name::parse(name).unwrap();
            writer.push_name(name.as_ref(), line, Reach::Subtree, Effect::Listed);
        }
        writer.finish(|_| {}).unwrap();
        let index = builder.build();
        assert_eq!(hits(&index, &deepest), [(0, 127), (0, 1), (0, 0)]);
        assert_eq!(hits(&index, &deepest[2..]), [(0, 1), (0, 0)]);
        assert_eq!(hits(&index, &longest), [(0, 4), (0, 0)]);
        assert_eq!(hits(&index, "."), [(0, 0)]);
    }

    #[test]
    fn too_many_lists_are_refused() {
        let mut builder = IndexBuilder::new();
        builder.lists = vec![info("a"); MAX_LISTS];
        assert_eq!(
            builder.add_list(info("b"), []),
            Err(BuildError::TooManyLists)
        );
        assert_eq!(
            BuildError::TooManyLists.to_string(),
            "more than 65535 lists"
        );
    }
}
