//! What in an answer is judged like a question.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use crate::name::NameRef;

/// Facts as they are written: room on the stack for those of most answers.
pub(super) type FactOctets = SmallVec<[u8; 64]>;

/// A part of an answer that is judged like a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// The target of a CNAME.
    Cname(NameRef<'a>),
    /// The address in an A or AAAA record.
    Address(IpAddr),
    /// The target or alias in an SVCB or HTTPS record.
    SvcbTarget(NameRef<'a>),
    /// An address hint in an SVCB or HTTPS record.
    SvcbHint(IpAddr),
}

const CNAME: u8 = 0;
const ADDRESS: u8 = 1;
const SVCB_TARGET: u8 = 2;
const SVCB_HINT: u8 = 3;

impl<'a> Fact<'a> {
    /// The name in it, if it is one.
    pub const fn name(&self) -> Option<NameRef<'a>> {
        match *self {
            Self::Cname(name) | Self::SvcbTarget(name) => Some(name),
            Self::Address(_) | Self::SvcbHint(_) => None,
        }
    }

    /// The address in it, if it is one that a client asked for.
    pub const fn address(&self) -> Option<IpAddr> {
        match *self {
            Self::Address(address) => Some(address),
            Self::Cname(_) | Self::SvcbTarget(_) | Self::SvcbHint(_) => None,
        }
    }

    /// Writes it behind others, for [`Facts`] to read: what it is, how many octets, these.
    pub(super) fn write(&self, out: &mut FactOctets) {
        let mut put = |kind, octets: &[u8]| {
            // A name has at most 255.
            out.extend_from_slice(&[kind, octets.len() as u8]);
            out.extend_from_slice(octets);
        };
        let mut put_address = |kind, address: &IpAddr| match address {
            IpAddr::V4(v4) => put(kind, &v4.octets()),
            IpAddr::V6(v6) => put(kind, &v6.octets()),
        };
        match self {
            Self::Address(address) => put_address(ADDRESS, address),
            Self::SvcbHint(address) => put_address(SVCB_HINT, address),
            Self::Cname(name) => put(CNAME, name.as_wire()),
            Self::SvcbTarget(name) => put(SVCB_TARGET, name.as_wire()),
        }
    }
}

/// The facts of an answer, in the order of its records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a>(pub(super) &'a [u8]);

impl<'a> Facts<'a> {
    /// The addresses that a client asked for.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> + use<'a> {
        self.filter_map(|fact| fact.address())
    }
}

impl<'a> Iterator for Facts<'a> {
    type Item = Fact<'a>;

    fn next(&mut self) -> Option<Fact<'a>> {
        let (&[kind, length], rest) = self.0.split_first_chunk()?;
        let (octets, rest) = rest.split_at_checked(length.into())?;
        self.0 = rest;
        let name = || NameRef::from_wire(octets).ok();
        let address = || {
            let v4 = <[u8; 4]>::try_from(octets).map(|it| Ipv4Addr::from(it).into());
            let v6 = || <[u8; 16]>::try_from(octets).map(|it| Ipv6Addr::from(it).into());
            v4.or_else(|_| v6()).ok()
        };
        match kind {
            CNAME => name().map(Fact::Cname),
            ADDRESS => address().map(Fact::Address),
            SVCB_TARGET => name().map(Fact::SvcbTarget),
            _ => address().map(Fact::SvcbHint),
        }
    }
}
