//! Keys of zones, and what their parents say of them.

use super::crypto;
use crate::name::NameRef;

/// A DNSKEY (RFC 4034 section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    flags: u16,
    protocol: u8,
    pub(super) algorithm: u8,
    pub(super) tag: u16,
    /// All of its RDATA.
    data: Box<[u8]>,
}

/// ZONE (RFC 4034 section 2.1.1).
const ZONE: u16 = 0x0100;
/// REVOKE (RFC 5011 section 2.1).
const REVOKE: u16 = 0x0080;

impl Key {
    /// Reads the RDATA of a DNSKEY.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let &[high, low, protocol, algorithm] = data.first_chunk()?;
        Some(Self {
            flags: u16::from_be_bytes([high, low]),
            protocol,
            algorithm,
            tag: tag(data),
            data: data.into(),
        })
    }

    /// Whether it may sign what a zone holds.
    pub(super) const fn may_sign(&self) -> bool {
        self.flags & ZONE != 0 && self.protocol == 3
    }

    /// Whether its owner has withdrawn it: it vouches for nothing but that (RFC 5011 section 2.1).
    pub(super) const fn is_revoked(&self) -> bool {
        self.flags & REVOKE != 0
    }

    /// Whether something can be concluded from what it signed, here.
    pub(super) fn is_known(&self) -> bool {
        let key = self.data.get(4..).unwrap_or_default();
        crypto::knows_algorithm(self.algorithm) && crypto::knows_size(self.algorithm, key)
    }

    /// Whether it made `signature`.
    pub(super) fn signed(&self, data: &[u8], signature: &[u8]) -> bool {
        let key = self.data.get(4..).unwrap_or_default();
        crypto::is_signed(self.algorithm, key, data, signature)
    }

    /// Octets it takes in memory.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.data.len()
    }
}

/// The key tag (RFC 4034 appendix B). Algorithm 1, which counts differently, is not known here.
fn tag(data: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for (index, octet) in data.iter().enumerate() {
        let value = u32::from(*octet);
        sum += if index % 2 == 0 { value << 8 } else { value };
    }
    ((sum + (sum >> 16)) & 0xffff) as u16
}

/// What a parent says of its child's key (RFC 4034 section 5), or a trust anchor of the root's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ds {
    pub(super) tag: u16,
    pub(super) algorithm: u8,
    pub(super) kind: u8,
    pub(super) digest: Box<[u8]>,
}

impl Ds {
    /// Reads the RDATA of a DS.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let (&[high, low, algorithm, kind], digest) = data.split_first_chunk()?;
        Some(Self {
            tag: u16::from_be_bytes([high, low]),
            algorithm,
            kind,
            digest: digest.into(),
        })
    }

    /// Whether something can be concluded from it here.
    pub(super) const fn is_known(&self) -> bool {
        crypto::knows_algorithm(self.algorithm) && crypto::knows_digest(self.kind)
    }

    /// Whether it names `key`, by its number.
    pub(super) const fn may_mean(&self, key: &Key) -> bool {
        self.tag == key.tag && self.algorithm == key.algorithm
    }

    /// Whether it means `key` of `zone`.
    pub(super) fn means(&self, key: &Key, zone: NameRef<'_>) -> bool {
        crypto::is_digest(self.kind, &[zone.as_wire(), &key.data], &self.digest)
    }
}

/// Those of `all` that count: the known ones, and SHA-1 only where nothing better is there (RFC 4509
/// section 3).
pub(super) fn that_count(all: Vec<Ds>) -> Vec<Ds> {
    const SHA_1: u8 = 1;
    let mut known: Vec<Ds> = all.into_iter().filter(Ds::is_known).collect();
    if known.iter().any(|it| it.kind != SHA_1) {
        known.retain(|it| it.kind != SHA_1);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_counted_as_in_rfc_4034_section_5_4() {
        // dskey.example.com, from the RFC.
        let text = "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD9\
                    9WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPb\
                    tG9DMBmADjFDc2w/rljwvFw==";
        let mut data = vec![1, 0, 3, 5];
        data.extend(base64(text));
        let key = Key::read(&data).unwrap();
        assert_eq!(
            (key.tag, key.may_sign(), key.is_revoked()),
            (60485, true, false)
        );
        let digest = "2BB183AF5F22588179A53B0A98631FAD1A292118";
        let digest: Vec<u8> = (0..20)
            .map(|at| u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let ds = Ds::read(&[&[0xec, 0x45, 5, 1][..], &digest].concat()).unwrap();
        let owner = crate::name::NameBuf::parse("dskey.example.com").unwrap();
        assert!(ds.may_mean(&key) && ds.means(&key, owner.as_ref()));
        let other = crate::name::NameBuf::parse("other.example.com").unwrap();
        assert!(!ds.means(&key, other.as_ref()));
    }

    #[test]
    fn sha_1_does_not_count_beside_something_better() {
        let ds = |kind, algorithm| Ds {
            tag: 1,
            algorithm,
            kind,
            digest: Box::default(),
        };
        assert_eq!(that_count(vec![ds(1, 8), ds(2, 8)]), [ds(2, 8)]);
        assert_eq!(that_count(vec![ds(1, 8), ds(3, 8), ds(2, 99)]), [ds(1, 8)]);
        assert_eq!(that_count(vec![ds(3, 8)]), []);
    }

    fn base64(text: &str) -> Vec<u8> {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bits = 0_u32;
        let mut count = 0;
        let mut out = Vec::new();
        for letter in text.bytes() {
            let Some(value) = LETTERS.iter().position(|it| *it == letter) else {
                continue;
            };
            bits = bits << 6 | value as u32;
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count) as u8);
                bits &= (1 << count) - 1;
            }
        }
        out
    }
}
