//! What was only filled in is in Redis too, and the next node takes it from there.

use crate::rig::{LIMIT, counts, fake, history, number, report};
use anyhow::ensure;
use skyline_peers::redis::Redis;
use skyline_tests::node::Setup;
use skyline_tests::{eventually, eventually_true, load};
use std::sync::Arc;

/// Layout `compat`: the keys are those of Skyline, which know nothing of who sent what.
#[test]
fn what_was_only_filled_in_comes_back_from_redis() -> anyhow::Result<()> {
    let history = Arc::new(history(5));
    let server = fake(&history, |_| None)?;
    let redis = Redis::start()?;
    let setup = || {
        Setup::window()
            .with("redis.servers", format!("[{:?}]", redis.unix()))
            .with("redis.layout", "\"compat\"")
            .with("redis.write_seconds", 1)
    };
    let mut node = setup().start()?;
    // One of them has a live point, whose value stays.
    let sent = "shop.host00002.latency";
    let (live, _) = history[sent][700];
    load::bytes(node.plaintext(), format!("{sent} 7 {live}\n"))?;
    eventually_true(LIMIT, "the live point", || node.series(sent).is_ok_and(|points| points.len() == 1))?;
    let done = report(&node, &["--graphite", &format!("http://{}", server.address)])?;
    ensure!(done["phase"] == "done" && counts(&done)[2] == 1, "{done}");
    let stored = counts(&done)[1];
    eventually_true(LIMIT, "all points in Redis", || {
        node.metrics().is_ok_and(|metrics| metrics.sum("skyline_redis_points_total", &[]) as u64 > stored)
    })?;
    let had: Vec<_> = history.keys().map(|name| node.series(name)).collect::<Result<_, _>>()?;
    node.stop(LIMIT)?;

    // Without the disk of the first, and without Graphite.
    let next = setup().start()?;
    for (name, had) in history.keys().zip(&had) {
        let found = eventually(LIMIT, name, || next.series(name).ok().filter(|points| !points.is_empty()))?;
        ensure!(found == *had, "{name}: {} points instead of {}", found.len(), had.len());
    }
    ensure!(next.series(sent)?.contains(&(live as f64, 7.0)), "the live point is gone");
    ensure!(next.status()?.received() == 0 && number(&done, "/metrics") == 5, "counted as received");
    // And nothing is lacking.
    let again = report(&next, &["--graphite", &format!("http://{}", server.address)])?;
    ensure!(again["phase"] == "done" && counts(&again)[1] == 0, "{again}");
    Ok(())
}
