//! How the values of a bucket become one.

use super::Function;

/// The value of a bucket that holds `values`, in the order in which they were received. `None`: there are none, or
/// [`Function::Rate`], which needs their times as well: see [`rate`].
///
/// Infinite values count as such; where they cancel each other out the result is NaN.
#[must_use]
pub fn compute(function: Function, values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(match function {
        Function::Sum => sum(values),
        Function::Count => values.len() as f64,
        Function::Max => extreme(values, f64::max),
        Function::Min => extreme(values, f64::min),
        Function::Average => average(values),
        Function::Last => *values.last()?,
        Function::Variance => variance(values),
        Function::Deviation => variance(values).sqrt(),
        Function::Median => quantile(values, 0.5),
        Function::NearestRank(percent) => nearest_rank(values, percent),
        Function::Quantile(q) => quantile(values, q),
        Function::Spread => extreme(values, f64::max) - extreme(values, f64::min),
        Function::Rate => return None,
    })
}

/// [`Function::Rate`]: change a second from the oldest to the newest of a bucket's points, each its time in seconds and
/// its value. `None` when no time lies between them.
#[must_use]
pub fn rate(oldest: (f64, f64), newest: (f64, f64)) -> Option<f64> {
    let seconds = newest.0 - oldest.0;
    (seconds > 0.0).then(|| (newest.1 - oldest.1) / seconds)
}

/// A sum whose rounding errors are kept apart (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation
/// endlicher Summen", 1974), so that many small values beside a large one are not lost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    rounded: f64,
    lost: f64,
}

impl Sum {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let next = self.rounded + value;
        self.lost += if self.rounded.abs() >= value.abs() {
            (self.rounded - next) + value
        } else {
            (value - next) + self.rounded
        };
        self.rounded = next;
    }

    /// The sum of the values so far.
    #[must_use]
    pub fn value(&self) -> f64 {
        // Once infinite, what was lost is not a number.
        if self.rounded.is_finite() { self.rounded + self.lost } else { self.rounded }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

fn sum(values: &[f64]) -> f64 {
    values.iter().copied().collect::<Sum>().value()
}

fn average(values: &[f64]) -> f64 {
    sum(values) / values.len() as f64
}

fn extreme(values: &[f64], of: impl Fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().reduce(of).unwrap_or(f64::NAN)
}

/// Of the population, about the mean, in two passes.
fn variance(values: &[f64]) -> f64 {
    let mean = average(values);
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).collect::<Sum>();
    squares.value() / values.len() as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Linear between the two values beside rank `q · (n − 1)`.
fn quantile(values: &[f64], q: f64) -> f64 {
    let values = sorted(values);
    let rank = q.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let at = |rank: f64| values.get(rank as usize).copied().unwrap_or(f64::NAN);
    let (low, high) = (at(rank.floor()), at(rank.ceil()));
    if low == high {
        return low;
    }
    let share = rank - rank.floor();
    low * (1.0 - share) + high * share
}

/// The value at rank `int(p / 100 · n + 0.9)` of n, counted from 1.
fn nearest_rank(values: &[f64], percent: u8) -> f64 {
    let rank = (f64::from(percent) / 100.0 * values.len() as f64 + 0.9) as usize;
    sorted(values).get(rank.clamp(1, values.len()) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions() {
        let check = |function: Function, values: &[f64], expected: f64| {
            let got = compute(function, values).unwrap();
            let near = (got - expected).abs() <= 1e-12 * expected.abs();
            assert!(near || got == expected, "{function:?} {values:?}: {got}, not {expected}");
        };
        let some = [4.0, 1.0, 7.5, 2.0];
        check(Function::Sum, &some, 14.5);
        check(Function::Sum, &[1.0, 1e100, 1.0, -1e100], 2.0);
        check(Function::Sum, &[1.0, f64::INFINITY, 2.0], f64::INFINITY);
        check(Function::Count, &some, 4.0);
        check(Function::Max, &some, 7.5);
        check(Function::Min, &some, 1.0);
        check(Function::Average, &some, 3.625);
        check(Function::Last, &some, 2.0);
        check(Function::Spread, &some, 6.5);
        check(Function::Variance, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 4.0);
        check(Function::Deviation, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 2.0);
        check(Function::Variance, &[1e9 + 1.0, 1e9 + 3.0], 1.0);
        check(Function::Median, &some, 3.0);
        check(Function::Median, &[3.0, 1.0, 9.0], 3.0);
        check(Function::Median, &[f64::INFINITY, f64::INFINITY], f64::INFINITY);
        check(Function::Quantile(0.9), &[10.0, 0.0], 9.0);
        check(Function::Quantile(0.75), &some, 4.875);
        check(Function::Quantile(1.0), &some, 7.5);
        check(Function::Quantile(0.99), &[5.0], 5.0);
        check(Function::NearestRank(50), &some, 2.0);
        check(Function::NearestRank(75), &some, 4.0);
        check(Function::NearestRank(100), &some, 7.5);
        check(Function::NearestRank(0), &some, 1.0);
        check(Function::NearestRank(255), &some, 7.5);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(compute(Function::Sum, &[]), None);
        assert_eq!(compute(Function::Quantile(0.5), &[]), None);
        assert_eq!(compute(Function::Rate, &[1.0, 2.0]), None);
        assert_eq!(rate((10.0, 5.0), (20.0, 10.0)), Some(0.5));
        assert_eq!(rate((10.0, 5.0), (10.0, 10.0)), None);
    }
}
