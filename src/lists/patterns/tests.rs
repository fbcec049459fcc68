//! Patterns from the builder to the hits, against models too simple to be wrong.

use proptest::prelude::*;

use super::*;
use crate::lists::{Condition, Effect, ListId, Modifiers, Pattern};
use crate::name::{Name, NameBuf, NameRef};

fn pattern(kind: PatternKind, text: &str) -> Pattern {
    Pattern {
        kind,
        text: text.into(),
        effect: Effect::Listed,
        modifiers: None,
    }
}

/// The section of patterns of list 0, which must all be taken.
fn section(patterns: &[Pattern]) -> Vec<u8> {
    let mut builder = PatternsBuilder::new(Limits::default());
    for pattern in patterns {
        builder.push(ListId(0), pattern).unwrap();
    }
    builder.finish()
}

/// The texts of the patterns that match.
fn hits(section: &[u8], name: &str) -> Vec<String> {
    let patterns = Patterns::open(section).unwrap();
    let name = NameBuf::parse(name).unwrap();
    let mut found = Vec::new();
    patterns.look_up(section, name.as_ref(), |hit| {
        let (_, text) = patterns.text(section, hit.number).unwrap();
        found.push(text.to_owned());
    });
    found
}

#[test]
fn each_kind_matches_as_it_says() {
    use PatternKind::{InvertedRegex, Regex, Substring, WildcardExact, WildcardSubtree};
    let mut checked = 0;
    for (kind, text, yes, no) in [
        (
            Regex,
            r"^ad[sx]?[0-9]*\.",
            &["ads1.example.org", "AD.test"][..],
            &["bad.test", "adserver.test"][..],
        ),
        (
            InvertedRegex,
            r"(^|\.)example\.org$",
            &["example.net", "notexample.org"],
            &["example.org", "www.example.org"],
        ),
        (
            WildcardSubtree,
            "ads*.example.org",
            &[
                "ads.example.org",
                "ads7.x.example.org",
                "www.ads7.example.org",
            ],
            &[
                "bads.example.org",
                "ads.example.org.test",
                "ads-example.org",
            ],
        ),
        (
            WildcardExact,
            "ads*.example.org",
            &["ads.example.org", "ads7.x.example.org"],
            &["www.ads7.example.org", "ads.example.org.test"],
        ),
        (
            Substring,
            "-ads-*.test",
            &["my-ads-1.test", "a-ads-.test.org"],
            &["ads-1.test", "my-ads-1.org"],
        ),
        (
            Substring,
            "|ads",
            &["ads.test", "adserver.test"],
            &["my.ads.test"],
        ),
        (Substring, "ads.test|", &["my.bads.test"], &["ads.test.org"]),
        (
            Substring,
            "||ads",
            &["my.adserver.test", "ads.test"],
            &["bads.test"],
        ),
        (
            Substring,
            "ads.test^",
            &["my.bads.test"],
            &["ads.test.org", "ads.tests"],
        ),
        (Substring, "^ads.", &["ads.test"], &["my.ads.test"]),
        (Substring, "ads^test", &[], &["ads.test"]),
    ] {
        let section = section(&[pattern(kind, text)]);
        for name in yes {
            assert_eq!(hits(&section, name), [text], "{text} {name}");
        }
        for name in no {
            assert_eq!(hits(&section, name), [""; 0], "{text} {name}");
        }
        checked += yes.len() + no.len();
    }
    assert_eq!(checked, 36);
}

#[test]
fn a_hit_says_all_that_the_line_said() {
    let modifiers = Modifiers {
        important: true,
        types: vec![Condition {
            negated: false,
            value: 28,
        }],
        ..Modifiers::default()
    };
    let rule = Pattern {
        effect: Effect::Excepted,
        modifiers: Some(Box::new(modifiers.clone())),
        ..pattern(PatternKind::Regex, "banner")
    };
    let mut builder = PatternsBuilder::new(Limits::default());
    builder.push(ListId(7), &rule).unwrap();
    builder
        .push(ListId(3), &pattern(PatternKind::Substring, "banner"))
        .unwrap();
    let section = builder.finish();
    let patterns = Patterns::open(&section).unwrap();
    let mut found = Vec::new();
    let name = Name::parse("banner.example").unwrap();
    patterns.look_up(&section, name.as_ref(), |hit| found.push(hit));
    let plain = PatternHit {
        number: 0,
        list: ListId(3),
        effect: Effect::Listed,
        important: false,
        rule: None,
        unsure: false,
    };
    assert_eq!(found[0], plain);
    let expected = PatternHit {
        number: 1,
        list: ListId(7),
        effect: Effect::Excepted,
        important: true,
        rule: found[1].rule,
        unsure: false,
    };
    assert_eq!(found[1..], [expected]);
    let encoded = patterns
        .modifiers(&section, found[1].rule.unwrap())
        .unwrap();
    assert_eq!(encoded, crate::lists::modifiers::encode(&modifiers));
}

#[test]
fn the_same_patterns_in_any_order_are_the_same_section() {
    let mut all: Vec<Pattern> = (0..50)
        .map(|n| pattern(PatternKind::Regex, &format!("banner{n}[0-9]+\\.")))
        .collect();
    let first = section(&all);
    all.reverse();
    all.extend_from_within(..10);
    assert_eq!(section(&all), first);
}

#[test]
fn badfilter_takes_back_the_same_pattern() {
    let modified = |important, badfilter| Pattern {
        modifiers: Some(Box::new(Modifiers {
            important,
            badfilter,
            ..Modifiers::default()
        })),
        ..pattern(PatternKind::Regex, "banner")
    };
    let plain = pattern(PatternKind::Regex, "banner");
    for order in [[0, 1], [1, 0]] {
        let both = [plain.clone(), modified(false, true)];
        assert!(section(&order.map(|n| both[n].clone())).is_empty());
    }
    // Another list's pattern, and the important one, are others.
    let mut builder = PatternsBuilder::new(Limits::default());
    builder.push(ListId(0), &plain).unwrap();
    builder.push(ListId(0), &modified(true, false)).unwrap();
    builder.push(ListId(1), &modified(false, true)).unwrap();
    builder.push(ListId(0), &modified(false, true)).unwrap();
    let left = builder.finish();
    assert_eq!(Patterns::open(&left).unwrap().len(), 1);
    assert_eq!(hits(&left, "banner.test"), ["banner"]);
}

#[test]
fn what_would_match_everything_is_refused() {
    for (kind, text) in [
        (PatternKind::Regex, ""),
        (PatternKind::Regex, ".*"),
        (PatternKind::Regex, "."),
        (PatternKind::Regex, r"\."),
        (PatternKind::Regex, "[a-z]"),
        (PatternKind::Regex, "^.+$"),
        (PatternKind::Regex, "banner|"),
        (PatternKind::WildcardSubtree, "*"),
        (PatternKind::WildcardExact, "*.*"),
        (PatternKind::Substring, "*"),
        (PatternKind::Substring, ""),
        (PatternKind::Substring, "."),
    ] {
        let fault = check(&pattern(kind, text)).unwrap_err();
        assert_eq!(fault, PatternFault::Everything, "{text}");
    }
    // For some questions only: "no HTTPS records at all".
    let https = Modifiers {
        types: vec![Condition {
            negated: false,
            value: 65,
        }],
        ..Modifiers::default()
    };
    let restricted = Pattern {
        modifiers: Some(Box::new(https)),
        ..pattern(PatternKind::Substring, "*")
    };
    assert_eq!(check(&restricted), Ok(Tried::Always));
}

#[test]
fn limits_are_kept() {
    let limits = Limits {
        patterns: 3,
        always: 1,
        steps: 40,
        always_steps: 8,
    };
    let mut builder = PatternsBuilder::new(limits);
    let mut push = |text: &str| builder.push(ListId(0), &pattern(PatternKind::Regex, text));
    assert_eq!(push("banner"), Ok(Tried::OnText));
    assert_eq!(push("banner"), Ok(Tried::OnText));
    assert_eq!(push("^[0-9]{9}$"), Err(PatternFault::TooManyAlwaysSteps(8)));
    assert_eq!(push("^[0-9]{2}"), Ok(Tried::Always));
    assert_eq!(push("^[2-9]{2}"), Err(PatternFault::TooManyAlways(1)));
    assert_eq!(
        push(&"banner".repeat(6)),
        Err(PatternFault::TooManySteps(40))
    );
    assert_eq!(push("tracker"), Ok(Tried::OnText));
    assert_eq!(push("pixel"), Err(PatternFault::TooMany(3)));
    let long = "a".repeat(MAX_TEXT + 1);
    assert_eq!(push(&long), Err(PatternFault::TooLong(MAX_TEXT + 1)));
    assert_eq!(builder.counts(), (3, 1));
}

#[test]
fn a_list_that_comes_last_has_room_too() {
    let limits = Limits {
        patterns: 12,
        ..Limits::default()
    };
    let mut builder = PatternsBuilder::new(limits);
    let mut push = |list: u16, line: u32| {
        let text = format!("banner{list}x{line}");
        builder.push_line(ListId(list), line, &pattern(PatternKind::Regex, &text))
    };
    let full = Err(PatternFault::TooMany(12));
    for line in 1..=20 {
        let expected = if line > 12 {
            full.clone()
        } else {
            Ok(Tried::OnText)
        };
        assert_eq!(push(0, line), expected, "{line}");
    }
    // The second gets its half and no more, the third all it asks for.
    for line in 1..=20 {
        let expected = if line > 6 {
            full.clone()
        } else {
            Ok(Tried::OnText)
        };
        assert_eq!(push(1, line), expected, "{line}");
    }
    assert!(push(2, 1).is_ok() && push(2, 2).is_ok());
    let dropped: Vec<(u16, u32)> = builder
        .take_dropped()
        .iter()
        .map(|it| (it.list.0, it.line))
        .collect();
    assert_eq!(
        dropped,
        [
            (0, 12),
            (0, 11),
            (0, 10),
            (0, 9),
            (0, 8),
            (0, 7),
            (1, 6),
            (0, 6)
        ]
    );
    assert_eq!(builder.take_dropped(), []);
    assert_eq!(builder.counts(), (12, 0));
}

#[test]
fn no_list_loses_its_only_pattern_and_none_is_dropped_for_nothing() {
    let limits = Limits {
        always: 2,
        always_steps: 20,
        ..Limits::default()
    };
    let mut builder = PatternsBuilder::new(limits);
    let mut push = |list: u16, text: &str| {
        builder.push_line(ListId(list), 1, &pattern(PatternKind::Regex, text))
    };
    assert_eq!(push(0, "^[0-9]{15}$"), Ok(Tried::Always));
    // Less is asked for than the only list has, but that one has a single pattern.
    assert_eq!(
        push(1, "^[0-9]{5}$"),
        Err(PatternFault::TooManyAlwaysSteps(20))
    );
    assert_eq!(push(1, "banner"), Ok(Tried::OnText));
    assert_eq!(builder.take_dropped(), []);
    assert_eq!(builder.counts(), (2, 1));
}

#[test]
fn not_too_many_are_looked_for_by_the_same_letters() {
    let mut builder = PatternsBuilder::new(Limits::default());
    let alike = |number: usize| {
        // The rarest three octets are the same in all.
        let text = format!(
            "qxz{}",
            "ae".repeat(number % 10) + &"ea".repeat(number / 10)
        );
        pattern(PatternKind::Regex, &text)
    };
    let push_all = |builder: &mut PatternsBuilder, list: u16| {
        let mut taken = 0;
        for number in 0..120 {
            match builder.push(ListId(list), &alike(number)) {
                Ok(_) => taken += 1,
                Err(fault) => assert_eq!(fault, PatternFault::TooManyAlike(256)),
            }
        }
        taken
    };
    // One list may have 96 of them, and all together 256, of which each has its part.
    let mut left = [0; 5];
    for list in 0..4 {
        left[usize::from(list)] = push_all(&mut builder, list);
    }
    assert_eq!(left[..2], [96, 96]);
    let gone = |builder: &mut PatternsBuilder, left: &mut [i32; 5]| {
        for dropped in builder.take_dropped() {
            left[usize::from(dropped.list.0)] -= 1;
        }
    };
    gone(&mut builder, &mut left);
    assert_eq!(left, [64, 64, 64, 64, 0]);
    let section = builder.clone().finish();
    assert_eq!(hits(&section, "wwwqxzae.example").len(), 8);
    // One whose turn is first has its own at the cost of the others.
    builder.put_first(ListId(4));
    left[4] = push_all(&mut builder, 4);
    gone(&mut builder, &mut left);
    assert_eq!(left, [40, 40, 40, 40, 96]);
    // And they never take it back.
    assert!(push_all(&mut builder, 3) > 0);
    gone(&mut builder, &mut left);
    assert_eq!(left[4], 96);
}

#[test]
fn those_whose_turn_is_first_leave_what_they_do_not_need() {
    let limits = Limits {
        patterns: 12,
        ..Limits::default()
    };
    let mut builder = PatternsBuilder::new(limits);
    builder.put_first(ListId(1));
    builder.put_first(ListId(2));
    let mut push_all = |list: u16, count: u32| {
        let push = |line: &u32| {
            let text = format!("banner{list}x{line}");
            let pattern = pattern(PatternKind::Regex, &text);
            builder.push_line(ListId(list), *line, &pattern).is_ok()
        };
        (1..=count).filter(push).count()
    };
    assert_eq!(push_all(0, 20), 12);
    assert_eq!(push_all(1, 8), 8);
    assert_eq!(push_all(3, 20), 2, "half of the rest");
    assert_eq!(push_all(2, 20), 6, "half of all");
    assert_eq!(push_all(4, 20), 0);
    let mut left = [12, 8, 6, 2_i32];
    for dropped in builder.take_dropped() {
        left[usize::from(dropped.list.0)] -= 1;
    }
    assert_eq!(left, [0, 6, 6, 0]);
    // They stand in front in the section, too.
    let section = builder.finish();
    let patterns = Patterns::open(&section).unwrap();
    assert_eq!(patterns.hit(&section, 0).unwrap().list, ListId(1));
    assert_eq!(patterns.hit(&section, 11).unwrap().list, ListId(2));
}

/// Programs that are in all of their steps at once, whatever comes.
fn slow(number: usize) -> Pattern {
    let text = format!("[a-z.]{{{}}}.{{{}}}!", 15 + number % 10, 20 + number / 10);
    pattern(PatternKind::Regex, &text)
}

#[test]
fn a_name_made_to_be_slow_costs_a_share_of_the_lists_that_are_slow() {
    let limits = Limits {
        patterns: MAX_PATTERNS,
        always: MAX_PATTERNS,
        steps: usize::MAX,
        always_steps: usize::MAX,
    };
    let mut builder = PatternsBuilder::new(limits);
    for number in 0..60 {
        builder.push(ListId(1), &slow(number)).unwrap();
    }
    let quick = [
        (0, "^[a-z]+[.][a-z]+$"),
        (2, "^[a-z]+[.][a-z]+$"),
        (3, "^[0-9]+$"),
        (4, "unseen"),
    ];
    for (list, text) in quick {
        let pattern = pattern(PatternKind::Regex, text);
        builder.push(ListId(list), &pattern).unwrap();
    }
    let section = builder.finish();
    let patterns = Patterns::open(&section).unwrap();
    let look_up = |name: &str| {
        let name = NameBuf::parse(name).unwrap();
        let mut found = Vec::new();
        patterns.look_up(&section, name.as_ref(), |hit| {
            found.push((hit.list.0, hit.unsure));
        });
        found
    };
    let label = "a".repeat(60);
    let found = look_up(&format!("{label}.{label}.{label}.{label}"));
    let unsure = found.iter().filter(|hit| **hit == (1, true)).count();
    assert!((50..60).contains(&unsure), "{unsure}");
    // The others found out all the same: that they do not match.
    assert_eq!(found.len(), unsure, "{found:?}");
    // A name such as people have costs the slow ones less, and says the same of the others.
    assert_eq!(look_up("example.org"), [(0, false), (2, false)]);
}

#[test]
fn lists_that_are_slow_together_cost_nothing_of_those_whose_turn_is_first() {
    let limits = Limits {
        patterns: MAX_PATTERNS,
        always: MAX_PATTERNS,
        steps: usize::MAX,
        always_steps: usize::MAX,
    };
    let name = {
        let label = "a".repeat(60);
        NameBuf::parse(&format!("{label}.{label}.{label}.{label}")).unwrap()
    };
    let told = |is_first: bool| {
        let mut builder = PatternsBuilder::new(limits);
        for list in 0..30 {
            for number in 0..4 {
                builder.push(ListId(list), &slow(number)).unwrap();
            }
        }
        if is_first {
            builder.put_first(ListId(50));
        }
        let costly = pattern(PatternKind::Regex, "[a-z.]{15}.{20}a$");
        builder.push(ListId(50), &costly).unwrap();
        let section = builder.finish();
        let mut found = Vec::new();
        let patterns = Patterns::open(&section).unwrap();
        patterns.look_up(&section, name.as_ref(), |hit| {
            found.push((hit.list.0, hit.unsure));
        });
        found.retain(|(list, _)| *list == 50);
        found
    };
    assert_eq!(told(true), [(50, false)]);
    // In its turn among all of them there is not enough left for it.
    assert_eq!(told(false), [(50, true)]);
}

#[test]
fn no_patterns_are_an_empty_section() {
    assert!(section(&[]).is_empty());
    let none = Patterns::open(&[]).unwrap();
    assert!(none.is_empty());
    none.look_up(&[], NameRef::ROOT, |_| panic!("a hit of nothing"));
}

#[test]
fn a_section_that_is_cut_off_is_refused() {
    let whole = section(&[
        pattern(PatternKind::Regex, "banner[0-9]"),
        pattern(PatternKind::Regex, "^[0-9]{2}"),
    ]);
    for length in 1..whole.len() {
        assert!(Patterns::open(&whole[..length]).is_err(), "{length}");
    }
}

/// Parts of expressions that all engines read alike.
fn expression() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        4 => "[a-c]",
        1 => Just(".".to_owned()),
        2 => Just(r"\.".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("[^a.]".to_owned()),
        1 => Just("abc".to_owned()),
        1 => Just(r"\b".to_owned()),
        1 => Just(r"\B".to_owned()),
        1 => Just("^".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just(r"(^|\.)".to_owned()),
        1 => Just("([[:alpha:]])".to_owned()),
    ];
    atom.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 1..6).prop_map(|all| all.concat()),
            2 => proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|all| format!("({})", all.join("|"))),
            1 => (inner, prop_oneof![
                Just("*"), Just("+"), Just("?"), Just("{2}"), Just("{1,2}"), Just("{2,}"), Just("+?"),
            ]).prop_map(|(node, times)| format!("({node}){times}")),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-c]{1,6}", 1..5).prop_map(|labels| labels.join("."))
}

/// What a wildcard says, by trying all ways.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|cut| wild(rest, &text[cut..])),
        Some((octet, rest)) => text.first() == Some(octet) && wild(rest, &text[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever the literals, the tables and the machine do: a pattern matches where a library's
    /// engine finds it in the name.
    #[test]
    fn expressions_match_what_another_engine_finds(
        texts in proptest::collection::vec(expression(), 1..5),
        names in proptest::collection::vec(name(), 1..6),
    ) {
        let everything = Modifiers {
            // Lets them pass though they match every name.
            types: vec![Condition { negated: true, value: 0 }],
            ..Modifiers::default()
        };
        let patterns: Vec<Pattern> = texts
            .iter()
            .map(|text| Pattern {
                modifiers: Some(Box::new(everything.clone())),
                ..pattern(PatternKind::Regex, text)
            })
            .filter(|pattern| check(pattern).is_ok())
            .collect();
        let section = section(&patterns);
        for name in names {
            let mut expected: Vec<String> = patterns
                .iter()
                .map(|pattern| pattern.text.clone())
                .filter(|text| regex_lite::Regex::new(text).unwrap().is_match(&name))
                .collect();
            expected.sort();
            expected.dedup();
            let parsed = Name::parse(&name).unwrap();
            for pattern in &patterns {
                let single = SinglePattern::new(pattern).unwrap();
                let expected = expected.contains(&pattern.text);
                prop_assert_eq!(single.matches(parsed.as_ref()), expected, "{}", name);
            }
            prop_assert_eq!(hits(&section, &name), expected, "{}", name);
        }
    }

    #[test]
    fn wildcards_match_what_all_ways_find(
        text in r"[a-c.*]{1,8}",
        names in proptest::collection::vec(name(), 1..6),
    ) {
        let kinds = [PatternKind::WildcardSubtree, PatternKind::WildcardExact, PatternKind::Substring];
        let patterns = kinds.map(|kind| pattern(kind, &text));
        for pattern in patterns.iter().filter(|pattern| check(pattern).is_ok()) {
            let section = section(std::slice::from_ref(pattern));
            for name in &names {
                let octets = name.as_bytes();
                let expected = match pattern.kind {
                    PatternKind::WildcardExact => wild(text.as_bytes(), octets),
                    PatternKind::WildcardSubtree => {
                        let below = format!("*.{text}");
                        wild(text.as_bytes(), octets) || wild(below.as_bytes(), octets)
                    }
                    _ => wild(format!("*{text}*").as_bytes(), octets),
                };
                prop_assert_eq!(!hits(&section, name).is_empty(), expected, "{} {}", pattern, name);
            }
        }
    }

    /// Octets of a section, a few of them changed: whatever they say, nothing breaks.
    #[test]
    fn a_damaged_section_breaks_nothing(
        changes in proptest::collection::vec((0_usize..2000, proptest::num::u8::ANY), 1..8),
        name in name(),
    ) {
        let mut damaged = section(&[
            pattern(PatternKind::Regex, "ab+c"),
            pattern(PatternKind::Regex, "abc[a-c]abc"),
            pattern(PatternKind::WildcardSubtree, "aaa*.bbb"),
            pattern(PatternKind::Regex, "[b-c]{3}a$"),
        ]);
        for (at, value) in changes {
            let at = at % damaged.len();
            damaged[at] = value;
        }
        if let Ok(patterns) = Patterns::open(&damaged) {
            let name = NameBuf::parse(&name).unwrap();
            patterns.look_up(&damaged, name.as_ref(), |hit| {
                let _text = patterns.text(&damaged, hit.number);
                let _modifiers = hit.rule.and_then(|rule| patterns.modifiers(&damaged, rule));
            });
        }
    }
}
