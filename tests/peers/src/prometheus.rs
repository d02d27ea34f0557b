//! Prometheus, which scrapes itself every second and remote-writes what it scrapes.

use crate::process::Process;
use crate::{listens, port};
use anyhow::Context as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use tempfile::TempDir;

/// A Prometheus that runs.
#[derive(Debug)]
pub struct Prometheus {
    _folder: TempDir,
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
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir()?;
        let address = port::free();
        let settings = format!(
            "global: {{ scrape_interval: 1s }}\n\
             scrape_configs: [{{ job_name: own, static_configs: [{{ targets: ['{address}'] }}] }}]\n\
             remote_write:\n  - url: {url}\n    authorization: {{ credentials: {token} }}\n    \
             queue_config: {{ batch_send_deadline: 1s, max_backoff: 500ms }}\n"
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, settings)?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::start(&mut command, &folder.path().join("log"))?;
        listens(&mut process, address)?;
        Ok(Self { _folder: folder, address, process })
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
