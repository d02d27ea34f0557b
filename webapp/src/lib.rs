//! What the node answers over HTTP: the API for anomalies and windows, and the state of the node.
//!
//! Two routers, each for listeners of its own: [`api::router`] (questions about metrics) and
//! [`status::router`] (health, figures). [`serve::serve`] binds addresses and serves one of them;
//! the node runs it on a runtime of its own, so that answers do not queue behind data.
//!
//! Invariants: until there are accounts, only loopback addresses are served; what changes something is not taken from
//! web pages, and is little: [`api::SeriesSource::remove`] takes away the metric of `skyline seed`, and [`api::alerts`]
//! acknowledges, mutes, and tries messages again; all text from outside leaves as JSON or escaped. Knows no carbon sockets and no SQL text.

mod answer;
pub mod api;
pub mod carbon;
mod error;
mod guard;
pub mod serve;
pub mod status;
#[cfg(test)]
mod tests;

pub use error::Error;
