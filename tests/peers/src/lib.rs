//! Servers of others that tests of every crate start: in folders of their own, on free ports, killed on drop.
//!
//! Knows none of our crates, so that all of them can use it. Nothing here sleeps for luck: [`eventually`]
//! waits for a fact, with a limit and a name.

pub mod exim;
pub mod graphite_web;
pub mod http;
mod kept;
pub mod mariadb;
pub mod memcached;
pub mod nginx;
pub mod pagerduty;
pub mod port;
pub mod process;
pub mod prometheus;
pub mod python;
pub mod redis;
pub mod schemathesis;
pub mod slack;

use anyhow::{Context as _, bail};
use process::Process;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Waits until `look` gives something, at most for `limit`.
///
/// # Errors
///
/// After `limit`, naming `what` was waited for.
pub fn eventually<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if start.elapsed() >= limit {
            bail!("after {} s still not: {what}", limit.as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// [`eventually`] for a condition.
///
/// # Errors
///
/// As [`eventually`].
pub fn eventually_true(limit: Duration, what: &str, mut look: impl FnMut() -> bool) -> anyhow::Result<()> {
    eventually(limit, what, || look().then_some(()))
}

/// How long a server may take to listen.
pub const START: Duration = Duration::from_secs(15);

/// Waits until `process` listens on `address`.
///
/// # Errors
///
/// When it ends or does not listen in time, with its last words.
pub fn listens(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    is_so(process, &format!("a peer listens on {address}"), |_| TcpStream::connect(address).is_ok())
}

/// Waits until `look` says so of a process that still runs.
///
/// # Errors
///
/// When it ends, or [`START`] has passed, with its last words.
pub fn is_so(process: &mut Process, what: &str, look: impl Fn(&Process) -> bool) -> anyhow::Result<()> {
    let outcome = eventually(START, what, || {
        if let Err(error) = process.must_run() {
            return Some(Err(error));
        }
        look(process).then_some(Ok(()))
    });
    outcome.and_then(|inner| inner).with_context(|| format!("its last words:\n{}", process.last_words()))
}
