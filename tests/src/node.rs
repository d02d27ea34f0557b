//! The built node in a folder of its own, on ports of its own.

use crate::http::{self, Answer};
use crate::metrics::Metrics;
use crate::port;
use crate::process::Process;
use crate::status::Status;
use crate::{eventually, eventually_true};
use anyhow::Context as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// What a node is started with: a relay without windows, unless told otherwise.
#[derive(Debug, Clone)]
pub struct Setup {
    destinations: Vec<String>,
    /// Dotted keys of the settings file, with their values as TOML writes them.
    settings: BTreeMap<String, String>,
    /// Files beside it, by name.
    files: BTreeMap<String, String>,
    /// Further arguments of `skyline run`.
    arguments: Vec<String>,
    /// Where lines go in, if those arguments say so.
    plaintext: Option<SocketAddr>,
}

impl Setup {
    /// A relay to `destinations` (`host:port[:protocol]`).
    #[must_use]
    pub fn relay<S: ToString>(destinations: impl IntoIterator<Item = S>) -> Self {
        let destinations = destinations.into_iter().map(|d| d.to_string()).collect();
        let settings = [
            ("node.name", "\"test\""),
            ("node.self_metrics_seconds", "0"),
            ("window.enabled", "false"),
            ("relay.sending.retry_max_seconds", "0.5"),
        ];
        let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Self { destinations, settings, files: BTreeMap::new(), arguments: Vec::new(), plaintext: None }
    }

    /// In the place of another relay, by `skyline run` with these arguments; `plaintext`: where that relay takes
    /// lines.
    #[must_use]
    pub fn in_place(arguments: &[&str], plaintext: SocketAddr) -> Self {
        let arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        Self { arguments, plaintext: Some(plaintext), ..Self::relay::<String>([]) }
    }

    /// A node that keeps windows and judges, without destinations.
    #[must_use]
    pub fn window() -> Self {
        Self::relay::<String>([]).with("window.enabled", "true")
    }

    /// Sets one key; `value` as TOML writes it.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same without a key that this had set: the product's default holds.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.settings.remove(key);
        self
    }

    /// Puts a file into the node's folder, which is where it starts. `@PLAINTEXT@` and `@PICKLE@` in it become its ports.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    fn toml(&self, folder: &Path, ports: &Ports) -> String {
        let list = |addresses: &[SocketAddr]| {
            format!("{:?}", addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>())
        };
        let mut keys = BTreeMap::from([
            ("node.state_dir".to_owned(), format!("{:?}", folder.join("state"))),
            ("listen.plaintext_tcp".to_owned(), list(&[ports.plaintext])),
            ("listen.pickle_tcp".to_owned(), list(&[ports.pickle])),
            ("http.api".to_owned(), list(&[ports.api])),
            ("http.status".to_owned(), list(&[ports.status])),
            ("relay.destinations".to_owned(), format!("{:?}", self.destinations)),
        ]);
        keys.extend(self.settings.clone());
        keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }

    /// Writes the settings into a folder of their own and starts the node there.
    ///
    /// # Errors
    ///
    /// When it does not become ready; the end of its log is in the message.
    pub fn start(&self) -> anyhow::Result<Node> {
        self.start_within(START)
    }

    /// The same for a node that has more to do before it is ready.
    ///
    /// # Errors
    ///
    /// As [`Self::start`], after `limit`.
    pub fn start_within(&self, limit: Duration) -> anyhow::Result<Node> {
        let folder = tempfile::Builder::new().prefix("skyline-test-").tempdir()?;
        let mut ports = Ports::default();
        ports.plaintext = self.plaintext.unwrap_or(ports.plaintext);
        let config = folder.path().join("skyline.toml");
        std::fs::write(&config, self.toml(folder.path(), &ports))?;
        for (name, text) in &self.files {
            let text = text.replace("@PLAINTEXT@", &ports.plaintext.port().to_string());
            let text = text.replace("@PICKLE@", &ports.pickle.port().to_string());
            std::fs::write(folder.path().join(name), text)?;
        }
        let process = launch(&config, folder.path(), &self.arguments)?;
        let mut node = Node { folder, ports, arguments: self.arguments.clone(), process };
        node.wait_until_ready(limit)?;
        Ok(node)
    }
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plaintext: SocketAddr,
    pickle: SocketAddr,
    api: SocketAddr,
    status: SocketAddr,
}

impl Default for Ports {
    fn default() -> Self {
        Self { plaintext: port::free(), pickle: port::free(), api: port::free(), status: port::free() }
    }
}

fn launch(config: &Path, folder: &Path, arguments: &[String]) -> anyhow::Result<Process> {
    let mut command = Command::new(binary()?);
    command.arg("run").arg("--config").arg(config).args(arguments).current_dir(folder);
    Process::start(&mut command, &folder.join("node.log"))
}

/// A node that runs, or ran and can be started again on what it left.
#[derive(Debug)]
pub struct Node {
    folder: TempDir,
    ports: Ports,
    arguments: Vec<String>,
    /// The process; see there for its signals, memory and log.
    pub process: Process,
}

impl Node {
    /// Where carbon lines go in.
    #[must_use]
    pub fn plaintext(&self) -> SocketAddr {
        self.ports.plaintext
    }

    /// Where carbon pickles go in.
    #[must_use]
    pub fn pickle(&self) -> SocketAddr {
        self.ports.pickle
    }

    /// Where the API answers.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.ports.api
    }

    /// The folder with its settings (`skyline.toml`), its log (`node.log`) and its state (`state`).
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The settings file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder().join("skyline.toml")
    }

    /// Changes one key of the settings file, which has it already; `value` as TOML writes it.
    ///
    /// # Errors
    ///
    /// When the file has no such key, or cannot be written.
    pub fn set(&self, key: &str, value: impl ToString) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.config())?;
        let begin = format!("{key} = ");
        anyhow::ensure!(text.lines().any(|line| line.starts_with(&begin)), "the settings have no {key}");
        let line = |line: &str| match line.starts_with(&begin) {
            true => format!("{begin}{}\n", value.to_string()),
            false => format!("{line}\n"),
        };
        replace(&self.config(), text.lines().map(line).collect::<String>())
    }

    /// Runs `skyline COMMAND` with its settings.
    ///
    /// # Errors
    ///
    /// When it cannot be run.
    pub fn command(&self, command: &str) -> anyhow::Result<Output> {
        let mut program = Command::new(binary()?);
        Ok(program.arg(command).arg("--config").arg(self.config()).output()?)
    }

    /// `skyline reload`.
    ///
    /// # Errors
    ///
    /// When the settings are refused; says why.
    pub fn reload(&self) -> anyhow::Result<()> {
        let output = self.command("reload")?;
        anyhow::ensure!(output.status.success(), "reload: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn wait_until_ready(&mut self, limit: Duration) -> anyhow::Result<()> {
        let status = self.ports.status;
        let outcome = eventually(limit, "the node is ready", || {
            if let Err(error) = self.process.must_run() {
                return Some(Err(error));
            }
            let ready = http::get(status, "/-/ready").is_ok_and(|answer| answer.status == 200);
            // A port that answers is what a sender needs.
            (ready && std::net::TcpStream::connect(self.ports.plaintext).is_ok()).then_some(Ok(()))
        });
        outcome
            .and_then(|inner| inner)
            .with_context(|| format!("the node's last words:\n{}", self.process.last_words()))
    }

    /// Starts it again, on the state that it left.
    ///
    /// # Errors
    ///
    /// When it still runs, or does not become ready.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.relaunch()?;
        self.wait_until_ready(START)
    }

    /// The same without waiting until it is ready.
    ///
    /// # Errors
    ///
    /// When it still runs or cannot be started.
    pub fn relaunch(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.exited().is_some(), "the node still runs");
        self.process = launch(&self.config(), self.folder.path(), &self.arguments)?;
        Ok(())
    }

    /// SIGTERM, and its end.
    ///
    /// # Errors
    ///
    /// When it still runs after `limit`.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.process.signal(libc::SIGTERM);
        self.process.wait(limit)
    }

    /// Asks its status listener.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn ask(&self, path: &str) -> anyhow::Result<Answer> {
        http::get(self.ports.status, path)
    }

    /// Asks its status listener to do something.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn post(&self, path: &str) -> anyhow::Result<Answer> {
        http::ask("POST", self.ports.status, path)
    }

    /// `/-/status`.
    ///
    /// # Errors
    ///
    /// When it does not answer with one.
    pub fn status(&self) -> anyhow::Result<Status> {
        Ok(Status(self.ask("/-/status")?.json()?))
    }

    /// `/metrics`.
    ///
    /// # Errors
    ///
    /// When it does not answer with them.
    pub fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::parse(&self.ask("/metrics")?.text())
    }

    /// Waits until everything that came in is accounted for, and checks that the ledger adds up.
    ///
    /// # Errors
    ///
    /// When it does not within ten seconds, with the equation that does not hold.
    pub fn balanced(&self) -> anyhow::Result<Metrics> {
        let mut last = None;
        let outcome = eventually(Duration::from_secs(10), "the ledger adds up", || {
            match self.metrics().and_then(|m| m.balanced().map(|()| m)) {
                Ok(metrics) => Some(metrics),
                Err(error) => {
                    last = Some(error);
                    None
                }
            }
        });
        outcome.map_err(|error| last.unwrap_or(error))
    }

    /// Waits until so many points have come in.
    ///
    /// # Errors
    ///
    /// When they have not within `limit`.
    pub fn has_received(&self, points: u64, limit: Duration) -> anyhow::Result<()> {
        let mut got = 0;
        eventually_true(limit, &format!("{points} points received"), || {
            got = self.status().map_or(got, |s| s.received());
            got >= points
        })
        .with_context(|| format!("received {got}"))
    }

    /// Points of a metric's window, oldest first; none when there is no such metric.
    ///
    /// # Errors
    ///
    /// When the API does not answer.
    pub fn series(&self, name: &str) -> anyhow::Result<Vec<(f64, f64)>> {
        let answer = http::get(self.ports.api, &format!("/api/v1/series/{name}"))?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        anyhow::ensure!(answer.status == 200, "series {name}: {} {}", answer.status, answer.text());
        // Not by way of a `Value`: some tests look at a million points.
        #[derive(serde::Deserialize)]
        struct Series {
            points: Vec<(f64, f64)>,
        }
        let series: Series =
            serde_json::from_slice(&answer.body).with_context(|| format!("series {name}"))?;
        Ok(series.points)
    }

    /// The newest recorded anomalies of a metric, newest first.
    ///
    /// # Errors
    ///
    /// When the API does not answer.
    pub fn anomalies(&self, metric: &str) -> anyhow::Result<Vec<Value>> {
        let answer =
            http::get(self.ports.api, &format!("/api/v1/anomalies?metric={metric}&order=desc&limit=10"))?;
        anyhow::ensure!(answer.status == 200, "anomalies: {} {}", answer.status, answer.text());
        Ok(answer.json()?.get("anomalies").and_then(Value::as_array).cloned().unwrap_or_default())
    }
}

/// Puts `content` in the place of a file, as a whole: who reads it finds the old content or the new.
///
/// # Errors
///
/// When it cannot be written.
pub fn replace(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    Ok(skyline_core::file::replace(path, content.as_ref(), false)?)
}

/// The built program: `SKYLINE_BIN`, or built now in the profile of this test.
///
/// # Errors
///
/// When it does not build.
pub fn binary() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(given) = std::env::var_os("SKYLINE_BIN") {
        return Ok(given.into());
    }
    BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn build() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/PROFILE/deps/TEST, or target/PROFILE/PROGRAM.
    let folder = test.ancestors().skip(1).find(|f| !f.ends_with("deps")).context("a test outside target/")?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let profile = if name == "debug" { "dev" } else { &*name };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--package", "skyline-node", "--profile", profile, "--manifest-path"])
        .arg(manifest);
    anyhow::ensure!(cargo.status().context("cargo")?.success(), "the node does not build");
    Ok(folder.join("skyline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_dotted_keys() {
        let setup =
            Setup::relay(["127.0.0.1:9:pickle"]).with("relay.sending.mark_points", 5).without("node.name");
        let text = setup.toml(Path::new("/f"), &Ports::default());
        let check = |line: &str, expected: bool| {
            assert_eq!(text.lines().any(|l| l == line), expected, "{line}\n{text}")
        };
        check("node.state_dir = \"/f/state\"", true);
        check("relay.destinations = [\"127.0.0.1:9:pickle\"]", true);
        check("relay.sending.mark_points = 5", true);
        check("window.enabled = false", true);
        check("node.name = \"test\"", false);
    }
}
