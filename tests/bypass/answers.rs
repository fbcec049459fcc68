//! A name nobody blocks, whose answer leads to what is blocked. Whoever has a domain can do it.

use crate::home::Who;
use crate::{Trick, says};

pub fn tricks() -> Vec<Trick> {
    let mut tricks = aliases();
    tricks.extend(services());
    tricks.extend(rebinding());
    tricks
}

const BY_ALIAS: &str = "EDE 17: gambling (list our-gambling), found in the answer (cname)";
const BY_SERVICE: &str = "EDE 17: gambling (list our-gambling), found in the answer (svcb-target)";

fn aliases() -> Vec<Trick> {
    vec![
        says("an alias of one's own", "alias.own.example A", BY_ALIAS),
        says(
            "an alias of an alias of an alias",
            "far.own.example A",
            BY_ALIAS,
        ),
        says("an alias in capitals", "case.own.example A", BY_ALIAS),
        says(
            "a whole domain renamed",
            "www.renamed.own.example A",
            BY_ALIAS,
        ),
        says(
            "an alias, without asking for its address",
            "alias.own.example CNAME",
            BY_ALIAS,
        )
        .prize("CNAME casino.example."),
        says(
            "an alias to a proxy's page",
            "out.own.example A",
            "EDE 17: proxy (list starter-proxy), found in the answer (cname)",
        ),
        says(
            "a tracker under a page's own name",
            "metrics.site.example A",
            "EDE 17: trackers (list our-trackers), found in the answer (cname)",
        ),
        says(
            "a service's address beside the answer",
            "_game._tcp.own.example SRV",
            "NOERROR",
        )
        .proved_by(Who::Parent, "_game._tcp.own.example SRV @203.0.113.53"),
        says(
            "a mail server's address beside the answer",
            "mail.own.example MX",
            "NOERROR",
        )
        .proved_by(Who::Parent, "mail.own.example MX @203.0.113.53"),
        says(
            "a name server's address beside the answer",
            "zone.own.example NS",
            "NOERROR",
        )
        .proved_by(Who::Parent, "zone.own.example NS @203.0.113.53"),
    ]
}

fn services() -> Vec<Trick> {
    vec![
        says(
            "a page's record that names another",
            "service.own.example HTTPS",
            BY_SERVICE,
        )
        .prize("1 casino.example."),
        says(
            "a page's record as an alias",
            "pointer.own.example HTTPS",
            BY_SERVICE,
        )
        .prize("0 casino.example."),
        says("a service's record", "record.own.example SVCB", BY_SERVICE)
            .prize("1 casino.example."),
        says(
            "an encrypted hello",
            "hello.own.example HTTPS",
            "alpn=\"h2\"",
        )
        .prize("ech="),
        says(
            "an encrypted hello that must be",
            "needs.own.example HTTPS",
            "NOERROR",
        )
        .prize("ech="),
    ]
}

/// A page that points into the home.
fn rebinding() -> Vec<Trick> {
    let inside = |name, words, prize| {
        says(
            name,
            words,
            "EDE 15: a public name that points into the home, found in the answer",
        )
        .prize(prize)
    };
    vec![
        inside(
            "a public name for a private address",
            "home1.own.example A",
            "192.168.1.1",
        ),
        inside(
            "a public name for the router",
            "home2.own.example A",
            "10.78.0.1",
        ),
        inside(
            "a public name for the machine itself",
            "home3.own.example A",
            "127.0.0.1",
        ),
        inside(
            "a public name in the network of zero",
            "home4.own.example A",
            "0.1.2.3",
        ),
        inside(
            "a public name in a provider's network",
            "home5.own.example A",
            "100.64.0.1",
        ),
        inside(
            "a public name for a link-local address",
            "home6.own.example A",
            "169.254.1.1",
        ),
        inside(
            "a private address in IPv6 clothes",
            "home1.own.example AAAA",
            "::ffff:192.168.1.1",
        ),
        inside(
            "a private address behind NAT64",
            "home2.own.example AAAA",
            "64:ff9b::",
        ),
        inside(
            "a private address of IPv6",
            "home3.own.example AAAA",
            "fd78::1",
        ),
        inside(
            "a link-local address of IPv6",
            "home4.own.example AAAA",
            "fe80::1",
        ),
        inside(
            "a private address behind 6to4",
            "home5.own.example AAAA",
            "2002:c0a8:101::1",
        ),
        inside(
            "the machine itself by IPv6",
            "home6.own.example AAAA",
            "::1",
        ),
        inside(
            "the router in an address hint",
            "home7.own.example HTTPS",
            "10.78.0.1",
        ),
        inside(
            "the router beside a public address",
            "mixed.own.example A",
            "10.78.0.1",
        ),
    ]
}
