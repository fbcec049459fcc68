//! Names in the working file, between the two halves of writing an index.
//!
//! A name is how many symbols it shares with the name before (an octet), how many follow (an octet),
//! those, and its set: one more than its number, or zero and the set itself with its length before
//! it. A new top-level label is [`NEW_TOP`], its length and itself.

use super::alphabet::{END, ROW};
use super::dictionary::matching;
use super::fault::WriteError;
use super::sets::put_number;
use super::spool::{Spool, SpoolReader, Spooled};

/// What stands in place of a shared length before a top-level label. No two names share that many.
const NEW_TOP: u8 = 0xff;

/// Writes a top-level label.
pub(super) fn put_top(spool: &mut Spool, top: &[u8]) -> Result<(), WriteError> {
    // A label has at most 63 octets.
    spool.put(&[NEW_TOP, top.len() as u8])?;
    spool.put(top)
}

/// Writes a name, given as a row with its end and with the row before, and its set.
pub(super) fn put_name(
    spool: &mut Spool,
    row: &[u8],
    before: &[u8],
    set: Result<u32, &[u8]>,
) -> Result<(), WriteError> {
    let shared = matching(row, before);
    let rest = row.get(shared..).unwrap_or_default();
    // A row is shorter than 255.
    spool.put(&[shared as u8, rest.len() as u8])?;
    spool.put(rest)?;
    let mut tail = Vec::new();
    match set {
        Ok(number) => put_number(&mut tail, u64::from(number) + 1),
        Err(set) => {
            put_number(&mut tail, 0);
            put_number(&mut tail, set.len() as u64);
            tail.extend_from_slice(set);
        }
    }
    spool.put(&tail)
}

/// Reads names.
pub(super) struct Records<'a> {
    reader: SpoolReader<'a>,
    top: Vec<u8>,
    row: [u8; ROW],
    lone: Vec<u8>,
}

/// A name of the working file.
pub(super) struct Record<'a> {
    /// Its top-level label.
    pub(super) top: &'a [u8],
    /// Whether it is the first with that label.
    pub(super) is_new_top: bool,
    /// Its row with its end.
    pub(super) row: &'a [u8],
    /// How many symbols it shares with the name before.
    pub(super) shared: usize,
    /// The number of its set, or the set.
    pub(super) set: Result<u32, &'a [u8]>,
}

impl<'a> Records<'a> {
    /// All names of a working file, which nobody reads again if that is said.
    pub(super) fn new(spooled: &'a mut Spooled, is_last: bool) -> Result<Self, WriteError> {
        Ok(Self {
            reader: if is_last {
                spooled.read_out()?
            } else {
                spooled.read()?
            },
            top: Vec::new(),
            row: [END; ROW],
            lone: Vec::new(),
        })
    }

    /// The next name.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, WriteError> {
        let Some(mut shared) = self.reader.next_octet()? else {
            return Ok(None);
        };
        let is_new_top = shared == NEW_TOP;
        if is_new_top {
            let length = self.reader.octet()?;
            self.top.resize(usize::from(length), 0);
            self.reader.take(&mut self.top)?;
            shared = self.reader.octet()?;
        }
        let shared = usize::from(shared);
        let end = shared + usize::from(self.reader.octet()?);
        let rest = self.row.get_mut(shared..end);
        self.reader.take(rest.unwrap_or_default())?;
        let number = self.reader.number()?;
        let set = match number.checked_sub(1) {
            // A number of a set has 32 bits.
            Some(number) => Ok(number as u32),
            None => {
                let length = self.reader.number()?;
                self.lone
                    .resize(usize::try_from(length).unwrap_or_default(), 0);
                self.reader.take(&mut self.lone)?;
                Err(self.lone.as_slice())
            }
        };
        Ok(Some(Record {
            top: &self.top,
            is_new_top,
            row: self.row.get(..end).unwrap_or_default(),
            shared,
            set,
        }))
    }
}
