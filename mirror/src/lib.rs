//! The copy of the windows in Redis, and windows taken from it.

pub mod chunks;
pub mod server;
