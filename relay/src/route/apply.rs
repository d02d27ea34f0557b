//! Routing a batch by the plans of its names.
#![expect(clippy::indexing_slicing, reason = "offsets are those of lines found in the same buffer")]

use super::plan::{Outcome, Plan};
use super::{Door, Routed, Router};
use skyline_core::batch::{Batch, RouteSet, Routes, Sample};
use skyline_core::name;
use skyline_core::reject::{Reject, RejectCounts};
use skyline_core::shard::name_hash;
use std::borrow::Cow;

/// Routes `batch`, whose points come in by `door`.
pub(super) fn apply(router: &Router, door: &Door, batch: Batch) -> Routed {
    let Some(mut lane) = door.names.lane() else { return Routed::whole(batch, Routes::All(RouteSet(0))) };
    let mut sets = Sets::default();
    let mut rewriting: Option<Rewriting<'_>> = None;
    for (at, sample) in batch.samples.iter().enumerate() {
        let name = batch.name(sample);
        let plan = lane.plan(sample.hash, name, || router.plan(door, name));
        if let (Plan::Same(set), None) = (plan, &rewriting) {
            // Nearly all points of nearly all relays.
            sets.push(*set, at, batch.len());
            continue;
        }
        let next = match plan {
            Plan::Same(set) => Next::AsItIs(*set),
            Plan::Refused(why) => Next::Refused(*why),
            Plan::InTurn(turns) => Next::AsItIs(turns.next(|cluster| router.turn(cluster))),
            Plan::Renamed(outcome) => Next::Rewritten(Cow::Borrowed(&**outcome)),
            Plan::Steps(steps) => {
                let line = batch.line(sample);
                let point =
                    String::from_utf8_lossy(line.get(name.len() + 1..line.len() - 1).unwrap_or_default());
                let outcome = steps.outcome(
                    &point,
                    |cluster| router.turn(cluster),
                    || (name, router.entry_of(door, name)),
                    router.targets(),
                    |pattern| router.tell_invalid(&String::from_utf8_lossy(name), &point, pattern.as_str()),
                );
                match outcome.as_it_is() {
                    Some(set) => Next::AsItIs(set),
                    None => Next::Rewritten(outcome),
                }
            }
        };
        if let (Next::AsItIs(set), None) = (&next, &rewriting) {
            sets.push(*set, at, batch.len());
            continue;
        }
        let rewriting = rewriting.get_or_insert_with(|| Rewriting::new(&batch, at, &sets));
        match next {
            Next::AsItIs(set) => rewriting.keep(sample, set),
            Next::Refused(why) => rewriting.refused.add(why, 1),
            Next::Rewritten(outcome) => rewriting.outcome(sample, &outcome),
        }
    }
    match rewriting {
        None => Routed::whole(batch, sets.routes()),
        Some(rewriting) => rewriting.finish(),
    }
}

/// What becomes of the next point.
enum Next<'p> {
    AsItIs(RouteSet),
    Refused(Reject),
    Rewritten(Cow<'p, Outcome>),
}

/// The sets of the samples so far: one, until one differs.
#[derive(Debug, Default)]
struct Sets {
    first: Option<RouteSet>,
    each: Vec<RouteSet>,
}

impl Sets {
    /// The set of sample number `at` of `all`.
    fn push(&mut self, set: RouteSet, at: usize, all: usize) {
        let first = *self.first.get_or_insert(set);
        if self.each.is_empty() && set != first {
            self.each.reserve_exact(all.max(at + 1));
            self.each.resize(at, first);
        }
        if !self.each.is_empty() {
            self.each.push(set);
        }
    }

    fn get(&self, at: usize) -> RouteSet {
        self.each.get(at).copied().or(self.first).unwrap_or_default()
    }

    fn routes(self) -> Routes {
        if self.each.is_empty() {
            Routes::All(self.first.unwrap_or_default())
        } else {
            Routes::PerSample(self.each)
        }
    }
}

/// A batch that is written anew because some of its points are refused, renamed or copied.
#[derive(Debug)]
struct Rewriting<'b> {
    old: &'b Batch,
    text: Vec<u8>,
    samples: Vec<Sample>,
    sets: Sets,
    refused: RejectCounts,
    copies: u64,
}

impl<'b> Rewriting<'b> {
    /// Begins with the first `done` samples of `old` as they are.
    fn new(old: &'b Batch, done: usize, sets: &Sets) -> Self {
        let mut new = Self {
            old,
            text: Vec::with_capacity(old.text.len() + 64),
            samples: Vec::with_capacity(old.len() + 1),
            sets: Sets::default(),
            refused: RejectCounts::default(),
            copies: 0,
        };
        for (at, sample) in old.samples.iter().take(done).enumerate() {
            new.keep(sample, sets.get(at));
        }
        new
    }

    /// A point as it is.
    fn keep(&mut self, sample: &Sample, set: RouteSet) {
        let offset = self.text.len() as u32;
        self.text.extend_from_slice(self.old.line(sample));
        self.add(Sample { offset, ..*sample }, set);
    }

    fn add(&mut self, sample: Sample, set: RouteSet) {
        self.sets.push(set, self.samples.len(), self.old.len());
        self.samples.push(sample);
    }

    fn outcome(&mut self, sample: &Sample, outcome: &Outcome) {
        if let Some(why) = outcome.refused {
            self.refused.add(why, 1);
            return;
        }
        let before = self.samples.len();
        let mut bad = None;
        for copy in &outcome.copies {
            match &copy.name {
                None => self.keep(sample, copy.set),
                Some(name) => {
                    if let Err(why) = self.renamed(sample, name.as_bytes(), copy.set) {
                        bad = Some(why);
                    }
                }
            }
        }
        match (self.samples.len() - before) as u64 {
            0 => self.refused.add(bad.unwrap_or(Reject::Name), 1),
            made => self.copies += made - 1,
        }
    }

    /// A point under another name.
    fn renamed(&mut self, sample: &Sample, new: &[u8], set: RouteSet) -> Result<(), Reject> {
        name::for_line(new)?;
        let offset = self.text.len();
        let line = self.old.line(sample);
        let rest = &line[(sample.name_len as usize).min(line.len())..];
        let length = new.len() + rest.len();
        if length > name::MAX_LINE_BYTES + 1 {
            return Err(Reject::LineTooLong);
        }
        self.text.extend_from_slice(new);
        self.text.extend_from_slice(rest);
        let sample = Sample {
            hash: name_hash(new),
            offset: offset as u32,
            name_len: new.len() as u16,
            line_len: length as u16,
            ..*sample
        };
        self.add(sample, set);
        Ok(())
    }

    fn finish(self) -> Routed {
        let listener = self.old.source.listener;
        let batch = (!self.samples.is_empty()).then(|| Batch {
            first_seq: 0,
            received: self.old.received,
            source: self.old.source,
            routes: self.sets.routes(),
            text: self.text,
            samples: self.samples,
        });
        Routed { batch, listener, refused: self.refused, copies: self.copies }
    }
}
