//! The aggregator without a journal, tasks or files: points and the time go in, aggregates come out.
//!
//! The time of a point decides its bucket, the time of its receipt whether it is too late. So it makes no
//! difference how points are divided into batches, when they are read, or whether they are read again after a restart.

use super::accumulator::{Accumulator, needs_values};
use super::bucket::{Bucket, Place, Rule, Series};
use super::figures::Counts;
use super::inputs::{Inputs, Known, Target};
use foldhash::fast::RandomState;
use skyline_conf::routing::{Digits, Routing, Statement, Then};
use skyline_core::batch::Sample;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// A bucket that is over and could not be sent so often is given up.
const PATIENCE: u32 = 60;

/// What may be kept at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Values of medians and percentiles, of which every one is kept. From three quarters on they begin no new
    /// bucket, so that those that are there can be finished; at the limit no value is taken.
    pub values: usize,
    /// Bytes of everything, about. Beyond it no series begins a new bucket.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { values: 1_000_000, bytes: 512 << 20 }
    }
}

/// One aggregate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    /// Place of its rule; none once the rule is gone.
    pub(super) rule: Option<usize>,
    pub(super) begin: i64,
    pub(super) name: Arc<str>,
    pub(super) ts: f64,
    pub(super) value: f64,
    pub(super) digits: Digits,
}

/// Aggregates that go the same way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Due {
    pub(super) then: Then,
    pub(super) made: Vec<Made>,
}

/// All buckets.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) rules: Vec<Rule>,
    inputs: Inputs,
    seed: RandomState,
    limits: Limits,
    pub(super) counts: Counts,
    /// Something is not as it was when this was last set to false.
    pub(super) is_changed: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new(Arc::default(), Limits::default())
    }
}

impl Machine {
    /// Without buckets.
    pub(super) fn new(routing: Arc<Routing>, limits: Limits) -> Self {
        let seed = RandomState::default();
        Self {
            rules: rules(&routing),
            inputs: Inputs::new(routing, seed.clone()),
            seed,
            limits,
            counts: Counts::default(),
            is_changed: false,
        }
    }

    /// What keys are hashed with.
    pub(super) const fn seed(&self) -> &RandomState {
        &self.seed
    }

    /// Series in buckets.
    pub(super) const fn open(&self) -> u64 {
        self.counts.open
    }

    /// Takes a point that was received at `now`; `is_made`: it is an aggregate itself.
    pub(super) fn add(&mut self, now: f64, name: &[u8], sample: &Sample, is_made: bool) {
        let Self { rules, inputs, limits, counts, .. } = self;
        let Some(Known { inputs, bad_names, loops, .. }) = inputs.find(sample.hash, name, is_made) else {
            return;
        };
        counts.bad_names += *bad_names;
        counts.loops += *loops;
        if inputs.is_empty() {
            counts.unmatched += 1;
            return;
        }
        counts.inputs += 1;
        for input in inputs {
            let Some(rule) = rules.get_mut(input.rule) else { continue };
            match rule.place(sample.ts, now) {
                Place::TooLate => counts.too_late += 1,
                Place::Future => counts.future += 1,
                Place::In(begin) => {
                    self.is_changed = true;
                    add(rule, begin, &mut input.targets, sample, *limits, counts);
                }
            }
        }
    }

    /// Computes what is due at `now`, and forgets what is over and was sent.
    pub(super) fn tick(&mut self, now: f64) -> Vec<Due> {
        let mut all = Vec::new();
        for (place, rule) in self.rules.iter_mut().enumerate() {
            let Some((first, _)) = rule.buckets.first_key_value() else { continue };
            if now < *first as f64 + f64::from(rule.aggregation.after) {
                continue;
            }
            forget(rule, now, &mut self.counts);
            let out = of(&mut all, &rule.aggregation.then);
            let made = out.len();
            compute(rule, Some(place), now, &mut self.counts, out);
            self.is_changed |= out.len() > made;
        }
        all.retain(|due| !due.made.is_empty());
        all
    }

    /// Aggregates could not be sent: their buckets are computed again at the next tick.
    pub(super) fn failed(&mut self, made: &[Made]) {
        self.is_changed = true;
        // Those of one bucket lie side by side.
        for of_bucket in made.chunk_by(|a, b| (a.rule, a.begin) == (b.rule, b.begin)) {
            let Some(Made { rule, begin, .. }) = of_bucket.first() else { continue };
            let rule = rule.and_then(|rule| self.rules.get_mut(rule));
            match rule.and_then(|rule| rule.buckets.get_mut(begin)) {
                Some(bucket) => bucket.failed(),
                None => self.counts.unsent += of_bucket.len() as u64,
            }
        }
    }

    /// Goes on by another routing. Aggregations with the same inputs, outputs and length of buckets keep
    /// these; of others what was not sent is computed a last time.
    pub(super) fn replace(&mut self, routing: Arc<Routing>) -> Vec<Due> {
        let mut before = std::mem::replace(&mut self.rules, rules(&routing));
        self.inputs = Inputs::new(routing, self.seed.clone());
        for rule in &mut self.rules {
            if let Some(place) = before.iter().position(|old| rule.continues(old)) {
                let old = before.remove(place);
                rule.buckets = old.buckets;
                rule.forgotten = old.forgotten;
            }
        }
        let mut all = Vec::new();
        for mut rule in before {
            let out = of(&mut all, &rule.aggregation.then);
            compute(&mut rule, None, f64::INFINITY, &mut self.counts, out);
            rule.buckets.values().for_each(|bucket| drop_bucket(bucket, &mut self.counts));
        }
        self.is_changed = true;
        all.retain(|due| !due.made.is_empty());
        all
    }

    /// Nothing is known of what came before `now`: buckets that had been computed by then are not begun again.
    pub(super) fn close_before(&mut self, now: f64) {
        self.rules.iter_mut().for_each(|rule| rule.close_before(now));
    }

    /// Puts a saved bucket back. Series that are not of this rule, and what is beyond the limits, are left out.
    pub(super) fn restore(&mut self, rule: usize, begin: i64, mut bucket: Bucket, series: Vec<Series>) {
        let Some(rule) = self.rules.get_mut(rule) else { return };
        for Series { key, accumulator, is_changed } in series {
            let function = rule.functions.get(usize::from(key.output));
            let fits = function.is_some_and(|function| accumulator.fits(*function));
            let bytes = Series::bytes_with(&key) + accumulator.bytes();
            let room = self.counts.bytes as usize + bytes <= self.limits.bytes
                && self.counts.values as usize + accumulator.held() <= self.limits.values;
            if !fits || !room || bucket.place(&key, 0).is_some() {
                self.counts.full += 1;
                continue;
            }
            self.counts.open += 1;
            self.counts.bytes += bytes as u64;
            self.counts.values += accumulator.held() as u64;
            let place = bucket.enter(key, accumulator);
            // Entering calls it changed if it was sent; the file knows better.
            if !is_changed && bucket.changed.last() == Some(&place) {
                bucket.changed.pop();
                if let Some(series) = bucket.series.last_mut() {
                    series.is_changed = false;
                }
            }
        }
        self.counts.bytes += Bucket::BYTES as u64;
        rule.buckets.insert(begin, bucket);
    }
}

fn rules(routing: &Routing) -> Vec<Rule> {
    let aggregation = |what: &Statement| match what {
        Statement::Aggregate(aggregation) => Some(Rule::new(aggregation.clone())),
        Statement::Route(_) | Statement::Rewrite(_) => None,
    };
    routing.statements.iter().filter_map(aggregation).collect()
}

/// Adds a point to a bucket of `rule`.
fn add(
    rule: &mut Rule,
    begin: i64,
    targets: &mut [Target],
    sample: &Sample,
    limits: Limits,
    counts: &mut Counts,
) {
    let (buckets, functions) = (&mut rule.buckets, &rule.functions);
    let bucket = match buckets.entry(begin) {
        Entry::Occupied(there) => there.into_mut(),
        Entry::Vacant(_) if counts.bytes as usize + Bucket::BYTES > limits.bytes => {
            counts.full += targets.len() as u64;
            return;
        }
        Entry::Vacant(free) => {
            counts.bytes += Bucket::BYTES as u64;
            free.insert(Bucket::default())
        }
    };
    for Target { key, hint } in targets {
        let Some(function) = functions.get(usize::from(key.output)).copied() else { continue };
        if let Some(place) = bucket.place(key, *hint) {
            *hint = place;
            let Some(series) = bucket.series.get_mut(place as usize) else { continue };
            if needs_values(function) {
                if counts.values as usize >= limits.values {
                    counts.full_values += 1;
                    continue;
                }
                let before = series.accumulator.bytes();
                series.accumulator.add(sample.ts, sample.value);
                counts.values += 1;
                counts.bytes += (series.accumulator.bytes() - before) as u64;
            } else {
                series.accumulator.add(sample.ts, sample.value);
            }
            bucket.touch(place);
            continue;
        }
        if needs_values(function) && counts.values as usize >= limits.values - limits.values / 4 {
            counts.full_values += 1;
            continue;
        }
        if counts.bytes as usize + Series::bytes_with(key) > limits.bytes {
            counts.full += 1;
            continue;
        }
        let accumulator = Accumulator::new(function, sample.ts, sample.value);
        counts.open += 1;
        counts.values += accumulator.held() as u64;
        counts.bytes += (Series::bytes_with(key) + accumulator.bytes()) as u64;
        *hint = bucket.enter(key.clone(), accumulator);
    }
}

/// Computes what is due at `now`.
fn compute(rule: &mut Rule, place: Option<usize>, now: f64, counts: &mut Counts, out: &mut Vec<Made>) {
    let Rule { functions, buckets, aggregation, .. } = rule;
    let mut computed = Vec::new();
    for (begin, bucket) in buckets {
        if now < *begin as f64 + f64::from(aggregation.after) {
            break;
        }
        if bucket.is_settled() {
            continue;
        }
        let (is_first, before) = (!bucket.is_computed, out.len());
        bucket.compute(functions, |key, value| match value {
            Some(value) => {
                let name = Arc::clone(&key.name);
                let output = aggregation.outputs.get(usize::from(key.output));
                let digits = output.map_or(Digits::Fewest, |output| output.digits);
                out.push(Made { rule: place, begin: *begin, name, ts: 0.0, value, digits });
            }
            None => counts.no_value += 1,
        });
        let made = (out.len() - before) as u64;
        if is_first && bucket.failures == 0 {
            counts.outputs += made;
        } else if !is_first {
            counts.corrected += made;
        }
        computed.push((*begin, before));
    }
    for (begin, from) in computed {
        let ts = rule.stamp(begin);
        out.iter_mut().skip(from).for_each(|made| made.ts = ts);
    }
}

/// Forgets buckets that take no points any more and were sent.
fn forget(rule: &mut Rule, now: f64, counts: &mut Counts) {
    let keep = f64::from(rule.aggregation.keep);
    let mut newest = None;
    rule.buckets.retain(|begin, bucket| {
        let is_over = *begin as f64 + keep <= now;
        if !is_over || !(bucket.is_settled() || bucket.failures >= PATIENCE) {
            return true;
        }
        if !bucket.is_settled() {
            counts.unsent += bucket.series.len() as u64;
        }
        drop_bucket(bucket, counts);
        newest = Some(*begin);
        false
    });
    if let Some(newest) = newest {
        rule.forget(newest, now);
    }
}

fn drop_bucket(bucket: &Bucket, counts: &mut Counts) {
    counts.bytes -= Bucket::BYTES as u64;
    counts.open -= bucket.series.len() as u64;
    for series in &bucket.series {
        counts.values -= series.accumulator.held() as u64;
        counts.bytes -= series.bytes() as u64;
    }
}

/// The aggregates that go that way.
fn of<'a>(all: &'a mut Vec<Due>, then: &Then) -> &'a mut Vec<Made> {
    let place = all.iter().position(|due| due.then == *then).unwrap_or(all.len());
    if place == all.len() {
        all.push(Due { then: then.clone(), made: Vec::new() });
    }
    #[expect(clippy::indexing_slicing, reason = "the place was found or has just been made")]
    &mut all[place].made
}
