//! Time of a point into full windows, sealing and eviction included, and of decoding a whole window.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skyline_store::block::Sealer;
use skyline_store::window::{Columns, Window};
use std::hint::black_box;

const POINTS: u32 = 1_440;
const START: f64 = 1_700_000_000.0;
const KEPT: f64 = 86_400.0;

/// Value `i`: three decimals, or all the digits that a double has.
fn value(i: u32, decimals: bool) -> f64 {
    let noise = f64::from(i.wrapping_mul(2_654_435_761) >> 12) / f64::from(1 << 20);
    let value = 100.0 + 20.0 * noise;
    if decimals { (value * 1000.0).round() / 1000.0 } else { value }
}

fn ts(i: u32) -> f64 {
    START + 60.0 * f64::from(i)
}

fn full(decimals: bool, sealer: &mut Sealer) -> Window {
    let mut window = Window::default();
    for i in 0..POINTS {
        window.push(ts(i), value(i, decimals), sealer);
    }
    window
}

fn windows(c: &mut Criterion) {
    let mut sealer = Sealer::default();
    for (name, decimals) in [("three decimals", true), ("all digits", false)] {
        let mut group = c.benchmark_group(format!("window, {name}"));
        group.throughput(Throughput::Elements(u64::from(POINTS)));
        group.bench_function("a day into a full window", |b| {
            b.iter_batched(
                || full(decimals, &mut sealer),
                |mut window| {
                    let mut sealer = Sealer::default();
                    for i in POINTS..2 * POINTS {
                        window.evict(ts(i) - KEPT);
                        window.push(ts(i), value(i, decimals), &mut sealer);
                    }
                    window
                },
                BatchSize::SmallInput,
            );
        });
        let (window, mut columns) = (full(decimals, &mut Sealer::default()), Columns::default());
        group.bench_function("decode a day", |b| {
            b.iter(|| black_box(&window).view(&mut columns).values.len());
        });
        group.finish();
    }
}

criterion_group!(benches, windows);
criterion_main!(benches);
