//! Any bytes as a body of Flux: remote_write.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_flux::fuzz::remote_write(bytes));
