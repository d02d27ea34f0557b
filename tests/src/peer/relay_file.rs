//! Relays that are started with a file in carbon-c-relay's language: the node, and that relay itself.
//!
//! Each listens on a Unix socket in a common folder, and knows a cluster `default` that writes to the file
//! `data.out` there; what a test adds to its file comes behind that.

use crate::process::Process;
use crate::{eventually, eventually_true, node};
use anyhow::Context as _;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// How long relays may take to write what they were sent.
const WRITE: Duration = Duration::from_secs(20);

/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(10);

/// Which program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The node.
    Node,
    /// carbon-c-relay.
    CRelay,
}

/// Relays that share a folder.
#[derive(Debug)]
pub struct Relays {
    folder: TempDir,
    running: Vec<Process>,
    /// Of the one that was started last.
    socket: PathBuf,
}

impl Relays {
    /// None yet.
    ///
    /// # Errors
    ///
    /// When there can be no folder.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("relays-").tempdir()?;
        Ok(Self { folder, running: Vec::new(), socket: PathBuf::new() })
    }

    /// The common folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts one more, and waits until it takes connections. `trusted`: the certificates that it trusts.
    ///
    /// # Errors
    ///
    /// When it does not start, with its last words.
    pub fn start(
        &mut self,
        program: Program,
        statements: &str,
        trusted: Option<&Path>,
    ) -> anyhow::Result<()> {
        let folder = self.folder.path();
        let number = self.running.len();
        let (file, socket) = (folder.join(format!("{number}.conf")), folder.join(format!("{number}.sock")));
        let head = format!(
            "listen type linemode {} proto unix ;\ncluster default file {} ;\n",
            socket.display(),
            folder.join("data.out").display()
        );
        std::fs::write(&file, head + statements)?;
        let mut command = match program {
            Program::Node => {
                let mut command = Command::new(node::binary()?);
                command.args(["run", "--http-port", "0", "--c-relay-conf"]).arg(&file);
                command.arg("--state-dir").arg(folder.join(format!("{number}.state")));
                if let Some(trusted) = trusted {
                    command.arg("--c-relay-ca").arg(trusted);
                }
                command
            }
            Program::CRelay => {
                let mut command = Command::new("carbon-c-relay");
                command.args(["-w", "1", "-s", "-f"]).arg(&file);
                if let Some(trusted) = trusted {
                    command.arg("-C").arg(trusted);
                }
                command
            }
        };
        let mut process = Process::start(&mut command, &folder.join(format!("{number}.log")))?;
        let outcome = eventually(START, &format!("{program:?} {number} takes connections"), || {
            if let Err(error) = process.must_run() {
                return Some(Err(error));
            }
            // Who connects to carbon-c-relay before it has started all of itself may stop it for good.
            let is_ready = match program {
                Program::Node => UnixStream::connect(&socket).is_ok(),
                Program::CRelay => process.log().contains("startup sequence complete"),
            };
            is_ready.then_some(Ok(()))
        });
        outcome.and_then(|inner| inner).with_context(|| process.last_words())?;
        self.running.push(process);
        self.socket = socket;
        Ok(())
    }

    /// Sends to the one that was started last, on one connection, which ends behind it.
    ///
    /// # Errors
    ///
    /// When it does not take it.
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        UnixStream::connect(&self.socket)?.write_all(bytes.as_ref()).context("the relay takes no more")
    }

    /// What is in the file so far.
    #[must_use]
    pub fn written(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("data.out")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until so many lines are in the file.
    ///
    /// # Errors
    ///
    /// When they are not; with what is there, and the last words of all.
    pub fn have_written(&self, lines: usize) -> anyhow::Result<()> {
        let enough = || self.written().lines().count() >= lines;
        eventually_true(WRITE, &format!("{lines} lines in the file"), enough).with_context(|| {
            let words: Vec<String> = self.running.iter().map(Process::last_words).collect();
            format!("written:\n{}\nlast words:\n{}", self.written(), words.join("\n--\n"))
        })
    }

    /// Asks all to end, as a service manager does, and waits: how each ended, and what is in the file then.
    ///
    /// # Errors
    ///
    /// When one does not end.
    pub fn stop(mut self) -> anyhow::Result<(Vec<ExitStatus>, String)> {
        for process in &mut self.running {
            process.signal(libc::SIGTERM);
        }
        let ends = self.running.iter_mut().map(|process| process.wait(STOP)).collect::<Result<_, _>>()?;
        Ok((ends, self.written()))
    }

    /// Everything that the relay with that number has said.
    #[must_use]
    pub fn log(&self, number: usize) -> String {
        self.running.get(number).map(Process::log).unwrap_or_default()
    }
}

/// Starts one relay, sends it `payload`, and gives what it has written once it has ended; at least `lines` lines.
///
/// # Errors
///
/// As [`Relays`], or when it did not end well.
pub fn outcome(program: Program, statements: &str, payload: &str, lines: usize) -> anyhow::Result<String> {
    let mut relays = Relays::new()?;
    relays.start(program, statements, None)?;
    relays.send(payload)?;
    relays.have_written(lines)?;
    let (ends, written) = relays.stop()?;
    anyhow::ensure!(ends.iter().all(ExitStatus::success), "{program:?} ended with {ends:?}");
    Ok(written)
}
