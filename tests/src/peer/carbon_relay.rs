//! carbon-relay in front of the node, by its rules, with pickles.

use super::listens;
use crate::port;
use crate::process::Process;
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

/// A carbon-relay with `RELAY_METHOD = rules` and one destination for everything.
#[derive(Debug)]
pub struct CarbonRelay {
    // Holds the settings until the relay is gone: fields are dropped in order.
    process: Process,
    line: SocketAddr,
    _folder: TempDir,
}

impl CarbonRelay {
    /// Starts it; it sends pickles to `destination`.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not listen.
    pub fn start(destination: SocketAddr) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("carbon-relay-").tempdir()?;
        let (line, pickle) = (port::free(), port::free());
        let path = folder.path().display();
        let destination = format!("{destination}:a");
        // Its queue of 1,000 by default drops what it has not sent yet: that is its loss, not the node's.
        let config = format!(
            "[relay]\nUSER =\nLOG_DIR = {path}\nPID_DIR = {path}\n\
             LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {}\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {}\n\
             MAX_QUEUE_SIZE = 100000\nRELAY_METHOD = rules\nDESTINATIONS = {destination}\nDESTINATION_PROTOCOL = pickle\n\
             CARBON_METRIC_INTERVAL = 0\n",
            line.port(),
            pickle.port()
        );
        std::fs::write(folder.path().join("carbon.conf"), config)?;
        // It asks for this file, though it stores nothing.
        std::fs::write(
            folder.path().join("storage-schemas.conf"),
            "[all]\npattern = .*\nretentions = 60s:1d\n",
        )?;
        let rules = format!("[default]\ndefault = true\ndestinations = {destination}\n");
        std::fs::write(folder.path().join("relay-rules.conf"), rules)?;
        let mut command = Command::new("carbon-relay");
        command.arg(format!("--config={path}/carbon.conf")).args(["--nodaemon", "start"]);
        command.env("GRAPHITE_STORAGE_DIR", folder.path());
        let mut process = Process::start(&mut command, &folder.path().join("relay.log"))?;
        listens(&mut process, line)?;
        Ok(Self { process, line, _folder: folder })
    }

    /// Where it takes lines.
    #[must_use]
    pub fn line(&self) -> SocketAddr {
        self.line
    }

    /// Fails if it has ended by itself.
    ///
    /// # Errors
    ///
    /// With its last words.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        self.process.must_run()
    }
}
