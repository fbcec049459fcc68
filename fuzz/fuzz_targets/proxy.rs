//! Any bytes; see `fuzz/checks/proxy.rs`.

#![no_main]

#[path = "../checks/proxy.rs"]
mod proxy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proxy::check(bytes));
