//! Different modifiers of a section's rules, each kept once.

use std::collections::HashMap;

use super::{take_length, write_length};

/// Says in a record that a rule has no modifiers.
const NONE: u32 = u32::MAX;

/// Builds the table: rules get the place where their modifiers stand in it.
#[derive(Debug, Default)]
pub(in crate::lists) struct ModifierTable {
    octets: Vec<u8>,
    places: HashMap<Vec<u8>, u32>,
}

impl ModifierTable {
    /// The place of encoded modifiers in the table, as it stands in a record.
    pub(in crate::lists) fn place(&mut self, encoded: Vec<u8>) -> u32 {
        if encoded.is_empty() {
            return NONE;
        }
        *self.places.entry(encoded).or_insert_with_key(|encoded| {
            // Sections are bounded far below 4 GiB by their builders.
            let place = self.octets.len() as u32;
            write_length(encoded.len(), &mut self.octets);
            self.octets.extend_from_slice(encoded);
            place
        })
    }

    /// The table's octets.
    pub(in crate::lists) fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

/// The place a record names, if its rule has modifiers.
pub(in crate::lists) fn place_of(stored: u32) -> Option<u32> {
    (stored != NONE).then_some(stored)
}

/// The modifiers at `place` of the table `octets`.
pub(in crate::lists) fn at(octets: &[u8], place: u32) -> Option<&[u8]> {
    let mut rest = octets.get(usize::try_from(place).ok()?..)?;
    let length = take_length(&mut rest)?;
    rest.get(..length)
}
