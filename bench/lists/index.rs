//! Opens an index and times its look-ups, alone and without a daemon: what `tool hashset` does for
//! the plain set. `bench/lists/run` starts it.
//!
//! ```text
//! time-index INDEX QUESTIONS
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use hedgerow::files::Files;
use hedgerow::lists::Index;
use hedgerow::name::Name;

#[path = "tool/asked.rs"]
mod asked;

/// How often the index is opened.
const OPENED: usize = 21;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(asked)) = (arguments.next(), arguments.next()) else {
        return Err("needs an index and a file of questions".into());
    };
    let mut times = Vec::new();
    for _ in 0..OPENED {
        let begin = Instant::now();
        drop(Index::open(&Files::disk(), Path::new(&path))?);
        times.push(begin.elapsed().as_nanos());
    }
    times.sort_unstable();
    let index = Index::open(&Files::disk(), Path::new(&path))?;
    println!("open {}", times[OPENED / 2]);
    let questions = asked::questions(&std::fs::read_to_string(asked)?, |it| Name::parse(it).ok());
    let report = asked::report(&questions, |name| {
        let mut is_listed = false;
        index.look_up(name.as_ref(), |_| is_listed = true);
        is_listed
    });
    print!("{report}");
    Ok(())
}
