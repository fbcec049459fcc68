//! `docs/ways-round.md` tells of each trick.

use std::fmt::Write as _;
use std::path::Path;

use crate::{Attempt, themes};

const BEGIN: &str =
    "<!-- The table of tests/bypass; `HEDGEROW_BLESS=1 cargo test --test bypass` writes it. -->\n";
const END: &str = "<!-- End of the table. -->\n";

fn table() -> String {
    let mut text = String::new();
    let mut number = 0;
    for (theme, tricks) in themes() {
        write!(
            text,
            "\n### {theme}\n\n| | trick | what comes of it |\n|---|---|---|\n"
        )
        .unwrap();
        for trick in tricks {
            number += 1;
            writeln!(
                text,
                "| {number} | {} | {} |",
                trick.name,
                told(trick.fails)
            )
            .unwrap();
        }
    }
    text.push('\n');
    text
}

/// What comes of it, for people.
fn told(fails: &str) -> String {
    match fails {
        "refused" => "the firewall refuses".to_owned(),
        "silence" => "no answer".to_owned(),
        other => format!("`{other}`"),
    }
}

#[test]
fn the_docs_have_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ways-round.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(END).expect("the table ends");
    let expected = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("HEDGEROW_BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "docs/ways-round.md is not what tests/bypass tries; see there"
    );
}

#[test]
fn no_two_tricks_are_one() {
    let mut names = Vec::new();
    let mut attempts = Vec::new();
    for (_, tricks) in themes() {
        for trick in tricks {
            if let Attempt::Says(words) = trick.attempt {
                attempts.push((format!("{:?}", trick.who), words));
            }
            names.push(trick.name);
        }
    }
    for all in [names.len(), attempts.len()] {
        assert!(all > 0);
    }
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "two tricks have one name");
    let mut once = attempts.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), attempts.len(), "two tricks do the same");
}
