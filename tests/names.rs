//! The generator of names that benchmarks and comparisons extend real lists with.

use std::collections::{BTreeMap, BTreeSet};

#[path = "../bench/names/mod.rs"]
pub mod names;

use names::{Generator, Names, Statistics, distinct_names};

#[test]
fn a_seed_gives_the_same_names_everywhere() {
    let names = distinct_names(&Names::default(), 10_000, 1);
    assert_eq!(names.len(), 10_000);
    // FNV-1a, written out so that no change of a library can change what is expected.
    let hash = names
        .iter()
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
    assert_eq!(hash, 0x13a8_7a01_4425_4814, "{hash:#x}");
}

#[test]
fn another_seed_gives_other_names() {
    let one = distinct_names(&Names::default(), 10_000, 1);
    let other = distinct_names(&Names::default(), 10_000, 2);
    let one: BTreeSet<&str> = one.iter().collect();
    let common = other.iter().filter(|name| one.contains(name)).count();
    // Short labels meet by chance.
    assert!(common < 200, "{common}");
}

#[test]
fn known_names_are_kept_and_nothing_comes_twice() {
    let mut known = Names::default();
    for name in ["example.org", "www.example.org", "example.org"] {
        known.push(name);
    }
    let names = distinct_names(&known, 5_000, 3);
    let distinct: BTreeSet<&str> = names.iter().collect();
    assert_eq!((names.len(), distinct.len()), (5_000, 5_000));
    assert!(distinct.contains("example.org") && distinct.contains("www.example.org"));
    assert_eq!(distinct_names(&known, 1, 3).get(0), "example.org");
}

#[test]
fn every_name_is_one_a_list_can_hold() {
    let mut generator = Generator::new(4);
    let mut looked_at = 0;
    while looked_at < 50_000 {
        for name in generator.household() {
            assert!(name.len() <= 253, "{name}");
            for label in name.split('.') {
                assert!((1..=63).contains(&label.len()), "{name}");
                assert!(!label.starts_with('-') && !label.ends_with('-'), "{name}");
                assert!(
                    label
                        .bytes()
                        .all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')),
                    "{name}"
                );
            }
            looked_at += 1;
        }
    }
}

/// Half the sum of the differences between two distributions: 0 is the same, 1 is nothing in common.
fn distance<T: Ord>(counted: &BTreeMap<T, u64>, expected: &BTreeMap<T, u64>) -> f64 {
    let all: BTreeSet<&T> = counted.keys().chain(expected.keys()).collect();
    let share = |counts: &BTreeMap<T, u64>, value: &T| {
        let total: u64 = counts.values().sum();
        counts.get(value).copied().unwrap_or(0) as f64 / total as f64
    };
    let apart = all
        .into_iter()
        .map(|value| (share(counted, value) - share(expected, value)).abs());
    apart.sum::<f64>() / 2.0
}

#[test]
fn names_keep_the_statistics_of_the_lists() {
    let statistics = Statistics::embedded();
    let names = distinct_names(&Names::default(), 300_000, 5);
    let mut labels = BTreeMap::new();
    let mut octets = BTreeMap::new();
    let mut tops = BTreeMap::new();
    for name in names.iter() {
        *labels.entry(name.split('.').count() as u32).or_insert(0) += 1;
        *octets.entry(name.len()).or_insert(0) += 1;
        let top = name.rsplit('.').next().unwrap_or_default().to_owned();
        *tops.entry(top).or_insert(0) += 1;
    }
    let expected = |table: &names::Table<u32>| -> BTreeMap<u32, u64> {
        table.iter().map(|(value, count)| (*value, count)).collect()
    };
    let apart = distance(&labels, &expected(&statistics.name_labels));
    assert!(apart < 0.03, "labels in a name: {apart}");
    let expected = statistics.name_octets.iter();
    let expected = expected.map(|(value, count)| (*value, count)).collect();
    let apart = distance(&octets, &expected);
    assert!(apart < 0.10, "octets in a name: {apart}");
    let expected = statistics.tops.iter();
    let expected = expected
        .map(|(value, count)| (value.clone(), count))
        .collect();
    let apart = distance(&tops, &expected);
    assert!(apart < 0.10, "top-level labels: {apart}");
}
