//! `ENABLE_SECOND_ORDER`: surface an anomaly only if the interval since the last is unusual.
//!
//! In the reference the new interval is part of its own sample, so that nothing surfaces between the
//! first trigger and the twelfth (`detection.md` §5). [`Manner::Mended`] compares it with the earlier
//! ones only, and surfaces until there are enough of them to know a rhythm. Histories are capped here.

use crate::settings::Manner;
use crate::vote::mean_and_stddev;

/// The same value within so many seconds of the last trigger is not looked at.
const REPEAT: f64 = 300.0;
/// Triggers remembered.
const KEPT: usize = 1_000;
/// Earlier intervals that make a rhythm.
const RHYTHM: usize = 3;

/// Triggers of one metric, as (time in seconds, value).
#[derive(Debug, Clone, Default)]
pub struct History(Vec<(f64, f64)>);

impl History {
    /// Takes a trigger at the time `at` (seconds); says whether it is to be surfaced.
    pub fn surfaces(&mut self, at: f64, value: f64, manner: Manner) -> bool {
        let Some((last_at, last_value)) = self.0.last().copied() else {
            self.0.push((at, value));
            return true;
        };
        if value == last_value && at - last_at <= REPEAT {
            return false;
        }
        if self.0.len() >= KEPT {
            self.0.remove(0);
        }
        self.0.push((at, value));
        let mut sample: Vec<f64> = self.0.iter().zip(self.0.iter().skip(1)).map(|(a, b)| b.0 - a.0).collect();
        let newest = at - last_at;
        if manner == Manner::Mended {
            sample.pop();
            if sample.len() < RHYTHM {
                return true;
            }
        }
        let (mean, std) = mean_and_stddev(&sample);
        (newest - mean).abs() > 3.0 * std
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_reference_the_first_and_the_very_unusual_surface() {
        let mut history = History::default();
        let mut surfaces = |at, value| history.surfaces(at, value, Manner::Reference);
        assert!(surfaces(0.0, 5.0));
        assert!(!surfaces(60.0, 5.0), "a repeat");
        for i in 1..=13 {
            assert!(!surfaces(f64::from(i) * 600.0, f64::from(i)));
        }
        assert!(surfaces(97_800.0, 50.0));
    }

    #[test]
    fn what_keeps_a_rhythm_stops_surfacing() {
        let mut history = History::default();
        let mut surfaces = |at, value| history.surfaces(at, value, Manner::Mended);
        let nightly: Vec<bool> =
            (0..8).map(|day| surfaces(f64::from(day * 86_400 + day % 3), f64::from(day))).collect();
        assert_eq!(nightly, [true, true, true, true, false, false, false, false]);
        assert!(surfaces(7.5 * 86_400.0, 9.0), "out of its rhythm");
        assert!(!surfaces(7.5 * 86_400.0 + 300.0, 9.0), "a repeat");
    }
}
