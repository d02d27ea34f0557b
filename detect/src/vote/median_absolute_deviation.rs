//! The last value is more than six median absolute deviations from the median.

use super::Scratch;
use skyline_store::view::WindowView;

/// Deviations that count as far.
const FAR: f64 = 6.0;

/// See the module. A deviation of zero: no.
pub fn judge(view: WindowView<'_>, scratch: &mut Scratch) -> bool {
    let Some(last) = view.values.last() else { return false };
    let values = &mut scratch.values;
    values.clear();
    values.extend(view.values.iter().filter(|v| !v.is_nan()));
    let median = median(values);
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    let deviation = self::median(values);
    deviation != 0.0 && (last - median).abs() / deviation > FAR
}

/// The median (mean of the middle two of an even number); leaves the values in another order.
fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return *middle;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lower + *middle) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::tests::minutes;

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn far_is_more_than_six() {
        let check = |last: f64, expected| {
            let values = [1.0, 2.0, 3.0, 4.0, 5.0, last];
            let got = judge(WindowView::new(&minutes(&values), &values), &mut Scratch::default());
            assert_eq!(got, expected, "{last}");
        };
        check(4.0, false);
        check(100.0, true);
        let flat = [5.0; 10];
        assert!(!judge(WindowView::new(&minutes(&flat), &flat), &mut Scratch::default()));
    }
}
