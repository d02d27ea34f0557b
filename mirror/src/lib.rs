//! The copy of the windows in Redis, and windows taken from it.
//!
//! [`server`] is the connection: one server, a cluster, or the master that sentinels name. Two layouts: [`chunks`] writes
//! each shard's blocks now and then, as the windows hand them out; [`compat`] is a reader of the log that appends every point
//! to its metric's key, as Skyline's own tools read and write it. [`mod@reference`] takes windows from such keys. Knows nothing
//! of carbon and of verdicts; nothing waits for it.

pub mod chunks;
pub mod compat;
pub mod fuzz;
pub mod reference;
pub mod server;
pub mod taking;
pub mod windows;
