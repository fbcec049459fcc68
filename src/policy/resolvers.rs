//! Addresses at which public resolvers answer everybody.
//!
//! A name of one's own that points to one of them is a resolver no list of names can know. The
//! addresses are those of `blocklists/resolver-addresses.txt`; they are sorted once and searched
//! where they stand.

use std::net::IpAddr;
use std::sync::LazyLock;

/// The list that a block by these addresses names.
pub(super) const LIST: &str = "resolver-addresses";
/// The category it counts as.
pub(super) const CATEGORY: &str = "encrypted-dns";

static TEXT: &str = include_str!("../../blocklists/resolver-addresses.txt");

static ADDRESSES: LazyLock<Vec<IpAddr>> = LazyLock::new(|| {
    let mut addresses: Vec<IpAddr> = lines().filter_map(|line| line.parse().ok()).collect();
    addresses.sort_unstable();
    addresses
});

fn lines() -> impl Iterator<Item = &'static str> {
    TEXT.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The addresses of public resolvers, sorted, for whoever closes them on the way.
pub fn resolver_addresses() -> &'static [IpAddr] {
    &ADDRESSES
}

/// Whether a public resolver answers at `address`.
pub(super) fn is_resolver(address: IpAddr) -> bool {
    ADDRESSES.binary_search(&address.to_canonical()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_address_of_the_public_net_and_stands_once() {
        let mut addresses: Vec<IpAddr> = lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(addresses.len(), ADDRESSES.len());
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), ADDRESSES.len());
        assert!(addresses.len() >= 120, "{}", addresses.len());
        assert!(!addresses.iter().any(|it| super::super::points_inside(*it)));
    }

    #[test]
    fn resolvers_are_known_in_every_dress() {
        for (text, expected) in [
            ("8.8.8.8", true),
            ("::ffff:8.8.8.8", true),
            ("2620:fe::fe", true),
            ("8.8.8.9", false),
            ("192.0.2.1", false),
            ("::", false),
        ] {
            assert_eq!(is_resolver(text.parse().unwrap()), expected, "{text}");
        }
    }
}
