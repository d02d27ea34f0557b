//! Any text as a regular expression of each dialect, and names.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_conf::fuzz::pattern(bytes));
