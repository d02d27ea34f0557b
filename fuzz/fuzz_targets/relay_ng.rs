//! Any text as carbon-relay-ng's TOML.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_conf::fuzz::relay_ng(bytes));
