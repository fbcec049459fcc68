//! Names as rows of symbols, so that the order of rows is the order of names.
//!
//! A list names nothing but `[a-z0-9_-]`, so forty symbols are enough: the end of a name, the gap
//! between two labels, and the letters in the order of ASCII. A name is written from the root down
//! without its top-level label, which the table of tops holds: `www.example.org` is
//! `example` gap `www` end. The end comes before the gap and the gap before all letters, so that a
//! name comes right before what is below it, and that before `example-a`.

use crate::name::{MAX_NAME, NameRef};

/// How many symbols there are.
pub(super) const SYMBOLS: usize = 40;
/// The end of a name.
pub(super) const END: u8 = 0;
/// Between two labels.
pub(super) const GAP: u8 = 1;
/// More than the symbols of any name, with the end.
pub(super) const ROW: usize = 256;
/// A row and so much behind it that eight octets can be read from each of its places.
pub(super) const PADDED_ROW: usize = ROW + 7;
/// How many symbols a separator holds.
pub(super) const KEY_SYMBOLS: usize = 12;
/// How many symbols the short separator of a group holds.
const SHORT_SYMBOLS: usize = 3;
/// What is no symbol.
const NONE: u8 = NONE_BIT;
/// A bit that no symbol has.
const NONE_BIT: u8 = 0x80;

/// The symbol of each octet, or [`NONE`].
const SYMBOL_OF: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut symbol = 2;
    while symbol < SYMBOLS {
        table[octet_of(symbol as u8) as usize] = symbol as u8;
        symbol += 1;
    }
    table
};

/// The letter of a symbol that is one.
pub(super) const fn octet_of(symbol: u8) -> u8 {
    match symbol {
        3..=12 => b'0' + symbol - 3,
        13 => b'_',
        14..=39 => b'a' + symbol - 14,
        _ => b'-',
    }
}

/// A name taken apart: its top-level label and the row of symbols of the rest.
pub(super) struct Spelled<'a> {
    /// The last label.
    pub(super) top: &'a [u8],
    /// Where that begins in the name.
    top_begin: usize,
    /// From where in the name on all labels are in the row.
    begin: usize,
    /// The symbols of the other labels from right to left, a gap after each.
    row: [u8; PADDED_ROW],
}

impl<'a> Spelled<'a> {
    /// Of no name yet.
    pub(super) const fn new() -> Self {
        Self {
            top: &[],
            top_begin: 0,
            begin: 0,
            row: [END; PADDED_ROW],
        }
    }

    /// Takes a name apart. Where an octet is no letter of a list's names, what is above that label
    /// is all there is. The root has no top.
    #[inline]
    pub(super) fn spell(&mut self, name: NameRef<'a>) -> Option<()> {
        let wire = name.as_wire();
        let label_at = |begin: usize| {
            let (length, rest) = wire.get(begin..)?.split_first()?;
            rest.get(..usize::from(*length))
        };
        let mut at = 0;
        for label in name.labels() {
            self.top_begin = at;
            at += 1 + label.len();
        }
        self.top = label_at(self.top_begin).filter(|top| !top.is_empty())?;
        let mut begin = 0;
        while begin < self.top_begin {
            let label = label_at(begin)?;
            let end = end(self.top_begin, begin);
            let room = self.row.get_mut(end.checked_sub(label.len())?..=end)?;
            let mut all = 0;
            for (octet, place) in label.iter().zip(&mut *room) {
                let symbol = SYMBOL_OF[usize::from(*octet)];
                *place = symbol;
                all |= symbol;
            }
            if let Some(last) = room.last_mut() {
                *last = GAP;
            }
            begin += 1 + label.len();
            if all & NONE_BIT != 0 {
                self.begin = begin;
            }
        }
        Some(())
    }

    /// Calls `with` on the row of the parent that begins at `begin` in the name, which is where one
    /// of its labels begins. None where that is not all in the row.
    pub(super) fn with_row<R>(
        &mut self,
        begin: usize,
        with: impl FnOnce(&Wanted<'_>) -> R,
    ) -> Option<R> {
        if begin < self.begin {
            return None;
        }
        let end = end(self.top_begin, begin);
        let kept = std::mem::replace(self.row.get_mut(end)?, END);
        let result = with(&Wanted {
            row: self.row.get(..=end)?,
            octets: &self.row,
        });
        *self.row.get_mut(end)? = kept;
        Some(result)
    }
}

/// Where the row of the parent that begins at `begin` of a name ends, if its last label begins at
/// `top`. A label and its gap take as much of the row as the label and its length of the name, in
/// the opposite order; the last label takes nothing.
const fn end(top: usize, begin: usize) -> usize {
    top.saturating_sub(begin + 1)
}

/// A row that is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Its symbols with its end.
    pub(super) row: &'a [u8],
    /// The same, and something behind it.
    octets: &'a [u8; PADDED_ROW],
}

impl Wanted<'_> {
    /// Its symbols from `at` on, eight of them, the first in the lowest octet; behind its end
    /// stands anything.
    #[inline(always)]
    pub(super) fn eight(&self, at: usize) -> Option<u64> {
        let octets = self.octets.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*octets))
    }
}

/// The first twelve symbols of a row as a number to base 40; rows that come later have the same
/// number or a higher one. 40¹² is less than 2⁶⁴.
pub(super) fn key(row: &[u8]) -> u64 {
    let padded = row.iter().copied().chain(std::iter::repeat(END));
    padded
        .take(KEY_SYMBOLS)
        .fold(0, |key, symbol| key * SYMBOLS as u64 + u64::from(symbol))
}

/// Three symbols of a row from `at` on as a number to base 40. 40³ is less than 2¹⁶.
pub(super) fn short_key(row: &[u8], at: usize) -> u16 {
    let rest = row.get(at..).unwrap_or_default();
    let padded = rest.iter().copied().chain(std::iter::repeat(END));
    padded
        .take(SHORT_SYMBOLS)
        .fold(0, |key, symbol| key * SYMBOLS as u16 + u16::from(symbol))
}

/// The first symbols of a row, given the number that begins it, as many as there is room for.
pub(super) fn from_key(key: u64, into: &mut [u8]) {
    let mut rest = key / BEYOND.get(into.len()).copied().unwrap_or(1);
    for place in into.iter_mut().rev() {
        *place = (rest % SYMBOLS as u64) as u8;
        rest /= SYMBOLS as u64;
    }
}

/// Whether the rows that begin with these numbers have so many symbols in common.
pub(super) fn have_in_common(left: u64, right: u64, symbols: usize) -> bool {
    let beyond = BEYOND.get(symbols).copied().unwrap_or(1);
    left / beyond == right / beyond
}

/// With how many symbols the rows that begin with these numbers begin alike, as far as those tell.
pub(super) fn in_common(left: u64, right: u64) -> usize {
    let counts = (1..=KEY_SYMBOLS).take_while(|count| have_in_common(left, right, *count));
    counts.last().unwrap_or(0)
}

/// For so many symbols, what the symbols of a number behind them amount to, and one more.
const BEYOND: [u64; KEY_SYMBOLS + 1] = {
    let mut table = [1; KEY_SYMBOLS + 1];
    let mut count = KEY_SYMBOLS;
    while count > 0 {
        table[count - 1] = table[count] * SYMBOLS as u64;
        count -= 1;
    }
    table
};

/// Writes the name of a top-level label and a row of symbols without its end in wire format; how
/// long it is. None when it would be no name.
pub(super) fn to_wire(top: &[u8], row: &[u8], wire: &mut [u8; MAX_NAME]) -> Option<usize> {
    let length = row.len() + usize::from(!row.is_empty()) + top.len() + 2;
    if length > MAX_NAME {
        return None;
    }
    let mut end = length - 1;
    *wire.get_mut(end)? = 0;
    let mut put = |label: &mut dyn ExactSizeIterator<Item = u8>| {
        let begin = end.checked_sub(label.len() + 1)?;
        *wire.get_mut(begin)? = u8::try_from(label.len()).ok()?;
        for (place, octet) in wire.get_mut(begin + 1..end)?.iter_mut().zip(label) {
            *place = octet;
        }
        end = begin;
        Some(())
    };
    put(&mut top.iter().copied())?;
    if !row.is_empty() {
        for label in row.split(|symbol| *symbol == GAP) {
            put(&mut label.iter().map(|symbol| octet_of(*symbol)))?;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn names_come_back_from_their_symbols() {
        for text in ["org", "example.org", "a-b.c_d.0.z9.test", "a.b"] {
            let name = Name::parse(text).unwrap();
            let mut spelled = Spelled::new();
            spelled.spell(name.as_ref()).unwrap();
            let top = spelled.top;
            let mut wire = [0; MAX_NAME];
            let length = spelled
                .with_row(0, |wanted| {
                    let (end, row) = wanted.row.split_last().unwrap();
                    assert_eq!(*end, END);
                    to_wire(top, row, &mut wire).unwrap()
                })
                .unwrap();
            assert_eq!(&wire[..length], name.as_ref().as_wire());
        }
        assert!(Spelled::new().spell(NameRef::ROOT).is_none());
    }

    #[test]
    fn what_is_no_letter_cuts_off_what_is_below() {
        let name = NameRef::from_wire(b"\x01a\x01*\x02bc\x03org\0").unwrap();
        let mut spelled = Spelled::new();
        spelled.spell(name).unwrap();
        assert_eq!(
            spelled.with_row(4, |wanted| wanted.row.to_vec()),
            Some(vec![15, 16, END])
        );
        assert_eq!(
            spelled.with_row(7, |wanted| (wanted.row.to_vec(), key(wanted.row))),
            Some((vec![END], 0))
        );
        // Behind the end stands anything.
        let three = |wanted: &Wanted<'_>, at| Some(wanted.eight(at)? & 0xff_ffff);
        let found = spelled.with_row(4, |wanted| [0, 255, 256].map(|at| three(wanted, at)));
        assert_eq!(found, Some([Some(0x10_0f), Some(0), None]));
        assert_eq!(spelled.with_row(2, |_| ()), None);
        assert_eq!(spelled.with_row(0, |_| ()), None);
    }

    #[test]
    fn the_order_of_rows_is_that_of_letters() {
        let letters: Vec<u8> = (2..SYMBOLS as u8).map(octet_of).collect();
        assert!(letters.is_sorted());
        assert_eq!(letters, b"-0123456789_abcdefghijklmnopqrstuvwxyz");
        assert_eq!(key(&[SYMBOLS as u8 - 1; 20]), 40_u64.pow(12) - 1);
        assert!(key(&[5, END]) < key(&[5, GAP, 7, END]));
    }

    #[test]
    fn a_number_tells_the_symbols_it_was_made_of() {
        let row = [39, 1, 5, 39, 14, 2, 7, 20, 30, 39, 2, 3, 9, END];
        for count in 0..=KEY_SYMBOLS {
            let mut symbols = vec![0; count];
            from_key(key(&row), &mut symbols);
            assert_eq!(symbols, row[..count]);
            let mut other = row;
            // Another symbol of the forty.
            other[count] = (other[count] + 1) % 40;
            assert!(have_in_common(key(&row), key(&other), count));
            assert!(count == KEY_SYMBOLS || !have_in_common(key(&row), key(&other), count + 1));
            assert_eq!(in_common(key(&row), key(&other)), count);
        }
        assert_eq!(short_key(&row, 12), 9 * 1600);
        assert_eq!(short_key(&[39; 5], 1), 63_999);
        assert_eq!(short_key(&row, 50), 0);
    }
}
