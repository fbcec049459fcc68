//! What holds for any bytes as a section of the index that stands beside the names, as modifiers,
//! as a feed and as a pattern. The first octet says which of them the others are.

use hedgerow::lists::addresses::Addresses;
use hedgerow::lists::modifiers;
use hedgerow::lists::patterns::{Limits, Patterns, PatternsBuilder, SinglePattern};
use hedgerow::lists::sealed::{FeedHead, FeedReader, SealKey, SealKeys, Sealed};
use hedgerow::lists::{Asker, Effect, ListId, Pattern, PatternKind};
use hedgerow::name::Name;

/// Nothing panics, nothing goes on for ever, and what was read says the same however it is asked.
pub(crate) fn check(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind {
        b'p' => check_patterns(rest),
        b'a' => check_addresses(rest),
        b's' => check_sealed(rest),
        b'm' => check_modifiers(rest),
        b'f' => check_feed(rest),
        b'x' => check_expression(rest),
        _ => {}
    }
}

/// Names that the seeds speak of, and one that is as long as a name can be.
fn names() -> Vec<Name> {
    let long = format!("{}example", "a.".repeat(120));
    let names = [
        "ads7.example.org",
        "bad.example",
        "www.bad.example",
        "banner.test",
        "org",
        &long,
    ];
    let names = names.iter().filter_map(|name| Name::parse(name).ok());
    names.collect()
}

fn check_patterns(section: &[u8]) {
    let Ok(patterns) = Patterns::open(section) else {
        return;
    };
    for name in names() {
        let mut last = None;
        patterns.look_up(section, name.as_ref(), |hit| {
            assert!(last < Some(hit.number), "hits in order, each once");
            last = Some(hit.number);
            let _text = patterns.text(section, hit.number);
            let encoded = hit.rule.and_then(|rule| patterns.modifiers(section, rule));
            check_modifiers(encoded.unwrap_or_default());
        });
    }
    patterns.walk(section, |_, pattern| drop(pattern.to_string()));
}

fn check_addresses(section: &[u8]) {
    let Ok(addresses) = Addresses::open(section) else {
        return;
    };
    for address in [
        "192.0.2.7",
        "::ffff:192.0.2.7",
        "2001:db8::1",
        "0.0.0.0",
        "ff::",
    ] {
        let Ok(address) = address.parse() else {
            continue;
        };
        addresses.look_up(section, address, |hit| {
            let encoded = hit.rule.and_then(|rule| addresses.modifiers(section, rule));
            check_modifiers(encoded.unwrap_or_default());
        });
    }
    addresses.walk(section, |_, entry| drop(entry.prefix.to_string()));
}

fn check_sealed(section: &[u8]) {
    let Ok(mut sealed) = Sealed::open(section) else {
        return;
    };
    for name in names() {
        sealed.look_up(section, name.as_ref(), |_| panic!("a hit without a key"));
    }
    let mut keys = SealKeys::new();
    keys.add(SealKey::new([7; 16]));
    sealed.unlock(&keys);
    for name in names() {
        sealed.look_up(section, name.as_ref(), |hit| assert!(hit.labels >= 2));
    }
    for info in sealed.lists() {
        let mut count = 0;
        sealed.walk(section, info.list, |_| count += 1);
        assert!(count <= section.len());
    }
}

fn check_modifiers(encoded: &[u8]) {
    let asker = Asker {
        qtype: 1,
        address: Some([192, 0, 2, 7].into()),
        device: Some("Tablet"),
        tags: &["device_tv"],
    };
    let decoded = modifiers::decode(encoded);
    let _action = modifiers::action(encoded);
    for name in names() {
        let holds = modifiers::applies(encoded, name.as_ref(), &asker);
        match &decoded {
            Some(decoded) => {
                let again = modifiers::encode(decoded);
                assert_eq!(holds, modifiers::applies(&again, name.as_ref(), &asker));
            }
            None => assert!(!holds),
        }
    }
}

fn check_feed(feed: &[u8]) {
    let mut reader = FeedReader::new();
    let (mut found, mut wrong) = (0, 0);
    let mut last = None;
    for line in feed.split(|octet| *octet == b'\n') {
        match reader.line(line) {
            Ok(Some(fingerprint)) => {
                assert!(last < Some(fingerprint));
                last = Some(fingerprint);
                found += 1;
            }
            Ok(None) => {}
            Err(fault) => {
                wrong += 1;
                assert!(!fault.to_string().chars().any(char::is_control));
            }
        }
    }
    match reader.finish() {
        Ok(head) => {
            assert_eq!((head.count, wrong), (found, 0));
            assert_eq!(FeedHead::read(feed), Ok(head));
        }
        Err(fault) => assert!(!fault.to_string().chars().any(char::is_control)),
    }
}

fn check_expression(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    for kind in [
        PatternKind::Regex,
        PatternKind::InvertedRegex,
        PatternKind::WildcardSubtree,
        PatternKind::WildcardExact,
        PatternKind::Substring,
    ] {
        let pattern = Pattern {
            kind,
            text: text.to_owned(),
            effect: Effect::Listed,
            modifiers: None,
        };
        let mut builder = PatternsBuilder::new(Limits::default());
        let single = SinglePattern::new(&pattern);
        match builder.push(ListId(0), &pattern) {
            Ok(_) => {
                let section = builder.finish();
                let patterns = Patterns::open(&section).expect("a builder makes a section");
                let single = single.expect("what a builder takes can be compiled");
                for name in names() {
                    let (mut hit, mut unsure) = (false, false);
                    patterns.look_up(&section, name.as_ref(), |it| {
                        (hit, unsure) = (true, it.unsure);
                    });
                    // What takes too long to find out counts as found.
                    let expected = unsure || single.matches(name.as_ref());
                    assert_eq!(hit, expected, "{text} {name}");
                }
            }
            Err(fault) => assert!(!fault.to_string().chars().any(char::is_control)),
        }
    }
}
