//! The points of a chart: what of them is drawn, where there are gaps, and their figures.

use skyline_core::point::Datapoint;

/// A distance of so many usual ones is a gap.
const GAP: f64 = 2.5;

/// Figures of what is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    /// The newest value.
    pub(super) last: Datapoint,
    /// The lowest.
    pub(super) min: Datapoint,
    /// The highest.
    pub(super) max: Datapoint,
    /// Their mean.
    pub(super) mean: f64,
}

/// The points of a chart.
#[derive(Debug)]
pub(super) struct Series {
    /// Those in the chart's time that are finite, each later than the one before.
    pub(super) points: Vec<Datapoint>,
    /// The usual distance of points, seconds; none: there are fewer than two.
    pub(super) step: Option<f64>,
    /// None: there are no points.
    pub(super) figures: Option<Figures>,
}

impl Series {
    /// The points from `from` to `until`.
    pub(super) fn of(points: &[Datapoint], from: f64, until: f64) -> Self {
        let mut kept: Vec<Datapoint> = Vec::with_capacity(points.len());
        for point in points {
            let fits = point.value.is_finite() && (from..=until).contains(&point.ts);
            if fits && kept.last().is_none_or(|last| last.ts < point.ts) {
                kept.push(*point);
            }
        }
        Self { step: usual_step(&kept), figures: figures(&kept), points: kept }
    }

    /// Whether nothing was missing between two neighbours.
    fn joins(&self, before: &Datapoint, after: &Datapoint) -> bool {
        self.step.is_none_or(|step| after.ts - before.ts <= step * GAP)
    }

    /// The stretches without a gap.
    pub(super) fn stretches(&self) -> impl Iterator<Item = &[Datapoint]> {
        self.points.chunk_by(|before, after| self.joins(before, after))
    }

    /// Times without points, of those that lie between two points: from, until.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (f64, f64)> {
        let pairs = self.points.iter().zip(self.points.iter().skip(1));
        pairs
            .filter(|(before, after)| !self.joins(before, after))
            .map(|(before, after)| (before.ts, after.ts))
    }

    /// The point at a time, or the nearest within half the usual distance.
    pub(super) fn at(&self, ts: f64) -> Option<Datapoint> {
        let after = self.points.partition_point(|point| point.ts < ts);
        let near = self.points.iter().skip(after.saturating_sub(1)).take(2);
        let nearest = near.min_by(|a, b| (a.ts - ts).abs().total_cmp(&(b.ts - ts).abs()))?;
        ((nearest.ts - ts).abs() <= self.step.unwrap_or(1.0) / 2.0).then_some(*nearest)
    }
}

fn usual_step(points: &[Datapoint]) -> Option<f64> {
    let mut steps: Vec<f64> = points.iter().zip(points.iter().skip(1)).map(|(a, b)| b.ts - a.ts).collect();
    let middle = steps.len() / 2;
    if steps.is_empty() {
        return None;
    }
    // Of two the shorter: three points of which one is far away have a gap.
    let middle = if steps.len() == 2 { 0 } else { middle };
    Some(*steps.select_nth_unstable_by(middle, f64::total_cmp).1)
}

fn figures(points: &[Datapoint]) -> Option<Figures> {
    let last = *points.last()?;
    let min = *points.iter().min_by(|a, b| a.value.total_cmp(&b.value))?;
    let max = *points.iter().max_by(|a, b| a.value.total_cmp(&b.value))?;
    // Divided first: the sum may be too large a number.
    let mean = points.iter().map(|point| point.value / points.len() as f64).sum();
    Some(Figures { last, min, max, mean })
}

/// A counter's increases, as they are judged: for each point that is not below the one before it the difference. Where the
/// counter began anew there is no point.
#[must_use]
pub fn increases(points: &[Datapoint]) -> Vec<Datapoint> {
    let pairs = points.iter().zip(points.iter().skip(1));
    let steps = pairs.map(|(before, after)| Datapoint::new(after.ts, after.value - before.value));
    steps.filter(|step| step.value >= 0.0).collect()
}

/// The points of a stretch that are drawn when `column` says in which column of pixels a point is: of each column the first, the
/// lowest, the highest and the last, in their order.
pub(super) fn thinned(stretch: &[Datapoint], column: impl Fn(&Datapoint) -> i64) -> Vec<Datapoint> {
    let mut out = Vec::with_capacity(stretch.len().min(4096));
    for group in stretch.chunk_by(|a, b| column(a) == column(b)) {
        if group.len() <= 4 {
            out.extend_from_slice(group);
            continue;
        }
        let by_value = |a: &&Datapoint, b: &&Datapoint| a.value.total_cmp(&b.value);
        let extremes =
            [group.first(), group.iter().min_by(by_value), group.iter().max_by(by_value), group.last()];
        let mut kept: Vec<Datapoint> = extremes.into_iter().flatten().copied().collect();
        kept.sort_by(|a, b| a.ts.total_cmp(&b.ts));
        kept.dedup_by(|a, b| a.ts == b.ts);
        out.append(&mut kept);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(pairs: &[(f64, f64)]) -> Vec<Datapoint> {
        pairs.iter().map(|(ts, value)| Datapoint::new(*ts, *value)).collect()
    }

    #[test]
    fn gaps_divide() {
        let raw = points(&[(0.0, 1.0), (60.0, 2.0), (120.0, 3.0), (600.0, 4.0), (660.0, 5.0)]);
        let series = Series::of(&raw, 0.0, 1000.0);
        assert_eq!(series.step, Some(60.0));
        assert_eq!(series.stretches().map(<[_]>::len).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(series.gaps().collect::<Vec<_>>(), [(120.0, 600.0)]);
        // One late point is none.
        let late = points(&[(0.0, 1.0), (60.0, 2.0), (180.0, 3.0), (240.0, 4.0)]);
        assert_eq!(Series::of(&late, 0.0, 1000.0).gaps().count(), 0);
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let raw = points(&[
            (0.0, 1.0),
            (60.0, f64::NAN),
            (120.0, f64::INFINITY),
            (90.0, 3.0),
            (80.0, 3.0),
            (900.0, 1.0),
        ]);
        let series = Series::of(&raw, 0.0, 600.0);
        assert_eq!(series.points, points(&[(0.0, 1.0), (90.0, 3.0)]));
    }

    #[test]
    fn figures_of_the_largest_numbers() {
        let raw = points(&[(0.0, f64::MAX), (60.0, f64::MAX), (120.0, f64::MIN), (180.0, f64::MIN)]);
        assert_eq!(Series::of(&raw, 0.0, 600.0).figures.unwrap().mean, 0.0);
        assert!(Series::of(&[], 0.0, 600.0).figures.is_none());
    }

    #[test]
    fn increases_leave_resets_out() {
        let raw =
            points(&[(0.0, 5.0), (60.0, 7.0), (120.0, 1.0), (180.0, f64::NAN), (240.0, 4.0), (300.0, 4.0)]);
        assert_eq!(increases(&raw), points(&[(60.0, 2.0), (300.0, 0.0)]));
    }

    #[test]
    fn a_point_is_found_by_its_time() {
        let series = Series::of(&points(&[(0.0, 1.0), (60.0, 2.0), (120.0, 3.0)]), 0.0, 600.0);
        let value = |ts| series.at(ts).map(|point| point.value);
        assert_eq!(
            [value(60.0), value(70.0), value(200.0), value(-10.0)],
            [Some(2.0), Some(2.0), None, Some(1.0)]
        );
    }

    proptest! {
        #[test]
        fn no_spike_is_lost(values in prop::collection::vec(-1e6..1e6_f64, 1..3000), wide in 1.0..500.0_f64) {
            let raw: Vec<Datapoint> = values.iter().enumerate().map(|(i, v)| Datapoint::new(i as f64, *v)).collect();
            let thin = thinned(&raw, |point| (point.ts / wide) as i64);
            let all = figures(&raw).unwrap();
            let few = figures(&thin).unwrap();
            prop_assert_eq!((all.min.value, all.max.value, all.last), (few.min.value, few.max.value, few.last));
            prop_assert!(thin.len() <= 4 * (raw.len() as f64 / wide).ceil() as usize + 4);
            prop_assert!(thin.iter().zip(thin.iter().skip(1)).all(|(a, b)| a.ts < b.ts));
        }
    }
}
