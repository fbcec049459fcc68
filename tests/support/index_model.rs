//! An index and a plain map that says the same, to be compared with each other.

use std::collections::BTreeMap;
use std::io::Cursor;

use hedgerow::files::{FileError, Scratch};
use hedgerow::lists::{
    Contents, Effect, Hit, Index, IndexWriter, ListId, ListInfo, ListKind, Matcher, Posting, Reach,
    Section, Totals, WriteError, canonical_order,
};
use hedgerow::name::{Name, NameRef};
use hedgerow::verdict::Tier;

/// A posting that owns its modifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    pub(crate) list: u16,
    pub(crate) reach: Reach,
    pub(crate) effect: Effect,
    pub(crate) important: bool,
    pub(crate) modifiers: Option<Vec<u8>>,
}

impl Said {
    /// A plain line of a list.
    pub(crate) const fn plain(list: u16) -> Self {
        Self {
            list,
            reach: Reach::Subtree,
            effect: Effect::Listed,
            important: false,
            modifiers: None,
        }
    }

    /// The same for the writer.
    pub(crate) fn posting(&self) -> Posting<'_> {
        Posting {
            list: ListId(self.list),
            reach: self.reach,
            effect: self.effect,
            important: self.important,
            modifiers: self.modifiers.as_deref(),
        }
    }

    /// The same from a walk.
    pub(crate) fn of(posting: &Posting<'_>) -> Self {
        Self {
            list: posting.list.0,
            reach: posting.reach,
            effect: posting.effect,
            important: posting.important,
            modifiers: posting.modifiers.map(<[u8]>::to_vec),
        }
    }
}

/// A name in the order of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordered(pub(crate) Name);

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        canonical_order(self.0.as_ref(), other.0.as_ref())
    }
}

/// What is said about which name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) names: BTreeMap<Ordered, Vec<Said>>,
}

impl Model {
    /// Adds a line.
    pub(crate) fn add(&mut self, name: &Name, said: Said) {
        let all = self.names.entry(Ordered(name.clone())).or_default();
        if let Err(place) = all.binary_search(&said) {
            all.insert(place, said);
        }
    }

    /// How many lists it speaks of.
    pub(crate) fn lists(&self) -> usize {
        let all = self.names.values().flatten();
        all.map(|said| usize::from(said.list) + 1)
            .max()
            .unwrap_or(0)
    }

    /// What an index must tell of a name, with the labels of what is named.
    pub(crate) fn told(&self, name: NameRef<'_>) -> Vec<(Said, usize)> {
        let mut told = Vec::new();
        let mut suffix = Some(name);
        while let Some(this) = suffix {
            for said in self
                .names
                .get(&Ordered(this.to_name()))
                .into_iter()
                .flatten()
            {
                let matches = match said.reach {
                    Reach::Subtree => true,
                    Reach::Exact => this == name,
                    Reach::Below => this != name,
                };
                if matches {
                    told.push((said.clone(), this.label_count()));
                }
            }
            suffix = this.parent();
        }
        told
    }

    /// The octets of an index that says the same.
    pub(crate) fn write(&self, memory: usize) -> Result<(Vec<u8>, Totals), WriteError> {
        let lists = lists(self.lists());
        let contents = Contents {
            lists: &lists,
            recipe: [7; 32],
            patterns: Section::from(&b""[..]),
            addresses: Section::empty(),
            sealed: Section::empty(),
        };
        self.write_with(memory, contents)
    }

    /// The same with other contents.
    pub(crate) fn write_with(
        &self,
        memory: usize,
        contents: Contents<'_>,
    ) -> Result<(Vec<u8>, Totals), WriteError> {
        let mut writer = IndexWriter::new(&mut scratch, memory)?;
        for (name, all) in &self.names {
            let postings: Vec<Posting<'_>> = all.iter().map(Said::posting).collect();
            writer.push(name.0.as_ref(), &postings)?;
        }
        let mut out = Cursor::new(Vec::new());
        let totals = writer.finish(contents, &mut scratch, &mut out)?;
        Ok((out.into_inner(), totals))
    }
}

/// Working files in memory.
pub(crate) fn scratch() -> Result<Box<dyn Scratch>, FileError> {
    Ok(Box::new(Cursor::new(Vec::new())))
}

/// So many lists.
pub(crate) fn lists(count: usize) -> Vec<ListInfo> {
    let list = |_| ListInfo::new("list", "ads", ListKind::Block, Tier::Lists);
    (0..count).map(list).collect()
}

/// What an index tells of a name, and tells again when it remembers it.
pub(crate) fn told(index: &Index, name: NameRef<'_>) -> Vec<(Said, usize)> {
    let first = told_once(index, name);
    assert_eq!(told_once(index, name), first, "{name} the second time");
    first
}

fn told_once(index: &Index, name: NameRef<'_>) -> Vec<(Said, usize)> {
    let mut told = Vec::new();
    index.look_up(name, |hit: Hit| {
        assert_eq!(hit.by, Matcher::Name);
        let said = Said {
            list: hit.list.0,
            reach: hit.reach,
            effect: hit.effect,
            important: hit.important,
            modifiers: hit.rule.map(|_| index.modifiers(&hit).unwrap().to_vec()),
        };
        told.push((said, usize::from(hit.labels)));
    });
    told
}

/// All that an index says.
pub(crate) fn walked(index: &Index) -> Vec<(Name, Vec<Said>)> {
    let mut all = Vec::new();
    index.walk(|name, postings| {
        all.push((name.to_name(), postings.iter().map(Said::of).collect()));
    });
    all
}
