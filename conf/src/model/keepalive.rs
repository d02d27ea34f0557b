//! Keep-alive of TCP connections, towards senders and towards destinations.

use serde::{Deserialize, Serialize};

/// When a connection on which nothing moves is probed, so that a peer that has gone without a word is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keepalive {
    /// Seconds without traffic until the first probe; 0: there are none.
    pub idle_seconds: u32,
    /// Seconds between probes.
    pub interval_seconds: u32,
    /// Probes without an answer until the connection is given up.
    pub probes: u32,
}

impl Default for Keepalive {
    /// carbon's.
    fn default() -> Self {
        Self { idle_seconds: 10, interval_seconds: 30, probes: 2 }
    }
}
