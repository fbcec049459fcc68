//! The plainest contender: every name in a `HashSet<Box<str>>`, one probe for each suffix.

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Instant;

use crate::questions::{self, Question};

/// How often all questions are asked.
const ROUNDS: usize = 5;
/// Questions timed together, since a clock costs as much as a look-up.
const BATCH: usize = 32;

/// Whether the set has the name or a parent of it.
pub(crate) fn covers<S: AsRef<str> + std::borrow::Borrow<str> + std::hash::Hash + Eq>(
    set: &HashSet<S>,
    name: &str,
) -> bool {
    let mut rest = name;
    loop {
        if set.contains(rest) {
            return true;
        }
        let Some((_, parent)) = rest.split_once('.') else {
            return false;
        };
        rest = parent;
    }
}

/// Loads, says so, is measured from outside until a line comes in, then times its look-ups.
pub(crate) fn serve(names: &str, path: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut set: HashSet<Box<str>> = HashSet::new();
    let mut input = BufReader::with_capacity(1 << 16, File::open(names)?);
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        set.insert(line.trim_end().into());
        line.clear();
    }
    drop(input);
    writeln!(out, "ready {}", set.len())?;
    out.flush()?;
    let mut wait = [0];
    io::stdin().read_exact(&mut wait)?;

    let questions = questions::read(path)?;
    let wrong = questions
        .iter()
        .filter(|it| covers(&set, &it.name) != it.listed)
        .count();
    writeln!(out, "wrong {wrong}")?;
    for (sort, listed) in [("listed", true), ("unlisted", false)] {
        let asked: Vec<&Question> = questions.iter().filter(|it| it.listed == listed).collect();
        let mut times = Vec::new();
        for batch in (0..ROUNDS).flat_map(|_| asked.chunks_exact(BATCH)) {
            let begin = Instant::now();
            for question in batch {
                black_box(covers(&set, black_box(&question.name)));
            }
            times.push(begin.elapsed().as_nanos() / BATCH as u128);
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or(0);
        writeln!(out, "{sort} {median}")?;
    }
    Ok(())
}
