//! Links of messages: tokens that nobody has signed, and what is signed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_alerting::link::fuzz(bytes));
