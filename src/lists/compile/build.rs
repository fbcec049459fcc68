//! From entries at hand to an [`Index`] in memory.

use std::fmt;
use std::io::Cursor;

use super::CompileError;
use super::pipeline::{Pipeline, State};
use crate::lists::index::{Index, ListId};
use crate::lists::{Item, ListInfo};

/// Collects what all lists say, in memory; what [`super::compile`] does, without reading.
pub struct IndexBuilder(Pipeline);

impl Default for IndexBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl IndexBuilder {
    /// Without any list.
    pub fn new() -> Self {
        Self(Pipeline::new(None, usize::MAX))
    }

    /// Adds a list whose items, each with its line, are at hand; counts them in its
    /// [`ListInfo::entries`].
    ///
    /// # Errors
    /// [`CompileError::TooManyLists`], [`CompileError::TooLarge`], [`CompileError::Item`].
    pub fn add_list<I: Into<Item>>(
        &mut self,
        info: ListInfo,
        items: impl IntoIterator<Item = (u32, I)>,
    ) -> Result<ListId, CompileError> {
        let kind = info.kind;
        let list = self.0.add_list(info)?;
        let mut count = 0;
        for (line, item) in items {
            match item.into() {
                Item::Name(entry) => self.0.push(list, &entry, entry.reach)?,
                item => self
                    .0
                    .beside
                    .push(list, kind, line, &item)
                    .map_err(CompileError::Item)?,
            }
            count += 1;
        }
        if let Some(info) = self.0.list(list) {
            info.entries = count;
        }
        self.0.settle(list, State::Fresh);
        Ok(list)
    }

    /// The compiled lists.
    ///
    /// # Panics
    /// When the writer of indexes refuses what the compiler hands it, which is a mistake in one of
    /// them.
    pub fn build(self) -> Index {
        let mut out = Cursor::new(Vec::new());
        let written = self.0.write(|_| [0; 32], &mut out, &mut |_, _| Ok(()));
        let index = written.and_then(|_| Ok(Index::from_bytes(out.into_inner())?));
        index.expect("names in order make an index, and memory has no errors")
    }
}

impl fmt::Debug for IndexBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexBuilder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Effect, Hit, ListFormat, ListKind};
    use crate::name::Name;
    use crate::verdict::Tier;

    fn info(id: &'static str) -> ListInfo {
        ListInfo::new(id, "ads", ListKind::Block, Tier::Lists)
    }

    fn items(rules: &str) -> Vec<(u32, Item)> {
        let mut all = Vec::new();
        for (line, rule) in (1..).zip(rules.split(' ')) {
            let mut one = Vec::new();
            let read = ListFormat::Adblock.read_line(rule.as_bytes(), &mut one);
            read.unwrap();
            all.extend(one.into_iter().map(|item| (line, item)));
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
        let a = "||example.org^ |www.example.org^$important ||www.example.org^$important";
        builder.add_list(info("a"), items(a)).unwrap();
        let b = "@@||*.example.org^ ||example.org^ ||example.net^";
        builder.add_list(info("b"), items(b)).unwrap();
        let index = builder.build();
        assert_eq!(index.name_count(), 3);
        assert_eq!(
            hits(&index, "www.example.org"),
            [(0, 3), (0, 3), (0, 2), (1, 2), (1, 2)]
        );
        assert_eq!(hits(&index, "example.org"), [(0, 2), (1, 2)]);
        assert_eq!(hits(&index, "notexample.org"), []);
        assert_eq!(hits(&index, "org"), []);
        let b = index.find("b").unwrap();
        assert_eq!((b, index.list(b).entries), (ListId(1), 3));
        let mut effects = Vec::new();
        let name = Name::parse("a.example.org").unwrap();
        index.look_up(name.as_ref(), |Hit { effect, list, .. }| {
            effects.push((list.0, effect));
        });
        effects.sort();
        let expected = [
            (0, Effect::Listed),
            (1, Effect::Listed),
            (1, Effect::Excepted),
        ];
        assert_eq!(effects, expected);
    }

    #[test]
    fn what_a_list_says_twice_counts_once() {
        let mut builder = IndexBuilder::new();
        let twice = "||example.org^ ||example.org^ |example.org^ ||example.org^$dnstype=A \
                     ||example.org^$dnstype=A";
        let twice = twice.split_whitespace().collect::<Vec<_>>().join(" ");
        builder.add_list(info("a"), items(&twice)).unwrap();
        let index = builder.build();
        // The exact rule stays: something with modifiers stands at its name.
        assert_eq!(hits(&index, "example.org"), [(0, 2), (0, 2), (0, 2)]);
    }

    #[test]
    fn badfilter_takes_out_the_same_rule_of_its_own_list() {
        let mut builder = IndexBuilder::new();
        let rules = "||one.example^ ||one.example^$badfilter \
                     ||two.example^ ||two.example^$important,badfilter \
                     ||three.example^$dnstype=A|AAAA ||three.example^$badfilter,dnstype=AAAA|A \
                     @@||four.example^ ||four.example^$badfilter \
                     |five.example^ ||five.example^$badfilter \
                     ||six.example^$badfilter ||a.six.example^";
        let rules = rules.split_whitespace().collect::<Vec<_>>().join(" ");
        builder.add_list(info("a"), items(&rules)).unwrap();
        builder
            .add_list(info("b"), items("||one.example^ ||nine.example^$badfilter"))
            .unwrap();
        builder
            .add_list(info("c"), items("||nine.example^"))
            .unwrap();
        let index = builder.build();
        for (name, expected) in [
            ("one.example", &[(1, 2)][..]),
            ("two.example", &[(0, 2)]),
            ("three.example", &[]),
            ("four.example", &[(0, 2)]),
            ("five.example", &[(0, 2)]),
            ("six.example", &[]),
            ("a.six.example", &[(0, 3)]),
            ("nine.example", &[(2, 2)]),
        ] {
            assert_eq!(hits(&index, name), expected, "{name}");
        }
    }

    #[test]
    fn the_longest_and_the_shortest_names() {
        let deepest = "a.".repeat(126) + "b";
        let label = "x".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "y".repeat(61));
        let entry = |name: &str| crate::lists::Entry {
            name: Name::parse(name).unwrap(),
            reach: crate::lists::Reach::Exact,
            effect: Effect::Listed,
            modifiers: None,
        };
        let names = [deepest.as_str(), &longest, "b", "."].map(entry);
        let mut builder = IndexBuilder::new();
        builder.add_list(info("a"), (1..).zip(names)).unwrap();
        let index = builder.build();
        assert_eq!(hits(&index, &deepest), [(0, 127)]);
        assert_eq!(hits(&index, &deepest[2..]), []);
        assert_eq!(hits(&index, &longest), [(0, 4)]);
        assert_eq!(hits(&index, "b"), [(0, 1)]);
        assert_eq!(hits(&index, "."), [(0, 0)]);
    }

    #[test]
    fn too_many_lists_are_refused() {
        let mut builder = IndexBuilder::new();
        let none: [(u32, Item); 0] = [];
        for _ in 0..u16::MAX {
            builder.add_list(info("a"), none.clone()).unwrap();
        }
        let refused = builder.add_list(info("b"), none).unwrap_err();
        assert_eq!(refused.to_string(), "more than 65535 lists");
    }
}
