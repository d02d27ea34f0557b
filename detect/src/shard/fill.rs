//! History that is filled in: into its places, never over a point that is there, never judged.

use super::{CHUNK, Shards};
use skyline_core::batch::{Batch, Sample};
use skyline_core::name;
use skyline_core::point::Datapoint;
use skyline_core::reject::{Reject, RejectCounts};
use skyline_core::shard::{ShardId, name_hash};

/// What became of history since the start, points.
#[derive(Debug, Clone, Default)]
pub struct Filled {
    /// Put in their places.
    pub stored: u64,
    /// There was a point already.
    pub there: u64,
    /// Not taken.
    pub refused: RejectCounts,
}

/// What a window lacks of some history.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    /// What it would take, in the order of time.
    pub points: Vec<Datapoint>,
    /// Points that are there already.
    pub there: u64,
    /// Points that it would not take.
    pub refused: RejectCounts,
}

impl Shards {
    /// Puts this thread's points of a batch of history into their places. What belongs to one metric should stand together,
    /// in the order of time: its window is then decoded once.
    pub(super) fn fill(&mut self, batch: &Batch) {
        let mut points = Vec::new();
        let mut rest = (0..).zip(&batch.samples).peekable();
        while let Some((i, first)) = rest.next() {
            if !self.owns(ShardId::of_hash(first.hash)) {
                continue;
            }
            points.clear();
            self.gather(batch, i, first, &mut points);
            let goes_on = |sample: &Sample, last: &Sample| {
                sample.hash == first.hash && sample.ts > last.ts && batch.name(sample) == batch.name(first)
            };
            let mut last = first;
            while let Some((i, sample)) = rest.next_if(|(_, sample)| goes_on(sample, last)) {
                self.gather(batch, i, sample, &mut points);
                last = sample;
            }
            if !points.is_empty() {
                self.fill_one(batch, first, &points);
            }
        }
    }

    /// Adds a point to those of its metric, unless it is in the window since before a restart, or is not taken.
    fn gather(&mut self, batch: &Batch, i: u64, sample: &Sample, points: &mut Vec<Datapoint>) {
        let done = self.done.get(usize::from(ShardId::of_hash(sample.hash).0)).copied().unwrap_or_default();
        if batch.first_seq + i < done.applied {
            return;
        }
        let point = Datapoint::new(sample.ts, sample.value);
        match self.refused(point, batch.received) {
            Ok(()) => points.push(point),
            Err(reason) => self.counters.filled.refused.add(reason, 1),
        }
    }

    fn fill_one(&mut self, batch: &Batch, first: &Sample, points: &[Datapoint]) {
        let name = batch.name(first);
        let slot = match self.filled_slot(first.hash, name) {
            Ok(slot) => slot,
            Err(reason) => return self.counters.filled.refused.add(reason, points.len() as u64),
        };
        let place = self.series.get_mut(slot as usize / CHUNK).and_then(|c| c.get_mut(slot as usize % CHUNK));
        let Some(series) = place else { return };
        let stored = u64::from(series.fill(points, batch.received, &mut self.context));
        self.counters.filled.stored += stored;
        self.counters.filled.there += points.len() as u64 - stored;
    }

    /// The slot of a metric, made if it is new. Somebody has asked for it, so that the limit of new names a minute is
    /// not for it.
    fn filled_slot(&mut self, hash: u64, name: &[u8]) -> Result<u32, Reject> {
        match self.slot_of(hash, name) {
            Some(slot) => Ok(slot),
            None => {
                let text = self.may_begin(name)?;
                Ok(self.begin(hash, text))
            }
        }
    }

    fn slot_of(&self, hash: u64, name: &[u8]) -> Option<u32> {
        self.index.find(hash, |slot| self.at(slot).is_some_and(|series| series.name.as_bytes() == name))
    }

    /// Whether a series may begin with this name.
    fn may_begin<'n>(&self, name: &'n [u8]) -> Result<&'n str, Reject> {
        let text = name::for_window(name)?;
        if self.is_skipped(text) {
            return Err(Reject::Skipped);
        }
        if self.index.len() >= self.options.max_metrics {
            return Err(Reject::MetricCap);
        }
        Ok(text)
    }

    /// What the window of a metric lacks of `points`, whose times ascend. Changes nothing.
    pub fn missing(&mut self, name: &str, points: &[Datapoint], now: f64) -> Missing {
        let mut missing = Missing::default();
        let mut wanted = Vec::with_capacity(points.len());
        for point in points {
            match self.refused(*point, now) {
                Ok(()) => wanted.push(*point),
                Err(reason) => missing.refused.add(reason, 1),
            }
        }
        let slot = self.slot_of(name_hash(name.as_bytes()), name.as_bytes());
        let window = slot.and_then(|slot| self.series.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK));
        match window.map(|series| series.window.missing(&wanted, &mut self.context.columns)) {
            Some(points) => {
                missing.there = (wanted.len() - points.len()) as u64;
                missing.points = points.into_iter().copied().collect();
            }
            None => match self.may_begin(name.as_bytes()) {
                Ok(_) => missing.points = wanted,
                Err(reason) => missing.refused.add(reason, wanted.len() as u64),
            },
        }
        missing
    }
}
