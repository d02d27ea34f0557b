//! The tail average is more than three deviations from the mean of the window's first hour.

use super::{Scratch, mean_and_stddev, tail_level};
use skyline_store::view::WindowView;

/// The vote is yes if the first figure is larger than the second. `mean` and `std` (sample) are
/// those of the first hour.
#[must_use]
pub const fn sides(tail_average: f64, mean: f64, std: f64) -> (f64, f64) {
    ((tail_average - mean).abs(), 3.0 * std)
}

/// Points before `now - (full_duration - 3600)` seconds are the first hour.
pub fn judge(view: WindowView<'_>, now: f64, full_duration: f64, scratch: &mut Scratch) -> bool {
    let limit = now - (full_duration - 3600.0);
    let first = view.ts.iter().take_while(|ts| **ts < limit).count();
    let (hour, later) = view.values.split_at_checked(first).unwrap_or_default();
    let (mean, std) = if view.ts.iter().skip(first).any(|ts| *ts < limit) {
        // Not in order: pick.
        scratch.values.clear();
        let late = view.ts.iter().skip(first).zip(later).filter(|(ts, _)| **ts < limit).map(|(_, v)| *v);
        scratch.values.extend(hour.iter().copied().chain(late));
        mean_and_stddev(&scratch.values)
    } else {
        mean_and_stddev(hour)
    };
    let (left, right) = sides(tail_level(view.values), mean, std);
    left > right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::tests::minutes;

    #[test]
    fn only_the_first_hour_counts() {
        let mut values: Vec<f64> = (0..1440).map(|i| f64::from(i % 2)).collect();
        values.extend([9.0, 9.0, 9.0]);
        let ts = minutes(&values);
        let view = WindowView::new(&ts, &values);
        let now = ts.last().copied().unwrap();
        assert!(judge(view, now, 86_400.0, &mut Scratch::default()));
        // Younger than 23 hours: no first hour.
        assert!(!judge(view, now, 200_000.0, &mut Scratch::default()));
    }
}
