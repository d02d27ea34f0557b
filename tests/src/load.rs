//! Sending: many points by the load tool's library, or few by hand.

use anyhow::Context as _;
use carbon_load::send::{SendArgs, SendReport};
use clap::Parser as _;
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

#[derive(Debug, clap::Parser)]
struct Command {
    #[command(flatten)]
    arguments: SendArgs,
}

/// What `carbon-load send` sends without options, to `to`, with the changes that `change` makes.
///
/// # Errors
///
/// When it cannot connect or a connection broke.
pub fn send(to: SocketAddr, change: impl FnOnce(&mut SendArgs)) -> anyhow::Result<SendReport> {
    let report = send_lossy(to, change)?;
    anyhow::ensure!(report.errors.is_empty(), "sending to {to}: {:?}", report.errors);
    Ok(report)
}

/// The same, where connections may break: the report says which.
///
/// # Errors
///
/// When it cannot connect.
pub fn send_lossy(to: SocketAddr, change: impl FnOnce(&mut SendArgs)) -> anyhow::Result<SendReport> {
    let mut arguments = Command::try_parse_from(["send"]).context("the load tool's defaults")?.arguments;
    arguments.to = to.to_string();
    change(&mut arguments);
    carbon_load::send::run(&arguments).map_err(|error| anyhow::anyhow!("sending to {to}: {error}"))
}

/// Opens a connection that gives up on an unresponsive peer after ten seconds.
///
/// # Errors
///
/// When nobody listens.
pub fn connect(to: SocketAddr) -> anyhow::Result<TcpStream> {
    let limit = Duration::from_secs(10);
    let stream = TcpStream::connect_timeout(&to, limit).with_context(|| format!("connecting to {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(limit))?;
    stream.set_read_timeout(Some(limit))?;
    Ok(stream)
}

/// Sends bytes on a connection of their own and closes it in order.
///
/// # Errors
///
/// When nobody listens or the peer closes before it has them.
pub fn bytes(to: SocketAddr, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stream = connect(to)?;
    stream.write_all(bytes.as_ref()).with_context(|| format!("sending to {to}"))?;
    stream.shutdown(Shutdown::Write)?;
    Ok(())
}

/// Lines `NAME VALUE TIMESTAMP` for values 0 to `count` of one metric, `step` seconds apart, the last at `last`.
#[must_use]
pub fn lines(name: &str, count: u32, step: i64, last: i64) -> String {
    (0..count).map(|i| format!("{name} {i} {}\n", last - step * i64::from(count - 1 - i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_defaults_are_understood() {
        let to = SocketAddr::from(([127, 0, 0, 1], 1));
        let report = send(to, |a| {
            a.dry_run = true;
            a.metrics = 10;
            a.points = 3;
        });
        assert_eq!(report.unwrap().digest.split(':').next(), Some("30"));
        assert_eq!(lines("a", 2, 60, 120), "a 0 60\na 1 120\n");
    }
}
