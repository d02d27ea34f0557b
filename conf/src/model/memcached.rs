//! `[memcached]`: a cache that several nodes share.

use serde::{Deserialize, Serialize};

/// A cache in front of the record that several nodes share. Off without an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memcached {
    /// `HOST:PORT`, or the path of a Unix socket; empty: off.
    pub address: String,
    /// Beginning of all keys.
    pub namespace: String,
    /// Connect, send and answer together, seconds.
    pub timeout_seconds: f64,
    /// Answers are kept for so long at most, seconds; so long may others not see what a node wrote that
    /// cannot reach memcached.
    pub keep_seconds: u32,
}

impl Default for Memcached {
    fn default() -> Self {
        Self { address: String::new(), namespace: "skyline".into(), timeout_seconds: 0.2, keep_seconds: 10 }
    }
}
