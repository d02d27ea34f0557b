//! carbon-cache with its whisper files: what is in them was really delivered.

use super::{listens, whisper};
use crate::port;
use crate::process::Process;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Seconds between two points of its files.
pub const STEP: i64 = 60;

fn launch(folder: &TempDir, line: SocketAddr, pickle: SocketAddr) -> anyhow::Result<Process> {
    let path = folder.path().display();
    let mut command = Command::new("carbon-cache");
    command.arg(format!("--config={path}/carbon.conf")).args(["--nodaemon", "start"]);
    command.env("GRAPHITE_STORAGE_DIR", folder.path());
    // A service manager removes it; it does not when it is asked to end while it is busy.
    drop(std::fs::remove_file(folder.path().join("carbon-cache-a.pid")));
    let mut process = Process::start(&mut command, &folder.path().join("cache.log"))?;
    listens(&mut process, line)?;
    listens(&mut process, pickle)?;
    Ok(process)
}

/// A carbon-cache that writes at once, into a folder of its own.
#[derive(Debug)]
pub struct CarbonCache {
    folder: TempDir,
    line: SocketAddr,
    pickle: SocketAddr,
    process: Process,
}

impl CarbonCache {
    /// Starts it; every metric has a point a minute for two days.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not listen.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&format!("{STEP}s:2d"))
    }

    /// Starts it; every metric has archives of these `retentions`, as storage-schemas.conf says them.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with(retentions: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("carbon-cache-").tempdir()?;
        let (line, pickle, query) = (port::free(), port::free(), port::free());
        let path = folder.path().display();
        let config = format!(
            "[cache]\nUSER =\nLOCAL_DATA_DIR = {path}/whisper\nLOG_DIR = {path}\nPID_DIR = {path}\n\
             MAX_UPDATES_PER_SECOND = inf\nMAX_CREATES_PER_MINUTE = inf\nMAX_CACHE_SIZE = inf\n\
             LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {}\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {}\n\
             CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {}\n\
             ENABLE_TAGS = False\nCARBON_METRIC_INTERVAL = 0\n",
            line.port(),
            pickle.port(),
            query.port()
        );
        std::fs::write(folder.path().join("carbon.conf"), config)?;
        let schemas = format!("[all]\npattern = .*\nretentions = {retentions}\n");
        std::fs::write(folder.path().join("storage-schemas.conf"), schemas)?;
        let process = launch(&folder, line, pickle)?;
        Ok(Self { folder, line, pickle, process })
    }

    /// Ends it as its service does (SIGTERM) and starts it again over the same files.
    ///
    /// # Errors
    ///
    /// When it does not end, or does not listen again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process.signal(libc::SIGTERM);
        self.process.wait(Duration::from_secs(20))?;
        self.process = launch(&self.folder, self.line, self.pickle)?;
        Ok(())
    }

    /// Where it takes lines.
    #[must_use]
    pub fn line(&self) -> SocketAddr {
        self.line
    }

    /// Where it takes pickles.
    #[must_use]
    pub fn pickle(&self) -> SocketAddr {
        self.pickle
    }

    /// Points in the file of a metric, oldest first; none while there is no file.
    ///
    /// # Errors
    ///
    /// When the file is no whisper file.
    pub fn points(&self, metric: &str) -> anyhow::Result<Vec<(i64, f64)>> {
        let mut file: PathBuf = self.folder.path().join("whisper");
        file.extend(metric.split('.'));
        file.set_extension(match file.extension() {
            Some(last) => format!("{}.wsp", last.to_string_lossy()),
            None => "wsp".to_owned(),
        });
        whisper::points(&file)
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
