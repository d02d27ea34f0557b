//! Boundary: one rule for one metric, no consensus (`skyline:skyline/boundary/boundary_algorithms.py`).

use crate::gate::{self, Gate};
use crate::settings::{Manner, Settings};
use skyline_store::view::WindowView;

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// The newest value is below the trigger.
    LessThan(f64),
    /// The newest value is above the trigger.
    GreaterThan(f64),
    /// The newest value is a small part of the average of the last ten steps. The reference cuts values to
    /// whole numbers, so that a steady 0.9 or 1.5 falls off a cliff at every point; in the mended manner
    /// the newest value itself must, if all are below 20, be below the smallest of the others by the same
    /// ratio and by two at least.
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

/// Gates, then the rule. `now` in seconds. In the mended manner a boring window keeps a cliff from
/// being seen but not a limit: a metric that lies flat beyond it goes on firing.
#[must_use]
pub fn judge(view: WindowView<'_>, rule: Rule, now: f64, settings: &Settings) -> Outcome {
    let is_cliff = matches!(rule, Rule::DropOffCliff { .. });
    // Too short concerns cliffs alone: a limit needs one point.
    let least = if is_cliff { settings.min_points } else { 1 };
    match gate::check_from(view, now, settings, least) {
        Some(Gate::Boring) if !is_cliff && settings.manner == Manner::Mended => {}
        Some(gate) => return Outcome::Gated(gate),
        None => {}
    }
    if fires(view, rule, settings.manner) { Outcome::Anomalous } else { Outcome::Normal }
}

/// The rule alone, whatever the gates say.
#[must_use]
pub fn fires(view: WindowView<'_>, rule: Rule, manner: Manner) -> bool {
    let Some(last) = view.values.last().copied() else { return false };
    match rule {
        Rule::LessThan(trigger) => last < trigger,
        Rule::GreaterThan(trigger) => last > trigger,
        Rule::DropOffCliff { min_average, min_average_seconds } => {
            cliff(view, min_average, min_average_seconds, manner)
        }
    }
}

fn cliff(view: WindowView<'_>, min_average: f64, min_average_seconds: f64, manner: Manner) -> bool {
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
    let ten = || since(10.0 * resolution);
    let count = ten().count();
    let Some(last) = ten().next_back().filter(|_| count >= 4) else { return false };
    let low = ten().fold(f64::INFINITY, f64::min);
    let high = ten().fold(f64::NEG_INFINITY, f64::max);
    if low < 0.0 || high == 0.0 || low == high {
        return false;
    }
    if min_average > 0.0 && min_average_seconds > 0.0 {
        let (sum, n) = since(min_average_seconds).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
        if sum / n < min_average {
            return false;
        }
    }
    let sum: f64 = ten().sum();
    let average = sum / count as f64;
    let (value, trigger) = cliff_trigger(last.trunc(), average, sum, high);
    let fires = (average / value).trunc() > trigger;
    if manner == Manner::Reference || high >= 20.0 {
        return fires;
    }
    let lowest_before = ten().take(count - 1).fold(f64::INFINITY, f64::min);
    fires && (lowest_before / last.max(0.1)).trunc() > trigger.max(1.0)
}

/// The value to divide by and the ratio to exceed; `whole`: the newest value without its fraction.
fn cliff_trigger(whole: f64, average: f64, sum: f64, high: f64) -> (f64, f64) {
    let usual = if high > 100.0 {
        100.0
    } else if high < 20.0 {
        average / 2.0
    } else {
        15.0
    };
    if whole == 1.0 {
        (1.0, if high < 10.0 { 0.1 } else { 1.0 })
    } else if whole == 0.0 {
        (0.1, if average < 1.0 && sum < 7.0 { 7.0 } else { usual })
    } else {
        (whole, usual)
    }
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

    const CLIFF: Rule = Rule::DropOffCliff { min_average: 0.0, min_average_seconds: 0.0 };

    fn minutes(values: &[f64]) -> Vec<f64> {
        (0..values.len()).map(|i| 1_700_000_000.0 + 60.0 * i as f64).collect()
    }

    #[track_caller]
    fn check(values: &[f64], rule: Rule, reference: bool, mended: bool) {
        let ts = minutes(values);
        let view = WindowView::new(&ts, values);
        assert_eq!(fires(view, rule, Manner::Reference), reference, "to the letter");
        assert_eq!(fires(view, rule, Manner::Mended), mended, "mended");
    }

    fn steady(level: f64, n: usize, last: &[f64]) -> Vec<f64> {
        let wobble = |i: usize| level + 0.01 * level * (i % 3) as f64;
        (0..n).map(wobble).chain(last.iter().copied()).collect()
    }

    #[test]
    fn limits() {
        check(&[5.0, 3.0], Rule::LessThan(4.0), true, true);
        check(&[5.0, 3.0], Rule::LessThan(3.0), false, false);
        check(&[5.0, 3.0], Rule::GreaterThan(2.0), true, true);
        check(&[], Rule::GreaterThan(2.0), false, false);
        check(&[f64::NAN], Rule::GreaterThan(2.0), false, false);
    }

    #[test]
    fn cliffs() {
        check(&steady(500.0, 40, &[]), CLIFF, false, false);
        check(&steady(500.0, 40, &[1.0]), CLIFF, true, true);
        check(&steady(500.0, 28, &[1.0]), CLIFF, false, false);
        check(&steady(50.0, 40, &[3.0]), CLIFF, false, false);
        check(&steady(50.0, 40, &[2.0]), CLIFF, true, true);
        check(&steady(10.0, 40, &[1.0]), CLIFF, true, true);
        check(&steady(5.0, 40, &[0.0]), CLIFF, true, true);
        check(&steady(5.0, 40, &[-1.0]), CLIFF, false, false);
        let busy = Rule::DropOffCliff { min_average: 1000.0, min_average_seconds: 3600.0 };
        check(&steady(500.0, 40, &[1.0]), busy, false, false);
        let less_busy = Rule::DropOffCliff { min_average: 100.0, min_average_seconds: 3600.0 };
        check(&steady(500.0, 40, &[1.0]), less_busy, true, true);
    }

    #[test]
    fn a_steady_metric_below_two_is_no_cliff_once_mended() {
        check(&steady(0.9, 40, &[0.9]), CLIFF, true, false);
        check(&steady(1.5, 40, &[1.45]), CLIFF, true, false);
        check(&[1.0, 2.0].repeat(20), CLIFF, false, false);
        check(&[2.0, 1.0].repeat(20), CLIFF, true, false);
        check(&steady(1.5, 40, &[0.0]), CLIFF, true, true);
    }

    #[test]
    fn gates() {
        let outcome = |values: &[f64], rule, age: f64, settings: &Settings| {
            let ts = minutes(values);
            judge(WindowView::new(&ts, values), rule, ts.last().copied().unwrap_or(0.0) + age, settings)
        };
        let mended = Settings { min_points: 3, ..Settings::default() };
        let reference = Settings { manner: Manner::Reference, ..mended.clone() };
        let low = Rule::LessThan(1.0);
        assert_eq!(outcome(&[], low, 0.0, &mended), Outcome::Gated(Gate::TooShort));
        assert_eq!(outcome(&[5.0, 0.0], low, 0.0, &mended), Outcome::Anomalous);
        assert_eq!(outcome(&[5.0, 0.0], low, 501.0, &mended), Outcome::Gated(Gate::Stale));
        assert_eq!(outcome(&[5.0, 0.0], CLIFF, 0.0, &mended), Outcome::Gated(Gate::TooShort));
        assert_eq!(outcome(&[0.0; 5], low, 0.0, &mended), Outcome::Anomalous);
        assert_eq!(outcome(&[0.0; 5], low, 0.0, &reference), Outcome::Gated(Gate::Boring));
        assert_eq!(outcome(&[2.0; 5], low, 0.0, &mended), Outcome::Normal);
    }

    #[test]
    fn buckets() {
        let values = vec![1.9; 60];
        let (ts, sums) = aggregate(WindowView::new(&minutes(&values), &values), 300.0).unwrap();
        assert_eq!((ts.len(), sums[0]), (11, 5.0));
        assert!(aggregate(WindowView::new(&minutes(&[1.0]), &[1.0]), 60.0).is_none());
        assert!(aggregate(WindowView::new(&minutes(&values), &values), 400.0).is_none());
        assert!(aggregate(WindowView::new(&minutes(&values), &values), 0.0).is_none());
    }
}
