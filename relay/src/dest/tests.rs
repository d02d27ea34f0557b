//! Destinations against real sockets and a real journal.

mod breaking;
mod leaving;
mod packed;
mod replacing;
mod rig;
mod sending;
mod sinks;
