//! All points, each once; servers that go away and come back; `kill -9`.

use crate::rig::{LIMIT, copies, job, job_is, most_failures, number, said, vista};
use crate::servers::{Servers, asked};
use anyhow::ensure;
use serde_json::Value;
use skyline_peers::prometheus::PASSWORD;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::carbon_cache::{self, CarbonCache};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually, eventually_true, now, size};
use std::time::{Duration, Instant};

#[test]
fn all_that_is_there_but_for_the_current_minute() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let servers = Servers::start(5, 10)?;
    let node = servers.node(&sink).start()?;
    let until = asked(&node, 4, 1)?;
    ensure!(until.values().all(|until| until % 60 == 59), "{until:?}");
    servers.arrived(&node, &sink, |job| until[job], true)?;
    // Nothing of the current minute came, whatever minute it is by now.
    let until = asked(&node, 4, 1)?;
    let newest = sink.names().iter().filter_map(|name| sink.series(name).keys().next_back().copied()).max();
    ensure!(
        newest.is_some_and(|newest| until.values().any(|until| newest <= *until)),
        "{newest:?} {until:?}"
    );

    let output = vista(&node, &["test", "load"])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in
        ["load: 2 series from ", " -> prom.a:9100.load, ", " -> prom.b:9100.load, ", "nothing was stored"]
    {
        ensure!(
            output.status.success() && words.contains(part),
            "{part}: {words}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let output = vista(&node, &["test", "nobody"])?;
    let words = said(&output);
    ensure!(!output.status.success() && words.contains("load, checkout"), "{words}");
    let output = vista(&node, &["status"])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && words.contains("load: ") && words.contains("checkout: "), "{words}");
    let load = job(&node, "load")?;
    ensure!(load["series"] == 2 && load["failures_in_a_row"] == 0 && load["kind"] == "prometheus", "{load}");
    ensure!(number(&load, "/points/history") > 0 && number(&load, "/points/live") > 0, "{load}");
    ensure!(node.metrics()?.sum("skyline_vista_points_total", &[("job", "checkout")]) > 100.0);
    ensure!(!node.process.log().contains(PASSWORD) && !load.to_string().contains(PASSWORD), "shown");
    node.balanced()?;
    Ok(())
}

/// How long the node is away, seconds: twenty of the time between two fetches.
fn outage() -> i64 {
    size(20, 1_200) as i64
}

/// A node to which what was missed is history, as twenty minutes are, and not late points.
fn scaled(servers: &Servers, sink: &Sink) -> Setup {
    let seconds = size(5, 300);
    let node = servers.node(sink).with("vista.skip_current_minute", false);
    node.with("vista.live_seconds", seconds).with("vista.late_seconds", seconds)
}

/// Times that came more than once, by name: how many, the first and the last.
fn twice(sink: &Sink) -> Vec<(String, usize, i64, i64)> {
    let row = |name: String| {
        let series = sink.series(&name);
        let times: Vec<_> = series.iter().filter(|(_, (_, times))| *times > 1).map(|(ts, _)| *ts).collect();
        Some((name, times.len(), *times.first()?, *times.last()?))
    };
    sink.names().into_iter().filter_map(row).collect()
}

/// Points that the file of the node's destination says are delivered: what a start after a kill goes by.
fn written_down(node: &Node) -> u64 {
    let files =
        std::fs::read_dir(node.folder().join("state/journal/positions")).into_iter().flatten().flatten();
    let own = files.filter(|file| file.file_name().to_string_lossy().starts_with("dest"));
    let text: String = own.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    text.lines().find_map(|line| line.strip_prefix("delivered ")?.parse().ok()).unwrap_or(0)
}

#[test]
fn what_the_servers_missed_is_fetched_once() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let mut servers = Servers::start(1, 1)?;
    // Prometheus gives the newest sample for five minutes, so the points of every second are the same whenever asked.
    let node = scaled(&servers, &sink).start()?;
    asked(&node, 2, 1)?;
    let (down, start) = (now(), Instant::now());
    servers.prometheus.process.kill()?;
    servers.graphite.process.kill()?;
    for name in ["load", "checkout"] {
        let first = job_is(&node, name, "it fails", |job| job["state"] == "failing")?;
        ensure!(!vista(&node, &["status"])?.status.success(), "failing jobs are called good");
        let enough =
            |job: &Value| number(job, "/failures_in_a_row") >= 5 && now() >= down + size(0, 1_200) as i64;
        let limit = LIMIT + Duration::from_secs(size(0, 1_800));
        let last = eventually(limit, &format!("{name} fails on"), || job(&node, name).ok().filter(enough))?;
        // Later and later, and a question for each; one more may be under way.
        let [failures, questions] =
            ["/failures_in_a_row", "/questions"].map(|key| number(&last, key) - number(&first, key));
        let failed = number(&last, "/failures_in_a_row");
        ensure!((failures..=failures + 1).contains(&questions), "{name}: {first} and then {last}");
        ensure!(failed <= most_failures(start), "{name}: {failed} failures in {:?}", start.elapsed());
    }
    let back = now();
    servers.prometheus.restart()?;
    servers.graphite.restart()?;
    let until = asked(&node, 3, back)?;
    servers.arrived(&node, &sink, |job| until[job], true)?;
    ensure!(copies(&sink) == 0, "{} points came twice", copies(&sink));
    node.balanced()?;
    Ok(())
}

#[test]
fn what_the_node_missed_is_fetched_once() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let servers = Servers::start(1, 1)?;
    // The sink reads everything: what was sent need not be sent again.
    let mut node = scaled(&servers, &sink).with("relay.sending.resend_bytes", 0).start()?;
    let mut until = asked(&node, 2, 1)?;
    let sent = sink.received();
    eventually_true(LIMIT, "what was sent of the history is written down", || written_down(&node) >= sent)?;
    let pauses = [0, 1, outage()];
    for pause in pauses {
        node.process.kill()?;
        let down = now();
        // Nothing else says how long it is away: the servers have a point each second.
        std::thread::sleep(Duration::from_secs(pause.unsigned_abs()));
        node.restart()?;
        until = asked(&node, 2, down + pause)?;
    }
    servers.arrived(&node, &sink, |job| until[job], false)?;
    // Of three series a point a second each: what lay between journal and cursor, and between the sink and the mark of
    // what was sent, is a matter of a moment.
    let (copies, most) = (copies(&sink), pauses.len() as u64 * 3 * 5);
    println!("{copies} copies of {} points after {} kills", sink.distinct(), pauses.len());
    ensure!(copies <= most, "{copies} copies, more than {most}: {:?}", twice(&sink));
    node.balanced()?;
    Ok(())
}

#[test]
fn what_is_in_carbon_cache_is_what_the_servers_had() -> anyhow::Result<()> {
    let mut carbon = CarbonCache::start()?;
    let sink = Sink::start(Protocol::Lines)?;
    let servers = Servers::start(carbon_cache::STEP, carbon_cache::STEP as u32)?;
    let node = servers
        .node(&sink)
        .with("relay.destinations", format!("[\"{}:pickle\"]", carbon.pickle()))
        .start()?;
    let until = asked(&node, 2, 1)?;
    for (name, expected) in servers.all(|job| until[job]) {
        let mut found = crate::rig::Points::new();
        eventually_true(LIMIT, &format!("all of {name} in carbon-cache"), || {
            found = carbon.points(name).unwrap_or_default().into_iter().collect();
            found.len() >= expected.len()
        })?;
        crate::rig::same(name, "carbon-cache", &found, &expected)?;
        let current = now().div_euclid(60) * 60;
        ensure!(found.keys().all(|ts| *ts < current), "{name}: the current minute is there");
    }
    carbon.must_run()?;
    node.balanced()?;
    Ok(())
}
