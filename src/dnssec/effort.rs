//! What one query may cost.
//!
//! A zone can be made so that checking its answers costs minutes: with many keys of one tag and many
//! signatures (CVE-2023-50387, "KeyTrap"), or with names hashed thousands of times
//! (CVE-2023-50868). Nobody needs that. Every step is paid for here, and who cannot pay gets SERVFAIL.

use super::crypto;
use crate::name::NameRef;

/// What is left of what one query may cost.
#[derive(Debug)]
pub(super) struct Effort {
    signatures: u32,
    failures: u32,
    blocks: u32,
    messages: u32,
    /// Hashes of names made so far: each is paid for once.
    made: Vec<Hashed>,
}

/// The hash of a name for NSEC3.
#[derive(Debug)]
struct Hashed {
    name: Box<[u8]>,
    salt: Box<[u8]>,
    iterations: u16,
    hash: [u8; 20],
}

/// Signatures of one RRset that are looked at: two for each algorithm of a zone that changes both its
/// keys and its algorithm.
pub(super) const SIGNATURES_PER_SET: usize = 8;
/// Keys of one tag that are tried for a signature; even two are an accident (RFC 4034 appendix B).
pub(super) const KEYS_PER_TAG: usize = 4;
/// DS records of one zone that are looked at.
pub(super) const DS_PER_ZONE: usize = 8;
/// Iterations of an NSEC3 hash beyond which a zone counts as unsigned (RFC 9276 section 3.2).
pub(super) const MAX_ITERATIONS: u16 = 50;
/// Signatures that are checked: for a chain of eight zones and an alias of eight links.
const SIGNATURES: u32 = 64;
/// Checks that fail: beyond these it is no accident.
const FAILURES: u32 = 16;
/// Blocks of SHA-1 for hashes of NSEC3 names: 64 names in the costliest zone that is looked at, and a name
/// of the most labels there can be, 127, where names are hashed 24 times. The search for the closest
/// encloser needs one for each label and one for a wildcard (RFC 5155 section 8.3), which for an address
/// below `ip6.arpa` comes to 34. A block takes a fraction of a microsecond, some microseconds on the slowest
/// router: all of it as long as a few signatures.
const BLOCKS: u32 = 64 * (MAX_ITERATIONS as u32 + 1);
/// Hashes that are remembered.
const MADE: usize = 256;
/// Questions for keys and delegations: two for each label of a name, and more for aliases.
const MESSAGES: u32 = 48;

/// Something was not to be had any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl Effort {
    pub(super) const fn new() -> Self {
        Self {
            signatures: SIGNATURES,
            failures: FAILURES,
            blocks: BLOCKS,
            messages: MESSAGES,
            made: Vec::new(),
        }
    }

    /// Before a signature is checked.
    pub(super) fn check_signature(&mut self) -> Result<(), Spent> {
        take(&mut self.signatures, 1)
    }

    /// After one that was not right.
    pub(super) fn note_failure(&mut self) -> Result<(), Spent> {
        take(&mut self.failures, 1)
    }

    /// The hash of `name` for NSEC3.
    pub(super) fn hash(
        &mut self,
        name: NameRef<'_>,
        salt: &[u8],
        iterations: u16,
    ) -> Result<[u8; 20], Spent> {
        let name = name.as_wire();
        let is_it =
            |it: &&Hashed| it.iterations == iterations && *it.name == *name && *it.salt == *salt;
        if let Some(made) = self.made.iter().find(is_it) {
            return Ok(made.hash);
        }
        let first = blocks(name.len() + salt.len());
        let cost = first + u32::from(iterations) * blocks(SHA_1_OCTETS + salt.len());
        take(&mut self.blocks, cost)?;
        let hash = crypto::nsec3_hash(name, salt, iterations);
        if self.made.len() < MADE {
            self.made.push(Hashed {
                name: name.into(),
                salt: salt.into(),
                iterations,
                hash,
            });
        }
        Ok(hash)
    }

    /// Whether there are so many more questions than the way down may take that one may be asked which
    /// nobody needs yet.
    pub(super) const fn can_ask_ahead(&self) -> bool {
        self.messages > MESSAGES / 2
    }

    /// Before a question is sent.
    pub(super) fn send(&mut self) -> Result<(), Spent> {
        take(&mut self.messages, 1)
    }

    /// Signatures checked so far.
    pub(super) const fn signatures_checked(&self) -> u32 {
        SIGNATURES - self.signatures
    }
}

/// Octets of a SHA-1 hash.
const SHA_1_OCTETS: usize = 20;

/// Blocks of 64 octets that SHA-1 makes of so many, with the nine or more it adds (RFC 3174 section 4).
fn blocks(octets: usize) -> u32 {
    // A name and a salt have 255 each at most.
    (octets + 9).div_ceil(64) as u32
}

fn take(left: &mut u32, cost: u32) -> Result<(), Spent> {
    *left = left.checked_sub(cost).ok_or(Spent)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    #[test]
    fn a_name_is_hashed_once_and_a_long_salt_costs_what_it_costs() {
        let name = |index: usize| NameBuf::parse(&format!("n{index}.test")).unwrap();
        let mut effort = Effort::new();
        for _ in 0..1000 {
            assert!(effort.hash(name(0).as_ref(), b"salt", 50).is_ok());
        }
        assert_eq!(effort.blocks, BLOCKS - 51);
        let left = |salt: &[u8]| {
            let mut effort = Effort::new();
            let hashed = (0..1000).take_while(|at| {
                let name = name(*at);
                effort.hash(name.as_ref(), salt, MAX_ITERATIONS).is_ok()
            });
            hashed.count()
        };
        assert_eq!(left(b"salt"), 64);
        // 275 octets and what is added make five blocks.
        assert_eq!(left(&[7; 255]), 12);
    }
}
