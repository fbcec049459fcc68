//! Proofs that something does not exist: NSEC (RFC 4035 section 5.4) and NSEC3 (RFC 5155 section 8).
//!
//! An NSEC says: between this name and the next one of the zone there is none, and this name has those
//! types. NSEC3 says the same of hashes. Only records whose signatures were checked come in here, and
//! all of one zone.

use std::cmp::Ordering;

use super::effort::{Effort, MAX_ITERATIONS, Spent};
use super::rrset::Rrset;
use crate::message::rtype;
use crate::name::{NameBuf, NameRef};

/// NSEC (RFC 4034 section 4).
pub(super) const NSEC: u16 = 47;
/// NSEC3 (RFC 5155 section 3).
pub(super) const NSEC3: u16 = 50;
const NS: u16 = 2;
/// Says in an NSEC of its own that a name does not exist (RFC 9824 section 3).
const NXNAME: u16 = 128;

/// What was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is so.
    Holds,
    /// It may be so: unsigned delegations are left out of what is proved (opt-out, RFC 5155 section 6).
    OptOut,
    /// The names of this zone are hashed more often than is checked (RFC 9276 section 3.2).
    TooManyIterations,
    /// No.
    Missing,
}

/// What a name is to its zone, by proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// A delegation without DS: what is below is unsigned.
    Unsigned,
    /// A name of the zone itself, or between its names.
    Inside,
    /// There is no such name, and so nothing below it.
    Nothing,
    /// Too many iterations to say.
    TooManyIterations,
    /// Nothing was proved.
    Unproved,
}

/// The proofs of one zone in one message.
#[derive(Debug)]
pub(super) struct Denial<'s> {
    zone: NameRef<'s>,
    plain: Vec<Nsec<'s>>,
    hashed: Vec<Nsec3<'s>>,
}

#[derive(Clone, Copy, Debug)]
struct Nsec<'s> {
    owner: NameRef<'s>,
    next: NameBuf,
    types: Types<'s>,
}

#[derive(Clone, Copy, Debug)]
struct Nsec3<'s> {
    owner: [u8; 20],
    next: [u8; 20],
    opt_out: bool,
    iterations: u16,
    salt: &'s [u8],
    types: Types<'s>,
}

/// A bitmap of types (RFC 4034 section 4.1.2).
#[derive(Clone, Copy, Debug)]
struct Types<'s>(&'s [u8]);

impl Types<'_> {
    fn has(self, kind: u16) -> bool {
        let [window, low] = kind.to_be_bytes();
        let mut rest = self.0;
        while let &[number, length, ref after @ ..] = rest {
            let Some((bits, after)) = after.split_at_checked(usize::from(length)) else {
                return false;
            };
            if number == window {
                let octet = bits.get(usize::from(low / 8));
                return octet.is_some_and(|octet| octet & (0x80 >> (low % 8)) != 0);
            }
            rest = after;
        }
        false
    }

    /// Whether the record is of the parent's side of a delegation: it says nothing of what is below
    /// (RFC 6840 section 4.1).
    fn is_delegation(self) -> bool {
        self.has(NS) && !self.has(rtype::SOA)
    }

    /// Whether names below come from elsewhere.
    fn ends_here(self) -> bool {
        self.is_delegation() || self.has(rtype::DNAME)
    }

    /// Whether it proves that its owner has no records of `qtype`, nor an alias that would lead on.
    fn lacks(self, qtype: u16, is_root: bool) -> bool {
        let is_right_side = if qtype == rtype::DS {
            // The child's own says nothing of the parent's DS.
            is_root || !self.has(rtype::SOA)
        } else {
            !self.is_delegation()
        };
        is_right_side && !self.has(qtype) && !self.has(rtype::CNAME)
    }
}

impl<'s> Denial<'s> {
    /// The proofs among `sets`, which were all checked with the keys of `zone`.
    pub(super) fn new(zone: NameRef<'s>, sets: &[&'s Rrset]) -> Self {
        let mut plain = Vec::new();
        let mut hashed: Vec<Nsec3<'_>> = Vec::new();
        for set in sets {
            for data in &set.data {
                match set.rtype {
                    NSEC => plain.extend(Nsec::read(set.owner.as_ref(), data)),
                    NSEC3 => hashed.extend(Nsec3::read(set.owner.as_ref(), zone, data)),
                    _ => {}
                }
            }
        }
        // All of one chain, or nothing fits together (RFC 5155 section 8.2).
        if let Some(first) = hashed.first().copied() {
            hashed.retain(|it| (it.iterations, it.salt) == (first.iterations, first.salt));
        }
        Self {
            zone,
            plain,
            hashed,
        }
    }

    /// Whether `name` does not exist, nor a wildcard that would stand in for it.
    pub(super) fn no_name(
        &mut self,
        name: NameRef<'_>,
        effort: &mut Effort,
    ) -> Result<Proof, Spent> {
        let mut plain = self.plain.iter();
        if plain.any(|it| it.owner == name && it.types.has(NXNAME)) {
            return Ok(Proof::Holds);
        }
        if let Some(encloser) = self.plain_encloser(name) {
            let wildcard = wildcard_of(encloser.as_ref());
            let covered = wildcard.is_some_and(|it| self.leaves_out(it.as_ref()));
            return Ok(if covered {
                Proof::Holds
            } else {
                Proof::Missing
            });
        }
        let Some(found) = self.hashed_encloser(name, effort)? else {
            return Ok(self.nothing());
        };
        let Some((next_closer, opt_out)) = found.beyond else {
            // It exists.
            return Ok(Proof::Missing);
        };
        debug_assert!(name.is_within(next_closer.as_ref()));
        let Some(wildcard) = wildcard_of(found.encloser.as_ref()) else {
            return Ok(Proof::Missing);
        };
        Ok(match self.hash_covering(wildcard.as_ref(), effort)? {
            Some(_) if opt_out => Proof::OptOut,
            Some(_) => Proof::Holds,
            None => Proof::Missing,
        })
    }

    /// Whether `name` has no records of `qtype`, nor a wildcard that would stand in for it.
    pub(super) fn no_data(
        &mut self,
        name: NameRef<'_>,
        qtype: u16,
        effort: &mut Effort,
    ) -> Result<Proof, Spent> {
        let holds = |it: bool| if it { Proof::Holds } else { Proof::Missing };
        if let Some(own) = self.plain.iter().find(|it| it.owner == name) {
            return Ok(holds(own.types.lacks(qtype, name.is_root())));
        }
        if let Some(covering) = self.covering(name) {
            if covering.next.as_ref().is_within(name) {
                // A name without records above one that has some.
                return Ok(Proof::Holds);
            }
            let encloser = self.plain_encloser(name);
            let wildcard = encloser.and_then(|it| wildcard_of(it.as_ref()));
            let its = wildcard.and_then(|wildcard| {
                let mut plain = self.plain.iter();
                plain.find(|it| it.owner == wildcard.as_ref())
            });
            return Ok(holds(its.is_some_and(|it| it.types.lacks(qtype, false))));
        }
        if self.hashed.is_empty() {
            return Ok(Proof::Missing);
        }
        if self.is_costly() {
            return Ok(Proof::TooManyIterations);
        }
        if let Some(own) = self.hash_matching(name, effort)? {
            return Ok(holds(own.types.lacks(qtype, name.is_root())));
        }
        let Some(found) = self.hashed_encloser(name, effort)? else {
            return Ok(Proof::Missing);
        };
        let Some((_, opt_out)) = found.beyond else {
            return Ok(Proof::Missing);
        };
        if qtype == rtype::DS && opt_out {
            return Ok(Proof::OptOut);
        }
        let Some(wildcard) = wildcard_of(found.encloser.as_ref()) else {
            return Ok(Proof::Missing);
        };
        let its = self.hash_matching(wildcard.as_ref(), effort)?;
        let lacks = its.is_some_and(|it| it.types.lacks(qtype, false));
        // With opt-out an unsigned delegation may stand where the wildcard was taken for an answer.
        Ok(match (lacks, opt_out) {
            (true, true) => Proof::OptOut,
            (lacks, _) => holds(lacks),
        })
    }

    /// Whether there is no name closer to `name` than `encloser`, so that the wildcard there may stand
    /// in for it (RFC 4035 section 5.3.4, RFC 5155 section 8.8).
    pub(super) fn no_closer(
        &mut self,
        name: NameRef<'_>,
        encloser: NameRef<'_>,
        effort: &mut Effort,
    ) -> Result<Proof, Spent> {
        let Some(next_closer) = below(name, encloser) else {
            return Ok(Proof::Missing);
        };
        if self.leaves_out(next_closer) {
            return Ok(Proof::Holds);
        }
        if self.hashed.is_empty() {
            return Ok(Proof::Missing);
        }
        if self.is_costly() {
            return Ok(Proof::TooManyIterations);
        }
        Ok(match self.hash_covering(next_closer, effort)? {
            Some(covering) if covering.opt_out => Proof::OptOut,
            Some(_) => Proof::Holds,
            None => Proof::Missing,
        })
    }

    /// What `child`, for which there is no DS, is to the zone.
    pub(super) fn child(
        &mut self,
        child: NameRef<'_>,
        effort: &mut Effort,
    ) -> Result<Below, Spent> {
        let of_types = |types: Types<'_>| {
            if types.has(rtype::DS) || types.has(rtype::SOA) {
                Below::Unproved
            } else if types.has(NS) {
                Below::Unsigned
            } else {
                Below::Inside
            }
        };
        if let Some(own) = self.plain.iter().find(|it| it.owner == child) {
            return Ok(of_types(own.types));
        }
        if let Some(covering) = self.covering(child) {
            let is_between = covering.next.as_ref().is_within(child);
            return Ok(if is_between {
                Below::Inside
            } else {
                Below::Nothing
            });
        }
        if self.hashed.is_empty() {
            return Ok(Below::Unproved);
        }
        if self.is_costly() {
            return Ok(Below::TooManyIterations);
        }
        if let Some(own) = self.hash_matching(child, effort)? {
            return Ok(of_types(own.types));
        }
        let found = self.hashed_encloser(child, effort)?;
        Ok(match found.and_then(|it| it.beyond) {
            Some((_, true)) => Below::Unsigned,
            Some((_, false)) => Below::Nothing,
            None => Below::Unproved,
        })
    }

    fn nothing(&self) -> Proof {
        match self.is_costly() {
            true => Proof::TooManyIterations,
            false => Proof::Missing,
        }
    }

    fn is_costly(&self) -> bool {
        let first = self.hashed.first();
        first.is_some_and(|it| it.iterations > MAX_ITERATIONS)
    }

    /// The NSEC within whose gap `name` lies.
    fn covering(&self, name: NameRef<'_>) -> Option<&Nsec<'s>> {
        if !name.is_within(self.zone) {
            return None;
        }
        self.plain.iter().find(|it| {
            let next = it.next.as_ref();
            let in_gap = order(it.owner, name).is_lt()
                && (order(name, next).is_lt() || order(next, it.owner).is_le());
            // Below a delegation or a DNAME it says nothing.
            in_gap && !(name.is_within(it.owner) && it.types.ends_here())
        })
    }

    /// Whether an NSEC says that there is no `name`: one without records above a name that has some lies
    /// in a gap too, and exists (RFC 4592 section 2.2.2).
    fn leaves_out(&self, name: NameRef<'_>) -> bool {
        let covering = self.covering(name);
        covering.is_some_and(|it| !it.next.as_ref().is_within(name))
    }

    /// The longest existing name above `name`, by the NSEC in whose gap that lies.
    fn plain_encloser(&self, name: NameRef<'_>) -> Option<NameBuf> {
        let covering = self.covering(name)?;
        let of = |other| common(name, other);
        let (left, right) = (of(covering.owner), of(covering.next.as_ref()));
        let longer = if left.label_count() >= right.label_count() {
            left
        } else {
            right
        };
        // It is above `name`, or `name` would exist, with its own records or without.
        (longer != name && longer.is_within(self.zone)).then(|| longer.into())
    }

    /// The closest encloser by hashes (RFC 5155 section 8.3); none without proof.
    fn hashed_encloser(
        &mut self,
        name: NameRef<'_>,
        effort: &mut Effort,
    ) -> Result<Option<Encloser>, Spent> {
        if self.hashed.is_empty() || self.is_costly() || !name.is_within(self.zone) {
            return Ok(None);
        }
        let zone = self.zone;
        let mut next_closer: Option<NameRef<'_>> = None;
        for candidate in name.suffixes().chain(std::iter::once(NameRef::ROOT)) {
            if !candidate.is_within(zone) {
                break;
            }
            let Some(matching) = self.hash_matching(candidate, effort)? else {
                next_closer = Some(candidate);
                continue;
            };
            let Some(closer) = next_closer else {
                return Ok(Some(Encloser {
                    encloser: candidate.into(),
                    beyond: None,
                }));
            };
            if matching.types.ends_here() {
                return Ok(None);
            }
            let Some(covering) = self.hash_covering(closer, effort)? else {
                return Ok(None);
            };
            return Ok(Some(Encloser {
                encloser: candidate.into(),
                beyond: Some((closer.into(), covering.opt_out)),
            }));
        }
        Ok(None)
    }

    fn hash_matching(
        &mut self,
        name: NameRef<'_>,
        effort: &mut Effort,
    ) -> Result<Option<Nsec3<'s>>, Spent> {
        let hash = self.hash(name, effort)?;
        Ok(self.hashed.iter().find(|it| it.owner == hash).copied())
    }

    fn hash_covering(
        &mut self,
        name: NameRef<'_>,
        effort: &mut Effort,
    ) -> Result<Option<Nsec3<'s>>, Spent> {
        let hash = self.hash(name, effort)?;
        let covering = self.hashed.iter().find(|it| {
            if it.owner < it.next {
                it.owner < hash && hash < it.next
            } else {
                // The last of the chain, or the only one.
                hash > it.owner || hash < it.next
            }
        });
        Ok(covering.copied())
    }

    fn hash(&mut self, name: NameRef<'_>, effort: &mut Effort) -> Result<[u8; 20], Spent> {
        match self.hashed.first() {
            Some(first) => effort.hash(name, first.salt, first.iterations),
            None => Ok([0; 20]),
        }
    }
}

/// The closest encloser of a name.
struct Encloser {
    encloser: NameBuf,
    /// The name one label longer, which does not exist, and whether that is said with opt-out; none
    /// when the name itself exists.
    beyond: Option<(NameBuf, bool)>,
}

impl<'s> Nsec<'s> {
    fn read(owner: NameRef<'s>, data: &'s [u8]) -> Option<Self> {
        let (next, used) = NameBuf::read_wire(data).ok()?;
        Some(Self {
            owner,
            next,
            types: Types(data.get(used..)?),
        })
    }
}

impl<'s> Nsec3<'s> {
    /// Reads one of `zone`; none for hashes and flags that are not known, which say nothing (RFC 5155
    /// section 8.1 and 8.2).
    fn read(owner: NameRef<'s>, zone: NameRef<'_>, data: &'s [u8]) -> Option<Self> {
        const SHA_1: u8 = 1;
        let label = owner.labels().next()?;
        if owner.parent()? != zone {
            return None;
        }
        let (&[algorithm, flags, high, low, salt], rest) = data.split_first_chunk()?;
        if algorithm != SHA_1 || flags > 1 {
            return None;
        }
        let (salt, rest) = rest.split_at_checked(usize::from(salt))?;
        let (&length, rest) = rest.split_first()?;
        let (next, types) = rest.split_at_checked(usize::from(length))?;
        Some(Self {
            owner: from_base32hex(label)?,
            next: next.try_into().ok()?,
            opt_out: flags & 1 != 0,
            iterations: u16::from_be_bytes([high, low]),
            salt,
            types: Types(types),
        })
    }
}

/// The 20 octets that a label of 32 letters spells (RFC 4648 section 7).
pub(super) fn from_base32hex(label: &[u8]) -> Option<[u8; 20]> {
    if label.len() != 32 {
        return None;
    }
    let mut hash = [0; 20];
    for (letters, octets) in label.chunks(8).zip(hash.chunks_mut(5)) {
        let mut bits = 0_u64;
        for letter in letters {
            let value = match letter {
                b'0'..=b'9' => letter - b'0',
                b'a'..=b'v' => letter - b'a' + 10,
                b'A'..=b'V' => letter - b'A' + 10,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        octets.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(hash)
}

/// Canonical order of names (RFC 4034 section 6.1): label by label from the root.
pub(super) fn order(left: NameRef<'_>, right: NameRef<'_>) -> Ordering {
    let labels = |name: NameRef<'_>| {
        let mut places = [0_u8; 128];
        let mut count = 0;
        let mut at = 0;
        // A name has 127 labels at most.
        for label in name.labels() {
            places[count] = at;
            count += 1;
            at += 1 + label.len() as u8;
        }
        (places, count)
    };
    let ((lefts, left_count), (rights, right_count)) = (labels(left), labels(right));
    let label = |name: NameRef<'_>, at: u8| -> (usize, usize) {
        let start = usize::from(at) + 1;
        (start, start + usize::from(name.as_wire()[usize::from(at)]))
    };
    for back in 1..=left_count.min(right_count) {
        let (from, to) = label(left, lefts[left_count - back]);
        let (other_from, other_to) = label(right, rights[right_count - back]);
        let order = left.as_wire()[from..to].cmp(&right.as_wire()[other_from..other_to]);
        if order.is_ne() {
            return order;
        }
    }
    left_count.cmp(&right_count)
}

/// The longest name above both, or one of them.
fn common<'n>(name: NameRef<'n>, other: NameRef<'_>) -> NameRef<'n> {
    let mut above = name.suffixes();
    above
        .find(|it| other.is_within(*it))
        .unwrap_or(NameRef::ROOT)
}

/// The name one label longer than `ancestor` that `name` is or lies below.
pub(super) fn below<'n>(name: NameRef<'n>, ancestor: NameRef<'_>) -> Option<NameRef<'n>> {
    if !name.is_within(ancestor) {
        return None;
    }
    let longer = name.label_count().checked_sub(ancestor.label_count() + 1)?;
    name.suffixes().nth(longer)
}

/// `*.encloser`; none if that would be too long a name.
pub(super) fn wildcard_of(encloser: NameRef<'_>) -> Option<NameBuf> {
    let wire = [b"\x01*", encloser.as_wire()].concat();
    NameBuf::read_wire(&wire).ok().map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NameBuf {
        NameBuf::parse(text).unwrap()
    }

    #[test]
    fn names_are_ordered_as_in_rfc_4034_section_6_1() {
        let wires: [&[u8]; 9] = [
            b"\x07example\0",
            b"\x01a\x07example\0",
            b"\x08yljkjljk\x01a\x07example\0",
            b"\x01z\x01a\x07example\0",
            b"\x04zabc\x01a\x07example\0",
            b"\x01z\x07example\0",
            b"\x01\x01\x01z\x07example\0",
            b"\x01*\x01z\x07example\0",
            b"\x01\xc8\x01z\x07example\0",
        ];
        let names: Vec<NameRef<'_>> = wires
            .iter()
            .map(|wire| NameRef::from_wire(wire).unwrap())
            .collect();
        for (index, left) in names.iter().enumerate() {
            for (other, right) in names.iter().enumerate() {
                assert_eq!(order(*left, *right), index.cmp(&other), "{left} {right}");
            }
        }
        assert!(order(NameRef::ROOT, names[0]).is_lt());
    }

    #[test]
    fn bitmaps_are_read_and_never_past_their_end() {
        // A, MX, RRSIG, NSEC and TYPE1234, from RFC 4034 section 4.3.
        let mut bits = b"\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b".to_vec();
        bits.extend([0; 26]);
        bits.push(0x20);
        let types = Types(&bits);
        let has: Vec<u16> = (0..=2000).filter(|kind| types.has(*kind)).collect();
        assert_eq!(has, [1, 15, 46, 47, 1234]);
        for cut in 0..bits.len() {
            assert!(!Types(&bits[..cut]).has(1234));
        }
    }

    /// RUSTSEC-2026-0118: another validator never came to an end here.
    #[test]
    fn a_name_outside_the_zone_is_proved_by_nothing() {
        let (zone, stranger) = (name("zone.test"), name("www.example.org"));
        let hash = Nsec3 {
            owner: [0; 20],
            next: [0xff; 20],
            opt_out: false,
            iterations: 0,
            salt: &[],
            types: Types(&[]),
        };
        let mut denial = Denial {
            zone: zone.as_ref(),
            plain: Vec::new(),
            hashed: vec![hash],
        };
        let mut effort = Effort::new();
        let stranger = stranger.as_ref();
        assert_eq!(denial.no_name(stranger, &mut effort), Ok(Proof::Missing));
        assert_eq!(denial.no_data(stranger, 1, &mut effort), Ok(Proof::Missing));
        assert_eq!(denial.child(stranger, &mut effort), Ok(Below::Unproved));
        assert_eq!(
            denial.no_closer(stranger, zone.as_ref(), &mut effort),
            Ok(Proof::Missing)
        );
    }

    #[test]
    fn what_is_between_two_names() {
        let (zone, www) = (name("zone.test"), name("a.b.www.zone.test"));
        let closer = below(www.as_ref(), zone.as_ref()).unwrap();
        assert_eq!(closer.to_string(), "www.zone.test");
        assert_eq!(below(zone.as_ref(), zone.as_ref()), None);
        assert_eq!(below(www.as_ref(), name("other.test").as_ref()), None);
        let shared = common(www.as_ref(), name("c.www.zone.test").as_ref());
        assert_eq!(shared.to_string(), "www.zone.test");
        assert!(common(www.as_ref(), name("org").as_ref()).is_root());
    }

    #[test]
    fn letters_of_a_hash() {
        assert_eq!(from_base32hex(&[b'0'; 32]), Some([0; 20]));
        assert_eq!(from_base32hex(&[b'v'; 32]), Some([255; 20]));
        assert_eq!(from_base32hex(&[b'w'; 32]), None);
        assert_eq!(from_base32hex(&[b'0'; 31]), None);
    }
}
