//! Other names, and other ways to write the same one.

use crate::home::Who;
use crate::{Trick, says};

const GAMBLING: &str = "EDE 17: gambling (list our-gambling)";
const UNSAFE: &str = "EDE 17: unsafe-search (list starter-unsafe-search)";

pub fn tricks() -> Vec<Trick> {
    let mut tricks = written_otherwise();
    tricks.extend(every_type());
    tricks.extend(search());
    tricks.extend(at_home());
    tricks
}

fn written_otherwise() -> Vec<Trick> {
    vec![
        says("capitals", "CASINO.EXAMPLE A", GAMBLING),
        says("mixed case", "cAsInO.eXaMpLe A", GAMBLING),
        says("a dot at the end", "casino.example. A", GAMBLING),
        says("letters as numbers", r"'\099asino.ex\097mple' A", GAMBLING),
        says(
            "full-width dots and letters",
            "ｃａｓｉｎｏ。ｅｘａｍｐｌｅ A",
            GAMBLING,
        ),
        says("a name below it", "www.casino.example A", GAMBLING),
        says(
            "a name with an underscore below it",
            "_x.casino.example A",
            GAMBLING,
        ),
        says("an asterisk below it", "*.casino.example A", GAMBLING),
        says(
            "a name of 250 octets below it",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.\
             bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.\
             ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.\
             dddddddddddddddddddddddddddddddddddddddddddddddd.casino.example A",
            GAMBLING,
        ),
        says(
            "octets no name has",
            r"'a\000b\255\.c.casino.example' A",
            GAMBLING,
        ),
        says(
            "a Cyrillic look-alike",
            "cаsinо.example A",
            "EDE 17: looks like a name that is blocked: gambling (our-gambling)",
        ),
        says(
            "the same in its punycode form",
            "xn--csin-53d1g.example A",
            "EDE 17: looks like a name that is blocked: gambling (our-gambling)",
        ),
        says(
            "a look-alike with an accent",
            "cásino.example A",
            "EDE 17: looks like a name that is blocked: gambling (our-gambling)",
        ),
        says(
            "an app by the name of its own servers",
            "api22-normal-c-useast1a.tiktokv.com A",
            "EDE 17: social-media (list starter-social-media)",
        ),
        says(
            "a name that a machine made up this morning",
            "xkqzvbwtplrm.com A",
            "EDE 17: a name that nobody would type, on no list",
        ),
        says(
            "a name nobody listed, on an allowlist",
            "unheard-of.example A",
            "EDE 17: not on the allowlist of this profile",
        )
        .by(Who::Young),
    ]
}

/// The name is closed, not one type of it.
fn every_type() -> Vec<Trick> {
    let asks = |name, words, prize| says(name, words, GAMBLING).prize(prize);
    vec![
        says("the IPv6 address", "casino.example AAAA", GAMBLING).prize("2001:db8:80::66"),
        says(
            "the page's record with hints",
            "casino.example HTTPS",
            GAMBLING,
        ),
        asks("a text record", "casino.example TXT", "prize"),
        asks(
            "the mail server, with its address",
            "casino.example MX",
            "10 casino",
        ),
        asks(
            "the zone's servers, with addresses",
            "casino.example NS",
            "NS casino",
        ),
        asks(
            "a service and where it is",
            "casino.example SRV",
            "443 casino",
        ),
        asks("the zone's start", "casino.example SOA", "prize.example"),
        asks("who may issue certificates", "casino.example CAA", "issue"),
        asks("a rule for rewriting", "casino.example NAPTR", "prize"),
        asks("the signer's key", "casino.example DNSKEY", "257 3 13"),
        asks("the digest of a key", "casino.example DS", "1 13 2"),
        says("everything at once", "casino.example ANY", GAMBLING)
            .proved_by(Who::Parent, "casino.example A"),
        says(
            "a type for nothing",
            "t.own.example NULL",
            "EDE 17: a record type no ordinary program asks for",
        )
        .prize("7072697a65"),
        says(
            "a type for private use",
            "t.own.example TYPE65399",
            "EDE 17: a record type no ordinary program asks for",
        )
        .prize("7072697a65"),
        says(
            "a tunnel by text records",
            "tunnel TXT 250",
            "EDE 17: made-up names that hide data",
        )
        .prize("prize"),
        says(
            "a tunnel by addresses",
            "tunnel A 250",
            "EDE 17: made-up names that hide data",
        ),
        says(
            "a tunnel by aliases",
            "tunnel CNAME 250",
            "EDE 17: made-up names that hide data",
        )
        .proved_by(Who::Parent, "tunnel A 3"),
        says(
            "a tunnel by names of letters alone",
            "tunnel A 400 letters",
            "EDE 17: made-up names that hide data",
        ),
        says(
            "a tunnel by short names",
            "tunnel TXT 400 short",
            "EDE 17: made-up names that hide data",
        )
        .prize("prize"),
        says(
            "a tunnel below a name of three letters",
            "tunnel A 250 own",
            "EDE 17: made-up names that hide data",
        ),
        says(
            "a tunnel by long answers",
            "tunnel TXT 250 down",
            "EDE 17: made-up names that hide data",
        )
        .prize("prize"),
        says(
            "a tunnel by keys, on an allowlist",
            "tunnel DNSKEY 3",
            "EDE 17: not on the allowlist of this profile",
        )
        .by(Who::Young)
        .prize("cHJpemU="),
        says(
            "a tunnel by digests of keys, on an allowlist",
            "piece.tunnel.example DS",
            "EDE 17: not on the allowlist of this profile",
        )
        .by(Who::Young)
        .prize("257 3 13")
        .proved_by(Who::Parent, "piece.tunnel.example DNSKEY"),
    ]
}

/// Search and video without their safe form.
fn search() -> Vec<Trick> {
    vec![
        says(
            "a search engine",
            "www.google.com A",
            "CNAME forcesafesearch.google.com.",
        ),
        says(
            "a search engine's page of another country",
            "www.google.com.vn A",
            "CNAME forcesafesearch.google.com.",
        ),
        says(
            "a search engine by IPv6",
            "www.google.de AAAA",
            "CNAME forcesafesearch.google.com.",
        )
        .prize("2001:db8:80::66"),
        says(
            "another search engine",
            "www.bing.com A",
            "CNAME strict.bing.com.",
        ),
        says(
            "another machine of a search engine",
            "www4.bing.com A",
            "CNAME strict.bing.com.",
        ),
        says(
            "a search engine's name for a country",
            "fr.bing.com A",
            "CNAME strict.bing.com.",
        ),
        says(
            "a search engine's name for the whole world",
            "global.bing.com A",
            "CNAME strict.bing.com.",
        ),
        says(
            "a search engine's door for pictures",
            "images.google.fr A",
            "CNAME forcesafesearch.google.com.",
        ),
        says(
            "a search engine inside other pages",
            "cse.google.com A",
            "CNAME forcesafesearch.google.com.",
        ),
        says(
            "a search engine's door for IPv6",
            "ipv6.google.com AAAA",
            "CNAME forcesafesearch.google.com.",
        )
        .prize("2001:db8:80::66"),
        says(
            "a search engine's page without scripts",
            "lite.duckduckgo.com A",
            "CNAME safe.duckduckgo.com.",
        ),
        says(
            "a search engine without a safe form",
            "search.yahoo.com A",
            UNSAFE,
        ),
        says(
            "a search engine's country name without a safe form",
            "uk.search.yahoo.com A",
            UNSAFE,
        ),
        says("videos", "www.youtube.com A", "CNAME restrict.youtube.com."),
        says(
            "videos by the bare name",
            "youtube.com A",
            "CNAME restrict.youtube.com.",
        ),
        says(
            "videos inside other pages",
            "www.youtube-nocookie.com A",
            "CNAME restrict.youtube.com.",
        ),
        says(
            "an app's way to videos",
            "youtubei.googleapis.com A",
            "CNAME restrict.youtube.com.",
        ),
    ]
}

/// Names that mean something only here.
fn at_home() -> Vec<Trick> {
    vec![
        says(
            "the name below localhost",
            "casino.example.localhost A",
            "A 127.0.0.1",
        )
        .proved_by(Who::Parent, "casino.example.localhost A @203.0.113.53"),
        says("the name below local", "casino.example.local A", "NXDOMAIN")
            .proved_by(Who::Parent, "casino.example.local A @203.0.113.53"),
        says(
            "the name below home.arpa",
            "casino.example.home.arpa A",
            "NXDOMAIN",
        )
        .proved_by(Who::Parent, "casino.example.home.arpa A @203.0.113.53"),
        says("the name below alt", "casino.example.alt A", "NXDOMAIN")
            .proved_by(Who::Parent, "casino.example.alt A @203.0.113.53"),
    ]
}
