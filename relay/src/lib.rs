//! Carbon in, carbon out: listeners, codecs, routing, destinations.
//!
//! Bytes from a socket become a [`skyline_core::batch::Batch`] in a codec, [`intake::Intake`] routes it and
//! appends it to the journal; each of [`dest::Destinations`] is a reader of the journal with a
//! position of its own. Knows nothing of windows, detection or SQL. No lock is held that a slow
//! peer can hold.

pub mod aggregate;
pub mod codec;
pub mod dest;
pub mod flow;
pub mod gather;
pub mod intake;
mod keepalive;
pub mod listen;
pub mod ring;
pub mod route;
