//! What a forwarder says of the client it asks for.

use std::fmt;
use std::net::IpAddr;

use crate::mac::Mac;

/// What a forwarder we trust says of its client. Nobody else's word gets this far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its MAC address.
    pub mac: Option<Mac>,
    /// Its address.
    pub address: Option<IpAddr>,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mac, self.address) {
            (Some(mac), Some(address)) => write!(f, "MAC address {mac}, address {address}"),
            (Some(mac), None) => write!(f, "MAC address {mac}"),
            (None, Some(address)) => write!(f, "address {address}"),
            (None, None) => f.write_str("nothing"),
        }
    }
}
