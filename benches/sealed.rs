//! What sealed names cost whoever looks them up, and whoever guesses them:
//! `cargo bench --bench sealed`.
//!
//! A guess is what somebody does who has a feed and its key and wants its names: the fingerprint of
//! a registered name, looked for among those of the feed. `docs/sealed-lists.md` has the sums.
//! The time is that of the processor where Linux tells it, so that a busy machine measures the same.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hedgerow::lists::sealed::{SealKey, SealKeys, Sealed, SealedList, SealedWriter};
use hedgerow::lists::{Fingerprint, ListId};
use hedgerow::name::Name;

/// Names that are sealed.
const SEALED: u64 = 1_000_000;
/// Names that are not and are asked for.
const ASKED: usize = 200_000;
/// How often all of them are; the best counts.
const ROUNDS: u32 = 7;

fn main() {
    let key = SealKey::new(*b"sixteen octets!!");
    let mut numbers = Numbers(7);
    let registered = names(&mut numbers, "");
    let hosts = names(&mut numbers, "www.");

    report("a fingerprint of a registered name", &registered, |name| {
        black_box(key.fingerprint(name.as_ref()));
    });
    let section = section(&key);
    println!("{SEALED} sealed names, {} octets", section.len());
    let mut sealed = match Sealed::open(&section) {
        Ok(sealed) => sealed,
        Err(error) => return println!("cannot open the section: {error}"),
    };
    let mut keys = SealKeys::new();
    keys.add(key.clone());
    sealed.unlock(&keys);
    report("a guess, unsorted", &registered, |name| {
        let fingerprint = key.fingerprint(name.as_ref());
        black_box(sealed.contains(&section, ListId(0), fingerprint));
    });
    report("a look-up of a name of three labels", &hosts, |name| {
        sealed.look_up(&section, name.as_ref(), |hit| {
            black_box(hit);
        });
    });
}

fn report(label: &str, names: &[Name], each: impl Fn(&Name)) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begin = now();
        names.iter().for_each(&each);
        best = best.min(now().saturating_sub(begin));
    }
    let one = best.as_nanos() as f64 / names.len() as f64;
    println!("{label}: {one:.0} ns, {:.2} million a second", 1e3 / one);
}

/// The section of a list with as many fingerprints as there are sealed names.
fn section(key: &SealKey) -> Vec<u8> {
    let name = |n: u64| Name::parse(&format!("sealed{n}.example")).ok();
    let names = (0..SEALED).filter_map(name);
    let mut all: Vec<Fingerprint> = names.map(|it| key.fingerprint(it.as_ref())).collect();
    all.sort_unstable();
    let list = SealedList {
        list: ListId(0),
        key_id: key.id(),
        expires: None,
    };
    let mut writer = SealedWriter::new(Vec::new(), [list]);
    for fingerprint in all {
        if let Err(error) = writer.push(ListId(0), fingerprint) {
            println!("cannot write the section: {error}");
        }
    }
    writer
        .finish()
        .map(|(_, section)| section)
        .unwrap_or_default()
}

/// Registered names as people choose them, 12 letters on average, with something in front.
fn names(numbers: &mut Numbers, front: &str) -> Vec<Name> {
    let tops = ["com", "net", "org", "de", "info", "xyz"];
    let mut made = || {
        let mut text = front.to_owned();
        for _ in 0..6 + numbers.below(13) {
            // Below 26.
            text.push(char::from(b'a' + numbers.below(26) as u8));
        }
        text.push('.');
        text.push_str(tops.get(numbers.below(6)).unwrap_or(&"com"));
        Name::parse(&text).ok()
    };
    (0..ASKED).filter_map(|_| made()).collect()
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit) as usize
    }
}

/// The time this thread has run, or else that since the first call.
fn now() -> Duration {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let begin = BEGIN.get_or_init(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| begin.elapsed(), Duration::from_nanos)
}
