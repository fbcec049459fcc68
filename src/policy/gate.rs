//! A look so short that it can be had for every name: is it surely not in a small table?
//!
//! A household's tables are small, and nearly no name stands in them. Hashing a name and each of its
//! parents well costs more than the look-up among a million names that follows; so a table first asks
//! its sieve, which reads eight octets of a name and its length.

use crate::name::NameRef;

/// Bits of a sieve: at a thousand names one look in sixty is in vain.
const BITS: usize = 1 << 16;

/// A set of names that says "surely not", or "perhaps".
#[derive(Clone, Debug)]
pub(super) struct Sieve(Box<[u64; BITS / 64]>);

impl Sieve {
    /// The sieve of these names.
    pub(super) fn of<'n>(names: impl IntoIterator<Item = NameRef<'n>>) -> Self {
        let mut bits = Box::new([0; BITS / 64]);
        for name in names {
            let place = place(name);
            bits[place / 64] |= 1 << (place % 64);
        }
        Self(bits)
    }

    /// Whether the name may be one of them.
    #[inline]
    pub(super) fn may_hold(&self, name: NameRef<'_>) -> bool {
        let place = place(name);
        self.0[place / 64] >> (place % 64) & 1 == 1
    }
}

/// The bit of a name. Names are written in lower case, and none of a table is told from another one
/// by what follows the eighth octet and its length: that only costs a look in vain.
#[inline]
fn place(name: NameRef<'_>) -> usize {
    let wire = name.as_wire();
    let first = match wire.first_chunk() {
        Some(first) => u64::from_le_bytes(*first),
        None => wire
            .iter()
            .fold(0, |sum, octet| sum << 8 | u64::from(*octet)),
    };
    // Two rounds: names that differ in a digit differ in every bit then.
    let mixed = (first ^ (wire.len() as u64).rotate_right(8)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> (64 - BITS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn what_is_in_is_never_missed_and_little_else_is_let_through() {
        let name = |text: String| Name::parse(&text).unwrap();
        let held: Vec<Name> = (0..1000)
            .map(|it| name(format!("rule{it}.p{}.example.com", it % 7)))
            .chain((0..20).map(|it| name(format!("a{it}.b"))))
            .collect();
        let sieve = Sieve::of(held.iter().map(Name::as_ref));
        assert!(held.iter().all(|name| sieve.may_hold(name.as_ref())));
        let others = (0..10_000).map(|it| name(format!("host{it}.example.org")));
        let through = others.filter(|name| sieve.may_hold(name.as_ref())).count();
        assert!(through < 250, "{through}");
        assert!(!Sieve::of([]).may_hold(NameRef::ROOT));
    }
}
