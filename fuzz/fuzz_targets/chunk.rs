//! Any bytes as chunks of a shard, as they come from Redis.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_store::fuzz::chunk(bytes));
