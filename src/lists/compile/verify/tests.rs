//! Indexes that differ from their lists, and those that do not.

use super::*;
use crate::files::MemoryFiles;
use crate::lists::{IndexBuilder, ListFormat, ListInfo, ListSource, compile_in_memory};
use crate::verdict::Tier;

fn spec(kind: ListKind, lines: &[&str]) -> ListSpec {
    ListSpec {
        id: "l".to_owned(),
        category: "ads".to_owned(),
        kind,
        tier: Tier::Lists,
        source: ListSource::Inline(lines.iter().map(|line| (*line).to_owned()).collect()),
        format: Some(ListFormat::Adblock),
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    }
}

/// An index that says what these lines say, and does not know of which source.
fn index(kind: ListKind, lines: &[&str]) -> Index {
    let mut items: Vec<Item> = Vec::new();
    for line in lines {
        let read = ListFormat::Adblock.read_line(line.as_bytes(), &mut items);
        read.unwrap();
    }
    let mut builder = IndexBuilder::new();
    let info = ListInfo::new("l", "ads", kind, Tier::Lists);
    builder.add_list(info, (1..).zip(items)).unwrap();
    builder.build()
}

fn compared(kind: ListKind, list: &[&str], index_of: &[&str]) -> VerifyReport {
    let specs = [spec(kind, list)];
    let files = MemoryFiles::new().files();
    verify(&specs, &[], &files, &index(kind, index_of), &mut |_| {})
}

const LIST: [&str; 9] = [
    "||example.org^",
    "||www.example.org^",
    "|exact.example^",
    "||*.below.example^",
    "@@||fine.example.org^",
    "||gone.example^",
    "||gone.example^$badfilter",
    "||typed.example^$dnstype=AAAA",
    "/^ads[0-9]+\\./",
];

#[test]
fn what_was_compiled_differs_in_nothing() {
    let files = MemoryFiles::new().files();
    let specs = [spec(ListKind::Block, &LIST)];
    let compiled = compile_in_memory(&specs, &files, None, &|| false).unwrap();
    let report = verify(&specs, &[], &files, &compiled, &mut |_| {});
    assert_eq!((report.differences, &report.first), (0, &Vec::new()));
    assert_eq!(report.replayed, LIST.len() as u64);
    assert!(report.near_misses > 15, "{report:?}");
    assert_eq!(compared(ListKind::Block, &LIST, &LIST), report);
}

#[test]
fn whatever_an_index_says_otherwise_is_found() {
    let replaced = |at: usize, by: &[&'static str]| {
        let mut lines = LIST.to_vec();
        lines.splice(at..=at, by.iter().copied());
        lines
    };
    for (index_of, said) in [
        (
            replaced(0, &[]),
            "line 1: the index does not say `||example.org^`",
        ),
        (
            replaced(0, &["|example.org^", "||www.example.org^"]),
            "line 1: the index does not say `||example.org^`",
        ),
        (
            replaced(2, &["||exact.example^"]),
            "of `zz9.exact.example` the index says listed, the list nothing",
        ),
        (
            replaced(3, &["||below.example^"]),
            "of `below.example` the index says listed, the list nothing",
        ),
        (
            replaced(4, &["||fine.example.org^"]),
            "line 5: the index does not say `@@||fine.example.org^`",
        ),
        (
            replaced(6, &[]),
            "of `gone.example` the index says listed, the list nothing",
        ),
        (
            replaced(7, &["||typed.example^$dnstype=A"]),
            "line 8: the index does not say `||typed.example^$dnstype=AAAA`",
        ),
        (replaced(8, &[]), "the index does not say `/^ads[0-9]+\\./`"),
        (
            replaced(8, &["/^ads[0-9]+\\./", "/^ads[0-9]+\\./$important"]),
            "the index says `/^ads[0-9]+\\./$important`, the list does not",
        ),
        (
            replaced(1, &["||www.example.org^", "||never.example^"]),
            "of `never.example` the index says listed, the list nothing",
        ),
    ] {
        let report = compared(ListKind::Block, &LIST, &index_of);
        assert!(report.differences > 0, "{said}");
        let told = report.first.iter().map(|it| match it.line {
            Some(line) => format!("line {line}: {}", it.text),
            None => it.text.clone(),
        });
        let told: Vec<String> = told.collect();
        assert!(told.iter().any(|it| it == said), "{said}: {told:?}");
    }
}

#[test]
fn what_differs_in_a_sealed_list_is_not_repeated() {
    let report = compared(ListKind::Sealed, &["||secret.example^"], &["||x.example^"]);
    assert!(report.differences > 1);
    assert!(report.first.iter().all(|it| it.text == "(sealed)"));
}

#[test]
fn a_list_that_changed_is_skipped() {
    let memory = MemoryFiles::new();
    memory.put("/l", "||example.org^\n");
    let mut spec = spec(ListKind::Block, &[]);
    spec.source = ListSource::File("/l".into());
    let specs = [spec];
    let files = memory.files();
    let index = compile_in_memory(&specs, &files, None, &|| false).unwrap();
    memory.put("/l", "||example.net^\n");
    let report = verify(&specs, &[], &files, &index, &mut |_| {});
    let why = "its source changed since it was compiled".to_owned();
    assert_eq!((report.differences, report.skipped), (0, vec![("l", why)]));
}
