//! The border to the wire format: a [`Query`] in, bytes out; an upstream's bytes in, an [`Answer`]
//! out.
//!
//! Read [`query`] for what a client may send, [`reply`] for what we write, [`answer`] for what we
//! keep of what an upstream said. Only here and in [`crate::upstream`] is a hickory crate named.

pub mod answer;
mod fresh;
pub mod query;
pub mod reply;
pub mod wire;

pub use answer::{Answer, Authenticity, Fact, Facts, Services, Ttl};
pub use fresh::freshness;
pub use query::{Cookie, Decoded, Edns, Query, Refusal};
pub use reply::{Extra, Reply, Structured, ede};
pub use wire::{rcode, rtype};

use crate::name::NameBuf;

/// What is asked: the key under which answers are cached and questions are shared. The class is
/// always IN; every other class is refused at the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// QNAME.
    pub qname: NameBuf,
    /// QTYPE.
    pub qtype: u16,
    /// The client wants DNSSEC records (DO, RFC 3225).
    pub dnssec_ok: bool,
    /// The client checks signatures itself (CD, RFC 4035 section 3.2.2).
    pub checking_disabled: bool,
    /// Which resolvers are asked: 0 for the household's, else one more than the place of the group
    /// among `[resolvers.NAME]`. What one group says is never told to who asks another.
    pub via: u8,
}

impl std::hash::Hash for Question {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.qname.as_ref().hash(state);
        self.qtype.hash(state);
        (self.dnssec_ok, self.checking_disabled, self.via).hash(state);
    }
}
