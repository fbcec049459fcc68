//! What `bench/serve/run` measures servers with: a load generator, a stub upstream, and the bare
//! echo that every server is compared with.
//!
//! ```text
//! bench-serve echo ADDRESS [BATCH]
//! bench-serve stub ADDRESS
//! bench-serve load --server ADDRESS --mix MIX --names FILE [--key value ...]
//! bench-serve encrypted --over dot|doh --server ADDRESS --trust FILE --names FILE [--key value ...]
//! bench-serve probe --udp ADDRESS --dot ADDRESS --trust FILE --names FILE [--key value ...]
//! bench-serve hold --kinds idle|tcp,hello,... --dot ADDRESS --doh ADDRESS --trust FILE [--key value ...]
//! ```
//!
//! `load`, `encrypted` and `probe` print one object of JSON and end; `hold` does what its standard input
//! says until that ends; the other two run until they are killed.

mod batch;
mod cpu;
mod echo;
mod encrypted;
mod given;
mod hold;
mod http2;
mod load;
mod mix;
mod probe;
mod stub;
mod tls;
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
        ["encrypted", ref options @ ..] => encrypted::run(&encrypted::Options::parse(options)?),
        ["probe", ref options @ ..] => probe::run(&probe::Options::parse(options)?),
        ["hold", ref options @ ..] => hold::run(&hold::Options::parse(options)?),
        _ => Err("needs echo, stub, load, encrypted, probe or hold, and what belongs to it".into()),
    }
}
