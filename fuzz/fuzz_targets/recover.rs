//! Any bytes as a segment of the log, as recovery and readers see it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_journal::fuzz::fuzz_recover(bytes));
