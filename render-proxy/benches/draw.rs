//! Time of a chart of a day, as SVG and as PNG, and of one of many points.

use criterion::{Criterion, criterion_group, criterion_main};
use skyline_core::point::Datapoint;
use skyline_render_proxy::draw::Chart;
use std::hint::black_box;

const START: f64 = 1_700_000_000.0;
const DAY: f64 = 86_400.0;

/// A day of `count` points, different for each `seed`: a wave, noise, and a fault at the end.
fn day(seed: u32, count: u32) -> Vec<Datapoint> {
    let step = DAY / f64::from(count);
    let point = |i: u32| {
        let noise = f64::from((i + seed).wrapping_mul(2_654_435_761) >> 12) / f64::from(1 << 20);
        let wave = (f64::from(i * 1440 / count + seed % 1440) / 229.0).sin();
        let fault = if i + 15 > count { 300.0 } else { 0.0 };
        Datapoint::new(START + step * f64::from(i), 200.0 + 60.0 * wave + 25.0 * noise + fault)
    };
    (0..count).map(point).collect()
}

fn chart<'a>(points: &'a [Datapoint], anomalous: &'a [f64]) -> Chart<'a> {
    Chart {
        title: "Skyline Analyzer - ALERT - last 24 hours",
        remark: "anomalous value: 534.2",
        expected: Some((90.0, 310.0)),
        mean: Some(212.0),
        onset: anomalous.first().copied(),
        peak: points.last().map(|point| (point.ts, point.value)),
        anomalous,
        zone: "Europe/Zurich",
        ..Chart::new("servers.web01.requests.latency.p99", points, START, START + DAY)
    }
}

fn draw(criterion: &mut Criterion) {
    for (name, count) in [("24 h", 1_440), ("24 h of 100,000 points", 100_000)] {
        let series: Vec<Vec<Datapoint>> =
            (0..if count > 10_000 { 4 } else { 1_000 }).map(|seed| day(seed, count)).collect();
        let anomalous: Vec<f64> = day(0, count).iter().rev().take(14).map(|point| point.ts).collect();
        let anomalous: Vec<f64> = anomalous.into_iter().rev().collect();
        let mut each = series.iter().cycle();
        criterion.bench_function(&format!("chart, {name}, SVG"), |b| {
            b.iter(|| black_box(each.next().and_then(|points| chart(points, &anomalous).svg().ok())));
        });
        let (mut largest, mut each) = (0, series.iter().cycle());
        criterion.bench_function(&format!("chart, {name}, PNG"), |b| {
            b.iter(|| {
                let png = each.next().and_then(|points| chart(points, &anomalous).png().ok());
                largest = largest.max(black_box(png).map_or(0, |png| png.len()));
            });
        });
        assert!(largest > 0, "nothing was drawn");
        criterion.bench_function(&format!("chart, {name}, largest PNG of {largest} bytes"), |b| {
            b.iter(|| black_box(largest))
        });
    }
}

criterion_group!(benches, draw);
criterion_main!(benches);
