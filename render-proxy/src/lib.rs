//! Pictures of windows, Graphite's render questions answered from them, and the proxy in front of Graphite.
//!
//! [`draw`] makes SVG and PNG of a series.

pub mod attime;
pub mod draw;
pub mod windows;
