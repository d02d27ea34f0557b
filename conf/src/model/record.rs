//! `[record]`: where anomalies are recorded.

use crate::secret::Credentials;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where anomalies are recorded and told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// SQLite file; empty: `anomalies.db` in `node.state_dir`.
    pub sqlite_file: PathBuf,
    /// `mysql://HOST:PORT/DATABASE`, or `mysql:///DATABASE?socket=PATH`; empty: SQLite.
    pub server: String,
    /// User of the server.
    pub user: String,
    /// File whose first line is the password; empty: none.
    pub password_file: PathBuf,
    /// Variable of the environment that holds the password; empty: none.
    pub password_env: String,
    /// How the connection to the server is encrypted.
    pub tls: Tls,
    /// PEM file of the authorities of the server's certificate; empty: those of the system.
    pub ca_file: PathBuf,
    /// Anomalies of a metric that follow each other within so many seconds are one (`PANORAMA_EXPIRY_TIME`).
    pub join_seconds: u32,
    /// Anomalies that wait for a record that is away are kept in a file of so many bytes at most.
    pub spill_bytes: u64,
    /// Anomalies older than so many days are removed; 0: never.
    pub keep_days: u32,
    /// One syslog line for each anomaly.
    pub syslog: Syslog,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Not at all.
    #[default]
    Off,
    /// Encrypted; the server's certificate and name are checked.
    Verified,
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

impl Record {
    /// Whether the record is on a server instead of in a file.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        !self.server.is_empty()
    }

    /// The SQLite file of the record: `own`, the node's, if the settings name none. `None`: it is on a server.
    #[must_use]
    pub fn file<'a>(&'a self, own: &'a Path) -> Option<&'a Path> {
        if self.is_remote() {
            return None;
        }
        Some(if self.sqlite_file.as_os_str().is_empty() { own } else { &self.sqlite_file })
    }

    /// User and password of the server.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials { user: &self.user, file: &self.password_file, variable: &self.password_env }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            sqlite_file: PathBuf::new(),
            server: String::new(),
            user: "skyline".into(),
            password_file: PathBuf::new(),
            password_env: String::new(),
            tls: Tls::Off,
            ca_file: PathBuf::new(),
            join_seconds: 900,
            spill_bytes: 256 << 20,
            keep_days: 365,
            syslog: Syslog::default(),
        }
    }
}

impl Default for Syslog {
    fn default() -> Self {
        Self { enabled: false, address: "/dev/log".into() }
    }
}
