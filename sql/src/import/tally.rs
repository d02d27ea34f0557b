//! What became of the rows of a table.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts of rows of one table of the source, over all runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Rows looked at.
    pub read: u64,
    /// Rows made in the record.
    pub written: u64,
    /// Rows that were there already, or are one with another.
    pub joined: u64,
    /// Rows left out, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Rows that came over changed, by what was changed.
    pub changed: BTreeMap<String, u64>,
}

impl Tally {
    /// A row is left out.
    pub(super) fn drop_row(&mut self, reason: &str) {
        self.drop_rows(reason, 1);
    }

    /// So many are left out.
    pub(super) fn drop_rows(&mut self, reason: &str, rows: u64) {
        if rows > 0 {
            *self.dropped.entry(reason.to_owned()).or_default() += rows;
        }
    }

    /// A row comes over, with a change.
    pub(super) fn change(&mut self, what: &str) {
        *self.changed.entry(what.to_owned()).or_default() += 1;
    }

    /// Rows left out, whatever the reason.
    #[must_use]
    pub fn dropped_rows(&self) -> u64 {
        self.dropped.values().sum()
    }
}
