//! A destination that is taken out of the settings while points wait for it gets them after restarts too, in the
//! form in which it takes them; where that form is not known any more, it gets nothing that it might not understand.

use skyline_tests::node::{Node, Setup, replace};
use skyline_tests::peer::sink::{Protocol, Sink, destination};
use skyline_tests::{eventually_true, load, now, port, size};
use std::net::SocketAddr;
use std::time::Duration;

const POINTS: u64 = 20_000;
const SOON: Duration = Duration::from_secs(15);

/// Sends points; the digest of them.
fn send(node: &Node) -> anyhow::Result<String> {
    let sent = load::send(node.plaintext(), |a| (a.metrics, a.points) = (1_000, POINTS / 1_000))?;
    node.has_received(POINTS, SOON)?;
    Ok(sent.digest)
}

/// The destination has left the settings and is owed all points.
fn leaves(node: &Node, at: SocketAddr) -> anyhow::Result<()> {
    let account = node.status()?.destination(at.port())?;
    anyhow::ensure!(account.leaving && !account.held && account.waiting == POINTS, "{account:?}");
    Ok(())
}

/// The destination gets all, and then nothing is known of it any more, even after another start.
fn is_seen_off(node: &mut Node, gone: &Sink, digest: &str) -> anyhow::Result<()> {
    gone.has(POINTS, SOON)?;
    gone.is_exactly(digest)?;
    let port = gone.address().port();
    eventually_true(SOON, "it is gone", || node.status().is_ok_and(|s| s.destination(port).is_err()))?;
    node.balanced()?;
    node.stop(SOON)?;
    node.restart()?;
    anyhow::ensure!(node.status()?.destination(port).is_err(), "it is back");
    anyhow::ensure!(gone.received() == POINTS, "{} points came", gone.received());
    Ok(())
}

#[test]
fn pickles_stay_pickles() -> anyhow::Result<()> {
    let (stays, gone) = (Sink::start(Protocol::Lines)?, port::free());
    let mut node = Setup::relay([stays.destination(), destination(gone, Protocol::Pickle)]).start()?;
    let digest = send(&node)?;
    stays.has(POINTS, SOON)?;
    node.set("relay.destinations", format!("[{:?}]", stays.destination()))?;
    node.reload()?;
    leaves(&node, gone)?;
    node.process.kill()?;
    node.restart()?;
    leaves(&node, gone)?;
    node.stop(SOON)?;
    node.restart()?;
    let gone = Sink::start_at(gone, Protocol::Pickle)?;
    is_seen_off(&mut node, &gone, &digest)
}

#[test]
fn what_leaves_while_the_node_is_down_stays_packed() -> anyhow::Result<()> {
    let (stays, gone) = (Sink::start(Protocol::Lines)?, port::free());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("relay.conf");
    let first = format!("cluster stays forward {};\nmatch * send to stays;\n", stays.address());
    let both = format!("{first}cluster gone forward {gone} transport gzip;\nmatch * send to gone stop;\n");
    replace(&file, both)?;
    let mut node =
        Setup::relay::<String>([]).with("relay.files.c_relay_conf", format!("{file:?}")).start()?;
    let digest = send(&node)?;
    stays.has(POINTS, SOON)?;
    node.process.kill()?;
    replace(&file, first)?;
    node.restart()?;
    leaves(&node, gone)?;
    let gone = Sink::start_at(gone, Protocol::Gzip)?;
    is_seen_off(&mut node, &gone, &digest)
}

#[test]
fn points_are_held_when_the_form_is_lost() -> anyhow::Result<()> {
    let (stays, gone) = (Sink::start(Protocol::Lines)?, port::free());
    let mut node = Setup::relay([stays.destination(), destination(gone, Protocol::Pickle)]).start()?;
    let digest = send(&node)?;
    stays.has(POINTS, SOON)?;
    node.process.kill()?;
    std::fs::write(node.folder().join("state/destinations.json"), "nonsense")?;
    let gone = Sink::start_at(gone, Protocol::Pickle)?;
    let port = gone.address().port();
    node.set("relay.destinations", format!("[{:?}]", stays.destination()))?;
    node.restart()?;
    let account = node.status()?.destination(port)?;
    anyhow::ensure!(account.held && account.leaving && account.waiting == POINTS, "{account:?}");
    let said = String::from_utf8_lossy(&node.command("status")?.stdout).into_owned();
    anyhow::ensure!(said.contains("HELD") && said.contains("name it in the settings again"), "{said}");
    anyhow::ensure!(node.process.log().contains("the register of destinations is lost"), "the log is silent");
    anyhow::ensure!(node.metrics()?.sum("skyline_destination_held", &[]) == 1.0, "no figure tells");
    anyhow::ensure!(gone.connections() == 0, "something was sent");
    // Named again, and taken out again.
    node.set("relay.destinations", format!("{:?}", [stays.destination(), gone.destination()]))?;
    node.reload()?;
    gone.has(POINTS, SOON)?;
    node.set("relay.destinations", format!("[{:?}]", stays.destination()))?;
    node.reload()?;
    is_seen_off(&mut node, &gone, &digest)
}

#[test]
fn coming_and_going_and_being_killed_costs_no_point() -> anyhow::Result<()> {
    let rounds = size(8, 100);
    let (stays, other) = (Sink::start(Protocol::Lines)?, port::free());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("relay.conf");
    let alone = format!("cluster stays forward {};\nmatch * send to stays;\n", stays.address());
    let both = format!("{alone}cluster other forward {other} transport gzip;\nmatch * send to other;\n");
    replace(&file, &both)?;
    let mut node =
        Setup::relay::<String>([]).with("relay.files.c_relay_conf", format!("{file:?}")).start()?;
    let last = now();
    for round in 0..rounds {
        replace(&file, if round % 2 == 0 { &both } else { &alone })?;
        // Settings change while the node runs, or while it is dead.
        if round % 3 == 0 {
            node.process.kill()?;
            node.restart()?;
        } else {
            node.reload()?;
        }
        let name = format!("round-{round}");
        load::bytes(node.plaintext(), load::lines(&name, 500, 1, last))?;
        eventually_true(SOON, "what stays gets all", || stays.series(&name).len() == 500)?;
        if round % 4 == 1 {
            node.process.kill()?;
            node.restart()?;
        }
    }
    replace(&file, alone)?;
    node.reload()?;
    node.process.kill()?;
    node.restart()?;
    let other = Sink::start_at(other, Protocol::Gzip)?;
    let port = other.address().port();
    eventually_true(SOON, "it is gone", || node.status().is_ok_and(|s| s.destination(port).is_err()))?;
    let mut expected: Vec<String> = (0..rounds).step_by(2).map(|round| format!("round-{round}")).collect();
    expected.sort();
    anyhow::ensure!(other.names() == expected, "{:?} came, not {expected:?}", other.names());
    anyhow::ensure!(other.distinct() == 500 * expected.len() as u64, "{} points came", other.distinct());
    anyhow::ensure!(other.malformed() == 0, "something cannot be read");
    node.balanced()?;
    Ok(())
}
