//! Networks by how long their prefixes are: what of the addresses outside one party may have.

use std::net::IpAddr;

/// Networks by how long their prefixes are, of IPv4 and of IPv6, the widest first: a part of a provider,
/// a site, a household, and what one stranger can have all addresses of, 256 neighbours or the network of
/// one link.
pub(super) const WIDTHS: [(u8, u8); 4] = [(16, 32), (20, 48), (22, 56), (24, 64)];

/// The networks that `client` is in, the widest first.
pub(super) fn networks(client: IpAddr) -> [IpAddr; WIDTHS.len()] {
    WIDTHS.map(|width| network(client, width))
}

/// The narrowest of those.
pub(super) fn narrowest(client: IpAddr) -> IpAddr {
    let [.., narrowest] = networks(client);
    narrowest
}

/// The first address of `client`'s network whose prefix is so long, of IPv4 or of IPv6.
fn network(client: IpAddr, width: (u8, u8)) -> IpAddr {
    match client {
        IpAddr::V4(v4) => {
            let rest = u32::MAX.checked_shr(width.0.into()).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & !rest).into())
        }
        IpAddr::V6(v6) => {
            let rest = u128::MAX.checked_shr(width.1.into()).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & !rest).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_nest() {
        let wide = |address: &str| {
            let address = address.parse().unwrap();
            assert_eq!(narrowest(address), networks(address)[3]);
            networks(address).map(|it| it.to_string())
        };
        assert_eq!(
            wide("2001:db8:1234:5678:9abc::1"),
            [
                "2001:db8::",
                "2001:db8:1234::",
                "2001:db8:1234:5600::",
                "2001:db8:1234:5678::"
            ]
        );
        assert_eq!(
            wide("198.51.253.7"),
            ["198.51.0.0", "198.51.240.0", "198.51.252.0", "198.51.253.0"]
        );
    }
}
