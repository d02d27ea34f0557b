//! `[window]`: the rolling window of each metric.

use serde::{Deserialize, Serialize};

/// The rolling window of each metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Window {
    /// Keep windows at all; off makes the node a relay alone.
    pub enabled: bool,
    /// Length of the window, seconds (the reference's `FULL_DURATION`).
    pub full_duration_seconds: u32,
    /// Kept and judged beyond it, seconds (`ROOMBA_GRACE_TIME`).
    pub grace_seconds: u32,
    /// Points further ahead of the time of receipt are not stored, seconds.
    pub max_future_seconds: u32,
    /// Metrics at most; further names are relayed only.
    pub max_metrics: u64,
    /// New names a minute at most; 0: no limit.
    pub max_new_names_per_minute: u64,
    /// Names that are not stored (relayed all the same): a part of the name, or dotted elements.
    pub skip: Vec<String>,
    /// Names that are stored although `skip` matches.
    pub keep: Vec<String>,
    /// Shards whose metrics this node keeps and judges, `0-511,700`; empty: all 1,024.
    pub shards: String,
    /// Threads that own windows and judge; 0: one for every two cores.
    pub threads: u32,
    /// Every shard is saved once in so many seconds.
    pub snapshot_seconds: f64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            enabled: true,
            full_duration_seconds: 86_400,
            grace_seconds: 600,
            max_future_seconds: 600,
            max_metrics: 2_000_000,
            max_new_names_per_minute: 1_000_000,
            skip: Vec::new(),
            keep: Vec::new(),
            shards: String::new(),
            threads: 0,
            snapshot_seconds: 3_600.0,
        }
    }
}
