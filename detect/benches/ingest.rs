//! What a point costs in the window threads: stored and judged, 10 k and 200 k metrics, full windows.

#[path = "made/series.rs"]
mod series;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_detect::settings::Settings;
use skyline_detect::shard::{Options, Shards};
use skyline_detect::tracked::Context;

const SOURCE: Source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const START: f64 = 1_700_000_000.0;

/// One minute of all metrics, in batches of 1,000.
fn minute(metrics: usize, minute: usize, seq: &mut u64) -> Vec<Batch> {
    let ts = START + 60.0 * minute as f64;
    let mut batches = Vec::new();
    for first in (0..metrics).step_by(1000) {
        let mut builder = BatchBuilder::new(SOURCE, ts + 1.0);
        for metric in first..(first + 1000).min(metrics) {
            let name = series::name(metric);
            builder.point(name.as_bytes(), ts, series::value(metric, minute)).unwrap_or_default();
        }
        if let Some(mut batch) = builder.finish() {
            batch.first_seq = *seq;
            *seq = batch.end_seq();
            batches.push(batch);
        }
    }
    batches
}

fn ingest(c: &mut Criterion) {
    for (metrics, history) in [(10_000, 1500), (200_000, 130)] {
        let mut shards = Shards::new(Options::default(), Context::new(Settings::default(), 600.0));
        let (mut seq, mut at, mut found) = (0, 0, Vec::new());
        for _ in 0..history {
            for batch in minute(metrics, at, &mut seq) {
                shards.ingest(&batch, &mut found);
            }
            at += 1;
        }
        let mut group = c.benchmark_group("ingest");
        group.sample_size(10).throughput(Throughput::Elements(metrics as u64));
        group.bench_function(format!("{metrics}_metrics_{history}_points"), |b| {
            b.iter_batched(
                || {
                    at += 1;
                    minute(metrics, at, &mut seq)
                },
                |batches| {
                    for batch in &batches {
                        shards.ingest(batch, &mut found);
                    }
                    found.clear();
                    batches
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, ingest);
criterion_main!(benches);
