//! Rules that send some points to one destination, some to another and some to both, while one of them is slow or down:
//! the other is not held back, and the account says what became of every point, and why.

use anyhow::Context as _;
use carbon_load::send::{Rate, SendReport};
use skyline_tests::node::{Node, Setup, replace};
use skyline_tests::peer::sink::{Manner, Protocol, Sink};
use skyline_tests::status::Destination;
use skyline_tests::{eventually, eventually_true, load, port};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Points of each of the three kinds of names.
const POINTS: u64 = 20_000;
const SOON: Duration = Duration::from_secs(20);

/// A relay by a file with rules, whose folder it needs as long as it runs.
struct Relay {
    node: Node,
    _folder: TempDir,
}

impl Relay {
    /// `both.*` goes to both, `theirs.*` to `other` alone, the rest to `good`; the settings as `change` makes them.
    fn start(
        good: SocketAddr,
        other: SocketAddr,
        change: impl FnOnce(Setup) -> Setup,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("relay.conf");
        let text = format!(
            "cluster good forward {good};\ncluster other forward {other};\n\
             match ^both\\. send to good other stop;\nmatch ^theirs\\. send to other stop;\n\
             match * send to good stop;\n"
        );
        replace(&file, text)?;
        let setup = Setup::relay::<String>([]).with("relay.files.c_relay_conf", format!("{file:?}"));
        Ok(Self { node: change(setup).start()?, _folder: folder })
    }

    /// The account of a destination once all of its points are logged: senders are done when they have written.
    fn account(&self, of: SocketAddr) -> anyhow::Result<Destination> {
        let all = |account: &Destination| account.routed == 2 * POINTS;
        let now = || self.node.status()?.destination(of.port());
        eventually(SOON, "all of its points are logged", || now().ok().filter(all))
            .with_context(|| format!("{:?}", now()))
    }

    /// Sends the points whose names begin with `prefix`.
    fn send(&self, prefix: &str, rate: Rate) -> anyhow::Result<SendReport> {
        load::send(self.node.plaintext(), |a| {
            (a.metrics, a.points, a.prefix, a.rate) = (1_000, POINTS / 1_000, prefix.to_owned(), rate);
        })
    }

    /// Sends all three kinds at once, each at `rate`.
    fn send_all(&self, rate: Rate) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            let senders =
                ["both", "theirs", "mine"].map(|prefix| scope.spawn(move || self.send(prefix, rate)));
            for sender in senders {
                sender.join().map_err(|_| anyhow::anyhow!("a sender failed"))??;
            }
            Ok(())
        })
    }
}

/// Different points at `sink` whose names begin with `prefix`.
fn points(sink: &Sink, prefix: &str) -> u64 {
    let names = sink.names().into_iter().filter(|name| name.split('.').next() == Some(prefix));
    names.map(|name| sink.series(&name).len() as u64).sum()
}

/// The points of two kinds are there, and nothing else.
fn has_both_kinds(sink: &Sink, kinds: [&str; 2]) -> anyhow::Result<()> {
    sink.has(2 * POINTS, SOON)?;
    let came = kinds.map(|kind| points(sink, kind));
    anyhow::ensure!(came == [POINTS; 2] && sink.distinct() == 2 * POINTS, "of {kinds:?} came {came:?}");
    anyhow::ensure!(sink.malformed() == 0, "{} lines cannot be read", sink.malformed());
    Ok(())
}

#[test]
fn a_slow_destination_does_not_hold_back_another_that_gets_the_same_points() -> anyhow::Result<()> {
    let (good, slow) = (Sink::start(Protocol::Lines)?, Sink::start(Protocol::Lines)?);
    slow.behave(Manner::Slow(500));
    let relay = Relay::start(good.address(), slow.address(), |setup| setup)?;
    let start = Instant::now();
    relay.send_all(Rate::Max)?;
    has_both_kinds(&good, ["both", "mine"])?;
    let (took, came) = (start.elapsed().as_secs_f64(), slow.received());
    anyhow::ensure!((came as f64) < 2_000.0 + took * 1_000.0, "{came} points in {took} s: it is not slow");
    let account = relay.account(slow.address())?;
    anyhow::ensure!(account.shed == 0 && account.connected, "{account:?}");
    slow.behave(Manner::Read);
    has_both_kinds(&slow, ["both", "theirs"])?;
    anyhow::ensure!(good.received() == 2 * POINTS && slow.received() == 2 * POINTS, "some came twice");
    relay.node.balanced()?;
    Ok(())
}

#[test]
fn points_for_a_dead_destination_wait_and_the_reason_is_told() -> anyhow::Result<()> {
    let (good, dead) = (Sink::start(Protocol::Lines)?, port::free());
    let relay = Relay::start(good.address(), dead, |setup| setup)?;
    relay.send_all(Rate::Max)?;
    has_both_kinds(&good, ["both", "mine"])?;
    let account = relay.account(dead)?;
    let state = (account.connected, account.waiting, account.shed);
    anyhow::ensure!(state == (false, 2 * POINTS, 0), "{account:?}");
    let said = String::from_utf8_lossy(&relay.node.command("status")?.stdout).into_owned();
    let row =
        said.lines().find(|line| line.contains(&dead.to_string())).context("it is not in the status")?;
    anyhow::ensure!(row.contains("down: ") && row.contains("refused"), "{row}");
    relay.node.balanced()?;
    let back = Sink::start_at(dead, Protocol::Lines)?;
    has_both_kinds(&back, ["both", "theirs"])?;
    let metrics = relay.node.balanced()?;
    anyhow::ensure!(metrics.sum("skyline_journal_shed_points_total", &[]) == 0.0, "points were shed");
    Ok(())
}

#[test]
fn a_dead_destination_that_sheds_loses_its_oldest_and_no_other_any() -> anyhow::Result<()> {
    let (good, dead) = (Sink::start(Protocol::Lines)?, port::free());
    // Half of what comes for it: the other would have to stand still for two seconds to have as much before it.
    let mark = POINTS;
    let relay = Relay::start(good.address(), dead, |setup| {
        setup.with("relay.sending.when_behind", "\"shed\"").with("relay.sending.mark_points", mark)
    })?;
    relay.send_all(Rate::PerSecond(5_000.0))?;
    has_both_kinds(&good, ["both", "mine"])?;
    let account = || relay.account(dead);
    eventually_true(SOON, "all but the mark is shed", || account().is_ok_and(|a| a.waiting <= mark))?;
    let account = account()?;
    anyhow::ensure!(account.shed + account.waiting == 2 * POINTS, "{account:?}");
    let log = relay.node.process.log();
    anyhow::ensure!(log.contains("behind its mark: its oldest points were skipped"), "{log}");
    let metrics = relay.node.balanced()?;
    let of_good = format!("dest:{}", good.address());
    anyhow::ensure!(
        metrics.sum("skyline_journal_shed_points_total", &[("reader", &of_good)]) == 0.0,
        "the other lost points"
    );
    let back = Sink::start_at(dead, Protocol::Lines)?;
    back.has(account.waiting, SOON)?;
    eventually_true(SOON, "nothing waits", || {
        relay.node.metrics().is_ok_and(|m| m.sum("skyline_journal_waiting_points", &[]) == 0.0)
    })?;
    relay.node.balanced()?;
    anyhow::ensure!(back.received() == account.waiting, "{} points came", back.received());
    Ok(())
}

#[test]
fn a_dead_destination_that_blocks_pauses_senders_and_says_so() -> anyhow::Result<()> {
    let (good, dead) = (Sink::start(Protocol::Lines)?, port::free());
    let relay = Relay::start(good.address(), dead, |setup| {
        setup.with("relay.sending.when_behind", "\"block\"").with("relay.sending.mark_points", 5_000)
    })?;
    let back = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            relay.send_all(Rate::Max)?;
            // What sockets can hold is not all: senders that go on are to wait as well.
            relay.send_all(Rate::Max)
        });
        let pausing = || {
            let metrics = relay.node.metrics()?;
            anyhow::Ok(metrics.sum("skyline_destination_pausing", &[("destination", &dead.to_string())]))
        };
        eventually_true(SOON, "listeners pause", || pausing().is_ok_and(|pausing| pausing == 1.0))?;
        let said = String::from_utf8_lossy(&relay.node.command("status")?.stdout).into_owned();
        let row = said.lines().find(|line| line.contains(&dead.to_string())).context("no such row")?;
        anyhow::ensure!(row.contains("refused") && row.contains("listeners pause for it"), "{row}");
        relay.node.balanced()?;
        let back = Sink::start_at(dead, Protocol::Lines)?;
        sending.join().map_err(|_| anyhow::anyhow!("a sender failed"))??;
        anyhow::Ok(back)
    })?;
    has_both_kinds(&good, ["both", "mine"])?;
    has_both_kinds(&back, ["both", "theirs"])?;
    for sink in [&good, &back] {
        eventually_true(SOON, "all have come twice", || sink.received() == 4 * POINTS)?;
    }
    let metrics = relay.node.balanced()?;
    anyhow::ensure!(metrics.sum("skyline_journal_shed_points_total", &[]) == 0.0, "points were shed");
    anyhow::ensure!(metrics.sum("skyline_relay_refused_points_total", &[]) == 0.0, "points were refused");
    Ok(())
}
