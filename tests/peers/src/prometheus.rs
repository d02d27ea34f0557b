//! Prometheus: one that scrapes every second and remote-writes what it scrapes, and one that has samples already and
//! wants a password.

use crate::process::Process;
use crate::{listens, port};
use anyhow::Context as _;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Who may ask a [`Prometheus::holding`], with [`PASSWORD`].
pub const USER: &str = "reader";
/// See [`USER`].
pub const PASSWORD: &str = "of a scrape";
/// Its hash by bcrypt.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu5v7A3ABQywl6ZpOIxEHr6L2H5SXVonG";

/// Seconds of samples that promtool is given at once.
const TEXT: i64 = 5 * 86_400;

/// Samples of a series: labels as `{a="b"}`, then (seconds, value).
pub type Samples<'a> = (&'a str, &'a [(i64, f64)]);

/// A Prometheus that runs, or ran.
#[derive(Debug)]
pub struct Prometheus {
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process; see there for its signals.
    pub process: Process,
}

impl Prometheus {
    /// One that remote-writes to `url` with a bearer token.
    ///
    /// # Errors
    ///
    /// When it does not start; the end of its log is in the message.
    pub fn start(url: &str, token: &str) -> anyhow::Result<Self> {
        let address = port::free();
        Self::writing(url, token, address, ("own", address), "")
    }

    /// One that scrapes `target` instead of itself, takes its samples out of order if they are younger than 48 hours, and
    /// waits when it is told to (429).
    ///
    /// # Errors
    ///
    /// When it does not start; the end of its log is in the message.
    pub fn late(url: &str, token: &str, target: SocketAddr) -> anyhow::Result<Self> {
        let storage = "storage: { tsdb: { out_of_order_time_window: 48h } }\n";
        Self::writing(url, token, port::free(), ("late", target), storage)
    }

    fn writing(
        url: &str,
        token: &str,
        address: SocketAddr,
        (job, target): (&str, SocketAddr),
        more: &str,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir()?;
        let settings = format!(
            "global: {{ scrape_interval: 1s }}\n{more}\
             scrape_configs: [{{ job_name: {job}, static_configs: [{{ targets: ['{target}'] }}] }}]\n\
             remote_write:\n  - url: {url}\n    authorization: {{ credentials: {token} }}\n    \
             queue_config: {{ batch_send_deadline: 1s, max_backoff: 500ms, retry_on_http_429: true }}\n"
        );
        let process = launch(&folder, address, &settings)?;
        Ok(Self { folder, address, process })
    }

    /// One that scrapes nothing, has `samples` of `metric`, and answers [`USER`] only.
    ///
    /// # Errors
    ///
    /// When it does not start; the end of its log is in the message.
    pub fn holding(metric: &str, samples: &[Samples<'_>]) -> anyhow::Result<Self> {
        Self::holding_behind(metric, samples, "")
    }

    /// The same with more lines in its `--web.config.file`, such as `tls_server_config`.
    ///
    /// # Errors
    ///
    /// As [`Self::holding`].
    pub fn holding_behind(metric: &str, samples: &[Samples<'_>], web: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir()?;
        let (mut at, last) = span(samples);
        // For each of the blocks, of two hours, the whole text is read.
        while at <= last {
            blocks(folder.path(), metric, samples, at..at + TEXT)?;
            at += TEXT;
        }
        let web = format!("basic_auth_users: {{ {USER}: '{HASH}' }}\n{web}");
        std::fs::write(folder.path().join("web.yml"), web)?;
        let address = port::free();
        let process = launch(&folder, address, "{}\n")?;
        Ok(Self { folder, address, process })
    }

    /// Starts it again at the same place with the same data and settings.
    ///
    /// # Errors
    ///
    /// When it does not start; the end of its log is in the message.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        let settings = std::fs::read_to_string(self.folder.path().join("prometheus.yml"))?;
        self.process = launch(&self.folder, self.address, &settings)?;
        Ok(())
    }

    /// The sum of one of its figures over all labels.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn figure(&self, name: &str) -> anyhow::Result<f64> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let rows = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values = rows.map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()));
        values.sum::<Option<f64>>().with_context(|| format!("{name} is no number"))
    }
}

/// The first and the last time of samples.
fn span(samples: &[Samples<'_>]) -> (i64, i64) {
    let times = || samples.iter().flat_map(|(_, points)| points.iter().map(|(ts, _)| *ts));
    (times().min().unwrap_or(0), times().max().unwrap_or(-1))
}

/// Makes blocks of the samples of some `times`.
fn blocks(folder: &Path, metric: &str, samples: &[Samples<'_>], times: Range<i64>) -> anyhow::Result<()> {
    let mut text = format!("# TYPE {metric} gauge\n");
    for (labels, points) in samples {
        for (ts, value) in points.iter().filter(|(ts, _)| times.contains(ts)) {
            writeln!(text, "{metric}{labels} {value} {ts}")?;
        }
    }
    text.push_str("# EOF\n");
    let file = folder.join("samples");
    std::fs::write(&file, text)?;
    let mut promtool = Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&file).arg(folder.join("data"));
    let output = promtool.output().context("promtool")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn launch(folder: &TempDir, address: SocketAddr, settings: &str) -> anyhow::Result<Process> {
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, settings)?;
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg("--storage.tsdb.retention.time=120d")
        .arg(format!("--web.listen-address={address}"));
    let web = folder.path().join("web.yml");
    if web.exists() {
        command.arg(format!("--web.config.file={}", web.display()));
    }
    let mut process = Process::start(&mut command, &folder.path().join("log"))?;
    listens(&mut process, address)?;
    Ok(process)
}
