//! Ways round the filter, tried by a client, and what it is told.

use crate::support::clients::{self, dig, dnspython};
use crate::support::home::FAMILY;
use crate::support::upstream::{Record, address, https, unknown};
use crate::support::wire::{ask, rtype};
use crate::support::{Home, Say};

const LAPTOP: &str = "127.0.0.3";
const PARENT: &str = "127.0.0.5";
const NULL: u16 = 10;

/// A page with everything an HTTPS record can say.
fn page(home: &Home) {
    let service = https(1, ".", &["192.0.2.1"], b"\0\x04\xfe\x0d\0\0");
    let says: [(u16, Record); 3] = [
        (rtype::A, address("192.0.2.1")),
        (rtype::AAAA, address("2001:db8::1")),
        (rtype::HTTPS, service),
    ];
    for (qtype, record) in says {
        home.upstream
            .on_question("page.example", qtype, Say::one(record));
    }
}

#[test]
fn dnspython_sees_no_hidden_hello_where_ways_round_are_closed() {
    let home = Home::family();
    page(&home);
    let program = r#"
import dns.message, dns.query, dns.rdatatype
def ask(source, rdtype):
    query = dns.message.make_query("page.example", rdtype, use_edns=0, want_dnssec=False)
    answer = dns.query.udp(query, "127.0.0.1", 20, PORT, source=source)
    print(source, rdtype, " ".join(str(r) for rrset in answer.answer for r in rrset))
for turn in range(2):
    for source in ("127.0.0.3", "127.0.0.5"):
        for rdtype in ("A", "AAAA", "HTTPS"):
            ask(source, rdtype)
"#;
    let Some(printed) = dnspython(home.v4, program) else {
        return;
    };
    let expected = "\
127.0.0.3 A 192.0.2.1
127.0.0.3 AAAA 2001:db8::1
127.0.0.3 HTTPS 1 . alpn=\"h2\" ipv4hint=\"192.0.2.1\"
127.0.0.5 A 192.0.2.1
127.0.0.5 AAAA 2001:db8::1
127.0.0.5 HTTPS 1 . alpn=\"h2\" ipv4hint=\"192.0.2.1\" ech=\"AAT+DQAA\"
";
    // Fresh and from the cache.
    assert_eq!(printed, expected.repeat(2));
    assert_eq!(home.upstream.times("page.example"), 3, "one answer for all");
}

#[test]
fn the_child_is_told_why_in_a_way_its_program_understands() {
    let config = FAMILY
        .replace(
            "[household]\n",
            "[household]\ncontact = [\"mailto:parents@home.example\"]\n",
        )
        .replace("[profile.mia]\n", "[profile.mia]\nlanguage = \"de\"\n");
    let home = Home::start(&config);
    let asked = ask("casino.example", rtype::A).from(LAPTOP).edns(1232);
    let plain = home.ask(&asked);
    assert_eq!(
        plain.ede(),
        Some((17, "gambling (list our-gambling)".to_owned()))
    );
    let reply = home.ask(&asked.option(15, &[0, 0]));
    let json = "{\"c\":[\"mailto:parents@home.example\"],\
                \"j\":\"Auf dieser Seite geht es um Spiele um Geld. Das ist nichts für Kinder.\",\
                \"l\":\"de\"}";
    assert_eq!(reply.ede(), Some((17, json.to_owned())));
}

#[test]
fn dig_reads_the_structured_error() {
    let home = Home::family();
    let asked = ["+ednsopt=15:0000", "casino.example", "A"];
    let Some(shown) = dig(home.v4, LAPTOP, &asked) else {
        return;
    };
    assert_eq!(clients::records(&shown), ["A 0.0.0.0"], "{shown}");
    let line = shown
        .lines()
        .find(|line| line.contains("EDE: 17 (Filtered)"));
    let text = line.unwrap().split_once(": (").unwrap().1;
    let json: serde_json::Value = serde_json::from_str(&text[..text.len() - 1]).unwrap();
    assert_eq!(json["l"], "en", "{shown}");
    assert!(json["j"].as_str().unwrap().contains("money"), "{shown}");
}

#[test]
fn odd_questions_and_look_alikes_end_here() {
    let home = Home::family();
    home.upstream
        .on_name("t.example", Say::one(unknown(NULL, b"data")));
    // `саsіnо` in Cyrillic letters but for one.
    let look_alike = "xn--sn-6kc2dl2k.example";
    for (name, qtype, ede) in [
        (
            "t.example",
            NULL,
            "a record type no ordinary program asks for",
        ),
        (
            "t.example",
            65_399,
            "a record type no ordinary program asks for",
        ),
        (
            look_alike,
            rtype::A,
            "looks like a name that is blocked: gambling (our-gambling)",
        ),
    ] {
        let reply = home.ask(&ask(name, qtype).from(LAPTOP).edns(1232));
        assert_eq!(reply.ede(), Some((17, ede.to_owned())), "{name} {qtype}");
        assert_eq!(home.upstream.times_of_type(name, qtype), 0, "{name}");
        home.ask(&ask(name, qtype).from(PARENT).edns(1232));
        assert_eq!(home.upstream.times_of_type(name, qtype), 1, "{name}");
    }
}

#[test]
fn a_tunnel_is_closed_while_pages_stay_open() {
    let home = Home::family();
    let mut seed = 7_u64;
    let mut piece = || {
        let mut text = String::new();
        for _ in 0..60 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push(char::from(b"0123456789abcdef"[(seed >> 40) as usize % 16]));
        }
        format!("{text}.tunnel.example")
    };
    let mut closed_at = None;
    for at in 0..300 {
        let reply = home.ask(&ask(&piece(), rtype::TXT).from(LAPTOP).edns(1232));
        if reply
            .ede()
            .is_some_and(|(_, text)| text.starts_with("made-up names"))
        {
            closed_at = Some(at);
            break;
        }
    }
    let closed_at = closed_at.expect("a tunnel was never noticed");
    assert!((60..=160).contains(&closed_at), "{closed_at}");
    let asked = home.upstream.count();
    for _ in 0..20 {
        home.ask(&ask(&piece(), rtype::TXT).from(LAPTOP).edns(1232));
    }
    assert_eq!(home.upstream.count(), asked, "nothing goes out any more");
    page(&home);
    let reply = home.look_up(LAPTOP, "page.example", rtype::A);
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    let reply = home.ask(&ask(&piece(), rtype::TXT).from(PARENT).edns(1232));
    assert_eq!(reply.ede(), None, "another device");
}
