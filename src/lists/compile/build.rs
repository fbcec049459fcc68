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
        Self(Pipeline::new(None, 3 << 20))
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
        for (_, item) in items {
            match item.into() {
                Item::Name(entry) => self.0.push(list, &entry, entry.reach)?,
                item => self
                    .0
                    .beside
                    .push(list, kind, &item)
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
