//! Any text as a regular expression and what replaces its matches.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_conf::fuzz::replacement(bytes));
