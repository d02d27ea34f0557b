//! Any bytes as a window that the reference stored.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_mirror::fuzz::pairs(bytes));
