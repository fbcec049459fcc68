//! Any bytes as a delta between two versions of a list; see `fuzz/checks/delta.rs`.

#![no_main]

#[path = "../checks/delta.rs"]
mod delta;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| delta::check(bytes));
