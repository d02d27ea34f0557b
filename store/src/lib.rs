//! The rolling window of each metric: open tail, sealed blocks, snapshot.
//!
//! A [`window::Window`] belongs to exactly one thread: no locks. What leaves that thread is a copy;
//! what algorithms see is a [`view::WindowView`]. Knows no carbon sockets and no alerting.
//!
//! Layers, lowest first: [`bits`] packs integers, [`mod@column`] packs doubles exactly, [`block`] is a
//! sealed run of points, [`window`] is a series, [`snapshot`] keeps a shard's series on disk, [`chunk`] is what
//! of them is kept elsewhere.

pub mod bits;
pub mod block;
pub mod chunk;
pub mod column;
pub mod edge;
pub mod fuzz;
mod input;
pub mod snapshot;
pub mod view;
pub mod window;
