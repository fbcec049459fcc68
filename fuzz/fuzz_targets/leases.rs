//! Any bytes as a file of leases; see `fuzz/checks/leases.rs`.

#![no_main]

#[path = "../checks/leases.rs"]
mod leases;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leases::check(bytes));
