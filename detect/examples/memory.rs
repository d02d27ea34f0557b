//! Bytes of memory a point: windows of 1,440 minutes of the load tool's kind of values, or of the values
//! of CSV files (`timestamp,value`) given as arguments, re-stamped to one minute.
#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a measurement")]

#[path = "../benches/made/series.rs"]
mod series;

use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_detect::settings::Settings;
use skyline_detect::shard::{Options, Shards};
use skyline_detect::tracked::Context;

const SOURCE: Source = Source { listener: Listener::PlaintextTcp, origin: Origin::Backfill };
const MINUTES: usize = 1_440;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}

fn main() {
    let files: Vec<Vec<f64>> = std::env::args()
        .skip(1)
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| text.lines().skip(1).filter_map(|l| l.trim().split(',').nth(1)?.parse().ok()).collect())
        .collect();
    let metrics = 20_000;
    let options = Options { judge: false, ..Options::default() };
    let before = resident();
    let mut shards = Shards::new(options, Context::new(Settings::default(), 600.0));
    let mut found = Vec::new();
    for minute in 0..MINUTES {
        let ts = 1_700_000_000.0 + 60.0 * minute as f64;
        for first in (0..metrics).step_by(1000) {
            let mut builder = BatchBuilder::new(SOURCE, ts);
            for metric in first..first + 1000 {
                let value = if files.is_empty() {
                    series::value(metric, minute)
                } else {
                    let file = &files[metric % files.len()];
                    file[(minute + metric * 7) % file.len()]
                };
                let name = series::name(metric);
                builder.point(name.as_bytes(), ts, value).unwrap_or_default();
            }
            if let Some(batch) = builder.finish() {
                shards.ingest(&batch, &mut found);
            }
        }
    }
    let memory = shards.memory();
    let points = memory.points as f64;
    println!("{} metrics, {} points", memory.metrics, memory.points);
    println!(
        "windows {:.2} B a point, sums, cursors, names and index {:.2}",
        memory.window_bytes as f64 / points,
        memory.other_bytes as f64 / points
    );
    println!("resident {:.2} B a point", (resident() - before) / points);
}
