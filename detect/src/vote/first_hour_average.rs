//! The tail average is more than three deviations from the mean of the window's first hour.

use super::{Scratch, mean_and_stddev, tail_average};
use skyline_store::view::WindowView;

/// Points before `now - (full_duration - 3600)` seconds are the first hour.
pub fn judge(view: WindowView<'_>, now: f64, full_duration: f64, scratch: &mut Scratch) -> bool {
    let limit = now - (full_duration - 3600.0);
    scratch.values.clear();
    let hour = view.ts.iter().zip(view.values).filter(|(ts, _)| **ts < limit).map(|(_, v)| *v);
    scratch.values.extend(hour);
    let (mean, std) = mean_and_stddev(&scratch.values);
    (tail_average(view.values) - mean).abs() > 3.0 * std
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
