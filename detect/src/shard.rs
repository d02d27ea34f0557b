//! All metrics of the shards that one thread owns: from a batch to stored points and anomalies.
//!
//! No locks, no I/O, no clock: time comes with the batch. What the thread does with the outcome
//! is not known here.

mod files;
mod fill;

pub use fill::{Filled, Missing};

use crate::index::Index;
use crate::second_order::History;
use crate::tracked::{Context, Figures, Findings, Judged, Tracked};
use skyline_core::algorithm::Algorithm;
use skyline_core::anomaly::Anomaly;
use skyline_core::batch::{Batch, Origin, Sample};
use skyline_core::name;
use skyline_core::point::Datapoint;
use skyline_core::reject::{Reject, RejectCounts};
use skyline_core::shard::{SHARDS, ShardId, ShardSet};
use skyline_store::snapshot::Buffers;
use skyline_store::window::Pushed;
use std::collections::HashMap;

/// Series a chunk of the arena: chunks never move, so growing copies nothing.
const CHUNK: usize = 1024;
/// Points by which one step of fetching memory is ahead of the next.
const AHEAD: usize = 4;
/// So many points in a row, each of the series behind the one before, and the next is taken to be so too.
const TRUSTED: u32 = 8;
/// Steps before a point is taken.
const STEPS: usize = 4;

/// What is stored and judged.
#[derive(Debug, Clone)]
pub struct Options {
    /// This thread's number and the number of threads: it owns the shards whose number is `thread`
    /// modulo `threads`.
    pub thread: u16,
    /// Number of threads.
    pub threads: u16,
    /// The shards of this node.
    pub shards: ShardSet,
    /// Judge at all.
    pub judge: bool,
    /// Timestamps further ahead of the time of receipt are refused, seconds.
    pub max_future: f64,
    /// Metrics at most, of this thread.
    pub max_metrics: usize,
    /// New names a minute at most, of this thread; 0: no limit.
    pub max_new_names: u64,
    /// Names that are not stored, see [`name::entry_matches`].
    pub skip: Vec<String>,
    /// Names that are stored although `skip` matches.
    pub keep: Vec<String>,
    /// Names that are never taken for counters.
    pub never_counters: Vec<String>,
    /// Anomalies are surfaced only where their interval is unusual, see [`History`].
    pub second_order: bool,
}

impl Default for Options {
    /// One thread for all shards; everything is stored and judged, without limits.
    fn default() -> Self {
        Self {
            thread: 0,
            threads: 1,
            shards: ShardSet::ALL,
            judge: true,
            max_future: f64::INFINITY,
            max_metrics: usize::MAX,
            max_new_names: 0,
            skip: Vec::new(),
            keep: Vec::new(),
            never_counters: Vec::new(),
            second_order: false,
        }
    }
}

/// What a thread has done since it started. Plain integers; published ten times a second.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Points that are in a window now or were (repeats and corrections included).
    pub stored: u64,
    /// Points that the window refused.
    pub refused: RejectCounts,
    /// Of the stored: came late, and were put in their place.
    pub late: u64,
    /// Of the stored: changed the value of a time that was there.
    pub replaced: u64,
    /// Of the stored: were there already.
    pub repeated: u64,
    /// History that was filled in; not in the counts above.
    pub filled: Filled,
    /// Verdicts.
    pub judged: u64,
    /// Not judged, by gate: too short, stale, boring.
    pub gated: [u64; 3],
    /// Not judged: the reset of a counter.
    pub resets: u64,
    /// Verdicts "anomalous".
    pub anomalies: u64,
    /// Of the anomalies: not surfaced, as they keep their rhythm or repeat the last (second order).
    pub unsurfaced: u64,
    /// Yes votes of each algorithm in all verdicts.
    pub votes: [u64; Algorithm::ALL.len()],
    /// Yes votes of each algorithm in anomalies.
    pub triggered: [u64; Algorithm::ALL.len()],
}

/// How far an earlier run came with a shard; sequence numbers of the journal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    /// Points before this are in the windows.
    pub applied: u64,
    /// Points before this were judged.
    pub judged: u64,
    /// Points before this are in the counts that were saved.
    pub counted: u64,
}

/// The point that is `steps` steps behind the one whose memory is first asked for.
const fn before(step: usize, steps: usize) -> Option<usize> {
    step.checked_sub(steps * AHEAD)
}

/// Everything that one thread owns.
#[derive(Debug)]
pub struct Shards {
    options: Options,
    context: Context,
    index: Index,
    series: Vec<Vec<Tracked>>,
    free: Vec<u32>,
    by_shard: Vec<Vec<u32>>,
    /// Shards that had a series since the start.
    had_series: Vec<bool>,
    /// Names on the skip list that were seen, so that the list is searched once for each.
    skipped: HashMap<Box<[u8]>, (), foldhash::fast::RandomState>,
    /// Past anomalies of the metrics that had any; empty without [`Options::second_order`].
    histories: HashMap<u32, History, foldhash::fast::RandomState>,
    new_names: (u64, u64),
    /// Per shard: how far an earlier run came.
    done: Vec<Done>,
    /// No earlier run has done anything with the points from here on.
    fresh_from: u64,
    counters: Counters,
    newest: f64,
    buffers: Buffers,
    mine: Vec<(u32, u32)>,
}

impl Shards {
    /// No series yet.
    #[must_use]
    pub fn new(options: Options, context: Context) -> Self {
        Self {
            options,
            context,
            index: Index::default(),
            series: Vec::new(),
            free: Vec::new(),
            by_shard: vec![Vec::new(); usize::from(SHARDS)],
            had_series: vec![false; usize::from(SHARDS)],
            skipped: HashMap::default(),
            histories: HashMap::default(),
            new_names: (0, 0),
            done: vec![Done::default(); usize::from(SHARDS)],
            fresh_from: 0,
            counters: Counters::default(),
            newest: f64::NEG_INFINITY,
            buffers: Buffers::default(),
            mine: Vec::new(),
        }
    }

    /// Whether this thread owns a shard.
    #[must_use]
    pub fn owns(&self, shard: ShardId) -> bool {
        shard.0 % self.options.threads == self.options.thread && self.options.shards.contains(shard)
    }

    /// The shards of this thread.
    pub fn owned(&self) -> impl Iterator<Item = ShardId> + use<> {
        let (thread, threads) = (self.options.thread, self.options.threads);
        self.options.shards.iter().filter(move |shard| shard.0 % threads == thread)
    }

    /// Number of metrics.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no metric.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What was done so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Windows that were decoded to reach a verdict.
    #[must_use]
    pub const fn scans(&self) -> u64 {
        self.context.scans
    }

    /// Time of the newest point stored since start, seconds; minus infinity before the first.
    #[must_use]
    pub const fn newest(&self) -> f64 {
        self.newest
    }

    /// What an earlier run has done with the points of `shard`.
    pub fn resume(&mut self, shard: ShardId, done: Done) {
        if let Some(slot) = self.done.get_mut(usize::from(shard.0)) {
            *slot = done;
            self.fresh_from = self.fresh_from.max(done.applied).max(done.judged).max(done.counted);
        }
    }

    /// Stores and judges this thread's points of a batch; anomalies are appended to `out`.
    pub fn ingest(&mut self, batch: &Batch, out: &mut Vec<Anomaly>) {
        match batch.source.origin {
            Origin::Own => return,
            Origin::Backfill => return self.fill(batch),
            Origin::Live | Origin::History => {}
        }
        let mut mine = std::mem::take(&mut self.mine);
        mine.clear();
        for (i, sample) in batch.samples.iter().enumerate() {
            if self.owns(ShardId::of_hash(sample.hash)) {
                mine.push((i as u32, u32::MAX));
            }
        }
        let mut in_order = 0;
        for step in 0..mine.len() + STEPS * AHEAD {
            self.fetch(batch, &mut mine, step, &mut in_order);
            if let Some((i, guess)) = before(step, STEPS).and_then(|at| mine.get(at)).copied()
                && let Some(sample) = batch.samples.get(i as usize)
            {
                self.take(batch, i, sample, guess, out);
            }
        }
        self.mine = mine;
    }

    /// Asks for memory of the points that are taken next. Each of the four steps reads what the one before
    /// it has asked for; while it is on its way, other points are looked after. Once enough
    /// points were `in_order`, the next one's series is taken to be the next series, and the index is not asked.
    fn fetch(&self, batch: &Batch, mine: &mut [(u32, u32)], newest: usize, in_order: &mut u32) {
        let after = |mine: &[(u32, u32)], at: usize| {
            let previous = at.checked_sub(1).and_then(|at| mine.get(at));
            previous.map_or(u32::MAX, |(_, slot)| slot.saturating_add(1))
        };
        if *in_order < TRUSTED
            && let Some(sample) = mine.get(newest).and_then(|(i, _)| batch.samples.get(*i as usize))
        {
            self.index.prefetch(sample.hash);
        }
        if let Some(at) = before(newest, 1)
            && let Some((i, _)) = mine.get(at).copied()
            && let Some(sample) = batch.samples.get(i as usize)
        {
            let next = after(mine, at);
            let found = || self.index.find(sample.hash, |_| true).unwrap_or(u32::MAX);
            let slot = if *in_order < TRUSTED { found() } else { next };
            *in_order = if slot == next && slot != u32::MAX { in_order.saturating_add(1) } else { 0 };
            if let Some((_, guess)) = mine.get_mut(at) {
                *guess = slot;
            }
            if let Some(series) = self.at(slot) {
                series.fetch();
            }
        }
        if let Some(at) = before(newest, 2)
            && let Some((i, guess)) = mine.get(at).copied()
            && let Some(sample) = batch.samples.get(i as usize)
            && self.at(guess).is_none_or(|series| series.hash != sample.hash)
        {
            *in_order = 0;
            let slot = self.index.find(sample.hash, |_| true).unwrap_or(u32::MAX);
            if let Some((_, guess)) = mine.get_mut(at) {
                *guess = slot;
            }
        }
        let series = |steps: usize| {
            before(newest, steps).and_then(|at| mine.get(at)).and_then(|(_, slot)| self.at(*slot))
        };
        if let Some(series) = series(2) {
            series.fetch_outside();
        }
        if let Some(series) = series(3) {
            series.fetch_blocks();
        }
    }

    fn at(&self, slot: u32) -> Option<&Tracked> {
        self.series.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)
    }

    fn at_mut(&mut self, slot: u32) -> Option<&mut Tracked> {
        self.series.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)
    }

    fn take(&mut self, batch: &Batch, i: u32, sample: &Sample, guess: u32, out: &mut Vec<Anomaly>) {
        let seq = batch.first_seq + u64::from(i);
        let done = if seq < self.fresh_from {
            self.done.get(usize::from(ShardId::of_hash(sample.hash).0)).copied().unwrap_or_default()
        } else {
            Done::default()
        };
        let counts = seq >= done.counted;
        if seq < done.applied {
            self.counters.stored += u64::from(counts);
            return;
        }
        let name = batch.name(sample);
        let slot = match self.slot(batch, sample, name, guess) {
            Ok(slot) => slot,
            Err(reason) => {
                self.counters.refused.add(reason, u64::from(counts));
                return;
            }
        };
        let judge = self.options.judge && batch.source.origin == Origin::Live && seq >= done.judged;
        let point = Datapoint::new(sample.ts, sample.value);
        let Some(series) =
            self.series.get_mut(slot as usize / CHUNK).and_then(|chunk| chunk.get_mut(slot as usize % CHUNK))
        else {
            return;
        };
        let (pushed, verdict) = series.observe(point, batch.received, judge, &mut self.context);
        self.newest = self.newest.max(point.ts);
        if counts {
            self.counters.stored += 1;
            match pushed {
                Pushed::Appended => {}
                Pushed::Inserted => self.counters.late += 1,
                Pushed::Same => self.counters.repeated += 1,
                Pushed::Replaced | Pushed::ReplacedNewest => self.counters.replaced += 1,
            }
        }
        match verdict {
            Judged::No => {}
            Judged::Gated(gate) => {
                if let Some(count) = self.counters.gated.get_mut(gate as usize) {
                    *count += 1;
                }
            }
            Judged::Reset => self.counters.resets += 1,
            Judged::Verdict(findings) => {
                self.counters.count(&findings);
                let surfaces = findings.anomalous
                    && (!self.options.second_order
                        || self.histories.entry(slot).or_default().surfaces(
                            batch.received,
                            point.value,
                            self.context.settings.manner,
                        ));
                self.counters.unsurfaced += u64::from(findings.anomalous && !surfaces);
                if surfaces {
                    let figures = series.explain(&findings, &mut self.context);
                    let full_duration = self.context.settings.full_duration as u32;
                    out.push(anomaly(series, point, batch.received, seq, &findings, figures, full_duration));
                }
            }
        }
    }

    /// The slot of a sample's metric, made if it is new.
    fn slot(&mut self, batch: &Batch, sample: &Sample, name: &[u8], guess: u32) -> Result<u32, Reject> {
        self.refused(Datapoint::new(sample.ts, sample.value), batch.received)?;
        if self.at(guess).is_some_and(|series| series.name.as_bytes() == name) {
            return Ok(guess);
        }
        let found = self
            .index
            .find(sample.hash, |slot| self.at(slot).is_some_and(|series| series.name.as_bytes() == name));
        match found {
            Some(slot) => Ok(slot),
            None => self.admit(sample.hash, name, batch.received),
        }
    }

    /// Whether the window takes a point of any metric.
    fn refused(&self, point: Datapoint, received: f64) -> Result<(), Reject> {
        if point.value.is_infinite() {
            return Err(Reject::Infinite);
        }
        if point.ts > received + self.options.max_future {
            return Err(Reject::Future);
        }
        if point.ts <= received - self.context.settings.full_duration - self.context.grace {
            return Err(Reject::Old);
        }
        Ok(())
    }

    /// A name that is not stored yet.
    #[cold]
    fn admit(&mut self, hash: u64, name: &[u8], now: f64) -> Result<u32, Reject> {
        let text = name::for_window(name)?;
        if self.skipped.contains_key(name) {
            return Err(Reject::Skipped);
        }
        if self.is_skipped(text) {
            if self.skipped.len() < self.options.max_metrics {
                self.skipped.insert(name.into(), ());
            }
            return Err(Reject::Skipped);
        }
        if self.index.len() >= self.options.max_metrics {
            return Err(Reject::MetricCap);
        }
        let minute = (now / 60.0) as u64;
        if self.new_names.0 != minute {
            self.new_names = (minute, 0);
        }
        if self.options.max_new_names > 0 && self.new_names.1 >= self.options.max_new_names {
            return Err(Reject::NewNameCap);
        }
        self.new_names.1 += 1;
        Ok(self.begin(hash, text))
    }

    /// Begins a series; its slot.
    fn begin(&mut self, hash: u64, text: &str) -> u32 {
        let never = self.options.never_counters.iter().any(|entry| name::entry_matches(entry, text));
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.at_mut(slot) {
                    *place = Tracked::new(text, hash, slot, never);
                }
                slot
            }
            None => self.push(Tracked::new(text, hash, self.end(), never)),
        };
        self.enlist(hash, slot);
        slot
    }

    /// Whether the lists of the settings keep a name out.
    fn is_skipped(&self, name: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| name::entry_matches(entry, name));
        listed(&self.options.skip) && !listed(&self.options.keep)
    }

    /// The slot of the next series that is put behind all others.
    fn end(&self) -> u32 {
        self.series.last().map_or(0, |last| (self.series.len() - 1) * CHUNK + last.len()) as u32
    }

    /// Puts a series behind all others; its slot.
    fn push(&mut self, series: Tracked) -> u32 {
        let slot = self.end();
        if self.series.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.series.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.series.last_mut() {
            chunk.push(series);
        }
        slot
    }

    /// Makes a series known by its hash and to its shard.
    fn enlist(&mut self, hash: u64, slot: u32) {
        self.index.insert(hash, slot);
        let shard = usize::from(ShardId::of_hash(hash).0);
        if let (Some(list), Some(had)) = (self.by_shard.get_mut(shard), self.had_series.get_mut(shard)) {
            list.push(slot);
            *had = true;
        }
    }

    /// A copy of a metric's points with `from <= ts <= until`, oldest first; `None`: no such metric.
    pub fn series(&mut self, name: &str, from: f64, until: f64) -> Option<Vec<Datapoint>> {
        let hash = skyline_core::shard::name_hash(name.as_bytes());
        let slot = self.index.find(hash, |slot| self.at(slot).is_some_and(|s| &*s.name == name))?;
        let chunk = self.series.get(slot as usize / CHUNK)?;
        let view = chunk.get(slot as usize % CHUNK)?.window.view(&mut self.context.columns);
        let points = view.ts.iter().zip(view.values).map(|(ts, value)| Datapoint::new(*ts, *value));
        Some(points.filter(|p| p.ts >= from && p.ts <= until).collect())
    }

    /// The names of a shard's metrics, in no order.
    #[must_use]
    pub fn names(&self, shard: ShardId) -> Vec<String> {
        let slots = self.by_shard.get(usize::from(shard.0)).map_or(&[][..], Vec::as_slice);
        slots.iter().filter_map(|slot| self.at(*slot)).map(|series| series.name.to_string()).collect()
    }

    /// Shows names to `look`, from series `first` on, while `goes_on` (asked before each 64 series); the series from
    /// which to go on, if there are more.
    #[must_use]
    pub fn look_at_names(
        &self,
        first: u32,
        mut look: impl FnMut(&str),
        mut goes_on: impl FnMut() -> bool,
    ) -> Option<u32> {
        let mut slot = first;
        while let Some(series) = self.at(slot) {
            if slot.is_multiple_of(64) && slot != first && !goes_on() {
                return Some(slot);
            }
            // A place without a series has no name.
            if !series.name.is_empty() {
                look(&series.name);
            }
            slot += 1;
        }
        None
    }

    /// All metrics that have points, with the time of the newest, seconds; but for those whose newest was filled in:
    /// nobody has sent it. Walks all metrics.
    pub fn newest_points(&self) -> impl Iterator<Item = (&str, f64)> {
        let named = self.series.iter().flatten().filter(|series| !series.name.is_empty());
        named
            .filter(|series| !series.window.is_empty() && !series.is_newest_filled())
            .map(|series| (&*series.name, series.window.last_ts()))
    }

    /// Points and heap bytes of all windows, and bytes of everything else that is kept a metric.
    /// Walks all metrics.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for series in self.series.iter().flatten().filter(|s| !s.name.is_empty()) {
            memory.metrics += 1;
            memory.points += series.window.len();
            memory.window_bytes += series.window.heap_bytes();
            memory.other_bytes += size_of::<Tracked>() + series.name.len();
        }
        memory.other_bytes += self.index.heap_bytes();
        memory
    }
}

/// What the windows take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Metrics.
    pub metrics: usize,
    /// Points in all windows.
    pub points: usize,
    /// Heap bytes of blocks and tails.
    pub window_bytes: usize,
    /// Bytes of names, sums, cursors, index.
    pub other_bytes: usize,
}

impl Counters {
    fn count(&mut self, findings: &Findings) {
        self.judged += 1;
        for algorithm in findings.yes.iter() {
            if let Some(count) = self.votes.get_mut(algorithm as usize) {
                *count += 1;
            }
        }
        if findings.anomalous {
            self.anomalies += 1;
            for algorithm in findings.yes.iter() {
                if let Some(count) = self.triggered.get_mut(algorithm as usize) {
                    *count += 1;
                }
            }
        }
    }
}

fn anomaly(
    series: &Tracked,
    point: Datapoint,
    received: f64,
    seq: u64,
    findings: &Findings,
    figures: Figures,
    full_duration: u32,
) -> Anomaly {
    let (mut ts, mut value) = ([0.0], [0.0]);
    series.window.copy_at(series.window.start(), &mut ts, &mut value);
    Anomaly {
        metric: series.name.to_string(),
        point,
        judged_value: figures.value,
        received,
        asked: findings.asked,
        triggered: findings.yes,
        mean: figures.mean,
        stddev: figures.stddev,
        window_from: ts[0],
        window_points: series.window.len() as u32,
        full_duration,
        counter: findings.counter,
        seq,
    }
}

#[cfg(test)]
mod tests;
