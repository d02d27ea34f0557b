//! One syslog line for each anomaly: facility local4, severity warning, RFC 5424, to a Unix datagram
//! socket or over UDP.

use skyline_core::anomaly::Anomaly;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// local4 (20) times 8 plus warning (4).
const PRIORITY: u8 = 20 * 8 + 4;
/// Longest line, bytes: what every receiver must take (RFC 5424 §6.1).
const MAX_LINE: usize = 2048;
/// A daemon whose queue is full is waited for so long.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(2);

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Syslog {
    target: Target,
    host: String,
    failing: AtomicBool,
}

#[derive(Debug)]
enum Target {
    Unix(PathBuf),
    Udp(SocketAddr),
}

impl Syslog {
    /// `address`: a path, or `udp:HOST:PORT` with a numeric host.
    pub(crate) fn new(address: &str, host: &str) -> anyhow::Result<Self> {
        let target = match address.strip_prefix("udp:") {
            Some(udp) => Target::Udp(udp.parse().map_err(|e| {
                anyhow::anyhow!("record.syslog.address `{address}`: {e}; write udp:ADDRESS:PORT or a path")
            })?),
            None => Target::Unix(address.into()),
        };
        Ok(Self { target, host: host.to_owned(), failing: AtomicBool::new(false) })
    }

    /// Sends the line of an anomaly; whether it was taken. That it was not is logged once.
    pub(crate) async fn anomaly(&self, anomaly: &Anomaly) -> bool {
        let line = line(anomaly, &self.host);
        let sent = self.send(line.as_bytes()).await;
        match &sent {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, target = ?self.target, "syslog takes no lines");
            }
            Err(_) => {}
        }
        sent.is_ok()
    }

    /// Sends a line of its own kind, such as a test.
    pub(crate) async fn say(&self, now: f64, kind: &str, text: &str) -> std::io::Result<()> {
        let time = time(now);
        let host = &self.host;
        let line = format!("<{PRIORITY}>1 {time} {host} skyline {} {kind} - {text}", std::process::id());
        self.send(bounded(line).as_bytes()).await
    }

    async fn send(&self, line: &[u8]) -> std::io::Result<()> {
        match &self.target {
            Target::Unix(path) => {
                let socket = std::os::unix::net::UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                let start = Instant::now();
                loop {
                    match socket.send_to(line, path) {
                        // A daemon's queue has room for a dozen lines. One that has stopped reading is waited for once,
                        // or it would stop the record too.
                        Err(error)
                            if error.kind() == ErrorKind::WouldBlock
                                && start.elapsed() < PATIENCE
                                && !self.failing.load(Ordering::Relaxed) =>
                        {
                            tokio::time::sleep(PAUSE).await;
                        }
                        sent => break sent?,
                    }
                }
            }
            Target::Udp(address) => {
                let local: SocketAddr =
                    if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
                UdpSocket::bind(local).await?.send_to(line, address).await?
            }
        };
        Ok(())
    }
}

/// The RFC 5424 line. Names hold no control characters, so none can end the line early.
fn line(anomaly: &Anomaly, host: &str) -> String {
    let votes: Vec<_> = anomaly.triggered.iter().map(|a| a.name()).collect();
    let time = time(anomaly.received);
    let text = format!(
        "<{PRIORITY}>1 {time} {host} skyline {pid} anomaly - {metric} {value} at {ts} is anomalous: {n} of {asked} algorithms agree ({votes}), mean {mean}, stddev {stddev}",
        pid = std::process::id(),
        metric = anomaly.metric,
        value = anomaly.judged_value,
        ts = anomaly.point.ts,
        n = votes.len(),
        asked = anomaly.asked.len(),
        votes = votes.join(","),
        mean = anomaly.mean,
        stddev = anomaly.stddev,
    );
    bounded(text)
}

fn time(seconds: f64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond((seconds * 1000.0) as i64).unwrap_or_default()
}

fn bounded(mut line: String) -> String {
    let mut end = line.len().min(MAX_LINE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_core::algorithm::Algorithm;
    use skyline_core::point::Datapoint;

    fn anomaly() -> Anomaly {
        Anomaly {
            metric: "a.b".into(),
            point: Datapoint::new(60.0, 9.0),
            received: 61.0,
            judged_value: 9.0,
            asked: [Algorithm::Grubbs].into_iter().collect(),
            triggered: [Algorithm::Grubbs].into_iter().collect(),
            mean: 1.0,
            stddev: 0.5,
            window_from: 0.0,
            window_points: 2,
            full_duration: 86_400,
            counter: false,
            seq: 1,
        }
    }

    #[tokio::test]
    async fn a_daemon_that_stops_reading_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::new(path.to_str().unwrap(), "host").unwrap();
        assert!(syslog.anomaly(&anomaly()).await);
        let mut line = [0; MAX_LINE];
        let len = daemon.recv(&mut line).unwrap();
        let line = std::str::from_utf8(&line[..len]).unwrap();
        assert!(
            line.starts_with("<164>1 1970-01-01T00:01:01Z host skyline ") && line.contains("a.b 9 at 60"),
            "{line}"
        );
        let mut taken = 0;
        while syslog.anomaly(&anomaly()).await {
            taken += 1;
            assert!(taken < 100_000, "nothing is ever refused");
        }
        // It was waited for once.
        let start = Instant::now();
        for _ in 0..100 {
            assert!(!syslog.anomaly(&anomaly()).await);
        }
        assert!(start.elapsed() < 10 * PATIENCE, "{:?}", start.elapsed());
    }
}
