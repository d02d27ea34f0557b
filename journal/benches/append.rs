//! What a point costs on its way into the log and out of memory again.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_journal::{Durability, Journal, Options, Scope, WhenFull};
use std::hint::black_box;

const SOURCE: Source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };

/// A batch of `points` lines of 64 bytes.
fn batch(points: usize) -> Batch {
    let mut text = Vec::new();
    for n in 0..points {
        text.extend_from_slice(
            format!("servers.web{n:04}.cpu.total.user.percent.average 12.345 1700000000\n").as_bytes(),
        );
    }
    let mut builder = BatchBuilder::new(SOURCE, 1_700_000_000.0);
    builder.lines(&text, |_, _| ());
    builder.finish().unwrap()
}

fn open(dir: &tempfile::TempDir) -> Journal {
    let options = Options {
        dir: dir.path().to_owned(),
        max_bytes: 1 << 30,
        segment_bytes: 64 << 20,
        memory_bytes: 64 << 20,
        durability: Durability::Process,
        when_full: WhenFull::ShedOldest,
        min_free_percent: 1.0,
    };
    Journal::open(options).unwrap().0
}

fn append(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = c.benchmark_group("append");
    for points in [1000, 100] {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let template = batch(points);
        group.throughput(Throughput::Elements(points as u64));
        group.bench_function(format!("{points} points"), |b| {
            b.iter_batched(
                || template.clone(),
                |batch| runtime.block_on(journal.append(batch)).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn take(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = c.benchmark_group("append and take");
    for points in [1000, 100] {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let mut reader = journal.reader("one", Scope::Everything).unwrap();
        let template = batch(points);
        let mut out = Vec::new();
        group.throughput(Throughput::Elements(points as u64));
        group.bench_function(format!("{points} points"), |b| {
            b.iter_batched(
                || template.clone(),
                |batch| {
                    runtime.block_on(journal.append(batch)).unwrap();
                    out.clear();
                    reader.take(65_536, &mut out).unwrap();
                    let end = reader.cursor();
                    reader.done(end, black_box(&out).iter().map(|d| d.points()).sum());
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn lagging(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let mut reader = journal.reader("lagging", Scope::Everything).unwrap();
    let template = batch(1000);
    for _ in 0..3000 {
        runtime.block_on(journal.append(template.clone())).unwrap();
    }
    let mut out = Vec::new();
    let mut group = c.benchmark_group("take from files");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000 points", |b| {
        b.iter(|| {
            if reader.in_memory() {
                reader.rewind(0);
            }
            out.clear();
            reader.take(1000, &mut out).unwrap();
        });
    });
    group.finish();
}

criterion_group!(benches, append, take, lagging);
criterion_main!(benches);
