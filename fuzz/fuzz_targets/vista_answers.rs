//! Any bytes as an answer of Graphite or Prometheus.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_vista::fuzz::answers(bytes));
