//! The last ten minutes differ in distribution from the fifty before, and those were stationary.
//!
//! Two-sample Kolmogorov–Smirnov distance over 0.5 (its p-value never decides at these sizes), then
//! an augmented Dickey–Fuller test (constant, at most ten lags, lag by AIC) on the fifty minutes.

use super::Scratch;
use crate::adf;
use skyline_store::view::WindowView;

/// Fewer points on either side: no. At a step over 31 s the last ten minutes never have as many.
const LEAST: usize = 20;

/// See the module.
pub fn judge(view: WindowView<'_>, now: f64, scratch: &mut Scratch) -> bool {
    let (hour, ten) = (now - 3600.0, now - 600.0);
    let recent = view.ts.iter().filter(|ts| **ts >= ten).count();
    let earlier = view.ts.iter().filter(|ts| **ts >= hour && **ts < ten).count();
    if recent < LEAST || earlier < LEAST {
        return false;
    }
    let Scratch { values: reference, others: probe, sorted, adf, .. } = scratch;
    let points = || view.ts.iter().zip(view.values);
    reference.clear();
    reference.extend(points().filter(|(ts, _)| **ts >= hour && **ts < ten).map(|(_, v)| *v));
    probe.clear();
    probe.extend(points().filter(|(ts, _)| **ts >= ten).map(|(_, v)| *v));
    if probe.iter().any(|v| v.is_nan()) || reference.iter().any(|v| !v.is_finite()) {
        return false;
    }
    sorted.clear();
    sorted.extend_from_slice(reference);
    // Numeric order: minus zero and zero are one value.
    sorted.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    probe.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    far_apart(sorted, probe) && adf::is_stationary(reference, adf)
}

/// Whether the distance of two sorted samples is over one half, in whole numbers: at each value,
/// how many of either are not above it.
fn far_apart(a: &[f64], b: &[f64]) -> bool {
    let (n1, n2) = (a.len(), b.len());
    let (mut left, mut right) = (a, b);
    let mut furthest = 0;
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let at = x.min(*y);
        left = skip_until_above(left, at);
        right = skip_until_above(right, at);
        furthest = furthest.max(((n1 - left.len()) * n2).abs_diff((n2 - right.len()) * n1));
    }
    2 * furthest > n1 * n2
}

fn skip_until_above(sorted: &[f64], at: f64) -> &[f64] {
    let not_above = sorted.iter().take_while(|v| **v <= at).count();
    sorted.get(not_above..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn distances() {
        let a: Vec<f64> = (0..20).map(f64::from).collect();
        let b: Vec<f64> = (10..30).map(f64::from).collect();
        assert!(!far_apart(&a, &b), "exactly one half");
        let c: Vec<f64> = (11..31).map(f64::from).collect();
        assert!(far_apart(&a, &c));
    }

    proptest! {
        /// The distance by its definition: the largest difference of the shares, at every value.
        #[test]
        fn distance_by_definition(
            mut a in prop::collection::vec(-9_i32..9, 1..40),
            mut b in prop::collection::vec(-9_i32..9, 1..40),
            shift in 0_i32..12,
        ) {
            b.iter_mut().for_each(|v| *v += shift);
            a.sort_unstable();
            b.sort_unstable();
            let below = |sample: &[i32], v: i32| sample.iter().filter(|x| **x <= v).count();
            let distance = (-10..30).map(|v| (below(&a, v) * b.len()).abs_diff(below(&b, v) * a.len())).max();
            let float = |sample: &[i32]| sample.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            prop_assert_eq!(far_apart(&float(&a), &float(&b)), 2 * distance.unwrap() > a.len() * b.len());
        }
    }

    #[test]
    fn stationary_noise_that_jumps() {
        let ts: Vec<f64> = (0..360).map(|i| 1_700_000_000.0 + 10.0 * f64::from(i)).collect();
        let mut seed = 1_u32;
        let mut values: Vec<f64> = (0..360)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(seed >> 16)
            })
            .collect();
        let now = ts[359] + 1.0;
        let mut scratch = Scratch::default();
        assert!(!judge(WindowView::new(&ts, &values), now, &mut scratch));
        for value in values.iter_mut().skip(300) {
            *value += 1e5;
        }
        assert!(judge(WindowView::new(&ts, &values), now, &mut scratch));
        let minutely: Vec<f64> = (0..360).map(|i| 1_700_000_000.0 + 60.0 * f64::from(i)).collect();
        assert!(!judge(WindowView::new(&minutely, &values), minutely[359], &mut scratch));
    }
}
