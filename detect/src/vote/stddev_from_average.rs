//! The tail average is more than three deviations from the mean of the whole window.

use super::{mean_and_stddev, tail_level};
use skyline_store::view::WindowView;

/// The vote is yes if the first figure is larger than the second. `mean` and `std` (sample) are
/// those of the window.
#[must_use]
pub const fn sides(tail_average: f64, mean: f64, std: f64) -> (f64, f64) {
    ((tail_average - mean).abs(), 3.0 * std)
}

/// See the module.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let (mean, std) = mean_and_stddev(view.values);
    let (left, right) = sides(tail_level(view.values), mean, std);
    left > right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::tests::minutes;

    #[test]
    fn three_points_far_away() {
        let mut values: Vec<f64> = (0..100).map(|i| f64::from(i % 3)).collect();
        assert!(!judge(WindowView::new(&minutes(&values), &values)));
        values.extend([90.0, 91.0, 92.0]);
        assert!(judge(WindowView::new(&minutes(&values), &values)));
    }
}
