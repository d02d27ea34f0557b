//! The record on a real MariaDB that is killed, stopped and started again under load: points keep arriving
//! at the sink, verdicts go on, and in the end every anomaly is there once.

use anyhow::{Context as _, ensure};
use skyline_peers::mariadb::{Database, MariaDb};
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{day, eventually_true, load, now, size};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Metrics that turn bad together.
const GROUP: usize = 5;
const LIMIT: Duration = Duration::from_secs(40);
/// Longest time without a point at the sink.
const GAP: Duration = Duration::from_secs(1);

fn metric(number: usize) -> String {
    format!("shop.server-{number}.latency")
}

fn send_history(node: &Node, count: usize) -> anyhow::Result<()> {
    day::send(node, &(0..count).map(metric).collect::<Vec<_>>())
}

/// The bad points of one group of metrics.
fn turn_bad(node: &Node, group: usize) -> anyhow::Result<()> {
    let time = now() / 60 * 60;
    let lines = (group * GROUP..(group + 1) * GROUP).map(|n| format!("{} 5000 {time}\n", metric(n)));
    load::bytes(node.plaintext(), lines.collect::<String>())
}

/// Points in a steady stream until `stop`, through restarts of the node.
fn stream(to: SocketAddr, stop: &AtomicBool) {
    let mut connection = None;
    let mut number = 0_u64;
    while !stop.load(SeqCst) {
        let Some(stream) = connection.as_mut() else {
            connection = load::connect(to).ok();
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        number += 1;
        let line = format!("steady.metric-{} {number} {}\n", number % 50, now());
        if std::io::Write::write_all(stream, line.as_bytes()).is_err() {
            connection = None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Does `work`, and fails if the sink got nothing for longer than [`GAP`] meanwhile.
fn without_gap<T>(sink: &Sink, what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut last, mut since, mut longest) = (sink.received(), Instant::now(), Duration::ZERO);
            while !done.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
                longest = longest.max(since.elapsed());
                let received = sink.received();
                if received != last {
                    (last, since) = (received, Instant::now());
                }
            }
            longest
        });
        let outcome = work();
        done.store(true, SeqCst);
        let longest = watch.join().map_err(|_| anyhow::anyhow!("the watch ended early"))?;
        ensure!(longest < GAP, "{what}: nothing came for {longest:?}");
        outcome.with_context(|| what.to_owned())
    })
}

/// Waits until the node has judged so many anomalies since its start.
fn judged(node: &Node, anomalies: usize) -> anyhow::Result<()> {
    eventually_true(LIMIT, &format!("{anomalies} anomalies judged"), || {
        node.status().is_ok_and(|s| s.number("/window/anomalies") >= anomalies as u64)
    })
}

/// Waits until so many wait in the file and none holds up the windows; the node says so and stays ready.
fn waits(node: &Node, anomalies: usize) -> anyhow::Result<()> {
    eventually_true(LIMIT, &format!("{anomalies} anomalies in the file"), || {
        node.status().is_ok_and(|s| {
            s.number("/record/waiting") >= anomalies as u64
                && s.number("/window/unrecorded") == 0
                && s.0.pointer("/stores/0/state") == Some(&"away".into())
        })
    })?;
    let ready = node.ask("/-/ready")?;
    ensure!(ready.status == 200, "{}", ready.text());
    ensure!(ready.text().contains("the record is away"), "{}", ready.text());
    let metrics = node.metrics()?;
    ensure!(metrics.sum("skyline_store_up", &[("store", "record")]) == 0.0);
    ensure!(metrics.sum("skyline_record_spilled_bytes", &[]) > 0.0);
    Ok(())
}

/// Waits until the first `groups` groups are recorded, once each, and nothing else, and nothing waits.
fn recorded(node: &Node, database: &Database, groups: usize) -> anyhow::Result<()> {
    let mut expected: Vec<_> = (0..groups * GROUP).map(|n| format!("{}\t0", metric(n))).collect();
    expected.sort();
    let mut rows = Vec::new();
    let outcome = eventually_true(LIMIT, &format!("{groups} groups recorded"), || {
        let listed = database.run(
            "SELECT m.name, a.recurrences FROM anomaly a JOIN metric m ON m.id = a.metric_id \
             WHERE m.name LIKE 'shop.%'",
        );
        rows = listed.unwrap_or_default().lines().map(str::to_owned).collect();
        rows.sort();
        rows == expected && node.status().is_ok_and(|s| s.number("/record/waiting") == 0)
    });
    outcome.with_context(|| {
        let status = node.status().map(|s| s.0.to_string()).unwrap_or_default();
        format!("{} rows: {rows:?}\n{status}\n{}", rows.len(), node.process.last_words())
    })
}

fn setup(database: &Database, sink: &Sink) -> Setup {
    Setup::relay([sink.destination()])
        .with("window.enabled", true)
        .with("window.snapshot_seconds", 2.0)
        .with("relay.sending.retry_min_seconds", 0.05)
        .with("record.server", format!("{:?}", database.url()))
        .with("record.user", "\"root\"")
}

/// What happens to the server, one thing after the other.
fn outages(node: &mut Node, server: &mut MariaDb, database: &Database, sink: &Sink) -> anyhow::Result<()> {
    without_gap(sink, "all is well", || {
        turn_bad(node, 0)?;
        recorded(node, database, 1)
    })?;
    without_gap(sink, "the server is killed", || {
        server.kill()?;
        turn_bad(node, 1)?;
        judged(node, 2 * GROUP)?;
        waits(node, GROUP)
    })?;
    // The node goes too, while nobody is there to record.
    node.process.kill()?;
    node.restart()?;
    without_gap(sink, "the node was killed as well", || {
        waits(node, GROUP)?;
        turn_bad(node, 2)?;
        waits(node, 2 * GROUP)?;
        server.restart()?;
        recorded(node, database, 3)
    })?;
    without_gap(sink, "the server stops answering", || {
        server.pause();
        turn_bad(node, 3)?;
        waits(node, GROUP)?;
        std::thread::sleep(Duration::from_secs(size(1, 30)));
        turn_bad(node, 4)?;
        waits(node, 2 * GROUP)?;
        server.resume();
        recorded(node, database, 5)
    })?;
    without_gap(sink, "the server is started again", || {
        turn_bad(node, 5)?;
        server.restart()?;
        turn_bad(node, 6)?;
        recorded(node, database, 7)
    })
}

#[test]
fn outages_of_the_server_lose_nothing_and_hold_up_nothing() -> anyhow::Result<()> {
    let mut server = MariaDb::start()?;
    let database = server.database()?;
    let sink = Sink::start(Protocol::Lines)?;
    let mut node = setup(&database, &sink).start()?;
    send_history(&node, 7 * GROUP)?;
    let stop = AtomicBool::new(false);
    let to = node.plaintext();
    std::thread::scope(|scope| {
        scope.spawn(|| stream(to, &stop));
        let outcome = outages(&mut node, &mut server, &database, &sink);
        stop.store(true, SeqCst);
        outcome
    })?;
    node.balanced()?;
    Ok(())
}

#[test]
fn a_node_starts_without_its_server_and_makes_the_tables_when_it_comes() -> anyhow::Result<()> {
    let mut server = MariaDb::start()?;
    let database = server.database()?;
    let sink = Sink::start(Protocol::Lines)?;
    server.kill()?;
    let mut node = setup(&database, &sink).start()?;
    send_history(&node, GROUP)?;
    turn_bad(&node, 0)?;
    waits(&node, GROUP)?;
    // A stop in order does not wait for the server either.
    let status = node.stop(Duration::from_secs(15))?;
    ensure!(status.success(), "{status}");
    node.restart()?;
    waits(&node, GROUP)?;
    server.restart()?;
    recorded(&node, &database, 1)?;
    let migrated = node.command("migrate")?;
    let said = String::from_utf8_lossy(&migrated.stdout).into_owned();
    ensure!(migrated.status.success() && said.contains("nothing to do"), "{said}");
    Ok(())
}

/// The database as the first version left it, with a row.
fn old_tables(database: &Database) -> anyhow::Result<()> {
    const STEP: &str = include_str!("../../sql/migrations/mysql/0001_anomalies.sql");
    let bytes: String = STEP.bytes().map(|byte| format!("{byte:02x}")).collect();
    database.run(&format!(
        "{STEP}\nCREATE TABLE schema_migration (version BIGINT PRIMARY KEY, name VARCHAR(190) NOT NULL, \
         checksum VARCHAR(190) NOT NULL, applied_at BIGINT NOT NULL); \
         INSERT INTO schema_migration VALUES (1, 'anomalies', MD5(X'{bytes}'), 0); \
         INSERT INTO metric (name, name_hash, first_seen_at, last_seen_at) VALUES ('old', REPEAT('x', 16), 1, 1);"
    ))?;
    Ok(())
}

fn migrate(node: &Node, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let mut command = std::process::Command::new(skyline_tests::node::binary()?);
    let output = command.arg("migrate").arg("--config").arg(node.config()).args(arguments).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn tables_with_rows_are_changed_by_a_person_and_anomalies_wait_for_it() -> anyhow::Result<()> {
    let server = MariaDb::shared()?;
    let database = server.database()?;
    old_tables(&database)?;
    let sink = Sink::start(Protocol::Lines)?;
    let node = setup(&database, &sink).start()?;
    send_history(&node, GROUP)?;
    turn_bad(&node, 0)?;
    waits(&node, GROUP)?;
    let ready = node.ask("/-/ready")?.text();
    ensure!(ready.contains("skyline migrate"), "{ready}");
    let (good, said) = migrate(&node, &["--dry-run", "--json"])?;
    ensure!(good && said.contains("\"planned\"") && said.contains("mariadb-dump"), "{said}");
    let (good, said) = migrate(&node, &[])?;
    ensure!(!good && said.contains("mariadb-dump --socket=") && said.contains("--yes"), "{said}");
    let (good, said) = migrate(&node, &["--yes"])?;
    ensure!(good && said.contains("done: ") && said.contains("steps applied"), "{said}");
    recorded(&node, &database, 1)?;
    let (good, said) = migrate(&node, &["--yes"])?;
    ensure!(good && said.contains("nothing to do"), "{said}");
    Ok(())
}
