//! `docs/index-format.md` against the program.
//!
//! The page has an example whose octets are compared with what the compiler writes; with
//! `HEDGEROW_BLESS=1` they are written into the page anew, to be read in the diff. And there is
//! another reader of indexes, `reader.py`, which does what the page says and takes its numbers from
//! there: it is asked what the program is asked. Where the two say different things, the page is
//! wrong or the program.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod example;
#[path = "../support/index_model.rs"]
#[allow(
    dead_code,
    reason = "other tests compare the model with the index; this one writes it"
)]
mod model;
mod questions;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hedgerow::lists::Index;
use model::{Model, Said};
use questions::Questions;

/// Runs the reader of the page; what it says, and whether it was content. None, with a line on
/// standard output, where Python is not installed.
fn reader(arguments: &[&str], input: &str) -> Option<(String, bool)> {
    use std::io::Write;
    let program = top().join("tests/index_format/reader.py");
    let spawned = Command::new("python3")
        .arg("-B")
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("skipped: no python3");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // One that refuses its file does not read what it is asked.
        scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
        child.wait_with_output().unwrap()
    });
    let said = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    Some((String::from_utf8(said).unwrap(), output.status.success()))
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of these octets, and the folder that vanishes with it.
fn file(octets: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lists.index");
    std::fs::write(&path, octets).unwrap();
    (folder, path)
}

/// Asks the reader and the program; how many names and addresses were asked for, and how many were
/// hit.
fn compare(octets: &[u8], keys: &[&str], questions: &Questions, index: &Index) {
    let (_folder, path) = file(octets);
    let path = path.to_str().unwrap();
    let Some((walked, content)) = reader(&["walk", path], "") else {
        return;
    };
    assert!(content, "{walked}");
    let expected = questions::walked(index);
    assert_eq!(walked.lines().count(), index.name_count());
    assert_eq!(first_difference(&walked, &expected), None);

    let arguments: Vec<&str> = ["ask", path].iter().chain(keys).copied().collect();
    let (answers, content) = reader(&arguments, &questions.to_string()).unwrap();
    assert!(content, "{answers}");
    let expected = questions.answers(index);
    assert_eq!(first_difference(&answers, &expected), None);
}

/// The first line that is not the same.
fn first_difference(found: &str, expected: &str) -> Option<(String, String)> {
    let ends = [None];
    let lines = |text: &str| -> Vec<Option<String>> {
        let lines = text.lines().map(|line| Some(line.to_owned()));
        lines.chain(ends.clone()).collect()
    };
    let (found, expected) = (lines(found), lines(expected));
    let mut pairs = found.into_iter().zip(expected);
    let (one, other) = pairs.find(|(one, other)| one != other)?;
    Some((one.unwrap_or_default(), other.unwrap_or_default()))
}

#[test]
fn the_octets_of_the_page_are_those_the_compiler_writes() {
    example::check(|octets| {
        let (_folder, path) = file(octets);
        reader(&["explain", path.to_str().unwrap()], "").map(|(said, content)| {
            assert!(content, "{said}");
            said
        })
    });
}

#[test]
fn another_reader_finds_what_the_program_finds_in_compiled_lists() {
    let (octets, key) = questions::compiled();
    let mut index = Index::from_bytes(octets.clone()).unwrap();
    assert!(index.set_seal_keys(&questions::keys(&key)).is_empty());
    let questions = Questions::about(&index, 1);
    let (listed, all) = questions.count(&index);
    assert!(index.name_count() > 4000, "{}", index.name_count());
    assert!(
        all > 8000 && (4000..all - 1000).contains(&listed),
        "{listed} of {all}"
    );
    compare(&octets, &[&key], &questions, &index);
}

/// What no list says and the format can: the root, hundreds of sets, sets without a number, names
/// that begin alike for longer than a separator, top-level labels that do, names of many tokens.
#[test]
fn another_reader_finds_what_the_program_finds_in_odd_indexes() {
    let mut numbers = questions::Numbers(11);
    let mut model = Model::default();
    let mut add = |text: &str, said: Said| {
        model.add(&hedgerow::name::Name::parse(text).unwrap(), said);
    };
    add(".", Said::plain(3));
    for n in 0..700_u16 {
        let said = Said {
            important: n % 5 == 0,
            modifiers: (n % 7 == 0).then(|| vec![7; usize::from(n) * 3]),
            ..Said::plain(n % 300)
        };
        add(
            &format!("thesamelongname{n}.thesamelongparent.org"),
            said.clone(),
        );
        add(
            &format!(
                "{}.xn--thesamelong{}",
                questions::label(&mut numbers),
                n % 9
            ),
            said,
        );
    }
    for length in 1..50 {
        add(
            &format!("{}.example", "ab".repeat(length / 2 + 1)),
            Said::plain(1),
        );
        add(
            &format!("{}c.example", "ab".repeat(length / 2 + 1)),
            Said::plain(1),
        );
    }
    // Larger than what is given a number.
    for n in 0..3 {
        let modifiers = Some(vec![n; 5000]);
        add(
            &format!("lone{n}.example"),
            Said {
                modifiers,
                ..Said::plain(2)
            },
        );
        add(&format!("lone{n}a.example"), Said::plain(2));
    }
    add(&("a.".repeat(126) + "b"), Said::plain(2));
    // Hardly any two symbols that other names have in a row: so many tokens that their count
    // stands apart.
    add("z9y8x7w6v5u4t3s2r1q0ponmlkjihgfedcba_.b", Said::plain(2));
    let (octets, totals) = model.write(1 << 20).unwrap();
    assert!(totals.sets > 300, "{totals:?}");
    let index = Index::from_bytes(octets.clone()).unwrap();
    compare(&octets, &[], &Questions::about(&index, 1), &index);
}

#[test]
fn the_choices_of_the_compiler_are_those_the_page_tells() {
    let page = std::fs::read_to_string(top().join("docs/index-format.md")).unwrap();
    let choice = |name: &str| -> u64 {
        let (_, rest) = page.split_once(&format!("| `{name}` | `")).unwrap();
        rest.split('`').next().unwrap().parse().unwrap()
    };
    let (octets, _) = questions::compiled();
    assert_eq!(1 << octets[98], choice("names-in-a-block"));
    assert_eq!(1 << octets[99], choice("names-in-a-group"));
    let number = |at: usize| u64::from_le_bytes(*octets[at..].first_chunk().unwrap());
    let (names, filter) = (number(64), number(128));
    let bits = choice("filter-bits-per-name");
    assert_eq!(filter, (names * bits).div_ceil(512) * 64);
}

#[test]
fn an_empty_index_can_be_read() {
    let (octets, _) = Model::default().write(1 << 20).unwrap();
    let index = Index::from_bytes(octets.clone()).unwrap();
    compare(&octets, &[], &Questions::about(&index, 1), &index);
}

#[test]
fn another_reader_refuses_what_is_damaged_too() {
    let (octets, _) = questions::compiled();
    let places = [
        0,
        8,
        17,
        40,
        100,
        140,
        270,
        287,
        288,
        4000,
        octets.len() - 1,
    ];
    for place in places {
        let mut damaged = octets.clone();
        damaged[place] ^= 1;
        assert!(Index::from_bytes(damaged.clone()).is_err(), "{place}");
        let (_folder, path) = file(&damaged);
        let Some((said, content)) = reader(&["ask", path.to_str().unwrap()], "") else {
            return;
        };
        assert!(!content && said.starts_with("damaged: "), "{place}: {said}");
    }
}
