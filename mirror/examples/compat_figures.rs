//! What layout `compat` costs: `cargo run --profile perf -p skyline-mirror --example compat_figures -- METRICS POINTS`
//! writes so many points of so many metrics from a log to a Redis of its own, trims them and adopts them, and
//! prints commands, bytes and CPU seconds (of this process and of Redis) a million points.
#![expect(clippy::print_stdout, reason = "a program for a person at a terminal")]

use anyhow::Context as _;
use skyline_conf::model::redis::{Layout, Redis as Settings};
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::point::Datapoint;
use skyline_core::shard::{ShardId, ShardSet};
use skyline_journal::{Durability, Journal, Scope, WhenFull};
use skyline_mirror::compat::{Adoption, Compat, Options};
use skyline_mirror::server::Server;
use skyline_mirror::windows::Windows;
use skyline_peers::redis::Redis;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const START: f64 = 1_700_000_000.0;

/// No windows: there is no gap to mend.
struct None_;

impl Windows for None_ {
    async fn names(&self, _: ShardId) -> Vec<String> {
        Vec::new()
    }

    async fn points(&self, _: &str) -> Option<Vec<Datapoint>> {
        None
    }
}

/// CPU seconds of this process.
fn own_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// What was used between two looks.
struct Meter {
    wall: Instant,
    own: f64,
    redis: f64,
}

impl Meter {
    fn start(redis: &mut Redis) -> Self {
        Self { wall: Instant::now(), own: own_cpu(), redis: redis.process().cpu_seconds() }
    }

    fn print(&self, what: &str, points: f64, redis: &mut Redis) {
        let millions = points / 1e6;
        let (wall, own) = (self.wall.elapsed().as_secs_f64(), own_cpu() - self.own);
        let server = redis.process().cpu_seconds() - self.redis;
        println!(
            "{what:8} {points:>11} points, {wall:6.1} s; a million: {:.2} s wall, {:.2} s CPU here, {:.2} s CPU in Redis",
            wall / millions,
            own / millions,
            server / millions
        );
    }
}

fn figure(figures: &[Figure], name: &str) -> f64 {
    figures.iter().filter(|figure| figure.name == name).map(|figure| figure.value).sum()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let (metrics, points) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(100));
    let mut redis = Redis::start()?;
    let settings = Settings { servers: vec![redis.unix()], layout: Layout::Compat, ..Settings::default() };
    let server = Server::new(&settings)?;
    let folder = tempfile::tempdir()?;
    let clock = Clock::at(START);
    let options = Options {
        namespace: "metrics.".into(),
        mark: "skyline:figures:mark".into(),
        full_duration: 86_400.0,
        grace: 600.0,
        max_future: 600.0,
        max_names: usize::MAX,
        skip: Vec::new(),
        keep: Vec::new(),
        shards: ShardSet::ALL,
        trim_every: Some(Duration::from_secs(10)),
        clock: clock.clone(),
    };
    let meter = Meter::start(&mut redis);
    let stop = write(&folder, &server, &options, [metrics, points], &clock).await?;
    meter.print("written", (metrics * points) as f64, &mut redis);
    let mut figures = Vec::new();
    server.figures(&mut figures);
    let per_point = |name: &str| figure(&figures, name) / (metrics * points) as f64;
    println!(
        "         a point: {:.3} commands, {:.1} bytes sent; {:.1} bytes of memory in Redis",
        per_point("skyline_redis_commands_total"),
        per_point("skyline_redis_sent_bytes_total"),
        redis.process().memory("VmRSS") as f64 / (metrics * points) as f64
    );
    adopt(&server, &mut redis).await?;
    // An hour later a part of each window is too old.
    clock.set(START + 60.0 * points as f64 + 3_600.0);
    let meter = Meter::start(&mut redis);
    trimmed(&stop.1).await?;
    meter.print("trimmed", (metrics * points) as f64, &mut redis);
    stop.0.cancel();
    Ok(())
}

type Stop = (CancellationToken, Arc<skyline_mirror::compat::State>);

async fn write(
    folder: &tempfile::TempDir,
    server: &Server,
    options: &Options,
    [metrics, points]: [u64; 2],
    clock: &Clock,
) -> anyhow::Result<Stop> {
    let (journal, _) = Journal::open(skyline_journal::Options {
        dir: folder.path().to_owned(),
        max_bytes: 4 << 30,
        segment_bytes: 64 << 20,
        memory_bytes: 64 << 20,
        durability: Durability::Process,
        when_full: WhenFull::Block,
        min_free_percent: 0.0,
    })?;
    let reader = journal.reader("redis", Scope::Everything)?;
    let compat = Compat::new(server.clone(), options.clone(), Arc::new(None_));
    let (state, stop) = (compat.state(), CancellationToken::new());
    let ending = stop.clone();
    tokio::spawn(async move { compat.run(reader, ending).await });
    let names: Vec<_> =
        (0..metrics).map(|n| format!("servers.web{:04}.metric{:03}", n / 100, n % 100)).collect();
    for point in 0..points {
        let ts = START + 60.0 * point as f64;
        clock.set(ts);
        for names in names.chunks(1_000) {
            let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
            let mut builder = BatchBuilder::new(source, ts);
            for name in names {
                builder.point(name.as_bytes(), ts, ts / 7.0).ok().context("a point is refused")?;
            }
            journal.append(builder.finish().context("an empty batch")?).await?;
        }
    }
    while state.written() < metrics * points {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok((stop, state))
}

async fn adopt(server: &Server, redis: &mut Redis) -> anyhow::Result<()> {
    let meter = Meter::start(redis);
    let mut adoption = Adoption::new(server.clone(), "metrics.");
    while adoption.next().await?.is_some() {}
    let adopted = adoption.adopted();
    meter.print("adopted", adopted.points as f64, redis);
    println!("         {} windows, {} bytes", adopted.metrics, adopted.bytes);
    Ok(())
}

/// Waits for a round of trimming that began after this.
async fn trimmed(state: &skyline_mirror::compat::State) -> anyhow::Result<()> {
    let rounds = || {
        let mut figures = Vec::new();
        state.figures(&mut figures);
        figure(&figures, "skyline_redis_trim_rounds_total")
    };
    let before = rounds();
    let start = Instant::now();
    while rounds() < before + 2.0 {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(600), "no round of trimming");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
