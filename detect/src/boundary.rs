//! Boundary: one rule for one metric, no consensus (`skyline:skyline/boundary/boundary_algorithms.py`).

use crate::gate::{self, Gate};
use crate::settings::Settings;
use skyline_store::view::WindowView;

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// The newest value is below the trigger.
    LessThan(f64),
    /// The newest value is above the trigger.
    GreaterThan(f64),
    /// The newest value is a small part of the average of the last ten steps.
    DropOffCliff {
        /// Mean that the metric must have for the rule to apply; 0: any.
        min_average: f64,
        /// Seconds over which that mean is taken; 0: none.
        min_average_seconds: f64,
    },
}

/// What a rule says of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It fires.
    Anomalous,
    /// It does not.
    Normal,
    /// A gate is shut.
    Gated(Gate),
}

/// Fewer points: no cliff.
const CLIFF_POINTS: usize = 30;

/// Gates, then the rule. `now` in seconds.
#[must_use]
pub fn judge(view: WindowView<'_>, rule: Rule, now: f64, settings: &Settings) -> Outcome {
    let is_cliff = matches!(rule, Rule::DropOffCliff { .. });
    match gate::check(view, now, settings) {
        Some(Gate::TooShort) if !is_cliff && !view.is_empty() => {}
        Some(gate) => return Outcome::Gated(gate),
        None => {}
    }
    if fires(view, rule) { Outcome::Anomalous } else { Outcome::Normal }
}

/// The rule alone, whatever the gates say.
#[must_use]
pub fn fires(view: WindowView<'_>, rule: Rule) -> bool {
    let Some(last) = view.values.last().copied() else { return false };
    match rule {
        Rule::LessThan(trigger) => last < trigger,
        Rule::GreaterThan(trigger) => last > trigger,
        Rule::DropOffCliff { min_average, min_average_seconds } => cliff(view, min_average, min_average_seconds),
    }
}

fn cliff(view: WindowView<'_>, min_average: f64, min_average_seconds: f64) -> bool {
    let [.., before, end] = view.ts else { return false };
    if view.len() < CLIFF_POINTS {
        return false;
    }
    let end = end.trunc();
    let resolution = end - before.trunc();
    let since = |seconds: f64| {
        let points = view.ts.iter().zip(view.values);
        points.filter(move |(ts, _)| **ts > end - seconds && **ts <= end).map(|(_, v)| *v)
    };
    let ten: Vec<f64> = since(10.0 * resolution).collect();
    let Some(last) = ten.last().copied().filter(|_| ten.len() >= 4) else { return false };
    let low = ten.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ten.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low < 0.0 || high == 0.0 || low == high {
        return false;
    }
    if min_average > 0.0 && min_average_seconds > 0.0 {
        let long: Vec<f64> = since(min_average_seconds).collect();
        if long.iter().sum::<f64>() / (long.len() as f64) < min_average {
            return false;
        }
    }
    let sum: f64 = ten.iter().sum();
    let average = sum / ten.len() as f64;
    let mut trigger = if high > 100.0 {
        100.0
    } else if high < 20.0 {
        average / 2.0
    } else {
        15.0
    };
    let mut value = last.trunc();
    if value == 1.0 {
        trigger = if high < 10.0 { 0.1 } else { 1.0 };
    }
    if value == 0.0 {
        value = 0.1;
        if average < 1.0 && sum < 7.0 {
            trigger = 7.0;
        }
    }
    (average / value).trunc() > trigger
}

/// Sums of whole parts over `seconds`, counted back from the newest point over the last hour, each
/// stamped with its end, oldest first. `None`: too few points or buckets.
#[must_use]
pub fn aggregate(view: WindowView<'_>, seconds: f64) -> Option<(Vec<f64>, Vec<f64>)> {
    let newest = view.ts.last()?.trunc();
    if view.len() < 60 || seconds <= 0.0 {
        return None;
    }
    let (mut ts, mut values) = (Vec::new(), Vec::new());
    let mut high = newest;
    while high - seconds > newest - 3600.0 {
        let low = high - seconds;
        let inside = view.ts.iter().zip(view.values).filter(|(t, _)| **t > low && **t <= high);
        ts.push(high);
        values.push(inside.map(|(_, v)| v.trunc()).sum());
        high = low;
    }
    ts.reverse();
    values.reverse();
    (ts.len() >= 11).then_some((ts, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view_of(values: &[f64]) -> Vec<f64> {
        (0..values.len()).map(|i| 1_700_000_000.0 + 60.0 * i as f64).collect()
    }

    #[test]
    fn limits() {
        let values = [5.0, 3.0];
        let ts = view_of(&values);
        let view = WindowView::new(&ts, &values);
        assert!(fires(view, Rule::LessThan(4.0)));
        assert!(!fires(view, Rule::LessThan(3.0)));
        assert!(fires(view, Rule::GreaterThan(2.0)));
        assert!(!fires(WindowView::new(&[], &[]), Rule::GreaterThan(2.0)));
    }

    #[test]
    fn a_cliff() {
        let rule = Rule::DropOffCliff { min_average: 0.0, min_average_seconds: 0.0 };
        let mut values = vec![500.0; 40];
        values.push(499.0);
        assert!(!fires(WindowView::new(&view_of(&values), &values), rule));
        values.push(1.0);
        assert!(fires(WindowView::new(&view_of(&values), &values), rule));
        let quiet = Rule::DropOffCliff { min_average: 1000.0, min_average_seconds: 3600.0 };
        assert!(!fires(WindowView::new(&view_of(&values), &values), quiet));
    }

    #[test]
    fn buckets() {
        let values = vec![1.9; 60];
        let (ts, sums) = aggregate(WindowView::new(&view_of(&values), &values), 300.0).unwrap();
        assert_eq!((ts.len(), sums[0]), (11, 5.0));
        assert!(aggregate(WindowView::new(&view_of(&[1.0]), &[1.0]), 60.0).is_none());
    }
}
