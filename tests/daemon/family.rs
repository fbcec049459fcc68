//! A family: who asks decides what the answer is.

use crate::support::clients::{self, dig, dnspython, kdig};
use crate::support::home::FAMILY;
use crate::support::upstream::{address, cname, https, txt};
use crate::support::wire::{ask, rtype};
use crate::support::{Connection, Home, Reply, Say};

const TABLET: &str = "127.0.0.2";
const LAPTOP: &str = "127.0.0.3";
const PHONE: &str = "127.0.0.4";
const PARENT: &str = "127.0.0.5";
const STRANGER: &str = "127.0.0.9";

/// Blocked by way of a null address, which is how presets answer.
#[track_caller]
fn assert_null(reply: &Reply, ede: u16, text: &str) {
    assert_eq!(reply.rcode(), 0);
    assert_eq!(reply.answers(), ["A 0.0.0.0"]);
    assert_eq!(reply.ttls(), [10]);
    assert_eq!(reply.ede(), Some((ede, text.to_owned())));
}

#[track_caller]
fn assert_addresses(reply: &Reply, addresses: &[&str]) {
    assert_eq!(reply.rcode(), 0);
    assert_eq!(reply.answers(), addresses);
    assert_eq!(reply.ede(), None);
}

#[test]
fn an_allowed_name_is_forwarded_with_what_upstream_says() {
    let home = Home::family();
    let says = Say::Records(vec![
        address("192.0.2.7").ttl(120),
        address("192.0.2.8").ttl(120),
    ]);
    home.upstream.on_question("www.example.org", rtype::A, says);
    for device in [LAPTOP, PHONE, PARENT, STRANGER] {
        let reply = home.look_up(device, "www.example.org", rtype::A);
        assert_addresses(&reply, &["A 192.0.2.7", "A 192.0.2.8"]);
        assert!(reply.ttls().iter().all(|ttl| (100..=120).contains(ttl)));
    }
    assert_eq!(home.upstream.times("www.example.org"), 1, "one for all");
}

#[test]
fn every_way_to_answer_a_block_for_every_type() {
    const ANSWERS: &str = r#"
        [[device]]
        name = "null"
        profile = "null"
        address = ["127.0.1.1"]
        [[device]]
        name = "nxdomain"
        profile = "nxdomain"
        address = ["127.0.1.2"]
        [[device]]
        name = "nodata"
        profile = "nodata"
        address = ["127.0.1.3"]
        [[device]]
        name = "refused"
        profile = "refused"
        address = ["127.0.1.4"]
        [[device]]
        name = "page"
        profile = "page"
        address = ["127.0.1.5"]
        [profile.null]
        inherits = "adult"
        block-names = ["blocked.example"]
        block-answer = "null"
        block-ttl = "7s"
        [profile.nxdomain]
        inherits = "null"
        block-answer = "nxdomain"
        [profile.nodata]
        inherits = "null"
        block-answer = "nodata"
        [profile.refused]
        inherits = "null"
        block-answer = "refused"
        [profile.page]
        inherits = "null"
        block-answer = "address"
        block-addresses = ["192.0.2.80", "2001:db8::80"]
        "#;
    let home = Home::start(ANSWERS);
    let mut cases = 0;
    for (device, rcode, a, aaaa) in [
        ("127.0.1.1", 0, Some("A 0.0.0.0"), Some("AAAA ::")),
        ("127.0.1.2", 3, None, None),
        ("127.0.1.3", 0, None, None),
        ("127.0.1.4", 5, None, None),
        (
            "127.0.1.5",
            0,
            Some("A 192.0.2.80"),
            Some("AAAA 2001:db8::80"),
        ),
    ] {
        for (qtype, answer) in [
            (rtype::A, a),
            (rtype::AAAA, aaaa),
            (rtype::HTTPS, None),
            (rtype::TXT, None),
            (rtype::MX, None),
            (rtype::ANY, None),
        ] {
            for name in ["blocked.example", "deep.below.blocked.example"] {
                let reply = home.look_up(device, name, qtype);
                let what = format!("{device} {name} type {qtype}");
                assert_eq!(reply.rcode(), rcode, "{what}");
                assert_eq!(reply.answers(), Vec::from_iter(answer), "{what}");
                let (code, text) = reply.ede().unwrap_or_else(|| panic!("{what}: no EDE"));
                assert_eq!(code, 17, "{what}");
                assert_eq!(text, "profile rule `blocked.example`", "{what}");
                match answer {
                    Some(_) => assert_eq!(reply.ttls(), [7], "{what}"),
                    // So that a client may keep the "no" (RFC 2308).
                    None if rcode != 5 => assert_eq!(reply.soa_ttl(), Some(7), "{what}"),
                    None => {}
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 60);
    assert_eq!(home.upstream.count(), 0, "nothing of it left the home");
}

#[test]
fn the_ede_tells_child_safety_from_security_and_names_the_list() {
    let home = Home::family();
    let reply = home.look_up(LAPTOP, "casino.example", rtype::A);
    assert_null(&reply, 17, "gambling (list our-gambling)");
    let reply = home.look_up(PARENT, "evil.example", rtype::A);
    assert_null(&reply, 15, "malware (list our-malware)");
    let reply = home.look_up(LAPTOP, "game.example", rtype::A);
    assert_null(&reply, 17, "profile rule `game.example`");
    let reply = home.look_up(LAPTOP, "ads.example", rtype::A);
    assert_null(&reply, 17, "ads (list our-ads)");
    // Without EDNS there is no place to say why (RFC 8914 section 2), but the block is the same.
    let reply = home.ask(&ask("casino.example", rtype::A).from(LAPTOP));
    assert_eq!(reply.answers(), ["A 0.0.0.0"]);
}

#[test]
fn every_starter_list_blocks_its_self_test_and_nothing_of_it_goes_upstream() {
    let home = Home::family();
    let mut names = Vec::new();
    for category in [
        "adult",
        "chat",
        "dating",
        "drugs",
        "encrypted-dns",
        "extremism",
        "gambling",
        "malware",
        "phishing",
        "proxy",
        "self-harm",
        "social-media",
        "trackers",
        "ads",
        "unsafe-search",
        "violence",
        "vpn",
    ] {
        let name = format!("{category}.hedgerow.test");
        let reply = home.look_up(LAPTOP, &name, rtype::A);
        let security = matches!(category, "malware" | "phishing");
        let code = if security { 15 } else { 17 };
        assert_eq!(reply.answers(), ["A 0.0.0.0"], "{category}");
        let (found, text) = reply.ede().expect(category);
        assert_eq!(found, code, "{category}: {text}");
        assert!(text.starts_with(category), "{category}: {text}");
        names.push(name);
    }
    assert_eq!(names.len(), 17);
    assert_eq!(home.upstream.count(), 0);
}

#[test]
fn one_device_s_block_does_not_colour_another_s_answer() {
    let home = Home::family();
    let says = |text| Say::address(text);
    home.upstream.on_name("casino.example", says("192.0.2.10"));
    home.upstream.on_name("both.example", says("192.0.2.11"));
    let why = "gambling (list our-gambling)";
    // The child first: nothing is asked; then the parent fills the cache; then the child again.
    assert_null(&home.look_up(LAPTOP, "casino.example", rtype::A), 17, why);
    assert_eq!(home.upstream.times("casino.example"), 0);
    let reply = home.look_up(PARENT, "casino.example", rtype::A);
    assert_addresses(&reply, &["A 192.0.2.10"]);
    assert_null(&home.look_up(LAPTOP, "casino.example", rtype::A), 17, why);
    assert_null(&home.look_up(PHONE, "casino.example", rtype::A), 17, why);
    let reply = home.look_up(PARENT, "casino.example", rtype::A);
    assert_addresses(&reply, &["A 192.0.2.10"]);
    assert_eq!(home.upstream.times("casino.example"), 1);
    // The other way round: the parent's answer is in the cache before the child asks.
    let why = "gambling (list our-gambling)";
    let reply = home.look_up(PARENT, "both.example", rtype::A);
    assert_addresses(&reply, &["A 192.0.2.11"]);
    assert_null(&home.look_up(LAPTOP, "both.example", rtype::A), 17, why);
    assert_eq!(home.upstream.times("both.example"), 1);
}

#[test]
fn safe_search_leads_to_the_restricted_name_as_it_is_now() {
    let home = Home::family();
    let up = &home.upstream;
    let safe = "forcesafesearch.google.com";
    up.on_question(safe, rtype::A, Say::address("192.0.2.20"));
    up.on_question(safe, rtype::AAAA, Say::address("2001:db8::20"));
    let service = Say::one(https(1, ".", &["192.0.2.20"], &[]));
    up.on_question(safe, rtype::HTTPS, service);
    up.on_question("www.google.com", rtype::TXT, Say::one(txt("as it is")));
    let alias = "CNAME forcesafesearch.google.com.";
    for name in ["www.google.com", "www.google.co.uk"] {
        let reply = home.look_up(LAPTOP, name, rtype::A);
        assert_addresses(&reply, &[alias, "A 192.0.2.20"]);
        assert_eq!(
            reply.message.answers[0].name.to_string(),
            format!("{name}.")
        );
        assert_eq!(
            reply.message.answers[1].name.to_string(),
            format!("{safe}.")
        );
        let reply = home.look_up(LAPTOP, name, rtype::AAAA);
        assert_addresses(&reply, &[alias, "AAAA 2001:db8::20"]);
        let reply = home.look_up(LAPTOP, name, rtype::HTTPS);
        assert_eq!(reply.answers()[0], alias);
        assert!(reply.answers()[1].starts_with("HTTPS 1 . "), "{reply:?}");
        assert_eq!(
            up.times(name),
            0,
            "{name} itself is not asked for addresses"
        );
    }
    // Text records are not search, and grown-ups get the open form.
    let reply = home.look_up(LAPTOP, "www.google.com", rtype::TXT);
    assert_eq!(reply.answers(), ["TXT as it is"]);
    let reply = home.look_up(PARENT, "www.google.com", rtype::A);
    assert_addresses(&reply, &["A 192.0.2.1"]);
    // Upstream moves the restricted name: what is asked next follows (another name, not cached).
    up.on_question("strict.bing.com", rtype::A, Say::address("192.0.2.21"));
    let reply = home.look_up(PHONE, "www.bing.com", rtype::A);
    assert_addresses(&reply, &["CNAME strict.bing.com.", "A 192.0.2.21"]);
    up.on_question("strict.bing.com", rtype::AAAA, Say::NoData(30));
    let reply = home.look_up(PHONE, "www.bing.com", rtype::AAAA);
    assert_addresses(&reply, &["CNAME strict.bing.com."]);
}

#[test]
fn dig_and_kdig_see_safe_search() {
    let home = Home::family();
    let up = &home.upstream;
    let safe = "forcesafesearch.google.com";
    up.on_question(safe, rtype::A, Say::address("192.0.2.20"));
    up.on_question(safe, rtype::AAAA, Say::address("2001:db8::20"));
    up.on_question(safe, rtype::HTTPS, Say::one(https(1, ".", &[], &[])));
    let wants = [
        ("A", "A 192.0.2.20"),
        ("AAAA", "AAAA 2001:db8::20"),
        ("HTTPS", "HTTPS 1 . alpn=h2"),
    ];
    for (qtype, last) in wants {
        let expected = ["CNAME forcesafesearch.google.com.", last];
        for (program, shown) in [
            ("dig", dig(home.v4, LAPTOP, &["www.google.com", qtype])),
            ("kdig", kdig(home.v4, LAPTOP, &["www.google.com", qtype])),
        ] {
            let Some(shown) = shown else { continue };
            assert_eq!(clients::status(&shown), "NOERROR", "{program}: {shown}");
            let records = clients::records(&shown);
            let plain: Vec<_> = records.iter().map(|line| line.replace('"', "")).collect();
            assert_eq!(plain, expected, "{program}: {shown}");
        }
    }
}

#[test]
fn video_is_strict_for_children_and_moderate_for_adolescents() {
    let home = Home::family();
    let up = &home.upstream;
    up.on_name("restrict.youtube.com", Say::address("192.0.2.30"));
    up.on_name("restrictmoderate.youtube.com", Say::address("192.0.2.31"));
    for name in [
        "www.youtube.com",
        "m.youtube.com",
        "youtubei.googleapis.com",
    ] {
        let reply = home.look_up(LAPTOP, name, rtype::A);
        assert_addresses(&reply, &["CNAME restrict.youtube.com.", "A 192.0.2.30"]);
        let reply = home.look_up(PHONE, name, rtype::A);
        let moderate = "CNAME restrictmoderate.youtube.com.";
        assert_addresses(&reply, &[moderate, "A 192.0.2.31"]);
        let reply = home.look_up(PARENT, name, rtype::A);
        assert_addresses(&reply, &["A 192.0.2.1"]);
        let reply = home.look_up(STRANGER, name, rtype::A);
        assert_addresses(&reply, &["CNAME restrict.youtube.com.", "A 192.0.2.30"]);
    }
}

#[test]
fn a_blocked_alias_target_blocks_fresh_and_from_the_cache() {
    let home = Home::family();
    let chain = Say::Records(vec![
        cname("a.cdn.example"),
        cname("casino.example").of("a.cdn.example"),
        address("192.0.2.40").of("casino.example"),
    ]);
    home.upstream.on_name("innocent.example.org", chain);
    let why = "gambling (list our-gambling), found in the answer (cname)";
    let reply = home.look_up(LAPTOP, "innocent.example.org", rtype::A);
    assert_null(&reply, 17, why);
    let reply = home.look_up(PARENT, "innocent.example.org", rtype::A);
    let whole = [
        "CNAME a.cdn.example.",
        "CNAME casino.example.",
        "A 192.0.2.40",
    ];
    assert_addresses(&reply, &whole);
    let reply = home.look_up(LAPTOP, "innocent.example.org", rtype::A);
    assert_null(&reply, 17, why);
    assert_eq!(home.upstream.times("innocent.example.org"), 1);
}

#[test]
fn an_https_record_is_judged_by_target_alias_and_hint() {
    let home = Home::family();
    let up = &home.upstream;
    let service = |priority, target, hints: &[&str]| Say::one(https(priority, target, hints, &[]));
    up.on_name("target.example.org", service(1, "casino.example", &[]));
    up.on_name("alias.example.org", service(0, "casino.example", &[]));
    up.on_name("hint.example.org", service(1, ".", &["192.168.1.1"]));
    up.on_name("fine.example.org", service(1, ".", &["192.0.2.50"]));
    for (name, code, trigger) in [
        ("target.example.org", 17, "svcb-target"),
        ("alias.example.org", 17, "svcb-target"),
        ("hint.example.org", 15, "svcb-hint"),
    ] {
        let reply = home.look_up(LAPTOP, name, rtype::HTTPS);
        assert_eq!((reply.rcode(), reply.answers()), (0, vec![]), "{name}");
        let (found, text) = reply.ede().expect(name);
        assert_eq!(found, code, "{name}: {text}");
        assert!(text.ends_with(&format!("({trigger})")), "{name}: {text}");
    }
    let reply = home.look_up(LAPTOP, "fine.example.org", rtype::HTTPS);
    let says = reply.answers();
    assert!(says[0].contains("192.0.2.50"), "{says:?}");
    let reply = home.look_up(PARENT, "target.example.org", rtype::HTTPS);
    assert!(reply.answers()[0].starts_with("HTTPS 1 casino.example."));
}

#[test]
fn a_public_name_does_not_point_into_the_home() {
    let config = format!(
        "{FAMILY}\n[[forward]]\ndomain = \"corp.example\"\nservers = [\"127.0.0.1:9\"]\n\
         [profile.adolescent]\nblock-rebinding = false\n"
    );
    let home = Home::start(&config);
    let mut cases = 0;
    for (text, qtype, blocked) in [
        ("192.168.1.1", rtype::A, true),
        ("10.0.0.1", rtype::A, true),
        ("172.16.0.1", rtype::A, true),
        ("172.32.0.1", rtype::A, false),
        ("127.0.0.1", rtype::A, true),
        ("169.254.1.1", rtype::A, true),
        ("100.64.0.1", rtype::A, true),
        ("0.0.0.0", rtype::A, false),
        ("192.0.2.1", rtype::A, false),
        ("::1", rtype::AAAA, true),
        ("fe80::1", rtype::AAAA, true),
        ("fd00::1", rtype::AAAA, true),
        ("::ffff:192.168.1.1", rtype::AAAA, true),
        ("64:ff9b::c0a8:101", rtype::AAAA, true),
        ("2001:db8::1", rtype::AAAA, false),
    ] {
        let name = format!("n{cases}.example.org");
        home.upstream.on_name(&name, Say::address(text));
        for device in [PARENT, LAPTOP] {
            let reply = home.look_up(device, &name, qtype);
            let code = blocked.then_some(15);
            assert_eq!(reply.ede_code(), code, "{text} for {device}");
        }
        let reply = home.look_up(PHONE, &name, qtype);
        assert_eq!(reply.ede_code(), None, "{text}: this profile does not care");
        cases += 1;
    }
    assert_eq!(cases, 15);
}

#[test]
fn allow_only_opens_the_allowlist_and_the_needs_of_its_names() {
    let home = Home::family();
    let chain = Say::Records(vec![
        cname("edge.cdn.example"),
        address("192.0.2.60").of("edge.cdn.example"),
    ]);
    home.upstream.on_name("www.kids.example", chain);
    // The alias was not the child's choice: a delivery network need not be on the allowlist.
    let reply = home.look_up(TABLET, "www.kids.example", rtype::A);
    assert_addresses(&reply, &["CNAME edge.cdn.example.", "A 192.0.2.60"]);
    for name in ["www.example.org", "edge.cdn.example", "example", "com"] {
        let reply = home.look_up(TABLET, name, rtype::A);
        assert_null(&reply, 17, "not on the allowlist of this profile");
        assert_eq!(home.upstream.times(name), 0, "{name}");
    }
    // An allowed name that leads to a blocked one stays closed.
    let bad = Say::Records(vec![
        cname("casino.example"),
        address("192.0.2.61").of("casino.example"),
    ]);
    home.upstream.on_name("bad.kids.example", bad);
    let reply = home.look_up(TABLET, "bad.kids.example", rtype::A);
    assert_eq!(reply.answers(), ["A 0.0.0.0"]);
}

#[test]
fn lifelines_are_open_to_everybody_whatever_blocks_them() {
    let config = FAMILY.replace(
        "block-names = [\"game.example\"]",
        "block-names = [\"game.example\", \"helpline.example\", \"befrienders.org\"]",
    );
    let home = Home::start(&config);
    for device in [TABLET, LAPTOP, PHONE, PARENT, STRANGER] {
        for name in [
            "helpline.example",
            "chat.helpline.example",
            "befrienders.org",
        ] {
            let reply = home.look_up(device, name, rtype::A);
            assert_addresses(&reply, &["A 192.0.2.1"]);
        }
    }
}

#[test]
fn canaries_say_no_such_name_to_children_only() {
    let home = Home::family();
    for name in [
        "use-application-dns.net",
        "mask.icloud.com",
        "mask-h2.icloud.com",
        "mask-api.icloud.com",
        "mask.apple-dns.net",
    ] {
        for device in [LAPTOP, PHONE, STRANGER] {
            for qtype in [rtype::A, rtype::AAAA, rtype::HTTPS] {
                let reply = home.look_up(device, name, qtype);
                assert_eq!(reply.rcode(), 3, "{name} for {device}");
                assert_eq!(reply.ede_code(), Some(17), "{name} for {device}");
            }
        }
        assert_eq!(home.upstream.times(name), 0, "{name}");
        let reply = home.look_up(PARENT, name, rtype::A);
        assert_addresses(&reply, &["A 192.0.2.1"]);
    }
}

#[test]
fn a_stranger_is_a_guest_and_a_guest_is_strict() {
    let home = Home::family();
    for (name, code) in [
        ("casino.example", 17),
        ("ads.example", 17),
        ("evil.example", 15),
        ("social-media.hedgerow.test", 17),
    ] {
        let reply = home.look_up(STRANGER, name, rtype::A);
        assert_eq!(reply.answers(), ["A 0.0.0.0"], "{name}");
        assert_eq!(reply.ede_code(), Some(code), "{name}");
        // By IPv6 loopback too: nobody named it.
        let asked = ask(name, rtype::A).edns(1232);
        let socket = crate::support::wire::udp(asked.from, home.v6);
        socket.send(&asked.octets()).unwrap();
        let reply = Reply::read(crate::support::wire::receive(&socket).unwrap());
        assert_eq!(reply.ede_code(), Some(code), "{name} over IPv6");
    }
}

#[test]
fn a_blocked_name_never_reaches_upstream() {
    let home = Home::family();
    let mut asked = 0;
    for name in [
        "casino.example",
        "www.casino.example",
        "evil.example",
        "ads.example",
        "game.example",
        "CASINO.Example",
    ] {
        for qtype in [
            rtype::A,
            rtype::AAAA,
            rtype::HTTPS,
            rtype::TXT,
            rtype::MX,
            rtype::ANY,
            rtype::CNAME,
            rtype::SOA,
            rtype::NS,
            12_345,
        ] {
            let reply = home.look_up(LAPTOP, name, qtype);
            assert!(reply.ede_code().is_some(), "{name} type {qtype}");
            asked += 1;
        }
        for first in [0x00, 0x01] {
            // Without RD, with CD, with DO: no flag opens a door.
            let asked = ask(name, rtype::A).from(LAPTOP).flags(first, 0x10);
            let reply = home.ask(&asked.edns(1232).edns_flags(0x8000));
            assert!(reply.ede_code().is_some(), "{name}");
        }
        let reply = Connection::open_from(home.v4, LAPTOP).ask(&ask(name, rtype::A).edns(1232));
        assert!(reply.ede_code().is_some(), "{name} over TCP");
    }
    assert_eq!(asked, 60);
    assert_eq!(home.upstream.seen(), []);
}

#[test]
fn dig_shows_the_block_and_why() {
    let home = Home::family();
    let Some(shown) = dig(home.v4, LAPTOP, &["casino.example", "A"]) else {
        return;
    };
    assert_eq!(clients::status(&shown), "NOERROR", "{shown}");
    assert_eq!(clients::records(&shown), ["A 0.0.0.0"], "{shown}");
    let why = "EDE: 17 (Filtered): (gambling (list our-gambling))";
    assert!(shown.contains(why), "{shown}");
    let Some(shown) = kdig(home.v4, LAPTOP, &["+edns", "casino.example", "A"]) else {
        return;
    };
    assert_eq!(clients::records(&shown), ["A 0.0.0.0"], "{shown}");
    assert!(shown.contains("EDE: 17"), "{shown}");
}

#[test]
fn dnspython_reads_blocks_and_answers() {
    let home = Home::family();
    let program = r#"
import dns.edns, dns.message, dns.query
def ask(source, name, rdtype):
    query = dns.message.make_query(name, rdtype, use_edns=0)
    answer = dns.query.udp(query, "127.0.0.1", 20, PORT, source=source)
    errors = [str(int(o.code)) for o in answer.options if isinstance(o, dns.edns.EDEOption)]
    records = [str(r) for rrset in answer.answer for r in rrset]
    print(source, name, rdtype, " ".join(errors) or "-", " ".join(records) or "-")
for source in ("127.0.0.3", "127.0.0.5"):
    for name in ("casino.example", "evil.example", "www.example.org"):
        for rdtype in ("A", "AAAA"):
            ask(source, name, rdtype)
"#;
    let Some(printed) = dnspython(home.v4, program) else {
        return;
    };
    let expected = "\
127.0.0.3 casino.example A 17 0.0.0.0
127.0.0.3 casino.example AAAA 17 ::
127.0.0.3 evil.example A 15 0.0.0.0
127.0.0.3 evil.example AAAA 15 ::
127.0.0.3 www.example.org A - 192.0.2.1
127.0.0.3 www.example.org AAAA - 2001:db8::1
127.0.0.5 casino.example A - 192.0.2.1
127.0.0.5 casino.example AAAA - 2001:db8::1
127.0.0.5 evil.example A 15 0.0.0.0
127.0.0.5 evil.example AAAA 15 ::
127.0.0.5 www.example.org A - 192.0.2.1
127.0.0.5 www.example.org AAAA - 2001:db8::1
";
    assert_eq!(printed, expected);
}
