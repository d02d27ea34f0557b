//! From values to heights: a scale that no finite value breaks, and round values to label it with.

/// Values beyond this are drawn at it: differences of them would be no numbers any more.
const LIMIT: f64 = 1e300;
/// What is nearer to nought is nought.
const NOUGHT: f64 = 1e-290;
/// A range that is narrower than this part of its values is widened: noise of the arithmetic, not of the series.
const NARROWEST: f64 = 1e-9;

/// A value as it can be drawn.
pub(super) fn drawable(value: f64) -> f64 {
    if value.abs() < NOUGHT { 0.0 } else { value.clamp(-LIMIT, LIMIT) }
}

/// The values from the lower to the upper end of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Lower end.
    pub(super) low: f64,
    /// Upper end, above it.
    pub(super) high: f64,
}

impl Scale {
    /// A scale that shows all from `low` to `high` with air around them.
    pub(super) fn around(low: f64, high: f64) -> Self {
        let (low, high) = (drawable(low.min(high)), drawable(high.max(low)));
        let size = low.abs().max(high.abs());
        if high - low <= size * NARROWEST {
            // A constant, in the middle of what is drawn.
            let room = if size == 0.0 { 1.0 } else { size * 0.1 };
            return Self { low: low - room, high: high + room };
        }
        let air = (high - low) * 0.07;
        // Most things that are counted or measured cannot be below nought: so the axis begins there if it is near.
        let near_nought = low >= 0.0 && low < high * 0.4;
        let low = if near_nought { 0.0 } else { low - air };
        Self { low, high: if high <= 0.0 && -high < -low * 0.4 { 0.0 } else { high + air } }
    }

    /// Where a value is between the lower end, 0, and the upper, 1; beyond them for what is beyond.
    pub(super) fn part(&self, value: f64) -> f64 {
        // Halves, because the whole length of the axis may be too large a number.
        let low = self.low / 2.0;
        (drawable(value) / 2.0 - low) / (self.high / 2.0 - low)
    }

    /// Round values on the scale, about `count` of them, and how far apart they are.
    pub(super) fn ticks(&self, count: usize) -> (Vec<f64>, f64) {
        let wanted = (self.high / 2.0 - self.low / 2.0) / count.max(1) as f64 * 2.0;
        let power = 10.0_f64.powf(wanted.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= wanted * 0.8);
        let step = step.unwrap_or(power * 10.0);
        let first = (self.low / step).ceil();
        let last = (self.high / step).floor();
        let steps = (last - first).clamp(0.0, 40.0) as usize;
        ((0..=steps).map(|n| round((first + n as f64) * step)).collect(), step)
    }
}

/// Without the noise of the multiplication, so that 0.30000000000000004 is 0.3.
fn round(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_axis_begins_at_nought_if_it_is_near() {
        assert_eq!(Scale::around(10.0, 100.0).low, 0.0);
        assert!(Scale::around(90.0, 100.0).low > 80.0);
        assert!(Scale::around(-10.0, 100.0).low < -10.0);
        assert_eq!(Scale::around(-100.0, -5.0).high, 0.0);
    }

    #[test]
    fn a_constant_is_in_the_middle() {
        for value in [0.0, 5.0, -7e12, 1e300, -1e300, 1e-300] {
            let scale = Scale::around(value, value);
            assert!((scale.part(value) - 0.5).abs() < 0.01, "{value}: {scale:?}");
        }
    }

    #[test]
    fn ticks_are_round() {
        let check = |low, high, expected: &[f64]| {
            assert_eq!(Scale { low, high }.ticks(5).0, expected);
        };
        check(0.0, 100.0, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check(0.0, 1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        check(-3.0, 3.0, &[-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        check(0.0, 1e300, &[0.0, 2e299, 4e299, 6e299, 8e299, 1e300]);
    }

    proptest! {
        #[test]
        fn every_value_has_a_place(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            let scale = Scale::around(a, b);
            prop_assert!(scale.low < scale.high);
            for value in [a, b] {
                let part = scale.part(value);
                prop_assert!((0.0..=1.0).contains(&part), "{value}: {part}");
            }
            let (ticks, step) = scale.ticks(5);
            prop_assert!(step > 0.0 && ticks.len() <= 41);
            prop_assert!(ticks.iter().all(|tick| tick.is_finite()));
        }
    }
}
