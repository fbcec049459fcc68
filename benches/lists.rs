//! Load time, memory and look-up time with the public lists: `cargo bench --bench lists`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hedgerow::files::Files;
use hedgerow::lists::{Index, Settings, Target, compile};
use hedgerow::name::Name;

#[path = "../tests/support/shared_lists.rs"]
mod support;
use support::{Numbers, SharedLists};

/// Names of each sort that are looked up.
const NAMES: usize = 100_000;
/// Names of each sort that fit into the processor's caches with what they need.
const FEW: usize = 500;
/// How often all of them are.
const ROUNDS: u32 = 20;

fn main() {
    let Some(shared) = SharedLists::unpack() else {
        return;
    };
    let before = peak_kib();
    let begin = Instant::now();
    let Ok(folder) = tempfile::tempdir() else {
        return println!("cannot make a scratch folder");
    };
    let path = folder.path().join("lists.index");
    let (files, settings) = (Files::disk(), Settings::in_folder(folder.path()));
    let target = Target::File(&path);
    let (quiet, never) = (&mut |_| {}, &|| false);
    let done = compile(
        &shared.specs(),
        &settings,
        &files,
        None,
        quiet,
        never,
        target,
    );
    let took = begin.elapsed();
    let outcome = match done {
        Ok(outcome) => outcome,
        Err(error) => return println!("cannot compile: {error}"),
    };
    let (mentioned, folded) = (outcome.mentioned, outcome.folded);
    println!("{mentioned} names mentioned; {folded} said of a parent too and left out");
    let begin = Instant::now();
    let index = match Index::open(&files, &path) {
        Ok(index) => index,
        Err(error) => return println!("cannot open: {error}"),
    };
    println!("opened in {:.2?}", begin.elapsed());
    let entries: u64 = index.lists().map(|(_, info)| info.entries).sum();
    let (names, bytes) = (index.name_count(), index.file_bytes());
    println!("{entries} entries, {names} names compiled in {took:.2?}");
    println!(
        "{bytes} bytes, {:.2} a stored name, {:.2} a mentioned one",
        bytes as f64 / names as f64,
        bytes as f64 / mentioned as f64
    );
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        println!("peak memory grew from {before} to {after} KiB");
    }

    let texts: Vec<String> = shared
        .files
        .iter()
        .filter(|file| file.ends_with("phishing.domains.txt") || file.ends_with("games.txt"))
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect();
    let listed: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.contains('.') && !line.starts_with('#'))
        .collect();
    let mut numbers = Numbers(7);
    let mut pick = |make: &dyn Fn(&str, &mut Numbers) -> String| {
        let mut names = Vec::with_capacity(NAMES);
        while names.len() < NAMES {
            let base = listed[numbers.below(listed.len())];
            names.extend(Name::parse(&make(base, &mut numbers)));
        }
        names
    };
    let samples = [
        ("listed", pick(&|base, _| base.to_owned())),
        (
            "below a listed name",
            pick(&|base, n| format!("{}.{base}", n.label())),
        ),
        (
            "not listed, 3 labels",
            pick(&|_, n| format!("www.{}.com", n.label())),
        ),
        (
            "not listed, 5 labels",
            pick(&|_, n| format!("a.b.{}.{}.net", n.label(), n.label())),
        ),
    ];
    let few = |(sort, names): &(&'static str, Vec<Name>)| {
        (
            *sort,
            names
                .iter()
                .take(FEW)
                .cloned()
                .cycle()
                .take(NAMES)
                .collect(),
        )
    };
    let again: Vec<(&str, Vec<Name>)> = samples.iter().map(few).collect();
    println!("each name once, so that no cache of the processor helps:");
    measure(&index, &samples);
    println!("the same {FEW} names again and again:");
    measure(&index, &again);
}

/// Prints how long a look-up of each sort takes at best.
fn measure(index: &Index, samples: &[(&str, Vec<Name>)]) {
    for (sort, names) in samples {
        let mut best = Duration::MAX;
        let mut hits = 0_u64;
        for _ in 0..ROUNDS {
            hits = 0;
            let begin = Instant::now();
            for name in names {
                index.look_up(black_box(name.as_ref()), |hit| {
                    hits += u64::from(hit.labels > 0)
                });
            }
            best = best.min(begin.elapsed());
        }
        let each = best.as_nanos() as f64 / names.len() as f64;
        println!("  {sort}: {each:.0} ns a look-up, {hits} hits");
    }
}

/// The most memory this process ever had, as Linux tells it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
