//! The file of the outbox: any bytes, lines that are torn, records under a right checksum.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_alerting::fuzz::alerts_log(bytes));
