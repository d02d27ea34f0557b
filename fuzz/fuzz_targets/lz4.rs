//! Any bytes as a stream packed with lz4.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_relay::listen::fuzz::lz4(bytes));
