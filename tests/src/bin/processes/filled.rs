//! State folders with full windows, without a day of waiting: the values that the load tool would have
//! sent, so that its next points are no surprise to the detectors.

use anyhow::Context as _;
use carbon_load::workload::Workload as Series;
use skyline_core::shard::name_hash;
use skyline_core::shard::{SHARDS, ShardId};
use skyline_detect::settings::Settings;
use skyline_detect::tracked::{self, Context, Tracked};
use skyline_store::block::Sealer;
use skyline_store::snapshot::{Buffers, ShardFile};
use skyline_store::window::Window;
use skyline_tests::now;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Series that are filled and restored in a second, about.
const SERIES_A_SECOND: u64 = 5_000;

/// A state folder, made once and copied for each run.
#[derive(Debug)]
pub(crate) struct Filled {
    folder: TempDir,
    /// Time of its newest points: about when it will be ready, so that a live load follows without a gap.
    pub(crate) newest: i64,
}

impl Filled {
    /// Windows of `minutes` for the load tool's first `metrics` series.
    pub(crate) fn make(metrics: u64, minutes: u32) -> anyhow::Result<Self> {
        eprintln!("filling {metrics} windows of {minutes} minutes");
        let folder = tempfile::Builder::new().prefix("skyline-filled-").tempdir()?;
        let windows = folder.path().join("window");
        std::fs::create_dir_all(&windows)?;
        let newest = (now() + (metrics / SERIES_A_SECOND) as i64) / 60 * 60;
        let start_ts = newest - 60 * i64::from(minutes.saturating_sub(1));
        // As `carbon-load send` makes them.
        let series = Series {
            prefix: "load".to_owned(),
            metrics,
            points: u64::from(minutes),
            start_ts,
            step: 60,
            seed: 1,
        };
        let mut shards = vec![Vec::new(); usize::from(SHARDS)];
        let mut name = Vec::new();
        for i in 0..metrics {
            name.clear();
            series.write_name(i, &mut name);
            shards
                .get_mut(usize::from(ShardId::of_name(&name).0))
                .context("a shard beyond the last")?
                .push(i);
        }
        let all: Vec<_> = (0..SHARDS).zip(shards).collect();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        std::thread::scope(|scope| {
            let parts: Vec<_> = all.chunks(all.len().div_ceil(threads)).collect();
            let jobs: Vec<_> =
                parts.into_iter().map(|part| scope.spawn(|| fill(&windows, part, &series))).collect();
            jobs.into_iter().try_for_each(|job| job.join().map_err(|_| anyhow::anyhow!("a thread failed"))?)
        })?;
        Ok(Self { folder, newest })
    }

    /// A copy that a node may change.
    pub(crate) fn copy(&self) -> anyhow::Result<TempDir> {
        let copy = tempfile::Builder::new().prefix("skyline-state-").tempdir()?;
        let mut cp = Command::new("cp");
        cp.arg("-r").arg(self.folder.path().join(".")).arg(copy.path());
        anyhow::ensure!(cp.status().context("cp")?.success(), "the filled state cannot be copied");
        // Gigabytes that are still being written to the disk would be measured along with the node.
        anyhow::ensure!(Command::new("sync").status().context("sync")?.success(), "sync failed");
        Ok(copy)
    }
}

/// Writes some shards, each with the numbers of its series.
fn fill(folder: &Path, shards: &[(u16, Vec<u64>)], series: &Series) -> anyhow::Result<()> {
    let (mut sealer, mut context) = (Sealer::default(), Context::new(Settings::default(), 600.0));
    let (mut name, mut buffer, mut buffers) = (Vec::new(), Vec::new(), Buffers::default());
    // Not the time of the newest point, which may still be to come: sums do not go back.
    let made = now() as f64;
    for (shard, numbers) in shards {
        let mut file = ShardFile::new(folder, ShardId(*shard), false);
        let mut writer = file.writer(&mut buffers);
        for i in numbers {
            name.clear();
            series.write_name(*i, &mut name);
            let (text, hash) = (std::str::from_utf8(&name)?, name_hash(&name));
            let mut window = Window::default();
            // Hosts came one after the other, each with its metrics in order. (Where several threads share
            // the metrics, a thread has fewer of these neighbours than it would give itself.)
            let rank = u32::try_from(*i)?;
            window.stagger(tracked::phase(rank));
            for point in 0..series.points {
                window.push(series.timestamp(point) as f64, series.value(*i, point), &mut sealer);
            }
            let mut tracked = Tracked::restored(text, hash, rank, false, &[], window);
            tracked.settle(made, &mut context);
            tracked.save(rank, &mut writer, &mut buffer);
        }
        writer.finish(0).with_context(|| format!("shard {shard}"))?;
    }
    Ok(())
}
