//! The copy of the windows in Redis, and windows taken from it.

pub mod compat;
pub mod fuzz;
pub mod server;
pub mod windows;
