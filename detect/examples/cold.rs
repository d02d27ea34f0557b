//! What a point costs where nothing has touched its metric for a minute: full windows of many metrics, each
//! thousand points stored and judged after the caches were emptied. Arguments: metrics (400,000), minutes (3).
#![expect(clippy::print_stdout, reason = "a measurement")]

use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_detect::settings::Settings;
use skyline_detect::shard::{Options, Shards};
use skyline_detect::tracked::Context;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const START: f64 = 1_700_000_000.0;
/// Minutes before the first that is measured.
const HISTORY: usize = 1_460;
/// Points of a batch: what an agent writes at once.
const AGENT: usize = 1_000;
/// Bytes that are walked to empty the caches.
const FLUSH: usize = 96 << 20;

fn value(metric: usize, minute: usize) -> f64 {
    let mut x = (metric as u64 * 0x9e37_79b9 + minute as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    match metric % 4 {
        0 => (x % 100) as f64,
        1 => 1e6 + (x % 1_000_000) as f64,
        _ => (x % 100_000) as f64 / 1000.0,
    }
}

fn batch(origin: Origin, received: f64, points: impl Iterator<Item = (usize, usize)>) -> Option<Batch> {
    let mut builder = BatchBuilder::new(Source { listener: Listener::PlaintextTcp, origin }, received);
    let (mut name, mut of) = (String::new(), usize::MAX);
    for (metric, minute) in points {
        if metric != of {
            name = format!("load.eu-west-1.web-{:05}.cpu.{}.user", metric / 100, metric % 100);
            of = metric;
        }
        let ts = START + 60.0 * minute as f64;
        builder.point(name.as_bytes(), ts, value(metric, minute)).unwrap_or_default();
    }
    builder.finish()
}

fn main() {
    let mut arguments = std::env::args().skip(1).map_while(|a| a.parse::<usize>().ok());
    let metrics = arguments.next().unwrap_or(400_000);
    let minutes = arguments.next().unwrap_or(3);
    let mut shards = Shards::new(Options::default(), Context::new(Settings::default(), 600.0));
    let mut found = Vec::new();
    let mut seq = 0;
    let began = Instant::now();
    for i in 0..metrics {
        // In an order that has nothing to do with that in which points come, as after a restart.
        let metric = if std::env::var_os("ORDERED").is_some() { i } else { (i * 7_368_787) % metrics };
        let received = START + 60.0 * HISTORY as f64;
        let history = batch(Origin::Backfill, received, (0..HISTORY).map(|minute| (metric, minute)));
        if let Some(mut history) = history {
            history.first_seq = seq;
            seq = history.end_seq();
            shards.ingest(&history, &mut found);
        }
    }
    println!("{metrics} metrics filled in {:.0} s", began.elapsed().as_secs_f64());
    let mut flush = vec![1_u64; FLUSH / 8];
    for minute in HISTORY..HISTORY + minutes {
        let mut took = Duration::ZERO;
        for first in (0..metrics).step_by(AGENT) {
            let received = START + 60.0 * minute as f64 + 1.0;
            let points = (first..(first + AGENT).min(metrics)).map(|metric| (metric, minute));
            let Some(mut points) = batch(Origin::Live, received, points) else { continue };
            points.first_seq = seq;
            seq = points.end_seq();
            for word in flush.iter_mut().step_by(8) {
                *word = word.wrapping_add(seq);
            }
            let began = Instant::now();
            shards.ingest(&points, &mut found);
            took += began.elapsed();
        }
        println!("minute {minute}: {:.3} µs a point", took.as_secs_f64() * 1e6 / metrics as f64);
    }
    println!("{} judged, {} scans, {} anomalies", shards.counters().judged, shards.scans(), found.len());
}
