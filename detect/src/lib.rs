//! Detection: votes, consensus, boundary rules, and the state of each metric. Synchronous, no I/O.
//!
//! [`consensus::decide`] is the verdict on a window as a plain function; [`tracked::Tracked`] gives the same
//! verdict on every arriving point in constant time; [`shard::Shards`] is what one thread owns.
//! Knows no async, no files of its own, no Redis, SQL or HTTP. Time comes in as a value.

pub mod adf;
pub mod boundary;
pub mod consensus;
pub mod counter;
pub mod dd;
pub mod gate;
pub mod index;
pub mod prefetch;
pub mod quantile;
pub mod second_order;
pub mod settings;
pub mod shard;
pub mod sums;
pub mod tracked;
pub mod vote;
