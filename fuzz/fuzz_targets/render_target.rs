//! Any text as a target of a render question.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skyline_render_proxy::fuzz::target(bytes));
