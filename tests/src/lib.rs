//! The node among real peers.
//!
//! [`node::Node`] starts the built program on free ports in a folder of its own; [`peer`] starts
//! carbon-relay, carbon-cache and carbon-c-relay the same way and has a [`peer::sink::Sink`] that can
//! refuse, reset, hang or be slow; [`load`] sends. Everything is killed and removed on drop. Nothing
//! here sleeps for luck: [`eventually`] waits for a fact, with a limit and a name.

pub mod http;
pub mod load;
pub mod metrics;
pub mod node;
pub mod peer;
pub mod pickle;
pub mod port;
pub mod process;
pub mod status;

use anyhow::bail;
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

/// Whether full sizes were asked for (`SKYLINE_LONG=1`, as `cargo xtask test --long` sets it).
#[must_use]
pub fn long() -> bool {
    std::env::var_os("SKYLINE_LONG").is_some_and(|value| value != "0")
}

/// `full` if full sizes were asked for, else `short`.
#[must_use]
pub fn size(short: u64, full: u64) -> u64 {
    if long() { full } else { short }
}

/// Seconds since the epoch, now.
#[must_use]
pub fn now() -> i64 {
    skyline_core::clock::Clock::system().now() as i64
}
