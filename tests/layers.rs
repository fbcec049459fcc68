//! Imports point one way, and a few things have one home.
//!
//! This test reads the sources under `src/` as text. It knows just enough of Rust to tell code from
//! comments, strings and tests, and a path from other words; what it finds it compares with
//! [`LAYERS`] and [`HOMES`]. It fails with file and line, so that whoever adds an upward edge reads
//! at once which one. [`scanner`] below shows that it can fail.

#![allow(
    clippy::unwrap_used,
    reason = "a file that cannot be read is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The modules of the library from top to bottom. A module may use what stands below it. Those on
/// one line are peers: they may use each other as long as no way leads back.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["daemon"],
    &[
        "listener", "reload", "control", "logging", "evidence", "firewall",
    ],
    &["resolve", "proof"],
    &["snapshot"],
    &[
        "synth", "policy", "standing", "profile", "device", "cache", "upstream", "journal",
        "limit", "egress",
    ],
    &["grants", "quota", "certificate", "discovery", "dnssec"],
    &["wall"],
    &["message", "config", "update"],
    &["lists", "language", "schedule"],
    &["verdict", "files", "footprint", "trust", "sntp"],
    &["name", "clock", "hash", "intern", "mac", "socket", "tls"],
];

/// Something that has a home: outside of it, nobody touches it.
struct Home {
    what: Matter,
    /// The modules that may; `main` is the program's `main.rs`.
    modules: &'static [&'static str],
    /// Why, for whoever runs into it.
    why: &'static str,
}

/// What a [`Home`] is about.
enum Matter {
    /// Paths that begin like this; the last segment may be the beginning of a word, as in `hickory_`.
    Path(&'static [&'static str]),
    /// A macro.
    Macro(&'static str),
    /// A keyword.
    Word(&'static str),
}

const HOMES: &[Home] = &[
    Home {
        what: Matter::Path(&["hickory_"]),
        modules: &["message", "upstream"],
        why: "the wire format's library changes its types; the rest speaks `message`'s",
    },
    Home {
        what: Matter::Word("unsafe"),
        modules: &["footprint", "lists", "socket"],
        why: "only the index searched in place and what the kernel is told by pointers may need it, \
              each block with its `SAFETY:` sentence",
    },
    Home {
        what: Matter::Path(&["std", "time", "Instant", "now"]),
        modules: &["clock"],
        why: "time comes from `clock::Clock`, so that tests own it",
    },
    Home {
        what: Matter::Path(&["std", "time", "SystemTime", "now"]),
        modules: &["clock"],
        why: "time comes from `clock::Clock`, so that tests own it",
    },
    Home {
        what: Matter::Path(&["jiff", "Timestamp", "now"]),
        modules: &["clock"],
        why: "time comes from `clock::Clock`, so that tests own it",
    },
    Home {
        what: Matter::Path(&["jiff", "Zoned", "now"]),
        modules: &["clock"],
        why: "time comes from `clock::Clock`, so that tests own it",
    },
    Home {
        // Two exceptions, neither about the content of a file: `control` sets the mode of its socket
        // and removes the one a killed daemon left; `logging` asks which file standard error is.
        what: Matter::Path(&["std", "fs"]),
        modules: &["files", "control", "logging"],
        why: "`files` attaches the path to errors, bounds what is read and lets tests fill the disk",
    },
    Home {
        what: Matter::Path(&["tokio", "fs"]),
        modules: &[],
        why: "tokio's file calls are threads in disguise; `files` is the way to the disk",
    },
    Home {
        what: Matter::Macro("println"),
        modules: &["cli", "main"],
        why: "commands print; a daemon logs",
    },
    Home {
        what: Matter::Macro("eprintln"),
        modules: &["cli", "main"],
        why: "commands print; a daemon logs",
    },
    Home {
        what: Matter::Macro("print"),
        modules: &["cli", "main"],
        why: "commands print; a daemon logs",
    },
    Home {
        what: Matter::Macro("eprint"),
        modules: &["cli", "main"],
        why: "commands print; a daemon logs",
    },
    Home {
        what: Matter::Macro("dbg"),
        modules: &[],
        why: "it is for the moment of writing",
    },
];

/// Crates a module must not use, beyond what the layers say.
const FOREIGN: &[(&str, &str, &str)] = &[
    (
        "lists",
        "tokio",
        "lists are compiled and searched without a runtime",
    ),
    (
        "policy",
        "tokio",
        "a verdict is a plain function: no I/O, no waiting",
    ),
    ("schedule", "tokio", "what a calendar says needs no waiting"),
    ("name", "tokio", "a leaf is plain data"),
];

#[test]
fn imports_point_one_way_and_things_stay_at_home() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let findings = inspect(&sources);
    // A test over data must not pass by reading none.
    assert!(
        findings.files >= 40 && findings.edges.len() >= 30,
        "only {} files with {} edges between modules were read",
        findings.files,
        findings.edges.len()
    );
    assert!(findings.faults.is_empty(), "{}", findings.report());
}

/// A source file with the module it belongs to.
struct Source {
    /// Relative to the package, for messages.
    path: String,
    /// The module's path below the crate: `["policy", "rules"]`; `["main"]` for the program.
    module: Vec<String>,
    text: String,
}

/// What was read and what is wrong with it.
#[derive(Default)]
struct Findings {
    files: usize,
    /// From module to module, with the first place where.
    edges: BTreeMap<(String, String), String>,
    faults: Vec<String>,
}

impl Findings {
    fn report(&self) -> String {
        self.faults.iter().fold(String::new(), |mut all, fault| {
            writeln!(all, "\n  {fault}").unwrap();
            all
        })
    }
}

/// All files under `root` that are not tests.
fn sources(root: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    files
        .into_iter()
        .filter_map(|file| {
            let below = file.strip_prefix(root).unwrap();
            let mut module: Vec<String> = below
                .with_extension("")
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            if module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            // `lib.rs` only says which modules there are; `mod tests;` has a file of its own.
            let skipped = module == ["lib"] || module.iter().any(|part| part == "tests");
            (!skipped).then(|| Source {
                path: format!("src/{}", below.display()),
                module,
                text: std::fs::read_to_string(&file).unwrap(),
            })
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Holds `sources` against the rules above.
fn inspect(sources: &[Source]) -> Findings {
    let mut findings = Findings {
        files: sources.len(),
        ..Findings::default()
    };
    for source in sources {
        let code = Code::read(&source.text);
        edges(source, &code, &mut findings);
        homes(source, &code, &mut findings);
    }
    // `use crate::x::{A, B}` are two paths and one mistake.
    findings.faults.dedup();
    findings.faults.extend(cycles(&findings.edges));
    findings
}

/// How far down `module` stands; none if it has no place.
fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|peers| peers.contains(&module))
}

/// Finds the paths of `source` that lead to another module, and those that lead up.
fn edges(source: &Source, code: &Code, findings: &mut Findings) {
    let from = &source.module[0];
    if from == "main" {
        return;
    }
    let Some(height) = layer(from) else {
        findings.faults.push(format!(
            "{}: `{from}` has no place in the layers of this test",
            source.path
        ));
        return;
    };
    for path in &code.paths {
        let Some(to) = target(&source.module, &path.segments) else {
            continue;
        };
        if to == from {
            continue;
        }
        let place = format!("{}:{}", source.path, path.line);
        match layer(to) {
            None => findings.faults.push(format!(
                "{place}: `{from}` uses `crate::{to}`, which has no place in the layers"
            )),
            Some(below) if below < height => findings.faults.push(format!(
                "{place}: `{from}` uses `{to}`, which stands above it"
            )),
            Some(_) => {}
        }
        findings
            .edges
            .entry((from.clone(), to.to_owned()))
            .or_insert(place);
    }
}

/// The top-level module that `segments`, written in `module`, leads to; none if it stays or leaves
/// the crate.
fn target<'s>(module: &[String], segments: &'s [String]) -> Option<&'s str> {
    let ups = segments.iter().take_while(|part| *part == "super").count();
    let next = match segments.first()?.as_str() {
        "crate" => segments.get(1),
        "super" if ups >= module.len() => segments.get(ups),
        _ => None,
    }?;
    (next != "self").then_some(next.as_str())
}

/// The ways that lead back to where they began.
fn cycles(edges: &BTreeMap<(String, String), String>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (start, _) in edges.keys() {
        let mut way = vec![start.as_str()];
        walk(edges, &mut way, &mut found);
    }
    found.into_iter().collect()
}

fn walk<'e>(
    edges: &'e BTreeMap<(String, String), String>,
    way: &mut Vec<&'e str>,
    found: &mut BTreeSet<String>,
) {
    let here = way[way.len() - 1];
    for ((_, to), _) in edges.iter().filter(|((from, _), _)| from == here) {
        if to == way[0] {
            // Told once, from the module that comes first in the alphabet.
            if way.iter().min() == Some(&way[0]) {
                let mut ring = way.clone();
                ring.push(to);
                found.insert(describe(&ring, edges));
            }
        } else if !way.contains(&to.as_str()) && layer(to) == layer(way[0]) {
            // Between layers an upward edge has been told already.
            way.push(to);
            walk(edges, way, found);
            way.pop();
        }
    }
}

fn describe(ring: &[&str], edges: &BTreeMap<(String, String), String>) -> String {
    let places: Vec<&str> = ring
        .windows(2)
        .map(|pair| edges[&(pair[0].to_owned(), pair[1].to_owned())].as_str())
        .collect();
    format!("cycle: {} ({})", ring.join(" -> "), places.join(", "))
}

/// Finds what of [`HOMES`] and [`FOREIGN`] is used elsewhere.
fn homes(source: &Source, code: &Code, findings: &mut Findings) {
    let module = source.module[0].as_str();
    let mut told = BTreeSet::new();
    for home in HOMES.iter().filter(|home| !home.modules.contains(&module)) {
        let lines: Vec<(usize, String)> = match home.what {
            Matter::Path(prefix) => code
                .paths
                .iter()
                .filter(|path| begins(&path.segments, prefix))
                .map(|path| (path.line, path.segments.join("::")))
                .collect(),
            Matter::Macro(name) => code.macros_named(name),
            Matter::Word(word) => code.words_equal(word),
        };
        for (line, what) in lines {
            if told.insert((line, home.why)) {
                findings.faults.push(format!(
                    "{}:{line}: `{what}` has no place in `{module}`: {}",
                    source.path, home.why
                ));
            }
        }
    }
    for (owner, foreign, why) in FOREIGN.iter().filter(|(owner, ..)| *owner == module) {
        if let Some(path) = code.paths.iter().find(|p| p.segments[0] == *foreign) {
            findings.faults.push(format!(
                "{}:{}: `{owner}` uses `{foreign}`: {why}",
                source.path, path.line
            ));
        }
    }
}

/// Whether `segments` begins with `prefix`, whose last part may be the beginning of a word if it
/// ends in `_`.
fn begins(segments: &[String], prefix: &[&str]) -> bool {
    segments.len() >= prefix.len()
        && segments.iter().zip(prefix).all(|(part, expected)| {
            part == expected || (expected.ends_with('_') && part.starts_with(expected))
        })
}

/// A path as written in the code, groups taken apart: `use a::{b, c::d}` is `a::b` and `a::c::d`,
/// and `Instant::now` after `use std::time::Instant` is `std::time::Instant::now`.
#[derive(Clone, Debug, PartialEq)]
struct CodePath {
    line: usize,
    segments: Vec<String>,
}

/// A word or a sign of the code.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    line: usize,
    text: String,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The code of a file without comments, literals and tests.
struct Code {
    tokens: Vec<Token>,
    paths: Vec<CodePath>,
}

impl Code {
    fn read(text: &str) -> Self {
        let tokens = without_tests(tokens(text));
        let paths = paths(&tokens);
        Self { tokens, paths }
    }

    fn macros_named(&self, name: &str) -> Vec<(usize, String)> {
        self.tokens
            .windows(3)
            .filter(|three| {
                three[0].text == name && three[1].text == "!" && "([{".contains(&three[2].text)
            })
            .map(|three| (three[0].line, format!("{name}!")))
            .collect()
    }

    fn words_equal(&self, word: &str) -> Vec<(usize, String)> {
        self.tokens
            .iter()
            .filter(|token| token.text == word)
            .map(|token| (token.line, word.to_owned()))
            .collect()
    }
}

/// Takes `text` apart, dropping comments and the insides of literals.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        if c == '/' && next == '/' {
            at = position(&chars, at, |c| c == '\n');
        } else if c == '/' && next == '*' {
            at = after_block_comment(&chars, at);
        } else if let Some(end) = after_literal(&chars, at) {
            at = end;
        } else if c.is_alphanumeric() || c == '_' {
            at = position(&chars, at, |c| !(c.is_alphanumeric() || c == '_'));
            let text = chars[start..at].iter().collect();
            found.push(Token { line, text });
        } else {
            at += if c == ':' && next == ':' { 2 } else { 1 };
            if !c.is_whitespace() {
                let text = chars[start..at].iter().collect();
                found.push(Token { line, text });
            }
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn position(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    chars[from..]
        .iter()
        .position(|c| wanted(*c))
        .map_or(chars.len(), |offset| from + offset)
}

/// The end of the block comment at `at`; they nest.
fn after_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => depth += 1,
            ('*', Some('/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

/// The end of the string or character literal at `at`, if there is one. A lifetime is none.
fn after_literal(chars: &[char], at: usize) -> Option<usize> {
    let get = |index: usize| chars.get(index).copied().unwrap_or(' ');
    let mut open = at;
    if matches!(get(open), 'b' | 'c') {
        open += 1;
    }
    if get(open) == 'r' {
        let quote = position(chars, open + 1, |c| c != '#');
        if get(quote) == '"' {
            let hashes = quote - open - 1;
            let mut end = quote + 1;
            while end < chars.len() {
                let closed = get(end) == '"' && (1..=hashes).all(|more| get(end + more) == '#');
                end += 1;
                if closed {
                    return Some(end + hashes);
                }
            }
            return Some(chars.len());
        }
    }
    let quote = get(open);
    let is_char = quote == '\'' && (get(open + 1) == '\\' || get(open + 2) == '\'');
    if quote != '"' && !is_char {
        return None;
    }
    let mut end = open + 1;
    while end < chars.len() && get(end) != quote {
        end += if get(end) == '\\' { 2 } else { 1 };
    }
    Some((end + 1).min(chars.len()))
}

/// Drops `mod tests { … }` and every item under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if begins_with(&tokens[at..], &["#", "[", "cfg", "(", "test", ")", "]"])
            || begins_with(&tokens[at..], &["mod", "tests", "{"])
        {
            at = after_item(&tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn begins_with(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len()
        && tokens
            .iter()
            .zip(texts)
            .all(|(token, text)| token.text == *text)
}

/// The end of the item at `at` with its attributes: its `;`, or the end of its braces.
fn after_item(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                // `use a::{b};` goes on to its semicolon; a body does not.
                let goes_on = tokens.get(index + 1).is_some_and(|next| next.text == ";");
                if depth == 0 && !goes_on {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Every path in `tokens`, with names that a `use` brought in written out.
fn paths(tokens: &[Token]) -> Vec<CodePath> {
    let mut found = Vec::new();
    let mut imported: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_use = tokens[at].text == "use";
        let start = at + usize::from(is_use);
        let Some(first) = tokens.get(start) else {
            break;
        };
        if !(first.is_word() || is_use) {
            at += 1;
            continue;
        }
        let mut parts = Vec::new();
        at = tree(tokens, start, &[], &mut parts).max(start + 1);
        for (path, name) in parts {
            if is_use {
                imported.insert(name, path.segments.clone());
            }
            found.push(path);
        }
    }
    for path in &mut found {
        if let Some(origin) = imported.get(&path.segments[0])
            && path.segments.len() > 1
            && origin[0] != path.segments[0]
        {
            path.segments.splice(..1, origin.iter().cloned());
        }
    }
    found
}

/// Reads the path or the tree of paths at `at`, which continues `stem`, and gives each with the
/// name it brings in. Returns where it ends.
fn tree(
    tokens: &[Token],
    mut at: usize,
    stem: &[String],
    found: &mut Vec<(CodePath, String)>,
) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut segments = stem.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    if text(at) == "::" {
        at += 1;
    }
    loop {
        match text(at) {
            "{" if !stem.is_empty()
                || !segments.is_empty()
                || text(at.wrapping_sub(1)) == "use" =>
            {
                at += 1;
                while at < tokens.len() && text(at) != "}" {
                    at = tree(tokens, at, &segments, found).max(at + 1);
                    if text(at) == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ if tokens.get(at).is_some_and(Token::is_word) => {
                segments.push(text(at).to_owned());
                at += 1;
            }
            "*" => at += 1,
            _ => {}
        }
        if text(at) != "::" {
            break;
        }
        at += 1;
        let continues = tokens.get(at).is_some_and(Token::is_word) || "{*".contains(text(at));
        if !continues || text(at).is_empty() {
            // `Vec::<u8>::new`: what follows the brackets belongs to a type, not to a module.
            break;
        }
    }
    let mut name = segments.last().cloned().unwrap_or_default();
    if name == "self" && segments.len() > 1 {
        segments.pop();
        name = segments.last().cloned().unwrap_or_default();
    }
    if text(at) == "as" {
        // An alias in a `use`, or a cast, whose type is a path of its own.
        if tokens.get(at + 1).is_some_and(Token::is_word) && !text(at + 2).eq("::") {
            text(at + 1).clone_into(&mut name);
            at += 2;
        }
    }
    if !segments.is_empty() {
        found.push((CodePath { line, segments }, name));
    }
    at
}

/// The scanner finds what it is for, and nothing else.
mod scanner {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        let below = path.trim_end_matches(".rs").trim_end_matches("/mod");
        Source {
            path: format!("src/{path}"),
            module: below.split('/').map(str::to_owned).collect(),
            text: text.to_owned(),
        }
    }

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| source(path, text))
            .collect();
        inspect(&sources).faults
    }

    #[test]
    fn an_upward_edge_is_told_with_its_line() {
        assert_eq!(
            faults(&[("cache.rs", "//! Doc.\n\nuse crate::resolve::Resolver;\n")]),
            ["src/cache.rs:3: `cache` uses `resolve`, which stands above it"]
        );
    }

    #[test]
    fn a_downward_edge_is_fine() {
        assert!(faults(&[("resolve.rs", "use crate::{cache::Cache, name};")]).is_empty());
    }

    #[test]
    fn every_way_to_write_an_edge_is_seen() {
        for code in [
            "fn f() { crate::daemon::run(); }",
            "fn f(_: &crate::daemon::Daemon) {}",
            "pub(crate) use crate::daemon as d;",
            "use crate::{name::Name, daemon::{self, Daemon}};",
            "use crate::{\n    name::{Name, NameRef},\n    daemon::*,\n};",
            "use {std::fmt, crate::daemon::Daemon};",
            "use super::super::daemon::Daemon;",
            "macro_rules! m { () => { $crate::daemon::run() } }",
            "fn f() -> u8 { 1u16 as crate::daemon::Number }",
            "fn f() { let _ = <crate::daemon::D as Default>::default(); }",
            "use crate::name; use crate as root; fn f() { root::daemon::run() }",
        ] {
            let found = faults(&[("policy/rules.rs", code)]);
            assert_eq!(found.len(), 1, "{code}: {found:?}");
            assert!(found[0].contains("`policy` uses `daemon`"), "{found:?}");
        }
    }

    #[test]
    fn one_super_stays_inside_the_module() {
        assert!(faults(&[("policy/rules.rs", "use super::daemon::Daemon;")]).is_empty());
        assert_eq!(
            faults(&[("policy.rs", "use super::daemon::Daemon;")]).len(),
            1
        );
    }

    #[test]
    fn comments_strings_and_tests_do_not_count() {
        let code = r##"
            //! [`crate::daemon`]
            /* crate::daemon /* nested crate::daemon */ crate::daemon */
            const A: &str = "crate::daemon::run() \" println!()";
            const B: &str = r#"use crate::daemon; " unsafe"#;
            const C: char = '"';
            fn f<'a>(x: &'a str) -> char { '\'' }
            #[cfg(test)]
            use crate::daemon::Daemon;
            #[cfg(test)]
            #[derive(Debug)]
            struct Fake { daemon: crate::daemon::Daemon }
            #[cfg(test)]
            mod tests {
                use crate::daemon::Daemon;
                fn g() { println!("{}", std::fs::read_to_string("x").unwrap()); }
            }
        "##;
        assert_eq!(faults(&[("name.rs", code)]), [""; 0]);
        // What stands behind the tests counts again.
        let behind = format!("{code}\nuse crate::daemon::Daemon;");
        assert_eq!(faults(&[("name.rs", &behind)]).len(), 1);
    }

    #[test]
    fn a_module_without_a_place_is_told() {
        assert_eq!(
            faults(&[("blocker.rs", ""), ("cache.rs", "use crate::helpers::x;")]),
            [
                "src/blocker.rs: `blocker` has no place in the layers of this test",
                "src/cache.rs:1: `cache` uses `crate::helpers`, which has no place in the layers",
            ]
        );
    }

    #[test]
    fn peers_may_not_go_round_in_a_ring() {
        let two = [
            ("policy/mod.rs", "use crate::profile::Profile;"),
            ("profile.rs", "\nuse crate::policy::Stance;"),
        ];
        assert_eq!(
            faults(&two),
            ["cycle: policy -> profile -> policy (src/policy/mod.rs:1, src/profile.rs:2)"]
        );
        let three = [
            ("synth.rs", "use crate::cache::A;"),
            ("cache.rs", "use crate::device::B;"),
            ("device.rs", "use crate::synth::C;"),
        ];
        assert_eq!(
            faults(&three),
            [
                "cycle: cache -> device -> synth -> cache (src/cache.rs:1, src/device.rs:1, \
                 src/synth.rs:1)"
            ]
        );
        assert!(faults(&two[..1]).is_empty());
    }

    #[test]
    fn each_home_is_guarded() {
        for (module, code) in [
            ("synth.rs", "use hickory_proto::rr::Record;"),
            (
                "synth.rs",
                "fn f() -> hickory_proto::op::Message { todo() }",
            ),
            ("name.rs", "fn f() { unsafe { g() } }"),
            ("cache.rs", "fn f() { println!(\"x\"); }"),
            ("daemon.rs", "fn f() { eprintln!(\"x\"); }"),
            ("daemon.rs", "fn f() { eprint![\"x\"]; }"),
            ("cache.rs", "fn f() { dbg!(1); }"),
            ("cache.rs", "fn f() { std::time::Instant::now(); }"),
            (
                "cache.rs",
                "use std::time::Instant; fn f() { Instant::now(); }",
            ),
            (
                "cache.rs",
                "use std::time::{self}; fn f() { time::Instant::now(); }",
            ),
            (
                "cache.rs",
                "use std::time::SystemTime as S; fn f() { S::now(); }",
            ),
            ("journal/mod.rs", "fn f() { jiff::Timestamp::now(); }"),
            ("config/mod.rs", "use std::fs;"),
            ("config/mod.rs", "use std::{fs::File, io};"),
            ("config/mod.rs", "use std::io; fn f() { std::fs::read(p); }"),
            ("daemon.rs", "async fn f() { tokio::fs::read(p).await; }"),
            ("lists/mod.rs", "use tokio::sync::Mutex;"),
            (
                "policy/mod.rs",
                "async fn f() { tokio::task::yield_now().await }",
            ),
        ] {
            assert_eq!(faults(&[(module, code)]).len(), 1, "{module}: {code}");
        }
    }

    #[test]
    fn at_home_everything_is_fine() {
        for (module, code) in [
            ("message/answer.rs", "use hickory_proto::rr::Record;"),
            ("upstream/wire.rs", "use hickory_proto::op::Message;"),
            ("lists/index.rs", "fn f() { unsafe { g() } }"),
            ("cli/mod.rs", "fn f() { println!(\"x\"); }"),
            (
                "main.rs",
                "fn main() { eprintln!(\"x\"); hedgerow::cli::run() }",
            ),
            ("clock.rs", "fn f() { std::time::Instant::now(); }"),
            ("files.rs", "use std::fs;"),
            ("control/socket.rs", "use std::fs::set_permissions;"),
            // The runtime's own time, which a test can stop.
            (
                "upstream/tcp.rs",
                "use tokio::time::Instant; fn f() { Instant::now(); }",
            ),
            ("cache.rs", "use std::time::Instant; fn f(now: Instant) {}"),
            ("cache.rs", "#![forbid(unsafe_code)]"),
            ("cache.rs", "fn f() { if print != 1 {} }"),
        ] {
            assert_eq!(faults(&[(module, code)]), [""; 0], "{module}: {code}");
        }
    }
}
