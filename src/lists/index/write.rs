//! From names in order to the bytes of an index.

use std::io::{self, Read, Seek, Write};

use super::fault::WriteError;
use crate::files::{FileError, Scratch};
use crate::lists::{ListInfo, Posting, canonical_order};
use crate::name::{Name, NameRef};

/// Takes names in canonical order and writes an index.
#[derive(Debug)]
pub struct IndexWriter {
    names: Vec<u8>,
    count: u64,
    last: Option<Name>,
}

/// What stands in an index beside its names.
pub struct Contents<'a> {
    /// The lists, in the order of their ids.
    pub lists: &'a [ListInfo],
    /// Tells one compilation from another: a hash over sources and settings, or zeroes.
    pub recipe: [u8; 32],
    /// The patterns, opaque here.
    pub patterns: Section<'a>,
    /// The address prefixes, opaque here.
    pub addresses: Section<'a>,
    /// The fingerprints, opaque here.
    pub sealed: Section<'a>,
}

/// A part of an index that somebody else writes and reads.
pub struct Section<'a> {
    length: u64,
    bytes: Box<dyn Read + 'a>,
}

impl<'a> Section<'a> {
    /// Nothing.
    pub fn empty() -> Self {
        Self::from([].as_slice())
    }

    /// A section of `length` octets, read when the index is written.
    pub fn new(length: u64, bytes: impl Read + 'a) -> Self {
        Self {
            length,
            bytes: Box::new(bytes),
        }
    }
}

impl<'a> From<&'a [u8]> for Section<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::new(bytes.len() as u64, bytes)
    }
}

/// What an index has become, in octets unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many names.
    pub names: u64,
    /// All of it.
    pub bytes: u64,
}

impl IndexWriter {
    /// Begins an index. `scratch` makes working files; `memory` is how many octets it may use,
    /// more or less: a few MiB are enough for any number of names, and what is written does not
    /// depend on it.
    ///
    /// # Errors
    /// [`WriteError::File`].
    pub fn new(
        scratch: &mut dyn FnMut() -> Result<Box<dyn Scratch>, FileError>,
        memory: usize,
    ) -> Result<Self, WriteError> {
        let _ = memory;
        drop(scratch()?);
        Ok(Self {
            names: Vec::new(),
            count: 0,
            last: None,
        })
    }

    /// Takes a name with what lists say about it. Names come in canonical order, each once, with
    /// at least one posting; postings are in ascending order.
    ///
    /// # Errors
    /// [`WriteError`]; the writer is of no use afterwards.
    pub fn push(&mut self, name: NameRef<'_>, postings: &[Posting<'_>]) -> Result<(), WriteError> {
        if let Some(before) = &self.last
            && canonical_order(before.as_ref(), name).is_ge()
        {
            return Err(WriteError::Order {
                before: before.clone(),
                name: name.to_name(),
            });
        }
        self.last = Some(name.to_name());
        self.count += 1;
        self.names.push(name.as_wire().len() as u8);
        self.names.extend_from_slice(name.as_wire());
        super::put_postings(&mut self.names, postings);
        Ok(())
    }

    /// Writes the index to `out`, from where that stands, and says what became of it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(
        self,
        contents: Contents<'_>,
        out: &mut (impl Write + Seek + ?Sized),
    ) -> Result<Totals, WriteError> {
        let mut bytes = b"skeleton".to_vec();
        let mut lists = Vec::new();
        for list in contents.lists {
            lists.push(super::meta::Saved::from(list));
        }
        let lists = serde_json::to_vec(&lists).map_err(|e| WriteError::Output(e.into()))?;
        bytes.extend_from_slice(&contents.recipe);
        let mut put = |mut section: Section<'_>| -> Result<(), WriteError> {
            bytes.extend_from_slice(&section.length.to_le_bytes());
            section
                .bytes
                .read_to_end(&mut bytes)
                .map_err(WriteError::Output)?;
            Ok(())
        };
        put(Section::from(lists.as_slice()))?;
        put(contents.patterns)?;
        put(contents.addresses)?;
        put(contents.sealed)?;
        put(Section::from(self.names.as_slice()))?;
        out.write_all(&bytes).map_err(WriteError::Output)?;
        let _: Result<(), io::Error> = Ok(());
        Ok(Totals {
            names: self.count,
            bytes: bytes.len() as u64,
        })
    }
}
