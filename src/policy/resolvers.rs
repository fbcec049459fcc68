//! Addresses at which public resolvers answer everybody.
//!
//! A name of one's own that points to one of them is a resolver no list of names can know. The
//! addresses are those of `blocklists/resolver-addresses.txt`; they are sorted once and searched
//! in that order.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use super::answer::embedded;

/// The list that a block by these addresses names.
pub(super) const LIST: &str = "resolver-addresses";
/// The category it counts as.
pub(super) const CATEGORY: &str = "encrypted-dns";

static TEXT: &str = include_str!("../../blocklists/resolver-addresses.txt");

static RESOLVERS: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let mut nets: Vec<IpNet> = lines().filter_map(net).collect();
    nets.sort_unstable_by_key(IpNet::network);
    nets
});

fn lines() -> impl Iterator<Item = &'static str> {
    TEXT.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// An address or a prefix.
fn net(line: &str) -> Option<IpNet> {
    let address = || line.parse().map(|address: IpAddr| IpNet::from(address));
    line.parse().or_else(|_| address()).ok()
}

/// Where public resolvers answer, in the order of addresses, for whoever closes them on the way.
pub fn resolvers() -> &'static [IpNet] {
    &RESOLVERS
}

/// Whether a public resolver answers at `address`, in whatever clothes.
pub(super) fn is_resolver(address: IpAddr) -> bool {
    let plain = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => embedded(v6),
    };
    is_listed(address) || plain.is_some_and(|v4| is_listed(IpAddr::V4(v4)))
}

/// The same as ranges of plain numbers, the first and the last of each: an address of every answer is
/// looked for here.
static RANGES: LazyLock<Ranges> = LazyLock::new(|| {
    let mut ranges = Ranges::default();
    for net in RESOLVERS.iter() {
        match (net.network(), net.broadcast()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => ranges.v4.push((first.into(), last.into())),
            (IpAddr::V6(first), IpAddr::V6(last)) => ranges.v6.push((first.into(), last.into())),
            _ => {}
        }
    }
    ranges
});

#[derive(Default)]
struct Ranges {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

fn is_listed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_within(&RANGES.v4, address.into()),
        IpAddr::V6(address) => is_within(&RANGES.v6, address.into()),
    }
}

/// Whether `number` is in one of `ranges`, which are in order and none inside another.
fn is_within<N: Ord + Copy>(ranges: &[(N, N)], number: N) -> bool {
    // The last that does not begin behind it is the one.
    let behind = ranges.partition_point(|(first, _)| *first <= number);
    let last = behind.checked_sub(1).and_then(|last| ranges.get(last));
    last.is_some_and(|(_, last)| number <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_of_the_public_net_and_none_lies_inside_another() {
        assert_eq!(lines().filter_map(net).count(), lines().count());
        assert!(RESOLVERS.len() >= 120, "{}", RESOLVERS.len());
        for (at, net) in RESOLVERS.iter().enumerate() {
            assert!(!super::super::answer::points_inside(net.addr()), "{net}");
            let others = RESOLVERS.iter().skip(at + 1);
            assert_eq!(others.filter(|it| net.contains(*it)).count(), 0, "{net}");
        }
    }

    #[test]
    fn resolvers_are_known_in_every_dress() {
        for (text, expected) in [
            ("8.8.8.8", true),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::808:808", true),
            ("64:ff9b:1::808:808", true),
            ("2002:808:808::1", true),
            ("2002:808:809::1", false),
            ("2620:fe::fe", true),
            ("45.90.28.7", true),
            ("45.90.29.0", false),
            ("2a07:a8c0:ffff::1", true),
            ("2a07:a8c2::", false),
            ("8.8.8.9", false),
            ("192.0.2.1", false),
            ("::", false),
        ] {
            assert_eq!(is_resolver(text.parse().unwrap()), expected, "{text}");
        }
    }
}
