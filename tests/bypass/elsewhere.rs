//! Resolvers, tunnels and relays elsewhere, and the names by which programs find them.

use crate::home::Who;
use crate::{Trick, reaches, says};

/// What the home's resolver says of the name that the tricks are after.
const GAMBLING: &str = "EDE 17: gambling (list our-gambling)";
const CANARY: &str = "EDE 17: keeps this device on the home's resolver";
const ENCRYPTED: &str = "EDE 17: encrypted-dns (list starter-encrypted-dns)";
const PROXY: &str = "EDE 17: proxy (list starter-proxy)";
const VPN: &str = "EDE 17: vpn (list starter-vpn)";

pub fn tricks() -> Vec<Trick> {
    let mut tricks = in_the_clear();
    tricks.extend(encrypted());
    tricks.extend(found_by_name());
    tricks.extend(relays());
    tricks.extend(from_outside());
    tricks
}

/// Asked of somebody else in the clear.
fn in_the_clear() -> Vec<Trick> {
    vec![
        says(
            "a public resolver by UDP",
            "casino.example A @9.9.9.9",
            GAMBLING,
        ),
        says(
            "a public resolver by TCP",
            "casino.example A @9.9.9.9 +tcp",
            GAMBLING,
        ),
        says(
            "a public resolver by IPv6",
            "casino.example A @2620:fe::fe",
            GAMBLING,
        ),
        says(
            "a public resolver by IPv6 and TCP",
            "casino.example A @2620:fe::fe +tcp",
            GAMBLING,
        ),
        says(
            "a resolver that no list knows",
            "casino.example A @203.0.113.53",
            GAMBLING,
        ),
        says(
            "a public resolver at port 9953",
            "casino.example A @9.9.9.9#9953",
            "refused",
        ),
        says(
            "a public resolver at port 5353 by TCP",
            "casino.example A @9.9.9.9#5353 +tcp",
            "refused",
        ),
        says(
            "a public resolver at port 5353 by IPv6",
            "casino.example A @2620:fe::fe#5353",
            "refused",
        ),
        says(
            "an unknown resolver at port 5353, from a pinned device",
            "casino.example A @203.0.113.53#5353",
            "refused",
        )
        .by(Who::Young),
    ]
}

/// Asked of somebody else in disguise.
fn encrypted() -> Vec<Trick> {
    vec![
        says(
            "DNS over TLS to a public resolver",
            "casino.example A @9.9.9.9 +tls",
            "refused",
        ),
        says(
            "DNS over TLS by IPv6",
            "casino.example A @2620:fe::fe +tls",
            "refused",
        ),
        says(
            "DNS over TLS to a resolver that no list knows",
            "casino.example A @203.0.113.53 +tls",
            "refused",
        ),
        says(
            "DNS over TLS at port 443 of a public resolver",
            "casino.example A @9.9.9.9#443 +https",
            "refused",
        ),
        says(
            "DNS over HTTPS to a public resolver's address",
            "casino.example A @9.9.9.9 +https",
            "refused",
        ),
        says(
            "DNS over HTTPS with a harmless name in the hello",
            "casino.example A @9.9.9.9 +https +sni=www.wikipedia.org",
            "refused",
        ),
        says(
            "DNS over HTTPS by IPv6",
            "casino.example A @2620:fe::fe +https",
            "refused",
        ),
        says(
            "DNS over HTTPS to a resolver that no list knows, from a pinned device",
            "casino.example A @203.0.113.53 +https",
            "refused",
        )
        .by(Who::Young),
        reaches("DNS over QUIC", "echo 203.0.113.53 853"),
        reaches("DNS over QUIC at its old port", "echo 203.0.113.53 784"),
        reaches("DNS over QUIC at port 8853", "echo 203.0.113.53 8853"),
        reaches("DNS over QUIC by IPv6", "echo 2620:fe::fe 853"),
        reaches("DNS over HTTP/3 to a public resolver", "echo 9.9.9.9 443"),
        says(
            "DNS over TLS to the home's own router",
            "casino.example A @10.78.0.1 +tls",
            "refused",
        )
        .proved_by(Who::Parent, "casino.example A @9.9.9.9 +tls"),
    ]
}

/// How programs find another resolver, or whether they may.
fn found_by_name() -> Vec<Trick> {
    vec![
        says(
            "Firefox turns its own resolver on",
            "use-application-dns.net A",
            CANARY,
        ),
        says("Apple's private relay", "mask.icloud.com A", CANARY),
        says(
            "Apple's private relay over HTTP/2",
            "mask-h2.icloud.com HTTPS",
            CANARY,
        )
        .proved_by(Who::Parent, "mask-h2.icloud.com A"),
        says(
            "Apple's private relay by its newest name",
            "mask-canary.icloud.com A",
            CANARY,
        ),
        says(
            "a resolver below a company that a rule opens",
            "dns.google.com A",
            ENCRYPTED,
        ),
        says(
            "Chrome's prefetch proxy",
            "dns-tunnel-check.googlezip.net A",
            CANARY,
        ),
        says(
            "the proxy behind Chrome's prefetching",
            "tunnel.googlezip.net A",
            PROXY,
        ),
        says(
            "Windows and Android look for an encrypted resolver here",
            "_dns.resolver.arpa SVCB",
            "NOERROR",
        )
        .prize("dns-query")
        .proved_by(Who::Parent, "_dns.resolver.arpa SVCB @203.0.113.53"),
        says("Android's private DNS", "dns.google A", ENCRYPTED),
        says(
            "Firefox's resolver by name",
            "mozilla.cloudflare-dns.com A",
            ENCRYPTED,
        ),
        says(
            "a resolver with a configuration of one's own",
            "abc123.dns.nextdns.io A",
            ENCRYPTED,
        ),
        says(
            "a name of one's own for a public resolver",
            "doh.own.example A",
            "EDE 17: encrypted-dns (list resolver-addresses), found in the answer (address)",
        )
        .prize("9.9.9.9"),
        says(
            "a name of one's own for a public resolver by IPv6",
            "doh.own.example AAAA",
            "EDE 17: encrypted-dns (list resolver-addresses), found in the answer (address)",
        )
        .prize("2620:fe::fe"),
        says(
            "an alias of a name of one's own for a public resolver",
            "aliased.own.example A",
            "EDE 17: encrypted-dns (list resolver-addresses), found in the answer (address)",
        )
        .prize("9.9.9.9"),
        says(
            "a public resolver in an address hint",
            "hint.own.example HTTPS",
            "EDE 17: encrypted-dns (list resolver-addresses), found in the answer (svcb-hint)",
        )
        .prize("9.9.9.9"),
        says(
            "a public resolver in an IPv6 address hint",
            "hint6.own.example HTTPS",
            "EDE 17: encrypted-dns (list resolver-addresses), found in the answer (svcb-hint)",
        )
        .prize("2620:fe::fe"),
        says(
            "a resolver told of by a service record",
            "_dns.doh.own.example SVCB",
            "EDE 17: a record type no ordinary program asks for",
        )
        .prize("dns-query"),
        says(
            "a resolver with a port of its own, told of by a service record",
            "_8530._dns.doh.own.example SVCB",
            "EDE 17: a record type no ordinary program asks for",
        )
        .prize("dns-query"),
        says(
            "a public resolver behind NAT64",
            "nat64.own.example AAAA",
            "EDE 17: encrypted-dns (list resolver-addresses), found in the answer (address)",
        )
        .prize("64:ff9b::"),
        says(
            "a public resolver behind 6to4",
            "sixtofour.own.example AAAA",
            "EDE 17: encrypted-dns (list resolver-addresses), found in the answer (address)",
        )
        .prize("2002:909:909::1"),
        says(
            "a resolver's path in a page's record",
            "dohpath.own.example HTTPS",
            "NOERROR",
        )
        .prize("dns-query"),
    ]
}

/// Names of what carries or shows the rest of the web.
fn relays() -> Vec<Trick> {
    vec![
        says(
            "Cloudflare's tunnel app",
            "engage.cloudflareclient.com A",
            VPN,
        ),
        says("a VPN's sign-up page", "www.nordvpn.com A", VPN),
        says("a VPN's own resolver", "dns.mullvad.net A", ENCRYPTED),
        says("the Tor browser's page", "www.torproject.org A", PROXY),
        says(
            "an onion service through a gateway",
            "abc.onion.ws A",
            PROXY,
        ),
        says(
            "an onion service by name",
            "abcdefghijklmnop.onion A",
            "NXDOMAIN",
        )
        .proved_by(Who::Parent, "abcdefghijklmnop.onion A @203.0.113.53"),
        says("a web proxy", "www.croxyproxy.com A", PROXY),
        says(
            "a translation page as a proxy",
            "casino-example.translate.goog A",
            PROXY,
        ),
        says("another one", "www.translatetheweb.com A", PROXY),
        says(
            "a search engine's proxy view",
            "eu-browse.startpage.com A",
            PROXY,
        ),
        says(
            "a search engine's copies",
            "webcache.googleusercontent.com A",
            PROXY,
        ),
        says("another search engine's copies", "cc.bingj.com A", PROXY),
        says(
            "a friend's proxy behind a tunnel",
            "abc.trycloudflare.com A",
            PROXY,
        ),
        says(
            "a name that stands for any address",
            "203-0-113-66.sslip.io A",
            PROXY,
        ),
        says("an archive of pages", "web.archive.org A", PROXY),
        says("an archive that takes orders", "archive.ph A", PROXY),
        says("a page reader for machines", "r.jina.ai A", PROXY),
        says("a front-end for videos", "yewtu.be A", PROXY),
        says("another front-end for videos", "inv.nadeko.net A", PROXY),
        says("a third front-end for videos", "piped.video A", PROXY),
        says(
            "the video servers themselves, on an allowlist",
            "rr1---sn-4g5e6nls.googlevideo.com A",
            "EDE 17: video (list starter-video)",
        )
        .by(Who::Young),
        reaches(
            "a VPN by address, from a pinned device",
            "echo 203.0.113.81 51820",
        )
        .by(Who::Young),
        reaches("an older VPN by address", "echo 203.0.113.81 1194").by(Who::Young),
        reaches(
            "a phone's built-in VPN by address",
            "echo 203.0.113.81 4500",
        )
        .by(Who::Young),
        reaches("a proxy by address", "connect 203.0.113.81 1080").by(Who::Young),
        reaches("a Tor relay by address", "connect 203.0.113.81 9001").by(Who::Young),
    ]
}

/// The home's resolver by other ways than the home's.
fn from_outside() -> Vec<Trick> {
    vec![
        says(
            "the router's outside address",
            "casino.example A @203.0.113.1",
            GAMBLING,
        ),
        says(
            "the router's link-local address",
            "casino.example A @fe80::5eff:fe10:2ff%eth0",
            GAMBLING,
        ),
        says(
            "a friend outside asks the home's resolver",
            "casino.example A @203.0.113.1",
            "REFUSED",
        )
        .by(Who::World)
        .proved_by(Who::Parent, "casino.example A @203.0.113.1"),
        says(
            "a friend outside asks by TCP",
            "casino.example A @203.0.113.1 +tcp",
            "refused",
        )
        .by(Who::World)
        .proved_by(Who::Parent, "casino.example A @203.0.113.1 +tcp"),
        says(
            "a friend outside asks the address inside",
            "casino.example A @10.78.0.1",
            "REFUSED",
        )
        .by(Who::World)
        .proved_by(Who::Parent, "casino.example A @10.78.0.1"),
    ]
}
