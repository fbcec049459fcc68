//! What is on a sealed list is quoted nowhere, whoever else speaks of it.

use crate::household::Household;

/// `secret.example` is on a sealed list, in a list with its line, in rules and in a test.
const CONFIG: &str = r#"
[household]
block = ["secret.example"]

[profile.child]
inherits = "schoolchild"
block-lists = ["gossip"]

[[device]]
name = "tablet"
profile = "child"
address = ["192.0.2.1"]

[[list]]
id = "order"
kind = "sealed"
lines = ["secret.example", "lifeline.example"]

[[list]]
id = "gossip"
category = "gossip"
file = "gossip.txt"

[[list]]
id = "help"
kind = "lifeline"
file = "help.txt"

[[test]]
profile = "child"
name = "secret.example"
expect = "allow"

[[test]]
profile = "child"
name = "lifeline.example"
title = "lifeline.example stays open"
expect = "block"
"#;

fn household() -> Household {
    let here = Household::new(CONFIG);
    here.write("gossip.txt", "first.example\nsecret.example\n");
    here.write("help.txt", "lifeline.example\n");
    here.lists("compile").fine();
    here
}

const NAMES: [&str; 2] = ["secret.example", "lifeline.example"];

#[test]
fn explain_quotes_nobody_about_a_sealed_name() {
    let here = household();
    for (name, verdict) in NAMES.into_iter().zip(["block", "allow"]) {
        for format in ["", "--json"] {
            let line = format!("explain {name} --device tablet --config hedgerow.toml {format}");
            let said = here.run(&line, "").fine();
            assert!(!said.contains(name), "{said}");
            assert!(!said.contains("gossip.txt"), "{said}");
            assert!(said.contains("(withheld)"), "{said}");
            assert!(said.contains(verdict), "{said}");
        }
    }
    // Any other name is told as ever.
    let said = here.run(
        "explain first.example --device tablet --config hedgerow.toml",
        "",
    );
    let said = said.fine();
    assert!(
        said.contains("first.example") && said.contains("gossip.txt"),
        "{said}"
    );
}

#[test]
fn a_search_quotes_no_line_with_a_sealed_name() {
    let here = household();
    for format in ["", "--json"] {
        let said = here
            .lists(&format!("search secret.example {format}"))
            .fine();
        assert!(!said.contains("secret.example"), "{said}");
        assert!(!said.contains("gossip.txt"), "{said}");
    }
}

#[test]
fn a_test_of_a_sealed_name_that_fails_is_told_by_its_number() {
    let here = household();
    for format in ["", "--json"] {
        let done = here.run(&format!("test --config hedgerow.toml {format}"), "");
        assert_ne!(done.code, 0);
        for name in NAMES {
            let all = format!("{}{}", done.out, done.err);
            assert!(!all.contains(name), "{all}");
        }
        assert!(done.out.contains("sealed"), "{done:?}");
    }
    let said = here.run("test --config hedgerow.toml", "").out;
    assert!(said.contains("failed  1: (withheld) is blocked"), "{said}");
    assert!(
        said.contains("failed  2: (withheld) is let through"),
        "{said}"
    );
}
