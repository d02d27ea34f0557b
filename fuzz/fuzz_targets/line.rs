//! Carbon lines and msgpack: any bytes as a stream, as a stream in pieces, and as a datagram.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_relay::codec::fuzz::line(bytes));
