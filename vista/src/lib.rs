//! Points that the node fetches from other servers: answers of Graphite and Prometheus, and who asks for them.
//!
//! [`backfill`] is the job that fills windows from a Graphite server or from whisper files, which [`whisper`] reads.

pub mod backfill;
pub mod error;
pub mod graphite;
mod json;
pub mod series;
pub mod whisper;

pub use error::Error;
pub use series::{Answer, Limits, Point, Series, Skipped};
