//! Reading DNS messages in place: header, names with compression pointers, records.
//!
//! Nothing here allocates or trusts a length. A record is a view of where its parts stand, so that
//! an upstream's message can be kept as it came and only the places that change (TTLs) be known.

use std::ops::Range;

use crate::name::{MAX_LABEL, MAX_NAME, NameBuf, NameRef};

/// Octets of the header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;

/// Record types this program knows by number.
pub mod rtype {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Alias.
    pub const CNAME: u16 = 5;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// Pointer.
    pub const PTR: u16 = 12;
    /// Host information; carries the answer to ANY (RFC 8482).
    pub const HINFO: u16 = 13;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// Alias of a whole subtree.
    pub const DNAME: u16 = 39;
    /// EDNS (RFC 6891).
    pub const OPT: u16 = 41;
    /// Delegation signer.
    pub const DS: u16 = 43;
    /// DNSSEC signature.
    pub const RRSIG: u16 = 46;
    /// DNSSEC key.
    pub const DNSKEY: u16 = 48;
    /// Service binding (RFC 9460).
    pub const SVCB: u16 = 64;
    /// Service binding for HTTPS (RFC 9460).
    pub const HTTPS: u16 = 65;
    /// Transaction key; the first of the types that are no data.
    pub const TKEY: u16 = 249;
    /// Transaction signature.
    pub const TSIG: u16 = 250;
    /// Incremental transfer.
    pub const IXFR: u16 = 251;
    /// Transfer.
    pub const AXFR: u16 = 252;
    /// Obsolete mail types.
    pub const MAILB: u16 = 253;
    /// Obsolete mail types.
    pub const MAILA: u16 = 254;
    /// All types.
    pub const ANY: u16 = 255;
}

/// Response codes this program sends.
pub mod rcode {
    /// No error.
    pub const NOERROR: u16 = 0;
    /// The query is malformed.
    pub const FORMERR: u16 = 1;
    /// We could not answer.
    pub const SERVFAIL: u16 = 2;
    /// No such name.
    pub const NXDOMAIN: u16 = 3;
    /// Not implemented.
    pub const NOTIMP: u16 = 4;
    /// Not for you.
    pub const REFUSED: u16 = 5;
    /// EDNS version unknown (RFC 6891 section 9).
    pub const BADVERS: u16 = 16;
}

/// The bytes are not a DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cut off or malformed at octet {at}")]
pub struct WireError {
    /// Where.
    pub at: usize,
}

/// The 16-bit number at `at`.
///
/// # Errors
/// Past the end.
pub fn read_u16(message: &[u8], at: usize) -> Result<u16, WireError> {
    match message.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(WireError { at }),
    }
}

/// The 32-bit number at `at`.
///
/// # Errors
/// Past the end.
pub fn read_u32(message: &[u8], at: usize) -> Result<u32, WireError> {
    match message.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(WireError { at }),
    }
}

/// Reads the possibly compressed name at `at`; gives it in lower case and the octet after it.
///
/// A pointer must point backwards, before the label it follows, so that no message can send the
/// reader in a circle, and what it points at ends before it (RFC 1035 section 4.1.4: "a prior
/// occurrence").
///
/// # Errors
/// Cut off, pointing forwards, or longer than 255 octets.
pub fn read_name(message: &[u8], at: usize) -> Result<(NameBuf, usize), WireError> {
    read_name_beside(message, at, |_| false)
}

/// As [`read_name`], but no octet that a pointer leads to may be one that changes before the message is
/// handed on: it would be another name then. `changes` tells of a range whether any of it does.
///
/// # Errors
/// As [`read_name`].
pub fn read_name_beside(
    message: &[u8],
    at: usize,
    changes: impl Fn(Range<usize>) -> bool,
) -> Result<(NameBuf, usize), WireError> {
    let mut octets = [0_u8; MAX_NAME];
    let mut length = 0;
    let mut cursor = at;
    let mut after = None;
    // Where what may be read ends.
    let mut limit = message.len();
    loop {
        let left = message.get(..limit).unwrap_or_default();
        let lead = *left.get(cursor).ok_or(WireError { at: cursor })?;
        let taken = match lead {
            0 => 1,
            1..=0x3f => 1 + usize::from(lead),
            _ => 2,
        };
        if after.is_some() && changes(cursor..cursor + taken) {
            return Err(WireError { at: cursor });
        }
        match lead {
            0 => {
                let name = NameRef::from_wire(&octets[..=length]).map_err(|_| WireError { at })?;
                return Ok((name.into(), after.unwrap_or(cursor + 1)));
            }
            1..=0x3f => {
                debug_assert!(usize::from(lead) <= MAX_LABEL);
                let end = cursor + 1 + usize::from(lead);
                let label = left.get(cursor..end).ok_or(WireError { at: cursor })?;
                // One octet must stay for the root.
                let kept = octets
                    .get_mut(length..length + label.len())
                    .filter(|_| length + label.len() < MAX_NAME)
                    .ok_or(WireError { at: cursor })?;
                kept.copy_from_slice(label);
                kept[1..].make_ascii_lowercase();
                length += label.len();
                cursor = end;
            }
            0xc0.. => {
                let target = usize::from(read_u16(left, cursor)? & 0x3fff);
                if target >= cursor || target < HEADER {
                    return Err(WireError { at: cursor });
                }
                after.get_or_insert(cursor + 2);
                limit = cursor;
                cursor = target;
            }
            _ => return Err(WireError { at: cursor }),
        }
    }
}

/// The octet after the name at `at`, without reading it.
///
/// # Errors
/// Cut off, or a label type nobody knows.
pub fn skip_name(message: &[u8], mut at: usize) -> Result<usize, WireError> {
    loop {
        let lead = *message.get(at).ok_or(WireError { at })?;
        match lead {
            0 => return Ok(at + 1),
            1..=0x3f => at += 1 + usize::from(lead),
            0xc0.. => return Ok(at + 2),
            _ => return Err(WireError { at }),
        }
    }
}

/// Where the parts of one record stand in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its first octet, the owner's.
    pub start: usize,
    /// TYPE.
    pub rtype: u16,
    /// CLASS; the payload size in an OPT.
    pub class: u16,
    /// Where the TTL stands.
    pub ttl_at: usize,
    /// The TTL; flags in an OPT.
    pub ttl: u32,
    /// The first octet of RDATA.
    pub data: usize,
    /// The octet after the record.
    pub end: usize,
}

impl Record {
    /// Reads the record that begins at `at`.
    ///
    /// # Errors
    /// Cut off.
    pub fn read(message: &[u8], at: usize) -> Result<Self, WireError> {
        let fixed = skip_name(message, at)?;
        let data = fixed + 10;
        let length = usize::from(read_u16(message, fixed + 8)?);
        let end = data + length;
        if end > message.len() {
            return Err(WireError { at });
        }
        Ok(Self {
            start: at,
            rtype: read_u16(message, fixed)?,
            class: read_u16(message, fixed + 2)?,
            ttl_at: fixed + 4,
            ttl: read_u32(message, fixed + 4)?,
            data,
            end,
        })
    }

    /// The owner.
    ///
    /// # Errors
    /// A name that cannot be read.
    pub fn owner(&self, message: &[u8]) -> Result<NameBuf, WireError> {
        read_name(message, self.start).map(|(name, _)| name)
    }

    /// RDATA.
    pub fn data<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        message.get(self.data..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_forwards_or_to_itself_is_refused() {
        let mut message = vec![0; HEADER];
        message.extend_from_slice(&[0xc0, 12]);
        assert!(read_name(&message, HEADER).is_err());
        message.truncate(HEADER);
        message.extend_from_slice(&[1, b'a', 0xc0, 20, 0, 0, 0, 0, 0]);
        assert!(read_name(&message, HEADER).is_err());
    }

    #[test]
    fn what_a_pointer_leads_to_ends_before_it() {
        let mut message = vec![0; HEADER];
        // The label at 12 holds the pointer that leads to it.
        message.extend_from_slice(b"\x03a\xc0\x0c\0");
        assert!(read_name(&message, HEADER + 2).is_err());
        assert!(read_name(&message, HEADER).is_ok());
    }

    #[test]
    fn pointers_chain_backwards() {
        let mut message = vec![0; HEADER];
        message.extend_from_slice(b"\x03Org\x00\x07Example\xc0\x0c\x03www\xc0\x11");
        let (name, after) = read_name(&message, HEADER + 15).unwrap();
        assert_eq!(name.to_string(), "www.example.org");
        assert_eq!(after, message.len());
    }

    #[test]
    fn a_name_made_too_long_by_pointers_is_refused() {
        let mut message = vec![0; HEADER];
        let mut previous: Option<u16> = None;
        let mut at = 0;
        for _ in 0..6 {
            at = message.len();
            message.push(63);
            message.extend_from_slice(&[b'a'; 63]);
            match previous {
                None => message.push(0),
                Some(target) => message.extend_from_slice(&(0xc000_u16 | target).to_be_bytes()),
            }
            previous = Some(at as u16);
        }
        assert!(read_name(&message, at).is_err());
    }
}
