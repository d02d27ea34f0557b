//! The last value is more than three exponentially weighted deviations from that mean.

use super::lanes;
use crate::sums::Q;
use skyline_store::view::WindowView;

/// The vote is yes if the first figure is larger than the second. `mean` and `std` (unbiased for
/// the weights) are those of the window, the last value in it.
#[must_use]
pub const fn sides(last: f64, mean: f64, std: f64) -> (f64, f64) {
    ((last - mean).abs(), 3.0 * std)
}

/// Weights go by index, the newest has 1, the one before `Q` (centre of mass 50). The variance is
/// unbiased for the weights, as pandas' `ewm(com=50).std()`. Fewer than two points: no.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let Some(last) = view.values.last().copied().filter(|_| view.len() > 1) else { return false };
    let sums = if lanes::range(view.values).is_some() {
        Sums::of(view.values, last)
    } else {
        let Some(near) = view.values.iter().rev().find(|v| v.is_finite()) else { return false };
        Sums::with_gaps(view.values, *near)
    };
    let Sums { weights, squared_weights, anchor, shift, square } = sums;
    let unbiased = square / weights * (weights * weights) / (weights * weights - squared_weights);
    let (left, right) = sides(last - anchor, shift, unbiased.sqrt());
    left > right
}

/// Weighted sums, relative to one of the values, so that a large level costs no digits.
struct Sums {
    weights: f64,
    squared_weights: f64,
    anchor: f64,
    /// Mean less the anchor.
    shift: f64,
    /// Weighted squares of the deviations from the mean.
    square: f64,
}

impl Sums {
    fn of(values: &[f64], anchor: f64) -> Self {
        let qn = Q.powf(values.len() as f64);
        let weights = (1.0 - qn) / (1.0 - Q);
        let shift = lanes::sum_fading(values, Q, |v| v - anchor) / weights;
        let square = lanes::sum_fading(values, Q, |v| {
            let d = v - anchor - shift;
            d * d
        });
        Self { weights, squared_weights: (1.0 - qn * qn) / (1.0 - Q * Q), anchor, shift, square }
    }

    /// The same where a value that is not finite is left out but still counts as a step.
    fn with_gaps(values: &[f64], anchor: f64) -> Self {
        let counted = || {
            let mut weight = 1.0 / Q;
            values.iter().rev().filter_map(move |v| {
                weight *= Q;
                v.is_finite().then_some((weight, *v - anchor))
            })
        };
        let weights: f64 = counted().map(|(w, _)| w).sum();
        let shift = counted().map(|(w, y)| w * y).sum::<f64>() / weights;
        let square = counted().map(|(w, y)| w * (y - shift) * (y - shift)).sum();
        Self { weights, squared_weights: counted().map(|(w, _)| w * w).sum(), anchor, shift, square }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::tests::minutes;

    #[test]
    fn a_jump_after_quiet() {
        let mut values: Vec<f64> = (0..200).map(|i| f64::from(i % 5)).collect();
        assert!(!judge(WindowView::new(&minutes(&values), &values)));
        values.push(60.0);
        assert!(judge(WindowView::new(&minutes(&values), &values)));
        values.insert(100, f64::NAN);
        assert!(judge(WindowView::new(&minutes(&values), &values)));
        values.push(f64::NAN);
        assert!(!judge(WindowView::new(&minutes(&values), &values)));
    }
}
