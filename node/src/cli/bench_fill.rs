//! `skyline bench-fill` (hidden): full windows for a benchmark without a day of waiting.
//!
//! Writes the same files as a running node's save, for the names and values of the load tool.

use clap::Args;
use indicatif::ProgressBar;
use skyline_core::clock::Clock;
use skyline_core::shard::{SHARDS, ShardId};
use skyline_detect::sums::Sums;
use skyline_store::block::Sealer;
use skyline_store::snapshot::ShardFile;
use skyline_store::window::{Columns, Window};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::PathBuf;

/// What to fill.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The node's state folder
    #[arg(long)]
    state_dir: PathBuf,
    /// File with one metric name a line; `-`: standard input
    #[arg(long)]
    names: PathBuf,
    /// Minutes of history
    #[arg(long, default_value_t = 1440)]
    minutes: u32,
}

/// Fills.
pub(super) fn fill(options: &Options) -> anyhow::Result<()> {
    let dir = options.state_dir.join("window");
    std::fs::create_dir_all(&dir)?;
    let mut by_shard: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let input: Box<dyn BufRead> = if options.names.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::io::BufReader::new(std::fs::File::open(&options.names)?))
    };
    let mut count = 0_u64;
    for line in input.lines() {
        let name = line?;
        by_shard.entry(ShardId::of_name(name.as_bytes()).0).or_default().push(name);
        count += 1;
    }
    let bar = ProgressBar::new(u64::from(SHARDS));
    let newest = (Clock::system().now() / 60.0).floor() * 60.0;
    let (mut sealer, mut columns, mut state) = (Sealer::default(), Columns::default(), Vec::new());
    for (shard, names) in by_shard {
        let mut file = ShardFile::new(&dir, ShardId(shard), false);
        let mut writer = file.writer();
        for name in names {
            let mut window = Window::default();
            for i in 0..options.minutes {
                let ts = newest - f64::from(options.minutes - 1 - i) * 60.0;
                window.push(ts, value(&name, i), &mut sealer);
            }
            state.clear();
            let limit = newest - 82_800.0;
            Sums::rebuild(window.view(&mut columns), limit).encode(&mut state);
            writer.series(&name, f64::NEG_INFINITY, &state, &mut window);
        }
        writer.finish(0)?;
        bar.inc(1);
    }
    bar.finish();
    println!(
        "filled {count} metrics with {} minutes each in {}; next: skyline run",
        options.minutes,
        dir.display()
    );
    Ok(())
}

/// A mix like the load tool's: small whole numbers, large ones, gauges of three decimals.
fn value(name: &str, i: u32) -> f64 {
    let hash = skyline_core::shard::name_hash(name.as_bytes());
    let mut x = hash ^ (u64::from(i) << 32 | u64::from(i)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 31;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    match hash % 4 {
        0 => (x % 100) as f64,
        1 => 1e6 + (x % 1_000_000) as f64,
        _ => (x % 100_000) as f64 / 1000.0,
    }
}
