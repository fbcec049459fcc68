//! Addresses as an admin writes them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The port of DNS.
pub(super) const DNS_PORT: u16 = 53;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    /// A name, or nothing that could be read.
    #[error("not an IP address")]
    NotAddress,
    /// Digits that are no port.
    #[error("not a port: 0 to 65535")]
    Port,
    /// Port 0, where one must be known.
    #[error("port 0 cannot be asked")]
    PortZero,
    /// `0.0.0.0` or `::`.
    #[error("stands for every address, so nobody can be asked there")]
    Unspecified,
    /// A prefix length that is none.
    #[error("not a prefix length")]
    PrefixLength,
    /// Bits of the address behind the prefix.
    #[error("the address goes on behind the prefix")]
    HostBits(IpNet),
}

/// Reads `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`.
pub(super) fn parse_socket(text: &str, default_port: u16) -> Result<SocketAddr, AddressError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, default_port));
    }
    if let Some(inside) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let address: Ipv6Addr = inside.parse().map_err(|_| AddressError::NotAddress)?;
        return Ok(SocketAddr::new(address.into(), default_port));
    }
    if let Ok(socket) = text.parse() {
        return Ok(socket);
    }
    let (host, _) = text.rsplit_once(':').ok_or(AddressError::NotAddress)?;
    let bare = host.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let fine = bare.map_or_else(
        || host.parse::<std::net::Ipv4Addr>().is_ok(),
        |inside| inside.parse::<Ipv6Addr>().is_ok(),
    );
    Err(if fine {
        AddressError::Port
    } else {
        AddressError::NotAddress
    })
}

/// Reads an address or a prefix. IPv4 addresses mapped into IPv6 become IPv4.
pub(super) fn parse_net(text: &str) -> Result<IpNet, AddressError> {
    let Some((address, length)) = text.split_once('/') else {
        let address: IpAddr = text.parse().map_err(|_| AddressError::NotAddress)?;
        return Ok(IpNet::from(address.to_canonical()));
    };
    let address: IpAddr = address.parse().map_err(|_| AddressError::NotAddress)?;
    let mut length: u8 = length.parse().map_err(|_| AddressError::PrefixLength)?;
    let canonical = address.to_canonical();
    if canonical.is_ipv4() && address.is_ipv6() {
        length = length.checked_sub(96).ok_or(AddressError::PrefixLength)?;
    }
    let net = IpNet::new(canonical, length).map_err(|_| AddressError::PrefixLength)?;
    if net.network() != net.addr() {
        return Err(AddressError::HostBits(net.trunc()));
    }
    Ok(net)
}

/// Whether a question sent to `upstream` would come back to a socket bound to `listen`.
pub(super) fn comes_back(upstream: SocketAddr, listen: SocketAddr) -> bool {
    let (asked, bound) = (upstream.ip().to_canonical(), listen.ip());
    upstream.port() == listen.port()
        && (asked == bound.to_canonical()
            || bound.is_unspecified() && asked.is_loopback() && asked.is_ipv4() == bound.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets() {
        for (text, socket) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(parse_socket(text, 53).unwrap().to_string(), socket);
        }
        for (text, error) in [
            ("", AddressError::NotAddress),
            ("dns.example", AddressError::NotAddress),
            ("dns.example:53", AddressError::NotAddress),
            ("192.0.2.1:99999", AddressError::Port),
            ("[2001:db8::1]:x", AddressError::Port),
            ("fe80::1%eth0", AddressError::NotAddress),
        ] {
            assert_eq!(parse_socket(text, 53), Err(error), "{text}");
        }
    }

    #[test]
    fn prefixes() {
        for (text, net) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ] {
            assert_eq!(parse_net(text).unwrap().to_string(), net);
        }
        assert_eq!(
            parse_net("192.0.2.5/24"),
            Err(AddressError::HostBits("192.0.2.0/24".parse().unwrap()))
        );
        assert_eq!(parse_net("192.0.2.0/33"), Err(AddressError::PrefixLength));
        assert_eq!(
            parse_net("::ffff:1.2.3.4/64"),
            Err(AddressError::PrefixLength)
        );
        assert_eq!(parse_net("tablet"), Err(AddressError::NotAddress));
    }

    #[test]
    fn a_loop_is_seen() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (upstream, listen, back) in [
            ("127.0.0.1:53", "0.0.0.0:53", true),
            ("127.0.0.1:53", "127.0.0.1:53", true),
            ("[::ffff:127.0.0.1]:53", "127.0.0.1:53", true),
            ("[::1]:53", "[::]:53", true),
            ("[::1]:53", "0.0.0.0:53", false),
            ("127.0.0.53:53", "127.0.0.1:53", false),
            ("192.0.2.1:53", "0.0.0.0:53", false),
            ("127.0.0.1:5353", "0.0.0.0:53", false),
        ] {
            assert_eq!(comes_back(at(upstream), at(listen)), back, "{upstream}");
        }
    }
}
