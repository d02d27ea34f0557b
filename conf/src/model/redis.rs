//! `[redis]`: the copy of the windows in Redis.

use crate::secret::Credentials;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The copy of the windows in Redis: where it is, and in which form. Off without a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `unix:///PATH`, `redis://HOST:PORT` or `rediss://HOST:PORT`; several for a cluster or sentinels; none: off.
    pub servers: Vec<String>,
    /// What the servers are.
    pub kind: Kind,
    /// The name by which sentinels know the master.
    pub sentinel_master: String,
    /// Number of the database; of a cluster always 0.
    pub database: u32,
    /// User of the servers; empty: the default user.
    pub user: String,
    /// File whose first line is the password; empty: none.
    pub password_file: PathBuf,
    /// Variable of the environment that holds the password; empty: none.
    pub password_env: String,
    /// PEM file of the authorities for `rediss://`; empty: those of the system.
    pub ca_file: PathBuf,
    /// PEM file with the node's certificate and key for `rediss://`; empty: none is shown.
    pub certificate_file: PathBuf,
    /// How windows are written.
    pub layout: Layout,
    /// Prefix of the reference's keys (`FULL_NAMESPACE`).
    pub namespace: String,
    /// Prefix of our own keys: all of layout `chunks`, the marks of `compat`.
    pub prefix: String,
    /// Whether windows that the node lacks are taken from Redis.
    pub adopt: bool,
    /// Layout `chunks`: each shard is written once in so many seconds.
    pub write_seconds: f64,
    /// Layout `compat`: each window is trimmed once in so many seconds; 0: never.
    pub trim_seconds: f64,
    /// An answer is awaited for so long, seconds.
    pub timeout_seconds: f64,
}

/// What the servers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One server.
    #[default]
    Single,
    /// Nodes of a Redis Cluster.
    Cluster,
    /// Sentinels that know where the master is.
    Sentinel,
}

/// How windows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Blocks of a shard in hash fields.
    #[default]
    Chunks,
    /// What the reference reads and writes: each point appended to its metric's key.
    Compat,
}

impl Redis {
    /// Whether there is a copy at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.servers.is_empty()
    }

    /// User and password of the servers.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials { user: &self.user, file: &self.password_file, variable: &self.password_env }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            kind: Kind::Single,
            sentinel_master: String::new(),
            database: 0,
            user: String::new(),
            password_file: PathBuf::new(),
            password_env: String::new(),
            ca_file: PathBuf::new(),
            certificate_file: PathBuf::new(),
            layout: Layout::Chunks,
            namespace: "metrics.".into(),
            prefix: "skyline".into(),
            adopt: true,
            write_seconds: 900.0,
            trim_seconds: 300.0,
            timeout_seconds: 5.0,
        }
    }
}
