//! The relational record: anomalies, what they were found on, and who voted.
//!
//! All SQL text of the node is in this crate; nothing here knows of HTTP or detection. The database
//! is one SQLite file in WAL mode: one connection writes, several read beside it.
//!
//! Entry points: [`Store::open`], [`Store::record`] (a batch in one transaction),
//! [`Store::anomalies`] (search, page by page), [`Store::latest`] (what is anomalous now).
//!
//! Invariants: one row for each (metric, time of the point, app, host), however often and in
//! whatever grouping it is recorded; an anomaly's id is never used twice.

mod answers;
pub mod cache;
mod dictionary;
mod error;
mod figures;
mod migrate;
mod pool;
mod record;
mod retention;
mod row;
mod search;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use pool::{Options, Store};
pub use record::{Context, Recorded};
pub use retention::Counts;
pub use row::Row;
pub use search::{Cursor, MAX_LIMIT, Names, Order, Page, Search};
