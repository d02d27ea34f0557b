//! A Redis that Skyline has filled: its windows are taken over, nothing of it is rewritten unless layout `compat` asks for that, and
//! what is written by that layout reads as Skyline reads it.

use skyline_peers::python;
use skyline_peers::redis::Redis;
use skyline_tests::node::{Node, Setup};
use skyline_tests::{day, eventually_true, load, now};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// What Skyline's worker does with each point.
const WRITE: &str = r"
pipe = r.pipeline()
for line in sys.stdin:
    name, ts, value = line.split()
    pipe.append('metrics.' + name, packb((int(ts), float(value))))
    pipe.sadd('metrics.unique_metrics', 'metrics.' + name)
pipe.execute()
";
/// All windows as Skyline's analyzer unpacks them, a line each.
const READ: &str = r"
for key in sorted(r.smembers('metrics.unique_metrics')):
    unpacker = Unpacker(use_list=False)
    unpacker.feed(r.get(key))
    print(key.decode()[len('metrics.'):], *['%d:%r' % (ts, value) for ts, value in unpacker])
";

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("shop.host{i:02}.latency")).collect()
}

/// Points by metric.
type Windows = Vec<(String, Vec<(f64, f64)>)>;

/// Fills Redis as Skyline does, with a day of each metric.
fn fill(redis: &Redis, metrics: &[String]) -> anyhow::Result<Windows> {
    let windows: Windows = metrics
        .iter()
        .map(|name| {
            (name.clone(), day::history(name).into_iter().map(|(_, ts, value)| (ts, value)).collect())
        })
        .collect();
    let points = windows.iter().flat_map(|(name, points)| points.iter().map(move |point| (name, point)));
    let lines: String = points.map(|(name, (ts, value))| format!("{name} {ts} {value:?}\n")).collect();
    python::run(redis, WRITE, &lines)?;
    Ok(windows)
}

fn has_all(node: &Node, windows: &Windows) -> anyhow::Result<()> {
    for (metric, points) in windows {
        anyhow::ensure!(node.series(metric)? == *points, "{metric}");
    }
    Ok(())
}

fn with_redis(redis: &Redis, layout: &str) -> Setup {
    Setup::window()
        .with("redis.servers", format!("[{:?}]", redis.unix()))
        .with("redis.layout", format!("{layout:?}"))
        .with("redis.write_seconds", 1)
}

#[test]
fn skylines_windows_are_taken_over_and_left_as_they_are() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = names(30);
    let windows = fill(&redis, &metrics)?;
    let before = python::run(&redis, READ, "")?;
    let node = with_redis(&redis, "chunks").start()?;
    has_all(&node, &windows)?;
    let anomaly = day::bad_point(&node, &metrics[11])?;
    assert!(anomaly.get("algorithms_triggered").is_some(), "{anomaly}");
    assert_eq!(python::run(&redis, READ, "")?, before);
    // And its own layout has them too.
    eventually_true(LIMIT, "chunks beside them", || {
        redis.cli(&["--scan", "--pattern", "skyline:*:open"]).is_ok_and(|keys| keys.lines().count() >= 29)
    })?;
    assert_eq!(python::run(&redis, READ, "")?, before);
    Ok(())
}

#[test]
fn skylines_tools_read_what_is_written_for_them() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = names(10);
    let windows = fill(&redis, &metrics)?;
    let mut node = with_redis(&redis, "compat").start()?;
    has_all(&node, &windows)?;
    let time = now() / 60 * 60;
    load::bytes(node.plaintext(), format!("{} 5000 {time}\nshop.new 1.5 {time}\n", metrics[3]))?;
    let reads = |line: &str| {
        python::run(&redis, READ, "").is_ok_and(|text| text.lines().any(|found| found.ends_with(line)))
    };
    eventually_true(LIMIT, "the new metric in Redis", || reads(&format!("shop.new {time}:1.5")))?;
    eventually_true(LIMIT, "the new point in Redis", || reads(&format!(" {time}:5000.0")))?;
    eventually_true(LIMIT, "the anomaly", || {
        node.anomalies(&metrics[3]).is_ok_and(|found| !found.is_empty())
    })?;
    let text = python::run(&redis, READ, "")?;
    assert_eq!(text.lines().count(), 11);
    let points = |name: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.map_or(0, |line| line.split(' ').count() - 1)
    };
    assert_eq!(
        (points(&metrics[3]), points(&metrics[4])),
        (day::MINUTES as usize + 1, day::MINUTES as usize)
    );
    node.balanced()?;
    node.stop(LIMIT)?;
    // The next node without a disk takes those.
    let next = with_redis(&redis, "compat").start()?;
    assert_eq!(next.series(&metrics[3])?.len(), day::MINUTES as usize + 1);
    assert_eq!(next.series("shop.new")?, [(time as f64, 1.5)]);
    Ok(())
}
