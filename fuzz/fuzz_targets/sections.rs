//! Any bytes as what stands beside the names; see `fuzz/checks/sections.rs`.

#![no_main]

#[path = "../checks/sections.rs"]
mod sections;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sections::check(bytes));
