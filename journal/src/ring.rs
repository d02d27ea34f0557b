//! The newest batches, in memory: what readers that keep up are served from. Those that every reader
//! is done with go at once, so that the same memory, still in the processor's caches, serves again.

use skyline_core::batch::{Batch, Routes, Sample};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes that a batch takes beside its text and samples, about.
const OVERHEAD: u64 = 160;

/// Batches in the order of the log, without gaps, up to its end.
#[derive(Debug)]
pub(crate) struct Ring {
    batches: VecDeque<Arc<Batch>>,
    bytes: u64,
    max_bytes: u64,
}

impl Ring {
    pub(crate) const fn new(max_bytes: u64) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Adds the newest batch. Those that fall out are passed to `fallen`, to be dropped where no
    /// lock is held. The newest stays whatever its size.
    pub(crate) fn push(&mut self, batch: Arc<Batch>, fallen: &mut Vec<Arc<Batch>>) {
        self.bytes += size(&batch);
        self.batches.push_back(batch);
        while self.bytes > self.max_bytes && self.batches.len() > 1 {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.bytes -= size(&oldest);
            fallen.push(oldest);
        }
    }

    /// Drops the batches before `seq`, but for the newest.
    pub(crate) fn forget_before(&mut self, seq: u64, fallen: &mut Vec<Arc<Batch>>) {
        while self.batches.len() > 1
            && let Some(oldest) = self.batches.pop_front_if(|oldest| oldest.end_seq() <= seq)
        {
            self.bytes -= size(&oldest);
            fallen.push(oldest);
        }
    }

    /// Sequence number of its oldest point.
    pub(crate) fn start(&self) -> Option<u64> {
        self.batches.front().map(|batch| batch.first_seq)
    }

    /// Whether the point `seq` is in it.
    pub(crate) fn covers(&self, seq: u64) -> bool {
        self.batches.front().is_some_and(|batch| batch.first_seq <= seq)
            && self.batches.back().is_some_and(|batch| seq < batch.end_seq())
    }

    /// The batches from the one with point `seq` on.
    pub(crate) fn from(&self, seq: u64) -> impl Iterator<Item = &Arc<Batch>> {
        let at = self.batches.partition_point(|batch| batch.end_seq() <= seq);
        self.batches.range(at..)
    }

    /// Bytes in use.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn size(batch: &Batch) -> u64 {
    let sets = match &batch.routes {
        Routes::All(_) => 0,
        Routes::PerSample(sets) => sets.len() * 4,
    };
    (batch.text.len() + batch.samples.len() * size_of::<Sample>() + sets) as u64 + OVERHEAD
}
