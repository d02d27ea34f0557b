//! A journal that is full because a destination is away: history waits, pushes nothing out, and can be cancelled meanwhile.

use crate::rig::{LIMIT, backfill, counts, fake, history, number, report};
use anyhow::ensure;
use serde_json::Value;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink, destination};
use skyline_tests::{eventually, eventually_true, load, long, now, port};
use std::sync::Arc;
use std::time::Duration;

/// More points than the journal below holds: 1440 a metric.
const METRICS: u64 = 150;
const LIVE: u32 = 2_000;
/// How long all that has waited may take, in the end.
const LONG: Duration = Duration::from_secs(90);

fn waits(node: &Node, times: usize) -> anyhow::Result<Value> {
    eventually_true(LONG, "it waits for room", || {
        node.process.log().matches("the back-fill waits: the journal is full").count() >= times
    })?;
    let found = report(node, &["--status"])?;
    ensure!(
        found.get("phase").is_some_and(|phase| phase == "filling") && number(&found, "/position") < METRICS,
        "{found}"
    );
    ensure!(node.metrics()?.sum("skyline_journal_shed_points_total", &[]) == 0.0, "points were pushed out");
    Ok(found)
}

#[test]
fn nothing_is_pushed_out_for_history() -> anyhow::Result<()> {
    let history = Arc::new(history(METRICS));
    let server = fake(&history, |_| None)?;
    let url = format!("http://{}", server.address);
    let away = port::free();
    let mut node = Setup::window()
        .with("relay.destinations", format!("[{:?}]", destination(away, Protocol::Lines)))
        .with("journal.max_bytes", 4 << 20)
        .with("journal.segment_bytes", 1 << 20)
        .with("journal.memory_bytes", 1 << 20)
        .with("journal.when_full", "\"shed_oldest\"")
        .with("backfill.requests_per_second", 500)
        .start()?;
    load::bytes(node.plaintext(), load::lines("live", LIVE, 1, now()))?;
    node.has_received(u64::from(LIVE), LIMIT)?;
    let begin = || -> anyhow::Result<()> {
        let begun = backfill(&node, &["--graphite", &url, "--detach"])?;
        ensure!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
        Ok(())
    };
    begin()?;
    let waiting = waits(&node, 1)?;
    let before = number(&waiting, "/position");
    // Whoever cancels it need not wait for the destination.
    ensure!(backfill(&node, &["--cancel"])?.status.success(), "not cancelled");
    let cancelled = eventually(Duration::from_secs(10), "its end", || {
        report(&node, &["--status"]).ok().filter(|found| found["phase"] == "cancelled")
    })?;
    let [points, stored, there, refused] = counts(&cancelled);
    ensure!(points == stored + there + refused && number(&cancelled, "/position") >= before, "{cancelled}");

    begin()?;
    waits(&node, 2)?;
    // So need who stops the node.
    ensure!(node.stop(Duration::from_secs(10))?.success(), "no good end");
    ensure!(node.process.log().contains("the back-fill goes on at the next start"), "{}", node.process.log());
    node.restart()?;
    let told = node.process.log().matches("the back-fill waits: the journal is full").count();
    waits(&node, told.max(1))?;

    let sink = Sink::start_at(away, Protocol::Lines)?;
    sink.has(u64::from(LIVE), LONG)?;
    // What was read is kept for a minute: in so small a journal the rest takes some of them.
    if long() {
        let done = eventually(Duration::from_secs(600), "the rest", || {
            report(&node, &["--status"]).ok().filter(|found| found["phase"] == "done")
        })?;
        ensure!(number(&done, "/position") == METRICS, "{done}");
    }
    ensure!(node.metrics()?.sum("skyline_journal_shed_points_total", &[]) == 0.0, "points were pushed out");
    ensure!(sink.names().iter().all(|name| !name.starts_with("shop.")), "history was forwarded");
    Ok(())
}
