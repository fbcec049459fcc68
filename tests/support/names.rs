//! As many names as wanted, which look like those of real lists.
//!
//! They are learned from the public lists where there are copies (`../shared/data`, or where
//! `HEDGEROW_TEST_DATA` says), otherwise from the lists that come with the program. Past the names
//! there are, a generator makes more: it takes a known name and replaces its first label by one of
//! the same kind, letter by letter, each as likely as it is behind the three before it. So the
//! top-level labels, the number of labels, their lengths and how many names share a parent stay as
//! they are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// Names with the lists that name them.
pub(crate) struct Names {
    /// In no useful order; each once.
    pub(crate) known: Vec<(String, Vec<u16>)>,
    /// How many lists there are.
    pub(crate) lists: u16,
    /// Whether they come from public lists.
    pub(crate) are_real: bool,
}

impl Names {
    /// Reads the lists there are.
    pub(crate) fn read() -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let data = std::env::var_os("HEDGEROW_TEST_DATA")
            .map_or_else(|| home.join("../shared/data"), PathBuf::from);
        let lists = data.join("lists");
        let are_real = lists.is_dir();
        let mut files = Vec::new();
        collect(&if are_real { lists } else { home.join("blocklists") }, &mut files);
        files.sort();
        let mut known: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for (list, file) in (0..).zip(&files) {
            for line in read(file).lines() {
                let Some(name) = name_of(line) else { continue };
                let lists = known.entry(name).or_default();
                if lists.last() != Some(&list) {
                    lists.push(list);
                }
            }
        }
        Self {
            known: known.into_iter().collect(),
            // There are some sixty.
            lists: files.len() as u16,
            are_real,
        }
    }

    /// Takes out what the same list says of a parent already, as the compiler does.
    pub(crate) fn fold(&mut self) {
        let all: HashMap<&str, &[u16]> = self
            .known
            .iter()
            .map(|(name, lists)| (name.as_str(), lists.as_slice()))
            .collect();
        let mut folded = Vec::with_capacity(self.known.len());
        for (name, lists) in &self.known {
            let mut lists = lists.clone();
            let mut rest = name.as_str();
            while let Some((_, parent)) = rest.split_once('.') {
                let covered = all.get(parent).copied().unwrap_or_default();
                lists.retain(|list| !covered.contains(list));
                rest = parent;
            }
            if !lists.is_empty() {
                folded.push((name.clone(), lists));
            }
        }
        self.known = folded;
    }

    /// The known names and made-up ones, `count` in all, each once; or the first of the known.
    pub(crate) fn extended(&self, count: usize, seed: u64) -> Vec<(String, Vec<u16>)> {
        let mut all = self.known.clone();
        all.truncate(count);
        if all.len() == count {
            return all;
        }
        let letters = Letters::learn(self.known.iter().map(|(name, _)| name.as_str()));
        let mut seen: HashSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
        let mut numbers = Numbers(seed);
        while all.len() < count {
            let (name, lists) = &self.known[numbers.below(self.known.len())];
            let made = letters.like(name, &mut numbers);
            if seen.insert(made.clone()) {
                all.push((made, lists.clone()));
            }
        }
        all
    }
}

/// Which letter comes behind which three, in first labels of names with two labels and of deeper
/// ones.
pub(crate) struct Letters {
    behind: HashMap<(bool, [u8; 3]), Vec<(u8, u32)>>,
}

/// Stands for the end of a label.
const END: u8 = b'.';

impl Letters {
    /// Learns from names.
    pub(crate) fn learn<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut counts: HashMap<(bool, [u8; 3]), BTreeMap<u8, u32>> = HashMap::new();
        for name in names {
            let Some((label, rest)) = name.split_once('.') else {
                continue;
            };
            let mut last = [END; 3];
            for letter in label.bytes().chain([END]) {
                let count = counts.entry((rest.contains('.'), last)).or_default();
                *count.entry(letter).or_default() += 1;
                last = [last[1], last[2], letter];
            }
        }
        let behind = counts
            .into_iter()
            .map(|(context, counts)| (context, counts.into_iter().collect()))
            .collect();
        Self { behind }
    }

    /// A name like this one with another first label.
    pub(crate) fn like(&self, name: &str, numbers: &mut Numbers) -> String {
        let Some((_, rest)) = name.split_once('.') else {
            return name.to_owned();
        };
        let mut made = String::with_capacity(name.len() + 8);
        let mut last = [END; 3];
        let longest = 63.min(253 - rest.len() - 1);
        while made.len() < longest {
            let letter = match self.behind.get(&(rest.contains('.'), last)) {
                Some(counts) => pick(counts, numbers),
                None => END,
            };
            if letter == END {
                break;
            }
            made.push(char::from(letter));
            last = [last[1], last[2], letter];
        }
        made.push('.');
        made.push_str(rest);
        made
    }
}

/// One of several, each as likely as its count says.
fn pick(counts: &[(u8, u32)], numbers: &mut Numbers) -> u8 {
    let all: u32 = counts.iter().map(|(_, count)| count).sum();
    let mut left = numbers.below(all as usize) as u32;
    for (letter, count) in counts {
        match left.checked_sub(*count) {
            Some(rest) => left = rest,
            None => return *letter,
        }
    }
    END
}

/// A generator of numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Numbers(pub u64);

impl Numbers {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The remainder is below `limit`.
        (mixed % limit as u64) as usize
    }
}

/// The name a line of any list is about, if it is about a whole name.
fn name_of(line: &str) -> Option<String> {
    let line = line.split('#').next()?.trim();
    if line.is_empty() || line.starts_with(['!', '[']) {
        return None;
    }
    let dnsmasq = ["address=/", "server=/", "local=/"];
    let word = match dnsmasq.iter().find_map(|key| line.strip_prefix(key)) {
        Some(rest) => rest.split('/').next()?,
        None => line.split_whitespace().nth(1).or(Some(line))?,
    };
    let name = word.trim_start_matches("||").trim_start_matches("*.");
    let name = name.trim_end_matches('^').trim_matches('.').to_ascii_lowercase();
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    let is_label = |label: &str| (1..64).contains(&label.len()) && label.chars().all(is_letter);
    let is_address = name.chars().all(|c| c.is_ascii_digit() || c == '.');
    let fits = name.len() <= 253 && name.contains('.') && !is_address;
    (fits && name.split('.').all(is_label)).then_some(name)
}

/// All files below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The text of a file, which may be compressed.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let file = File::open(path).expect("a list");
    let read = if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).read_to_end(&mut bytes)
    } else {
        (&file).read_to_end(&mut bytes)
    };
    read.expect("a list that can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
