//! Destinations against real sockets and a real journal.

mod breaking;
mod rig;
mod sending;
