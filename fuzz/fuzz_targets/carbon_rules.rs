//! Any text as the rules and lists beside carbon.conf.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_conf::fuzz::carbon_rules(bytes));
