//! Points over HTTP: Skyline's Flux, remote-write of Prometheus, InfluxDB's line protocol.
//!
//! A request is read (`body`), its key looked up, its points decoded ([`json`], [`lines`], [`prometheus`],
//! [`influx`]) into batches by [`points::Points`], and each batch logged by `Intake::submit_within`. Only then is it
//! answered: what was answered with 2xx is in the journal. What decodes is synchronous; [`Flux`] is the thin layer
//! around it. No request, header or key is ever logged.

mod access;
mod answer;
mod ask;
mod body;
pub mod figures;
pub mod fuzz;
pub mod influx;
pub mod json;
pub mod lines;
pub mod points;
pub mod prometheus;
mod requests;
mod serve;

#[cfg(test)]
mod tests;

pub use requests::{Context, Flux, NewKeys};
pub use serve::{Bound, Error, bind};
