//! The compiled lists: which lists name this name or a parent of it?

mod fault;
mod hit;
mod meta;
mod write;

use std::path::Path;

use super::{Effect, ListInfo, Posting, Reach};
use crate::files::{Files, Mapping};
use crate::name::NameRef;

pub use fault::{IndexError, IndexFault, WriteError};
pub use hit::{Hit, ListId, Matcher, RuleId};
pub use write::{Contents, IndexWriter, Section, Totals};

/// All lists, compiled: immutable, exact, searched in place without allocation.
#[derive(Debug, Default)]
pub struct Index {
    bytes: Vec<u8>,
    lists: Vec<ListInfo>,
    recipe: [u8; 32],
    /// Where patterns, addresses, sealed and names stand.
    sections: [(usize, usize); 4],
    names: u64,
}

impl Index {
    /// Without any list.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Maps the index at `path`.
    ///
    /// # Errors
    /// [`IndexError`], with the path.
    pub fn open(files: &Files, path: &Path) -> Result<Self, IndexError> {
        let bytes = match files.mapping(path)? {
            Mapping::Bytes(bytes) => bytes,
            Mapping::File(mut file) => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut bytes)
                    .map_err(|_| IndexFault::Malformed("unreadable"))?;
                bytes
            }
        };
        Self::from_bytes(bytes).map_err(|error| match error {
            IndexError::Bytes(fault) => IndexError::Refused {
                path: path.to_path_buf(),
                fault,
            },
            other => other,
        })
    }

    /// Takes an index that is in memory.
    ///
    /// # Errors
    /// [`IndexError::Bytes`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, IndexError> {
        let wrong = IndexFault::Malformed("skeleton");
        if !bytes.starts_with(b"skeleton") {
            return Err(IndexFault::Magic.into());
        }
        let mut at = 40;
        let mut sections = [(0, 0); 5];
        for section in &mut sections {
            let length = bytes.get(at..at + 8).and_then(|x| x.first_chunk());
            let length = u64::from_le_bytes(*length.ok_or_else(|| wrong.clone())?) as usize;
            *section = (at + 8, at + 8 + length);
            at = section.1;
        }
        let lists: Vec<meta::Saved> =
            serde_json::from_slice(&bytes[sections[0].0..sections[0].1]).map_err(|_| wrong)?;
        let mut index = Self {
            recipe: *bytes[8..].first_chunk().ok_or(IndexFault::Magic)?,
            lists: lists
                .into_iter()
                .map(|list| list.restore().map_err(IndexFault::Malformed))
                .collect::<Result<_, _>>()?,
            sections: [sections[1], sections[2], sections[3], sections[4]],
            bytes,
            names: 0,
        };
        let mut names = 0;
        index.walk(|_, _| names += 1);
        index.names = names;
        Ok(index)
    }

    /// Calls `each` for every line of every list that names `name` or a parent: the lines that
    /// name it first, then those that name its parents, the nearest parent first.
    pub fn look_up(&self, name: NameRef<'_>, mut each: impl FnMut(Hit)) {
        let mut suffix = Some(name);
        while let Some(this) = suffix {
            self.walk(|listed, postings| {
                if listed != this {
                    return;
                }
                for posting in postings {
                    let matches = match posting.reach {
                        Reach::Subtree => true,
                        Reach::Exact => this == name,
                        Reach::Below => this != name,
                    };
                    if matches {
                        each(Hit {
                            list: posting.list,
                            reach: posting.reach,
                            effect: posting.effect,
                            labels: this.label_count() as u8,
                            important: posting.important,
                            rule: posting.modifiers.map(|bytes| {
                                RuleId(
                                    (bytes.as_ptr() as usize - self.bytes.as_ptr() as usize) as u32,
                                )
                            }),
                            by: Matcher::Name,
                        });
                    }
                }
            });
            suffix = this.parent();
        }
    }

    /// Whether a line that was hit speaks to `asker` about `name`: whether what restricts it allows.
    pub const fn applies(&self, _hit: &Hit, _name: NameRef<'_>, _asker: &super::Asker<'_>) -> bool {
        true
    }

    /// Calls `each` for every line of every list whose prefix holds `address`.
    pub fn look_up_address(&self, _address: std::net::IpAddr, _each: impl FnMut(Hit)) {}

    /// The modifiers of a line that a hit speaks of, as they were written.
    pub fn modifiers(&self, rule: RuleId) -> Option<&[u8]> {
        let at = rule.0 as usize;
        let length = self.bytes.get(at.checked_sub(2)?..at)?;
        let length = usize::from(u16::from_le_bytes(*length.first_chunk()?));
        self.bytes.get(at..at + length)
    }

    /// Calls `each` for every name with its postings, in canonical order.
    pub fn walk(&self, mut each: impl FnMut(NameRef<'_>, &[Posting<'_>])) {
        let mut rest = self.section(3);
        while let Some((length, after)) = rest.split_first() {
            let (name, after) = after.split_at(usize::from(*length));
            let (postings, after) = read_postings(after);
            rest = after;
            if let Ok(name) = NameRef::from_wire(name) {
                each(name, &postings);
            }
        }
    }

    /// What is known of a list; `list` comes from a hit or from [`Self::lists`] of this index.
    ///
    /// # Panics
    /// When it comes from another index with more lists.
    pub fn list(&self, list: ListId) -> &ListInfo {
        &self.lists[usize::from(list.0)]
    }

    /// All lists, in the order of their ids; those that could not be loaded too.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = (ListId, &ListInfo)> {
        let ids = (0..=u16::MAX).map(ListId);
        self.lists.iter().zip(ids).map(|(info, id)| (id, info))
    }

    /// The list with this id in the configuration.
    pub fn find(&self, id: &str) -> Option<ListId> {
        self.lists()
            .find_map(|(list, info)| (info.id == id).then_some(list))
    }

    /// How many different names are listed.
    pub const fn name_count(&self) -> usize {
        self.names as usize
    }

    /// Octets of the whole file.
    pub const fn file_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What tells this compilation from another, as it was given.
    pub const fn recipe(&self) -> &[u8; 32] {
        &self.recipe
    }

    /// The patterns, as they were given.
    pub fn patterns_section(&self) -> &[u8] {
        self.section(0)
    }

    /// The address prefixes, as they were given.
    pub fn addresses_section(&self) -> &[u8] {
        self.section(1)
    }

    /// The fingerprints, as they were given.
    pub fn sealed_section(&self) -> &[u8] {
        self.section(2)
    }

    fn section(&self, number: usize) -> &[u8] {
        let (begin, end) = self.sections[number];
        &self.bytes[begin..end]
    }
}

pub(super) fn put_postings(into: &mut Vec<u8>, postings: &[Posting<'_>]) {
    into.extend_from_slice(&(postings.len() as u16).to_le_bytes());
    for posting in postings {
        into.extend_from_slice(&posting.list.0.to_le_bytes());
        let reach = posting.reach as u8;
        let effect = u8::from(posting.effect == Effect::Excepted);
        let flags = reach | effect << 2 | u8::from(posting.important) << 3;
        into.push(flags | u8::from(posting.modifiers.is_some()) << 4);
        if let Some(modifiers) = posting.modifiers {
            into.extend_from_slice(&(modifiers.len() as u16).to_le_bytes());
            into.extend_from_slice(modifiers);
        }
    }
}

fn read_postings(bytes: &[u8]) -> (Vec<Posting<'_>>, &[u8]) {
    let count = u16::from_le_bytes([bytes[0], bytes[1]]);
    let mut rest = &bytes[2..];
    let mut postings = Vec::new();
    for _ in 0..count {
        let flags = rest[2];
        let list = ListId(u16::from_le_bytes([rest[0], rest[1]]));
        rest = &rest[3..];
        let modifiers = (flags & 16 != 0).then(|| {
            let length = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
            let (modifiers, after) = rest[2..].split_at(length);
            rest = after;
            modifiers
        });
        postings.push(Posting {
            list,
            reach: [Reach::Subtree, Reach::Exact, Reach::Below][usize::from(flags & 3)],
            effect: [Effect::Listed, Effect::Excepted][usize::from(flags >> 2 & 1)],
            important: flags & 8 != 0,
            modifiers,
        });
    }
    (postings, rest)
}
