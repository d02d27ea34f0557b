//! The copy of the windows in Redis, and windows taken from it.

pub mod chunks;
pub mod compat;
pub mod fuzz;
pub mod reference;
pub mod server;
pub mod windows;
