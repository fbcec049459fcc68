//! What `bench/serve/run` measures servers with: a load generator, a stub upstream, and the bare
//! echo that every server is compared with.
//!
//! ```text
//! bench-serve echo ADDRESS [BATCH]
//! bench-serve stub ADDRESS
//! bench-serve load --server ADDRESS --mix MIX --names FILE [--key value ...]
//! ```
//!
//! `load` prints one object of JSON and ends; the other two run until they are killed.

mod batch;
mod cpu;
mod echo;
mod load;
mod mix;
mod stub;
mod wire;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["echo", address] => echo::run(address.parse()?, batch::MOST),
        ["echo", address, batch] => echo::run(address.parse()?, batch.parse()?),
        ["stub", address] => stub::run(address.parse()?),
        ["load", ref options @ ..] => load::run(&load::Options::parse(options)?),
        _ => Err("needs echo, stub or load, and what belongs to it".into()),
    }
}
