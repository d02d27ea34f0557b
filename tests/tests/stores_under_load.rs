//! Redis, MariaDB and memcached of one node are stopped, killed and started again in turn, under load: points arrive
//! and are judged as if nothing were, every anomaly is recorded once, and Redis has all windows again soon after.

use skyline_peers::mariadb::{Database, MariaDb};
use skyline_peers::memcached::Memcached;
use skyline_peers::redis::Redis;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::steady::{self, Steady, Watch};
use skyline_tests::{copied, day, eventually_true, load, now, size};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const WRITE_SECONDS: f64 = 3.0;

/// The next of them turns bad.
fn turn_bad(node: &Node, left: &mut Vec<String>) -> anyhow::Result<()> {
    if let Some(metric) = left.pop() {
        load::bytes(node.plaintext(), format!("{metric} 5000 {}\n", now() / 60 * 60))?;
    }
    Ok(())
}

/// Milliseconds from receipt to verdict, of 99 in 100, over the last minute or two.
fn p99_ms(node: &Node) -> anyhow::Result<f64> {
    Ok(node.metrics()?.sum("skyline_verdict_latency_seconds", &[("quantile", "0.99")]) * 1e3)
}

/// Whether every anomaly is there once, and no other.
fn is_recorded(database: &Database, bad: usize) -> bool {
    let rows = database.run(
        "SELECT m.name, COUNT(*), SUM(a.recurrences) FROM anomaly a JOIN metric m ON m.id = a.metric_id \
         WHERE m.name LIKE 'shop.%' GROUP BY m.name",
    );
    let rows = rows.unwrap_or_default();
    rows.lines().count() == bad && rows.lines().all(|row| row.ends_with("\t1\t0"))
}

#[test]
fn nothing_that_happens_to_stores_is_felt() -> anyhow::Result<()> {
    let (mut maria, mut redis, mut memcached) = (MariaDb::start()?, Redis::start()?, Memcached::start()?);
    let database = maria.database()?;
    let sink = Sink::start(Protocol::Lines)?;
    let setup = Setup::window()
        .with("relay.destinations", format!("[{:?}]", sink.destination()))
        .with("redis.servers", format!("[{:?}]", redis.unix()))
        .with("redis.write_seconds", WRITE_SECONDS)
        .with("redis.timeout_seconds", 1)
        .with("record.server", format!("{:?}", database.url()))
        .with("record.user", "\"root\"")
        .with("memcached.address", format!("{:?}", memcached.address()));
    let node = setup.start()?;
    let all = day::names(24);
    day::send(&node, &all)?;
    let mut left = all.clone();
    let steady = Steady::to(&node)?;
    let mut watch = Watch::of(&sink);
    let pause = Duration::from_secs(size(2, 30));
    // The figure is of up to two minutes: whole, it does not see the burst of the history any more.
    watch.go_on(Duration::from_secs(size(3, 130)));
    let before = p99_ms(&node)?;

    let mut during = 0.0_f64;
    let mut look_on = |watch: &mut Watch<'_>, left: &mut Vec<String>| -> anyhow::Result<()> {
        turn_bad(&node, left)?;
        watch.go_on(pause);
        // Asked while a store hangs, as a page would.
        node.anomalies(&all[0])?;
        turn_bad(&node, left)?;
        during = during.max(p99_ms(&node)?);
        Ok(())
    };
    redis.pause();
    look_on(&mut watch, &mut left)?;
    redis.resume();
    maria.pause();
    // The API reads the record, and says that it is away.
    turn_bad(&node, &mut left)?;
    watch.go_on(pause);
    maria.resume();
    memcached.pause();
    look_on(&mut watch, &mut left)?;
    memcached.resume();
    redis.kill()?;
    maria.kill()?;
    memcached.kill()?;
    turn_bad(&node, &mut left)?;
    watch.go_on(pause);
    turn_bad(&node, &mut left)?;
    redis.restart_empty()?;
    maria.restart()?;
    memcached.restart()?;
    let back = Instant::now();
    look_on(&mut watch, &mut left)?;
    copied::all_shards(&node, WRITE_SECONDS, LIMIT)?;
    anyhow::ensure!(back.elapsed() < LIMIT + pause, "Redis had all windows only after {:?}", back.elapsed());

    let sent = steady.end();
    let bad = all.len() - left.len();
    let points = sent + (all.len() as i64 * day::MINUTES) as u64 + bad as u64;
    eventually_true(LIMIT, "every point at the sink", || sink.received() >= points)?;
    anyhow::ensure!(watch.longest() < Duration::from_secs(1), "nothing arrived for {:?}", watch.longest());
    eventually_true(LIMIT, "every point stored", || {
        node.metrics().is_ok_and(|m| m.sum("skyline_window_stored_total", &[]) as u64 == points)
    })?;
    eventually_true(LIMIT, "every anomaly recorded once", || is_recorded(&database, bad))?;
    let figures = node.metrics()?;
    let looked_at = figures.sum("skyline_detect_judged_total", &[])
        + figures.sum("skyline_detect_gated_total", &[])
        + figures.sum("skyline_detect_resets_total", &[]);
    anyhow::ensure!(looked_at as u64 == points, "{looked_at} of {points} points were looked at");
    copied::all_shards(&node, WRITE_SECONDS, LIMIT)?;
    let other = setup.start()?;
    for metric in all.iter().cloned().chain((0..steady::METRICS).map(steady::name)) {
        anyhow::ensure!(other.series(&metric)? == node.series(&metric)?, "{metric}");
    }
    eprintln!(
        "p99 from receipt to verdict: {before:.2} ms before, {during:.2} ms during; longest time without a point: {:?}",
        watch.longest()
    );
    node.balanced()?;
    Ok(())
}
