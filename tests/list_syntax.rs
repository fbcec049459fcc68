//! Lists of every syntax, from text to items: what each line says, letter for letter, and what all
//! syntaxes say alike.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;
use std::io::{self, Cursor, Read, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use hedgerow::lists::parse::{Limits, ReadOptions, Report, detect, read_list};
use hedgerow::lists::{Item, LineFault, ListFault, ListFormat};
use proptest::prelude::*;

/// All that reading a list brings, as text.
fn told(list: &[u8], options: &ReadOptions) -> String {
    let mut text = String::new();
    let report = read_list(list, options, |line, item| {
        writeln!(text, "{line}: {item}").unwrap();
    });
    let Report {
        format,
        entries,
        bad_lines,
        skipped,
        ..
    } = report;
    writeln!(
        text,
        "{entries} entries ({format}), {bad_lines} lines not understood, {skipped} skipped"
    )
    .unwrap();
    for error in &report.first_errors {
        writeln!(text, "  {error}").unwrap();
    }
    for note in &report.notes {
        writeln!(text, "  {note}").unwrap();
    }
    if let Some(failure) = &report.failure {
        writeln!(text, "not loaded: {failure}").unwrap();
    }
    text
}

/// Each list of `tests/syntax` is read; what it says is in its `*.said`, letter for letter. After a
/// wanted change `HEDGEROW_BLESS=1` writes them anew, to be read in the diff.
#[test]
fn golden_lists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/syntax");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().unwrap() != "said")
        .collect();
    files.sort();
    for path in &files {
        let list = std::fs::read(path).unwrap();
        let mut said = told(&list, &ReadOptions::default());
        if path.to_string_lossy().contains(".tar.") {
            for member in ["adult", "blacklists/ads", "porn", "adult/urls"] {
                let options = ReadOptions {
                    member: Some(member.to_owned()),
                    ..ReadOptions::default()
                };
                write!(said, "\nof it `{member}`:\n{}", told(&list, &options)).unwrap();
            }
        }
        let golden = PathBuf::from(format!("{}.said", path.display()));
        if std::env::var_os("HEDGEROW_BLESS").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(golden).unwrap();
        assert_eq!(said, expected, "{}", path.display());
    }
    assert_eq!(files.len(), 14);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

/// A line about a name in each syntax in which a name covers what is below it.
const SUBTREES: [(ListFormat, fn(&str) -> String); 8] = [
    (ListFormat::Domains, |name| format!("{name}\n")),
    (ListFormat::Hosts, |name| format!("::1 {name} # x\r\n")),
    (ListFormat::Wildcards, |name| format!("*.{name}\n")),
    (ListFormat::Adblock, |name| format!("||{name}^\n")),
    (ListFormat::Dnsmasq, |name| {
        format!("address=/{name}/0.0.0.0\n")
    }),
    (ListFormat::Dnsmasq, |name| format!("address=/{name}/#\n")),
    (ListFormat::Unbound, |name| {
        format!("local-zone: \"{name}.\" always_null\n")
    }),
    (ListFormat::Unbound, |name| {
        format!("local-zone: {name} redirect\n")
    }),
];

/// Reads a text as it is detected, and as an archive's only list.
fn items(text: &str) -> (ListFormat, Vec<(u32, Item)>) {
    let read = |list: &[u8]| {
        let mut items = Vec::new();
        let report = read_list(list, &ReadOptions::default(), |line, item| {
            items.push((line, item.clone()));
        });
        assert_eq!((report.failure, report.bad_lines), (None, 0));
        (report.format, items)
    };
    let plain = read(text.as_bytes());
    assert_eq!(plain, read(&gzip(text.as_bytes())));
    plain
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
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_list_means_the_same_in_every_syntax(
        names in prop::collection::vec("[a-z0-9_-]{1,8}(\\.[a-z0-9]{1,8}){0,2}\\.[a-z]{2,6}", 1..20),
    ) {
        let mut all = SUBTREES.iter().map(|(format, line)| {
            let text: String = names.iter().map(|name| line(name)).collect();
            let (detected, items) = items(&text);
            assert_eq!(detected, *format, "{text}");
            items
        });
        let first = all.next().unwrap();
        prop_assert_eq!(first.len(), names.len());
        for other in all {
            prop_assert_eq!(&first, &other);
        }
    }

    #[test]
    fn names_that_do_not_exist_are_the_same_in_every_syntax(
        names in prop::collection::vec("[a-z]{1,8}\\.[a-z]{2,6}", 1..20),
    ) {
        let lines: [fn(&str) -> String; 5] = [
            |name| format!("||{name}^\n"),
            |name| format!("address=/{name}/\n"),
            |name| format!("server=/{name}/\n"),
            |name| format!("local-zone: \"{name}\" static\n"),
            |name| format!("local-zone: \"{name}\" always_nxdomain\n"),
        ];
        let mut all = lines.iter().map(|line| {
            items(&names.iter().map(|name| line(name)).collect::<String>()).1
        });
        let first = all.next().unwrap();
        for other in all {
            prop_assert_eq!(&first, &other);
        }
        // A zone says it in two lines, of the name and of what is below it.
        let zone: String = names
            .iter()
            .map(|name| format!("{name} CNAME .\n*.{name} CNAME .\n"))
            .collect();
        let (detected, said) = items(&zone);
        prop_assert_eq!((detected, said.len()), (ListFormat::Rpz, 2 * names.len()));
        for (_, item) in said {
            let Item::Name(entry) = item else { panic!("{item}") };
            prop_assert_eq!(entry.modifiers, None);
        }
    }

    #[test]
    fn how_a_stream_is_cut_does_not_matter(
        text in "([a-z.*|^@#!/=:;( 0\r\n]{0,12}(\n|\r\n|a\\.b\n)){0,40}",
        sizes in prop::collection::vec(1_usize..40, 1..8),
        is_packed in any::<bool>(),
    ) {
        let list = if is_packed { gzip(text.as_bytes()) } else { text.into_bytes() };
        for format in [None, Some(ListFormat::Rpz), Some(ListFormat::Adblock)] {
            let options = ReadOptions::format(format);
            let mut whole = Vec::new();
            let expected = read_list(list.as_slice(), &options, |line, item| {
                whole.push((line, item.clone()));
            });
            let mut items = Vec::new();
            let pieces = Pieces { bytes: &list, sizes: sizes.iter().cycle() };
            let report = read_list(pieces, &options, |line, item| items.push((line, item.clone())));
            prop_assert_eq!((report, items), (expected, whole));
        }
    }
}

/// The same bytes again and again, as many as are wanted, without being anywhere.
struct Endless {
    left: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.left).unwrap());
        buffer[..count].fill(b'a');
        self.left -= count as u64;
        Ok(count)
    }
}

/// An hour of `a`: what a gigabyte in one line costs is that line, or the list where it is packed
/// too well to be one.
#[test]
fn a_line_of_a_gigabyte_costs_that_line() {
    const LENGTH: u64 = 1_000_000_000;
    let list = Cursor::new("one.example\n")
        .chain(Endless { left: LENGTH })
        .chain(Cursor::new("\ntwo.example\n"));
    let mut lines = Vec::new();
    let report = read_list(list, &ReadOptions::default(), |line, _| lines.push(line));
    assert_eq!((report.failure, lines), (None, vec![1, 3]));
    let bytes = LENGTH + 1;
    assert_eq!(report.first_errors[0].error, LineFault::TooLong { bytes });

    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(b"one.example\n").unwrap();
    io::copy(&mut Endless { left: 100_000_000 }, &mut packer).unwrap();
    let report = read_list(
        packer.finish().unwrap().as_slice(),
        &ReadOptions::default(),
        |_, _| {},
    );
    assert_eq!(report.failure, Some(ListFault::Bomb { ratio: 200 }));
}

#[test]
fn a_list_has_an_end() {
    let options = ReadOptions {
        limits: Limits {
            max_bytes: 100_000,
            max_ratio: 200,
        },
        ..ReadOptions::default()
    };
    let text = "example.org\n".repeat(10_000);
    let report = read_list(text.as_bytes(), &options, |_, _| {});
    assert_eq!(report.failure, Some(ListFault::TooLarge { max: 100_000 }));
}

#[test]
fn a_given_syntax_is_not_second_guessed() {
    let text = "address=/example.org/#\n";
    assert_eq!(detect(text.as_bytes()), ListFormat::Dnsmasq);
    let options = ReadOptions::format(ListFormat::Domains);
    let report = read_list(text.as_bytes(), &options, |_, _| {});
    assert_eq!((report.format, report.bad_lines), (ListFormat::Domains, 1));
}
