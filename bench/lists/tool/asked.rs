//! Questions with their right answers, and how long a contender takes for them.
//!
//! Included by the program that times our own index as well, so that both are timed alike.

use std::hint::black_box;
use std::time::Instant;

/// How often all questions are asked.
const ROUNDS: usize = 5;
/// Questions timed together, since a clock costs as much as a look-up.
const BATCH: usize = 32;

/// The names of a file of questions and whether each is listed, as far as `read` takes them.
pub(crate) fn questions<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Vec<(T, bool)> {
    let question = |line: &str| {
        let (sort, name) = line.split_once(' ')?;
        Some((read(name)?, sort == "listed"))
    };
    text.lines().filter_map(question).collect()
}

/// How many answers are wrong, then the median time for listed and for unlisted names, in
/// nanoseconds; each name was asked once before its time counts.
pub(crate) fn report<T>(questions: &[(T, bool)], covers: impl Fn(&T) -> bool) -> String {
    let wrong = questions
        .iter()
        .filter(|(name, listed)| covers(name) != *listed);
    let mut report = format!("wrong {}\n", wrong.count());
    for (sort, listed) in [("listed", true), ("unlisted", false)] {
        let asked = questions.iter().filter(|it| it.1 == listed);
        let asked: Vec<&T> = asked.map(|(name, _)| name).collect();
        let mut times = Vec::new();
        for batch in (0..ROUNDS).flat_map(|_| asked.chunks_exact(BATCH)) {
            let begin = Instant::now();
            for name in batch {
                black_box(covers(black_box(name)));
            }
            times.push(begin.elapsed().as_nanos() / BATCH as u128);
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or(0);
        report.push_str(&format!("{sort} {median}\n"));
    }
    report
}
