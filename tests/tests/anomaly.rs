//! A day of history, then a bad point: within a second it is in the API, in syslog and in
//! `/anomalies.json`; a calm point is not.

use anyhow::Context as _;
use skyline_tests::node::{Node, Setup};
use skyline_tests::{day, eventually_true, load, now, port};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_bad_point_is_told_within_a_second_over_udp_syslog() -> anyhow::Result<()> {
    let syslog = UdpSocket::bind(port::free())?;
    syslog.set_read_timeout(Some(SECOND))?;
    let node = Setup::window()
        .with("record.syslog.enabled", true)
        .with("record.syslog.address", format!("\"udp:{}\"", syslog.local_addr()?))
        .start()?;
    day::send(&node, &["shop.checkout.latency".to_owned()])?;
    assert!(node.anomalies("shop.checkout.latency")?.is_empty(), "the history itself is anomalous");
    let anomaly = day::bad_point(&node, "shop.checkout.latency")?;
    let triggered =
        anomaly.get("algorithms_triggered").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    assert!(triggered >= 6, "{anomaly}");
    let mut line = [0; 4096];
    let length = syslog.recv(&mut line).context("no syslog line within a second")?;
    let line = String::from_utf8_lossy(line.get(..length).unwrap_or_default()).into_owned();
    // local4 and warning: 20 * 8 + 4.
    assert!(line.starts_with("<164>1 ") && line.contains("shop.checkout.latency"), "{line}");
    node.balanced()?;
    Ok(())
}

#[test]
fn a_bad_point_is_told_over_a_unix_socket_and_outlives_the_node() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("log");
    let syslog = UnixDatagram::bind(&path)?;
    syslog.set_read_timeout(Some(SECOND))?;
    let mut node = Setup::window()
        .with("record.syslog.enabled", true)
        .with("record.syslog.address", format!("{path:?}"))
        .start()?;
    day::send(&node, &["shop.cart.errors".to_owned()])?;
    day::bad_point(&node, "shop.cart.errors")?;
    let mut line = [0; 4096];
    let length = syslog.recv(&mut line).context("no syslog line within a second")?;
    assert!(length > 0);
    node.process.kill()?;
    node.restart()?;
    assert_eq!(node.anomalies("shop.cart.errors")?.len(), 1);
    assert_eq!(node.series("shop.cart.errors")?.len(), day::MINUTES as usize + 1);
    Ok(())
}

#[test]
fn a_calm_point_is_stored_and_not_told() -> anyhow::Result<()> {
    let node = Setup::window().start()?;
    day::send(&node, &["shop.calm".to_owned()])?;
    load::bytes(node.plaintext(), format!("shop.calm 201.5 {}\n", now() / 60 * 60))?;
    eventually_true(Duration::from_secs(5), "the point judged", || {
        node.status().is_ok_and(|s| {
            s.number("/window/stored") == day::MINUTES as u64 + 1 && s.number("/window/judged") >= 1
        })
    })?;
    assert!(node.anomalies("shop.calm")?.is_empty());
    Ok(())
}

#[test]
fn a_damaged_record_is_set_aside_and_the_node_goes_on() -> anyhow::Result<()> {
    let mut node = Setup::window().start()?;
    day::send(&node, &["shop.cart.errors".to_owned()])?;
    day::bad_point(&node, "shop.cart.errors")?;
    node.stop(Duration::from_secs(20))?;
    let state = node.folder().join("state");
    std::fs::write(state.join("anomalies.db"), "no database, whatever it was ".repeat(1000))?;
    node.restart()?;
    assert!(node.anomalies("shop.cart.errors")?.is_empty());
    day::send(&node, &["shop.other".to_owned()])?;
    day::bad_point(&node, "shop.other")?;
    let names = std::fs::read_dir(&state)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert!(names.into_iter().any(|name| name.starts_with("anomalies.db.damaged-")));
    Ok(())
}

/// What comes to a socket in place of `/dev/log`, each line with its metric and the time of the point.
struct Daemon {
    lines: Receiver<String>,
    _folder: TempDir,
    path: PathBuf,
}

impl Daemon {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path)?;
        let (taken, lines) = mpsc::channel();
        // A socket holds few lines, so they are read as they come; the thread ends with the receiver or the process.
        std::thread::spawn(move || {
            let mut line = [0; 4096];
            while let Ok(length) = socket.recv(&mut line) {
                let line = String::from_utf8_lossy(line.get(..length).unwrap_or_default()).into_owned();
                if taken.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { lines, _folder: folder, path })
    }

    /// Metric and time of each line that came up to now and in the second after it.
    fn told(&self) -> anyhow::Result<Vec<(String, i64)>> {
        let mut told = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(SECOND) {
            let words: Vec<&str> = line.split(' ').collect();
            let [
                priority,
                _time,
                _host,
                "skyline",
                _pid,
                "anomaly",
                "-",
                metric,
                _value,
                "at",
                ts,
                "is",
                "anomalous:",
                ..,
            ] = words.as_slice()
            else {
                anyhow::bail!("not the line of an anomaly: {line}");
            };
            anyhow::ensure!(*priority == "<164>1" && !line.contains('\n'), "{line}");
            told.push(((*metric).to_owned(), ts.parse::<f64>()? as i64));
        }
        told.sort();
        Ok(told)
    }
}

#[test]
fn every_anomaly_is_one_line_of_syslog() -> anyhow::Result<()> {
    let daemon = Daemon::start()?;
    let mut node = Setup::window()
        .with("record.syslog.enabled", true)
        .with("record.syslog.address", format!("{:?}", daemon.path))
        .start()?;
    let mut names = day::names(20);
    names.push("shop.calm".to_owned());
    day::send(&node, &names)?;
    let calm = names.pop().context("a name")?;
    let time = now() / 60 * 60;
    let mut lines: String = names.iter().map(|name| format!("{name} 5000 {time}\n")).collect();
    lines.push_str(&format!("{calm} 201.5 {time}\n"));
    load::bytes(node.plaintext(), &lines)?;
    let recorded = |node: &Node| -> anyhow::Result<Vec<(String, i64)>> {
        let mut all = Vec::new();
        for name in names.iter().chain([&calm]) {
            for anomaly in node.anomalies(name)? {
                let ts = anomaly.get("timestamp").and_then(serde_json::Value::as_i64).context("no time")?;
                all.push((name.clone(), ts));
            }
        }
        all.sort();
        Ok(all)
    };
    eventually_true(Duration::from_secs(20), "all anomalies recorded", || {
        recorded(&node).is_ok_and(|all| all.len() == names.len())
    })?;
    let expected = recorded(&node)?;
    assert_eq!(daemon.told()?, expected, "one line for each, and none for the calm metric");
    // The same points again are no anomalies of their own, and a start finds none anew.
    load::bytes(node.plaintext(), &lines)?;
    eventually_true(Duration::from_secs(20), "the points again", || {
        node.status().is_ok_and(|s| s.received() >= 2 * lines.lines().count() as u64)
    })?;
    node.stop(Duration::from_secs(20))?;
    node.restart()?;
    let more = format!("{} 5000 {}\n", names.first().context("a name")?, time + 60);
    load::bytes(node.plaintext(), more)?;
    eventually_true(Duration::from_secs(20), "the next anomaly recorded", || {
        recorded(&node).is_ok_and(|all| all.len() > expected.len())
    })?;
    let new: Vec<_> = recorded(&node)?.into_iter().filter(|one| !expected.contains(one)).collect();
    assert_eq!(daemon.told()?, new);
    let figures = node.metrics()?;
    assert_eq!(figures.sum("skyline_syslog_unsent_total", &[]), 0.0);
    Ok(())
}
