//! Counts names: `tool learn < names > statistics.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use crate::names::Names;
use crate::names::{ALPHABET, Class, symbol};

/// Second labels below a country under which names are registered.
const SECOND: [&str; 14] = [
    "ac", "co", "com", "edu", "gen", "go", "gob", "gov", "ne", "net", "nom", "or", "org", "web",
];
/// Suffixes and first labels rarer than this are not told apart.
const RARE: u64 = 20;
/// Suffixes with fewer registered names share their sizes.
const LARGE_SUFFIX: u64 = 5000;
/// Registered names with more names below are counted as having this many.
const LARGEST: u32 = 4096;

type Counts<T> = BTreeMap<T, u64>;

/// Adds one.
fn count<T: Ord>(counts: &mut Counts<T>, value: T) {
    *counts.entry(value).or_default() += 1;
}

/// Where the registered name begins in `name`, and where its suffix does.
fn registered(name: &str) -> Option<(usize, usize)> {
    let dots: Vec<usize> = name.match_indices('.').map(|(dot, _)| dot).collect();
    let top = name.get(dots.last()? + 1..)?;
    let second = match dots[..] {
        [.., before, last] => &name[before + 1..last],
        [last] => &name[..last],
        [] => return None,
    };
    let labels = if top.len() == 2 && SECOND.contains(&second) {
        2
    } else {
        1
    };
    let suffix = dots.len().checked_sub(labels).map(|at| dots[at] + 1)?;
    let own = dots
        .len()
        .checked_sub(labels + 1)
        .map_or(0, |at| dots[at] + 1);
    Some((own, suffix))
}

/// Writes the statistics of `names` to `out`.
pub(crate) fn learn(names: &Names, out: &mut impl Write) -> io::Result<()> {
    let distinct: BTreeSet<&str> = names.iter().collect();
    let mut tops = Counts::new();
    let mut name_labels = Counts::new();
    let mut name_octets = Counts::new();
    let mut households: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in &distinct {
        let Some((own, suffix)) = registered(name) else {
            continue;
        };
        count(
            &mut tops,
            name[suffix..].rsplit('.').next().unwrap_or_default(),
        );
        count(&mut name_labels, name.split('.').count());
        count(&mut name_octets, name.len());
        let below = name[..own].trim_end_matches('.');
        households.entry(&name[own..]).or_default().push(below);
    }

    let mut suffixes = Counts::new();
    let mut sizes: BTreeMap<&str, Counts<(u8, u32)>> = BTreeMap::new();
    for registered in households.keys() {
        let (_, suffix) = registered.split_once('.').unwrap_or_default();
        count(&mut suffixes, suffix);
    }
    let mut depths = [Counts::new(), Counts::new(), Counts::new()];
    let mut hosts = [Counts::new(), Counts::new(), Counts::new()];
    let (mut own_lengths, mut below_lengths) = (Counts::new(), Counts::new());
    let (mut own_letters, mut below_letters) = (Counts::new(), Counts::new());
    let (mut deep, mut parents) = (0_u64, BTreeSet::new());
    for (registered, belows) in &households {
        let (own, suffix) = registered.split_once('.').unwrap_or_default();
        count(&mut own_lengths, own.len());
        letters(&mut own_letters, own, 2);
        let itself = belows.contains(&"");
        let below = belows.len() as u32 - u32::from(itself);
        let large = suffixes[suffix] >= LARGE_SUFFIX;
        let sizes = sizes.entry(if large { suffix } else { "*" }).or_default();
        count(sizes, (u8::from(itself), rounded(below)));
        let class = Class::of(itself, below) as usize;
        for below in belows.iter().filter(|below| !below.is_empty()) {
            count(&mut depths[class], below.split('.').count());
            let (host, parent) = below.split_once('.').unwrap_or((below, ""));
            count(&mut hosts[class], host);
            if !parent.is_empty() {
                deep += 1;
                parents.insert((registered, parent));
            }
        }
    }
    // Which labels many have is known now; the letters are those of the others.
    for (registered, belows) in &households {
        let itself = belows.contains(&"");
        let class = Class::of(itself, belows.len() as u32 - u32::from(itself)) as usize;
        let mut seen = BTreeSet::new();
        for below in belows.iter().filter(|below| !below.is_empty()) {
            let (host, parent) = below.split_once('.').unwrap_or((below, ""));
            let middle = parent.split('.').filter(|label| !label.is_empty());
            let fresh = if parents.contains(&(registered, parent)) && !seen.insert(parent) {
                None
            } else {
                Some(middle)
            };
            let own = (hosts[class][host] < RARE).then_some(host);
            for label in own.into_iter().chain(fresh.into_iter().flatten()) {
                count(&mut below_lengths, label.len());
                letters(&mut below_letters, label, 1);
            }
        }
    }

    writeln!(
        out,
        "# What the names of public blocklists look like: counts over {} names, and none of the names.\n\
         # Made by `tool learn`; read by mod.rs, which says what the lines mean.",
        distinct.len()
    )?;
    line(out, "suffixes", common(&suffixes))?;
    for (suffix, sizes) in &sizes {
        let sizes = sizes
            .iter()
            .map(|((itself, below), n)| (format!("{itself}+{below}"), *n));
        line(out, &format!("sizes {suffix}"), sizes.collect())?;
    }
    for (place, (_, class)) in Class::ALL.iter().enumerate() {
        line(out, &format!("{class}-depths"), exact(&depths[place]))?;
        let mut known = common(&hosts[place]);
        let rest: u64 =
            hosts[place].values().sum::<u64>() - known.iter().map(|it| it.1).sum::<u64>();
        known.push(("*".into(), rest));
        line(out, &format!("{class}-hosts"), known)?;
    }
    let same = deep.saturating_sub(parents.len() as u64) * 1000 / deep.max(1);
    writeln!(out, "same-parent {same}")?;
    line(out, "own-lengths", exact(&own_lengths))?;
    line(out, "below-lengths", exact(&below_lengths))?;
    line(out, "name-labels", exact(&name_labels))?;
    line(out, "name-octets", exact(&name_octets))?;
    line(out, "tops", common(&tops))?;
    follow(out, "own", &own_letters)?;
    follow(out, "below", &below_letters)
}

/// A number of names below a registered name, the large ones to a power of two.
fn rounded(below: u32) -> u32 {
    if below <= 16 {
        below
    } else {
        below.next_power_of_two().min(LARGEST)
    }
}

/// How often each octet of `label` follows the `order` octets before it.
fn letters(counts: &mut Counts<(String, char)>, label: &str, order: usize) {
    if label.bytes().any(|octet| symbol(octet).is_none()) {
        return;
    }
    let mut context = "^".repeat(order);
    for octet in label.chars() {
        count(counts, (context.clone(), octet));
        context.remove(0);
        context.push(octet);
    }
}

fn exact<T: ToString>(counts: &Counts<T>) -> Vec<(String, u64)> {
    counts
        .iter()
        .map(|(value, n)| (value.to_string(), *n))
        .collect()
}

/// Those that are not rare, most frequent first.
fn common(counts: &Counts<&str>) -> Vec<(String, u64)> {
    let mut common: Vec<(String, u64)> = exact(counts)
        .into_iter()
        .filter(|(_, n)| *n >= RARE)
        .collect();
    common.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    common
}

fn line(out: &mut impl Write, key: &str, counts: Vec<(String, u64)>) -> io::Result<()> {
    write!(out, "{key}")?;
    for (value, n) in counts {
        write!(out, " {value}={n}")?;
    }
    writeln!(out)
}

/// A line for each context: the octets that follow it, each with a weight from 1 to 38 as a letter
/// of the alphabet.
fn follow(out: &mut impl Write, key: &str, counts: &Counts<(String, char)>) -> io::Result<()> {
    let mut contexts: BTreeMap<&str, Vec<(char, u64)>> = BTreeMap::new();
    for ((context, octet), n) in counts {
        contexts.entry(context).or_default().push((*octet, *n));
    }
    for (context, followers) in contexts {
        let most = followers.iter().map(|it| it.1).max().unwrap_or(1);
        write!(out, "{key} {context} ")?;
        for (octet, n) in followers {
            let weight = (n * 37 + most / 2) / most;
            if weight > 0 {
                write!(out, "{octet}{}", char::from(ALPHABET[weight as usize]))?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
