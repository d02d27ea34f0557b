//! The tail average lies in a bin (of fifteen over the window's range) with at most twenty points.

use super::{lanes, tail_average};
use skyline_store::view::WindowView;

const BINS: usize = 15;
/// A bin with so many points or fewer is thin.
const THIN: usize = 20;

/// Whether the tail average's own bin is thin. The first bin counts only at its very edge.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let Some((low, high)) = lanes::range(view.values) else { return false };
    if low == high {
        // All in the middle one of bins one wide in sum.
        return view.len() <= THIN;
    }
    let t = tail_average(view.values);
    let step = (high - low) / BINS as f64;
    // Multiplied, then added: the edges of the reference to the last bit.
    let edge = |i: usize| if i == BINS { high } else { i as f64 * step + low };
    let bin = if t <= low { Some(0) } else { (1..BINS).find(|i| edge(*i) <= t && t < edge(i + 1)) };
    let Some(bin) = bin else { return false };
    let from = edge(bin);
    // The last bin holds the maximum as well.
    let until = if bin == BINS - 1 { high.next_up() } else { edge(bin + 1) };
    view.values.iter().filter(|v| **v >= from && **v < until).count() <= THIN
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
