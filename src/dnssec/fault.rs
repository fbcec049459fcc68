//! Why an answer is bogus, in words and as an Extended DNS Error.

use std::fmt;

use crate::name::{Name, NameRef};

/// What is wrong, and with which records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub flaw: Flaw,
    /// The owner of the records.
    pub owner: Name,
    /// Their type.
    pub rtype: u16,
}

/// What is wrong with signed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It could not be found out: the chain up to the trust anchor is too long or cannot be read.
    Indeterminate,
    /// No signature fits.
    Bogus,
    /// The signature's time is over.
    Expired,
    /// The signature's time has not come.
    NotYetValid,
    /// No key of the zone is the one that signed, or none is the one its parent vouches for.
    KeyMissing,
    /// The zone is signed and the records are not.
    SignatureMissing,
    /// The key the parent vouches for must not sign a zone.
    NoZoneKey,
    /// Nothing proves that what is missing does not exist.
    ProofMissing,
    /// To find out would cost more than any honest zone does.
    TooCostly,
}

impl Fault {
    /// `flaw` of the records of this type at `owner`.
    pub(super) fn new(flaw: Flaw, owner: NameRef<'_>, rtype: u16) -> Self {
        Self {
            flaw,
            owner: owner.to_name(),
            rtype,
        }
    }

    /// The INFO-CODE of the Extended DNS Error that says it (RFC 8914 section 4).
    pub const fn ede(&self) -> u16 {
        match self.flaw {
            Flaw::Indeterminate => 5,
            Flaw::Bogus | Flaw::TooCostly => 6,
            Flaw::Expired => 7,
            Flaw::NotYetValid => 8,
            Flaw::KeyMissing => 9,
            Flaw::SignatureMissing => 10,
            Flaw::NoZoneKey => 11,
            Flaw::ProofMissing => 12,
        }
    }

    /// Whether another server could know better: it may only be that this one leaves something out.
    pub const fn may_be_the_servers(&self) -> bool {
        !matches!(self.flaw, Flaw::TooCostly)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.flaw {
            Flaw::Indeterminate => "cannot be checked",
            Flaw::Bogus => "is not what was signed",
            Flaw::Expired => "has a signature that expired",
            Flaw::NotYetValid => "has a signature that is not valid yet",
            Flaw::KeyMissing => "has no key that its parent or its signature names",
            Flaw::SignatureMissing => "is not signed and should be",
            Flaw::NoZoneKey => "is signed with a key that is none of a zone",
            Flaw::ProofMissing => "is said not to exist without proof",
            Flaw::TooCostly => "has more keys and signatures than are checked",
        };
        write!(f, "{} {} {what}", self.owner, TypeName(self.rtype))
    }
}

/// A type's name, or `TYPE` and its number (RFC 3597 section 5).
struct TypeName(u16);

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = match self.0 {
            1 => "A",
            2 => "NS",
            5 => "CNAME",
            6 => "SOA",
            12 => "PTR",
            15 => "MX",
            16 => "TXT",
            28 => "AAAA",
            33 => "SRV",
            39 => "DNAME",
            43 => "DS",
            47 => "NSEC",
            48 => "DNSKEY",
            50 => "NSEC3",
            52 => "TLSA",
            64 => "SVCB",
            65 => "HTTPS",
            257 => "CAA",
            number => return write!(f, "TYPE{number}"),
        };
        f.write_str(known)
    }
}
