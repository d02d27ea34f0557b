//! Points that the node fetches from other servers: answers of Graphite and Prometheus, and who asks for them.
//!
//! [`backfill`] is the job that fills windows from a Graphite server or from whisper files, which [`whisper`] reads.

pub mod backfill;
mod counts;
pub mod cursor;
pub mod error;
pub mod fuzz;
pub mod gates;
pub mod graphite;
pub mod job;
pub mod jobs;
mod json;
pub mod plan;
pub mod prometheus;
pub mod series;
pub mod whisper;

pub use error::Error;
pub use job::Job;
pub use jobs::Jobs;
pub use series::{Answer, Limits, Point, Series, Skipped};
