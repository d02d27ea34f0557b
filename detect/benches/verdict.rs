//! Time of the votes on a window of 1,440 points: each on its own, all nine, and in the staged order.

use criterion::{Criterion, criterion_group, criterion_main};
use skyline_core::algorithm::Algorithm;
use skyline_detect::settings::Settings;
use skyline_detect::vote::{self, Scratch};
use skyline_detect::{adf, consensus, gate};
use skyline_store::view::WindowView;
use std::hint::black_box;

const POINTS: usize = 1_440;

/// A day of minutes: a slow wave with noise; `jump` is added to the last three points.
fn window(jump: f64) -> (Vec<f64>, Vec<f64>) {
    let mut seed = 12_345_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed >> 8) / f64::from(1 << 24) - 0.5
    };
    let value = |i: usize| {
        let wave = (i as f64 / POINTS as f64 * std::f64::consts::TAU).sin();
        100.0 + 10.0 * wave + 5.0 * noise() + if i + 3 >= POINTS { jump } else { 0.0 }
    };
    let values = (0..POINTS).map(value).collect();
    ((0..POINTS).map(|i| 1_700_000_000.0 + 60.0 * i as f64).collect(), values)
}

fn votes(c: &mut Criterion) {
    let (ts, values) = window(0.0);
    let view = WindowView::new(&ts, &values);
    let now = ts.last().copied().unwrap_or_default() + 1.0;
    let (settings, mut scratch) = (Settings::default(), Scratch::default());
    let mut group = c.benchmark_group("vote");
    for algorithm in Algorithm::ALL {
        group.bench_function(algorithm.name(), |b| {
            b.iter(|| vote::judge(algorithm, black_box(view), now, &settings, &mut scratch));
        });
    }
    group.bench_function("adf of 300", |b| {
        let (series, mut workspace) = (values.get(..300).unwrap_or_default(), adf::Workspace::default());
        b.iter(|| adf::is_stationary(black_box(series), &mut workspace));
    });
    group.finish();
}

fn verdicts(c: &mut Criterion) {
    let (settings, mut scratch) = (Settings::default(), Scratch::default());
    let mut group = c.benchmark_group("verdict");
    for (name, jump) in [("ordinary", 0.0), ("anomalous", 150.0)] {
        let (ts, values) = window(jump);
        let view = WindowView::new(&ts, &values);
        let now = ts.last().copied().unwrap_or_default() + 1.0;
        group.bench_function(format!("all nine, {name}"), |b| {
            b.iter(|| consensus::decide_all(black_box(view), now, &settings, &mut scratch));
        });
        group.bench_function(format!("staged, {name}"), |b| {
            b.iter(|| {
                let gated = gate::check(black_box(view), now, &settings);
                (gated, consensus::decide(view, now, &settings, &mut scratch))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, votes, verdicts);
criterion_main!(benches);
