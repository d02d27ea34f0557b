//! Counters that only grow are judged by their increases (`skyline:skyline/skyline_functions.py`).

use skyline_store::view::WindowView;

/// Whether a window looks like a counter: no negative value, at least two distinct ones, no decrease.
/// (The reference calls it strictly increasing; equal neighbours are fine.)
#[must_use]
pub fn is_monotonic(values: &[f64]) -> bool {
    let rises = |(a, b): (&f64, &f64)| b - a >= 0.0;
    let distinct = values.first() != values.last();
    distinct
        && values.iter().all(|v| *v >= 0.0)
        && values.iter().zip(values.iter().skip(1)).all(rises)
        && values.iter().skip(1).sum::<f64>() != 0.0
}

/// Writes the increases of a window into two columns: for each point that is not below its
/// predecessor, the difference. A missing value (NaN) is no predecessor.
pub fn non_negative_derivative(view: WindowView<'_>, ts: &mut Vec<f64>, values: &mut Vec<f64>) {
    ts.clear();
    values.clear();
    let mut previous = f64::NAN;
    for (at, value) in view.ts.iter().zip(view.values) {
        let step = value - previous;
        if step >= 0.0 {
            ts.push(*at);
            values.push(step);
        }
        previous = *value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_counter() {
        let check = |values: &[f64], expected| assert_eq!(is_monotonic(values), expected, "{values:?}");
        check(&[], false);
        check(&[1.0], false);
        check(&[1.0, 1.0], false);
        check(&[1.0, 1.0, 2.0], true);
        check(&[1.0, 3.0, 2.0], false);
        check(&[-1.0, 3.0], false);
        check(&[1.0, f64::NAN, 2.0], false);
    }

    #[test]
    fn increases() {
        let (ts, values) = ([1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 7.0, 1.0, f64::NAN, 4.0]);
        let (mut t, mut v) = (Vec::new(), Vec::new());
        non_negative_derivative(WindowView::new(&ts, &values), &mut t, &mut v);
        assert_eq!((t, v), (vec![2.0], vec![2.0]));
    }
}
