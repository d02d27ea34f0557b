//! The log that every datapoint goes through, and the positions of its readers.
//!
//! One [`Journal`] is written by everybody who takes points in ([`Journal::append`]) and read by
//! any number of named readers ([`Journal::reader`]), each with a position of its own that
//! survives restarts. A reader that keeps up is served from memory; a lagging one reads files.
//! Positions are sequence numbers of points. Knows no protocol, no meaning of metrics.

mod api;
pub use api::*;
