//! The tail average lies in a bin (of fifteen over the window's range) with at most twenty points.

use super::tail_average;
use skyline_store::view::WindowView;

const BINS: usize = 15;
/// A bin with so many points or fewer is thin.
const THIN: usize = 20;

/// Whether the tail average's own bin is thin. The first bin counts only at its very edge.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut finite = true;
    for value in view.values {
        finite &= value.is_finite();
        low = low.min(*value);
        high = high.max(*value);
    }
    if !finite || view.is_empty() {
        return false;
    }
    if low == high {
        low -= 0.5;
        high += 0.5;
    }
    let t = tail_average(view.values);
    let step = (high - low) / BINS as f64;
    let edge = |i: usize| if i == BINS { high } else { i as f64 * step + low };
    let Some(bin) = (0..BINS).find(|i| edge(*i) <= t && t < edge(i + 1)).or((t <= low).then_some(0)) else {
        return false;
    };
    if bin == 0 && t > edge(0) {
        return false;
    }
    let (from, until) = (edge(bin), edge(bin + 1));
    let inside = |v: &&f64| **v >= from && (**v < until || (bin == BINS - 1 && **v == high));
    view.values.iter().filter(inside).count() <= THIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::tests::minutes;

    fn check(values: &[f64], expected: bool) {
        assert_eq!(judge(WindowView::new(&minutes(values), values)), expected, "{values:?}");
    }

    #[test]
    fn thin_bins() {
        check(&[5.0], true);
        check(&[5.0; 20], true);
        check(&[5.0; 21], false);
        let mut values: Vec<f64> = (0..300).map(|i| f64::from(i % 10)).collect();
        check(&values, false);
        values.extend([30.0, 20.0, 25.0]);
        check(&values, true);
        check(&[1.0, f64::NAN], false);
    }

    #[test]
    fn the_maximum_itself_is_in_no_bin() {
        let mut values: Vec<f64> = (0..300).map(|i| f64::from(i % 10)).collect();
        values.extend([50.0, 50.0, 50.0]);
        check(&values, false);
    }
}
