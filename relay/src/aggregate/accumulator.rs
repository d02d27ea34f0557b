//! What is kept of the points of a bucket: no more than its function needs.

use skyline_conf::routing::Function;

/// A sum whose rounding errors are kept apart (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
/// Summation endlicher Summen", 1974), so that the order of the values hardly matters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sum {
    pub(super) rounded: f64,
    pub(super) lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let next = self.rounded + value;
        self.lost += if self.rounded.abs() >= value.abs() {
            (self.rounded - next) + value
        } else {
            (value - next) + self.rounded
        };
        self.rounded = next;
    }

    fn value(self) -> f64 {
        // Once it is infinite, what was lost is not a number.
        if self.rounded.is_finite() { self.rounded + self.lost } else { self.rounded }
    }
}

/// The points of one bucket of one series. A point is its time in seconds and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Accumulator {
    Sum(Sum),
    Count(u64),
    Max(f64),
    Min(f64),
    Average {
        sum: Sum,
        count: u64,
    },
    Last(f64),
    /// Welford's way: `squares` is the sum of the squared distances from the mean.
    Moments {
        count: u64,
        mean: f64,
        squares: f64,
    },
    /// In any order.
    Values(Vec<f64>),
    Spread {
        min: f64,
        max: f64,
    },
    Rate {
        oldest: (f64, f64),
        newest: (f64, f64),
    },
}

/// Whether a function needs every value.
pub(super) const fn needs_values(function: Function) -> bool {
    matches!(function, Function::Median | Function::NearestRank(_) | Function::Quantile(_))
}

impl Accumulator {
    /// One that has seen the first point.
    pub(super) fn new(function: Function, ts: f64, value: f64) -> Self {
        let mut new = match function {
            Function::Sum => Self::Sum(Sum::default()),
            Function::Count => Self::Count(0),
            Function::Max => Self::Max(value),
            Function::Min => Self::Min(value),
            Function::Average => Self::Average { sum: Sum::default(), count: 0 },
            Function::Last => Self::Last(value),
            Function::Variance | Function::Deviation => Self::Moments { count: 0, mean: 0.0, squares: 0.0 },
            Function::Median | Function::NearestRank(_) | Function::Quantile(_) => Self::Values(Vec::new()),
            Function::Spread => Self::Spread { min: value, max: value },
            Function::Rate => Self::Rate { oldest: (ts, value), newest: (ts, value) },
        };
        new.add(ts, value);
        new
    }

    /// Takes a point; points come in the order in which they were received.
    pub(super) fn add(&mut self, ts: f64, value: f64) {
        match self {
            Self::Sum(sum) => sum.add(value),
            Self::Count(count) => *count += 1,
            Self::Max(max) => *max = max.max(value),
            Self::Min(min) => *min = min.min(value),
            Self::Average { sum, count } => {
                sum.add(value);
                *count += 1;
            }
            Self::Last(last) => *last = value,
            Self::Moments { count, mean, squares } => {
                *count += 1;
                let before = value - *mean;
                *mean += before / *count as f64;
                *squares += before * (value - *mean);
            }
            Self::Values(values) => values.push(value),
            Self::Spread { min, max } => (*min, *max) = (min.min(value), max.max(value)),
            // Of points of one time the first counts.
            Self::Rate { oldest, newest } => {
                if ts < oldest.0 {
                    *oldest = (ts, value);
                }
                if ts > newest.0 {
                    *newest = (ts, value);
                }
            }
        }
    }

    /// The value by `function`, of which this is the accumulator. `None`: there is none (a rate without time in
    /// between, infinite values that cancel each other out). May put values into another order.
    pub(super) fn value(&mut self, function: Function) -> Option<f64> {
        let value = match self {
            Self::Sum(sum) => sum.value(),
            Self::Count(count) => *count as f64,
            Self::Max(value) | Self::Min(value) | Self::Last(value) => *value,
            Self::Average { sum, count } => sum.value() / *count as f64,
            Self::Moments { count, squares, .. } => {
                let variance = *squares / *count as f64;
                if function == Function::Deviation { variance.sqrt() } else { variance }
            }
            Self::Values(values) => match function {
                Function::NearestRank(percent) => nearest_rank(values, percent)?,
                Function::Quantile(q) => quantile(values, q)?,
                _ => quantile(values, 0.5)?,
            },
            Self::Spread { min, max } => *max - *min,
            Self::Rate { oldest, newest } => {
                let seconds = newest.0 - oldest.0;
                (seconds > 0.0).then(|| (newest.1 - oldest.1) / seconds)?
            }
        };
        (!value.is_nan()).then_some(value)
    }

    /// Values that it holds because its function needs every one.
    pub(super) const fn held(&self) -> usize {
        if let Self::Values(values) = self { values.len() } else { 0 }
    }

    /// Bytes beside its own size.
    pub(super) const fn bytes(&self) -> usize {
        if let Self::Values(values) = self { values.capacity() * size_of::<f64>() } else { 0 }
    }

    /// Whether it is one of `function`.
    pub(super) fn fits(&self, function: Function) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(&Self::new(function, 0.0, 0.0))
    }
}

/// The value of a rank, counted from 0, and the one behind it, if there is one.
fn at_rank(values: &mut [f64], rank: usize) -> Option<(f64, Option<f64>)> {
    if rank >= values.len() {
        return None;
    }
    let (_, value, above) = values.select_nth_unstable_by(rank, f64::total_cmp);
    Some((*value, above.iter().copied().min_by(f64::total_cmp)))
}

/// Linear between the two values beside rank `q · (n − 1)`.
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let rank = q.clamp(0.0, 1.0) * values.len().checked_sub(1)? as f64;
    let share = rank - rank.floor();
    let (low, above) = at_rank(values, rank.floor() as usize)?;
    let high = above.filter(|_| share > 0.0).unwrap_or(low);
    Some(if low == high { low } else { low * (1.0 - share) + high * share })
}

/// The value at rank `int(p / 100 · n + 0.9)` of n, counted from 1.
fn nearest_rank(values: &mut [f64], percent: u8) -> Option<f64> {
    let rank = (f64::from(percent) / 100.0 * values.len() as f64 + 0.9) as usize;
    at_rank(values, rank.clamp(1, values.len().max(1)) - 1).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Function; 16] = [
        Function::Sum,
        Function::Count,
        Function::Max,
        Function::Min,
        Function::Average,
        Function::Last,
        Function::Variance,
        Function::Deviation,
        Function::Median,
        Function::NearestRank(1),
        Function::NearestRank(95),
        Function::Quantile(0.0),
        Function::Quantile(0.75),
        Function::Quantile(0.999),
        Function::Spread,
        Function::Rate,
    ];

    fn fed(function: Function, values: &[f64]) -> Option<f64> {
        let mut points = (0_u32..).zip(values);
        let (_, first) = points.next()?;
        let mut accumulator = Accumulator::new(function, 0.0, *first);
        points.for_each(|(ts, value)| accumulator.add(f64::from(ts), *value));
        assert!(accumulator.fits(function));
        accumulator.value(function)
    }

    /// The plain way.
    fn reference(function: Function, values: &[f64]) -> Option<f64> {
        let n = values.len() as f64;
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        let quantile = |q: f64| {
            let rank = q * (n - 1.0);
            let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            low + (high - low) * rank.fract()
        };
        Some(match function {
            Function::Sum => values.iter().sum(),
            Function::Count => n,
            Function::Max => max,
            Function::Min => min,
            Function::Average => mean,
            Function::Last => *values.last()?,
            Function::Variance => variance,
            Function::Deviation => variance.sqrt(),
            Function::Median => quantile(0.5),
            Function::NearestRank(p) => {
                sorted[((f64::from(p) / 100.0 * n + 0.9) as usize).clamp(1, sorted.len()) - 1]
            }
            Function::Quantile(q) => quantile(q),
            Function::Spread => max - min,
            Function::Rate if values.len() < 2 => return None,
            Function::Rate => (values.last()? - values[0]) / (n - 1.0),
        })
    }

    #[test]
    fn values_of_a_bucket() {
        let check = |function: Function, values: &[f64], expected: Option<f64>| {
            assert_eq!(fed(function, values), expected, "{function:?} {values:?}");
        };
        let some = [4.0, 1.0, 7.5, 2.0];
        check(Function::Sum, &some, Some(14.5));
        check(Function::Sum, &[1.0, 1e100, 1.0, -1e100], Some(2.0));
        check(Function::Sum, &[1.0, f64::INFINITY, 2.0], Some(f64::INFINITY));
        check(Function::Sum, &[f64::NEG_INFINITY, f64::INFINITY], None);
        check(Function::Variance, &[1e9 + 1.0, 1e9 + 3.0], Some(1.0));
        check(Function::Variance, &[0.1, 0.1, 0.1], Some(0.0));
        check(Function::Deviation, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], Some(2.0));
        check(Function::Median, &[3.0, 1.0, 9.0], Some(3.0));
        check(Function::Median, &[f64::INFINITY, f64::INFINITY], Some(f64::INFINITY));
        check(Function::Quantile(0.9), &[10.0, 0.0], Some(9.0));
        check(Function::Quantile(1.0), &some, Some(7.5));
        // Values less than 1 apart are in their order too.
        check(Function::NearestRank(50), &[0.4, 0.1, 0.3, 0.2], Some(0.2));
        check(Function::NearestRank(99), &[5.0], Some(5.0));
        check(Function::Rate, &[1.0], None);
        check(Function::Rate, &[1.0, 9.0, 5.0], Some(2.0));
    }

    #[test]
    fn a_rate_is_that_of_the_times() {
        let mut rate = Accumulator::new(Function::Rate, 20.0, 5.0);
        for (ts, value) in [(10.0, 1.0), (30.0, 9.0), (30.0, 100.0), (10.0, 100.0), (15.0, 7.0)] {
            rate.add(ts, value);
        }
        assert_eq!(rate.value(Function::Rate), Some(0.4));
    }

    proptest! {
        #[test]
        fn the_same_as_computed_the_plain_way(values in prop::collection::vec(-1e6..1e6_f64, 1..60)) {
            for function in ALL {
                let (got, expected) = (fed(function, &values), reference(function, &values));
                let near = match (got, expected) {
                    (Some(got), Some(expected)) => (got - expected).abs() <= 1e-9 * expected.abs().max(1e6),
                    (got, expected) => got == expected,
                };
                prop_assert!(near, "{:?}: {:?}, not {:?}", function, got, expected);
            }
        }
    }
}
