//! What the program and the reader of the page are both asked, and what the program says.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hedgerow::files::MemoryFiles;
use hedgerow::lists::sealed::{Day, Edition, KeyDelivery, SealKey, SealKeys, seal};
use hedgerow::lists::{
    Effect, Hit, Index, ListFormat, ListKind, ListSource, ListSpec, Matcher, PatternKind, Reach,
    Settings, Target, compile,
};
use hedgerow::name::{Name, NameRef};
use hedgerow::verdict::Tier;

/// Names in wire format, and addresses.
pub(crate) struct Questions {
    names: Vec<Vec<u8>>,
    addresses: Vec<IpAddr>,
}

impl Questions {
    /// Every `step`th name of an index, what is below and above it and what is nearly it; and
    /// names that no list can have.
    pub(crate) fn about(index: &Index, step: usize) -> Self {
        let mut names = Vec::new();
        let mut number = 0;
        index.walk(|name, _| {
            number += 1;
            if number % step == 0 {
                near(name, number, &mut names);
            }
        });
        let odd = [
            &b"\0"[..],
            b"\x03org\0",
            b"\x01*\x07example\x03org\0",
            b"\x02\xff\0\x07example\x03org\0",
            b"\x07ex.mple\x03org\0",
            b"\x01\x00\0",
        ];
        names.extend(odd.map(<[u8]>::to_vec));
        names.push(wire(&("a.".repeat(126) + "b")));
        names.push(wire(&("b.".repeat(119) + "example.org")));
        let addresses = (0..=255)
            .step_by(3)
            .flat_map(|n| {
                [
                    IpAddr::from([192, 0, 2, n]),
                    IpAddr::from([198, 51, 100, n]),
                    IpAddr::from([0x2001, 0xdb8, u16::from(n) << 8, 0, 0, 0, 0, 1]),
                    IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0200 | u16::from(n)]),
                ]
            })
            .collect();
        Self { names, addresses }
    }

    /// How many of the names are listed, of how many.
    pub(crate) fn count(&self, index: &Index) -> (usize, usize) {
        let is_hit = |name: &&Vec<u8>| {
            let mut is_hit = false;
            index.look_up(NameRef::from_wire(name).unwrap(), |hit| {
                is_hit |= hit.by == Matcher::Name;
            });
            is_hit
        };
        (self.names.iter().filter(is_hit).count(), self.names.len())
    }

    /// What the program says, in the words of the reader.
    pub(crate) fn answers(&self, index: &Index) -> String {
        let mut text = String::new();
        for name in &self.names {
            text.push_str(&hex(name));
            index.look_up(NameRef::from_wire(name).unwrap(), |hit| {
                write!(text, "; {}", said(index, &hit)).unwrap();
            });
            text.push('\n');
        }
        for address in &self.addresses {
            write!(text, "{address}").unwrap();
            index.look_up_address(*address, |hit| {
                write!(text, "; {}", said(index, &hit)).unwrap();
            });
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for Questions {
    /// One a line, as the reader reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.names {
            writeln!(f, "name {}", hex(name))?;
        }
        for address in &self.addresses {
            writeln!(f, "address {address}")?;
        }
        Ok(())
    }
}

/// A name, one below it, and three that are nearly it.
fn near(name: NameRef<'_>, number: usize, names: &mut Vec<Vec<u8>>) {
    let text = name.to_string();
    let mut add = |text: &str| names.extend(Name::parse(text).ok().map(|it| wire_of(&it)));
    add(&text);
    match number % 4 {
        0 => add(&format!("x.{text}")),
        1 => add(&format!("x{text}")),
        2 => add(text.split_once('.').map_or("org", |(_, parent)| parent)),
        _ => {
            let at = number % text.len();
            let mut octets = text.into_bytes();
            octets[at] = if octets[at] == b'q' { b'.' } else { b'q' };
            add(&String::from_utf8(octets).unwrap());
        }
    }
}

/// All names with what is said of them, in the words of the reader.
pub(crate) fn walked(index: &Index) -> String {
    let mut text = String::new();
    index.walk(|name, postings| {
        write!(text, "{name}").unwrap();
        for posting in postings {
            write!(
                text,
                " {}/{}/{}/{}/{}",
                posting.list.0,
                reach(posting.reach),
                u8::from(posting.effect == Effect::Excepted),
                u8::from(posting.important),
                modifiers(posting.modifiers)
            )
            .unwrap();
        }
        text.push('\n');
    });
    text
}

/// A hit, in the words of the reader.
fn said(index: &Index, hit: &Hit) -> String {
    let list = hit.list.0;
    let excepted = u8::from(hit.effect == Effect::Excepted);
    let important = u8::from(hit.important);
    let labels = hit.labels;
    let modifiers = modifiers(hit.rule.map(|_| index.modifiers(hit).unwrap()));
    match hit.by {
        Matcher::Name => {
            let reach = reach(hit.reach);
            format!("name {list} {reach} {excepted} {important} {labels} {modifiers}")
        }
        Matcher::Pattern(number) => {
            let (kind, text) = index.pattern(number).unwrap();
            let kind = match kind {
                PatternKind::Regex => 0,
                PatternKind::InvertedRegex => 1,
                PatternKind::WildcardSubtree => 2,
                PatternKind::WildcardExact => 3,
                PatternKind::Substring => 4,
            };
            format!("pattern {number} {list} {excepted} {important} {modifiers} {kind} {text}")
        }
        Matcher::Fingerprint => format!("sealed {list} {labels}"),
        Matcher::Address => format!("address {list} {excepted} {important} {labels} {modifiers}"),
    }
}

const fn reach(reach: Reach) -> u8 {
    match reach {
        Reach::Subtree => 0,
        Reach::Exact => 1,
        Reach::Below => 2,
    }
}

fn modifiers(octets: Option<&[u8]>) -> String {
    match octets {
        None => "-".to_owned(),
        Some([]) => "empty".to_owned(),
        Some(octets) => hex(octets),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn wire(text: &str) -> Vec<u8> {
    wire_of(&Name::parse(text).unwrap())
}

fn wire_of(name: &Name) -> Vec<u8> {
    name.as_ref().as_wire().to_vec()
}

/// A list of a test.
pub(crate) fn spec(id: &str, kind: ListKind, source: ListSource, format: ListFormat) -> ListSpec {
    ListSpec {
        id: id.to_owned(),
        category: id.to_owned(),
        kind,
        tier: if kind == ListKind::Sealed {
            Tier::Sealed
        } else {
            Tier::Lists
        },
        source,
        format: Some(format),
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    }
}

/// The octets the compiler writes for lists, of which every line must be understood.
pub(crate) fn octets(specs: &[ListSpec], memory: &Arc<MemoryFiles>) -> Vec<u8> {
    let settings = Settings::in_memory();
    let (quiet, never) = (&mut |_| {}, &|| false);
    let files = memory.files();
    let done = compile(specs, &settings, &files, None, quiet, never, Target::Memory).unwrap();
    for info in &done.lists {
        assert_eq!((&info.failure, info.bad_lines), (&None, 0), "{info}");
    }
    done.bytes.unwrap()
}

/// Keys from their digits.
pub(crate) fn keys(key: &str) -> SealKeys {
    let mut keys = SealKeys::new();
    assert!(keys.add(SealKey::parse(key).unwrap()));
    keys
}

/// An index of some lists that come with the program and of made-up ones that say everything there
/// is to say, and the key of the sealed one.
pub(crate) fn compiled() -> (Vec<u8>, String) {
    let mut numbers = Numbers(7);
    let names: Vec<String> = (0..3000).map(|_| name(&mut numbers)).collect();
    let rules: [fn(&str) -> String; 9] = [
        |name| format!("||{name}^"),
        |name| format!("|{name}^"),
        |name| format!("||*.{name}^"),
        |name| format!("@@||{name}^"),
        |name| format!("||{name}^$important"),
        |name| format!("||{name}^$dnstype=A|AAAA"),
        |name| format!("||{name}^$denyallow=good.{name}"),
        |name| format!("@@||{name}^$client=192.0.2.0/24|~'Kitchen'"),
        |name| format!("||{name}^$dnsrewrite=192.0.2.1"),
    ];
    let mut adblock = String::from(
        "/^ad[0-9x]+[.-]/\n/(^|\\.)(banner|promo)[a-z]*\\./$dnstype=AAAA\n||ka*.example^\n\
         |ka*zu.net^\n-ti-\n@@/\\bko\\b/$important\n/^[a-d]{2,4}\\./\n",
    );
    for (number, name) in names.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        adblock.push_str(&rules[number / 3 % rules.len()](name));
        adblock.push('\n');
    }
    let mut dnsmasq: String = names
        .iter()
        .step_by(5)
        .map(|name| format!("address=/{name}/\n"))
        .collect();
    dnsmasq.push_str("bogus-nxdomain=192.0.2.7\nbogus-nxdomain=198.51.100.64/26\n");
    let rpz = "$ORIGIN rpz.example.\n@ SOA . . 1 1 1 1 1\n*.only.example CNAME .\n\
               24.0.2.0.192.rpz-ip CNAME .\n48.zz.1200.db8.2001.rpz-ip CNAME *.\n\
               32.zz.db8.2001.rpz-ip CNAME rpz-passthru.\n128.1.zz.c00.db8.2001.rpz-ip A 192.0.2.1\n";
    let regex = "^(.+\\.)?good\\.example$;invert;querytype=TXT\n[0-9]{3}\ntra(ck|il)er[^.]*\\.\n";
    let key = "000102030405060708090a0b0c0d0e0f";
    let memory = MemoryFiles::new();
    let mut specs = Vec::new();
    for file in ["adult.txt", "ads.txt", "trackers.txt", "malware.txt"] {
        let source = ListSource::Embedded(file);
        specs.push(spec(file, ListKind::Block, source, ListFormat::Domains));
        specs.last_mut().unwrap().format = None;
    }
    for (id, format, text) in [
        ("domains", ListFormat::Domains, names.join("\n")),
        ("adblock", ListFormat::Adblock, adblock),
        ("dnsmasq", ListFormat::Dnsmasq, dnsmasq),
        ("rpz", ListFormat::Rpz, rpz.to_owned()),
        ("regex", ListFormat::Regex, regex.to_owned()),
        ("sealed", ListFormat::Sealed, feed(&names, key)),
    ] {
        let path = format!("/lists/{id}");
        memory.put(&path, text);
        let kind = if format == ListFormat::Sealed {
            ListKind::Sealed
        } else {
            ListKind::Block
        };
        let source = ListSource::File(PathBuf::from(path));
        specs.push(spec(id, kind, source, format));
    }
    (octets(&specs, &memory), key.to_owned())
}

/// A sealed list of every 17th name and of names nobody asks for, so that it has several chunks.
fn feed(names: &[String], key: &str) -> String {
    let others = (0..4000).map(|n| format!("sealed{n}.example"));
    let all = names.iter().step_by(17).cloned().chain(others);
    let all: Vec<Name> = all.map(|name| Name::parse(&name).unwrap()).collect();
    let edition = Edition {
        title: "Test".to_owned(),
        issuer: "hotline.example".to_owned(),
        serial: 1,
        date: Day::parse("2026-11-22").unwrap(),
        expires: Day::parse("2026-12-06"),
    };
    let key = SealKey::parse(key).unwrap();
    seal(
        all.iter().map(Name::as_ref),
        &key,
        KeyDelivery::Apart,
        &edition,
    )
    .unwrap()
}

/// A made-up name of two to four labels.
fn name(numbers: &mut Numbers) -> String {
    const TOPS: [&str; 6] = ["com", "net", "org", "example", "test", "xn--p1ai"];
    let mut text = label(numbers);
    for _ in 0..numbers.below(3) {
        let front = label(numbers);
        text = format!("{front}.{text}");
    }
    format!("{text}.{}", TOPS[numbers.below(TOPS.len())])
}

/// A made-up label.
pub(crate) fn label(numbers: &mut Numbers) -> String {
    const PARTS: [&str; 20] = [
        "ka", "ti", "mo", "zu", "re", "lo", "an", "ed", "ix", "on", "-x", "_a", "7", "42", "ads",
        "cdn", "track", "er", "ing", "s",
    ];
    let mut text = PARTS[numbers.below(10)].to_owned();
    for _ in 0..1 + numbers.below(6) {
        text.push_str(PARTS[numbers.below(PARTS.len())]);
    }
    text
}

/// Numbers that look random and are the same in every run (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The remainder is below `limit`.
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}
