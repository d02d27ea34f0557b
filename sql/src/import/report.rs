//! What an import did, for people and programs.

use super::tally::Tally;
use serde::Serialize;

/// What became of a table of the source, over all runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its name there; `z_ts` and `z_fp` stand for those of all metrics.
    pub name: &'static str,
    /// Rows that it has there now; none for `z_ts` and `z_fp`, which are counted profile by profile.
    pub rows: Option<u64>,
    /// Rows that this run has looked at.
    pub new: u64,
    /// What became of them.
    #[serde(flatten)]
    pub tally: Tally,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Name of the database in the record.
    pub name: String,
    /// Version of the reference that made its tables.
    pub version: String,
    /// Its tables, in the order of the import.
    pub tables: Vec<Table>,
    /// Rows that the series and features tables should have given, sums that differ, rows that are missing: empty if
    /// all that is there is here.
    pub differences: Vec<String>,
    /// Earliest time of an anomaly of the source, seconds; none without anomalies.
    pub oldest_anomaly: Option<i64>,
}

impl Report {
    /// Whether all that is there is here, or was left out with a reason.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.differences.is_empty()
    }

    /// Rows that this run has looked at.
    #[must_use]
    pub fn new_rows(&self) -> u64 {
        self.tables.iter().map(|table| table.new).sum()
    }
}
