//! The rolling window of each metric: open tail, sealed blocks, snapshot.
//!
//! A [`window::Window`] belongs to exactly one thread: no locks. What leaves that thread is a copy;
//! what algorithms see is a [`view::WindowView`]. Knows no carbon sockets and no alerting.

pub mod view;
