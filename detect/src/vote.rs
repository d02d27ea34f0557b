//! The nine algorithms, one file each, as plain functions of a window.
//!
//! Formulas are those of `skyline:skyline/analyzer/algorithms.py` (v1.3.0). A vote is yes or no; what the reference
//! answers with an error (NaN or infinity in a window, which ours never holds) is a no.
//! Sums are two-pass; if all values of a (sub)window are equal its deviation is exactly 0 and its mean
//! exactly that value. Each `judge` looks at a window; where there is a `sides` beside it, that is
//! the bare comparison of figures, shared with whoever has the figures already.

pub mod first_hour_average;
pub mod grubbs;
pub mod histogram_bins;
pub mod ks_test;
pub(crate) mod lanes;
pub mod least_squares;
pub mod mean_subtraction_cumulation;
pub mod median_absolute_deviation;
pub mod stddev_from_average;
pub mod stddev_from_moving_average;

use crate::adf;
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

/// Reused buffers: once they have grown to a window's size no vote allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) values: Vec<f64>,
    pub(crate) others: Vec<f64>,
    pub(crate) sorted: Vec<f64>,
    pub(crate) adf: adf::Workspace,
}

/// Asks one algorithm. `now`: seconds, the time of receipt of the newest point.
pub fn judge(
    algorithm: Algorithm,
    view: WindowView<'_>,
    now: f64,
    settings: &Settings,
    scratch: &mut Scratch,
) -> Vote {
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

/// The same for a comparison with a mean: of three equal values exactly their value, so that rounding
/// makes no deviation where there is none.
fn tail_level(values: &[f64]) -> f64 {
    match values {
        [.., a, b, c] if a == b && b == c => *c,
        _ => tail_average(values),
    }
}

/// Mean and sum of squared deviations from it, NaN left out, and the number of values that count.
#[must_use]
pub fn moments(values: &[f64]) -> (f64, f64, f64) {
    let Some((low, high, sum)) = lanes::survey(values) else { return odd_moments(values) };
    let n = values.len() as f64;
    if low == high {
        return (low, 0.0, n);
    }
    let about = sum / n;
    // What the mean is off by shows in the sum of the deviations.
    let (rest, squares) = lanes::sum_and_squares(values, |v| v - about);
    (about + rest / n, squares - rest * rest / n, n)
}

/// The same where there are NaN or infinities.
fn odd_moments(values: &[f64]) -> (f64, f64, f64) {
    let counted = || values.iter().copied().filter(|v| !v.is_nan());
    let n = counted().count() as f64;
    let low = counted().fold(f64::INFINITY, f64::min);
    let high = counted().fold(f64::NEG_INFINITY, f64::max);
    if low == high {
        return (low, 0.0, n);
    }
    let mean = counted().sum::<f64>() / n;
    let m2 = counted().map(|v| (v - mean) * (v - mean)).sum();
    (mean, m2, n)
}

/// Mean and sample standard deviation (divided by n - 1), NaN left out. NaN for fewer than two values.
#[must_use]
pub fn mean_and_stddev(values: &[f64]) -> (f64, f64) {
    let (mean, m2, n) = moments(values);
    (mean, if n < 2.0 { f64::NAN } else { (m2 / (n - 1.0)).sqrt() })
}

#[cfg(test)]
pub(crate) mod tests;
