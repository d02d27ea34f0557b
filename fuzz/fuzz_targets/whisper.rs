//! Whisper files: heads that lie, archives that are cut off, rings of any times.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_vista::whisper::fuzz(bytes));
