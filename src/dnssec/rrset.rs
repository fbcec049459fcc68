//! A message taken apart into RRsets in canonical form (RFC 4034 section 6), each with its signatures.

use super::denial::NSEC;
use crate::message::wire::{Record, WireError, read_name, read_u16, read_u32};
use crate::message::{Answer, rtype};
use crate::name::{NameBuf, NameRef};

/// The records of one owner and type. An NSEC is one by itself: a zone has one at a name, and its parent
/// another one at the same name where the zone begins.
#[derive(Debug)]
pub(super) struct Rrset {
    /// Its place in the message.
    pub(super) index: usize,
    pub(super) owner: NameBuf,
    pub(super) rtype: u16,
    /// Whether it stands in the answer section.
    pub(super) is_answer: bool,
    /// The smallest there is, in seconds.
    pub(super) ttl: u32,
    /// RDATA in canonical form and order, each once.
    pub(super) data: Vec<Box<[u8]>>,
    pub(super) signatures: Vec<Rrsig>,
}

/// A signature (RFC 4034 section 3.1).
#[derive(Clone, Debug)]
pub(super) struct Rrsig {
    pub(super) algorithm: u8,
    /// Labels of the owner, the root and a `*` in front not counted.
    pub(super) labels: u8,
    pub(super) original_ttl: u32,
    /// Seconds since 1970, modulo 2³².
    pub(super) expiration: u32,
    pub(super) inception: u32,
    pub(super) tag: u16,
    pub(super) signer: NameBuf,
    /// All before the signature, in canonical form.
    head: Box<[u8]>,
    pub(super) signature: Box<[u8]>,
}

/// RRsets of one message that are looked at; an alias of 16 links and its proofs have fewer.
const MAX_SETS: usize = 64;

/// The RRsets of an answer.
///
/// # Errors
/// Where it cannot be read or holds more than anybody needs.
pub(super) fn sets(answer: &Answer) -> Result<Vec<Rrset>, WireError> {
    let wire = answer.wire();
    let mut sets: Vec<Rrset> = Vec::new();
    let mut signatures: Vec<(NameBuf, bool, Record)> = Vec::new();
    for (is_answer, record) in answer.records() {
        let record = record?;
        let owner = record.owner(wire)?;
        if record.rtype == rtype::RRSIG {
            signatures.push((owner, is_answer, record));
            continue;
        }
        let data = canonical(answer, &record)?.into_boxed_slice();
        let same =
            |it: &Rrset| (it.rtype, it.is_answer, it.owner) == (record.rtype, is_answer, owner);
        let is_same = |it: &Rrset| same(it) && (record.rtype != NSEC || *it.data == [data.clone()]);
        match sets.iter().position(is_same) {
            Some(index) => {
                let set = &mut sets[index];
                set.ttl = set.ttl.min(record.ttl);
                set.data.push(data);
            }
            None if sets.len() == MAX_SETS => return Err(WireError { at: record.start }),
            None => sets.push(Rrset {
                index: sets.len(),
                owner,
                rtype: record.rtype,
                is_answer,
                ttl: record.ttl,
                data: vec![data],
                signatures: Vec::new(),
            }),
        }
    }
    for (owner, is_answer, record) in signatures {
        let covers = read_u16(wire, record.data)?;
        let is_its =
            |it: &&mut Rrset| (it.rtype, it.is_answer, it.owner) == (covers, is_answer, owner);
        let mut its = sets.iter_mut().filter(is_its).peekable();
        if its.peek().is_some()
            && let Some(signature) = Rrsig::read(wire, &record)?
        {
            its.for_each(|set| set.signatures.push(signature.clone()));
        }
    }
    for set in &mut sets {
        set.data.sort_unstable();
        set.data.dedup();
    }
    Ok(sets)
}

impl Rrset {
    /// What `signature` was made of, where the owner is `owner` (RFC 4034 section 3.1.8.1).
    pub(super) fn signed_data(&self, signature: &Rrsig, owner: NameRef<'_>) -> Vec<u8> {
        let each = owner.as_wire().len() + 10;
        let data: usize = self.data.iter().map(|data| each + data.len()).sum();
        let mut out = Vec::with_capacity(signature.head.len() + data);
        out.extend_from_slice(&signature.head);
        for data in &self.data {
            out.extend_from_slice(owner.as_wire());
            out.extend_from_slice(&self.rtype.to_be_bytes());
            out.extend_from_slice(&[0, 1]);
            out.extend_from_slice(&signature.original_ttl.to_be_bytes());
            // It came behind a length of 16 bits; names grow by decompression to 255 octets at most.
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }

    /// Who signed it, each once.
    pub(super) fn signers(&self) -> impl Iterator<Item = NameBuf> {
        let signers = self.signatures.iter().enumerate();
        let signers = signers.filter(|(index, it)| {
            let mut earlier = self.signatures[..*index].iter();
            !earlier.any(|other| other.signer == it.signer)
        });
        signers.map(|(_, it)| it.signer)
    }
}

impl Rrsig {
    /// Reads one; none if what it holds is too short to be one.
    fn read(wire: &[u8], record: &Record) -> Result<Option<Self>, WireError> {
        let at = record.data;
        let (signer, after) = read_name(wire, at + 18)?;
        if after > record.end {
            return Ok(None);
        }
        let fixed = wire.get(at..at + 18).ok_or(WireError { at })?;
        Ok(Some(Self {
            algorithm: fixed[2],
            labels: fixed[3],
            original_ttl: read_u32(wire, at + 4)?,
            expiration: read_u32(wire, at + 8)?,
            inception: read_u32(wire, at + 12)?,
            tag: read_u16(wire, at + 16)?,
            signer,
            head: [fixed, signer.as_ref().as_wire()].concat().into(),
            signature: wire[after..record.end].into(),
        }))
    }
}

/// RDATA without compression, names in small letters where RFC 4034 section 6.2 wants that; NSEC is
/// not among them (RFC 6840 section 5.1).
fn canonical(answer: &Answer, record: &Record) -> Result<Vec<u8>, WireError> {
    let wire = answer.wire();
    /// What stands before the names of a type, and how many names.
    const fn layout(kind: u16) -> Option<(usize, usize)> {
        Some(match kind {
            // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME.
            2..=5 | 7..=9 | 12 | 39 => (0, 1),
            // SOA, MINFO, RP.
            6 | 14 | 17 => (0, 2),
            // MX, AFSDB, RT, KX.
            15 | 18 | 21 | 36 => (2, 1),
            // PX.
            26 => (2, 2),
            // SRV.
            33 => (6, 1),
            _ => return None,
        })
    }
    const NAPTR: u16 = 35;
    let malformed = WireError { at: record.data };
    let (before, names) = match layout(record.rtype) {
        Some(layout) => layout,
        None if record.rtype == NAPTR => {
            // Two numbers and three texts stand before its name (RFC 3403 section 4.1).
            let mut before = 4;
            for _ in 0..3 {
                before += 1 + usize::from(*wire.get(record.data + before).ok_or(malformed)?);
            }
            (before, 1)
        }
        None => return Ok(record.data(wire).to_vec()),
    };
    let mut at = record.data + before;
    let mut out = wire.get(record.data..at).ok_or(malformed)?.to_vec();
    for _ in 0..names {
        let (name, after) = answer.name_at(at)?;
        out.extend_from_slice(name.as_ref().as_wire());
        at = after;
    }
    out.extend_from_slice(wire.get(at..record.end).ok_or(malformed)?);
    Ok(out)
}
