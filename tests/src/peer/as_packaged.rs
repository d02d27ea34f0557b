//! The relays as Debian's services start them, with a file that the test has written.

use super::{has_started, listens};
use crate::process::Process;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Starts `program` (`carbon-relay`, `carbon-aggregator`) as its unit does, instance `a`, and waits until it takes
/// connections at all of `listening`. What it writes goes beside `carbon_conf`.
///
/// # Errors
///
/// When it is not installed or does not listen.
pub fn carbon(program: &str, carbon_conf: &Path, listening: &[SocketAddr]) -> anyhow::Result<Process> {
    let folder = carbon_conf.parent().unwrap_or(Path::new("."));
    let mut command = Command::new(program);
    command.arg(format!("--config={}", carbon_conf.display())).args(["--instance", "a"]);
    command.arg(format!("--pidfile={}/{program}-a.pid", folder.display()));
    command.arg(format!("--logdir={}", folder.display())).args(["--nodaemon", "start"]);
    command.env("GRAPHITE_STORAGE_DIR", folder);
    let mut process = Process::start(&mut command, &folder.join(format!("{program}.log")))?;
    for address in listening {
        listens(&mut process, *address)?;
    }
    Ok(process)
}

/// Starts carbon-c-relay with `DAEMON_ARGS` of its package and a port of its own.
///
/// # Errors
///
/// When it is not installed or does not start.
pub fn c_relay(file: &Path, line: SocketAddr) -> anyhow::Result<Process> {
    let mut command = Command::new("carbon-c-relay");
    command.arg("-f").arg(file).args(["-p", &line.port().to_string()]);
    let mut process = Process::start(&mut command, &file.with_extension("log"))?;
    has_started(&mut process)?;
    Ok(process)
}
