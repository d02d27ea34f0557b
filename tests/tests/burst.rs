//! Half a million points at once, with the settings that a fresh installation has.

use skyline_tests::node::Setup;
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, load};
use std::time::Duration;

const METRICS: u64 = 10_000;
const POINTS: u64 = 50;

#[test]
fn an_unpaced_burst_arrives_whole() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let node = Setup::relay([sink.destination()]).without("window.enabled").start()?;
    let sent = load::send(node.plaintext(), |a| (a.metrics, a.points) = (METRICS, POINTS))?;
    assert_eq!(sent.sent, METRICS * POINTS);
    sink.has(METRICS * POINTS, Duration::from_secs(30))?;
    sink.is_exactly(&sent.digest)?;
    eventually_true(Duration::from_secs(30), "all points in the window", || {
        node.status().is_ok_and(|s| s.number("/window/stored") == METRICS * POINTS)
    })?;
    let metrics = node.balanced()?;
    assert_eq!(metrics.sum("skyline_relay_refused_points_total", &[]), 0.0);
    assert_eq!(metrics.sum("skyline_journal_shed_points_total", &[]), 0.0);
    Ok(())
}

#[test]
fn a_burst_of_pickles_arrives_whole() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Pickle)?;
    let node = Setup::relay([sink.destination()]).start()?;
    let sent = load::send(node.pickle(), |a| {
        (a.metrics, a.points, a.protocol) = (METRICS, 20, carbon_load::encode::Protocol::Pickle);
    })?;
    sink.has(METRICS * 20, Duration::from_secs(15))?;
    sink.is_exactly(&sent.digest)?;
    node.balanced()?;
    Ok(())
}
