//! Any bytes as the body of a protobuf frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_relay::codec::fuzz::protobuf(bytes));
