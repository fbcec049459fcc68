//! The example of the page: its lists are compiled, and what comes out is compared with the octets
//! the page shows.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use hedgerow::files::MemoryFiles;
use hedgerow::lists::{Index, ListFormat, ListKind, ListSource};

use crate::questions::{octets, spec};

/// The parts in the order of their table.
const PARTS: [&str; 10] = [
    "lists",
    "filter",
    "codes",
    "tops",
    "separators",
    "names",
    "sets",
    "patterns",
    "addresses",
    "sealed",
];
/// Octets of the header.
const HEADER: usize = 288;
/// Octets of the header that depend on the version of the program: the recipe, and the header's own
/// checksum. They are shown as dots.
const HIDDEN: [Range<usize>; 2] = [32..64, 280..288];
/// Octets of a line.
const LINE: usize = 16;

/// Compares the blocks of the page that are made by the program; where they are to be blessed,
/// writes them. `explain` has the reader explain an index.
pub(crate) fn check(explain: impl FnOnce(&[u8]) -> Option<String>) {
    let path = crate::top().join("docs/index-format.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let octets = compile(&page);
    let mut written = vec![("octets of the header".to_owned(), dump(&octets, 0..HEADER))];
    for (number, part) in PARTS.iter().enumerate() {
        let mut shown = String::new();
        for range in shown_of(part, part_of(&octets, number)) {
            if !shown.is_empty() {
                shown.push_str("…\n");
            }
            shown.push_str(&dump(&octets, range));
        }
        written.push((format!("octets of {part}"), shown));
    }
    written.push(("counts of the header".to_owned(), choices(&octets)));
    written.extend(explain(&octets).map(|said| ("names explained".to_owned(), said)));
    let mut blessed = page.clone();
    for (mark, text) in &written {
        blessed = with_block(&blessed, mark, text);
    }
    if std::env::var_os("HEDGEROW_BLESS").is_some() {
        std::fs::write(&path, &blessed).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    for (mark, text) in &written {
        assert_eq!(
            block(&page, mark),
            text,
            "{mark}; HEDGEROW_BLESS=1 writes it anew"
        );
    }
}

/// The index of the lists that stand in the page.
fn compile(page: &str) -> Vec<u8> {
    let memory = MemoryFiles::new();
    let mut specs = Vec::new();
    for (id, format, kind) in [
        ("ads", ListFormat::Adblock, ListKind::Block),
        ("orders", ListFormat::Dnsmasq, ListKind::Block),
        ("hotline", ListFormat::Sealed, ListKind::Sealed),
    ] {
        let path = PathBuf::from(format!("/lists/{id}.txt"));
        memory.put(&path, block(page, &format!("list {id}")));
        specs.push(spec(id, kind, ListSource::File(path), format));
    }
    let octets = octets(&specs, &memory);
    let index = Index::from_bytes(octets.clone()).unwrap();
    assert_eq!((index.name_count(), index.pattern_counts().0), (14, 1));
    octets
}

/// What the compiler chose and the header tells, as the table of the page has it.
fn choices(octets: &[u8]) -> String {
    let number = |at: usize| u32::from_le_bytes(*octets[at..].first_chunk().unwrap());
    let names = number(64);
    let filter = part_of(octets, 1);
    let mut text = String::new();
    for (what, value) in [
        ("names", names),
        ("lists", number(72)),
        ("top-level labels", number(76)),
        ("blocks of names", number(80)),
        ("sets with a number", number(84)),
        ("classes", number(92)),
        ("names in a block", 1 << octets[98]),
        ("names in a group", 1 << octets[99]),
        ("octets of the filter", filter.len() as u32),
    ] {
        writeln!(text, "{what:<22}{value:>5}").unwrap();
    }
    text
}

/// Where a part stands.
fn part_of(octets: &[u8], number: usize) -> Range<usize> {
    let place = |at: usize| {
        let place = u64::from_le_bytes(*octets[at..].first_chunk().unwrap());
        usize::try_from(place).unwrap()
    };
    let begin = place(104 + 16 * number);
    begin..begin + place(112 + 16 * number)
}

/// What is shown of a part: of the classes of contexts, of which there are thousands, a few.
fn shown_of(part: &str, all: Range<usize>) -> Vec<Range<usize>> {
    if part != "codes" {
        return vec![all];
    }
    let next = all.start + 1600;
    let lengths = next + 1600;
    vec![
        all.start..all.start + 3 * LINE,
        next..next + 3 * LINE,
        lengths..all.end,
    ]
}

/// The octets as people show them: lines that are the same as the one before are a star.
fn dump(octets: &[u8], range: Range<usize>) -> String {
    let mut text = String::new();
    let mut last: &[u8] = &[];
    let mut is_same = false;
    for begin in range.clone().step_by(LINE) {
        let line = &octets[begin..(begin + LINE).min(range.end)];
        let is_hidden =
            |at: usize| begin + at < HEADER && HIDDEN.iter().any(|it| it.contains(&(begin + at)));
        if line == last && !is_hidden(0) {
            if !is_same {
                text.push_str("*\n");
            }
            is_same = true;
            continue;
        }
        (last, is_same) = (line, false);
        write!(text, "{begin:04x} ").unwrap();
        for at in 0..LINE {
            match line.get(at) {
                _ if at == LINE / 2 => text.push(' '),
                _ => {}
            }
            match line.get(at) {
                Some(_) if is_hidden(at) => text.push_str(" .."),
                Some(octet) => write!(text, " {octet:02x}").unwrap(),
                None => text.push_str("   "),
            }
        }
        text.push_str("  |");
        for (at, octet) in line.iter().enumerate() {
            let is_plain = (octet.is_ascii_graphic() || *octet == b' ') && !is_hidden(at);
            text.push(if is_plain { char::from(*octet) } else { '.' });
        }
        text.push_str("|\n");
    }
    text
}

/// What stands in the block with this mark.
fn block<'p>(page: &'p str, mark: &str) -> &'p str {
    &page[place(page, mark)]
}

/// The page with another text in the block with this mark.
fn with_block(page: &str, mark: &str, text: &str) -> String {
    let place = place(page, mark);
    format!("{}{text}{}", &page[..place.start], &page[place.end..])
}

/// Where the text of the block with this mark stands.
fn place(page: &str, mark: &str) -> Range<usize> {
    let open = format!("\n```text {mark}\n");
    let (before, rest) = page
        .split_once(&open)
        .unwrap_or_else(|| panic!("the page has no block `{mark}`"));
    let begin = before.len() + open.len();
    let length = rest.find("```").unwrap();
    begin..begin + length
}
