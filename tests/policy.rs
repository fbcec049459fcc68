//! Policy scenarios: a configuration, a device and a question give a verdict.
//!
//! Each file under `tests/policy/` holds a `config` as an admin would write it and `[[case]]`s. A
//! case of a family's home can be added in five lines; nothing is asked of a network.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::sync::Arc;

use hedgerow::clock::{Clock, Moment};
use hedgerow::config::{self, Overrides};
use hedgerow::device::Origin;
use hedgerow::files::MemoryFiles;
use hedgerow::journal::parse_qtype;
use hedgerow::name::Name;
use hedgerow::policy::judge_name;
use hedgerow::reload::offline_snapshot;
use hedgerow::snapshot::Snapshot;
use hedgerow::verdict::Verdict;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    config: String,
    case: Vec<Case>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The address that asks.
    from: std::net::IpAddr,
    /// Name and, if not A, type.
    ask: String,
    /// `block: gambling`, `allow: rule`, `rewrite: forcesafesearch.google.com`.
    expect: String,
}

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let scenario: Scenario = toml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let world = world(&scenario.config);
        for case in &scenario.case {
            let verdict = judge(&world, case);
            if verdict != case.expect {
                let file = path.file_name().unwrap().to_string_lossy().into_owned();
                wrong.push(format!(
                    "{file}: {} asks {}: {verdict}, not {}",
                    case.from, case.ask, case.expect
                ));
            }
            cases += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 60, "only {cases} cases ran");
}

fn world(text: &str) -> Arc<Snapshot> {
    let files = MemoryFiles::new();
    files.put("/etc/h.toml", text);
    let loaded = config::load_with(
        &files.files(),
        Path::new("/etc/h.toml"),
        &Overrides::default(),
    );
    let problems: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    offline_snapshot(loaded.config.unwrap(), &files.files(), &Clock::system()).unwrap()
}

fn judge(world: &Snapshot, case: &Case) -> String {
    let (name, qtype) = case.ask.split_once(' ').unwrap_or((&case.ask, "A"));
    let origin = Origin::new(case.from, 0, 0);
    let hour = world.at(Moment::default());
    let (_, view) = hour.identify(&origin);
    let name = Name::parse(name).unwrap();
    match judge_name(name.as_ref(), parse_qtype(qtype).unwrap(), &view) {
        Verdict::Rewrite(target, _) => format!("rewrite: {}", world.safe_search.target(target)),
        verdict => format!("{}: {}", verdict.label(), verdict.reason().label()),
    }
}

/// The page that parents and admins read says what the program does.
#[test]
fn the_page_on_decisions_has_the_order_of_the_program() {
    use hedgerow::policy::{ORDER, Rank, Row};
    use hedgerow::verdict::Tier;

    const PAGE: &str = include_str!("../docs/how-it-decides.md");
    let head = "| tier | who speaks | for or against | what being for opens |\n|---|---|---|---|\n";
    let (_, table) = PAGE.split_once(head).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), ORDER.len());
    // What can block of what a word of the last column means.
    let blocks_of = |tier: Tier| -> Vec<Rank> {
        let of_tier = ORDER.iter().filter(|row| row.tier == tier && row.blocks);
        of_tier.map(|row| row.rank).collect()
    };
    let meant = |row: &Row, words: &str| -> Vec<Rank> {
        let words = words.split(';').next().unwrap_or_default();
        match words {
            "" => Vec::new(),
            "everything" => {
                let below = ORDER.iter().filter(|it| it.rank != row.rank && it.blocks);
                below.map(|it| it.rank).collect()
            }
            "categories and services, not `adult`" => vec![Rank::Category],
            "ads and trackers" => blocks_of(Tier::Lists),
            words => words
                .split(", ")
                .flat_map(|word| match word {
                    "rules" => vec![Rank::Rule],
                    "child safety" => {
                        let mut all = blocks_of(Tier::ChildSafety);
                        all.retain(|rank| !row.opens_by_name.contains(rank));
                        all
                    }
                    "security" => blocks_of(Tier::Security),
                    "lists" => blocks_of(Tier::Lists),
                    word => panic!("`{word}` is no word of this table"),
                })
                .collect(),
        }
    };
    for (row, cells) in ORDER.iter().zip(&rows) {
        let [tier, who, stance, opens] = cells[..] else {
            panic!("{cells:?}");
        };
        assert_eq!(tier, row.tier.label());
        let plain = |text: &str| text.replace('`', "");
        assert_eq!(plain(who), plain(row.who));
        let expected = match (row.allows, row.blocks) {
            (true, false) => "for",
            (false, true) => "against",
            _ => "both",
        };
        assert_eq!(stance, expected, "{who}");
        let blocks = |rank: &&Rank| ORDER.iter().any(|it| it.rank == **rank && it.blocks);
        let opened: Vec<Rank> = row.opens.iter().filter(blocks).copied().collect();
        assert_eq!(meant(row, opens), opened, "{who}");
        let by_name = match opens.split_once("; ").map_or("", |(_, by_name)| by_name) {
            words if words.starts_with("ways round by name") => &[Rank::Bypass, Rank::Ways][..],
            "the three categories by name" => &[Rank::Ways],
            "" => &[],
            words => panic!("`{words}` is no word of this table"),
        };
        assert_eq!(by_name, row.opens_by_name, "{who}");
    }
}
