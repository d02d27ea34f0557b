//! Settings of the copy in Redis that change between two runs of a node: its layout, and how long windows are.

use anyhow::Context as _;
use skyline_peers::redis::Redis;
use skyline_tests::node::{Node, Setup};
use skyline_tests::{copied, day, eventually_true, load, now};
use std::time::Duration;

const WRITE_SECONDS: f64 = 2.0;
const LIMIT: Duration = Duration::from_secs(60);

fn with_redis(redis: &Redis) -> Setup {
    Setup::window()
        .with("redis.servers", format!("[{:?}]", redis.unix()))
        .with("redis.write_seconds", WRITE_SECONDS)
        .with("redis.timeout_seconds", 1)
}

type Series = Vec<(f64, f64)>;

fn windows(node: &Node, metrics: &[String]) -> anyhow::Result<Vec<Series>> {
    metrics.iter().map(|metric| node.series(metric)).collect()
}

/// A point of each metric, `minutes` after the last of its history.
fn one_more(node: &Node, metrics: &[String], minutes: i64) -> anyhow::Result<()> {
    let ts = now() / 60 * 60 - 60 + minutes * 60;
    let lines: String = metrics.iter().map(|metric| format!("{metric} 201.5 {ts}\n")).collect();
    load::bytes(node.plaintext(), lines)?;
    eventually_true(LIMIT, "the point is stored", || {
        metrics.iter().all(|metric| {
            node.series(metric).is_ok_and(|points| points.last().is_some_and(|(last, _)| *last == ts as f64))
        })
    })
}

#[test]
fn another_layout_and_back() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = day::names(20);
    let mut node = with_redis(&redis).with("redis.layout", "\"chunks\"").start()?;
    day::send(&node, &metrics)?;
    node.stop(LIMIT)?;

    node.set("redis.layout", "\"compat\"")?;
    node.restart()?;
    one_more(&node, &metrics, 1)?;
    eventually_true(LIMIT, "every key has its window", || {
        let keys = redis.cli(&["scard", "metrics.unique_metrics"]);
        keys.is_ok_and(|keys| keys.trim() == "20")
            && node.metrics().is_ok_and(|m| m.sum("skyline_redis_gap", &[]) == 0.0)
    })?;
    let expected = windows(&node, &metrics)?;
    node.stop(LIMIT)?;
    // Skyline's layout alone is enough for a node without a disk.
    let other = with_redis(&redis).with("redis.layout", "\"compat\"").start()?;
    eventually_true(LIMIT, "the other has the windows", || {
        windows(&other, &metrics).is_ok_and(|found| found == expected)
    })?;
    drop(other);

    node.set("redis.layout", "\"chunks\"")?;
    node.restart()?;
    one_more(&node, &metrics, 2)?;
    copied::all_shards(&node, WRITE_SECONDS, LIMIT)?;
    let expected = windows(&node, &metrics)?;
    node.stop(LIMIT)?;
    let other = with_redis(&redis).start()?;
    eventually_true(LIMIT, "the other has the newest windows", || {
        windows(&other, &metrics).is_ok_and(|found| found == expected)
    })
}

#[test]
fn longer_and_shorter_windows() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = day::names(20);
    let mut node = with_redis(&redis).with("window.full_duration_seconds", 86_400).start()?;
    day::send(&node, &metrics)?;
    node.stop(LIMIT)?;

    for (minute, hours) in [(1, 6), (2, 24)] {
        let full_duration = (hours * 3_600).to_string();
        node.set("window.full_duration_seconds", &full_duration)?;
        node.restart()?;
        one_more(&node, &metrics, minute)?;
        copied::all_shards(&node, WRITE_SECONDS, LIMIT)?;
        let expected = windows(&node, &metrics)?;
        let points = expected.first().context("a window")?.len();
        assert!((300..=day::MINUTES as usize + 2).contains(&points), "{hours} h: {points} points");
        node.stop(LIMIT)?;
        // Another node has the same from Redis, whatever older points are there.
        let other = with_redis(&redis)
            .with("window.full_duration_seconds", &full_duration)
            .with("redis.write_seconds", 2.0 * WRITE_SECONDS)
            .start()?;
        eventually_true(LIMIT, "the other has the windows", || {
            let Ok(found) = windows(&other, &metrics) else { return false };
            let ends = |all: &[Series]| {
                all.iter().map(|s| s[s.len().saturating_sub(300)..].to_vec()).collect::<Vec<_>>()
            };
            found.iter().all(|series| series.len() >= 300) && ends(&found) == ends(&expected)
        })
        .with_context(|| {
            let found = windows(&other, &metrics).unwrap_or_default();
            let brief = |all: &[Series]| {
                all.iter().map(|s| (s.len(), s.first().copied(), s.last().copied())).collect::<Vec<_>>()
            };
            format!("{hours} h: {:?}, not {:?}", brief(&found), brief(&expected))
        })?;
        // It is killed when it has just written a shard, which the next run of the node has to get back from it.
        eventually_true(LIMIT, "it writes a shard", || {
            other.metrics().is_ok_and(|m| m.sum("skyline_mirror_hand_outs_total", &[]) > 0.0)
        })?;
    }
    Ok(())
}
