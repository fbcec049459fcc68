//! Any bytes; see `fuzz/checks/dnssec.rs`.

#![no_main]

#[path = "../checks/dnssec.rs"]
mod dnssec;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dnssec::check(bytes));
