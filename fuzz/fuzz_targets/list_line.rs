//! Any bytes as a line and as a list; see `fuzz/checks/list_line.rs`.

#![no_main]

#[path = "../checks/list_line.rs"]
mod list_line;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| list_line::check(bytes));
