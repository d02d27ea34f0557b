//! `[backfill]`: filling windows from Graphite or from whisper files.

use serde::{Deserialize, Serialize};

/// How much of a server and of this node a back-fill takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backfill {
    /// Questions to a Graphite server a second.
    pub requests_per_second: f64,
    /// Questions at the same time, or groups of files that are read at the same time.
    pub concurrency: u32,
    /// Metrics of one question.
    pub metrics_per_request: u32,
    /// Points that go into the log a second.
    pub points_per_second: f64,
    /// Attempts of a question that fails.
    pub attempts: u32,
    /// Pause after the first failure, seconds; doubles.
    pub retry_seconds: f64,
}

impl Default for Backfill {
    fn default() -> Self {
        Self {
            requests_per_second: 5.0,
            concurrency: 2,
            metrics_per_request: 25,
            points_per_second: 200_000.0,
            attempts: 6,
            retry_seconds: 1.0,
        }
    }
}
