//! The addresses of this machine and what lies on its links.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use crate::device::neighbours::{Link, Request};

/// Kernels resolve no addresses on such an interface.
const WITHOUT_NEIGHBOURS: InterfaceFlags = InterfaceFlags::IFF_LOOPBACK
    .union(InterfaceFlags::IFF_POINTOPOINT)
    .union(InterfaceFlags::IFF_NOARP);

/// All addresses of this machine, in order. One on an interface without neighbours (loopback, a
/// tunnel, a telephone line) comes with nothing on its link but itself.
pub(super) fn read() -> io::Result<Vec<Link>> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut links = Vec::new();
    for it in getifaddrs()? {
        let Some(address) = it.address.as_ref().and_then(ip_of) else {
            continue;
        };
        let number = match numbers.get(&it.interface_name) {
            Some(number) => *number,
            None => {
                // Gone in the meantime: then its addresses are too.
                let Ok(number) = if_nametoindex(it.interface_name.as_str()) else {
                    continue;
                };
                numbers.insert(it.interface_name.clone(), number);
                number
            }
        };
        let mask = it.netmask.as_ref().and_then(ip_of);
        let has_neighbours = !it.flags.intersects(WITHOUT_NEIGHBOURS);
        let net = mask
            .filter(|_| has_neighbours)
            .and_then(|mask| IpNet::with_netmask(address, mask).ok());
        links.push(Link {
            interface: number,
            net: net.unwrap_or_else(|| IpNet::from(address)),
        });
    }
    links.sort_unstable_by_key(|link| (link.interface, link.net));
    links.dedup();
    Ok(links)
}

fn ip_of(storage: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// Whether what the kernel says of a neighbour on an interface is about those whom our answers
/// reach by that address: the interface is the one on whose link the address lies. Otherwise a
/// device could tell tales in one network about an address in another, or about one that is routed.
/// IPv4 in the form of IPv6 is no neighbour's.
pub(super) fn counts(links: &[Link], address: IpAddr, interface: u32) -> bool {
    if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return true;
    }
    if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        return false;
    }
    let mut on_its_link = links.iter().filter(|link| link.net.contains(&address));
    on_its_link.any(|link| link.interface == interface)
}

/// The interfaces on whose links the address of a request lies, the one it came in on first.
pub(super) fn interfaces_of(links: &[Link], request: &Request) -> Vec<u32> {
    let &Request { address, interface } = request;
    if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return vec![interface];
    }
    let on_its_link = links.iter().filter(|link| link.net.contains(&address));
    let mut interfaces: Vec<u32> = on_its_link.map(|link| link.interface).collect();
    interfaces.sort_unstable_by_key(|it| (*it != interface, *it));
    interfaces.dedup();
    interfaces
}

/// Whether an address may be a single neighbour's: neither our own nor a group's nor everybody's.
pub(super) fn is_a_neighbours(links: &[Link], address: IpAddr) -> bool {
    let is_fit = match address {
        IpAddr::V4(v4) => !v4.is_broadcast() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unspecified(),
    };
    let is_special = |link: &Link| {
        let is_net = matches!(link.net, IpNet::V4(net) if net.prefix_len() < 31
            && (net.broadcast() == address || net.network() == address));
        link.net.addr() == address || is_net
    };
    is_fit && !address.is_multicast() && !address.is_loopback() && !links.iter().any(is_special)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Vec<Link> {
        let link = |interface, net: &str| Link {
            interface,
            net: net.parse().unwrap(),
        };
        vec![
            link(1, "127.0.0.1/32"),
            link(2, "192.0.2.1/24"),
            link(2, "2001:db8:2::1/64"),
            link(2, "fe80::1/64"),
            link(3, "198.51.100.1/24"),
            link(4, "10.0.0.1/32"),
        ]
    }

    #[test]
    fn loopback_is_an_address_of_ours_with_nobody_beside_it() {
        let links = read().unwrap();
        let loopback = if_nametoindex("lo").unwrap();
        let here = links.iter().find(|link| link.interface == loopback);
        assert!(here.is_none_or(|link| link.net.prefix_len() == link.net.max_prefix_len()));
    }

    #[test]
    fn what_is_said_in_another_network_does_not_count() {
        for (address, interface, expected) in [
            ("192.0.2.7", 2, true),
            ("192.0.2.7", 3, false),
            ("2001:db8:2::7", 2, true),
            ("2001:db8:2::7", 3, false),
            // On no link of ours: answers go by the router, whatever somebody says here.
            ("203.0.113.7", 3, false),
            ("::ffff:192.0.2.7", 2, false),
            ("fe80::7", 2, true),
            ("fe80::7", 3, true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                counts(&links(), address, interface),
                expected,
                "{address} on {interface}"
            );
        }
    }

    #[test]
    fn only_a_single_neighbour_is_sent_anything() {
        for (address, expected) in [
            ("192.0.2.7", true),
            ("192.0.2.1", false),
            ("192.0.2.0", false),
            ("192.0.2.255", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("0.0.0.0", false),
            ("127.0.0.5", false),
            ("2001:db8:2::7", true),
            ("2001:db8:2::1", false),
            ("ff02::1", false),
            ("::", false),
            ("::1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(is_a_neighbours(&links(), address), expected, "{address}");
        }
    }

    #[test]
    fn an_address_is_looked_for_on_its_links() {
        let of = |address: &str, interface| {
            let address = address.parse().unwrap();
            let mut links = links();
            links.push(Link {
                interface: 5,
                net: "192.0.2.2/24".parse().unwrap(),
            });
            interfaces_of(&links, &Request { address, interface })
        };
        assert_eq!(of("192.0.2.7", 0), [2, 5]);
        assert_eq!(of("192.0.2.7", 5), [5, 2]);
        assert_eq!(of("198.51.100.7", 2), [3]);
        assert!(of("203.0.113.7", 2).is_empty());
        assert_eq!(of("fe80::7", 3), [3]);
    }
}
