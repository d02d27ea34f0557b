//! The last value is more than six median absolute deviations from the median.
//!
//! No factor 1.4826: the deviation is the bare median.

use super::Scratch;
use skyline_store::view::WindowView;

/// Deviations that count as far.
const FAR: f64 = 6.0;

/// Within this of the threshold, relative, the deviation is computed rather than bounded.
const MARGIN: f64 = 1e-9;

/// The two sides of the comparison: the vote is yes if the first is larger than the second.
/// `deviation`: the median absolute deviation, not zero.
#[must_use]
pub const fn sides(last: f64, median: f64, deviation: f64) -> (f64, f64) {
    ((last - median).abs() / deviation, FAR)
}

/// See the module. A deviation of zero: no.
pub fn judge(view: WindowView<'_>, scratch: &mut Scratch) -> bool {
    let Some(last) = view.values.last().copied() else { return false };
    let values = &mut scratch.values;
    values.clear();
    values.extend(view.values.iter().filter(|v| !v.is_nan()));
    let median = median(values);
    // Mostly it is enough to know on which side of a sixth of the last value's deviation more than
    // half of the others lie.
    let limit = (last - median).abs() / FAR;
    let half = values.len() / 2;
    let (above, below) = (limit * (1.0 + MARGIN), limit * (1.0 - MARGIN));
    if count(values, |v| (v - median).abs() > above) > half {
        return false;
    }
    if count(values, |v| (v - median).abs() < below) > half {
        return count(values, |v| v == median) <= half;
    }
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    let deviation = self::median(values);
    let (left, right) = sides(last, median, deviation);
    deviation != 0.0 && left > right
}

fn count(values: &[f64], is: impl Fn(f64) -> bool) -> usize {
    values.iter().filter(|v| is(**v)).count()
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
    use proptest::prelude::*;

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    proptest! {
        /// Counting gives the answer that the deviation itself gives.
        #[test]
        fn a_count_is_as_good(values in prop::collection::vec(-40_i32..40, 1..60), unit in prop_oneof![Just(1.0), Just(0.1)]) {
            let values: Vec<f64> = values.into_iter().map(|v| f64::from(v) * unit).collect();
            let mut sorted = values.clone();
            let median = median(&mut sorted);
            let mut deviations: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
            let deviation = super::median(&mut deviations);
            let (left, right) = sides(values[values.len() - 1], median, deviation);
            let got = judge(WindowView::new(&minutes(&values), &values), &mut Scratch::default());
            prop_assert_eq!(got, deviation != 0.0 && left > right);
        }
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
