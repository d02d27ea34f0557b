//! SIGTERM: what is in the node is delivered or kept, the last line says what is left, and the next
//! start goes on from there.

use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Manner, Protocol, Sink};
use skyline_tests::{eventually, eventually_true, load, now};
use std::time::{Duration, Instant};

const POINTS: u64 = 50_000;

fn send(node: &Node) -> anyhow::Result<String> {
    let sent = load::send(node.plaintext(), |a| (a.metrics, a.points) = (1_000, POINTS / 1_000))?;
    node.has_received(POINTS, Duration::from_secs(10))?;
    Ok(sent.digest)
}

#[test]
fn what_was_taken_is_delivered_before_the_end() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Pickle)?;
    let mut node = Setup::relay([sink.destination()]).start()?;
    sink.behave(Manner::Slow(60_000));
    let digest = send(&node)?;
    let status = node.stop(Duration::from_secs(15))?;
    assert!(status.success(), "{status}: {}", node.process.last_words());
    // The last bytes may still be in the sink's socket.
    sink.has(POINTS, Duration::from_secs(5))?;
    sink.is_exactly(&digest)
}

#[test]
fn what_cannot_be_delivered_is_told_and_kept() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    sink.behave(Manner::Hang);
    let mut node = Setup::relay([sink.destination()]).with("node.shutdown_seconds", 2.0).start()?;
    let digest = send(&node)?;
    let start = Instant::now();
    let status = node.stop(Duration::from_secs(10))?;
    assert!(status.success(), "{status}: {}", node.process.last_words());
    assert!(start.elapsed() < Duration::from_secs(6), "took {:?}", start.elapsed());
    let words = node.process.last_words();
    let last = words.lines().last().unwrap_or_default();
    assert!(
        last.contains("left") || last.contains("waiting"),
        "the last line says nothing of what is left: {last}"
    );
    sink.behave(Manner::Read);
    node.restart()?;
    sink.has(POINTS, Duration::from_secs(10))?;
    sink.is_exactly(&digest)?;
    node.balanced()?;
    Ok(())
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    sink.behave(Manner::Hang);
    let mut node = Setup::relay([sink.destination()]).with("node.shutdown_seconds", 60.0).start()?;
    let digest = send(&node)?;
    node.process.signal(libc::SIGTERM);
    eventually_true(Duration::from_secs(5), "stopping", || node.process.log().contains("stopping"))?;
    node.process.signal(libc::SIGTERM);
    node.process.wait(Duration::from_secs(3))?;
    sink.behave(Manner::Read);
    node.restart()?;
    sink.has(POINTS, Duration::from_secs(10))?;
    sink.is_exactly(&digest)
}

#[test]
fn windows_are_there_again_after_an_orderly_stop() -> anyhow::Result<()> {
    let mut node = Setup::window().start()?;
    let last = now() / 60 * 60;
    load::bytes(node.plaintext(), load::lines("shop.cpu", 1_000, 60, last))?;
    let before = eventually(Duration::from_secs(10), "all points in the window", || {
        node.series("shop.cpu").ok().filter(|points| points.len() == 1_000)
    })?;
    let status = node.stop(Duration::from_secs(15))?;
    assert!(status.success(), "{status}: {}", node.process.last_words());
    node.restart()?;
    assert_eq!(node.series("shop.cpu")?, before);
    node.balanced()?;
    Ok(())
}

#[test]
fn a_node_that_was_stopped_like_a_clock_goes_on() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let mut node = Setup::relay([sink.destination()]).start()?;
    node.process.signal(libc::SIGSTOP);
    let sent = std::thread::scope(|scope| {
        let to = node.plaintext();
        let sender = scope.spawn(move || load::send(to, |a| (a.metrics, a.points) = (1_000, 50)));
        std::thread::sleep(Duration::from_millis(500));
        node.process.signal(libc::SIGCONT);
        sender.join().map_err(|_| anyhow::anyhow!("the sender failed"))?
    })?;
    sink.has(50_000, Duration::from_secs(10))?;
    sink.is_exactly(&sent.digest)
}
