//! The machine as `benches/aggregate.rs` measures it.

use super::figures::Counts;
use super::machine::{Limits, Machine};
use skyline_conf::routing::Routing;
use skyline_core::batch::{Batch, Sample};
use std::sync::Arc;

/// A machine without a journal.
#[derive(Debug)]
pub struct Bench(Machine);

impl Bench {
    /// Without points.
    #[must_use]
    pub fn new(routing: Arc<Routing>, limits: Limits) -> Self {
        Self(Machine::new(routing, limits))
    }

    /// Takes a batch as if it had come `later` seconds later, and computes what is due then. How many aggregates.
    pub fn minute(&mut self, batch: &Batch, later: f64) -> usize {
        let now = batch.received + later;
        let made = self.0.tick(now).iter().map(|due| due.made.len()).sum();
        for sample in &batch.samples {
            let later = Sample { ts: sample.ts + later, ..*sample };
            self.0.add(now, batch.name(sample), &later, false);
        }
        made
    }

    /// What became of the points.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.0.counts
    }
}
