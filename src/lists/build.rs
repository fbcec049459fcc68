//! From entries to an [`Index`] in memory, for few entries: all of them are held at once.

use std::io::Cursor;

use super::index::{Contents, Index, IndexWriter, ListId, Section, WriteError};
use super::{Effect, Entry, ListInfo, Posting, Reach, canonical_order};
use crate::name::{Name, NameRef};

/// Why a list or an entry cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A [`ListId`] has 16 bits.
    #[error("more than {most} lists", most = MAX_LISTS)]
    TooManyLists,
    /// The index cannot be written.
    #[error("{0}")]
    Write(String),
}

impl From<WriteError> for BuildError {
    fn from(error: WriteError) -> Self {
        Self::Write(error.to_string())
    }
}

/// The most lists of an index.
const MAX_LISTS: usize = u16::MAX as usize;

/// Collects the entries of all lists.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    lists: Vec<ListInfo>,
    entries: Vec<(Name, Posting<'static>)>,
}

impl IndexBuilder {
    /// Without any list.
    pub fn new() -> Self {
        Self::default()
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
            mark: self.entries.len(),
            builder: self,
            list,
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
        self.try_build().unwrap_or_default()
    }

    fn try_build(mut self) -> Result<Index, BuildError> {
        self.entries.sort_by(|(left, said), (right, also)| {
            canonical_order(left.as_ref(), right.as_ref()).then(said.cmp(also))
        });
        self.entries.dedup();
        let mut scratch = || Ok(Box::new(Cursor::new(Vec::new())) as _);
        let mut writer = IndexWriter::new(&mut scratch, 1 << 24)?;
        for same_name in self.entries.chunk_by(|(left, _), (right, _)| left == right) {
            let postings: Vec<Posting<'_>> = same_name.iter().map(|(_, said)| *said).collect();
            if let Some((name, _)) = same_name.first() {
                writer.push(name.as_ref(), &postings)?;
            }
        }
        let contents = Contents {
            lists: &self.lists,
            recipe: [0; 32],
            patterns: Section::empty(),
            addresses: Section::empty(),
            sealed: Section::empty(),
        };
        let mut out = Cursor::new(Vec::new());
        writer.finish(contents, &mut out)?;
        Index::from_bytes(out.into_inner()).map_err(|error| BuildError::Write(error.to_string()))
    }
}

/// Takes the entries of one list.
#[derive(Debug)]
pub struct ListWriter<'b> {
    builder: &'b mut IndexBuilder,
    list: ListId,
    /// How many entries there were before this list.
    mark: usize,
}

impl ListWriter<'_> {
    /// Takes in an entry and its line.
    pub fn push(&mut self, line: u32, entry: &Entry) {
        self.push_name(entry.name.as_ref(), line, entry.reach, entry.effect);
    }

    /// Takes in an entry by its parts.
    pub fn push_name(&mut self, name: NameRef<'_>, _line: u32, reach: Reach, effect: Effect) {
        let posting = Posting {
            list: self.list,
            reach,
            effect,
            important: false,
            modifiers: None,
        };
        self.builder.entries.push((name.to_name(), posting));
    }

    /// Forgets the entries taken in so far.
    pub fn clear(&mut self) {
        self.builder.entries.truncate(self.mark);
    }

    /// Ends the list; `note` may complete what is known of it.
    ///
    /// # Errors
    /// None yet.
    pub fn finish(self, note: impl FnOnce(&mut ListInfo)) -> Result<ListId, BuildError> {
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
                (Effect::Listed, Reach::Subtree),
                (Effect::Excepted, Reach::Below),
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
