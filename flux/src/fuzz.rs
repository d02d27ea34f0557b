//! Entry points for fuzzers: any bytes as a body. Nothing may panic, what is taken is within its bounds, and every line
//! that comes of it reads back.
#![expect(clippy::panic, reason = "a broken invariant is what a fuzzer looks for")]

use crate::access::Access;
use crate::influx::{self, Precision};
use crate::points::{Bounds, Points};
use crate::{json, lines, prometheus};
use skyline_conf::model::flux::Escape;
use skyline_conf::naming::Template;
use skyline_core::line;

const NOW: f64 = 1_700_000_000.0;

fn points() -> Points {
    let bounds =
        Bounds { now: NOW, max_age: 87_000.0, max_future: 600.0, resolution: 0, most_bytes: 1 << 20 };
    Points::new(bounds)
}

/// JSON points.
pub fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut points = points();
    if json::decode(text, Some(0), &Access::default(), &mut points).is_ok() {
        check(points);
    }
}

/// Carbon lines, with what an answer says of them.
pub fn plain(bytes: &[u8]) {
    let mut points = points();
    lines::decode(bytes, &mut points);
    check(points);
}

/// InfluxDB's lines.
pub fn influx(bytes: &[u8]) {
    for template in templates("{measurement}.{field}") {
        let mut points = points();
        influx::decode(bytes, Precision::Seconds, &template, &mut points);
        check(points);
    }
}

/// A message of remote-write, unpacked.
pub fn remote_write(bytes: &[u8]) {
    for template in templates("{__name__}") {
        let mut points = points();
        if prometheus::decode(bytes, &template, &mut points).is_ok() {
            check(points);
        }
    }
}

fn templates(path: &str) -> Vec<Template> {
    let all = [(format!("{path};{{*}}"), Escape::Underscore), (format!("m.{{*}}.{path}"), Escape::Percent)];
    all.into_iter().filter_map(|(text, escape)| Template::new(&text, escape, &[]).ok()).collect()
}

fn check(points: Points) {
    let taken = points.finish();
    for batch in &taken.batches {
        let lines = batch.text.split_inclusive(|b| *b == b'\n');
        let mut count = 0;
        for (raw, sample) in lines.zip(&batch.samples) {
            let Some(raw) = raw.strip_suffix(b"\n") else { panic!("a line without an end") };
            let Ok(read) = line::parse(raw) else { panic!("no line: {}", raw.escape_ascii()) };
            assert!(read.value.to_bits() == sample.value.to_bits(), "another value: {}", raw.escape_ascii());
            assert!(
                (NOW - 87_000.0..=NOW + 600.0).contains(&read.ts),
                "out of bounds: {}",
                raw.escape_ascii()
            );
            count += 1;
        }
        assert!(count == batch.len(), "another number of lines");
    }
}
