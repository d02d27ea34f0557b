//! All state of one metric: its window, the running sums over it, and its verdicts.
//!
//! The verdict on a new point is the one that the plain functions of [`crate::consensus`] give for the
//! window; the sums only make it cheap. Whatever they cannot decide with a margin is recomputed from
//! the points.

use crate::consensus::{self, Tally};
use crate::counter;
use crate::gate::{self, Gate};
use crate::prefetch;
use crate::settings::Settings;
use crate::sums::{Check, Powers, Sums};
use crate::vote::{self, Scratch, Vote, grubbs};
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::point::Datapoint;
use skyline_store::block::Sealer;
use skyline_store::chunk::{Chunks, Kept};
use skyline_store::edge::{Decoded, Edge};
use skyline_store::snapshot::Writer;
use skyline_store::view::WindowView;
use skyline_store::window::{Columns, Pushed, Window};
use std::mem::offset_of;
use std::ops::ControlFlow;

/// Votes that running sums can give, in the order in which they are asked: often "no" first.
const CHEAP: [Algorithm; 6] = [
    Algorithm::FirstHourAverage,
    Algorithm::StddevFromAverage,
    Algorithm::MeanSubtractionCumulation,
    Algorithm::StddevFromMovingAverage,
    Algorithm::Grubbs,
    Algorithm::LeastSquares,
];

/// Steps up after which a metric that never went down stays classed as a counter through resets. The
/// reference takes any two rising points for that, which makes every other new gauge a counter
/// for a day; ten rising points in a row happen to a gauge once in millions.
const COUNTER_STEPS: u32 = 10;

/// Votes that need the points.
const DEAR: [Algorithm; 3] =
    [Algorithm::KsTest, Algorithm::HistogramBins, Algorithm::MedianAbsoluteDeviation];

/// What a thread shares between all its metrics: settings and reused buffers.
#[derive(Debug)]
pub struct Context {
    /// Gates, algorithms, consensus.
    pub settings: Settings,
    /// Kept beyond the full duration, seconds.
    pub grace: f64,
    pub(crate) sealer: Sealer,
    pub(crate) columns: Columns,
    pub(crate) rates: Columns,
    pub(crate) scratch: Scratch,
    pub(crate) powers: Powers,
    /// Times that a window was decoded to reach a verdict.
    pub scans: u64,
}

impl Context {
    /// A context with empty buffers.
    #[must_use]
    pub fn new(settings: Settings, grace: f64) -> Self {
        Self {
            settings,
            grace,
            sealer: Sealer::default(),
            columns: Columns::default(),
            rates: Columns::default(),
            scratch: Scratch::default(),
            powers: Powers::default(),
            scans: 0,
        }
    }
}

/// What became of the newest point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Judged {
    /// It was not looked at: it is not the newest, or is known already, or detection is off.
    No,
    /// A gate kept it from being judged.
    Gated(Gate),
    /// A counter was reset: there is no increase to judge.
    Reset,
    /// It was judged.
    Verdict(Findings),
}

/// A verdict. Small, as there is one a point: what explains it is asked for with [`Tracked::explain`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Findings {
    /// Whether enough algorithms agree.
    pub anomalous: bool,
    /// Whether the metric was judged as a counter.
    pub counter: bool,
    /// Algorithms that were asked.
    pub asked: AlgorithmSet,
    /// Those that voted yes.
    pub yes: AlgorithmSet,
}

/// The figures that explain a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// The newest value that the algorithms saw: of a counter its increase.
    pub value: f64,
    /// Mean of the window that they saw.
    pub mean: f64,
    /// Sample standard deviation of it.
    pub stddev: f64,
}

/// Metrics that do what is seldom done (seal a block, decode one, make their sums anew) in the same minute.
/// They lie side by side, and what they then touch does too. (Windows keep their phase through restarts.)
pub const NEIGHBOURS: u32 = 64;

/// When a metric does what is seldom done, as any number: the same for neighbours, another for the next
/// ones. `rank`: where it lies among the others.
#[must_use]
pub const fn phase(rank: u32) -> u32 {
    // Odd, and sharing no factor with the points of a block: every remainder comes up equally often.
    (rank / NEIGHBOURS).wrapping_mul(37)
}

/// One metric. What every point needs of it comes first, in eight cache lines; of what the cursors have decoded
/// it needs one line each.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Tracked {
    pub(crate) hash: u64,
    pub(crate) name: Box<str>,
    sums: Sums,
    /// The sums do not match the window: rebuild before the next verdict.
    dirty: bool,
    never_counter: bool,
    /// The newest point was filled in: whoever sends the metric has not sent it yet.
    is_newest_filled: bool,
    /// Where between two rebuilds of its sums it is ahead of others, see [`Sums::is_worn`].
    phase: u8,
    /// Until when the metric stays classed as a counter, seconds.
    counter_until: f64,
    pub(crate) window: Window,
    oldest: Edge,
    hour: Edge,
    oldest_decoded: Decoded,
    hour_decoded: Decoded,
}

const _: () =
    assert!(offset_of!(Tracked, oldest_decoded) == 512, "what every point needs is no longer eight lines");

impl Tracked {
    /// A metric without points. `rank`: where it lies among the others, see [`phase`]. `never_counter`: it
    /// is a gauge whatever it looks like.
    #[must_use]
    pub fn new(name: &str, hash: u64, rank: u32, never_counter: bool) -> Self {
        Self::restored(name, hash, rank, never_counter, &[], Window::default())
    }

    /// A metric of a snapshot. `state`: what [`Self::save`] wrote; what is missing or does not fit
    /// the window is made anew from the points.
    #[must_use]
    pub fn restored(
        name: &str,
        hash: u64,
        rank: u32,
        never_counter: bool,
        state: &[u8],
        mut window: Window,
    ) -> Self {
        let phase = phase(rank);
        window.stagger(phase);
        let (kept, sums) = match state.split_first_chunk::<8>() {
            Some((kept, sums)) => {
                (Kept::unpack(f64::from_bits(u64::from_le_bytes(*kept))), Sums::decode(sums))
            }
            None => (Kept::NOTHING, None),
        };
        let sums = sums.filter(|sums| sums.points() as usize == window.len());
        let dirty = sums.is_none() && !window.is_empty();
        let sums = sums.unwrap_or_default();
        let mut tracked = Self {
            hash,
            name: name.into(),
            dirty,
            never_counter,
            is_newest_filled: kept.is_newest_filled,
            phase: phase as u8,
            counter_until: kept.counter_until,
            oldest: Edge::at_start(&window),
            hour: Edge::at(window.start().wrapping_add(sums.hour_len())),
            oldest_decoded: Decoded::default(),
            hour_decoded: Decoded::default(),
            sums,
            window,
        };
        if !dirty {
            // The first points then find the cursors decoded, as they were.
            tracked.oldest.peek(&mut tracked.oldest_decoded, &tracked.window);
            tracked.hour.peek(&mut tracked.hour_decoded, &tracked.window);
        }
        tracked
    }

    /// What is kept of it beside its points.
    pub(crate) const fn kept(&self) -> Kept {
        Kept { counter_until: self.counter_until, is_newest_filled: self.is_newest_filled }
    }

    /// Adds it to a snapshot. `rank`: where it lies among the others. `buffer` is reused.
    pub fn save(&mut self, rank: u32, to: &mut Writer<'_>, buffer: &mut Vec<u8>) {
        buffer.clear();
        self.encode_state(buffer);
        to.series(&self.name, rank, buffer, &mut self.window);
    }

    /// Adds it to what is handed out of its shard. `rank`: where it lies among the others.
    pub(crate) fn hand_out(&mut self, rank: u32, chunks: &mut Chunks) {
        chunks.series(&self.name, rank, self.kept(), &mut self.window);
    }

    /// Writes what [`Self::restored`] takes beside the points: what is kept of it ([`Kept`]: f64, little-endian),
    /// then the sums ([`Sums::encode`]) unless they have to be made anew anyway.
    fn encode_state(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kept().pack().to_bits().to_le_bytes());
        if !self.dirty {
            self.sums.encode(out);
        }
    }

    /// Asks for the memory that [`Self::observe`] will touch, as far as it is known where.
    #[inline]
    pub(crate) fn fetch(&self) {
        prefetch::part(self, 0, offset_of!(Self, oldest_decoded));
    }

    /// Asks for what [`Self::fetch`] has shown to be needed.
    #[inline]
    pub(crate) fn fetch_outside(&self) {
        prefetch::all(self.name.as_bytes());
        if self.window.gathers_next() {
            prefetch::end(self.window.tail_values());
        }
        for (edge, decoded) in [(&self.oldest, &self.oldest_decoded), (&self.hour, &self.hour_decoded)] {
            let ahead = edge.ahead(decoded);
            prefetch::all(ahead.get(..2).unwrap_or(ahead));
            if let Some(block) = edge.decodes_next().and_then(|at| self.window.early_block(at)) {
                prefetch::item(block);
            }
        }
    }

    /// Asks for the blocks that [`Self::observe`] will decode, after [`Self::fetch_outside`].
    #[inline]
    pub(crate) fn fetch_blocks(&self) {
        for edge in [&self.oldest, &self.hour] {
            if let Some(block) = edge.decodes_next().and_then(|at| self.window.early_block(at)) {
                prefetch::all(block.bytes());
            }
        }
    }

    /// Asks for the memory outside of it that [`Self::save`] will read.
    pub(crate) fn fetch_all(&self) {
        prefetch::all(self.name.as_bytes());
        prefetch::all(self.window.tail_values());
        let (blocks, more_blocks) = self.window.blocks();
        prefetch::all(blocks);
        prefetch::all(more_blocks);
    }

    /// The window.
    #[must_use]
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// Drops what is older than the window at `now`. For metrics that receive nothing.
    pub fn expire(&mut self, now: f64, context: &Context) {
        if self.dirty {
            self.window.evict(now - context.settings.full_duration - context.grace);
        } else {
            self.evict(now, context);
        }
    }

    /// Stores a point received at `now` and, if it is the newest and `judge` is set, judges it.
    #[inline]
    pub fn observe(
        &mut self,
        point: Datapoint,
        now: f64,
        judge: bool,
        context: &mut Context,
    ) -> (Pushed, Judged) {
        let pushed = self.window.push(point.ts, point.value, &mut context.sealer);
        let newest = match pushed {
            Pushed::Appended => {
                if !self.dirty {
                    self.append_to_sums(point);
                }
                true
            }
            // It comes now from who sends the metric, and was not judged before.
            Pushed::Same => self.is_newest_filled && point.ts == self.window.last_ts(),
            Pushed::ReplacedNewest => {
                self.dirty = true;
                true
            }
            Pushed::Replaced | Pushed::Inserted => {
                self.dirty = true;
                false
            }
        };
        if newest {
            self.is_newest_filled = false;
        }
        if !self.dirty {
            self.evict(now, context);
        }
        if !judge || !newest {
            return (pushed, Judged::No);
        }
        if now - point.ts > context.settings.stale_seconds {
            return (pushed, Judged::Gated(Gate::Stale));
        }
        (pushed, self.judge(now, context))
    }

    /// Puts history into its places, where there is no point yet; how many points were put in. Times ascend. The sums are made
    /// anew before the next verdict.
    pub fn fill(&mut self, points: &[Datapoint], now: f64, context: &mut Context) -> u32 {
        let last = self.window.last_ts();
        let filled = self.window.fill(points, &mut context.sealer, &mut context.columns);
        if filled > 0 {
            self.dirty = true;
            self.is_newest_filled |= self.window.last_ts() != last;
            self.expire(now, context);
        }
        filled
    }

    /// Whether its newest point was filled in and not sent.
    pub(crate) const fn is_newest_filled(&self) -> bool {
        self.is_newest_filled
    }

    fn append_to_sums(&mut self, point: Datapoint) {
        if self.sums.points() == 0 {
            // The first point anchors the sums and puts the cursors at itself.
            self.sums = Sums::anchored(point);
            self.oldest = Edge::at_start(&self.window);
            self.hour = Edge::at_start(&self.window);
        }
        self.sums.add(point.ts, point.value);
    }

    fn hour_limit(now: f64, settings: &Settings) -> f64 {
        now - (settings.full_duration - 3600.0)
    }

    /// Takes points that have become too old out of the window and the sums, one at a time.
    #[inline]
    fn evict(&mut self, now: f64, context: &Context) {
        let limit = now - context.settings.full_duration - context.grace;
        while let Some((ts, value)) = self.oldest.peek(&mut self.oldest_decoded, &self.window) {
            if ts > limit {
                break;
            }
            let in_hour = self.hour.position().wrapping_sub(self.oldest.position()) as i32 > 0;
            self.window.pop_front();
            self.oldest.advance();
            let next = self.oldest.peek(&mut self.oldest_decoded, &self.window).map(|(_, value)| value);
            self.sums.remove(ts, value, next, in_hour, &context.powers);
            if !in_hour {
                self.hour.advance();
            }
        }
        if self.sums.is_worn(self.phase) {
            self.dirty = true;
        }
    }

    fn rebuild(&mut self, now: f64, context: &mut Context) {
        self.window.evict(now - context.settings.full_duration - context.grace);
        let limit = Self::hour_limit(now, &context.settings);
        let view = self.window.view(&mut context.columns);
        self.sums = Sums::rebuild(view, limit);
        self.oldest = Edge::at_start(&self.window);
        self.hour = Edge::at(self.window.start().wrapping_add(self.sums.hour_len()));
        self.dirty = false;
    }

    /// Brings the sums up to `now`.
    pub fn settle(&mut self, now: f64, context: &mut Context) {
        let limit = Self::hour_limit(now, &context.settings);
        if self.dirty || self.sums.hour_passes(limit) {
            self.rebuild(now, context);
        }
        while let Some((ts, value)) = self.hour.peek(&mut self.hour_decoded, &self.window) {
            if ts >= limit {
                break;
            }
            self.sums.add_to_hour(ts, value);
            self.hour.advance();
        }
    }

    fn judge(&mut self, now: f64, context: &mut Context) -> Judged {
        self.settle(now, context);
        if self.is_counter(now, &context.settings) {
            return self.judge_counter(now, context);
        }
        if let Some(gate) = self.gate(context) {
            return Judged::Gated(gate);
        }
        self.vote(now, context)
    }

    fn is_counter(&mut self, now: f64, settings: &Settings) -> bool {
        if self.never_counter {
            return false;
        }
        if self.sums.is_monotonic() {
            if now >= self.counter_until && self.sums.increases() >= COUNTER_STEPS {
                self.counter_until = now + settings.full_duration;
            }
            return true;
        }
        now < self.counter_until
    }

    /// The gates of a gauge. Staleness was looked at on arrival.
    fn gate(&self, context: &mut Context) -> Option<Gate> {
        let settings = &context.settings;
        if self.sums.points() < settings.min_points {
            return Some(Gate::TooShort);
        }
        let looked_at = self.sums.points().min(settings.boredom_points);
        match settings.boredom_set_size {
            0 => None,
            1 => (self.sums.run() >= looked_at).then_some(Gate::Boring),
            _ => {
                let view = self.window.view(&mut context.columns);
                gate::is_boring(view, settings).then_some(Gate::Boring)
            }
        }
    }

    fn vote(&self, now: f64, context: &mut Context) -> Judged {
        let mut tally = Tally::new(&context.settings);
        let mut decoded = false;
        for algorithm in CHEAP.into_iter().chain(DEAR) {
            if !context.settings.algorithms.contains(algorithm) {
                continue;
            }
            let vote = match self.cheap_vote(algorithm, &context.powers) {
                Check::Sure(vote) => vote,
                Check::Near => {
                    if !decoded {
                        self.window.view(&mut context.columns);
                        decoded = true;
                        context.scans += 1;
                    }
                    let view = WindowView::new(&context.columns.ts, &context.columns.values);
                    vote::judge(algorithm, view, now, &context.settings, &mut context.scratch) == Vote::Yes
                }
            };
            if tally.vote(algorithm, vote) == ControlFlow::Break(()) {
                break;
            }
        }
        let (anomalous, asked, yes) = (tally.is_anomalous(), tally.asked(), tally.yes());
        Judged::Verdict(Findings { anomalous, counter: false, asked, yes })
    }

    /// The figures behind the verdict on the newest point, before another comes.
    pub fn explain(&self, findings: &Findings, context: &mut Context) -> Figures {
        if !findings.counter {
            let (mean, stddev) = self.sums.mean_and_stddev();
            return Figures { value: self.sums.newest(), mean, stddev };
        }
        let rates = self.rates(context);
        let (mean, stddev) = vote::mean_and_stddev(rates.values);
        Figures { value: rates.values.last().copied().unwrap_or(0.0), mean, stddev }
    }

    /// The increases of a counter.
    fn rates<'a>(&self, context: &'a mut Context) -> WindowView<'a> {
        let Columns { ts, values } = &mut context.rates;
        counter::non_negative_derivative(self.window.view(&mut context.columns), ts, values);
        WindowView::new(ts, values)
    }

    fn cheap_vote(&self, algorithm: Algorithm, powers: &Powers) -> Check {
        match algorithm {
            Algorithm::FirstHourAverage => self.sums.first_hour_average(),
            Algorithm::StddevFromAverage => self.sums.stddev_from_average(),
            Algorithm::MeanSubtractionCumulation => self.sums.mean_subtraction_cumulation(),
            Algorithm::StddevFromMovingAverage => self.sums.stddev_from_moving_average(powers),
            Algorithm::Grubbs => self.sums.grubbs(grubbs::critical(self.sums.points() as usize)),
            Algorithm::LeastSquares => self.sums.least_squares(),
            Algorithm::KsTest | Algorithm::HistogramBins | Algorithm::MedianAbsoluteDeviation => Check::Near,
        }
    }

    /// A counter is judged by its increases, from the points: there are no sums of them.
    fn judge_counter(&self, now: f64, context: &mut Context) -> Judged {
        if self.sums.newest_step_is_down() {
            return Judged::Reset;
        }
        context.scans += 1;
        self.rates(context);
        let rates = WindowView::new(&context.rates.ts, &context.rates.values);
        if let Some(gate) = gate::check(rates, now, &context.settings) {
            return Judged::Gated(gate);
        }
        let verdict = consensus::decide(rates, now, &context.settings, &mut context.scratch);
        let consensus::Verdict { anomalous, asked, yes, .. } = verdict;
        Judged::Verdict(Findings { anomalous, counter: true, asked, yes })
    }
}

#[cfg(test)]
mod tests;
