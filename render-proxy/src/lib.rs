//! Pictures of windows, Graphite's render questions answered from them, and the proxy in front of Graphite.
//!
//! [`draw`] makes SVG and PNG of a series. [`attime`], [`target`], [`grid`] and [`json`] are what a render question is
//! made of; [`local`] answers one from the windows, [`nodes`] are what is found there, [`proxy`] asks Graphite and decides whose answer is given. [`link`]
//! makes every address of a graph.

pub mod attime;
pub mod consolidate;
pub mod draw;
pub mod float;
pub mod fuzz;
pub mod glob;
pub mod grid;
pub mod json;
pub mod link;
pub mod local;
pub mod nodes;
pub mod params;
pub mod proxy;
pub mod question;
pub mod signed;
pub mod target;
pub mod windows;
