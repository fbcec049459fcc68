//! What the comparison needs besides Python: the generator of names, questions with their right
//! answers, and the plainest contender. Built by `rustc` alone; `bench/lists/run` does that.
//!
//! ```text
//! tool learn < NAMES > statistics.txt
//! tool generate COUNT SEED [KNOWN] > NAMES
//! tool questions NAMES LISTED UNLISTED SEED > QUESTIONS
//! tool hashset NAMES QUESTIONS
//! ```

mod asked;
mod hashset;
mod learn;
#[path = "../../names/mod.rs"]
mod names;
mod questions;

use std::error::Error;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::process::ExitCode;

use names::{Names, distinct_names};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tool: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout());
    match arguments {
        ["learn"] => learn::learn(&read(io::stdin().lock())?, &mut out)?,
        ["generate", count, seed, known @ ..] => {
            let known = known
                .first()
                .map_or_else(|| Ok(Names::default()), |it| open(it))?;
            for name in distinct_names(&known, count.parse()?, seed.parse()?).iter() {
                writeln!(out, "{name}")?;
            }
        }
        ["questions", names, listed, unlisted, seed] => {
            let counts = (listed.parse()?, unlisted.parse()?);
            questions::write(&open(names)?, counts, seed.parse()?, &mut out)?;
        }
        ["hashset", names, questions] => hashset::serve(names, questions, &mut out)?,
        _ => return Err("see the head of main.rs for what it takes".into()),
    }
    out.flush()?;
    Ok(())
}

/// The names of a file, one a line.
fn open(path: &str) -> io::Result<Names> {
    let file = std::fs::File::open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
    read(BufReader::with_capacity(1 << 20, file))
}

fn read(mut input: impl BufRead) -> io::Result<Names> {
    let mut names = Names::default();
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let name = line.trim_end();
        if !name.is_empty() {
            names.push(name);
        }
        line.clear();
    }
    Ok(names)
}
