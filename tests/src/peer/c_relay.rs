//! carbon-c-relay: in front of the node, and beside it in benchmarks.

use super::has_started;
use crate::port;
use crate::process::Process;
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

/// A carbon-c-relay that sends everything as lines to one address, or to a hash ring of several.
#[derive(Debug)]
pub struct CRelay {
    /// The process; see there for its memory and CPU time.
    pub process: Process,
    line: SocketAddr,
    _folder: TempDir,
}

impl CRelay {
    /// Starts it with further `arguments`, such as `-q 2000000`.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not listen.
    pub fn start(destinations: &[SocketAddr], arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("carbon-c-relay-").tempdir()?;
        let line = port::free();
        let kind = if destinations.len() > 1 { "carbon_ch" } else { "forward" };
        let destinations: String =
            destinations.iter().enumerate().map(|(n, to)| format!("        {to}={n}\n")).collect();
        // Its own metrics once in a day: a sink that counts lines counts them too.
        let config = format!(
            "listen type linemode\n    {line} proto tcp\n    ;\n\
             cluster all\n    {kind}\n{destinations}    ;\n\
             match * send to all stop;\nstatistics submit every 86400 seconds;\n"
        );
        let file = folder.path().join("relay.conf");
        std::fs::write(&file, config)?;
        let mut command = Command::new("carbon-c-relay");
        command.arg("-f").arg(&file).args(arguments);
        let mut process = Process::start(&mut command, &folder.path().join("relay.log"))?;
        has_started(&mut process)?;
        Ok(Self { process, line, _folder: folder })
    }

    /// Where it takes lines.
    #[must_use]
    pub fn line(&self) -> SocketAddr {
        self.line
    }
}
