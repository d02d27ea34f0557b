//! The load tool as processes of its own, so that its CPU time is nobody else's.

use anyhow::Context as _;
use serde_json::Value;
use skyline_tests::process::Process;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// `carbon-load`, built beside this program.
fn program() -> anyhow::Result<Command> {
    let file = std::env::current_exe()?.with_file_name("carbon-load");
    anyhow::ensure!(file.is_file(), "{} is not there: start this by `cargo xtask bench`", file.display());
    Ok(Command::new(file))
}

/// Runs a command of the tool to its end; its report. A lossy end is in the report, not an error.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
) -> anyhow::Result<Value> {
    let output = program()?.args(arguments).output().context("carbon-load")?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("carbon-load: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A command of the tool in the background.
#[derive(Debug)]
pub(crate) struct Background {
    process: Process,
    status: PathBuf,
}

impl Background {
    /// Starts it; its report and its count of points are files in `folder`.
    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(
        arguments: impl IntoIterator<Item = S>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let status = folder.join("count");
        let mut command = program()?;
        command.args(arguments);
        if command.get_args().next().is_some_and(|first| first == "sink") {
            command.arg("--status-file").arg(&status);
        }
        Ok(Self { process: Process::start(&mut command, &folder.join("report"))?, status })
    }

    /// Points that a sink has counted.
    pub(crate) fn count(&self) -> u64 {
        std::fs::read_to_string(&self.status).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.exited().is_some()
    }

    /// Fails if it has ended by itself.
    pub(crate) fn must_run(&mut self) -> anyhow::Result<()> {
        self.process.must_run()
    }

    /// Ends it; its report.
    pub(crate) fn end(mut self) -> anyhow::Result<Value> {
        self.process.signal(libc::SIGTERM);
        self.process.wait(Duration::from_secs(10))?;
        let text = self.process.log();
        serde_json::from_str(&text).with_context(|| format!("carbon-load: {text}"))
    }
}

/// A number of a report.
pub(crate) fn number(report: &Value, key: &str) -> f64 {
    report.get(key).and_then(Value::as_f64).unwrap_or(0.0)
}
