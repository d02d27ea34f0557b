//! Windows in Redis, layout `chunks`: written as they change, taken over by a node without a disk, written again
//! after Redis has lost them.

use anyhow::Context as _;
use skyline_peers::redis::{Cluster, Redis, Sentinels};
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::steady::{self, Steady, Watch};
use skyline_tests::{copied, day, eventually_true, load, now, size};
use std::time::Duration;

/// The metric that the API removes.
const SEEDED: &str = "horizon.test.pickle";
/// Nodes that share a Redis take each other's shards over when one is late by half of it.
const WRITE_SECONDS: f64 = 3.0;
const LIMIT: Duration = Duration::from_secs(30);

fn with_redis(redis: &Redis) -> Setup {
    Setup::window()
        .with("redis.servers", format!("[{:?}]", redis.unix()))
        .with("redis.write_seconds", WRITE_SECONDS)
        .with("redis.timeout_seconds", 1)
}

/// Every shard has been written since now.
fn is_copied(node: &Node) -> anyhow::Result<()> {
    copied::all_shards(node, WRITE_SECONDS, LIMIT)
}

fn same_windows(a: &Node, b: &Node, metrics: &[String]) -> anyhow::Result<()> {
    for metric in metrics {
        let (expected, found) = (a.series(metric)?, b.series(metric)?);
        anyhow::ensure!(expected == found, "{metric}: {} and {} points", expected.len(), found.len());
    }
    Ok(())
}

#[test]
fn a_node_without_a_disk_goes_on_where_the_last_one_stopped() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = day::names(40);
    let mut first = with_redis(&redis).start()?;
    day::send(&first, &metrics)?;
    let expected = metrics.iter().map(|metric| first.series(metric)).collect::<anyhow::Result<Vec<_>>>()?;
    first.stop(LIMIT)?;

    let second = with_redis(&redis).start()?;
    for (metric, expected) in metrics.iter().zip(&expected) {
        anyhow::ensure!(second.series(metric)? == *expected, "{metric}");
    }
    let seen = second.metrics()?;
    assert_eq!(seen.sum("skyline_mirror_adopted_total", &[]), 40.0);
    assert_eq!(seen.sum("skyline_mirror_shards_of_others", &[]), 0.0);
    let anomaly = day::bad_point(&second, &metrics[7])?;
    let counted = anomaly.get("window_points").and_then(serde_json::Value::as_u64);
    assert!(counted.is_none_or(|points| points > 1_400), "{anomaly}");
    second.balanced()?;
    Ok(())
}

#[test]
fn what_was_written_before_a_kill_is_there() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = day::names(10);
    let first = with_redis(&redis).start()?;
    day::send(&first, &metrics)?;
    is_copied(&first)?;
    let expected = metrics.iter().map(|metric| first.series(metric)).collect::<anyhow::Result<Vec<_>>>()?;
    drop(first);
    // The killed one has released nothing: the next takes its windows, and writes once it is sure to have gone.
    let second = with_redis(&redis).start()?;
    for (metric, expected) in metrics.iter().zip(&expected) {
        anyhow::ensure!(second.series(metric)? == *expected, "{metric}");
    }
    eventually_true(LIMIT, "its shards are taken over", || {
        second.metrics().is_ok_and(|m| {
            m.sum("skyline_mirror_shards_of_others", &[]) == 0.0
                && m.sum("skyline_mirror_hand_outs_total", &[]) > 0.0
        })
    })?;
    Ok(())
}

#[test]
fn a_redis_that_lost_everything_has_it_again() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    let metrics = day::names(30);
    let first = with_redis(&redis).start()?;
    day::send(&first, &metrics)?;
    is_copied(&first)?;
    redis.restart_empty()?;
    eventually_true(LIMIT, "Redis has the windows again", || {
        redis.cli(&["dbsize"]).is_ok_and(|size| size.trim().parse::<u64>().is_ok_and(|keys| keys > 100))
    })?;
    is_copied(&first)?;
    // Emptied without a restart.
    redis.cli(&["flushall"])?;
    is_copied(&first)?;
    let other = with_redis(&redis).start()?;
    same_windows(&first, &other, &metrics)?;
    // The other one has seen that they are in use.
    assert!(other.metrics()?.sum("skyline_mirror_shards_of_others", &[]) > 0.0);
    assert_eq!(first.metrics()?.sum("skyline_mirror_shards_of_others", &[]), 0.0);
    Ok(())
}

#[test]
fn a_removed_metric_does_not_come_back() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = vec![SEEDED.to_owned(), "shop.host01.latency".to_owned()];
    let mut first = with_redis(&redis).start()?;
    day::send(&first, &metrics)?;
    is_copied(&first)?;
    let answer = skyline_tests::http::ask("DELETE", first.api(), "/api/v1/seed")?;
    assert_eq!(answer.status / 100, 2, "{}", answer.text());
    first.stop(LIMIT)?;
    let second = with_redis(&redis).start()?;
    assert_eq!(second.series(&metrics[1])?.len(), day::MINUTES as usize);
    assert_eq!(second.series(SEEDED)?, []);
    Ok(())
}

#[test]
fn a_restart_with_its_disk_writes_only_what_is_new() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = day::names(20);
    let mut node = with_redis(&redis).start()?;
    day::send(&node, &metrics)?;
    node.stop(LIMIT)?;
    node.restart()?;
    load::bytes(node.plaintext(), format!("{} 201 {}\n", metrics[0], now() / 60 * 60))?;
    is_copied(&node)?;
    let seen = node.metrics()?;
    // The new point may have sealed a block.
    let written = seen.sum("skyline_mirror_points_total", &[]);
    assert!(written <= 120.0, "blocks of {written} points were written again");
    assert_eq!(seen.sum("skyline_mirror_adopted_total", &[]), 0.0);
    let other = with_redis(&redis).start()?;
    same_windows(&node, &other, &metrics)?;
    Ok(())
}

/// What arrives at the sink and is judged goes on while something happens to Redis; all of it is in Redis after.
fn rides_out(setup: Setup, trouble: impl FnOnce(&mut Watch<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let setup = setup.with("relay.destinations", format!("[{:?}]", sink.destination()));
    let node = setup.start()?;
    let metrics = day::names(20);
    day::send(&node, &metrics)?;
    is_copied(&node)?;
    let steady = Steady::to(&node)?;
    let mut watch = Watch::of(&sink);
    trouble(&mut watch)?;
    let all = steady.end() + 20 * day::MINUTES as u64;
    eventually_true(LIMIT, "every point at the sink", || sink.received() >= all)?;
    anyhow::ensure!(watch.longest() < Duration::from_secs(1), "nothing arrived for {:?}", watch.longest());
    eventually_true(LIMIT, "every point is stored", || {
        node.metrics().is_ok_and(|m| m.sum("skyline_window_stored_total", &[]) as u64 == all)
    })?;
    is_copied(&node)?;
    let bad = metrics.first().context("a metric")?;
    day::bad_point(&node, bad)?;
    is_copied(&node)?;
    let other = setup.start()?;
    same_windows(&node, &other, &metrics)?;
    same_windows(&node, &other, &(0..steady::METRICS).map(steady::name).collect::<Vec<_>>())?;
    node.balanced()?;
    Ok(())
}

#[test]
fn a_redis_that_hangs_or_is_killed_disturbs_nothing() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    rides_out(with_redis(&redis), |watch| {
        redis.pause();
        watch.go_on(Duration::from_secs(size(4, 30)));
        redis.resume();
        watch.go_on(Duration::from_secs(3));
        redis.kill()?;
        watch.go_on(Duration::from_secs(size(3, 30)));
        redis.restart()?;
        watch.go_on(Duration::from_secs(3));
        Ok(())
    })
}

fn with_cluster(cluster: &Cluster) -> anyhow::Result<Setup> {
    let password = cluster.nodes.first().context("a node")?.password_file("a secret")?;
    let addresses: Vec<String> = cluster.addresses();
    Ok(Setup::window()
        .with("redis.servers", format!("{addresses:?}"))
        .with("redis.kind", "\"cluster\"")
        .with("redis.password_file", format!("{password:?}"))
        .with("redis.write_seconds", WRITE_SECONDS)
        .with("redis.timeout_seconds", 1))
}

#[test]
fn slots_of_a_cluster_that_move_lose_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::start(Some("a secret"))?;
    rides_out(with_cluster(&cluster)?, |watch| {
        let masters = cluster.masters();
        cluster.move_slots(masters[0], masters[1], size(600, 4_000), Some("a secret"))?;
        watch.go_on(Duration::from_secs(4));
        cluster.move_slots(masters[1], masters[2], size(600, 4_000), Some("a secret"))?;
        watch.go_on(Duration::from_secs(2));
        Ok(())
    })
}

#[test]
fn a_cluster_that_loses_a_master_goes_on() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Some("a secret"))?;
    rides_out(with_cluster(&cluster)?, |watch| {
        let master = cluster.masters()[1];
        cluster.nodes[master].kill()?;
        watch.go_on(Duration::from_secs(size(8, 30)));
        Ok(())
    })
}

#[test]
fn the_sentinels_next_master_goes_on() -> anyhow::Result<()> {
    let mut sentinels = Sentinels::start("a secret")?;
    let password = sentinels.servers[0].password_file("a secret")?;
    let setup = Setup::window()
        .with("redis.servers", format!("{:?}", sentinels.addresses()))
        .with("redis.kind", "\"sentinel\"")
        .with("redis.sentinel_master", format!("{:?}", Sentinels::MASTER))
        .with("redis.password_file", format!("{password:?}"))
        .with("redis.write_seconds", WRITE_SECONDS)
        .with("redis.timeout_seconds", 1);
    rides_out(setup, |watch| {
        let before = sentinels.master_port();
        sentinels.servers[0].kill()?;
        watch.go_on(Duration::from_secs(size(10, 30)));
        anyhow::ensure!(sentinels.master_port() != before, "the replica is no master");
        Ok(())
    })
}

#[test]
fn nodes_share_a_redis_and_give_each_other_shards() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let metrics = day::names(60);
    let part = |shards: &str| with_redis(&redis).with("window.shards", format!("{shards:?}"));
    let (mut left, mut right) = (part("0-511").start()?, part("512-1023").start()?);
    let lines: String = metrics.iter().map(|metric| load::lines(metric, 300, 60, now() / 60 * 60)).collect();
    for node in [&left, &right] {
        load::bytes(node.plaintext(), &lines)?;
        node.has_received(300 * metrics.len() as u64, LIMIT)?;
    }
    let has = |node: &Node, metric: &str| node.series(metric).map(|points| points.len());
    eventually_true(LIMIT, "each has its half", || {
        metrics.iter().all(|metric| {
            let sum = has(&left, metric).unwrap_or(0) + has(&right, metric).unwrap_or(0);
            sum == 300
        })
    })?;
    let mine: Vec<_> = metrics.iter().filter(|metric| has(&left, metric).is_ok_and(|n| n == 300)).collect();
    assert!((10..50).contains(&mine.len()), "{}", mine.len());
    left.stop(LIMIT)?;
    right.stop(LIMIT)?;
    // The second takes the shards of the first as well, beside its own files.
    right.set("window.shards", "\"\"")?;
    right.restart()?;
    for metric in &metrics {
        assert_eq!(has(&right, metric)?, 300, "{metric}");
    }
    Ok(())
}
