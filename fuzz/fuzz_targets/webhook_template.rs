//! Templates of webhooks, and names of metrics that are put into them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_alerting::fuzz::template(bytes));
