//! Aggregates.

/// Name of the reader.
pub const READER: &str = "aggregate";
