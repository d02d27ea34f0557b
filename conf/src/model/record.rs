//! `[record]`: where anomalies are recorded.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where anomalies are recorded and told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// SQLite file; empty: `anomalies.db` in `node.state_dir`.
    pub sqlite_file: PathBuf,
    /// Anomalies older than so many days are removed; 0: never.
    pub keep_days: u32,
    /// One syslog line for each anomaly.
    pub syslog: Syslog,
}

/// Syslog lines: facility local4, severity warning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Syslog {
    /// Send them.
    pub enabled: bool,
    /// A Unix datagram socket (a path), or `udp:HOST:PORT`.
    pub address: String,
}

impl Default for Record {
    fn default() -> Self {
        Self { sqlite_file: PathBuf::new(), keep_days: 365, syslog: Syslog::default() }
    }
}

impl Default for Syslog {
    fn default() -> Self {
        Self { enabled: false, address: "/dev/log".into() }
    }
}
