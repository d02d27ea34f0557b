//! One syslog line for each anomaly: facility local4, severity warning, RFC 5424, to a Unix datagram
//! socket or over UDP.

use skyline_core::anomaly::Anomaly;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::net::{UdpSocket, UnixDatagram};

/// local4 (20) times 8 plus warning (4).
const PRIORITY: u8 = 20 * 8 + 4;
/// Longest line, bytes: what every receiver must take (RFC 5424 §6.1).
const MAX_LINE: usize = 2048;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Syslog {
    target: Target,
    host: String,
    failing: AtomicBool,
    /// Lines that could not be sent.
    pub(crate) lost: AtomicU64,
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
        Ok(Self { target, host: host.to_owned(), failing: AtomicBool::new(false), lost: AtomicU64::new(0) })
    }

    /// Sends the line of an anomaly. A line that cannot be sent is counted and logged once.
    pub(crate) async fn anomaly(&self, anomaly: &Anomaly) {
        let line = line(anomaly, &self.host);
        match self.send(line.as_bytes()).await {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, target = ?self.target, "syslog takes no lines");
                }
            }
        }
    }

    async fn send(&self, line: &[u8]) -> std::io::Result<()> {
        match &self.target {
            Target::Unix(path) => UnixDatagram::unbound()?.send_to(line, path).await?,
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
    let time = jiff::Timestamp::from_millisecond((anomaly.received * 1000.0) as i64).unwrap_or_default();
    let mut text = format!(
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
    let mut end = text.len().min(MAX_LINE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
