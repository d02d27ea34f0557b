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
mod tests;
