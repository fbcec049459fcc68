//! The figures of the index by divan, with allocations counted, for a million names, five and ten:
//! `cargo bench --bench index`, or of one size alone: `cargo bench --bench index -- 1000000`.
//!
//! The names are generated (`bench/names`). What stands in `docs/performance.md` is measured by
//! `bench/lists/run`, which asks real lists and other programs too.

#![expect(clippy::unwrap_used, reason = "what cannot be made cannot be measured")]

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use divan::{AllocProfiler, Bencher, black_box};
use hedgerow::files::Files;
use hedgerow::lists::{
    Index, ListKind, ListSource, ListSpec, Settings, Target, compile as compile_lists,
};
use hedgerow::name::Name;
use hedgerow::verdict::Tier;
use tempfile::TempDir;

#[path = "../bench/names/mod.rs"]
#[allow(
    unreachable_pub,
    reason = "programs without a crate around them use it too"
)]
mod names;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Names on the list.
const SIZES: [usize; 3] = [1_000_000, 5_000_000, 10_000_000];
/// Names of each sort that are looked up.
const ASKED: usize = 20_000;

fn main() {
    divan::main();
}

/// An index of so many names, and what to ask it.
struct Made {
    folder: TempDir,
    index: Index,
    listed: Vec<Name>,
    unlisted: Vec<Name>,
}

impl Made {
    /// Made once for each size.
    fn of(size: usize) -> &'static Self {
        static ALL: LazyLock<Mutex<HashMap<usize, &'static Made>>> = LazyLock::new(Mutex::default);
        let mut all = ALL.lock().unwrap();
        all.entry(size)
            .or_insert_with(|| Box::leak(Box::new(Self::new(size))))
    }

    fn new(size: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let names = names::distinct_names(&names::Names::default(), size, 1);
        let mut text = String::with_capacity(24 * size);
        for name in names.iter() {
            text.push_str(name);
            text.push('\n');
        }
        fs::write(folder.path().join("names.txt"), text).unwrap();
        let step = size / ASKED;
        let picked = |name: &dyn Fn(&str) -> String| -> Vec<Name> {
            let places = (0..ASKED).map(|place| names.get(place * step));
            places
                .filter_map(|it| Name::parse(&name(it)).ok())
                .collect()
        };
        // Of three labels, under the same top-level domains, and on no list.
        let unlisted = picked(&|name| {
            let top = name.rsplit('.').next().unwrap_or("org");
            let first = name.split('.').next().unwrap_or("a");
            format!("www.{first}-of-nobody.{top}")
        });
        let listed = picked(&str::to_owned);
        let index = compile_in(folder.path());
        Self {
            folder,
            index,
            listed,
            unlisted,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("lists.index")
    }
}

fn compile_in(folder: &Path) -> Index {
    let path = folder.join("lists.index");
    let spec = ListSpec {
        id: "names".into(),
        category: "ads".into(),
        kind: ListKind::Block,
        tier: Tier::Lists,
        source: ListSource::File(folder.join("names.txt")),
        format: None,
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    };
    let (files, settings) = (Files::disk(), Settings::in_folder(folder));
    let (quiet, never) = (&mut |_| {}, &|| false);
    let target = Target::File(&path);
    compile_lists(&[spec], &settings, &files, None, quiet, never, target).unwrap();
    Index::open(&files, &path).unwrap()
}

fn ask(bencher: Bencher<'_, '_>, index: &'static Index, names: &'static [Name]) {
    let at = Cell::new(0);
    bencher
        .with_inputs(|| {
            at.set((at.get() + 1) % names.len());
            names[at.get()].as_ref()
        })
        .bench_local_values(|name| {
            let mut hits = 0_u32;
            index.look_up(black_box(name), |_| hits += 1);
            hits
        });
}

#[divan::bench(args = SIZES)]
fn look_up_unlisted(bencher: Bencher<'_, '_>, size: usize) {
    let made = Made::of(size);
    ask(bencher, &made.index, &made.unlisted);
}

#[divan::bench(args = SIZES)]
fn look_up_listed(bencher: Bencher<'_, '_>, size: usize) {
    let made = Made::of(size);
    ask(bencher, &made.index, &made.listed);
}

#[divan::bench(args = SIZES)]
fn open(size: usize) -> Index {
    Index::open(&Files::disk(), &Made::of(size).path()).unwrap()
}

#[divan::bench(args = [SIZES[0]], sample_count = 5, sample_size = 1)]
fn compile(size: usize) -> Index {
    compile_in(Made::of(size).folder.path())
}
