//! Metric name to set of destinations (contract stub; the author of routing replaces it).
#![expect(clippy::todo, missing_docs, unused_variables, reason = "stub")]
use skyline_core::batch::Batch;
use skyline_journal::Journal;

/// What is wrong with the `[relay]` section.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// The compiled routing of one configuration.
#[derive(Debug)]
pub struct Router {}

impl Router {
    pub fn new(relay: &skyline_conf::model::relay::Relay, journal: &Journal) -> Result<Self, Error> {
        todo!()
    }
    /// Fills `batch.routes` (back-fill goes to none). One look-up for a known metric.
    pub fn route(&self, batch: &mut Batch) {
        todo!()
    }
}
