//! The system's own resolvers, and how not to ask ourselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use crate::config::{Transport, UpstreamServer};
use crate::files::{FileError, Files};

/// Servers we take from the file; the C library takes three.
const SERVERS: usize = 8;
/// Far beyond any real `resolv.conf`.
const MAX_BYTES: u64 = 64 * 1024;
/// Where DNS is served unless said otherwise.
const PORT: u16 = 53;

/// Reads the resolvers from the file at `path`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<UpstreamServer>, FileError> {
    let content = Files::disk().read(path, MAX_BYTES)?;
    Ok(parse(&String::from_utf8_lossy(&content)))
}

/// The `nameserver` lines of resolv.conf(5); everything else is for the C library.
fn parse(content: &str) -> Vec<UpstreamServer> {
    let mut servers = Vec::new();
    for line in content.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let Some(address) = words.next().and_then(parse_address) else {
            continue;
        };
        let server = UpstreamServer::at(address, Transport::Udp);
        if servers.len() < SERVERS && !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

/// An address, for a link-local one with its interface, as in `fe80::1%eth0`.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let Some((address, interface)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, PORT));
    };
    let scope = interface
        .parse()
        .ok()
        .or_else(|| nix::net::if_::if_nametoindex(interface).ok())?;
    let address = address.parse().ok()?;
    Some(SocketAddrV6::new(address, PORT, 0, scope).into())
}

/// Takes out of `servers` the addresses at which we listen ourselves, since a question would go
/// round in circles.
pub(super) fn without_ourselves(
    servers: Vec<UpstreamServer>,
    own: &[SocketAddr],
) -> Vec<UpstreamServer> {
    let interfaces = interface_addresses();
    let (ourselves, others): (Vec<_>, Vec<_>) = servers.into_iter().partition(|server| {
        let mut addresses = server.addresses().iter();
        addresses.any(|&address| is_own(address, own, &interfaces))
    });
    for server in ourselves {
        tracing::warn!(%server, "left out as upstream: that is ourselves");
    }
    others
}

/// Whether what is sent to `address` comes to one of our listeners.
fn is_own(address: SocketAddr, own: &[SocketAddr], interfaces: &[IpAddr]) -> bool {
    let ip = address.ip().to_canonical();
    own.iter().any(|listener| {
        let listens_at = listener.ip().to_canonical();
        // `[::]` may take IPv4 too, depending on the system.
        let is_covered = listens_at.is_unspecified()
            && (listens_at.is_ipv6() || ip.is_ipv4())
            && (ip.is_loopback() || ip.is_unspecified() || interfaces.contains(&ip));
        // Nothing is sent to the unspecified address; the kernel takes it for loopback.
        let is_meant = listens_at == ip
            || ip.is_unspecified() && listens_at == IpAddr::from(Ipv4Addr::LOCALHOST);
        listener.port() == address.port() && (is_covered || is_meant)
    })
}

/// The addresses of this machine.
fn interface_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            address
                .as_sockaddr_in()
                .map(|v4| IpAddr::from(v4.ip()))
                .or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(content: &str) -> Vec<String> {
        parse(content).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nameserver_lines_count_and_nothing_else() {
        let content = "# nameserver 192.0.2.9\n\
                       search home.test\n\
                       nameserver 192.0.2.1\n\
                       \tnameserver\t2001:db8::1 ; second\n\
                       nameserver 192.0.2.1\n\
                       nameserver fe80::1%lo\n\
                       nameserver fe80::1%7\n\
                       nameserver not-an-address\n\
                       nameserver\n\
                       options edns0\n";
        assert_eq!(
            addresses(content),
            [
                "192.0.2.1:53",
                "[2001:db8::1]:53",
                "[fe80::1%1]:53",
                "[fe80::1%7]:53"
            ]
        );
        assert_eq!(addresses(""), [""; 0]);
        let many: String = (0..20)
            .map(|index| format!("nameserver 192.0.2.{index}\n"))
            .collect();
        assert_eq!(addresses(&many).len(), SERVERS);
    }

    #[test]
    fn ourselves_under_any_name() {
        let home = IpAddr::from([192, 168, 1, 1]);
        let cases = [
            ("127.0.0.1:53", "127.0.0.1:53", true),
            ("127.0.0.1:53", "127.0.0.1:5353", false),
            ("127.0.0.53:53", "127.0.0.1:53", false),
            ("127.0.0.53:53", "0.0.0.0:53", true),
            ("127.0.0.53:53", "0.0.0.0:5353", false),
            ("192.168.1.1:53", "0.0.0.0:53", true),
            ("192.168.1.1:53", "[::]:53", true),
            ("192.168.1.2:53", "0.0.0.0:53", false),
            ("[::1]:53", "[::]:53", true),
            ("[::1]:53", "0.0.0.0:53", false),
            ("[::ffff:127.0.0.1]:53", "127.0.0.1:53", true),
            ("0.0.0.0:53", "127.0.0.1:53", true),
        ];
        for (server, own, expected) in cases {
            let found = is_own(server.parse().unwrap(), &[own.parse().unwrap()], &[home]);
            assert_eq!(found, expected, "{server} when listening at {own}");
        }
    }
}
