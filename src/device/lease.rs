//! What DHCP servers say of those they gave addresses to.

use std::fmt;
use std::net::IpAddr;

use crate::mac::Mac;

/// An address that a DHCP server gave away, as its lease file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// To whom, where the file says so or its DUID holds it.
    pub mac: Option<Mac>,
    /// What the device calls itself. A hint for people, never a reason to trust it.
    pub host_name: Option<HostName>,
    /// DHCP client identifier or DUID, at most [`MAX_CLIENT_ID`] octets of it.
    pub client_id: Option<Box<[u8]>>,
    /// Until when, in seconds since 1970; none for ever or not said.
    pub ends: Option<u64>,
}

/// The longest client identifier that is kept, in octets (RFC 8415 section 11.1: a DUID has 130 at
/// most).
pub const MAX_CLIENT_ID: usize = 130;

/// A name that a device gave itself, fit to be a label of a host's name (RFC 952, RFC 1123 section
/// 2.1): letters of ASCII in lower case, digits and inner hyphens, 1 to 63. Nothing else gets this
/// far, so it can be shown anywhere.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Box<str>);

impl HostName {
    /// The first label of what the device said, if it is such a name. Names that mean something to
    /// other programs are not a device's to take: `wpad` would hand it everybody's web traffic.
    pub fn new(said: &str) -> Option<Self> {
        const RESERVED: [&str; 4] = ["localhost", "wpad", "isatap", "home"];
        let label = said.split('.').next()?.to_ascii_lowercase();
        let is_fine = (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !RESERVED.contains(&label.as_str());
        is_fine.then(|| Self(label.into()))
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_label_is_a_host_name() {
        for (said, expected) in [
            ("Mias-iPad", Some("mias-ipad")),
            ("tablet.lan", Some("tablet")),
            ("4k-tv", Some("4k-tv")),
            ("", None),
            (".", None),
            ("-a", None),
            ("a-", None),
            ("a b", None),
            ("a\u{1b}[31m", None),
            ("<script>", None),
            ("größe", None),
            ("WPAD", None),
            ("localhost", None),
        ] {
            let name = HostName::new(said);
            assert_eq!(name.as_ref().map(HostName::as_str), expected, "{said:?}");
        }
        assert!(HostName::new(&"a".repeat(63)).is_some());
        assert!(HostName::new(&"a".repeat(64)).is_none());
    }
}
