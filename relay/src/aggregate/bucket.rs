//! The buckets of one aggregation.

use super::accumulator::Accumulator;
use skyline_conf::routing::{Aggregation, Function, Stamp};
use skyline_core::shard::name_hash;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A series of an aggregation: the output that it is of, and its name.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Of output and name, by a hash that senders cannot know.
    pub(super) hash: u64,
    /// Index into [`Aggregation::outputs`].
    pub(super) output: u16,
    pub(super) name: Arc<str>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.output == other.output
            && (Arc::ptr_eq(&self.name, &other.name) || self.name == other.name)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// One series in one bucket.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) key: Key,
    pub(super) accumulator: Accumulator,
    /// It is in [`Bucket::changed`].
    pub(super) is_changed: bool,
}

/// What a series in a bucket takes besides its name and its values, about: itself, its place in the index,
/// and the allocation of its name.
const SERIES_BYTES: usize = size_of::<Series>() + 2 * size_of::<(Key, u32)>() + 32;

impl Series {
    pub(super) fn bytes(&self) -> usize {
        Self::bytes_with(&self.key) + self.accumulator.bytes()
    }

    /// What a new one takes.
    pub(super) fn bytes_with(key: &Key) -> usize {
        SERIES_BYTES + key.name.len()
    }
}

/// A stretch of time.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// In the order in which they came.
    pub(super) series: Vec<Series>,
    pub(super) index: HashMap<Key, u32, foldhash::fast::RandomState>,
    /// Places of series that got points after they were computed.
    pub(super) changed: Vec<u32>,
    /// It was computed as a whole.
    pub(super) is_computed: bool,
    /// How often in a row it could not be sent.
    pub(super) failures: u32,
}

impl Bucket {
    /// What one takes without series, about.
    pub(super) const BYTES: usize = size_of::<Self>() + 64;

    /// The place of a series; `hint` is where it may be.
    pub(super) fn place(&self, key: &Key, hint: u32) -> Option<u32> {
        if self.series.get(hint as usize).is_some_and(|series| series.key == *key) {
            return Some(hint);
        }
        self.index.get(key).copied()
    }

    /// Enters a series that is not there.
    pub(super) fn enter(&mut self, key: Key, accumulator: Accumulator) -> u32 {
        let place = self.series.len() as u32;
        self.index.insert(key.clone(), place);
        self.series.push(Series { key, accumulator, is_changed: false });
        self.touch(place);
        place
    }

    /// A series got a point.
    pub(super) fn touch(&mut self, place: u32) {
        if !self.is_computed {
            return;
        }
        if let Some(series) = self.series.get_mut(place as usize)
            && !series.is_changed
        {
            series.is_changed = true;
            self.changed.push(place);
        }
    }

    /// Whether there is nothing that was not sent.
    pub(super) fn is_settled(&self) -> bool {
        self.is_computed && self.changed.is_empty()
    }

    /// Computes what has to be sent: all of it, or what has changed. Each place with its value, if it has one.
    pub(super) fn compute(&mut self, functions: &[Function], mut out: impl FnMut(&Key, Option<f64>)) {
        let all = if self.is_computed { 0 } else { self.series.len() as u32 };
        let changed = std::mem::take(&mut self.changed);
        let some: &[u32] = if self.is_computed { &changed } else { &[] };
        for place in (0..all).chain(some.iter().copied()) {
            let Some(series) = self.series.get_mut(place as usize) else { continue };
            series.is_changed = false;
            if let Some(function) = functions.get(usize::from(series.key.output)) {
                out(&series.key, series.accumulator.value(*function));
            }
        }
        self.is_computed = true;
    }

    /// What was computed last could not be sent: all of it is computed again.
    pub(super) fn failed(&mut self) {
        // Once, though it may have been sent in many parts.
        self.failures += u32::from(self.is_computed);
        self.is_computed = false;
        self.series.iter_mut().for_each(|series| series.is_changed = false);
        self.changed.clear();
    }
}

/// One aggregation and what it holds.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) aggregation: Aggregation,
    pub(super) functions: Vec<Function>,
    /// Tells aggregations apart in the state file.
    pub(super) fingerprint: u64,
    /// By their begin, seconds.
    pub(super) buckets: BTreeMap<i64, Bucket>,
    /// Begin of the newest bucket that was forgotten: one that is not newer must not begin again, or it would
    /// put a part in the place of the whole.
    pub(super) forgotten: i64,
}

/// Where a point belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the bucket that begins there.
    In(i64),
    TooLate,
    Future,
}

/// Times beyond this are no times: a million years.
const FAR: f64 = 3e13;

/// A point may have waited so long, seconds, between its receipt and the journal.
const SET_BACK: f64 = 600.0;

impl Rule {
    pub(super) fn new(aggregation: Aggregation) -> Self {
        Self {
            functions: aggregation.outputs.iter().map(|output| output.function).collect(),
            fingerprint: fingerprint(&aggregation),
            aggregation,
            buckets: BTreeMap::new(),
            forgotten: i64::MIN,
        }
    }

    /// Whether buckets of `other` are buckets of this one: inputs, outputs and length are the same. When they
    /// are sent and where to may differ.
    pub(super) fn continues(&self, other: &Self) -> bool {
        let (new, old) = (&self.aggregation, &other.aggregation);
        new.when == old.when && new.outputs == old.outputs && new.every == old.every
    }

    fn every(&self) -> i64 {
        i64::from(self.aggregation.every.max(1))
    }

    /// The bucket of a point that was received at `now`.
    pub(super) fn place(&self, ts: f64, now: f64) -> Place {
        if ts.abs() > FAR {
            return if ts > now { Place::Future } else { Place::TooLate };
        }
        let begin = (ts.floor() as i64).div_euclid(self.every()) * self.every();
        let keep = f64::from(self.aggregation.keep);
        if begin as f64 > now + keep {
            Place::Future
        } else if begin as f64 + keep <= now || (begin <= self.forgotten && !self.is_set_back(now)) {
            Place::TooLate
        } else {
            Place::In(begin)
        }
    }

    /// Whether the clock went back so far that what was forgotten lies in the future: it was ahead then, and says
    /// nothing of the buckets of now.
    fn is_set_back(&self, now: f64) -> bool {
        self.forgotten as f64 > now + f64::from(self.aggregation.keep) + SET_BACK
    }

    /// The bucket that begins there is over.
    pub(super) fn forget(&mut self, begin: i64, now: f64) {
        self.forgotten = if self.is_set_back(now) { begin } else { self.forgotten.max(begin) };
    }

    /// Buckets that should have been computed before `now` are closed: their first points are not known.
    pub(super) fn close_before(&mut self, now: f64) {
        let last = now - f64::from(self.aggregation.after);
        if last.abs() < FAR {
            let begin = (last.floor() as i64).div_euclid(self.every()) * self.every();
            self.forget(begin, now);
        }
    }

    /// The time that points of a bucket bear.
    pub(super) fn stamp(&self, begin: i64) -> f64 {
        let moment = match self.aggregation.stamp {
            Stamp::Start => begin,
            Stamp::Middle => begin + self.every() / 2,
            Stamp::End => begin + self.every(),
        };
        moment as f64
    }
}

/// A number for what makes the buckets of an aggregation, the same in every run.
fn fingerprint(aggregation: &Aggregation) -> u64 {
    let mut text = String::new();
    for pattern in &aggregation.when.patterns {
        text.push_str(&format!("{:?} {:?} ", pattern.as_str(), pattern.as_plain()));
    }
    let (negated, tags) = (aggregation.when.negated, aggregation.when.without_tags);
    // Writing to a string does not fail.
    let _written = write!(text, "{negated} {tags} {} {:?}", aggregation.every, aggregation.outputs);
    name_hash(text.as_bytes())
}
