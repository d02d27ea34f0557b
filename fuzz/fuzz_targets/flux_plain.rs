//! Any bytes as a body of Flux: plain.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_flux::fuzz::plain(bytes));
