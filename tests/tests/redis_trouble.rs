//! What may stand in a Redis under our keys, and what may be done to it: a node starts all the same, takes what is sound,
//! mends what is not, and ends in time.

use skyline_peers::redis::Redis;
use skyline_tests::node::{Node, Setup};
use skyline_tests::{day, eventually_true, load, now};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
const WRITE_SECONDS: f64 = 2.0;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("shop.host{i:02}.latency")).collect()
}

fn with_redis(redis: &Redis) -> Setup {
    Setup::window()
        .with("redis.servers", format!("[{:?}]", redis.unix()))
        .with("redis.write_seconds", WRITE_SECONDS)
        .with("redis.timeout_seconds", 1)
}

fn keys(redis: &Redis, pattern: &str) -> anyhow::Result<Vec<String>> {
    let text = redis.cli(&["--scan", "--pattern", pattern])?;
    let mut keys: Vec<String> = text.lines().map(str::to_owned).collect();
    keys.sort();
    Ok(keys)
}

fn all_series(node: &Node, metrics: &[String]) -> anyhow::Result<Vec<Vec<(f64, f64)>>> {
    metrics.iter().map(|metric| node.series(metric)).collect()
}

#[test]
fn foreign_and_damaged_values_are_left_out_and_replaced() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = names(40);
    let mut first = with_redis(&redis).start()?;
    day::send(&first, &metrics)?;
    let expected = all_series(&first, &metrics)?;
    first.stop(LIMIT)?;
    let open = keys(&redis, "skyline:*:open")?;
    let key = |i: usize| open.get(i).map(String::as_str).unwrap_or_default();
    // Of another type, cut off, of a later version, no chunk at all, of the year 2100, of no time.
    redis.cli(&["DEL", key(0)])?;
    redis.cli(&["HSET", key(0), "a", "b"])?;
    redis.cli(&[
        "EVAL",
        "redis.call('SET', KEYS[1], redis.call('GETRANGE', KEYS[1], 0, 200))",
        "1",
        key(1),
    ])?;
    redis.cli(&["EVAL", "redis.call('SETRANGE', KEYS[1], 4, '\\9\\0\\0\\0')", "1", key(2)])?;
    redis.cli(&["SET", key(3), "hello"])?;
    redis.cli(&[
        "EVAL",
        "redis.call('SETRANGE', KEYS[1], 16, struct.pack('<d', 4102444800))",
        "1",
        key(4),
    ])?;
    redis.cli(&["EVAL", "redis.call('SETRANGE', KEYS[1], 16, string.rep('\\255', 8))", "1", key(5)])?;
    let blocks = keys(&redis, &key(6).replace(":open", ":blocks:*"))?;
    let block = blocks.first().cloned().unwrap_or_default();
    redis.cli(&["DEL", &block])?;
    redis.cli(&["LPUSH", &block, "x"])?;
    redis.cli(&["HSET", blocks.last().map(String::as_str).unwrap_or_default(), "zzz", "not a chunk"])?;
    redis.cli(&["SET", "metrics.unique_metrics", "no set"])?;

    let second = with_redis(&redis).start()?;
    let found = all_series(&second, &metrics)?;
    let whole = std::iter::zip(&expected, &found).filter(|(expected, found)| expected == found).count();
    assert!(whole + 8 >= metrics.len(), "{whole} whole windows");
    for (expected, found) in std::iter::zip(&expected, &found) {
        assert!(found.iter().all(|point| expected.contains(point)), "points that nobody sent");
    }
    assert!(second.metrics()?.sum("skyline_mirror_damaged_total", &[]) >= 6.0);
    eventually_true(3 * LIMIT, "all is written again", || {
        open.iter().all(|key| redis.cli(&["TYPE", key]).is_ok_and(|kind| kind == "string"))
            && redis.cli(&["TYPE", &block]).is_ok_and(|kind| kind != "list")
            && second.metrics().is_ok_and(|m| {
                m.sum("skyline_mirror_shards_behind", &[]) + m.sum("skyline_mirror_shards_of_others", &[])
                    == 0.0
            })
    })?;
    let third = with_redis(&redis).start()?;
    assert_eq!(all_series(&third, &metrics)?, found);
    Ok(())
}

#[test]
fn a_stop_while_redis_hangs_ends_in_time() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    let metrics = names(10);
    let mut node = with_redis(&redis).with("redis.timeout_seconds", 5).start()?;
    day::send(&node, &metrics)?;
    redis.pause();
    let time = now() / 60 * 60;
    load::bytes(node.plaintext(), metrics.iter().map(|m| format!("{m} 7 {time}\n")).collect::<String>())?;
    let start = Instant::now();
    node.stop(LIMIT)?;
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    redis.resume();
    node.restart()?;
    assert_eq!(node.series(&metrics[3])?.last(), Some(&(time as f64, 7.0)));
    Ok(())
}

#[test]
fn a_full_redis_keeps_what_it_has_until_there_is_room() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = names(30);
    let mut first = with_redis(&redis).start()?;
    day::send(&first, &metrics)?;
    first.stop(LIMIT)?;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1000000"])?;
    let before = keys(&redis, "skyline:*:blocks:*")?;
    first.restart()?;
    let time = now() / 60 * 60;
    load::bytes(first.plaintext(), metrics.iter().map(|m| format!("{m} 7 {time}\n")).collect::<String>())?;
    eventually_true(LIMIT, "it is said that Redis is full", || {
        first.ask("/-/status").is_ok_and(|status| status.text().contains("maxmemory"))
    })?;
    assert_eq!(keys(&redis, "skyline:*:blocks:*")?, before);
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"])?;
    let expected = all_series(&first, &metrics)?;
    first.stop(LIMIT)?;
    let second = with_redis(&redis).start()?;
    assert_eq!(all_series(&second, &metrics)?, expected);
    Ok(())
}
