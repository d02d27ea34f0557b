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
    scratch.values.clear();
    scratch.others.clear();
    for (ts, value) in view.ts.iter().zip(view.values) {
        if *ts >= ten {
            scratch.others.push(*value);
        } else if *ts >= hour {
            scratch.values.push(*value);
        }
    }
    let (reference, probe) = (&scratch.values, &mut scratch.others);
    if reference.len() < LEAST || probe.len() < LEAST || reference.iter().chain(probe.iter()).any(|v| !v.is_finite()) {
        return false;
    }
    let mut sorted = reference.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    probe.sort_unstable_by(f64::total_cmp);
    far_apart(&sorted, probe) && adf::is_stationary(reference)
}

/// Whether the distance of two sorted samples is over one half, in whole numbers.
fn far_apart(a: &[f64], b: &[f64]) -> bool {
    let (n1, n2) = (a.len(), b.len());
    let below = |sample: &[f64], v: f64| sample.partition_point(|x| *x <= v);
    let furthest =
        a.iter().chain(b).map(|v| (below(a, *v) * n2).abs_diff(below(b, *v) * n1)).max().unwrap_or(0);
    2 * furthest > n1 * n2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let a: Vec<f64> = (0..20).map(f64::from).collect();
        let b: Vec<f64> = (10..30).map(f64::from).collect();
        assert!(!far_apart(&a, &b), "exactly one half");
        let c: Vec<f64> = (11..31).map(f64::from).collect();
        assert!(far_apart(&a, &c));
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
