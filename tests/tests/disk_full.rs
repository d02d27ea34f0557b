//! The disk under the log fills up: senders wait or the oldest points go, counted; nothing breaks,
//! and all is well when there is room again. Needs root, to mount a small file system.

use anyhow::Context as _;
use skyline_tests::node::{Node, Setup, replace};
use skyline_tests::peer::sink::{Protocol, Sink, destination};
use skyline_tests::{eventually_true, load, port};
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const MEGABYTE: usize = 1 << 20;

/// A file system of 48 MiB in memory.
#[derive(Debug)]
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("small-disk-").tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(folder.path());
        anyhow::ensure!(
            mount.status().context("mount")?.success(),
            "this test needs root, to mount a file system of 48 MiB"
        );
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Somebody else's file that takes all but `left` of what is free.
    fn fill(&self, left: usize) -> anyhow::Result<()> {
        let mut file = File::create(self.path().join("filler"))?;
        let block = vec![0; MEGABYTE / 16];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata()?.len();
        file.set_len(length.saturating_sub(left as u64))?;
        Ok(())
    }

    fn empty(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.path().join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the node may still hold files when a test fails.
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

fn setup(disk: &SmallDisk, to: impl ToString) -> Setup {
    on(disk, Setup::relay([to.to_string()]))
}

/// `setup` with its state on the small disk.
fn on(disk: &SmallDisk, setup: Setup) -> Setup {
    setup
        .with("node.state_dir", format!("{:?}", disk.path().join("state")))
        .with("journal.segment_bytes", MEGABYTE)
        .with("journal.memory_bytes", MEGABYTE)
}

fn send(node: &Node, points: u64) -> anyhow::Result<carbon_load::send::SendReport> {
    load::send(node.plaintext(), |a| (a.metrics, a.points) = (5_000, points / 5_000))
}

#[test]
fn with_shed_oldest_the_oldest_points_go_and_are_counted() -> anyhow::Result<()> {
    let disk = SmallDisk::mount()?;
    let down = port::free();
    let node = setup(&disk, destination(down, Protocol::Lines)).start()?;
    // About 64 bytes a point: twice what the disk holds.
    let points = 1_500_000;
    let sent = send(&node, points)?;
    node.has_received(sent.sent, Duration::from_secs(20))?;
    let account = node.status()?.destination(down.port())?;
    assert!(account.shed > 0, "{account:?}");
    assert_eq!(account.routed, points);
    assert_eq!(account.shed + account.waiting, points, "{account:?}");
    let sink = Sink::start_at(down, Protocol::Lines)?;
    sink.has(account.waiting, Duration::from_secs(20))?;
    node.balanced()?;
    Ok(())
}

/// Sends `points` to a node that blocks because of `disk`, which is emptied once it says so.
fn send_until_there_is_room(
    node: &Node,
    disk: &SmallDisk,
    points: u64,
) -> anyhow::Result<carbon_load::send::SendReport> {
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(node, points));
        eventually_true(Duration::from_secs(20), "not ready, and the reason told", || {
            node.ask("/-/ready").is_ok_and(|answer| answer.status == 503 && answer.text().contains("full"))
        })?;
        disk.empty()?;
        sender.join().map_err(|_| anyhow::anyhow!("the sender failed"))?
    })
}

#[test]
fn with_block_senders_wait_until_somebody_makes_room() -> anyhow::Result<()> {
    let disk = SmallDisk::mount()?;
    let sink = Sink::start(Protocol::Lines)?;
    let node = setup(&disk, sink.destination()).with("journal.when_full", "\"block\"").start()?;
    let first =
        load::send(node.plaintext(), |a| (a.metrics, a.points, a.prefix) = (1_000, 10, "before".to_owned()))?;
    sink.has(first.sent, Duration::from_secs(10))?;
    disk.fill(0)?;
    let points = 300_000;
    send_until_there_is_room(&node, &disk, points)?;
    sink.has(first.sent + points, Duration::from_secs(20))?;
    eventually_true(Duration::from_secs(10), "ready again", || {
        node.ask("/-/ready").is_ok_and(|a| a.status == 200)
    })?;
    let metrics = node.balanced()?;
    assert_eq!(metrics.sum("skyline_relay_refused_points_total", &[]), 0.0);
    assert_eq!(metrics.sum("skyline_journal_shed_points_total", &[]), 0.0);
    Ok(())
}

#[test]
fn a_disk_that_somebody_else_filled_ends_no_node() -> anyhow::Result<()> {
    let disk = SmallDisk::mount()?;
    let sink = Sink::start(Protocol::Lines)?;
    let mut node = setup(&disk, sink.destination()).with("window.enabled", true).start()?;
    disk.fill(MEGABYTE / 4)?;
    let sent = send(&node, 100_000);
    std::thread::sleep(Duration::from_secs(1));
    node.process.must_run()?;
    anyhow::ensure!(node.ask("/-/healthy")?.status == 200, "not healthy");
    disk.empty()?;
    sent?;
    let good =
        load::send(node.plaintext(), |a| (a.metrics, a.points, a.prefix) = (1_000, 1, "after".to_owned()))?;
    eventually_true(Duration::from_secs(10), "points after the disk has room", || {
        sink.names().iter().filter(|name| name.starts_with("after.")).count() as u64 == good.sent
    })?;
    node.balanced()?;
    Ok(())
}

/// A relay by a file with rules: every point goes to the first, and as a copy with another name to the other two.
fn by_rules(disk: &SmallDisk, folder: &Path, to: [SocketAddr; 3]) -> anyhow::Result<Setup> {
    let [first, second, third] = to;
    let file = folder.join("relay.conf");
    let text = format!(
        "cluster first forward {first};\ncluster second forward {second};\ncluster third forward {third};\n\
         match * send to first;\nrewrite ^load\\.(.+) into copy.\\1;\nmatch ^copy\\. send to second third stop;\n"
    );
    replace(&file, text)?;
    Ok(on(disk, Setup::relay::<String>([])).with("relay.files.c_relay_conf", format!("{file:?}")))
}

#[test]
fn with_rules_and_copies_the_accounts_of_all_add_up() -> anyhow::Result<()> {
    let (disk, folder) = (SmallDisk::mount()?, tempfile::tempdir()?);
    let (first, second, down) = (Sink::start(Protocol::Lines)?, Sink::start(Protocol::Lines)?, port::free());
    let node = by_rules(&disk, folder.path(), [first.address(), second.address(), down])?.start()?;
    // About 64 bytes a point, and as much a copy: half as much again as the disk holds.
    let points = 600_000;
    let sent = send(&node, points)?;
    node.has_received(sent.sent, Duration::from_secs(30))?;
    let account = |port: u16| node.status().and_then(|status| status.destination(port));
    eventually_true(Duration::from_secs(10), "all that was received is logged", || {
        account(down.port()).is_ok_and(|account| account.routed == points)
    })?;
    let of_down = account(down.port())?;
    assert!(of_down.shed > 0, "{of_down:?}");
    assert_eq!(of_down.shed + of_down.waiting, points, "{of_down:?}");
    for sink in [&first, &second] {
        let port = sink.address().port();
        eventually_true(Duration::from_secs(30), "nothing waits for it", || {
            account(port).is_ok_and(|account| account.waiting == 0)
        })?;
        let account = account(port)?;
        assert_eq!((account.routed, account.delivered + account.shed), (points, points), "{account:?}");
        sink.has(account.delivered, Duration::from_secs(10))?;
    }
    let metrics = node.balanced()?;
    assert_eq!(metrics.sum("skyline_relay_copied_points_total", &[]), points as f64);
    assert_eq!(metrics.sum("skyline_relay_refused_points_total", &[]), 0.0);
    let sink = Sink::start_at(down, Protocol::Lines)?;
    let waiting = account(down.port())?.waiting;
    sink.has(waiting, Duration::from_secs(30))?;
    node.balanced()?;
    Ok(())
}

#[test]
fn with_block_rules_and_copies_everybody_gets_everything_in_the_end() -> anyhow::Result<()> {
    let (disk, folder) = (SmallDisk::mount()?, tempfile::tempdir()?);
    let sinks = [(); 3].map(|()| Sink::start(Protocol::Lines));
    let [first, second, third] = sinks;
    let (first, second, third) = (first?, second?, third?);
    let to = [&first, &second, &third].map(Sink::address);
    let node = by_rules(&disk, folder.path(), to)?.with("journal.when_full", "\"block\"").start()?;
    disk.fill(MEGABYTE / 4)?;
    let points = 200_000;
    send_until_there_is_room(&node, &disk, points)?;
    for sink in [&first, &second, &third] {
        sink.has(points, Duration::from_secs(30))?;
        assert_eq!((sink.received(), sink.malformed()), (points, 0));
    }
    assert!(first.names().iter().all(|name| name.starts_with("load.")));
    for sink in [&second, &third] {
        assert!(sink.names().iter().all(|name| name.starts_with("copy.")));
    }
    let metrics = node.balanced()?;
    assert_eq!(metrics.sum("skyline_journal_shed_points_total", &[]), 0.0);
    assert_eq!(metrics.sum("skyline_relay_refused_points_total", &[]), 0.0);
    Ok(())
}

#[test]
fn settings_that_cannot_be_written_down_are_refused_as_a_whole() -> anyhow::Result<()> {
    let disk = SmallDisk::mount()?;
    let (first, second) = (Sink::start(Protocol::Lines)?, Sink::start(Protocol::Pickle)?);
    let mut node = setup(&disk, first.destination()).start()?;
    disk.fill(0)?;
    node.set("relay.destinations", format!("{:?}", [first.destination(), second.destination()]))?;
    let answer = node.post("/-/reload")?;
    anyhow::ensure!(
        answer.status == 409 && answer.text().contains("No space left"),
        "{} {}",
        answer.status,
        answer.text()
    );
    assert_eq!(node.status()?.destinations().len(), 1);
    node.process.must_run()?;
    disk.empty()?;
    node.reload()?;
    let sent = send(&node, 50_000)?;
    for sink in [&first, &second] {
        sink.has(sent.sent, Duration::from_secs(20))?;
        sink.is_exactly(&sent.digest)?;
    }
    node.balanced()?;
    Ok(())
}
