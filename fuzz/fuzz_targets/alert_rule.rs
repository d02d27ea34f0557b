//! Patterns and hours of alerting rules, and names.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_conf::fuzz::alert_rule(bytes));
