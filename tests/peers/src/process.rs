//! A started program: its signals, its figures in `/proc`, and its end on drop.
#![expect(
    unsafe_code,
    reason = "kill(2), with a process id that the handle holds, and the limit of open files"
)]

use anyhow::Context as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Ticks a second in `/proc/PID/stat` (`USER_HZ`, 100 on every Linux).
const TICKS: f64 = 100.0;

/// A program with its output in a file. Killed and reaped on drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; what it prints is appended to `log`.
    ///
    /// # Errors
    ///
    /// When the log cannot be written or the program not be started.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("{}", log.display()))?;
        let child =
            command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn().with_context(|| {
                format!("`{name}` cannot be started; `cargo xtask test` installs what is missing")
            })?;
        Ok(Self { name, child, log: log.to_owned(), ended: None })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`libc::SIGTERM`, ...), if it still runs.
    pub fn signal(&mut self, signal: libc::c_int) {
        if self.exited().is_none()
            && let Ok(id) = libc::pid_t::try_from(self.child.id())
        {
            // SAFETY: kill takes two numbers; the child is not reaped yet, so the id is its own.
            unsafe { libc::kill(id, signal) };
        }
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When it still runs after `limit`; the end of its log is in the message.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.exited() {
                return Ok(status);
            }
            anyhow::ensure!(
                start.elapsed() < limit,
                "{} still runs after {} s; its last words:\n{}",
                self.name,
                limit.as_secs_f64(),
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kill -9`, and waits for the end.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(libc::SIGKILL);
        self.wait(Duration::from_secs(10)).map(drop)
    }

    /// Fails if it has ended by itself.
    ///
    /// # Errors
    ///
    /// With its status and the end of its log.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        match self.exited() {
            None => Ok(()),
            Some(status) => anyhow::bail!(
                "{} ended by itself, {status}; its last words:\n{}",
                self.name,
                self.last_words()
            ),
        }
    }

    /// Everything that it printed, in all its lives with the same log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// CPU seconds that it has used, its threads together (utime + stime).
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name, in brackets, may hold anything.
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / TICKS
    }

    /// A figure of `/proc/PID/status` in bytes: `VmHWM` (peak resident), `VmRSS`.
    #[must_use]
    pub fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

/// Lets this process, and those that it starts, open as many files as the system allows.
pub fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a struct of their own, which the first fills.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kill().is_err() {
            // Nobody is left to be told, and the next `wait` of this child is the kernel's.
            drop(self.child.kill());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_watched_signalled_and_reaped() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo hello; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; exec sleep 60"]);
        let mut process = Process::start(&mut command, &folder.path().join("log")).unwrap();
        crate::eventually_true(Duration::from_secs(10), "some CPU used", || process.cpu_seconds() > 0.0)
            .unwrap();
        assert!(process.memory("VmHWM") > 100_000);
        assert_eq!(process.log(), "hello\n");
        process.must_run().unwrap();
        assert!(process.wait(Duration::from_millis(20)).is_err());
        process.signal(libc::SIGTERM);
        assert!(!process.wait(Duration::from_secs(5)).unwrap().success());
        assert!(process.must_run().is_err());
    }
}
