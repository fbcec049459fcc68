//! Lists from text to hits: golden reports, and the index against a model too simple to be wrong.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use hedgerow::files::MemoryFiles;
use hedgerow::lists::parse::{ReadOptions, read_list};
use hedgerow::lists::{
    Effect, Entry, Index, IndexBuilder, ListFormat, ListInfo, ListKind, ListSource, ListSpec,
    Reach, compile_in_memory,
};
use hedgerow::name::Name;
use hedgerow::verdict::Tier;
use proptest::prelude::*;
use proptest::sample::select;

/// Each `tests/lists/*.txt` is compiled; what the list says of itself is its `*.report`, letter
/// for letter. After a wanted change `HEDGEROW_BLESS=1` writes them anew, to be read in the diff.
#[test]
fn golden_reports() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lists");
    let mut compared = 0;
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for path in files
        .iter()
        .filter(|path| path.extension().unwrap() == "txt")
    {
        let memory = MemoryFiles::new();
        memory.put("/lists/golden.txt", std::fs::read(path).unwrap());
        let spec = ListSpec {
            id: "golden".into(),
            category: "ads".into(),
            kind: ListKind::Block,
            tier: Tier::Lists,
            source: ListSource::File("/lists/golden.txt".into()),
            format: None,
            member: None,
            public_suffixes: false,
            urls: Vec::new(),
            sha256: None,
        };
        let index = compile_in_memory(&[spec], &memory.files(), None, &|| false).unwrap();
        let report = format!("{}\n", index.lists().next().unwrap().1);
        let golden = path.with_extension("report");
        if std::env::var_os("HEDGEROW_BLESS").is_some() {
            std::fs::write(&golden, &report).unwrap();
        }
        let expected = std::fs::read_to_string(golden).unwrap();
        assert_eq!(report, expected, "{}", path.display());
        compared += 1;
    }
    assert_eq!(compared, 6);
}

/// A hit in words: list, reach, effect, labels.
type Told = (u16, Reach, Effect, u8);

/// What the index tells of a name, and tells again when it remembers it.
fn told(index: &Index, name: &str) -> Vec<Told> {
    let asked = Name::parse(name).unwrap();
    let [first, second] = [(); 2].map(|()| {
        let mut hits = Vec::new();
        index.look_up(asked.as_ref(), |hit| {
            hits.push((hit.list.0, hit.reach, hit.effect, hit.labels));
        });
        hits
    });
    assert_eq!(first, second, "{name} the second time");
    first
}

/// Which lists say something of a name, and what.
fn voices(told: &[Told]) -> BTreeSet<(u16, Effect)> {
    told.iter()
        .map(|(list, _, effect, _)| (*list, *effect))
        .collect()
}

/// One entry as text.
type Line = (String, Reach, Effect);

/// Lists as plain maps from a name to the lines that name it.
#[derive(Default)]
struct Model {
    lines: BTreeMap<String, BTreeSet<(u16, Reach, Effect)>>,
}

impl Model {
    fn new(lists: &[Vec<Line>]) -> Self {
        let mut model = Self::default();
        for (list, lines) in (0..).zip(lists) {
            for (name, reach, effect) in lines {
                let lines = model.lines.entry(name.clone()).or_default();
                lines.insert((list, *reach, *effect));
            }
        }
        model
    }

    fn told(&self, name: &str) -> Vec<Told> {
        let mut told = Vec::new();
        let mut suffix = name;
        loop {
            for (list, reach, effect) in self.lines.get(suffix).into_iter().flatten() {
                let matches = match reach {
                    Reach::Subtree => true,
                    Reach::Exact => suffix == name,
                    Reach::Below => suffix != name,
                };
                if matches {
                    let labels = suffix.split('.').count() as u8;
                    told.push((*list, *reach, *effect, labels));
                }
            }
            match suffix.split_once('.') {
                Some((_, parent)) => suffix = parent,
                None => return told,
            }
        }
    }
}

/// The same lists, compiled.
fn index(lists: &[Vec<Line>]) -> Index {
    let mut builder = IndexBuilder::new();
    for lines in lists {
        let info = ListInfo::new("list", "ads", ListKind::Block, Tier::Lists);
        let entries = lines.iter().map(|(name, reach, effect)| Entry {
            name: Name::parse(name).unwrap(),
            reach: *reach,
            effect: *effect,
            modifiers: None,
        });
        builder.add_list(info, (1..).zip(entries)).unwrap();
    }
    builder.build()
}

/// Names of few labels from a small alphabet, so that they often are parents of each other.
fn name(most_labels: usize) -> impl Strategy<Value = String> {
    let label = select(vec!["a", "b", "c", "ab", "eight888", "nine99999"]);
    prop::collection::vec(label, 1..=most_labels).prop_map(|labels| labels.join("."))
}

fn line() -> impl Strategy<Value = Line> {
    (
        name(4),
        select(vec![Reach::Subtree, Reach::Exact, Reach::Below]),
        select(vec![Effect::Listed, Effect::Excepted]),
    )
}

/// Hands out its bytes in pieces of the given sizes.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = buffer.len().min(*self.sizes.next().unwrap());
        self.bytes.read(&mut buffer[..size])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_tells_what_the_model_tells(
        lists in prop::collection::vec(prop::collection::vec(line(), 0..40), 0..5),
        questions in prop::collection::vec(name(20), 40),
    ) {
        let (index, model) = (index(&lists), Model::new(&lists));
        prop_assert!(index.name_count() <= model.lines.len());
        let listed = model.lines.keys();
        for question in questions.iter().chain(listed) {
            let (told, expected) = (told(&index, question), model.told(question));
            // What a list says of a name and of a parent too may be told once.
            prop_assert_eq!(voices(&told), voices(&expected), "{}", question);
            let mut rest = expected.iter();
            let in_order = told.iter().all(|hit| rest.any(|other| other == hit));
            prop_assert!(in_order, "{}: {:?} of {:?}", question, told, expected);
        }
    }

    #[test]
    fn a_list_means_the_same_in_every_syntax(
        names in prop::collection::vec("[a-z0-9_-]{1,8}(\\.[a-z0-9]{1,8}){0,2}\\.[a-z]{2,6}", 1..20),
    ) {
        let read = |format, line: fn(&str) -> String| {
            let text: String = names.iter().map(|name| line(name)).collect();
            let mut entries = Vec::new();
            let report = read_list(text.as_bytes(), &ReadOptions::format(format), |line, entry| {
                entries.push((line, entry.clone()));
            });
            assert_eq!((report.bad_lines, report.entries), (0, names.len() as u64));
            entries
        };
        let domains = read(ListFormat::Domains, |name| format!("{name}\n"));
        prop_assert_eq!(&domains, &read(ListFormat::Hosts, |name| format!("::1 {name} # x\r\n")));
        prop_assert_eq!(&domains, &read(ListFormat::Wildcards, |name| format!("*.{name}\n")));
        prop_assert_eq!(&domains, &read(ListFormat::Adblock, |name| format!("||{name}^\n")));
    }

    #[test]
    fn how_a_stream_is_cut_does_not_matter(
        text in "([a-z.*|^@#! 0\r\n]{0,12}(\n|\r\n|a\\.b\n)){0,40}",
        sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let mut whole = Vec::new();
        let expected = read_list(text.as_bytes(), &ReadOptions::default(), |line, entry| {
            whole.push((line, entry.clone()));
        });
        let mut entries = Vec::new();
        let pieces = Pieces { bytes: text.as_bytes(), sizes: sizes.iter().cycle() };
        let report = read_list(pieces, &ReadOptions::default(), |line, entry| entries.push((line, entry.clone())));
        prop_assert_eq!((report, entries), (expected, whole));
    }
}
