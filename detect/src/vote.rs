//! The nine algorithms, one file each, as plain functions of a window.
//!
//! Formulas are those of `skyline:skyline/analyzer/algorithms.py` (v1.3.0). A vote is yes or no; what the reference
//! answers with an error (NaN or infinity in a window, which ours never holds) is a no.
//! Sums are two-pass; if all values of a (sub)window are equal its deviation is exactly 0 and its mean
//! exactly that value.

pub mod first_hour_average;
pub mod grubbs;
pub mod histogram_bins;
pub mod ks_test;
pub mod least_squares;
pub mod mean_subtraction_cumulation;
pub mod median_absolute_deviation;
pub mod stddev_from_average;
pub mod stddev_from_moving_average;

use crate::settings::Settings;
use skyline_core::algorithm::Algorithm;
use skyline_store::view::WindowView;

/// One algorithm's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// Anomalous.
    Yes,
    /// Not anomalous.
    No,
    /// Not asked: the outcome was settled.
    NotAsked,
}

impl From<bool> for Vote {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Reused buffers.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) values: Vec<f64>,
    pub(crate) others: Vec<f64>,
}

/// Asks one algorithm. `now`: seconds, the time of receipt of the newest point.
pub fn judge(algorithm: Algorithm, view: WindowView<'_>, now: f64, settings: &Settings, scratch: &mut Scratch) -> Vote {
    let yes = match algorithm {
        Algorithm::HistogramBins => histogram_bins::judge(view),
        Algorithm::FirstHourAverage => first_hour_average::judge(view, now, settings.full_duration, scratch),
        Algorithm::StddevFromAverage => stddev_from_average::judge(view),
        Algorithm::Grubbs => grubbs::judge(view),
        Algorithm::KsTest => ks_test::judge(view, now, scratch),
        Algorithm::MeanSubtractionCumulation => mean_subtraction_cumulation::judge(view),
        Algorithm::MedianAbsoluteDeviation => median_absolute_deviation::judge(view, scratch),
        Algorithm::StddevFromMovingAverage => stddev_from_moving_average::judge(view),
        Algorithm::LeastSquares => least_squares::judge(view),
    };
    yes.into()
}

/// The mean of the last three values, in the reference's order of operations; of fewer, the last.
#[must_use]
pub fn tail_average(values: &[f64]) -> f64 {
    match values {
        [.., a, b, c] => ((c + b) + a) / 3.0,
        [.., last] => *last,
        [] => f64::NAN,
    }
}

/// Mean and sum of squared deviations from it, NaN left out, and the number of values that count.
#[must_use]
pub fn moments(values: &[f64]) -> (f64, f64, f64) {
    let (mut n, mut sum) = (0.0, 0.0);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.iter().copied().filter(|v| !v.is_nan()) {
        n += 1.0;
        sum += value;
        low = low.min(value);
        high = high.max(value);
    }
    if low == high {
        return (low, 0.0, n);
    }
    let mean = sum / n;
    let m2 = values.iter().filter(|v| !v.is_nan()).map(|v| (v - mean) * (v - mean)).sum();
    (mean, m2, n)
}

/// Mean and sample standard deviation (divided by n - 1), NaN left out. NaN for fewer than two values.
#[must_use]
pub fn mean_and_stddev(values: &[f64]) -> (f64, f64) {
    let (mean, m2, n) = moments(values);
    (mean, if n < 2.0 { f64::NAN } else { (m2 / (n - 1.0)).sqrt() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn minutes(values: &[f64]) -> Vec<f64> {
        (0..values.len()).map(|i| 1_700_000_000.0 + 60.0 * i as f64).collect()
    }

    #[test]
    fn tails_and_moments() {
        assert_eq!(tail_average(&[5.0]), 5.0);
        assert_eq!(tail_average(&[5.0, 7.0]), 7.0);
        assert_eq!(tail_average(&[100.0, 1.0, 2.0, 6.0]), 3.0);
        assert_eq!(mean_and_stddev(&[1.0, f64::NAN, 3.0]), (2.0, 2.0_f64.sqrt()));
        assert_eq!(mean_and_stddev(&[0.1; 100]), (0.1, 0.0));
        assert!(mean_and_stddev(&[1.0]).1.is_nan());
    }
}
