//! MariaDB: started on a copy of a fresh data folder, stopped, paused and started again; databases of one
//! test each.
//!
//! Making a data folder takes a second, copying one a few milliseconds: it is made once for each target
//! folder of cargo. A run of all tests starts one server and names its socket in [`VARIABLE`].

use crate::process::Process;
use crate::{is_so, kept, port};
use anyhow::{Context as _, ensure};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tempfile::TempDir;

/// Names the socket of a server that all tests may use; its user `root` has no password.
pub const VARIABLE: &str = "SKYLINE_TEST_MARIADB";

/// Small and quick: what was committed survives the end of the process, not that of the machine.
const OPTIONS: &[&str] = &[
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--skip-sync-frm",
    "--skip-name-resolve",
    "--skip-ssl",
];

/// A server of one test, or of several. Killed on drop.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    folder: TempDir,
    address: SocketAddr,
    more: Vec<String>,
}

impl MariaDb {
    /// Starts a server of its own.
    ///
    /// # Errors
    ///
    /// When it does not start; its last words are in the message.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// [`MariaDb::start`] with more options, such as `--ssl-cert=…`.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_with(more: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        copy(&template()?, &folder.path().join("data"))?;
        let address = port::free();
        let more: Vec<_> = more.iter().map(|&option| option.to_owned()).collect();
        let process = spawn(folder.path(), address, &more)?;
        Ok(Self { process, folder, address, more })
    }

    /// The server that tests share: that of [`VARIABLE`], else one of this process that lives as long as
    /// somebody holds it.
    ///
    /// # Errors
    ///
    /// When one has to be started and does not.
    pub fn shared() -> anyhow::Result<Shared> {
        static STARTED: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
        if let Some(socket) = std::env::var_os(VARIABLE).filter(|socket| !socket.is_empty()) {
            return Ok(Shared { socket: socket.into(), _server: None });
        }
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = match started.upgrade() {
            Some(server) => server,
            None => Arc::new(Self::start()?),
        };
        *started = Arc::downgrade(&server);
        Ok(Shared { socket: server.socket(), _server: Some(server) })
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Where it listens over TCP; its user `root` may come from there without a password.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A fresh database.
    ///
    /// # Errors
    ///
    /// When the server does not make it.
    pub fn database(&self) -> anyhow::Result<Database> {
        Database::new(self.socket())
    }

    /// `kill -9`.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Stops it where it is (SIGSTOP): its sockets stay open and nobody answers.
    pub fn pause(&mut self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// Lets it go on after [`MariaDb::pause`].
    pub fn resume(&mut self) {
        self.process.signal(libc::SIGCONT);
    }

    /// Ends it, if it still runs, and starts it again on the same data, socket and port.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process = spawn(self.folder.path(), self.address, &self.more)?;
        Ok(())
    }

    /// Everything that it printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// A server that other tests may use too.
#[derive(Debug)]
pub struct Shared {
    socket: PathBuf,
    _server: Option<Arc<MariaDb>>,
}

impl Shared {
    /// A fresh database.
    ///
    /// # Errors
    ///
    /// When the server does not make it.
    pub fn database(&self) -> anyhow::Result<Database> {
        Database::new(self.socket.clone())
    }
}

/// A database with a name of its own; dropped on drop, if its server still answers.
#[derive(Debug)]
pub struct Database {
    name: String,
    socket: PathBuf,
}

impl Database {
    fn new(socket: PathBuf) -> anyhow::Result<Self> {
        let name = format!("t{:016x}", rand::random::<u64>());
        let database = Self { name, socket };
        client(&database.socket, &format!("CREATE DATABASE {} CHARACTER SET utf8mb4", database.name))?;
        Ok(database)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `mysql:///NAME?socket=PATH`, without a user.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql:///{}?socket={}", self.name, self.socket.display())
    }

    /// Runs statements as `root` with the server's own client; returns what it printed, tab-separated and
    /// without a head line.
    ///
    /// # Errors
    ///
    /// When one fails; with the server's words.
    pub fn run(&self, statements: &str) -> anyhow::Result<String> {
        client(&self.socket, &format!("USE {}; {statements}", self.name))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that was killed has no need to be tidied.
        drop(client(&self.socket, &format!("DROP DATABASE {}", self.name)));
    }
}

/// The server's own client, as `root`.
fn client(socket: &Path, statements: &str) -> anyhow::Result<String> {
    let output = Command::new("mariadb")
        .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names", "--connect-timeout=10"])
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--execute={statements}"))
        .output()
        .context("`mariadb` cannot be started; `cargo xtask test` installs what is missing")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mariadb: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As whom a server has to be told to run.
fn user(command: &mut Command, folder: &Path) -> anyhow::Result<()> {
    if fs::metadata(folder)?.uid() == 0 {
        command.arg("--user=root");
    }
    Ok(())
}

fn spawn(folder: &Path, address: SocketAddr, more: &[String]) -> anyhow::Result<Process> {
    let socket = folder.join("socket");
    let mut command = Command::new("mariadbd");
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--port={}", address.port()))
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--pid-file={}", folder.join("pid").display()));
    command.args(OPTIONS).args(more);
    user(&mut command, folder)?;
    let mut process = Process::start(&mut command, &folder.join("log"))?;
    is_so(&mut process, "MariaDB answers", |_| client(&socket, "SELECT 1").is_ok())?;
    Ok(process)
}

/// A data folder as it is after installation.
fn template() -> anyhow::Result<PathBuf> {
    kept::once("mariadb-template", |folder| {
        let mut command = Command::new("mariadb-install-db");
        command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        command.arg(format!("--datadir={}", folder.display())).args(OPTIONS);
        user(&mut command, folder.parent().unwrap_or(folder))?;
        let output = command
            .output()
            .context("`mariadb-install-db` cannot be started; `cargo xtask test` installs what is missing")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mariadb-install-db: {said}{errors}");
        Ok(())
    })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_survives_a_kill() {
        let mut server = MariaDb::start().unwrap();
        let database = server.database().unwrap();
        database.run("CREATE TABLE a (x INT); INSERT INTO a VALUES (7)").unwrap();
        server.kill().unwrap();
        assert!(database.run("SELECT x FROM a").is_err());
        server.restart().unwrap();
        assert_eq!(database.run("SELECT x FROM a").unwrap(), "7\n");
        server.pause();
        assert!(database.url().ends_with("socket"), "{}", database.url());
        server.resume();
        assert_eq!(database.run("SELECT x FROM a").unwrap(), "7\n");
    }

    #[test]
    fn databases_of_a_shared_server_are_apart() {
        let (one, two) = (MariaDb::shared().unwrap(), MariaDb::shared().unwrap());
        let (one, two) = (one.database().unwrap(), two.database().unwrap());
        one.run("CREATE TABLE a (x INT)").unwrap();
        two.run("CREATE TABLE a (x INT)").unwrap();
        assert!(one.run("CREATE TABLE a (x INT)").is_err());
    }
}
