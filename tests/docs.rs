//! What the pages show works: every TOML block loads, every command line is one the program takes.
//!
//! A block marked `toml` is loaded as a main file without a neighbour; it must hold no error and no
//! warning but that a list's file is not there. In blocks marked `sh` and `console` every line that
//! runs `hedgerow` is compared with the program's own help.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use hedgerow::config;
use hedgerow::files::MemoryFiles;

/// A fenced block of a page.
struct Block {
    page: PathBuf,
    /// Of its first line, from 1.
    line: usize,
    mark: String,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }
}

/// The pages: those at the top and everything under `docs/`.
fn pages() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for folder in [top.to_owned(), top.join("docs")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for page in pages() {
        let content = std::fs::read_to_string(&page).unwrap();
        let mut open: Option<Block> = None;
        for (line, number) in content.lines().zip(1..) {
            match (line.strip_prefix("```"), &mut open) {
                (Some(mark), None) => {
                    open = Some(Block {
                        page: page.clone(),
                        line: number + 1,
                        mark: mark.to_owned(),
                        text: String::new(),
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", page.display());
    }
    blocks
}

#[test]
fn every_toml_block_loads() {
    let mut loaded_blocks = 0;
    for block in blocks().iter().filter(|block| block.mark == "toml") {
        let memory = MemoryFiles::new();
        memory.put("hedgerow.toml", block.text.as_str());
        let loaded = config::load(&memory.files(), Path::new("hedgerow.toml"));
        for diagnostic in &loaded.diagnostics {
            assert_eq!(
                diagnostic.code,
                "missing-file",
                "{}: {diagnostic}",
                block.place()
            );
        }
        assert!(loaded.config.is_some(), "{}", block.place());
        loaded_blocks += 1;
    }
    assert!(loaded_blocks >= 15, "{loaded_blocks}");
}

/// What the program says of a verb; none if it has no such verb.
fn help(verbs: &[&str]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_hedgerow"))
        .arg("help")
        .args(verbs)
        .output()
        .unwrap();
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

/// The options a help text names, as in `--config` and `-c`.
fn options_of(help: &str) -> BTreeSet<&str> {
    let (_, listed) = help.split_once("Options:").unwrap_or_default();
    listed
        .split_whitespace()
        .map(|word| word.trim_end_matches(','))
        .filter(|word| word.starts_with('-') && word.len() > 1)
        .collect()
}

/// The words behind `hedgerow` on a line that runs it, up to a pipe or a comment.
fn arguments(line: &str, is_transcript: bool) -> Option<Vec<&str>> {
    let line = if is_transcript {
        line.strip_prefix("$ ")?
    } else {
        line
    };
    let mut words = line.split_whitespace().peekable();
    words.next_if_eq(&"sudo");
    let first = words.next()?;
    match first {
        "hedgerow" => {}
        // `cargo run --release --locked -- serve --demo`
        "cargo" if words.next_if_eq(&"run").is_some() => {
            words.find(|word| *word == "--")?;
        }
        _ => return None,
    }
    Some(
        words
            .take_while(|word| !matches!(*word, "|" | "#"))
            .collect(),
    )
}

#[test]
fn every_command_line_is_one_the_program_takes() {
    let mut lines = 0;
    for block in &blocks() {
        let is_transcript = match block.mark.as_str() {
            "console" => true,
            "sh" => false,
            _ => continue,
        };
        for line in block.text.lines() {
            let Some(arguments) = arguments(line, is_transcript) else {
                continue;
            };
            let place = format!("{}: `{line}`", block.place());
            let verb = arguments.first().copied().unwrap_or_default();
            let whole = help(&[verb]).unwrap_or_else(|| panic!("{place}: no such verb"));
            let text = if whole.contains("\nCommands:") {
                let second = arguments.get(1).copied().unwrap_or_default();
                help(&[verb, second]).unwrap_or_else(|| panic!("{place}: no such verb"))
            } else {
                whole
            };
            let known = options_of(&text);
            for word in arguments.iter().filter(|word| word.starts_with('-')) {
                assert!(known.contains(word), "{place}: no option `{word}`");
            }
            lines += 1;
        }
    }
    assert!(lines >= 25, "{lines}");
}

#[test]
fn the_manual_page_names_every_verb_and_option() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hedgerow.8");
    let page = std::fs::read_to_string(page).unwrap().replace('\\', "");
    let verbs: [&[&str]; 51] = [
        &["serve"],
        &["check"],
        &["explain"],
        &["test"],
        &["simulate"],
        &["diff"],
        &["status"],
        &["log"],
        &["top"],
        &["reload"],
        &["lists", "show"],
        &["lists", "update"],
        &["lists", "search"],
        &["lists", "compile"],
        &["lists", "verify"],
        &["lists", "diff"],
        &["lists", "apply"],
        &["lists", "export"],
        &["lists", "catalogue"],
        &["lists", "seal"],
        &["device", "list"],
        &["device", "show"],
        &["device", "name"],
        &["device", "assign"],
        &["device", "forget"],
        &["device", "invite"],
        &["device", "revoke"],
        &["encrypted", "show"],
        &["profile", "list"],
        &["profile", "show"],
        &["firewall", "print"],
        &["firewall", "apply"],
        &["firewall", "remove"],
        &["schedule", "list"],
        &["schedule", "show"],
        &["allow"],
        &["pause"],
        &["bonus"],
        &["grants", "list"],
        &["grants", "undo"],
        &["request"],
        &["requests", "list"],
        &["requests", "grant"],
        &["requests", "deny"],
        &["quota", "show"],
        &["reveal"],
        &["reveals", "list"],
        &["reveals", "end"],
        &["child", "status"],
        &["cache", "flush"],
        &["completions"],
    ];
    for verb in verbs {
        let text = help(verb).unwrap();
        assert!(page.contains(&verb.join(" ")), "{verb:?}");
        for option in options_of(&text) {
            assert!(page.contains(option), "{verb:?} {option}");
        }
    }
}

/// The settings the schema knows, each with its section.
#[test]
fn the_reference_names_every_setting() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let page = std::fs::read_to_string(page).unwrap();
    let schema: serde_json::Value = serde_json::from_str(config::schema()).unwrap();
    let mut keys = 0;
    for section in schema["$defs"].as_object().unwrap().values() {
        for key in section["properties"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{key}`")), "{key}");
            keys += 1;
        }
    }
    assert!(keys >= 60, "{keys}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut links = 0;
    for page in pages() {
        let content = std::fs::read_to_string(&page).unwrap();
        for target in content.split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(path);
            assert!(path.exists(), "{}: {target}", page.display());
            links += 1;
        }
    }
    assert!(links >= 10, "{links}");
}
