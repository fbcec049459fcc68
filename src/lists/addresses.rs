//! Addresses that lists name: the section of the index and the view of it.
//!
//! ```text
//! groups   number of them (u32), then for each, the longest prefixes first:
//!          family (u8, 4 or 6), prefix length (u8), zero (u16), records (u32), where they begin (u32)
//! records  the prefix (4 or 16 octets), list (u16), flags (u8), modifiers (u32), sorted
//! table    encoded modifiers, each with its length in front
//! ```
//!
//! All numbers are little-endian, places are counted from the begin of the section. An address is
//! looked for once in each group of its family, by binary search; lists that name addresses use a
//! handful of prefix lengths. No addresses at all make an empty section.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::modifiers::table::{self, ModifierTable};
use super::{AddressEntry, Effect, LineFault, ListId};

/// The most addresses of all lists together: a bound for the compiler's memory (4 MB).
pub const MAX_ADDRESSES: usize = 100_000;

/// A prefix of a list that holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressHit {
    /// Which list.
    pub list: ListId,
    /// How long the prefix is; the longer of two is the more specific.
    pub prefix_len: u8,
    /// What it says about answers with the address.
    pub effect: Effect,
    /// Whether it comes before exceptions of its list that are not important.
    pub important: bool,
    /// What [`Addresses::modifiers`] is to be asked for; none for nearly all.
    pub rule: Option<u32>,
}

/// Collects the addresses of all lists.
#[derive(Debug, Default)]
pub struct AddressesBuilder {
    records: Vec<Record>,
    modifiers: ModifierTable,
}

/// One prefix of one list; in the order in which they stand in the section.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    /// The longest prefixes first, IPv4 before IPv6.
    group: (u8, std::cmp::Reverse<u8>),
    address: IpAddr,
    list: ListId,
    flags: u8,
    modifiers: Vec<u8>,
}

impl AddressesBuilder {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an address of a list.
    ///
    /// # Errors
    /// [`LineFault::Everything`] for a prefix of no bits; [`LineFault::TooManyAddresses`].
    pub fn push(&mut self, list: ListId, entry: &AddressEntry) -> Result<(), LineFault> {
        let prefix = as_ipv4(entry.prefix.trunc());
        if prefix.prefix_len() == 0 {
            return Err(LineFault::Everything("an address prefix of length 0"));
        }
        if self.records.len() >= MAX_ADDRESSES {
            return Err(LineFault::TooManyAddresses);
        }
        let family = if prefix.addr().is_ipv4() { 4 } else { 6 };
        let modifiers = entry.modifiers.as_deref();
        let important = modifiers.is_some_and(|it| it.important);
        self.records.push(Record {
            group: (family, std::cmp::Reverse(prefix.prefix_len())),
            address: prefix.addr(),
            list,
            flags: flags(entry.effect, important),
            modifiers: modifiers.map(super::modifiers::encode).unwrap_or_default(),
        });
        Ok(())
    }

    /// The section; the same whatever order the addresses came in.
    pub fn finish(mut self) -> Vec<u8> {
        self.records.sort_unstable();
        self.records.dedup();
        let groups: Vec<&[Record]> = self.records.chunk_by(|a, b| a.group == b.group).collect();
        if groups.is_empty() {
            return Vec::new();
        }
        let mut section = (groups.len() as u32).to_le_bytes().to_vec();
        let mut begin = HEAD + groups.len() * GROUP;
        for group in &groups {
            let Some(first) = group.first() else { continue };
            let (family, length) = (first.group.0, first.group.1.0);
            section.extend([family, length, 0, 0]);
            // `MAX_ADDRESSES` keeps the section below 4 MB.
            section.extend((group.len() as u32).to_le_bytes());
            section.extend((begin as u32).to_le_bytes());
            begin += group.len() * record_size(family);
        }
        for record in groups.into_iter().flatten() {
            match record.address {
                IpAddr::V4(v4) => section.extend(v4.octets()),
                IpAddr::V6(v6) => section.extend(v6.octets()),
            }
            section.extend(record.list.0.to_le_bytes());
            section.push(record.flags);
            let place = self.modifiers.place(record.modifiers.clone());
            section.extend(place.to_le_bytes());
        }
        section.extend(self.modifiers.into_octets());
        section
    }
}

/// The addresses of an index, to be searched in the octets of their section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    groups: Vec<Group>,
    /// Where the table of modifiers begins.
    table: usize,
}

/// The prefixes of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    family: u8,
    length: u8,
    count: usize,
    begin: usize,
}

impl Addresses {
    /// Reads what is needed to search a section.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn open(section: &[u8]) -> Result<Self, String> {
        if section.is_empty() {
            return Ok(Self::default());
        }
        let count = u32_at(section, 0).ok_or("the addresses' section is cut off")?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > MAX_GROUPS {
            return Err(format!(
                "{count} lengths of prefixes; {MAX_GROUPS} is the most"
            ));
        }
        let mut groups: Vec<Group> = Vec::with_capacity(count);
        let mut end = HEAD + count * GROUP;
        for number in 0..count {
            let group = read_group(section, HEAD + number * GROUP)
                .ok_or("the table of prefix lengths is cut off")?;
            let most = match group.family {
                4 => 32,
                6 => 128,
                other => return Err(format!("the address family {other}")),
            };
            if group.length == 0 || group.length > most {
                return Err(format!("a prefix of {} bits", group.length));
            }
            if group.begin != end {
                return Err("the groups of prefixes do not follow one another".into());
            }
            end = group
                .count
                .checked_mul(record_size(group.family))
                .and_then(|size| end.checked_add(size))
                .filter(|end| *end <= section.len())
                .ok_or("a group of prefixes is cut off")?;
            groups.push(group);
        }
        Ok(Self { groups, table: end })
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Calls `each` for every prefix of every list, the longest first.
    pub fn walk(&self, section: &[u8], mut each: impl FnMut(ListId, AddressEntry)) {
        for group in &self.groups {
            for number in 0..group.count {
                let Some((bits, hit)) = group.record(section, number) else {
                    continue;
                };
                let address = match group.family {
                    // The upper 32 bits.
                    4 => IpAddr::from(((bits >> 96) as u32).to_be_bytes()),
                    _ => IpAddr::from(bits.to_be_bytes()),
                };
                let Ok(prefix) = IpNet::new(address, group.length) else {
                    continue;
                };
                let encoded = hit.rule.and_then(|rule| self.modifiers(section, rule));
                let decoded = encoded.and_then(super::modifiers::decode);
                let mut modifiers = decoded.unwrap_or_default();
                modifiers.important = hit.important;
                let entry = AddressEntry {
                    prefix,
                    effect: hit.effect,
                    modifiers: (modifiers != super::Modifiers::default())
                        .then(|| Box::new(modifiers)),
                };
                each(hit.list, entry);
            }
        }
    }

    /// Calls `each` for every prefix of every list that holds `address`, the longest first.
    pub fn look_up(&self, section: &[u8], address: IpAddr, mut each: impl FnMut(AddressHit)) {
        let (family, bits) = match address.to_canonical() {
            IpAddr::V4(v4) => (4, u128::from(v4.to_bits()) << 96),
            IpAddr::V6(v6) => (6, v6.to_bits()),
        };
        for group in self.groups.iter().filter(|group| group.family == family) {
            // Between 1 and 128; `open` has seen to it.
            let mask = u128::MAX << (128 - u32::from(group.length));
            group.find(section, bits & mask, &mut each);
        }
    }

    /// The encoded modifiers of a hit.
    pub fn modifiers<'s>(&self, section: &'s [u8], rule: u32) -> Option<&'s [u8]> {
        table::at(section.get(self.table..)?, rule)
    }
}

impl Group {
    /// Calls `each` for the records of this very prefix.
    fn find(self, section: &[u8], prefix: u128, each: &mut impl FnMut(AddressHit)) {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((found, _)) = self.record(section, middle) else {
                return;
            };
            if found < prefix {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for number in low..self.count {
            match self.record(section, number) {
                Some((found, hit)) if found == prefix => each(hit),
                _ => return,
            }
        }
    }

    /// A record's prefix, in the upper bits, and what it says.
    fn record(self, section: &[u8], number: usize) -> Option<(u128, AddressHit)> {
        let size = record_size(self.family);
        let record = section.get(self.begin + number * size..)?.get(..size)?;
        let (prefix, rest) = match self.family {
            4 => {
                let (octets, rest) = record.split_first_chunk()?;
                (u128::from(u32::from_be_bytes(*octets)) << 96, rest)
            }
            _ => {
                let (octets, rest) = record.split_first_chunk()?;
                (u128::from_be_bytes(*octets), rest)
            }
        };
        let (list, rest) = rest.split_first_chunk()?;
        let (flags, rest) = rest.split_first()?;
        let hit = AddressHit {
            list: ListId(u16::from_le_bytes(*list)),
            prefix_len: self.length,
            effect: effect_of(*flags),
            important: flags & IMPORTANT != 0,
            rule: table::place_of(u32_at(rest, 0)?),
        };
        Some((prefix, hit))
    }
}

/// Octets in front of the table of groups.
const HEAD: usize = 4;
/// Octets of a group in their table.
const GROUP: usize = 12;
/// One for every prefix length of both families.
const MAX_GROUPS: usize = 32 + 128;

pub(super) const EXCEPTED: u8 = 1;
pub(super) const IMPORTANT: u8 = 2;

/// Effect and importance as they stand in records of this section and that of patterns.
pub(super) const fn flags(effect: Effect, important: bool) -> u8 {
    let effect = match effect {
        Effect::Listed => 0,
        Effect::Excepted => EXCEPTED,
    };
    effect | if important { IMPORTANT } else { 0 }
}

pub(super) const fn effect_of(flags: u8) -> Effect {
    if flags & EXCEPTED == 0 {
        Effect::Listed
    } else {
        Effect::Excepted
    }
}

pub(super) fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    let (number, _) = octets.get(at..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*number))
}

const fn record_size(family: u8) -> usize {
    (if family == 4 { 4 } else { 16 }) + 2 + 1 + 4
}

fn read_group(section: &[u8], at: usize) -> Option<Group> {
    let (head, rest) = section.get(at..)?.split_first_chunk::<4>()?;
    let [family, length, _, _] = *head;
    Some(Group {
        family,
        length,
        count: usize::try_from(u32_at(rest, 0)?).ok()?,
        begin: usize::try_from(u32_at(rest, 4)?).ok()?,
    })
}

/// IPv4 prefixes that a list writes in IPv6 (`::ffff:192.0.2.0/120`), as IPv4 ones: so the
/// addresses of answers are compared too.
fn as_ipv4(prefix: IpNet) -> IpNet {
    if let IpNet::V6(v6) = prefix
        && let Some(address) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(address, length)
    {
        return v4.into();
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Condition, Modifiers};
    use proptest::prelude::*;

    fn entry(prefix: &str) -> AddressEntry {
        AddressEntry {
            prefix: prefix.parse().unwrap(),
            effect: Effect::Listed,
            modifiers: None,
        }
    }

    /// What is found, each as list and prefix length.
    fn hits(section: &[u8], address: IpAddr) -> Vec<(u16, u8)> {
        let mut found = Vec::new();
        Addresses::open(section)
            .unwrap()
            .look_up(section, address, |hit| {
                found.push((hit.list.0, hit.prefix_len))
            });
        found
    }

    #[test]
    fn the_longest_prefix_comes_first() {
        let mut builder = AddressesBuilder::new();
        for (list, prefix) in [
            (0, "192.0.2.0/24"),
            (1, "192.0.2.0/24"),
            (1, "192.0.2.7/32"),
            (2, "192.0.0.0/16"),
            (2, "198.51.100.0/24"),
            (3, "2001:db8::/32"),
            (3, "::ffff:192.0.2.4/126"),
        ] {
            builder.push(ListId(list), &entry(prefix)).unwrap();
        }
        let section = builder.finish();
        let expected = [(1, 32), (3, 30), (0, 24), (1, 24), (2, 16)];
        assert_eq!(hits(&section, [192, 0, 2, 7].into()), expected);
        let mapped = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(hits(&section, mapped), expected);
        assert_eq!(hits(&section, "2001:db8:7::1".parse().unwrap()), [(3, 32)]);
        assert_eq!(hits(&section, [203, 0, 113, 1].into()), []);
    }

    #[test]
    fn a_hit_says_all_that_the_line_said() {
        let modifiers = Modifiers {
            important: true,
            types: vec![Condition {
                negated: true,
                value: 28,
            }],
            ..Modifiers::default()
        };
        let rule = AddressEntry {
            effect: Effect::Excepted,
            modifiers: Some(Box::new(modifiers.clone())),
            ..entry("192.0.2.0/24")
        };
        let mut builder = AddressesBuilder::new();
        builder.push(ListId(5), &rule).unwrap();
        let section = builder.finish();
        let addresses = Addresses::open(&section).unwrap();
        let mut found = Vec::new();
        addresses.look_up(&section, [192, 0, 2, 1].into(), |hit| found.push(hit));
        assert_eq!(
            found,
            [AddressHit {
                list: ListId(5),
                prefix_len: 24,
                effect: Effect::Excepted,
                important: true,
                rule: Some(0),
            }]
        );
        let encoded = addresses.modifiers(&section, 0).unwrap();
        assert_eq!(encoded, super::super::modifiers::encode(&modifiers));
    }

    #[test]
    fn what_would_match_everything_is_refused() {
        let mut builder = AddressesBuilder::new();
        let fault = LineFault::Everything("an address prefix of length 0");
        for prefix in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
            let pushed = builder.push(ListId(0), &entry(prefix));
            assert_eq!(pushed, Err(fault.clone()), "{prefix}");
        }
        assert!(builder.finish().is_empty());
        assert!(Addresses::open(&[]).unwrap().is_empty());
    }

    #[test]
    fn more_than_there_may_be_are_refused() {
        let mut builder = AddressesBuilder::new();
        let one = entry("192.0.2.1/32");
        for _ in 0..MAX_ADDRESSES {
            builder.push(ListId(0), &one).unwrap();
        }
        let fault = LineFault::TooManyAddresses;
        assert_eq!(builder.push(ListId(0), &one), Err(fault));
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        prop_oneof![
            (any::<[u8; 2]>(), 1_u8..=32).prop_map(|([a, b], length)| {
                IpNet::new([a & 0x83, 0, 0, b & 7].into(), length).unwrap()
            }),
            (any::<[u16; 2]>(), 1_u8..=128).prop_map(|([a, b], length)| {
                IpNet::new([a & 0x8003, 0, 0, 0, 0, 0, 0, b & 7].into(), length).unwrap()
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_prefix_that_holds_the_address_is_found(
            entries in proptest::collection::vec((0_u16..3, prefix()), 0..40),
            asked in prefix(),
        ) {
            let mut builder = AddressesBuilder::new();
            for (list, prefix) in &entries {
                let entry = AddressEntry { prefix: *prefix, effect: Effect::Listed, modifiers: None };
                builder.push(ListId(*list), &entry).unwrap();
            }
            let section = builder.finish();
            let address = asked.addr();
            let mut expected: Vec<(u16, u8)> = entries
                .iter()
                .filter(|(_, prefix)| prefix.contains(&address))
                .map(|(list, prefix)| (*list, prefix.prefix_len()))
                .collect();
            expected.sort_by_key(|(list, length)| (std::cmp::Reverse(*length), *list));
            expected.dedup();
            prop_assert_eq!(hits(&section, address), expected);
        }

        #[test]
        fn a_damaged_section_breaks_nothing(
            entries in proptest::collection::vec(prefix(), 1..10),
            changes in proptest::collection::vec((0_usize..500, any::<u8>()), 0..6),
            length in 0_usize..500,
            asked in prefix(),
        ) {
            let mut builder = AddressesBuilder::new();
            for prefix in entries {
                let entry = AddressEntry { prefix, effect: Effect::Listed, modifiers: None };
                builder.push(ListId(0), &entry).unwrap();
            }
            let mut section = builder.finish();
            for (at, value) in changes {
                let at = at % section.len();
                section[at] = value;
            }
            section.truncate(length.max(1));
            if let Ok(addresses) = Addresses::open(&section) {
                addresses.look_up(&section, asked.addr(), |hit| {
                    let _modifiers = hit.rule.and_then(|rule| addresses.modifiers(&section, rule));
                });
            }
        }
    }
}
