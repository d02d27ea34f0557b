//! Cost of a point on its way in: plaintext reads and pickle frames, to the finished batch.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_relay::codec::{pickle, plaintext};
use std::hint::black_box;

const POINTS: usize = 500;

fn name(i: usize) -> String {
    format!("servers.web{:04}.cpu.{}.percent-user", i / 100, i % 100)
}

fn builder(listener: Listener) -> BatchBuilder {
    BatchBuilder::new(Source { listener, origin: Origin::Live }, 1_700_000_000.0)
}

fn lines(c: &mut Criterion) {
    // As agents write them: about 64 bytes a line, a value with decimals, whole seconds.
    let text: String = (0..POINTS)
        .map(|i| format!("{} {}.{:02} {}\n", name(i), i * 7 % 100_000, i % 100, 1_700_000_000 + i / 100))
        .collect();
    let mut group = c.benchmark_group("plaintext");
    group.throughput(Throughput::Elements(POINTS as u64));
    group.bench_function(format!("{} bytes a line", text.len() / POINTS), |b| {
        let mut framer = plaintext::Framer::new(16_384);
        b.iter(|| {
            let mut out = builder(Listener::PlaintextTcp);
            framer.feed(black_box(text.as_bytes()), &mut out, &mut |_: &[u8], _| ());
            out.finish()
        });
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let whole: Vec<_> = (0..POINTS).map(|i| (name(i), (1_700_000_000 + i as i64 / 100, i as i64))).collect();
    let float: Vec<_> =
        (0..POINTS).map(|i| (name(i), (1_700_000_000 + i as i64 / 100, i as f64 * 1.37))).collect();
    let options = || serde_pickle::SerOptions::new().proto_v2();
    let as_written = |points: &Vec<(String, (i64, f64))>| python_protocol_2(points);
    let mut group = c.benchmark_group("pickle");
    group.throughput(Throughput::Elements(POINTS as u64));
    let cases = [
        ("whole values", serde_pickle::to_vec(&whole, options())),
        ("float values", serde_pickle::to_vec(&float, options())),
        ("float values, with memo as Python writes it", Ok(as_written(&float))),
    ];
    for (case, frame) in cases {
        let Ok(frame) = frame else { continue };
        let limits = pickle::Limits::of(1 << 20);
        let mut machine = pickle::Machine::new();
        group.bench_function(format!("{case}: decode"), |b| {
            b.iter(|| machine.run(black_box(&frame)));
        });
        group.bench_function(format!("{case}: to a batch"), |b| {
            b.iter(|| {
                let mut out = builder(Listener::PickleTcp);
                out.reserve(POINTS * 64);
                pickle::decode(black_box(&frame), limits, &mut out, &mut |_: &[u8], _| ());
                out.finish()
            });
        });
    }
    group.finish();
}

/// A list of tuples as Python's own pickler writes it: everything that could be shared gets a
/// number.
fn python_protocol_2(points: &[(String, (i64, f64))]) -> Vec<u8> {
    let mut frame = b"\x80\x02]q\x00(".to_vec();
    let mut number = 0_u32;
    let mut remember = |frame: &mut Vec<u8>| {
        number += 1;
        match u8::try_from(number) {
            Ok(short) => frame.extend_from_slice(&[b'q', short]),
            Err(_) => {
                frame.push(b'r');
                frame.extend_from_slice(&number.to_le_bytes());
            }
        }
    };
    for (name, (ts, value)) in points {
        frame.push(b'X');
        frame.extend_from_slice(&(name.len() as u32).to_le_bytes());
        frame.extend_from_slice(name.as_bytes());
        remember(&mut frame);
        frame.push(b'J');
        frame.extend_from_slice(&(*ts as i32).to_le_bytes());
        frame.push(b'G');
        frame.extend_from_slice(&value.to_be_bytes());
        frame.push(0x86);
        remember(&mut frame);
        frame.push(0x86);
        remember(&mut frame);
    }
    frame.extend_from_slice(b"e.");
    frame
}

criterion_group!(benches, lines, frames);
criterion_main!(benches);
