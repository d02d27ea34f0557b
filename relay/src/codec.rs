//! Bytes to points: plaintext, pickle, protobuf, msgpack. Synchronous, no I/O.
//!
//! Every codec writes what it takes into a [`skyline_core::batch::BatchBuilder`] and passes what
//! it does not take to a closure, with the reason: `refused(bytes, why)`, where `bytes` is what an
//! operator wants to see of it (the line, the name, the frame). One call is one refused point.

pub mod frame;
pub mod fuzz;
pub mod msgpack;
pub mod pickle;
pub mod plaintext;
pub mod protobuf;
