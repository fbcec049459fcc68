//! Sealed lists from the names to the hits, and what they must never show.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::lists::{Fingerprint, Item, LineFault, ListFormat, ListId};
use crate::name::{Name, NameBuf};

const KEY: SealKey = SealKey::new(*b"sixteen octets!!");
const OTHER_KEY: SealKey = SealKey::new([7; 16]);

fn edition() -> Edition {
    Edition {
        title: "Hosts of the example hotline".into(),
        issuer: "hotline.example".into(),
        serial: 2_026_112_201,
        date: Day::parse("2026-11-22").unwrap(),
        expires: Day::parse("2026-12-06"),
    }
}

fn feed(names: &[&str]) -> String {
    let names: Vec<Name> = names
        .iter()
        .map(|name| Name::parse(name).unwrap())
        .collect();
    let names = names.iter().map(Name::as_ref);
    seal(names, &KEY, KeyDelivery::InFeed, &edition()).unwrap()
}

/// Reads a feed: its head and its fingerprints.
fn read(feed: &str) -> Result<(FeedHead, Vec<Fingerprint>), FeedFault> {
    let mut reader = FeedReader::new();
    let mut all = Vec::new();
    for line in feed.lines() {
        all.extend(reader.line(line.as_bytes()).ok().flatten());
    }
    reader.finish().map(|head| (head, all))
}

/// The section of feeds, the first being list 0.
fn section(feeds: &[&str]) -> Vec<u8> {
    let feeds: Vec<_> = feeds.iter().map(|feed| read(feed).unwrap()).collect();
    let lists = feeds.iter().zip(0..).map(|((head, _), list)| SealedList {
        list: ListId(list),
        key_id: head.key_id,
        expires: head.edition.expires,
    });
    let mut writer = SealedWriter::new(Vec::new(), lists);
    for ((_, fingerprints), list) in feeds.iter().zip(0..) {
        for fingerprint in fingerprints {
            writer.push(ListId(list), *fingerprint).unwrap();
        }
    }
    let (length, section) = writer.finish().unwrap();
    assert_eq!(length, section.len() as u64);
    section
}

fn keys(all: &[&SealKey]) -> SealKeys {
    let mut keys = SealKeys::new();
    all.iter().for_each(|key| assert!(keys.add((*key).clone())));
    keys
}

/// What is found, each as list and labels.
fn hits(section: &[u8], keys: &SealKeys, name: &str) -> Vec<(u16, u8)> {
    let mut sealed = Sealed::open(section).unwrap();
    sealed.unlock(keys);
    let name = NameBuf::parse(name).unwrap();
    let mut found = Vec::new();
    sealed.look_up(section, name.as_ref(), |hit| {
        found.push((hit.list.0, hit.labels))
    });
    found
}

#[test]
fn a_sealed_name_covers_what_is_below_it() {
    let feed = feed(&["bad.example", "deep.worse.example", "x.bad.example"]);
    // The third is below the first.
    assert_eq!(read(&feed).unwrap().0.count, 2);
    let section = section(&[&feed]);
    let keys = keys(&[&KEY]);
    for (name, expected) in [
        ("bad.example", &[(0, 2)][..]),
        ("BAD.example.", &[(0, 2)]),
        ("www.bad.example", &[(0, 2)]),
        ("a.b.c.bad.example", &[(0, 2)]),
        ("deep.worse.example", &[(0, 3)]),
        ("very.deep.worse.example", &[(0, 3)]),
        ("worse.example", &[]),
        ("notdeep.worse.example", &[]),
        ("bad.example.net", &[]),
        ("notbad.example", &[]),
        ("bad-example", &[]),
        ("bad", &[]),
        ("example", &[]),
        (".", &[]),
    ] {
        assert_eq!(hits(&section, &keys, name), expected, "{name}");
    }
}

#[test]
fn a_name_of_as_many_labels_as_there_can_be_is_looked_up() {
    let section = section(&[&feed(&["bad.example"])]);
    let name = "a.".repeat(121) + "bad.example";
    assert_eq!(hits(&section, &keys(&[&KEY]), &name), [(0, 2)]);
}

#[test]
fn without_its_key_a_list_finds_nothing_and_says_so() {
    let section = section(&[&feed(&["bad.example"])]);
    let mut sealed = Sealed::open(&section).unwrap();
    let locked = sealed.unlock(&keys(&[&OTHER_KEY]));
    assert_eq!(locked.len(), 1);
    assert_eq!((locked[0].list, locked[0].key_id), (ListId(0), KEY.id()));
    assert!(!locked[0].unlocked);
    assert_eq!(hits(&section, &keys(&[&OTHER_KEY]), "bad.example"), []);
    assert_eq!(sealed.unlock(&keys(&[&KEY, &OTHER_KEY])), []);
    let unlocked: Vec<SealedInfo> = sealed.lists().collect();
    let expected = SealedInfo {
        list: ListId(0),
        key_id: KEY.id(),
        expires: Day::parse("2026-12-06"),
        fingerprints: 1,
        unlocked: true,
    };
    assert_eq!(unlocked, [expected]);
}

#[test]
fn a_key_may_be_handed_over_apart() {
    let name = Name::parse("bad.example").unwrap();
    let feed = seal([name.as_ref()], &KEY, KeyDelivery::Apart, &edition()).unwrap();
    assert!(!feed.contains("key: "));
    let (head, _) = read(&feed).unwrap();
    assert_eq!((head.key.clone(), head.key_id), (None, KEY.id()));
    assert_eq!(
        hits(&section(&[&feed]), &keys(&[&KEY]), "bad.example"),
        [(0, 2)]
    );
}

#[test]
fn an_expired_list_goes_on_blocking() {
    let feed = feed(&["bad.example"]);
    let (head, _) = read(&feed).unwrap();
    assert!(!head.is_expired(Day::parse("2026-12-06").unwrap()));
    assert!(head.is_expired(Day::parse("2026-12-07").unwrap()));
    // The section knows of no day: what it finds does not depend on the clock.
    assert_eq!(
        hits(&section(&[&feed]), &keys(&[&KEY]), "bad.example"),
        [(0, 2)]
    );
}

#[test]
fn a_feed_that_is_not_whole_is_refused() {
    let whole = feed(&["a.example", "b.example", "c.example"]);
    assert!(read(&whole).is_ok());
    let lines: Vec<&str> = whole.lines().collect();
    for kept in 0..lines.len() {
        assert!(read(&lines[..kept].join("\n")).is_err(), "{kept}");
    }
    let without_last = lines[..lines.len() - 1].join("\n");
    let fault = FeedFault::Count {
        promised: 3,
        found: 2,
    };
    assert_eq!(read(&without_last), Err(fault));
    // Half a fingerprint is none.
    let cut = &whole[..whole.len() - 3];
    assert!(matches!(read(cut), Err(FeedFault::Line(_))));
}

#[test]
fn what_is_wrong_with_a_head_is_told() {
    let whole = feed(&["a.example"]);
    let key_id = format!("key-id: {}", KEY.id());
    for (from, to, said) in [
        (
            "sealed: 1",
            "sealed: 2",
            "a sealed list of version 2; this program reads version 1",
        ),
        (
            "sealed: 1",
            "sealed: x",
            "the value of the field `sealed` is not a number",
        ),
        (
            "sealed: 1\n",
            "",
            "not a sealed list: the first line must be `sealed: 1`",
        ),
        ("serial:", "x-serial:", "the head has no field `serial`"),
        (
            "2026-11-22",
            "22.11.2026",
            "the value of the field `date` is not a date such as 2026-11-22",
        ),
        (
            "title: ",
            "title: a\nissuer: b\ntitle: ",
            "the head has the field `title` twice",
        ),
        (
            HASH,
            "md5",
            "the names are sealed with a hash this program does not know",
        ),
        (
            "hash:",
            "must-ask: https://x\nhash:",
            "the head demands something this program does not know",
        ),
        (
            key_id.as_str(),
            "key-id: 0000000000000000",
            "the key does not fit the `key-id` of the head",
        ),
        (
            "key: ",
            "key: 00",
            "the value of the field `key` is not 32 hexadecimal digits",
        ),
        (
            "Hosts",
            "\u{1b}[31m",
            "the value of the field `title` is not a text of at most 200 characters, none of them a control character",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let changed = whole.replacen(from, to, 1);
        assert_eq!(read(&changed).unwrap_err().to_string(), said, "{to}");
        assert_eq!(
            FeedHead::read(changed.as_bytes()).unwrap_err().to_string(),
            said,
            "{to}"
        );
    }
    let without_keys: String = whole
        .lines()
        .filter(|line| !line.starts_with("key"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert_eq!(read(&without_keys), Err(FeedFault::Missing("key")));
    // What this version does not know and need not is passed over.
    let more = whole.replacen("hash:", "x-prefix-bits: 20\nhash:", 1);
    assert!(read(&more).is_ok());
}

#[test]
fn lines_that_are_not_in_order_are_refused() {
    let whole = feed(&["a.example", "b.example"]);
    let mut lines: Vec<&str> = whole.lines().collect();
    let last = lines.len() - 1;
    lines.swap(last, last - 1);
    let mut reader = FeedReader::new();
    let faults: Vec<_> = lines
        .iter()
        .filter_map(|line| reader.line(line.as_bytes()).err())
        .collect();
    assert_eq!(faults, [SealedLineFault::NotSorted]);
    assert_eq!(reader.line(b"title: late"), Err(SealedLineFault::LateField));
    assert_eq!(
        reader.line(lines[last].as_bytes()),
        Err(SealedLineFault::NotSorted)
    );
    assert_eq!(
        reader.line(b"bad.example"),
        Err(SealedLineFault::NoFingerprint)
    );
    assert_eq!(
        reader.line(b"\xff: \xff"),
        Err(SealedLineFault::NoFingerprint)
    );
    let fault = FeedFault::Line(SealedLineFault::NotSorted);
    assert_eq!(reader.finish(), Err(fault));
}

#[test]
fn a_sealed_list_is_known_by_its_first_line() {
    let feed = feed(&["a.example"]);
    assert!(is_feed(feed.as_bytes()));
    assert!(is_feed(format!("\u{feff}# note\r\n\r\n{feed}").as_bytes()));
    for other in [
        "",
        "# sealed: 1\nexample.org",
        "title: a\nsealed: 1",
        "0.0.0.0 sealed:",
    ] {
        assert!(!is_feed(other.as_bytes()), "{other}");
    }
}

#[test]
fn lines_by_themselves() {
    let mut into = Vec::new();
    for line in feed(&["a.example"]).lines() {
        read_line(line.as_bytes(), &mut into).unwrap();
    }
    let name = Name::parse("a.example").unwrap();
    assert_eq!(into, [Item::Sealed(KEY.fingerprint(name.as_ref()))]);
    let fault = LineFault::Sealed(SealedLineFault::NoFingerprint);
    assert_eq!(read_line(b"a.example", &mut into), Err(fault));
}

#[test]
fn what_cannot_be_sealed_is_told_by_its_place() {
    let parsed = |text: &str| Name::parse(text).unwrap();
    let deep = parsed(&("a.".repeat(15) + "example.org"));
    let good = parsed("bad.example");
    for (names, said) in [
        ([&good, &parsed("example")], "name 2 is a top-level domain"),
        ([&deep, &good], "name 1 has more than 16 labels"),
    ] {
        let fault = seal(
            names.map(Name::as_ref),
            &KEY,
            KeyDelivery::InFeed,
            &edition(),
        );
        assert_eq!(fault.unwrap_err().to_string(), said);
    }
    let untitled = Edition {
        title: " ".into(),
        ..edition()
    };
    let fault = seal([], &KEY, KeyDelivery::InFeed, &untitled);
    assert_eq!(fault, Err(SealFault::Field("title")));
}

/// Everything that can be printed, over all that can go wrong, with a key and names that would be
/// seen if one of them showed.
#[test]
fn nothing_secret_is_ever_shown() {
    let secret = "veryodd.example";
    let feed = feed(&[secret]);
    let (head, fingerprints) = read(&feed).unwrap();
    let key = hex(b"sixteen octets!!");
    let fingerprint = hex(&fingerprints[0].0);
    let section = section(&[&feed]);
    let mut sealed = Sealed::open(&section).unwrap();
    let mut shown = vec![
        format!("{KEY:?} {:?} {}", KEY.id(), KEY.id()),
        format!("{:?} {head:?}", keys(&[&KEY])),
        format!("{:?}", fingerprints[0]),
        format!(
            "{:?} {}",
            Item::Sealed(fingerprints[0]),
            Item::Sealed(fingerprints[0])
        ),
        format!("{sealed:?}"),
        format!("{:?}", sealed.unlock(&SealKeys::new())),
        format!("{:?}", SealedWriter::new(Vec::<u8>::new(), [])),
    ];
    sealed.unlock(&keys(&[&KEY]));
    shown.push(format!("{sealed:?}"));
    let mut errors = 0;
    let lines: Vec<&str> = feed.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        for damaged in [
            String::new(),
            format!("{line}0"),
            line[..line.len().saturating_sub(1)].to_owned(),
            format!("{line}\n{line}"),
            line.replacen(':', " ", 1),
            line.to_uppercase(),
            format!("{line} {secret}"),
        ] {
            let mut text = lines.clone();
            text[at] = &damaged;
            let text = text.join("\n");
            let mut reader = FeedReader::new();
            for line in text.lines() {
                if let Err(fault) = reader.line(line.as_bytes()) {
                    shown.push(format!(
                        "{fault} {fault:?} {}",
                        LineFault::from(fault.clone())
                    ));
                    errors += 1;
                }
                let mut into = Vec::new();
                let read = ListFormat::Sealed.read_line(line.as_bytes(), &mut into);
                shown.push(format!("{read:?} {into:?}"));
                shown.push(format!("{reader:?}"));
            }
            if let Err(fault) = reader.finish() {
                shown.push(format!("{fault} {fault:?}"));
                errors += 1;
            }
        }
    }
    assert!(errors > 50, "{errors}");
    for length in 1..section.len() {
        shown.extend(Sealed::open(&section[..length]).err());
    }
    for file in [format!("{key}{key}"), format!("{key}\n{secret}")] {
        let fault = SealKeys::parse(&file).unwrap_err();
        shown.push(format!("{fault} {fault:?}"));
    }
    let mut writer = SealedWriter::new(Vec::new(), []);
    let fault = writer.push(ListId(0), fingerprints[0]).unwrap_err();
    shown.push(format!("{fault} {fault:?} {writer:?}"));
    for text in shown {
        let text = text.to_lowercase();
        // Parts of the secrets, too: what could be put together again.
        for word in [
            "veryodd",
            &key[..8],
            &key[24..],
            &fingerprint[..8],
            &fingerprint[12..],
        ] {
            assert!(!text.contains(word), "{text}");
        }
        assert!(
            !text.contains(&format!("{:?}", fingerprints[0].0)[1..20]),
            "{text}"
        );
    }
}

#[test]
fn keys_go_to_their_file_and_come_back() {
    let all = keys(&[&KEY, &OTHER_KEY]);
    let file = all.to_file();
    assert_eq!(SealKeys::parse(&file).unwrap(), all);
    let commented = format!("# keys\n\n{}\n", file.replace('\n', "  # note\r\n"));
    assert_eq!(SealKeys::parse(&commented).unwrap(), all);
    assert_eq!(SealKeys::parse(&format!("{file}{file}")).unwrap(), all);
    let fault = SealKeys::parse("\nkey").unwrap_err();
    assert_eq!(
        fault.to_string(),
        "line 2 is not a key of 32 hexadecimal digits"
    );
    let many: String = (0..=MAX_KEYS).map(|n| format!("{n:032x}\n")).collect();
    assert_eq!(
        SealKeys::parse(&many),
        Err(SealKeysFault::TooMany { line: MAX_KEYS + 1 })
    );
    let mut kept = all;
    kept.keep(|id| id == OTHER_KEY.id());
    assert_eq!(kept, keys(&[&OTHER_KEY]));
}

/// The reference vectors of SipHash-2-4 with 128 bits of output, by its authors, for inputs of no
/// octet and of 15: whoever writes another program for the format needs the same.
#[test]
fn fingerprints_are_siphash() {
    let key = SealKey::new(std::array::from_fn(|n| n as u8));
    let siphash = |octets: &[u8]| {
        siphasher::sip128::SipHasher24::new_with_key(&std::array::from_fn(|n| n as u8))
            .hash(octets)
            .as_bytes()
    };
    let hash = siphash(&[]);
    assert_eq!(hex(&hash), "a3817f04ba25a8e66df67214c7550293");
    let name = Name::parse("bad.example").unwrap();
    let expected = siphash(b"\x03bad\x07example\x00");
    assert_eq!(key.fingerprint(name.as_ref()).0, expected[..10]);
}

#[test]
fn days_are_dates() {
    assert_eq!(Day::parse("1970-01-02"), Some(Day(1)));
    assert_eq!(Day::parse("2026-11-22").unwrap().to_string(), "2026-11-22");
    for text in [
        "1969-12-31",
        "2026-02-30",
        "2026-11-22T00:00",
        "+002026-11-22",
        "",
    ] {
        assert_eq!(Day::parse(text), None, "{text}");
    }
    let moment = "2026-11-22T23:59:59Z".parse().unwrap();
    assert_eq!(Day::of(moment), Day::parse("2026-11-22").unwrap());
}

/// Fingerprints as a feed of many names would have them.
fn many(count: u64) -> BTreeSet<Fingerprint> {
    let name = |n: u64| Name::parse(&format!("name{n}.example")).unwrap();
    (0..count)
        .map(|n| KEY.fingerprint(name(n).as_ref()))
        .collect()
}

#[test]
fn every_one_of_many_is_found_and_others_are_not() {
    // More than a chunk each, and a list of none between them.
    let lists = [0, 1, 2].map(|list| SealedList {
        list: ListId(list),
        key_id: KEY.id(),
        expires: None,
    });
    let mut writer = SealedWriter::new(Vec::new(), lists);
    let sets = [many(7000), BTreeSet::new(), many(3072)];
    for (list, set) in (0..).zip(&sets) {
        for fingerprint in set {
            writer.push(ListId(list), *fingerprint).unwrap();
            writer.push(ListId(list), *fingerprint).unwrap();
        }
    }
    let (_, section) = writer.finish().unwrap();
    // Ten octets and a third, and what a few chunks need.
    assert!(section.len() < 10_072 * 34 / 3 + 300, "{}", section.len());
    let keys = keys(&[&KEY]);
    for n in 0..10_000 {
        let mut expected = Vec::new();
        if n < 7000 {
            expected.push((0, 2));
        }
        if n < 3072 {
            expected.push((2, 2));
        }
        assert_eq!(
            hits(&section, &keys, &format!("name{n}.example")),
            expected,
            "{n}"
        );
    }
}

#[test]
fn a_writer_refuses_what_is_not_in_order() {
    let lists = [1, 3].map(|list| SealedList {
        list: ListId(list),
        key_id: KEY.id(),
        expires: None,
    });
    let [low, high] = [Fingerprint([1; 10]), Fingerprint([2; 10])];
    for pushed in [
        &[(1, high), (1, low)][..],
        &[(3, low), (1, low)],
        &[(2, low)],
        &[(4, low)],
        &[(0, low)],
    ] {
        let mut writer = SealedWriter::new(Vec::new(), lists);
        let done: Result<(), _> = pushed
            .iter()
            .try_for_each(|(list, it)| writer.push(ListId(*list), *it));
        assert!(done.is_err(), "{pushed:?}");
    }
    assert_eq!(SealedWriter::new(Vec::new(), []).finish().unwrap().0, 0);
    assert!(Sealed::open(&[]).unwrap().is_empty());
}

#[test]
fn a_section_that_is_cut_off_is_refused() {
    let whole = section(&[&feed(&["a.example", "b.example"]), &feed(&["c.example"])]);
    for length in 1..whole.len() {
        assert!(Sealed::open(&whole[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn what_is_sealed_is_found_and_nothing_else(
        sealed in proptest::collection::vec("([ab]{1,2}\\.){1,3}test", 0..8),
        asked in proptest::collection::vec("([ab]{1,2}\\.){0,4}(test|org)", 1..8),
    ) {
        let texts: Vec<&str> = sealed.iter().map(String::as_str).collect();
        let section = section(&[&feed(&texts)]);
        for asked in asked {
            let name = Name::parse(&asked).unwrap();
            let expected = sealed.iter().any(|it| name.as_ref().is_within(Name::parse(it).unwrap().as_ref()));
            prop_assert_eq!(!hits(&section, &keys(&[&KEY]), &asked).is_empty(), expected, "{}", asked);
        }
    }

    #[test]
    fn a_damaged_section_breaks_nothing(
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..8),
        name in "([ab]{1,2}\\.){0,4}example",
    ) {
        let mut damaged = section(&[&feed(&["a.example", "b.example"]), &feed(&["ab.example"])]);
        for (at, value) in changes {
            let at = usize::from(at) % damaged.len();
            damaged[at] = value;
        }
        if let Ok(mut sealed) = Sealed::open(&damaged) {
            sealed.unlock(&keys(&[&KEY]));
            let name = NameBuf::parse(&name).unwrap();
            sealed.look_up(&damaged, name.as_ref(), |_| {});
        }
    }
}
