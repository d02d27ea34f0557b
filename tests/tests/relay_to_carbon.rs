//! Real carbon on both sides: every point that is sent is in carbon-cache's files.

use anyhow::Context as _;
use skyline_tests::node::Setup;
use skyline_tests::peer::c_relay::CRelay;
use skyline_tests::peer::carbon_cache::{CarbonCache, STEP};
use skyline_tests::peer::carbon_relay::CarbonRelay;
use skyline_tests::{eventually_true, load, now};
use std::net::SocketAddr;
use std::time::Duration;

const METRICS: u32 = 40;
const POINTS: u32 = 50;
/// carbon writes files at its leisure.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends lines to `to` and finds each of them in the files of `cache`.
fn all_arrive(to: SocketAddr, cache: &CarbonCache) -> anyhow::Result<()> {
    let last = now() / STEP * STEP;
    let names: Vec<_> = (0..METRICS).map(|i| format!("shop.host-{i:02}.cpu.user")).collect();
    let text: String = names.iter().map(|name| load::lines(name, POINTS, STEP, last)).collect();
    load::bytes(to, text)?;
    let first = last - STEP * i64::from(POINTS - 1);
    let expected: Vec<_> = (0..POINTS).map(|i| (first + STEP * i64::from(i), f64::from(i))).collect();
    for name in &names {
        let mut found = Vec::new();
        eventually_true(PATIENCE, &format!("all points of {name} in its file"), || {
            found = cache.points(name).unwrap_or_default();
            found == expected
        })
        .with_context(|| format!("in the file: {found:?}"))?;
    }
    Ok(())
}

#[test]
fn carbon_relay_by_rules_to_carbon_cache_with_pickles_all_the_way() -> anyhow::Result<()> {
    let cache = CarbonCache::start()?;
    let node = Setup::relay([format!("{}:pickle", cache.pickle())]).start()?;
    let relay = CarbonRelay::start(node.pickle())?;
    all_arrive(relay.line(), &cache)?;
    let metrics = node.balanced()?;
    let from_relay = metrics.sum("skyline_relay_received_points_total", &[("listener", "pickle_tcp")]);
    assert_eq!(from_relay, f64::from(METRICS * POINTS));
    Ok(())
}

#[test]
fn carbon_c_relay_to_carbon_cache_with_lines_all_the_way() -> anyhow::Result<()> {
    let cache = CarbonCache::start()?;
    let node = Setup::relay([format!("{}:line", cache.line())]).start()?;
    let relay = CRelay::start(&[node.plaintext()], &[])?;
    all_arrive(relay.line(), &cache)?;
    node.balanced()?;
    Ok(())
}

#[test]
fn carbon_cache_restarted_under_load_misses_nothing() -> anyhow::Result<()> {
    let mut cache = CarbonCache::start()?;
    let node = Setup::relay([format!("{}:line", cache.line())]).start()?;
    // A day of minutes for each: 140,000 points, less than may have to be sent again.
    let (names, count) = ((0..100).map(|i| format!("restart.m{i:02}")).collect::<Vec<_>>(), 1_400);
    let last = now() / STEP * STEP;
    for part in names.chunks(25) {
        let text: String = part.iter().map(|name| load::lines(name, count, STEP, last)).collect();
        load::bytes(node.plaintext(), text)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    cache.restart()?;
    for name in &names {
        let mut found = 0;
        eventually_true(PATIENCE, &format!("all points of {name} in its file"), || {
            found = cache.points(name).unwrap_or_default().len();
            found == count as usize
        })
        .with_context(|| format!("in the file: {found} points"))?;
    }
    node.balanced()?;
    Ok(())
}
