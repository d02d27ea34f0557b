//! Any text in carbon-c-relay's language.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_conf::fuzz::c_relay(bytes));
