//! Every message of the configuration, letter for letter.
//!
//! Each `tests/messages/NAME.toml` is loaded as a main file and must be told exactly what stands
//! in `NAME.txt`. A line `#--- PATH` begins another file of the same configuration.
//! `UPDATE_GOLDEN=1 cargo test --test messages` writes the texts anew; read the difference.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use hedgerow::config;
use hedgerow::files::MemoryFiles;

/// What is told of the files in `text`.
fn told(text: &str) -> String {
    let memory = MemoryFiles::new();
    let mut path = "hedgerow.toml".to_owned();
    let mut content = String::new();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("#--- ") {
            Some(next) => {
                memory.put(&path, std::mem::take(&mut content));
                next.trim_end().clone_into(&mut path);
            }
            None => content.push_str(line),
        }
    }
    memory.put(&path, content);
    let loaded = config::load(&memory.files(), Path::new("hedgerow.toml"));
    let broken = loaded.diagnostics.iter().any(config::Diagnostic::is_error);
    assert_eq!(broken, loaded.config.is_none());
    let messages: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|d| format!("{d}\n"))
        .collect();
    messages.join("\n")
}

#[test]
fn messages_are_what_they_were() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut cases = 0;
    let mut changed = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    paths.sort();
    for path in paths {
        let told = told(&std::fs::read_to_string(&path).unwrap());
        assert!(!told.is_empty(), "{}: nothing is told", path.display());
        let golden = path.with_extension("txt");
        if update {
            std::fs::write(&golden, &told).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != told {
            changed.push(format!("==> {}\n{told}", golden.display()));
        }
        cases += 1;
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
    assert_eq!(cases, CASES, "a case was added or lost");
}

/// How many cases there are, so that the test cannot pass by running none.
const CASES: usize = 73;
