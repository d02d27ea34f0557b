//! The relational record: anomalies, what they were found on, and who voted.
//!
//! All SQL text of the node is in this crate; nothing here knows of HTTP or detection. The database
//! is one SQLite file in WAL mode, where one connection writes and several read beside it, or a database of
//! a MariaDB or MySQL server that may come and go. The tables are the same in both.
//!
//! Entry points: [`Store::open`], [`Store::record`] (a batch in one transaction),
//! [`Store::anomalies`] (search, page by page), [`Store::latest`] (what is anomalous now). What alerting keeps:
//! [`Store::keep_alerts`], [`Store::open_alerts`], [`Store::incidents`], [`Store::messages`].
//!
//! Invariants: an anomaly is a row or is counted with one, once, however often and in whatever grouping it
//! is recorded; an anomaly's id is never used twice.

mod account;
mod answers;
pub mod cache;
mod dictionary;
mod error;
mod figures;
pub mod import;
pub mod incident;
mod judgement;
mod migrate;
pub mod mute;
pub mod outbox;
mod place;
mod pool;
mod probe;
mod record;
pub mod responding;
mod retention;
mod row;
mod search;
mod server;
mod session;
mod spill;
mod statement;
#[cfg(test)]
mod tests;

pub use account::{Account, Audit, Role, SYSTEM};
pub use error::Error;
pub use migrate::Plan;
pub use migrate::backup::Migration;
pub use place::Place;
pub use pool::{Options, Store};
pub use probe::{Facts, probe};
pub use record::{Context, Recorded};
pub use retention::Counts;
pub use row::{Row, Verdict};
pub use search::{Cursor, MAX_LIMIT, Names, Order, Page, Search};
pub use spill::{Found, Spill};
