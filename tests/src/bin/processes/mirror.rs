//! The node with its windows copied to Redis, and without: what the copy costs the node, and what it costs Redis.

use crate::filled::Filled;
use crate::program::{Program, Running};
use crate::run::{self, Run};
use crate::workload::Workload;
use crate::{table, takeover};
use anyhow::Context as _;
use skyline_peers::redis::Redis;
use skyline_tests::eventually_true;
use skyline_tests::node::Setup;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Points of a metric between two writes of its shard. With a point a minute that is the default of a quarter of an hour.
const POINTS_A_WRITE: u64 = 15;
/// Points that are written the reference's way, each by itself.
const REFERENCE_POINTS: u64 = 200_000;

/// How windows are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    No,
    Chunks,
    Compat,
}

impl Copied {
    const ALL: [Self; 3] = [Self::No, Self::Chunks, Self::Compat];

    const fn name(self) -> &'static str {
        match self {
            Self::No => "no copy",
            Self::Chunks => "chunks",
            Self::Compat => "compat",
        }
    }
}

/// What a run cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    node: Run,
    /// CPU seconds of Redis per million points.
    redis_cpu: f64,
    commands_a_point: f64,
    bytes_a_point: f64,
    /// Memory of Redis by points of all windows, bytes.
    memory_a_point: f64,
}

/// All of it by turns; the Markdown that says what it cost.
pub(crate) fn run(workload: &Workload, runs: u32) -> anyhow::Result<String> {
    let filled = Filled::make(workload.metrics, workload.history.context("a load with windows")?)?;
    let mut costs: Vec<(Copied, Vec<Cost>)> = Copied::ALL.map(|copied| (copied, Vec::new())).into();
    for n in 0..runs {
        if n % 2 == 1 {
            costs.reverse();
        }
        for (copied, done) in &mut costs {
            let cost = one(workload, &filled, *copied)?;
            eprintln!("run {} of {runs}, {}: {cost:?}", n + 1, copied.name());
            done.push(cost);
        }
    }
    costs.sort_by_key(|(copied, _)| *copied as u8);
    let mut out = format!(
        "{}; every shard is written once in {POINTS_A_WRITE} points of a metric. Medians of {runs} runs by turns.\n\n\
         | copy | node, CPU-s/M | against none | Redis, CPU-s/M | commands a point | bytes sent a point | Redis memory, bytes a point held |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        workload.what
    );
    let of = |costs: &[Cost], f: fn(&Cost) -> f64| table::median(costs.iter().map(f).collect());
    let none = costs.first().map_or(f64::NAN, |(_, costs)| of(costs, |c| c.node.cpu));
    for (copied, costs) in &costs {
        let node = of(costs, |c| c.node.cpu);
        out.push_str(&format!(
            "| {} | {node:.3} | {:.2} | {:.3} | {:.4} | {:.1} | {:.1} |\n",
            copied.name(),
            node / none,
            of(costs, |c| c.redis_cpu),
            of(costs, |c| c.commands_a_point),
            of(costs, |c| c.bytes_a_point),
            of(costs, |c| c.memory_a_point),
        ));
    }
    let (cpu, memory) = reference()?;
    out.push_str(&format!(
        "| as the reference: an APPEND and a SADD for each point | | | {cpu:.3} | 2 | | {memory:.1} |\n"
    ));
    Ok(out)
}

fn one(workload: &Workload, filled: &Filled, copied: Copied) -> anyhow::Result<Cost> {
    let mut redis = Redis::start()?;
    let per_second = workload.rate.context("a load with a rate")? as f64 / workload.metrics as f64;
    let address = format!("[{:?}]", redis.unix());
    let setup = |setup: Setup| match copied {
        Copied::No => setup,
        Copied::Chunks | Copied::Compat => setup
            .with("redis.servers", address)
            .with("redis.layout", format!("{:?}", copied.name()))
            .with("redis.trim_seconds", 0)
            .with("redis.write_seconds", POINTS_A_WRITE as f64 / per_second),
    };
    let mut before = (0.0, 0, 0);
    let prepare = |running: &Running| {
        match copied {
            Copied::No => {}
            Copied::Chunks => is_whole(running)?,
            Copied::Compat => is_mended(running, &redis, workload.metrics)?,
        }
        before = (
            redis.process().cpu_seconds(),
            info(&redis, "stats", "total_commands_processed")?,
            info(&redis, "stats", "total_net_input_bytes")?,
        );
        Ok(())
    };
    let node = run::run_with(workload, Program::Node, Some(filled), setup, prepare)?;
    let points = workload.measured() as f64;
    let held = (workload.metrics * u64::from(workload.history.unwrap_or(1))) as f64;
    let commands = info(&redis, "stats", "total_commands_processed")? - before.1;
    let bytes = info(&redis, "stats", "total_net_input_bytes")? - before.2;
    let memory = info(&redis, "memory", "used_memory_dataset")?;
    Ok(Cost {
        node,
        redis_cpu: (redis.process().cpu_seconds() - before.0) / points * 1e6,
        commands_a_point: commands as f64 / points,
        bytes_a_point: bytes as f64 / points,
        memory_a_point: memory as f64 / held,
    })
}

/// Waits until Redis has all windows.
fn is_whole(running: &Running) -> anyhow::Result<()> {
    let Running::Node { node, .. } = running else { return Ok(()) };
    eventually_true(Duration::from_secs(300), "all shards in Redis", || {
        node.metrics().is_ok_and(|m| {
            m.sum("skyline_mirror_hand_outs_total", &[]) >= 1_024.0
                && m.sum("skyline_mirror_shards_behind", &[]) == 0.0
        })
    })
}

/// Waits until every key has what its window has.
fn is_mended(running: &Running, redis: &Redis, metrics: u64) -> anyhow::Result<()> {
    let Running::Node { node, .. } = running else { return Ok(()) };
    eventually_true(Duration::from_secs(600), "all windows in Redis", || {
        let keys = redis.cli(&["scard", "metrics.unique_metrics"]);
        let has_all = keys.is_ok_and(|keys| keys.trim().parse::<u64>().is_ok_and(|n| n >= metrics));
        has_all && node.metrics().is_ok_and(|m| m.sum("skyline_redis_gap", &[]) == 0.0)
    })
}

fn info(redis: &Redis, section: &str, field: &str) -> anyhow::Result<u64> {
    let text = redis.cli(&["info", section])?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("Redis does not say {field}"))
}

/// CPU seconds of Redis per million points, and bytes a point, when each is written by itself as the reference does.
fn reference() -> anyhow::Result<(f64, f64)> {
    let mut redis = Redis::start()?;
    let path = redis.unix();
    let mut stream = UnixStream::connect(path.strip_prefix("unix://").unwrap_or(&path))?;
    let cpu = redis.process().cpu_seconds();
    let (mut command, mut answer) = (Vec::new(), [0; 64]);
    for i in 0..REFERENCE_POINTS {
        let key = format!("metrics.servers.host{:03}.cpu.user", i % 100);
        let ts = 1_700_000_000 + (i / 100) as u32 * 60;
        let pair = [&[0x92, 0xce][..], &ts.to_be_bytes(), &[0xcb], &(i as f64 / 8.0).to_be_bytes()].concat();
        command.clear();
        takeover::command(&[b"APPEND", key.as_bytes(), &pair], &mut command);
        takeover::command(&[b"SADD", b"metrics.unique_metrics", key.as_bytes()], &mut command);
        stream.write_all(&command)?;
        // Two integers.
        let mut lines = 0;
        while lines < 2 {
            let n = stream.read(&mut answer)?;
            anyhow::ensure!(n > 0, "Redis has closed the connection");
            lines += answer.iter().take(n).filter(|byte| **byte == b'\n').count();
        }
    }
    let cpu = (redis.process().cpu_seconds() - cpu) / REFERENCE_POINTS as f64 * 1e6;
    Ok((cpu, info(&redis, "memory", "used_memory_dataset")? as f64 / REFERENCE_POINTS as f64))
}
