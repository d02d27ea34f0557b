//! Destinations that are down, reset their connections, hang or are slow: each gets every point in
//! the end, and none harms another.

use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Manner, Protocol, Sink, destination};
use skyline_tests::{eventually_true, load, port, size};
use std::time::{Duration, Instant};

const METRICS: u64 = 2_000;

/// Sends `points` points of distinct keys; the report's digest says which.
fn send(node: &Node, points: u64) -> anyhow::Result<carbon_load::send::SendReport> {
    load::send(node.plaintext(), |a| (a.metrics, a.points) = (METRICS, points / METRICS))
}

#[test]
fn points_wait_for_a_destination_that_is_down() -> anyhow::Result<()> {
    let points = size(100_000, 1_000_000);
    let limit = Duration::from_secs(size(15, 120));
    let other = Sink::start(Protocol::Lines)?;
    let down = port::free();
    let node = Setup::relay([other.destination(), destination(down, Protocol::Lines)]).start()?;
    let sent = send(&node, points)?;
    other.has(points, limit)?;
    other.is_exactly(&sent.digest)?;
    let account = node.status()?.destination(down.port())?;
    assert_eq!((account.connected, account.waiting, account.shed), (false, points, 0), "{account:?}");
    let up = Sink::start_at(down, Protocol::Lines)?;
    up.has(points, limit)?;
    up.is_exactly(&sent.digest)?;
    eventually_true(limit, "nothing waits", || {
        node.status()
            .and_then(|s| s.destination(down.port()))
            .is_ok_and(|d| d.waiting == 0 && d.delivered == points)
    })?;
    node.balanced()?;
    Ok(())
}

#[test]
fn points_outlive_the_node_while_a_destination_is_down() -> anyhow::Result<()> {
    let down = port::free();
    let mut node = Setup::relay([destination(down, Protocol::Pickle)]).start()?;
    let sent = send(&node, 20_000)?;
    node.has_received(20_000, Duration::from_secs(10))?;
    for _ in 0..2 {
        node.process.kill()?;
        node.restart()?;
    }
    let up = Sink::start_at(down, Protocol::Pickle)?;
    up.has(20_000, Duration::from_secs(10))?;
    up.is_exactly(&sent.digest)
}

#[test]
fn connections_that_are_reset_lose_nothing() -> anyhow::Result<()> {
    for protocol in [Protocol::Lines, Protocol::Pickle] {
        let sink = Sink::start(protocol)?;
        let node =
            Setup::relay([sink.destination()]).with("relay.sending.retry_min_seconds", 0.05).start()?;
        sink.behave(Manner::Reset);
        let sent = send(&node, 50_000)?;
        eventually_true(Duration::from_secs(10), "five resets", || sink.connections() >= 5)?;
        sink.behave(Manner::Read);
        sink.has(50_000, Duration::from_secs(10))?;
        sink.is_exactly(&sent.digest)?;
        node.balanced()?;
    }
    Ok(())
}

#[test]
fn a_destination_that_hangs_is_given_up_and_harms_no_other() -> anyhow::Result<()> {
    let (hanging, other) = (Sink::start(Protocol::Lines)?, Sink::start(Protocol::Pickle)?);
    hanging.behave(Manner::Hang);
    let node = Setup::relay([hanging.destination(), other.destination()])
        .with("relay.sending.stall_seconds", 1.0)
        .start()?;
    let start = Instant::now();
    let sent = send(&node, 100_000)?;
    other.has(100_000, Duration::from_secs(10))?;
    other.is_exactly(&sent.digest)?;
    assert!(start.elapsed() < Duration::from_secs(10));
    eventually_true(Duration::from_secs(10), "another connection is tried", || hanging.connections() >= 2)?;
    hanging.behave(Manner::Read);
    hanging.has(100_000, Duration::from_secs(15))?;
    hanging.is_exactly(&sent.digest)?;
    node.balanced()?;
    Ok(())
}

#[test]
fn a_slow_destination_harms_no_other() -> anyhow::Result<()> {
    let (slow, other) = (Sink::start(Protocol::Lines)?, Sink::start(Protocol::Lines)?);
    slow.behave(Manner::Slow(1_000));
    let node = Setup::relay([slow.destination(), other.destination()]).start()?;
    let sent = send(&node, 100_000)?;
    other.has(100_000, Duration::from_secs(10))?;
    assert!(slow.received() < 50_000, "the slow one is not slow");
    slow.behave(Manner::Read);
    slow.has(100_000, Duration::from_secs(15))?;
    slow.is_exactly(&sent.digest)
}

#[test]
fn a_destination_that_blocks_pauses_the_senders_and_loses_nothing() -> anyhow::Result<()> {
    let slow = Sink::start(Protocol::Lines)?;
    slow.behave(Manner::Hang);
    let node = Setup::relay([slow.destination()])
        .with("relay.sending.when_behind", "\"block\"")
        .with("relay.sending.mark_points", 20_000)
        .start()?;
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&node, 600_000));
        eventually_true(Duration::from_secs(10), "a pause", || {
            node.metrics().is_ok_and(|m| m.sum("skyline_relay_paused_seconds_total", &[]) > 0.5)
        })?;
        let received = node.status()?.received();
        anyhow::ensure!(received < 500_000, "{received} points were taken although the destination blocks");
        slow.behave(Manner::Read);
        sender.join().map_err(|_| anyhow::anyhow!("the sender failed"))?
    })?;
    slow.has(600_000, Duration::from_secs(20))?;
    slow.is_exactly(&sent.digest)
}
