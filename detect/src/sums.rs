//! What is kept of a window so that six of the nine algorithms vote in constant time.
//!
//! All sums are of `y = x - anchor`; the anchor is the window's first value when the sums were last
//! rebuilt, so that large levels do not eat the digits of small changes. Sums that are
//! subtracted from are [`Dd`]. A vote from these sums is [`Check::Sure`] only with a margin; the
//! caller recomputes the others from the points, so the answer always is the one that the plain
//! computation gives.

use crate::dd::Dd;
use skyline_core::point::Datapoint;
use skyline_store::view::WindowView;
use std::ops::Range;

/// Weight of the previous point in the moving average: centre of mass 50.
pub const Q: f64 = 50.0 / 51.0;
/// From this many points on the weight of an evicted point is below 1e-17.
const FORGOTTEN_AFTER: u32 = 2_000;
/// Margin, relative to the larger side, within which a comparison is recomputed.
const MARGIN: f64 = 1e-7;
/// The same for the straight line, whose reference solver is less exact.
const LINE_MARGIN: f64 = 1e-5;

/// Share of the sums' squares that must be left as spread where plain doubles decide: then they are good to
/// nine digits.
const SPREAD: f64 = 1e-6;
/// Square of the deviations, in standard deviations, within which a point surely is no outlier: three, with two
/// percent of room for what plain doubles lose.
const CALM: f64 = 9.0 * 0.98;
/// What a spread must lie between for products of it to be neither infinite nor rounded to nothing.
const TELLABLE: Range<f64> = 1e-280..f64::MAX;
/// Smallest deviation that counts beside the level of the values, squared: below it there is only rounding.
const LEAST: f64 = 1e-22;

/// A comparison made from sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The answer.
    Sure(bool),
    /// Too close to say: recompute from the points.
    Near,
}

/// Mean and squared deviations of a set of points.
#[derive(Debug, Clone, Copy)]
struct Moments {
    n: f64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    m2: f64,
    /// Whether the figures are good enough to decide by.
    sound: bool,
}

/// The running sums of one window.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    anchor: f64,
    t_anchor: f64,
    n: u32,
    hour_n: u32,
    /// Time of the newest point counted to the first hour.
    hour_ts: f64,
    s1: Dd,
    s2: Dd,
    h1: Dd,
    h2: Dd,
    uy: Dd,
    u1: f64,
    u2: f64,
    a1: f64,
    a2: f64,
    /// Newest three values, oldest of them first.
    last: [f64; 3],
    last_ts: [f64; 3],
    negatives: u32,
    decreases: u32,
    increases: u32,
    /// Newest points with equal values.
    run: u32,
    /// Points with equal values just before the newest run of one.
    previous_run: u32,
    evicted: u32,
    tainted: bool,
}

impl Sums {
    /// Sums of a whole window. `hour_limit`: points before it belong to the first hour.
    #[must_use]
    pub fn rebuild(view: WindowView<'_>, hour_limit: f64) -> Self {
        let first = view.ts.first().copied().zip(view.values.first().copied()).unwrap_or_default();
        let mut sums = Self::anchored(Datapoint::new(first.0, first.1));
        for (ts, value) in view.ts.iter().zip(view.values) {
            sums.add(*ts, *value);
            if *ts < hour_limit {
                sums.add_to_hour(*ts, *value);
            }
        }
        sums
    }

    /// Writes them, for a snapshot: f64s and u32s in the order of the fields, a byte, little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let pairs = [self.s1, self.s2, self.h1, self.h2, self.uy].map(Dd::parts);
        let plain = [self.anchor, self.t_anchor, self.hour_ts, self.u1, self.u2, self.a1, self.a2];
        for number in plain.iter().chain(pairs.as_flattened()).chain(&self.last).chain(&self.last_ts) {
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        for count in [
            self.n,
            self.hour_n,
            self.negatives,
            self.decreases,
            self.increases,
            self.run,
            self.previous_run,
            self.evicted,
        ] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.push(u8::from(self.tainted));
    }

    /// Reads what [`Self::encode`] wrote; `None`: it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.split_at_checked(23 * 8)?;
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|b| f64::from_bits(u64::from_le_bytes(*b)));
        let (counts, rest) = rest.split_at_checked(8 * 4)?;
        let mut counts = counts.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
        let [tainted] = rest.first_chunk::<1>().filter(|_| rest.len() == 1)?;
        let mut f = || numbers.next();
        let (anchor, t_anchor, hour_ts) = (f()?, f()?, f()?);
        let (u1, u2, a1, a2) = (f()?, f()?, f()?, f()?);
        let mut dd = || Some(Dd::from_parts([f()?, f()?]));
        let (s1, s2, h1, h2, uy) = (dd()?, dd()?, dd()?, dd()?, dd()?);
        let (last, last_ts) = ([f()?, f()?, f()?], [f()?, f()?, f()?]);
        let mut c = || counts.next();
        Some(Self {
            anchor,
            t_anchor,
            n: c()?,
            hour_n: c()?,
            hour_ts,
            s1,
            s2,
            h1,
            h2,
            uy,
            u1,
            u2,
            a1,
            a2,
            last,
            last_ts,
            negatives: c()?,
            decreases: c()?,
            increases: c()?,
            run: c()?,
            previous_run: c()?,
            evicted: c()?,
            tainted: *tainted != 0,
        })
    }

    /// Sums of no point yet, anchored at the first.
    #[must_use]
    pub fn anchored(first: Datapoint) -> Self {
        Self { anchor: first.value, t_anchor: first.ts, ..Self::default() }
    }

    /// Points counted to the first hour.
    #[must_use]
    pub const fn hour_len(&self) -> u32 {
        self.hour_n
    }

    /// Whether the first hour holds a point that is not before `limit`: the clock was set back, or the
    /// full duration grew.
    #[must_use]
    pub fn hour_passes(&self, limit: f64) -> bool {
        self.hour_n > 0 && self.hour_ts >= limit
    }

    /// The newest value.
    #[must_use]
    pub const fn newest(&self) -> f64 {
        self.last[2]
    }

    /// Points in the sums.
    #[must_use]
    pub const fn points(&self) -> u32 {
        self.n
    }

    /// Whether a rebuild is due: after half a turnover of the window to a whole one, so that anchors
    /// follow, and after a huge value has left. `phase`, any number, says where between:
    /// metrics that began in the same minute are not all rebuilt in the same minute.
    #[must_use]
    pub const fn is_worn(&self, phase: u8) -> bool {
        let half = self.n / 2;
        let turnover = half + ((half as u64 * phase as u64) >> 8) as u32;
        self.tainted || (self.evicted > turnover && self.evicted > 64)
    }

    /// The newest point joins the window.
    #[inline]
    pub fn add(&mut self, ts: f64, value: f64) {
        if self.n > 0 {
            let newest = self.last[2];
            if value == newest {
                self.run += 1;
            } else {
                self.previous_run = self.run;
                self.run = 1;
            }
            self.decreases += u32::from(value < newest);
            self.increases += u32::from(value > newest);
        } else {
            self.run = 1;
            self.previous_run = 0;
        }
        self.negatives += u32::from(value < 0.0);
        self.n += 1;
        let y = value - self.anchor;
        let u = ts - self.t_anchor;
        self.s1.add(y);
        self.s2.add_product(y, y);
        self.uy.add_product(u, y);
        self.u1 += u;
        self.u2 += u * u;
        self.a1 = self.a1 * Q + y;
        self.a2 = self.a2 * Q + y * y;
        self.last = [self.last[1], self.last[2], value];
        self.last_ts = [self.last_ts[1], self.last_ts[2], ts];
    }

    /// The oldest point leaves; `next` is the value of the one after it, `in_hour` whether it was
    /// counted to the first hour.
    #[inline]
    pub fn remove(&mut self, ts: f64, value: f64, next: Option<f64>, in_hour: bool, powers: &Powers) {
        let y = value - self.anchor;
        let u = ts - self.t_anchor;
        self.s1.add(-y);
        self.s2.add_product(-y, y);
        self.uy.add_product(-u, y);
        self.u1 -= u;
        self.u2 -= u * u;
        if self.n <= FORGOTTEN_AFTER {
            // Before this the weight of the oldest of n points is q^(n-1).
            let weight = powers.of(self.n - 1);
            self.a1 -= weight * y;
            self.a2 -= weight * y * y;
        }
        if in_hour {
            self.hour_n -= 1;
            self.h1.add(-y);
            self.h2.add_product(-y, y);
        }
        self.negatives -= u32::from(value < 0.0);
        if let Some(next) = next {
            self.decreases -= u32::from(next < value);
            self.increases -= u32::from(next > value);
        }
        self.n -= 1;
        self.evicted += 1;
        // Of a value far beyond all that stay, rounding errors would stay as well.
        self.tainted |= y * y * f64::from(self.n) > 1e10 * self.s2.value();
        self.run = self.run.min(self.n);
        self.previous_run = self.previous_run.min(self.n.saturating_sub(self.run));
    }

    /// A point has become older than the limit of the first hour.
    #[inline]
    pub fn add_to_hour(&mut self, ts: f64, value: f64) {
        let y = value - self.anchor;
        self.hour_n += 1;
        self.hour_ts = ts;
        self.h1.add(y);
        self.h2.add_product(y, y);
    }

    /// Points with the newest value at the end of the window.
    #[must_use]
    pub const fn run(&self) -> u32 {
        self.run
    }

    /// Whether the window looks like a counter: no negative value, no decrease, two values at least.
    #[must_use]
    pub const fn is_monotonic(&self) -> bool {
        self.negatives == 0 && self.decreases == 0 && self.run < self.n
    }

    /// Steps up in the window: the evidence for a counter.
    #[must_use]
    pub const fn increases(&self) -> u32 {
        self.increases
    }

    /// Whether the newest step went down (a counter's reset).
    #[must_use]
    pub fn newest_step_is_down(&self) -> bool {
        self.n > 1 && self.last[2] < self.last[1]
    }

    /// Mean and sample standard deviation of the window.
    #[must_use]
    pub fn mean_and_stddev(&self) -> (f64, f64) {
        let all = self.all();
        (all.mean, if all.n > 1.0 { (all.m2.max(0.0) / (all.n - 1.0)).sqrt() } else { 0.0 })
    }

    fn tail_average(&self) -> f64 {
        if self.n < 3 { self.last[2] } else { ((self.last[2] + self.last[1]) + self.last[0]) / 3.0 }
    }

    /// The largest magnitude around, against which rounding is measured.
    fn scale(&self) -> f64 {
        self.anchor.abs().max(self.last[2].abs())
    }

    fn all(&self) -> Moments {
        if self.run >= self.n {
            return Moments { n: f64::from(self.n), mean: self.last[2], m2: 0.0, sound: true };
        }
        moments(self.n, self.s1, self.s2, self.anchor)
    }

    fn all_but_newest(&self) -> Moments {
        let n = self.n - 1;
        if self.run == 1 && self.previous_run >= n {
            return Moments { n: f64::from(n), mean: self.last[1], m2: 0.0, sound: true };
        }
        if self.run >= self.n {
            return Moments { n: f64::from(n), mean: self.last[2], m2: 0.0, sound: true };
        }
        let y = self.last[2] - self.anchor;
        let (mut s1, mut s2) = (self.s1, self.s2);
        s1.add(-y);
        s2.add_product(-y, y);
        moments(n, s1, s2, self.anchor)
    }

    /// Whether `y`, beyond the anchor, surely lies within three sample standard deviations of the mean of `n`
    /// values with the sums `s1` and `s2`, made of values whose squares were `squares` in all.
    ///
    /// This is the comparison of most points, without a quotient or a root, and much cheaper than with what
    /// [`Dd`] keeps: (ny - s1)² / n² against 9 (n s2 - s1²) / (n (n - 1)), multiplied out. Where the answer is
    /// not a clear yes (a NaN gives none either), the exact sums decide.
    #[inline]
    fn is_calm(&self, n: f64, s1: f64, s2: f64, squares: f64, y: f64) -> bool {
        let spread = n * s2 - s1 * s1;
        let away = n * y - s1;
        let scale = self.scale();
        TELLABLE.contains(&spread)
            && spread > SPREAD * n * squares
            && 9.0 * spread > LEAST * (scale * scale) * (n * n)
            && away * away * (n - 1.0) < CALM * n * spread
    }

    fn compare(&self, left: f64, right: f64, sound: bool) -> Check {
        let larger = left.abs().max(right.abs());
        let clear = (left - right).abs() > MARGIN * larger && larger > 1e-11 * self.scale();
        // Both exactly zero happens only where all points are equal, and then it is exact.
        if sound && (clear || (left == 0.0 && right == 0.0)) {
            Check::Sure(left > right)
        } else {
            Check::Near
        }
    }

    /// `first_hour_average`.
    #[must_use]
    pub fn first_hour_average(&self) -> Check {
        if self.hour_n < 2 {
            return Check::Sure(false);
        }
        let (n, h1, h2) = (f64::from(self.hour_n), self.h1.value(), self.h2.value());
        if self.is_calm(n, h1, h2, h2, self.tail_average() - self.anchor) {
            return Check::Sure(false);
        }
        let hour = if self.h1.is_zero() && self.h2.is_zero() {
            Moments { n: f64::from(self.hour_n), mean: self.anchor, m2: 0.0, sound: true }
        } else {
            moments(self.hour_n, self.h1, self.h2, self.anchor)
        };
        let std = (hour.m2 / (hour.n - 1.0)).sqrt();
        self.compare((self.tail_average() - hour.mean).abs(), 3.0 * std, hour.sound)
    }

    /// `stddev_from_average`.
    #[must_use]
    pub fn stddev_from_average(&self) -> Check {
        if self.n < 2 {
            return Check::Sure(false);
        }
        let (n, s1, s2) = (f64::from(self.n), self.s1.value(), self.s2.value());
        if self.is_calm(n, s1, s2, s2, self.tail_average() - self.anchor) {
            return Check::Sure(false);
        }
        let all = self.all();
        let std = (all.m2 / (all.n - 1.0)).sqrt();
        self.compare((self.tail_average() - all.mean).abs(), 3.0 * std, all.sound)
    }

    /// `mean_subtraction_cumulation`.
    #[must_use]
    pub fn mean_subtraction_cumulation(&self) -> Check {
        if self.n < 3 {
            return Check::Sure(false);
        }
        let (y, squares) = (self.last[2] - self.anchor, self.s2.value());
        if self.is_calm(f64::from(self.n - 1), self.s1.value() - y, squares - y * y, squares, y) {
            return Check::Sure(false);
        }
        let others = self.all_but_newest();
        let std = (others.m2 / (others.n - 1.0)).sqrt();
        self.compare((self.last[2] - others.mean).abs(), 3.0 * std, others.sound)
    }

    /// `stddev_from_moving_average`.
    #[must_use]
    pub fn stddev_from_moving_average(&self, powers: &Powers) -> Check {
        if self.n < 2 || self.run >= self.n {
            return if self.n < 2 { Check::Sure(false) } else { Check::Near };
        }
        let qn = powers.of(self.n);
        let weight = (1.0 - qn) * (1.0 / (1.0 - Q));
        let weight2 = (1.0 - qn * qn) * (1.0 / (1.0 - Q * Q));
        let value = self.last[2] - self.anchor;
        // As in `is_calm`, with weights.
        let spread = weight * self.a2 - self.a1 * self.a1;
        let (away, rest) = (weight * value - self.a1, weight * weight - weight2);
        let scale = self.scale();
        if TELLABLE.contains(&spread)
            && spread > SPREAD * weight * self.a2
            && 9.0 * spread > LEAST * (scale * scale) * rest
            && away * away * rest < CALM * spread * (weight * weight)
        {
            return Check::Sure(false);
        }
        let mean = self.a1 / weight;
        let square = self.a2 / weight;
        let variance = square - mean * mean;
        let unbiased = variance * (weight * weight) / (weight * weight - weight2);
        let sound = variance > 1e-6 * square && unbiased.is_finite();
        self.compare((value - mean).abs(), 3.0 * unbiased.max(0.0).sqrt(), sound)
    }

    /// `grubbs`; `critical`: its critical value for this number of points.
    #[must_use]
    pub fn grubbs(&self, critical: f64) -> Check {
        if self.n < 3 {
            return Check::Sure(false);
        }
        let all = self.all();
        if all.sound && all.m2 == 0.0 {
            return Check::Sure(false);
        }
        let std = (all.m2 / all.n).sqrt();
        self.compare(self.tail_average() - all.mean, critical * std, all.sound)
    }

    /// `least_squares`. Near whenever the time span is so short that the reference loses the slope.
    #[must_use]
    pub fn least_squares(&self) -> Check {
        if self.n < 3 {
            return Check::Sure(false);
        }
        let n = f64::from(self.n);
        let all = self.all();
        let sxx = self.u2 - self.u1 * self.u1 / n;
        // The reference's rank rule, with room on the safe side of the 25 % around it.
        let spread = (sxx / n).max(0.0).sqrt();
        let middle = self.t_anchor + self.u1 / n;
        if !all.sound || spread / (middle * middle + spread * spread + 1.0) < 4.0 * f64::EPSILON {
            return Check::Near;
        }
        let sxy = self.uy.minus(Dd::from_f64(self.u1 / n).times(self.s1)).value();
        let slope = sxy / sxx;
        let ssr = all.m2 - slope * sxy;
        if ssr.is_nan() || ssr < 1e-9 * all.m2 {
            return Check::Near;
        }
        let std = (ssr / n).sqrt();
        let residual = |i: usize| {
            let (x, t) = (self.last.get(i).copied(), self.last_ts.get(i).copied());
            x.unwrap_or(0.0) - all.mean - slope * (t.unwrap_or(0.0) - middle)
        };
        let tail = ((residual(2) + residual(1)) + residual(0)) / 3.0;
        let near = |a: f64, b: f64| (a - b).abs() <= LINE_MARGIN * a.abs().max(b.abs());
        let small = std < 0.5 || tail.abs() < 0.5;
        if near(std, 0.5) || near(tail.abs(), 0.5) || near(tail.abs(), 3.0 * std) {
            return Check::Near;
        }
        Check::Sure(tail.abs() > 3.0 * std && !small)
    }
}

fn moments(n: u32, s1: Dd, s2: Dd, anchor: f64) -> Moments {
    let n = f64::from(n);
    let mean = s1.over(n);
    let m2 = s2.minus(mean.times(s1)).value();
    // Of two equal sums of squares only noise is left.
    let sound = m2 > 1e-20 * s2.value() && m2.is_finite();
    Moments { n, mean: anchor + mean.value(), m2: m2.max(0.0), sound }
}

/// Powers of [`Q`], made once.
#[derive(Debug)]
pub struct Powers(Vec<f64>);

impl Default for Powers {
    fn default() -> Self {
        Self((0..=FORGOTTEN_AFTER).map(|n| Q.powi(n as i32)).collect())
    }
}

impl Powers {
    /// `Q` to the power `n`; 0 where it is below 1e-17.
    #[must_use]
    #[inline]
    pub fn of(&self, n: u32) -> f64 {
        self.0.get(n as usize).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sums of a window with a point a minute; its first hour ends after an hour, or after half of the points.
    fn sums_of(values: &[f64], anchor: f64) -> Sums {
        let mut sums = Sums::anchored(Datapoint::new(0.0, anchor));
        for (i, value) in values.iter().enumerate() {
            let ts = 60.0 * i as f64;
            sums.add(ts, *value);
            if i < 60.min(values.len() / 2) {
                sums.add_to_hour(ts, *value);
            }
        }
        sums
    }

    /// Whether the cheap way says no, of the whole window and of all but the newest.
    fn calm(sums: &Sums) -> (bool, bool) {
        let (n, s1, s2) = (f64::from(sums.n), sums.s1.value(), sums.s2.value());
        let y = sums.newest() - sums.anchor;
        (
            sums.is_calm(n, s1, s2, s2, sums.tail_average() - sums.anchor),
            sums.is_calm(n - 1.0, s1 - y, s2 - y * y, s2, y),
        )
    }

    /// By how many sample standard deviations of `values` `x` is away from their mean, in two passes.
    fn deviations(values: &[f64], x: f64) -> f64 {
        // So that squares are neither infinite nor nothing.
        let scale = values.iter().fold(f64::MIN_POSITIVE, |max, v| max.max(v.abs()));
        let (n, mean) =
            (values.len() as f64, values.iter().map(|v| v / scale).sum::<f64>() / values.len() as f64);
        let squares: f64 = values.iter().map(|v| (v / scale - mean).powi(2)).sum();
        (x / scale - mean).abs() / (squares / (n - 1.0)).sqrt()
    }

    /// `stddev_from_moving_average` by its definition: how far the newest value is away, and whether that is yes.
    fn weighted_deviations(values: &[f64]) -> f64 {
        let (mut w, mut w2, mut a1) = (0.0, 0.0, 0.0);
        let scale = values.iter().fold(f64::MIN_POSITIVE, |max, v| max.max(v.abs()));
        let weights: Vec<f64> = (0..values.len()).rev().map(|i| Q.powi(i as i32)).collect();
        for (weight, v) in weights.iter().zip(values) {
            w += weight;
            w2 += weight * weight;
            a1 += weight * v / scale;
        }
        let mean = a1 / w;
        let m2: f64 = weights.iter().zip(values).map(|(weight, v)| weight * (v / scale - mean).powi(2)).sum();
        let unbiased = m2 / w * (w * w) / (w * w - w2);
        (values.last().copied().unwrap_or_default() / scale - mean).abs() / unbiased.sqrt()
    }

    #[track_caller]
    fn never_calm_where_it_is_not(values: &[f64], anchor: f64) {
        let sums = sums_of(values, anchor);
        let (whole, others) = calm(&sums);
        let Some((newest, before)) = values.split_last() else { return };
        assert!(!whole || deviations(values, sums.tail_average()) < 3.0, "window: {values:?} from {anchor}");
        assert!(!others || deviations(before, *newest) < 3.0, "all others: {values:?} from {anchor}");
        let hour = values.get(..sums.hour_n as usize).unwrap_or_default();
        let first = sums.first_hour_average();
        let away = deviations(hour, sums.tail_average());
        let is_near = (2.99..3.01).contains(&away) || hour.len() < 2;
        assert!(is_near || first != Check::Sure(false) || away < 3.0, "hour: {values:?} from {anchor}");
        let (moving, away) =
            (sums.stddev_from_moving_average(&Powers::default()), weighted_deviations(values));
        assert!(
            (2.99..3.01).contains(&away) || moving != Check::Sure(false) || away < 3.0,
            "moving average: {away} in {values:?} from {anchor}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]
        /// Values around any level, spread little or much, newest ones up to six deviations away, and sums
        /// anchored near or far.
        #[test]
        fn calm_is_what_two_passes_say(
            level in -130_i32..155,
            spread in -9_i32..6,
            far in -3.0..3.0,
            mut noise in prop::collection::vec(-1.0..1.0, 3..200),
            newest in prop::collection::vec(-6.0..6.0, 1..4),
        ) {
            noise.extend(newest);
            let level = 10_f64.powi(level);
            let spread = level * 10_f64.powi(spread);
            let values: Vec<f64> = noise.iter().map(|x| level + spread * x).collect();
            let anchor = level + far * spread.max(level);
            never_calm_where_it_is_not(&values, values[0]);
            never_calm_where_it_is_not(&values, anchor);
            let sums = sums_of(&values, values[0]);
            if !calm(&sums).0 && (1e-130..1e150).contains(&spread) && spread > 1e-6 * level {
                prop_assert!(deviations(&values, sums.tail_average()) > 2.9, "the cheap way is not taken");
            }
        }
    }

    #[test]
    fn nothing_is_calm_that_cannot_be_told() {
        let wave: Vec<f64> = (0..300).map(|i| f64::from(i % 7)).collect();
        assert_eq!(calm(&sums_of(&wave, 0.0)), (true, true));
        for odd in [f64::INFINITY, 1e154, 1e200, 1e300, f64::MAX] {
            let mut values = wave.clone();
            values[100] = odd;
            values.push(odd);
            assert_eq!(calm(&sums_of(&values, 0.0)), (false, false), "{odd}");
        }
        assert_eq!(calm(&sums_of(&[5.0; 300], 4.0)), (false, false), "no spread");
        let small: Vec<f64> = wave.iter().map(|v| v * 1e-160).collect();
        assert_eq!(calm(&sums_of(&small, 0.0)), (false, false), "squares are rounded to nothing");
        // Of steps this small beside the level, the usual computation sees little but rounding.
        for (step, is_calm) in [(0.125, false), (1e3, false), (1e5, true)] {
            let steps: Vec<f64> = (0..300).map(|i| 1e15 + step * f64::from(i % 2)).collect();
            assert_eq!(calm(&sums_of(&steps, 1e15)), (is_calm, is_calm), "steps of {step}");
        }
        // Just where a product is infinite and another is not yet.
        let (large, larger) = (1.338_807e152, 2.679_532_8e152);
        let around = |n: i32, level: f64, by: f64| {
            (0..n).map(move |i| level * if i % 2 == 0 { 1.0 + by } else { 1.0 - by })
        };
        let mut values: Vec<f64> = around(97, large, 0.005).collect();
        values.extend([1.05 * large; 3]);
        never_calm_where_it_is_not(&values, 0.0);
        let mut values: Vec<f64> = around(199, larger, 0.001).collect();
        values.push(1.01 * larger);
        never_calm_where_it_is_not(&values, 0.0);
    }

    #[test]
    fn what_is_written_is_read() {
        let (ts, values): (Vec<f64>, Vec<f64>) =
            (0..500).map(|i| (f64::from(i) * 60.0, f64::from(i * 37 % 101) / 7.0)).unzip();
        let mut sums = Sums::rebuild(WindowView::new(&ts, &values), 3_600.0);
        sums.evicted = 7;
        sums.tainted = true;
        let mut bytes = Vec::new();
        sums.encode(&mut bytes);
        let read = Sums::decode(&bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{sums:?}"));
        for cut in 0..bytes.len() {
            assert!(Sums::decode(&bytes[..cut]).is_none(), "{cut} bytes");
        }
        bytes.push(0);
        assert!(Sums::decode(&bytes).is_none(), "a byte too many");
    }
}
