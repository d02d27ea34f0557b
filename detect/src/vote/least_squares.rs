//! The mean of the last three residuals of a straight line is more than three deviations away.
//!
//! The line is fitted on centred times. Over a short span the reference's solver finds but one column in
//! the times and the constant, and its line goes through zero at the epoch: all but horizontal,
//! unless the level is as large as the time is.

use super::lanes;
use skyline_store::view::WindowView;

/// Residuals and their deviation below this never count: the reference rounds them to zero.
const LEAST: f64 = 0.5;

/// Whether the mean of the last three residuals counts against their deviation (population).
#[must_use]
pub fn is_far(tail: f64, std: f64) -> bool {
    tail.abs() > 3.0 * std && std >= LEAST && tail.abs() >= LEAST
}

/// Whether the reference's solver fits a slope of its own: over a span of less than some 16 to 20 minutes
/// it does not. `mean` and `spread` (population deviation) of the times, seconds since the epoch.
#[must_use]
pub const fn keeps_slope(mean: f64, spread: f64) -> bool {
    spread / (mean * mean + spread * spread + 1.0) > f64::EPSILON / 2.0
}

/// See the module. Fewer than three points, or equal ones only: no.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let (ts, values) = (view.ts, view.values);
    let ([.., x0, x1, x2], [.., y0, y1, y2]) = (ts, values) else { return false };
    let Some((low, high, sum)) = lanes::survey(values) else { return false };
    if low == high {
        return false;
    }
    let n = view.len() as f64;
    let mean_y = sum / n;
    let mean_x = lanes::sum(ts, |x| x) / n;
    let sxx = lanes::sum(ts, |x| (x - mean_x) * (x - mean_x));
    let slope = if keeps_slope(mean_x, (sxx / n).sqrt()) {
        lanes::sum_pairs(ts, values, |x, y| (x - mean_x) * (y - mean_y)) / sxx
    } else {
        mean_x * mean_y / (mean_x * mean_x + 1.0)
    };
    let residual = |x: f64, y: f64| (y - mean_y) - slope * (x - mean_x);
    // Their mean is nothing but rounding.
    let (sum, squares) = lanes::sum_and_squares_of_pairs(ts, values, residual);
    let mean = sum / n;
    let std = ((squares / n) - mean * mean).max(0.0).sqrt();
    let tail = ((residual(*x2, *y2) + residual(*x1, *y1)) + residual(*x0, *y0)) / 3.0;
    is_far(tail - mean, std)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_breaks() {
        let ts: Vec<f64> = (0..300).map(|i| 1_700_000_000.0 + 60.0 * f64::from(i)).collect();
        let mut values: Vec<f64> = (0..300).map(|i| f64::from(i) + f64::from(i % 7)).collect();
        assert!(!judge(WindowView::new(&ts, &values)));
        for value in values.iter_mut().rev().take(3) {
            *value += 200.0;
        }
        assert!(judge(WindowView::new(&ts, &values)));
        let small: Vec<f64> = values.iter().map(|v| v / 1000.0).collect();
        assert!(!judge(WindowView::new(&ts, &small)), "absolute cut-off");
    }

    /// Nine minutes of a level of 1e9: the reference's line rises by 0.6 a second.
    #[test]
    fn a_short_span_at_a_high_level() {
        let ts: Vec<f64> = (0..54).map(|i| 1_700_000_000.0 + 10.0 * f64::from(i)).collect();
        let check = |level: f64, jump: f64, expected| {
            let wobble = |i: i32| level + f64::from(i % 3) + if i >= 51 { jump } else { 0.0 };
            let values: Vec<f64> = (0..54).map(wobble).collect();
            assert_eq!(judge(WindowView::new(&ts, &values)), expected, "{level} {jump}");
        };
        check(100.0, 20.0, true);
        check(1e9, 20.0, false);
        check(1e9, -500.0, true);
    }
}
