//! Lists that say more than names, from their text to the hits of the index: patterns, modifiers,
//! addresses, fingerprints.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::IpAddr;

use hedgerow::files::MemoryFiles;
use hedgerow::lists::sealed::{Day, Edition, KeyDelivery, SealKey, SealKeys, seal};
use hedgerow::lists::{
    ActionKind, Asker, Effect, Hit, Index, ListFormat, ListKind, ListSource, ListSpec, Matcher,
    Settings, Target, compile, compile_in_memory,
};
use hedgerow::name::{Name, NameBuf};
use hedgerow::verdict::Tier;

fn index(lists: &[(ListFormat, ListKind, &str)]) -> Index {
    let memory = MemoryFiles::new();
    let mut specs = Vec::new();
    for (number, (format, kind, text)) in lists.iter().enumerate() {
        let path = format!("/lists/{number}");
        memory.put(&path, *text);
        specs.push(ListSpec {
            id: number.to_string(),
            category: "ads".into(),
            kind: *kind,
            tier: Tier::Lists,
            source: ListSource::File(path.into()),
            format: Some(*format),
            member: None,
            public_suffixes: false,
            urls: Vec::new(),
            sha256: None,
        });
    }
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    for (_, info) in index.lists() {
        assert_eq!((&info.failure, info.bad_lines), (&None, 0), "{info}");
    }
    index
}

fn hits(index: &Index, name: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let name = NameBuf::parse(name).unwrap();
    index.look_up(name.as_ref(), |hit| hits.push(hit));
    hits
}

const NOBODY: Asker<'_> = Asker {
    qtype: 1,
    address: None,
    device: None,
    tags: &[],
};

/// Whether a hit holds for who asks.
fn applies(index: &Index, name: &str, asker: &Asker<'_>) -> Vec<bool> {
    let parsed = Name::parse(name).unwrap();
    let hits = hits(index, name);
    let all = hits.iter();
    all.map(|hit| index.applies(hit, parsed.as_ref(), asker))
        .collect()
}

#[test]
fn patterns_names_and_exceptions_in_one_look_up() {
    let index = index(&[(
        ListFormat::Adblock,
        ListKind::Block,
        "||example.org^\n/^ad[0-9]+\\./\n@@||ads*.example.net^\n-banner-\n",
    )]);
    assert_eq!(index.pattern_counts(), (3, 0));
    let said = |name: &str| -> Vec<(String, Effect, u8)> {
        let all = hits(&index, name).into_iter();
        all.map(|hit| {
            let by = match hit.by {
                Matcher::Pattern(number) => index.pattern(number).unwrap().1.to_owned(),
                by => format!("{by:?}"),
            };
            (by, hit.effect, hit.labels)
        })
        .collect()
    };
    let (listed, excepted) = (Effect::Listed, Effect::Excepted);
    assert_eq!(said("www.example.org"), [("Name".into(), listed, 2)]);
    assert_eq!(
        said("ad7.example.org"),
        [
            ("Name".into(), listed, 2),
            ("^ad[0-9]+\\.".into(), listed, 3)
        ]
    );
    assert_eq!(
        said("ads-1.example.net"),
        [("ads*.example.net".into(), excepted, 3)]
    );
    assert_eq!(said("my-banner-1.test"), [("-banner-".into(), listed, 2)]);
    assert_eq!(said("example.test"), []);
}

#[test]
fn modifiers_restrict_names_and_patterns_alike() {
    let index = index(&[(
        ListFormat::Adblock,
        ListKind::Block,
        "||example.org^$dnstype=AAAA,denyallow=good.example.org\n\
         /banner/$client=192.0.2.0/24|~192.0.2.7|'Kitchen',ctag=device_tv\n\
         ||example.net^$important,dnsrewrite=NXDOMAIN;;\n",
    )]);
    let aaaa = Asker {
        qtype: 28,
        ..NOBODY
    };
    assert_eq!(applies(&index, "www.example.org", &NOBODY), [false]);
    assert_eq!(applies(&index, "www.example.org", &aaaa), [true]);
    assert_eq!(applies(&index, "a.good.example.org", &aaaa), [false]);

    let tv = Asker {
        address: Some(IpAddr::from([192, 0, 2, 1])),
        tags: &["device_tv"],
        ..NOBODY
    };
    for (asker, expected) in [
        (tv, true),
        (Asker { tags: &[], ..tv }, false),
        (
            Asker {
                address: None,
                ..tv
            },
            false,
        ),
        (
            Asker {
                address: None,
                device: Some("kitchen"),
                ..tv
            },
            true,
        ),
        (
            Asker {
                address: Some(IpAddr::from([192, 0, 2, 7])),
                ..tv
            },
            false,
        ),
    ] {
        assert_eq!(
            applies(&index, "banner.test", &asker),
            [expected],
            "{asker:?}"
        );
    }

    let important = hits(&index, "example.net");
    assert!(important[0].important);
    assert_eq!(index.action(&important[0]), ActionKind::NxDomain);
    assert_eq!(
        index.action(&hits(&index, "banner.test")[0]),
        ActionKind::Block
    );
}

#[test]
fn addresses_of_response_policy_zones() {
    let index = index(&[(
        ListFormat::Rpz,
        ListKind::Block,
        "$TTL 60\n@ SOA ns.test. root.test. 1 60 60 60 60\n\
         24.0.2.0.192.rpz-ip CNAME .\n\
         32.7.2.0.192.rpz-ip CNAME rpz-passthru.\n\
         48.zz.db8.2001.rpz-ip CNAME *.\n",
    )]);
    let look_up = |address: &str| -> Vec<(Effect, u8, ActionKind)> {
        let mut found = Vec::new();
        index.look_up_address(address.parse().unwrap(), |hit| {
            assert_eq!(hit.by, Matcher::Address);
            assert!(index.applies(&hit, Name::parse("a.test").unwrap().as_ref(), &NOBODY));
            found.push((hit.effect, hit.labels, index.action(&hit)));
        });
        found
    };
    assert_eq!(
        look_up("192.0.2.7"),
        [
            (Effect::Excepted, 32, ActionKind::Block),
            (Effect::Listed, 24, ActionKind::Block),
        ]
    );
    assert_eq!(
        look_up("2001:db8::1"),
        [(Effect::Listed, 48, ActionKind::NoData)]
    );
    assert_eq!(look_up("198.51.100.1"), []);
}

fn feed(key: &SealKey) -> String {
    let names = ["bad.example", "deep.worse.example"].map(|name| Name::parse(name).unwrap());
    let edition = Edition {
        title: "Hosts".into(),
        issuer: "hotline.example".into(),
        serial: 1,
        date: Day::parse("2026-11-22").unwrap(),
        expires: None,
    };
    let names = names.iter().map(Name::as_ref);
    seal(names, key, KeyDelivery::Apart, &edition).unwrap()
}

#[test]
fn sealed_names_are_found_with_their_key_only() {
    let key = SealKey::new([7; 16]);
    let mut index = index(&[
        (ListFormat::Sealed, ListKind::Sealed, &feed(&key)),
        (ListFormat::Domains, ListKind::Block, "www.bad.example\n"),
    ]);
    assert_eq!(hits(&index, "bad.example"), []);
    let locked = index.set_seal_keys(&SealKeys::new());
    assert_eq!(locked.len(), 1);
    assert_eq!(locked[0].key_id, key.id());
    let mut keys = SealKeys::new();
    keys.add(key);
    assert_eq!(index.set_seal_keys(&keys), []);
    assert!(
        index
            .sealed_lists()
            .all(|it| it.unlocked && it.fingerprints == 2)
    );
    let found: Vec<(Matcher, u8)> = hits(&index, "www.bad.example")
        .into_iter()
        .map(|hit| (hit.by, hit.labels))
        .collect();
    assert_eq!(found, [(Matcher::Name, 3), (Matcher::Fingerprint, 2)]);
    assert_eq!(hits(&index, "a.deep.worse.example").len(), 1);
    assert_eq!(hits(&index, "worse.example"), []);
}

#[test]
fn the_file_holds_neither_key_nor_sealed_name() {
    let key = SealKey::new(*b"0123456789abcdef");
    let memory = MemoryFiles::new();
    memory.put("/lists/0", feed(&key));
    let files = memory.files();
    let spec = ListSpec {
        id: "hotline".into(),
        category: "hotline".into(),
        kind: ListKind::Sealed,
        tier: Tier::Sealed,
        source: ListSource::File("/lists/0".into()),
        format: None,
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    };
    let settings = Settings::in_memory();
    let target = Target::File("/lists.index".as_ref());
    compile(
        &[spec],
        &settings,
        &files,
        None,
        &mut |_| {},
        &|| false,
        target,
    )
    .unwrap();
    let octets = files.read("/lists.index".as_ref(), 1 << 20).unwrap();
    for secret in [&b"0123456789abcdef"[..], b"bad", b"worse"] {
        assert!(!octets.windows(secret.len()).any(|it| it == secret));
    }
    assert!(octets.windows(7).any(|it| it == b"hotline"));
}
