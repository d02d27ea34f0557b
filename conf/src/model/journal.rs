//! `[journal]`: the log that every point goes through.

use serde::{Deserialize, Serialize};

/// The log that every point goes through before anything else sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Disk budget, bytes.
    pub max_bytes: u64,
    /// Size of a segment file, bytes.
    pub segment_bytes: u64,
    /// Newest batches kept in memory for readers that keep up, bytes.
    pub memory_bytes: u64,
    /// When a point counts as logged.
    pub durability: Durability,
    /// When the disk budget is spent.
    pub when_full: WhenFull,
    /// Share of the file system, in percent, that the journal leaves free.
    pub min_free_percent: f64,
}

/// When a point counts as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is written to the kernel: survives `kill -9`, not a power loss.
    Process,
    /// When it is synced to the disk.
    Machine,
}

/// What happens when the disk budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The oldest segment goes; each reader that had not read it is charged.
    ShedOldest,
    /// Nothing more is taken until readers have caught up; listeners act by their own `when_full`.
    Block,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            max_bytes: 8 << 30,
            segment_bytes: 64 << 20,
            memory_bytes: 128 << 20,
            durability: Durability::Process,
            when_full: WhenFull::ShedOldest,
            min_free_percent: 5.0,
        }
    }
}
