//! A node with an empty disk and a full Redis: how long until it judges with full windows.

use crate::filled::Filled;
use crate::program::{Program, Running};
use crate::workload::Workload;
use anyhow::Context as _;
use carbon_load::workload::Workload as Series;
use skyline_peers::redis::Redis;
use skyline_tests::node::{Node, Setup};
use skyline_tests::{eventually_true, load, now, port};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Minutes of each window.
const MINUTES: u32 = 1_440;
/// Keys that are written without looking at the answers.
const AT_ONCE: u64 = 100;

/// Both layouts; the Markdown that says how long it took.
pub(crate) fn run(workload: &Workload, metrics: u64) -> anyhow::Result<String> {
    let (chunks, chunks_memory) = from_chunks(workload, metrics)?;
    let (reference, reference_memory) = from_the_reference(metrics)?;
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Ok(format!(
        "| windows of {metrics} metrics, {MINUTES} points each, taken from Redis | judging after | resident in Redis |\n|---|---:|---:|\n\
         | chunks | {chunks:.1} s | {:.2} GiB |\n| as the reference leaves them | {reference:.1} s | {:.2} GiB |\n",
        gib(chunks_memory),
        gib(reference_memory)
    ))
}

fn memory(redis: &Redis) -> anyhow::Result<u64> {
    let text = redis.cli(&["info", "memory"])?;
    let line = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|value| value.trim().parse().ok()).context("Redis does not say how much it uses")
}

fn from_chunks(workload: &Workload, metrics: u64) -> anyhow::Result<(f64, u64)> {
    let redis = Redis::start()?;
    let filled = Filled::make(metrics, MINUTES)?;
    let address = format!("[{:?}]", redis.unix());
    let load = Workload { metrics, ..workload.clone() };
    let set_up = |setup: Setup| setup.with("redis.servers", &address).with("redis.write_seconds", 30);
    let running = Running::start(Program::Node, &load, Some(&filled), &[port::free()], set_up)?;
    let Running::Node { mut node, _state } = running else { anyhow::bail!("another program was started") };
    eventually_true(Duration::from_secs(300), "all shards in Redis", || {
        node.metrics().is_ok_and(|m| m.sum("skyline_mirror_hand_outs_total", &[]) >= 1_024.0)
    })?;
    node.stop(Duration::from_secs(60))?;
    Ok((judges_after(&redis, metrics)?, memory(&redis)?))
}

fn from_the_reference(metrics: u64) -> anyhow::Result<(f64, u64)> {
    let redis = Redis::start()?;
    eprintln!("filling Redis with {metrics} windows as the reference leaves them");
    let start_ts = now() / 60 * 60 - 60 * i64::from(MINUTES - 1);
    let points = u64::from(MINUTES);
    let series = Series { prefix: "load".to_owned(), metrics, points, start_ts, step: 60, seed: 1 };
    let path = redis.unix();
    let mut stream = UnixStream::connect(path.strip_prefix("unix://").unwrap_or(&path))?;
    let (mut name, mut value, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..metrics {
        name.clear();
        name.extend_from_slice(b"metrics.");
        series.write_name(i, &mut name);
        value.clear();
        for point in 0..points {
            value.extend_from_slice(&[0x92, 0xce]);
            value.extend_from_slice(&(series.timestamp(point) as u32).to_be_bytes());
            value.push(0xcb);
            value.extend_from_slice(&series.value(i, point).to_be_bytes());
        }
        command(&[b"SET", &name, &value], &mut out);
        command(&[b"SADD", b"metrics.unique_metrics", &name], &mut out);
        if (i + 1) % AT_ONCE == 0 || i + 1 == metrics {
            stream.write_all(&out)?;
            out.clear();
            let (mut answers, mut buffer) = (0, [0; 4096]);
            let wanted = 2 * (i % AT_ONCE + 1);
            while answers < wanted {
                let n = stream.read(&mut buffer)?;
                anyhow::ensure!(n > 0, "Redis has closed the connection");
                answers += buffer.iter().take(n).filter(|byte| **byte == b'\n').count() as u64;
            }
        }
    }
    Ok((judges_after(&redis, metrics)?, memory(&redis)?))
}

/// Adds a command in the form in which Redis takes it.
pub(crate) fn command(words: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Seconds from the start of a node without a disk until a bad point is judged on a whole window.
fn judges_after(redis: &Redis, metrics: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let node: Node = Setup::window()
        .with("node.log", "\"warn\"")
        .with("redis.servers", format!("[{:?}]", redis.unix()))
        .with("redis.write_seconds", 30)
        .start_within(Duration::from_secs(300))?;
    let taken = node.metrics()?.sum("skyline_mirror_adopted_total", &[]);
    anyhow::ensure!(taken as u64 == metrics, "{taken} of {metrics} windows were taken");
    let mut name = Vec::new();
    let series = Series { prefix: "load".to_owned(), metrics, points: 1, start_ts: 0, step: 60, seed: 1 };
    series.write_name(metrics / 2, &mut name);
    let name = String::from_utf8(name)?;
    load::bytes(node.plaintext(), format!("{name} 1e9 {}\n", now()))?;
    eventually_true(Duration::from_secs(10), "the bad point is found", || {
        node.anomalies(&name).is_ok_and(|found| !found.is_empty())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let points = node.series(&name)?.len();
    anyhow::ensure!(points >= MINUTES as usize - 30, "a window has {points} points");
    Ok(seconds)
}
