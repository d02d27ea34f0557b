//! The last value is more than three deviations from the mean of all others.

use super::mean_and_stddev;
use skyline_store::view::WindowView;

/// The vote is yes if the first figure is larger than the second. `mean` and `std` (sample) are
/// those of all values but the last.
#[must_use]
pub const fn sides(last: f64, mean: f64, std: f64) -> (f64, f64) {
    ((last - mean).abs(), 3.0 * std)
}

/// See the module. Fewer than three points: no.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let Some((last, others)) = view.values.split_last() else { return false };
    if others.len() < 2 {
        return false;
    }
    let (mean, std) = mean_and_stddev(others);
    let (left, right) = sides(*last, mean, std);
    left > right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::tests::minutes;

    #[test]
    fn the_last_point_is_not_in_its_own_mean() {
        let check = |values: &[f64], expected| {
            assert_eq!(judge(WindowView::new(&minutes(values), values)), expected, "{values:?}");
        };
        check(&[1.0, 9.0], false);
        check(&[1.0, 2.0, 90.0], true);
        check(&[0.1, 0.1, 0.1], false);
        check(&[0.1, 0.1, 0.2], true);
    }
}
