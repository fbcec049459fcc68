//! `lists diff` and `lists apply`.

use crate::household::Household;

const OLD: &str = "||a.example^\n||b.example^\n@@||www.b.example^\n";
const NEW: &str = "||a.example^\n||c.example^\n@@||www.b.example^\n";

fn household() -> Household {
    let here = Household::new("");
    here.write("old.txt", OLD);
    here.write("new.txt", NEW);
    here
}

#[test]
fn a_difference_leads_from_one_version_to_the_other() {
    let here = household();
    let done = here.run("lists diff old.txt new.txt", "");
    assert_eq!(
        done.err,
        "note: 1 added, 1 removed, 3 rules in the new version\n"
    );
    here.write("delta", done.fine());
    let made = here.run("lists apply old.txt delta", "").fine();
    let mut rules: Vec<&str> = made.lines().filter(|line| !line.starts_with('!')).collect();
    rules.sort_unstable();
    assert_eq!(
        rules,
        ["@@||www.b.example^", "||a.example^", "||c.example^"]
    );
    // The same into a file, told as JSON.
    let summary = here
        .run("lists diff old.txt new.txt --out delta.2 --json", "")
        .json(0);
    assert_eq!(
        (&summary["added"], &summary["removed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(here.read("delta"), here.read("delta.2"));
    let told = here
        .run("lists apply old.txt delta.2 --out made.txt", "")
        .fine();
    assert_eq!(
        told,
        "made.txt: 1 added, 1 removed, 3 rules in the new version\n"
    );
    assert_eq!(here.read("made.txt"), made);
    // Nothing more to do then.
    let summary = here
        .run("lists diff made.txt new.txt --out delta.3 --json", "")
        .json(0);
    assert_eq!(
        (&summary["added"], &summary["removed"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn a_difference_to_another_version_changes_nothing() {
    let here = household();
    here.run("lists diff old.txt new.txt --out delta", "")
        .fine();
    here.write("other.txt", "||z.example^\n");
    here.write("made.txt", "as it was");
    for (base, delta) in [
        ("other.txt", "delta"),
        ("old.txt", "old.txt"),
        ("old.txt", "gone"),
    ] {
        let done = here.run(&format!("lists apply {base} {delta} --out made.txt"), "");
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.starts_with("error: "), "{done:?}");
        assert_eq!(here.read("made.txt"), "as it was");
    }
    assert!(here.files("").iter().all(|file| !file.ends_with(".new")));
}
