//! `[node]`: the process.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The process: where its state is, how it stops and logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Name of this node in its own metrics and records; empty: the host's name.
    pub name: String,
    /// Folder of everything that the node keeps.
    pub state_dir: PathBuf,
    /// Seconds that an orderly stop may take.
    pub shutdown_seconds: f64,
    /// Log filter as of `tracing` (`info`, `debug`, `info,skyline_relay=debug`).
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Seconds between the node's own metrics (`skyline.<app>.<name>.*`) sent to the destinations; 0: none.
    pub self_metrics_seconds: u32,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: String::new(),
            state_dir: "/var/lib/skyline".into(),
            shutdown_seconds: 10.0,
            log: "info".into(),
            log_format: LogFormat::Text,
            self_metrics_seconds: 60,
        }
    }
}
