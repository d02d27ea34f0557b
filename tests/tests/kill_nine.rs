//! `kill -9` at random moments under load, and another number of window threads after it: of what a sender had sent on a connection, the sink gets
//! a beginning without holes, and the windows hold the same points as the sink.

use anyhow::Context as _;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, load, now, size};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

const SENDERS: usize = 3;
/// Points a connection at most: one a second, they must fit into a window of a day.
const POINTS: i64 = 60_000;
const LINES: i64 = 25;

/// What was sent on one connection.
#[derive(Debug)]
struct Sent {
    metric: String,
    /// Numbers 0 to this, exclusive, were written to the socket.
    points: i64,
    /// The connection was closed in order, with everything written.
    whole: bool,
}

/// Sends numbered points on one connection after another, each with a metric of its own.
fn send(to: SocketAddr, sender: usize, base: i64, stop: &AtomicBool, all: &Mutex<Vec<Sent>>) {
    let mut connection = 0;
    while !stop.load(SeqCst) {
        let Ok(mut stream) = load::connect(to) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        connection += 1;
        let metric = format!("kill.sender-{sender}.connection-{connection}");
        let (mut points, mut broken) = (0, false);
        while !broken && points < POINTS && !stop.load(SeqCst) {
            let mut text = String::new();
            for n in points..points + LINES {
                let _infallible = writeln!(text, "{metric} {n} {}", base + n);
            }
            broken = stream.write_all(text.as_bytes()).is_err();
            points += LINES;
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Ok(mut all) = all.lock() {
            all.push(Sent { metric, points, whole: !broken });
        }
    }
}

fn quiet(node: &Node) -> anyhow::Result<()> {
    eventually_true(Duration::from_secs(30), "nothing waits for a destination or the window", || {
        node.metrics()
            .is_ok_and(|m| m.balanced().is_ok() && m.sum("skyline_journal_waiting_points", &[]) == 0.0)
    })
}

#[test]
fn kill_nine_under_load_leaves_no_hole() -> anyhow::Result<()> {
    let kills = size(6, 100);
    let base = now() - 80_000;
    let sink = Sink::start(Protocol::Lines)?;
    let mut node = Setup::relay([sink.destination()])
        .with("window.enabled", true)
        .with("window.snapshot_seconds", 2.0)
        .with("window.threads", 2)
        .with("relay.sending.retry_min_seconds", 0.05)
        .start()?;
    let (stop, all) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let to = node.plaintext();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (stop, all) = (&stop, &all);
            scope.spawn(move || send(to, sender, base, stop, all));
        }
        let killing = (0..kills).try_for_each(|n| {
            std::thread::sleep(Duration::from_millis(rand::random_range(50..800)));
            node.process.kill()?;
            // Every other time the metrics are shared out among another number of threads.
            node.set("window.threads", 1 + n / 2 % 4)?;
            node.restart().with_context(|| format!("after kill {n}"))
        });
        stop.store(true, SeqCst);
        killing
    })?;
    quiet(&node)?;
    let all = all.into_inner()?;
    assert!(all.len() as u64 > kills, "too few connections to have been killed: {}", all.len());
    for sent in &all {
        let arrived = sink.series(&sent.metric);
        for (n, (time, (value, _))) in (0..).zip(&arrived) {
            assert_eq!(
                (*time, *value),
                (base + n, n as f64),
                "{sent:?}: a hole before {time}, of {}",
                arrived.len()
            );
        }
        let count = arrived.len() as i64;
        assert!(count <= sent.points, "{sent:?}: {count} came");
        if sent.whole && all.iter().rev().take(SENDERS).any(|last| last.metric == sent.metric) {
            assert_eq!(count, sent.points, "{sent:?}: closed in order while the node ran");
        }
        let stored = node.series(&sent.metric)?;
        let expected: Vec<_> = arrived.iter().map(|(time, (value, _))| (*time as f64, *value)).collect();
        assert!(
            stored == expected,
            "{sent:?}: the window has {} points, the sink {}",
            stored.len(),
            expected.len()
        );
    }
    node.balanced()?;
    Ok(())
}
