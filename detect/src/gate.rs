//! What keeps a window from being judged (`skyline:skyline/analyzer/algorithms.py`, `run_selected_algorithm`).

use crate::settings::{Manner, Settings};
use skyline_store::view::WindowView;

/// Why a window is not judged. The numbers index counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Gate {
    /// Fewer points than `min_points`.
    TooShort = 0,
    /// The newest point is older than `stale_seconds`.
    Stale = 1,
    /// The newest points have too few distinct values.
    Boring = 2,
}

/// The first gate that is shut, in the reference's order.
#[must_use]
pub fn check(view: WindowView<'_>, now: f64, settings: &Settings) -> Option<Gate> {
    check_from(view, now, settings, settings.min_points)
}

/// The same with another number of points that are enough.
pub(crate) fn check_from(view: WindowView<'_>, now: f64, settings: &Settings, least: u32) -> Option<Gate> {
    let last = match view.ts.last() {
        Some(last) if view.len() >= least as usize => *last,
        _ => return Some(Gate::TooShort),
    };
    if now - last > settings.stale_seconds {
        return Some(Gate::Stale);
    }
    is_boring(view, settings).then_some(Gate::Boring)
}

/// Whether the newest `boredom_points` have `boredom_set_size` distinct values or fewer; in the
/// reference's manner exactly so many, so that with a size of two a constant series is not boring.
/// A size of 0 switches the gate off. Zero and minus zero are one value.
#[must_use]
pub fn is_boring(view: WindowView<'_>, settings: &Settings) -> bool {
    let size = settings.boredom_set_size as usize;
    let skipped = view.len().saturating_sub(settings.boredom_points as usize);
    let newest = view.values.get(skipped..).unwrap_or_default();
    let mut distinct = 0;
    for (i, value) in newest.iter().enumerate() {
        if !newest.iter().take(i).any(|earlier| earlier == value) {
            distinct += 1;
            if distinct > size {
                return false;
            }
        }
    }
    size > 0 && (distinct == size || settings.manner == Manner::Mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn gate(values: &[f64], age: f64, settings: &Settings) -> Option<Gate> {
        let ts: Vec<f64> = (0..values.len()).map(|i| 60.0 * i as f64).collect();
        check(WindowView::new(&ts, values), ts.last().copied().unwrap_or(0.0) + age, settings)
    }

    #[test]
    fn gates_in_order() {
        let settings = Settings::default();
        assert_eq!(gate(&[], 0.0, &settings), Some(Gate::TooShort));
        assert_eq!(gate(&[1.0], 501.0, &settings), Some(Gate::Stale));
        assert_eq!(gate(&[1.0], 500.0, &settings), Some(Gate::Boring));
        assert_eq!(gate(&[1.0, 2.0], 0.0, &settings), None);
        assert_eq!(gate(&[0.0, -0.0], 0.0, &settings), Some(Gate::Boring));
        let mut values = vec![2.0];
        values.resize(100, 1.0);
        assert_eq!(gate(&values, 0.0, &settings), None);
        values.push(1.0);
        assert_eq!(gate(&values, 0.0, &settings), Some(Gate::Boring));
    }

    #[test]
    fn boredom_can_be_widened_or_switched_off() {
        let two = Settings { boredom_set_size: 2, ..Settings::default() };
        assert_eq!(gate(&[1.0, 2.0, 1.0], 0.0, &two), Some(Gate::Boring));
        assert_eq!(gate(&[1.0, 1.0], 0.0, &two), Some(Gate::Boring));
        assert_eq!(gate(&[1.0, 2.0, 3.0], 0.0, &two), None);
        let reference = Settings { manner: Manner::Reference, ..two };
        assert_eq!(gate(&[1.0, 2.0, 1.0], 0.0, &reference), Some(Gate::Boring));
        assert_eq!(gate(&[1.0, 1.0], 0.0, &reference), None);
        let off = Settings { boredom_set_size: 0, ..Settings::default() };
        assert_eq!(gate(&[1.0, 1.0], 0.0, &off), None);
    }
}
