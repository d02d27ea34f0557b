//! The rolling window of one metric: an open tail of plain doubles and sealed blocks before it.
//!
//! Points are sorted by time, no two have the same time: a point that comes again with another value
//! replaces the first (last write wins, as carbon does), a late one is put in its place.

mod tail;

pub(crate) use tail::Tail;

use crate::block::{BLOCK_POINTS, Block, MAX_BLOCK_POINTS, Sealer};
use crate::view::WindowView;
use skyline_core::point::Datapoint;
use std::collections::VecDeque;

/// Where blocks of restored windows begin or end: far from where positions turn over, and with room before it.
const FAR: u32 = 10_000_000 * BLOCK_POINTS as u32;

/// What became of a pushed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is the newest now.
    Appended,
    /// The newest point had this time already; its value changed.
    ReplacedNewest,
    /// An older point with this time got another value.
    Replaced,
    /// It came late and stands in its place now.
    Inserted,
    /// The very same point is stored already.
    Same,
}

/// A series over the rolling window.
#[derive(Debug, Clone)]
pub struct Window {
    pub(crate) tail: Tail,
    pub(crate) sealed: VecDeque<Block>,
    /// Points at the front of the first block (or of the tail) that were evicted.
    pub(crate) skip: u16,
    /// Power of ten that fitted the last block.
    pub(crate) hint: u8,
    /// Points of the first block, 0 without one: an eviction need not look at it.
    first_block: u8,
    len: u32,
    /// Position of the oldest point. A block ends where a position is a multiple of [`BLOCK_POINTS`].
    start: u32,
    last_ts: f64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            tail: Tail::default(),
            sealed: VecDeque::new(),
            skip: 0,
            hint: 0,
            first_block: 0,
            len: 0,
            start: 0,
            last_ts: f64::NEG_INFINITY,
        }
    }
}

/// Reused columns into which a window is decoded.
#[derive(Debug, Default)]
pub struct Columns {
    /// Times, seconds.
    pub ts: Vec<f64>,
    /// Values.
    pub values: Vec<f64>,
}

impl Window {
    /// A window of a snapshot's parts; blocks oldest first.
    #[must_use]
    pub(crate) fn from_parts(tail: Tail, sealed: VecDeque<Block>, skip: u16, hint: u8) -> Self {
        let points = sealed.iter().map(Block::len).sum::<usize>() + tail.len();
        let most = sealed.front().map_or(tail.len(), |block| block.len() - 1);
        let skip = usize::from(skip).min(most);
        let last_ts = match tail.len() {
            0 => sealed.back().map_or(f64::NEG_INFINITY, Block::last_ts),
            n => tail.ts(n - 1),
        };
        let mut window = Self {
            tail,
            sealed,
            skip: skip as u16,
            hint,
            first_block: 0,
            len: (points - skip) as u32,
            start: 0,
            last_ts,
        };
        window.measure_first_block();
        window
    }

    /// To be called whenever the first block may be another.
    fn measure_first_block(&mut self) {
        self.first_block = self.sealed.front().map_or(0, Block::len) as u8;
    }

    /// Chooses where its positions start, before anything refers to one: metrics that began in the
    /// same minute (all of them, where a node is new) then do not all seal a block in the same minute.
    /// `seed`: any number; windows with the same do the same things in the same minute.
    pub fn stagger(&mut self, seed: u32) {
        self.start = if self.sealed.is_empty() {
            seed
        } else {
            // The tail goes on from where its block began.
            FAR.wrapping_add(self.tail.len() as u32).wrapping_sub(self.len)
        };
    }

    /// Number of points.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is no point.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Position of the oldest point: grows with each that is evicted.
    #[must_use]
    pub const fn start(&self) -> u32 {
        self.start
    }

    /// Time of the newest point, seconds; -inf when empty.
    #[must_use]
    pub const fn last_ts(&self) -> f64 {
        self.last_ts
    }

    /// The values of the tail that lie outside of this struct, for prefetching.
    #[must_use]
    pub const fn tail_values(&self) -> &[f64] {
        self.tail.values.as_slice()
    }

    /// Whether the next push puts points behind [`Self::tail_values`].
    #[must_use]
    #[inline]
    pub const fn gathers_next(&self) -> bool {
        self.tail.gathers_next()
    }

    /// The block with the point at a position, if it is one of the first two: of points a minute, those with
    /// the oldest point and the newest of the first hour. For prefetching: does not look at the blocks.
    #[must_use]
    #[inline]
    pub fn early_block(&self, at: u32) -> Option<&Block> {
        let offset = at.wrapping_sub(self.start).wrapping_add(u32::from(self.skip));
        self.sealed.get(usize::from(offset >= u32::from(self.first_block)))
    }

    /// The sealed blocks, oldest first, as they lie in memory.
    #[must_use]
    pub fn blocks(&self) -> (&[Block], &[Block]) {
        self.sealed.as_slices()
    }

    /// Forgets which copy its blocks are in, see [`crate::chunk`].
    pub fn forget_copies(&mut self) {
        for block in &mut self.sealed {
            block.copy = 0;
        }
    }

    /// Heap bytes that the window holds: blocks, tail, queue.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.sealed.iter().map(|b| b.bytes().len()).sum::<usize>()
            + self.sealed.capacity() * size_of::<Block>()
            + self.tail.heap_bytes()
    }

    /// Takes a point. `ts` is finite, `value` not NaN.
    #[inline]
    pub fn push(&mut self, ts: f64, value: f64, sealer: &mut Sealer) -> Pushed {
        if ts > self.last_ts {
            let tail = self.tail.len();
            let ends = self.start.wrapping_add(self.len).is_multiple_of(BLOCK_POINTS as u32);
            if tail >= BLOCK_POINTS || (ends && tail > 0) {
                self.seal_tail(sealer);
            }
            self.tail.push(ts, value);
            self.len += 1;
            self.last_ts = ts;
            return Pushed::Appended;
        }
        self.amend(ts, value, sealer)
    }

    /// Puts points into their places where there is none at that time: what is here stays as it is. `points`: ascending
    /// times, finite; no value is NaN. Returns how many were put in, and decodes the window once at most.
    pub fn fill(&mut self, points: &[Datapoint], sealer: &mut Sealer, columns: &mut Columns) -> u32 {
        let before = self.len;
        let newer = points.partition_point(|point| point.ts <= self.last_ts);
        let (late, newer) = points.split_at(newer);
        if !late.is_empty() {
            let view = self.view(columns);
            let mut fresh = Self { start: self.start, hint: self.hint, ..Self::default() };
            let mut late = late.iter().peekable();
            for (&ts, &value) in view.ts.iter().zip(view.values) {
                while let Some(point) = late.next_if(|point| point.ts < ts) {
                    fresh.push_behind(*point, sealer);
                }
                late.next_if(|point| point.ts == ts);
                fresh.push_behind(Datapoint::new(ts, value), sealer);
            }
            // Behind all that is here: what was newer has left the window.
            for point in late {
                fresh.push_behind(*point, sealer);
            }
            if fresh.len > before {
                *self = fresh;
            }
        }
        for point in newer {
            self.push_behind(*point, sealer);
        }
        self.len - before
    }

    /// Which of `points`, whose times ascend, have a time that has no point here.
    pub fn missing<'p>(&self, points: &'p [Datapoint], columns: &mut Columns) -> Vec<&'p Datapoint> {
        let view = self.view(columns);
        let mut here = view.ts.iter().peekable();
        let is_missing = |point: &&Datapoint| {
            while here.next_if(|ts| **ts < point.ts).is_some() {}
            here.peek().is_none_or(|ts| **ts != point.ts)
        };
        points.iter().filter(is_missing).collect()
    }

    /// Takes a point if it is newer than all others.
    fn push_behind(&mut self, point: Datapoint, sealer: &mut Sealer) {
        if point.ts > self.last_ts {
            self.push(point.ts, point.value, sealer);
        }
    }

    fn seal_tail(&mut self, sealer: &mut Sealer) {
        let skipped = if self.sealed.is_empty() { usize::from(std::mem::take(&mut self.skip)) } else { 0 };
        self.tail.gather();
        let n = self.tail.len();
        let ts: Vec<f64> = (skipped..n).map(|i| self.tail.ts(i)).collect();
        let values = self.tail.values.get(skipped..).unwrap_or_default();
        if !ts.is_empty() {
            self.sealed.push_back(sealer.seal(&ts, values, &mut self.hint));
            self.measure_first_block();
        }
        self.tail.clear();
    }

    /// The slow path: a time that is not newer than the newest.
    #[cold]
    fn amend(&mut self, ts: f64, value: f64, sealer: &mut Sealer) -> Pushed {
        self.tail.gather();
        let newest = ts == self.last_ts;
        let tail_skip = if self.sealed.is_empty() { usize::from(self.skip) } else { 0 };
        let tail_starts =
            if self.tail.values.len() > tail_skip { self.tail.ts(tail_skip) } else { f64::INFINITY };
        if ts >= tail_starts || self.sealed.is_empty() {
            let at = (tail_skip..self.tail.values.len())
                .find(|i| self.tail.ts(*i) >= ts)
                .unwrap_or(self.tail.values.len());
            if at < self.tail.values.len() && self.tail.ts(at) == ts {
                return replace(&mut self.tail.values, at, value, newest);
            }
            self.tail.spell_out();
            self.tail.times.insert(at, ts);
            self.tail.values.insert(at, value);
            self.len += 1;
            if self.tail.values.len() >= MAX_BLOCK_POINTS {
                self.seal_tail(sealer);
            }
            return Pushed::Inserted;
        }
        self.amend_block(ts, value, newest, sealer)
    }

    fn amend_block(&mut self, ts: f64, value: f64, newest: bool, sealer: &mut Sealer) -> Pushed {
        let index = self
            .sealed
            .iter()
            .position(|b| b.last_ts() >= ts)
            .unwrap_or_else(|| self.sealed.len().saturating_sub(1));
        let Some(block) = self.sealed.get(index) else { return Pushed::Same };
        let skipped = if index == 0 { usize::from(self.skip) } else { 0 };
        let (mut times, mut values) = (Vec::new(), Vec::new());
        block.read(skipped, block.len(), &mut times, &mut values);
        let at = times.partition_point(|t| *t < ts);
        let outcome = if times.get(at) == Some(&ts) {
            let outcome = replace(&mut values, at, value, newest);
            if outcome == Pushed::Same {
                return outcome;
            }
            outcome
        } else {
            times.insert(at, ts);
            values.insert(at, value);
            self.len += 1;
            Pushed::Inserted
        };
        if index == 0 {
            self.skip = 0;
        }
        let half = if times.len() > MAX_BLOCK_POINTS { times.len() / 2 } else { times.len() };
        let (first_ts, rest_ts) = times.split_at(half);
        let (first_values, rest_values) = values.split_at(half);
        if let Some(slot) = self.sealed.get_mut(index) {
            *slot = sealer.seal(first_ts, first_values, &mut self.hint);
        }
        if !rest_ts.is_empty() {
            self.sealed.insert(index + 1, sealer.seal(rest_ts, rest_values, &mut self.hint));
        }
        self.measure_first_block();
        outcome
    }

    /// Drops the oldest point.
    #[inline]
    pub fn pop_front(&mut self) {
        if self.len == 0 {
            return;
        }
        self.len -= 1;
        self.start = self.start.wrapping_add(1);
        self.skip += 1;
        match self.first_block {
            0 if self.len == 0 => {
                self.tail.clear();
                self.skip = 0;
            }
            0 => {}
            points if self.skip >= u16::from(points) => {
                self.sealed.pop_front();
                self.skip = 0;
                self.measure_first_block();
            }
            _ => {}
        }
    }

    /// Drops every point with a time up to `limit` seconds; returns how many.
    pub fn evict(&mut self, limit: f64) -> u32 {
        let before = self.start;
        while let Some(block) = self.sealed.front() {
            if block.last_ts() > limit {
                break;
            }
            let gone = (block.len() - usize::from(self.skip)) as u32;
            self.len -= gone;
            self.start = self.start.wrapping_add(gone);
            self.skip = 0;
            self.sealed.pop_front();
        }
        self.measure_first_block();
        let mut ts = [0.0; 1];
        let mut values = [0.0; 1];
        while self.copy_at(self.start, &mut ts, &mut values) == 1 && ts.iter().all(|t| *t <= limit) {
            self.pop_front();
        }
        self.start.wrapping_sub(before)
    }

    /// Copies points from position `at` on into two slices of equal length; returns how many: at
    /// least one unless `at` is outside, fewer than asked where a block ends.
    pub fn copy_at(&self, at: u32, ts: &mut [f64], values: &mut [f64]) -> usize {
        let offset = at.wrapping_sub(self.start) as usize;
        if offset >= self.len() {
            return 0;
        }
        let mut offset = offset + usize::from(self.skip);
        let (mut t, mut v) = (Vec::new(), Vec::new());
        let mut done = false;
        for block in &self.sealed {
            if offset < block.len() {
                block.read(offset, offset + ts.len(), &mut t, &mut v);
                done = true;
                break;
            }
            offset -= block.len();
        }
        if !done {
            self.tail.read(offset, offset + ts.len(), &mut t, &mut v);
        }
        let n = t.len().min(ts.len());
        for (slot, value) in ts.iter_mut().zip(&t) {
            *slot = *value;
        }
        for (slot, value) in values.iter_mut().zip(&v) {
            *slot = *value;
        }
        n
    }

    /// Decodes the whole window.
    pub fn view<'a>(&self, columns: &'a mut Columns) -> WindowView<'a> {
        columns.ts.clear();
        columns.values.clear();
        columns.ts.reserve(self.len());
        columns.values.reserve(self.len());
        let mut skip = usize::from(self.skip);
        for block in &self.sealed {
            block.read(skip, block.len(), &mut columns.ts, &mut columns.values);
            skip = 0;
        }
        self.tail.read(skip, self.tail.len(), &mut columns.ts, &mut columns.values);
        WindowView::new(&columns.ts, &columns.values)
    }
}

fn replace(values: &mut [f64], at: usize, value: f64, newest: bool) -> Pushed {
    match values.get_mut(at) {
        Some(old) if old.to_bits() != value.to_bits() => {
            *old = value;
            if newest { Pushed::ReplacedNewest } else { Pushed::Replaced }
        }
        _ => Pushed::Same,
    }
}

#[cfg(test)]
mod tests;
