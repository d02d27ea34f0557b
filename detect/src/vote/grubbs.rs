//! Grubbs' test for one high outlier at 5 %: the tail average against the window. Only upward.

use super::{moments, tail_level};
use crate::quantile;
use skyline_store::view::WindowView;
use std::sync::atomic::{AtomicU64, Ordering};

/// Values of n whose critical value is kept.
const KEPT: usize = 131_072;

static CRITICAL: [AtomicU64; KEPT] = [const { AtomicU64::new(0) }; KEPT];

/// The critical value for `n` points: depends on `n` alone. NaN for fewer than three.
#[must_use]
pub fn critical(n: usize) -> f64 {
    let kept = CRITICAL.get(n);
    if let Some(bits) = kept.map(|k| k.load(Ordering::Relaxed)).filter(|bits| *bits != 0) {
        return f64::from_bits(bits);
    }
    let count = n as f64;
    let value = if n < 3 {
        f64::NAN
    } else {
        let c = quantile::student_upper(0.05 / (2.0 * count), count - 2.0);
        (count - 1.0) / count.sqrt() * (c * c / (count - 2.0 + c * c)).sqrt()
    };
    if let Some(kept) = kept {
        kept.store(value.to_bits(), Ordering::Relaxed);
    }
    value
}

/// The vote is yes if the first figure is larger than the second. `mean` and `std` (population) are
/// those of the window of `n` points.
#[must_use]
pub fn sides(tail_average: f64, mean: f64, std: f64, n: usize) -> (f64, f64) {
    ((tail_average - mean) / std, critical(n))
}

/// See the module. Fewer than three points, or equal ones only: no.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let (mean, m2, n) = moments(view.values);
    if n < 3.0 || view.values.len() as f64 != n {
        return false;
    }
    let std = (m2 / n).sqrt();
    let (left, right) = sides(tail_level(view.values), mean, std, view.len());
    std != 0.0 && left > right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::tests::minutes;

    #[test]
    fn critical_values_of_the_reference() {
        for (n, expected) in [
            (3, 1.154_304_851_344_038_6),
            (10, 2.289_954_084_479_600_5),
            (60, 3.199_661_829_437_358_7),
            (288, 3.711_989_070_535_268),
            (1008, 4.041_941_897_172_435_5),
            (1440, 4.128_462_789_219_459),
            (1451, 4.130_280_802_271_507),
            (8640, 4.531_459_015_030_664),
        ] {
            assert!((critical(n) / expected - 1.0).abs() < 1e-10, "{n}: {}", critical(n));
            assert_eq!(critical(n), critical(n));
        }
        assert!(critical(2).is_nan());
    }

    #[test]
    fn only_upward() {
        let mut values: Vec<f64> = (0..100).map(|i| f64::from(i % 3)).collect();
        values.extend([60.0, 60.0, 60.0]);
        assert!(judge(WindowView::new(&minutes(&values), &values)));
        let down: Vec<f64> = values.iter().map(|v| -v).collect();
        assert!(!judge(WindowView::new(&minutes(&down), &down)));
    }
}
