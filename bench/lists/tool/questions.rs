//! Names to ask for, with the right answers by a plain set of suffixes.

use std::collections::HashSet;
use std::io::{self, Write};

use crate::hashset::covers;
use crate::names::{Generator, Names, Numbers};

/// Names of each sort to `out`, a line each: every fourth listed one stands below a listed name;
/// the unlisted ones have three labels and no listed parent.
pub(crate) fn write(
    names: &Names,
    (listed, unlisted): (usize, usize),
    seed: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let set: HashSet<&str> = names.iter().collect();
    let mut numbers = Numbers(seed ^ 0x5155_4553_5449_4f4e);
    let mut asked = HashSet::new();
    while asked.len() < listed.min(names.len()) {
        let name = names.get(numbers.below(names.len() as u64) as usize);
        let name = if asked.len() % 4 == 3 {
            format!("cdn{}.{name}", numbers.below(10))
        } else {
            name.to_owned()
        };
        if name.len() <= 240 && asked.insert(name.clone()) {
            writeln!(out, "listed {name}")?;
        }
    }
    let mut generator = Generator::new(numbers.draw());
    let mut asked = HashSet::new();
    while asked.len() < unlisted {
        let Some(name) = generator.household().first() else {
            continue;
        };
        let labels: Vec<&str> = name.rsplit('.').take(2).collect();
        let [top, own] = labels[..] else {
            continue;
        };
        let host = ["www", "api", "static", "m"][numbers.below(4) as usize];
        let name = format!("{host}.{own}.{top}");
        if !covers(&set, &name) && asked.insert(name.clone()) {
            writeln!(out, "unlisted {name}")?;
        }
    }
    Ok(())
}
