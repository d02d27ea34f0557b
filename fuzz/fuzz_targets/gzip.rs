//! Any bytes as a stream packed with gzip.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_relay::listen::fuzz::gzip(bytes));
