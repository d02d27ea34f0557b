//! A node whose stores are all away starts, forwards and judges, and says what it lacks; when they come it
//! says so, and what waited is there.

use anyhow::Context as _;
use serde_json::Value;
use skyline_peers::mariadb::MariaDb;
use skyline_peers::memcached::Memcached;
use skyline_peers::redis::Redis;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{day, eventually, eventually_true, load, now};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const METRIC: &str = "shop.checkout.latency";

/// What `/-/ready` says of each store: its name, its state, what waits for it.
fn stores(node: &Node) -> anyhow::Result<Vec<(String, String, u64)>> {
    let answer = node.ask("/-/ready")?;
    anyhow::ensure!(answer.status == 200, "not ready: {}", answer.text());
    let answer = answer.json()?;
    let rows = answer.get("stores").and_then(Value::as_array).context("no stores")?;
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let waiting = |row: &Value| row.get("waiting").and_then(Value::as_u64).unwrap_or(u64::MAX);
    Ok(rows.iter().map(|row| (text(row, "store"), text(row, "state"), waiting(row))).collect())
}

/// Waits until all of them are `state`.
fn all_are(node: &Node, state: &str) -> anyhow::Result<()> {
    let mut last = Vec::new();
    let outcome = eventually_true(SOON, &format!("every store is {state}"), || {
        last = stores(node).unwrap_or_default();
        last.len() == 3 && last.iter().all(|(_, is, _)| is == state)
    });
    outcome.with_context(|| format!("{last:?}"))
}

/// Lines of `skyline doctor` and whether all is well.
fn doctor(node: &Node) -> anyhow::Result<(Vec<String>, bool)> {
    let output = node.command("doctor")?;
    let text = format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    Ok((text.lines().map(str::to_owned).collect(), output.status.success()))
}

#[track_caller]
fn has(lines: &[String], expected: &str) {
    assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected} in {lines:#?}");
}

#[test]
fn stores_that_are_away_and_come() -> anyhow::Result<()> {
    let (mut maria, mut redis, mut memcached) = (MariaDb::start()?, Redis::start()?, Memcached::start()?);
    let database = maria.database()?;
    maria.kill()?;
    redis.kill()?;
    memcached.kill()?;
    let sink = Sink::start(Protocol::Lines)?;
    let node = Setup::relay([sink.address()])
        .with("window.enabled", true)
        .with("redis.servers", format!("[{:?}]", redis.tcp()))
        .with("redis.write_seconds", 10)
        .with("record.server", format!("\"mysql://{}/{}\"", maria.address(), database.name()))
        .with("record.user", "\"root\"")
        .with("memcached.address", format!("{:?}", memcached.address()))
        .start()?;
    all_are(&node, "away")?;

    day::send(&node, &[METRIC.to_owned()])?;
    load::bytes(node.plaintext(), format!("{METRIC} 5000 {}\n", now() / 60 * 60))?;
    sink.has(day::MINUTES as u64 + 1, SOON)?;
    eventually_true(SOON, "the anomaly waits for the record", || {
        stores(&node)
            .is_ok_and(|all| all.iter().any(|(store, _, waiting)| store == "record" && *waiting == 1))
    })?;
    let (lines, is_good) = doctor(&node)?;
    assert!(!is_good, "{lines:#?}");
    has(&lines, "problem  record: the node is without it");
    has(&lines, "problem  record: the server cannot be reached");
    has(&lines, "problem  redis: the node is without it");
    has(&lines, &format!("problem  redis: {}: ", redis.tcp()));
    has(&lines, "warning  memcached: the node is without it");
    has(&lines, "ok       ledger: ");
    has(&lines, "ok       verdicts: ");
    let metrics = node.metrics()?;
    for store in ["record", "redis", "memcached"] {
        assert_eq!(metrics.sum("skyline_store_up", &[("store", store)]), 0.0, "{store}");
    }

    maria.restart()?;
    redis.restart()?;
    memcached.restart()?;
    all_are(&node, "up")?;
    let found =
        eventually(SOON, "what waited is recorded", || node.anomalies(METRIC).ok()?.into_iter().next())?;
    assert_eq!(found.get("value").and_then(Value::as_f64), Some(5000.0), "{found}");
    eventually_true(SOON, "nothing waits any more", || {
        stores(&node).is_ok_and(|all| all.iter().all(|(.., waiting)| *waiting == 0))
    })?;
    memcached.has_keys(2)?;
    let (lines, is_good) = doctor(&node)?;
    assert!(is_good, "{lines:#?}");
    has(&lines, &format!("ok       record: mysql://{}/{}: MariaDB", maria.address(), database.name()));
    has(&lines, &format!("ok       redis: {}: Redis", redis.tcp()));
    has(&lines, "ok       memcached: 127.0.0.1:");
    has(&lines, &format!("ok       last anomaly: {METRIC} at "));
    let status = String::from_utf8(node.command("status")?.stdout)?;
    for store in ["record", "redis", "memcached"] {
        assert!(
            status.lines().any(|line| line.starts_with(store) && line.contains(" up since ")),
            "{status}"
        );
    }
    for store in ["record", "redis", "memcached"] {
        assert_eq!(node.metrics()?.sum("skyline_store_up", &[("store", store)]), 1.0, "{store}");
    }
    let log = node.process.log();
    assert!(log.contains("memcached does not answer") && log.contains("memcached answers"), "{log}");
    node.balanced()?;
    Ok(())
}

#[test]
fn a_doctor_without_a_node_looks_at_what_there_is() -> anyhow::Result<()> {
    let memcached = Memcached::start()?;
    let mut node = Setup::window().with("memcached.address", format!("{:?}", memcached.address())).start()?;
    assert!(node.stop(SOON)?.success());
    let (lines, is_good) = doctor(&node)?;
    assert!(!is_good, "{lines:#?}");
    has(&lines, "problem  node: no node runs with these settings: nobody listens at 127.0.0.1:");
    has(&lines, "ok       listen.plaintext_tcp: ");
    has(&lines, "ok       record: ");
    has(&lines, &format!("ok       memcached: {}: memcached 1.", memcached.address()));
    node.relaunch()?;
    // A node that is not ready yet is no problem, only a warning.
    eventually_true(SOON, "all is well again", || {
        doctor(&node).is_ok_and(|(lines, is_good)| {
            is_good && lines.iter().any(|line| line.starts_with("ok       node: test answers at "))
        })
    })?;
    Ok(())
}

#[test]
fn a_doctor_names_a_destination_that_is_something_else() -> anyhow::Result<()> {
    // The node's own API is a web server.
    let web = Setup::window().start()?;
    let node = Setup::relay([web.api()]).start()?;
    let looked = eventually(SOON, "the web server is named", || {
        load::bytes(node.plaintext(), format!("a.b 1 {}\n", now())).ok()?;
        let (lines, is_good) = doctor(&node).ok()?;
        let is_named = lines.iter().any(|line| line.contains("a web server answers there"));
        (is_named && !is_good).then_some(lines)
    })?;
    has(&looked, "problem  relay.destinations: ");
    Ok(())
}
