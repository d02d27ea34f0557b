//! What a point costs where nothing has touched its metric for a minute: full windows of many metrics, each
//! thousand points stored and judged after the caches were emptied. Arguments: metrics
//! (400,000), minutes (6; the first two catch up with eviction), and `shuffled` for series that do not lie in the
//! order in which their points come.
#![expect(clippy::print_stdout, reason = "a measurement")]

#[path = "../benches/made/series.rs"]
mod series;

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

fn batch(origin: Origin, received: f64, points: impl Iterator<Item = (usize, usize)>) -> Option<Batch> {
    let mut builder = BatchBuilder::new(Source { listener: Listener::PlaintextTcp, origin }, received);
    let (mut name, mut of) = (String::new(), usize::MAX);
    for (metric, minute) in points {
        if metric != of {
            name = series::name(metric);
            of = metric;
        }
        let ts = START + 60.0 * minute as f64;
        builder.point(name.as_bytes(), ts, series::value(metric, minute)).unwrap_or_default();
    }
    builder.finish()
}

fn main() {
    let shuffled = std::env::args().any(|argument| argument == "shuffled");
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let metrics = numbers.next().unwrap_or(400_000);
    let minutes = numbers.next().unwrap_or(6);
    let mut shards = Shards::new(Options::default(), Context::new(Settings::default(), 600.0));
    let mut found = Vec::new();
    let mut seq = 0;
    let began = Instant::now();
    for i in 0..metrics {
        // By a factor that has nothing in common with round numbers of metrics.
        let metric = if shuffled { (i * 7_368_787) % metrics } else { i };
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
