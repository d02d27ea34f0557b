//! A journal with hardly any room: with `block` senders wait for readers, and only for readers.

use skyline_tests::load;
use skyline_tests::node::Setup;
use skyline_tests::peer::sink::{Protocol, Sink};
use std::time::Duration;

const POINTS: u64 = 1_500_000;

/// Many times what the journal holds goes through it: what may have to be sent again, and what windows
/// hold back until they are saved, must not stop what has been delivered.
fn everything_goes_through(windows: bool, budget: u64) -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let node = Setup::relay([sink.destination()])
        .with("window.enabled", windows)
        .with("journal.max_bytes", budget)
        .with("journal.segment_bytes", budget / 4)
        .with("journal.memory_bytes", 1 << 20)
        .with("journal.when_full", "\"block\"")
        .start()?;
    let sent = load::send(node.plaintext(), |a| (a.metrics, a.points) = (5_000, POINTS / 5_000))?;
    sink.has(sent.sent, Duration::from_secs(30))?;
    let metrics = node.balanced()?;
    assert_eq!(metrics.sum("skyline_journal_shed_points_total", &[]), 0.0);
    assert_eq!(metrics.sum("skyline_relay_refused_points_total", &[]), 0.0);
    Ok(())
}

#[test]
fn what_may_have_to_be_sent_again_leaves_room() -> anyhow::Result<()> {
    everything_goes_through(false, 8 << 20)
}

#[test]
fn windows_are_saved_before_they_fill_the_journal() -> anyhow::Result<()> {
    everything_goes_through(true, 32 << 20)
}
