//! How a journal behaves.

use std::path::PathBuf;

/// How a journal behaves. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the log; created when it is not there.
    pub dir: PathBuf,
    /// Disk budget of the segments, bytes.
    pub max_bytes: u64,
    /// Size of a segment file, bytes; at most a quarter of the budget is used.
    pub segment_bytes: u64,
    /// Newest batches kept in memory for readers that keep up, bytes.
    pub memory_bytes: u64,
    /// When a point counts as logged.
    pub durability: Durability,
    /// What happens when the budget is spent.
    pub when_full: WhenFull,
    /// Share of the file system that is left free, percent.
    pub min_free_percent: f64,
}

/// When a point counts as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After `write(2)`: survives `kill -9`, not a power loss.
    Process,
    /// After `fdatasync`, shared by all batches of a group.
    Machine,
}

/// What happens when the budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest segment goes; each reader that had not read it is charged.
    ShedOldest,
    /// Nothing more is taken until readers have caught up.
    Block,
}

/// Smallest segment that is worth a file, bytes.
const MIN_SEGMENT: u64 = 4096;

impl Options {
    /// The size at which a segment is closed: at least four fit the budget.
    pub(crate) fn rotate_at(&self) -> u64 {
        self.segment_bytes.min(self.max_bytes / 4).max(MIN_SEGMENT)
    }
}
