//! The node that runs: asked what it does, and again a moment later.

use crate::cli::output::program;
use crate::cli::report::Report;
use crate::cli::send::reachable;
use crate::cli::status;
use serde_json::Value;
use skyline_conf::model::Settings;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Between the two answers.
const BETWEEN: Duration = Duration::from_millis(1_500);

/// A node that answered once.
#[derive(Debug)]
pub(super) struct Running {
    address: SocketAddr,
    asked: Instant,
    first: Value,
}

/// What it answered, and what happened in between.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The later answer.
    pub(super) status: Value,
    /// The earlier one.
    pub(super) before: Value,
    /// Between them.
    pub(super) seconds: f64,
}

impl Running {
    /// Asks the node of these settings; none if there is none, which is then a problem of the report.
    pub(super) async fn ask(
        settings: &Settings,
        address: Option<SocketAddr>,
        arguments: &str,
        report: &mut Report,
    ) -> Option<Self> {
        let Some(address) = address.or_else(|| settings.http.status.first().copied().map(reachable)) else {
            let message = "http.status is empty, so the node cannot be asked how it is";
            report.problem("node", message, "name an address there and start the node again");
            return None;
        };
        match status::ask(address).await {
            Ok(first) => {
                node_line(address, &first, arguments, report);
                Some(Self { address, asked: Instant::now(), first })
            }
            Err(error) => {
                let advice = format!(
                    "start it: {} run{arguments}, or systemctl start skyline; look into its log if it ends again",
                    program()
                );
                let is_refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
                let message = if TcpStream::connect(address).await.is_err_and(is_refused) {
                    format!("no node runs with these settings: nobody listens at {address}")
                } else {
                    format!("no node answers: {}", crate::cli::sentence(&error))
                };
                report.problem("node", message, advice);
                None
            }
        }
    }

    /// Asks again.
    pub(super) async fn look(self) -> Look {
        tokio::time::sleep_until(self.asked + BETWEEN).await;
        let status = status::ask(self.address).await;
        let seconds = self.asked.elapsed().as_secs_f64();
        // One that went away in between is told by what it said before.
        let status = status.unwrap_or_else(|_| self.first.clone());
        Look { status, before: self.first, seconds }
    }
}

fn node_line(address: SocketAddr, status: &Value, arguments: &str, report: &mut Report) {
    let (name, version) = (status::text(status, "name"), status::text(status, "version"));
    let uptime = status::duration(status.get("uptime_seconds").and_then(Value::as_f64).unwrap_or(0.0));
    let message = format!("{name} answers at {address}, up for {uptime}");
    if status.get("ready").and_then(Value::as_bool) == Some(true) {
        report.ok("node", message);
    } else {
        let reasons: Vec<_> =
            status::rows(status, "/reasons").iter().filter_map(Value::as_str).map(status::harmless).collect();
        report.warning("node", format!("{message}, and is not ready: {}", reasons.join("; ")), "see below");
    }
    if version != env!("CARGO_PKG_VERSION") {
        let message = format!("version {version} runs, and this program is {}", env!("CARGO_PKG_VERSION"));
        report.warning(
            "node",
            message,
            format!("stop it and type {} run{arguments}, or systemctl restart skyline", program()),
        );
    }
}

impl Look {
    /// A number of the later answer.
    pub(super) fn number(&self, path: &str) -> f64 {
        self.status.pointer(path).and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// By how much it grew, a second.
    pub(super) fn rate(&self, path: &str) -> f64 {
        let before = self.before.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
        if self.seconds > 0.0 { (self.number(path) - before).max(0.0) / self.seconds } else { 0.0 }
    }

    /// Whether something is so in the later answer.
    pub(super) fn is(&self, path: &str) -> bool {
        self.status.pointer(path).and_then(Value::as_bool) == Some(true)
    }

    /// A list of the later answer.
    pub(super) fn rows(&self, path: &str) -> &[Value] {
        status::rows(&self.status, path)
    }
}

/// A number for people: whole.
pub(super) fn whole(n: f64) -> String {
    status::number(Some(&Value::from(n.round())))
}

/// A number of a row.
pub(super) fn of(row: &Value, key: &str) -> f64 {
    row.get(key).and_then(Value::as_f64).unwrap_or(0.0)
}

/// Whether a row says so.
pub(super) fn is(row: &Value, key: &str) -> bool {
    row.get(key).and_then(Value::as_bool) == Some(true)
}
