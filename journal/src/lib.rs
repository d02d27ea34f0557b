//! The log that every datapoint goes through, and the positions of its readers.
//!
//! One [`Journal`] is written by everybody who takes points in ([`Journal::append`]) and read by
//! any number of named readers ([`Journal::reader`]), each with a position of its own that
//! survives restarts. A reader that keeps up is served from memory; a lagging one reads files.
//! Positions are sequence numbers of points. Knows no protocol, no meaning of metrics.
//!
//! Invariants: a batch is visible to readers only once it is logged; sequence numbers are never
//! given twice; for each reader `routed == delivered + waiting + shed`; a segment goes only when
//! every saved position is behind it, or when the budget takes it and its readers are charged.

mod budget;
mod error;
mod figures;
pub mod fuzz;
mod journal;
mod keeper;
mod ledger;
mod log;
mod options;
mod position;
mod reader;
mod recover;
mod ring;
mod segment;
mod sets;
mod share;
mod sys;
mod writer;

pub use error::Error;
pub use journal::Journal;
pub use ledger::Ledger;
pub use options::{Durability, Options, WhenFull};
pub use reader::{Caller, Reader};
pub use recover::Recovered;
pub use share::{Delivery, Mine, Scope};
pub use sys::room_bytes;

#[cfg(test)]
mod tests;
