//! Any text as carbon.conf.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_conf::fuzz::carbon_conf(bytes));
