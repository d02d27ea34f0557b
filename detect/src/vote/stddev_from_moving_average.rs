//! The last value is more than three exponentially weighted deviations from that mean.

use crate::sums::Q;
use skyline_store::view::WindowView;

/// Weights go by index, the newest has 1, the one before `Q` (centre of mass 50). The variance is
/// unbiased for the weights, as pandas' `ewm(com=50).std()`.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let Some(last) = view.values.last() else { return false };
    if view.len() < 2 {
        return false;
    }
    let weighted = |f: &dyn Fn(f64) -> f64| {
        let (mut sum, mut weights, mut squares, mut weight) = (0.0, 0.0, 0.0, 1.0);
        for value in view.values.iter().rev() {
            if value.is_finite() {
                sum += weight * f(*value);
                weights += weight;
                squares += weight * weight;
            }
            weight *= Q;
        }
        (sum, weights, squares)
    };
    let Some(near) = view.values.iter().rev().find(|v| v.is_finite()) else { return false };
    let (sum, weights, _) = weighted(&|v| v - near);
    let shift = sum / weights;
    let (square, weights, squares) = weighted(&|v| {
        let d = v - near - shift;
        d * d
    });
    let unbiased = square / weights * (weights * weights) / (weights * weights - squares);
    (last - near - shift).abs() > 3.0 * unbiased.sqrt()
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
    }
}
