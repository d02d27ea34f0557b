//! Points that the node fetches from other servers: answers of Graphite and Prometheus, and who asks for them.

pub mod error;
pub mod graphite;
mod json;
pub mod series;

pub use error::Error;
pub use series::{Answer, Limits, Point, Series, Skipped};
