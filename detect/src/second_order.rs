//! `ENABLE_SECOND_ORDER`: surface an anomaly only if the interval since the last is unusual.
//!
//! Parity with the reference, including that the new interval is part of its own sample, so that
//! nothing surfaces between the first trigger and the twelfth. The history is capped here.

use crate::vote::mean_and_stddev;

/// The same value within so many seconds of the last trigger is not looked at.
const REPEAT: f64 = 300.0;
/// Triggers remembered.
const KEPT: usize = 1_000;

/// Triggers of one metric, as (time in seconds, value).
#[derive(Debug, Clone, Default)]
pub struct History(Vec<(f64, f64)>);

impl History {
    /// Takes a trigger; says whether it is to be surfaced.
    pub fn surfaces(&mut self, at: f64, value: f64) -> bool {
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
        let intervals: Vec<f64> = self.0.iter().zip(self.0.iter().skip(1)).map(|(a, b)| b.0 - a.0).collect();
        let (mean, std) = mean_and_stddev(&intervals);
        intervals.last().is_some_and(|newest| (newest - mean).abs() > 3.0 * std)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_unusual_surface() {
        let mut history = History::default();
        assert!(history.surfaces(0.0, 5.0));
        assert!(!history.surfaces(60.0, 5.0), "a repeat");
        for i in 1..=13 {
            assert!(!history.surfaces(f64::from(i) * 600.0, f64::from(i)));
        }
        assert!(history.surfaces(97_800.0, 50.0));
    }
}
