//! The node among real peers.
//!
//! [`node::Node`] starts the built program on free ports in a folder of its own; [`peer`] starts
//! carbon-relay, carbon-cache and carbon-c-relay the same way and has a [`peer::sink::Sink`] that can
//! refuse, reset, hang or be slow; [`load`] sends. Everything is killed and removed on drop. Nothing
//! here sleeps for luck: [`eventually`] waits for a fact, with a limit and a name.

pub mod authority;
pub mod copied;
pub mod day;
pub mod flux;
pub mod http;
pub mod load;
pub mod metrics;
pub mod node;
pub mod peer;
pub mod pickle;
pub mod status;
pub mod steady;

pub use skyline_peers::{eventually, eventually_true, port, process};

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
