//! Public resolvers that filter for families, under words that stand for them in `servers`.
//!
//! Each line is what its operator publishes. Beside it stand the page, and the day on which it was
//! last compared with what is printed of that page. An IPv4 and an IPv6 address belong together as
//! one server, so that a home with either alone reaches both servers.

use std::net::{IpAddr, SocketAddr};

use super::{Host, Transport, UpstreamServer};

/// One of them.
#[derive(Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "a test compares the page with them")
)]
pub(super) struct FamilyResolver {
    /// The word.
    pub(super) word: &'static str,
    /// What its operator filters.
    pub(super) about: &'static str,
    /// The name of its certificate.
    name: &'static str,
    /// Its servers, each by its IPv4 and its IPv6 address.
    servers: [[&'static str; 2]; 2],
    /// Where its operator says so.
    pub(super) source: &'static str,
    /// When that was last compared.
    pub(super) seen: &'static str,
}

/// All of them, by word.
pub(super) const FAMILY_RESOLVERS: [FamilyResolver; 6] = [
    FamilyResolver {
        word: "adguard-family",
        about: "adult content, advertising, trackers; safe search",
        name: "family.adguard-dns.com",
        servers: [
            ["94.140.14.15", "2a10:50c0::bad1:ff"],
            ["94.140.15.16", "2a10:50c0::bad2:ff"],
        ],
        source: "https://adguard-dns.io/en/public-dns.html",
        seen: "2026-11-22",
    },
    FamilyResolver {
        word: "cleanbrowsing-family",
        about: "adult content, proxies and VPNs, mixed content; safe search",
        name: "family-filter-dns.cleanbrowsing.org",
        servers: [
            ["185.228.168.168", "2a0d:2a00:1::"],
            ["185.228.169.168", "2a0d:2a00:2::"],
        ],
        source: "https://cleanbrowsing.org/filters/",
        seen: "2026-11-22",
    },
    FamilyResolver {
        word: "cloudflare-family",
        about: "malware and adult content",
        name: "family.cloudflare-dns.com",
        servers: [
            ["1.1.1.3", "2606:4700:4700::1113"],
            ["1.0.0.3", "2606:4700:4700::1003"],
        ],
        source: "https://developers.cloudflare.com/1.1.1.1/infrastructure/network-operators/",
        seen: "2026-11-22",
    },
    FamilyResolver {
        word: "dns4eu-child",
        about: "malware and what is not for children",
        name: "child.joindns4.eu",
        servers: [
            ["86.54.11.12", "2a13:1001::86:54:11:12"],
            ["86.54.11.212", "2a13:1001::86:54:11:212"],
        ],
        source: "https://www.joindns4.eu/for-public",
        seen: "2026-11-22",
    },
    FamilyResolver {
        word: "dns4eu-child-noads",
        about: "malware, what is not for children, advertising",
        name: "child-noads.joindns4.eu",
        servers: [
            ["86.54.11.11", "2a13:1001::86:54:11:11"],
            ["86.54.11.211", "2a13:1001::86:54:11:211"],
        ],
        source: "https://www.joindns4.eu/for-public",
        seen: "2026-11-22",
    },
    FamilyResolver {
        word: "quad9",
        about: "malware; nothing else",
        name: "dns.quad9.net",
        servers: [
            ["9.9.9.9", "2620:fe::fe"],
            ["149.112.112.112", "2620:fe::9"],
        ],
        source: "https://quad9.net/service/service-addresses-and-features/",
        seen: "2026-11-22",
    },
];

/// Their words.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    FAMILY_RESOLVERS.iter().map(|resolver| resolver.word)
}

/// The servers that `word` stands for, over TLS.
pub(super) fn servers(word: &str) -> Option<Vec<UpstreamServer>> {
    let resolver = FAMILY_RESOLVERS.iter().find(|it| it.word == word)?;
    let port = Transport::Tls.port();
    let server = |addresses: &[&str; 2]| UpstreamServer {
        host: Host::Addresses(
            addresses
                .iter()
                .filter_map(|address| address.parse::<IpAddr>().ok())
                .map(|address| SocketAddr::new(address, port))
                .collect(),
        ),
        transport: Transport::Tls,
        tls_name: Some(resolver.name.to_owned()),
        path: None,
    };
    Some(resolver.servers.iter().map(server).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_two_servers_of_two_addresses_each() {
        let mut ran = 0;
        for resolver in &FAMILY_RESOLVERS {
            let servers = servers(resolver.word).unwrap();
            let addresses: Vec<_> = servers
                .iter()
                .flat_map(|server| server.addresses())
                .collect();
            assert_eq!(addresses.len(), 4, "{}", resolver.word);
            assert_eq!(addresses.iter().filter(|it| it.is_ipv4()).count(), 2);
            ran += 1;
        }
        assert_eq!(ran, 6);
        assert!(words().is_sorted());
        assert_eq!(servers("quad8"), None);
    }

    #[test]
    fn the_page_lists_each_with_its_source_and_day() {
        let page = include_str!("../../docs/upstream.md");
        for resolver in &FAMILY_RESOLVERS {
            let row = format!(
                "| `{}` | {} | [{}]({}) |",
                resolver.word, resolver.about, resolver.seen, resolver.source
            );
            assert!(page.contains(&row), "missing in docs/upstream.md: {row}");
        }
    }
}
