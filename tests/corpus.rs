//! The seeds of the fuzz targets, run as plain tests.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

#[path = "../fuzz/checks/config.rs"]
mod config;
#[path = "../fuzz/checks/list_line.rs"]
mod list_line;
#[path = "../fuzz/checks/message.rs"]
mod message;
#[path = "../fuzz/checks/netlink.rs"]
mod netlink;
#[path = "../fuzz/checks/sections.rs"]
mod sections;

/// Runs `check` over the seeds of a target and says how many there were.
fn run(target: &str, check: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut count = 0;
    for seed in std::fs::read_dir(folder.join(target)).unwrap() {
        let path = seed.unwrap().path();
        // Shown when the check fails.
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        count += 1;
    }
    count
}

#[test]
fn list_line() {
    assert!(run("list_line", list_line::check) >= 60);
}

#[test]
fn messages() {
    assert!(run("message", message::check) >= 30);
}

#[test]
fn netlink() {
    assert!(run("netlink", netlink::check) >= 10);
}

#[test]
fn sections() {
    assert!(run("sections", sections::check) >= 25);
}

#[test]
fn configurations() {
    assert!(run("config", config::check) >= 15);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

    /// A seed with a few octets changed, removed or put in: where parsers break.
    #[test]
    fn damaged_messages(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        message::check(&damaged("message", seed, &changes));
    }

    /// The same for what the kernel tells.
    #[test]
    fn damaged_netlink(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        netlink::check(&damaged("netlink", seed, &changes));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    /// The same for lists.
    #[test]
    fn damaged_lists(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        list_line::check(&damaged("list_line", seed, &changes));
    }

    /// The same for what stands in an index beside the names.
    #[test]
    fn damaged_sections(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        sections::check(&damaged("sections", seed, &changes));
    }
}

/// A seed of a target with a few octets changed, removed or put in.
fn damaged(target: &str, seed: usize, changes: &[(u16, u8, u8)]) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut bytes = std::fs::read(&paths[seed % paths.len()]).unwrap();
    for (at, value, kind) in changes {
        let at = usize::from(*at) % (bytes.len() + 1);
        match kind {
            0 => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet = *value;
                }
            }
            1 => bytes.insert(at, *value),
            _ => drop((at < bytes.len()).then(|| bytes.remove(at))),
        }
    }
    bytes
}
