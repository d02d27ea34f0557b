//! Slots in which points are given: as whisper's archives have them.
//!
//! A slot is named by the time of its beginning, a multiple of the step. What is given from `from` to `until` begins with the
//! first slot behind `from` and ends with the one that `until` lies in. The last point that is written to a slot
//! counts.

use crate::consolidate::Consolidation;
use std::collections::BTreeMap;

/// Slots that one answer has at most; a longer time is given in longer steps by whoever asks.
pub const MAX_SLOTS: i64 = 2_000_000;

/// Slots of one length, kept for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// Length of a slot, seconds.
    pub step: i64,
    /// How many there are.
    pub slots: i64,
}

impl Archive {
    /// How long it keeps points, seconds.
    #[must_use]
    pub const fn retention(&self) -> i64 {
        self.step.saturating_mul(self.slots)
    }
}

/// Values of consecutive slots.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slots {
    /// Beginning of the first, seconds.
    pub start: i64,
    /// End of the last.
    pub end: i64,
    /// Length of each.
    pub step: i64,
    /// A value for each; none: nothing came.
    pub values: Vec<Option<f64>>,
}

/// `from` is behind `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time begins at {from}, behind its end at {until}")]
pub struct Backwards {
    /// Beginning, seconds.
    pub from: i64,
    /// End.
    pub until: i64,
}

/// How points are kept: archives from the finest to the coarsest, and how finer slots become a coarser one.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The finest first.
    pub archives: &'a [Archive],
    /// How.
    pub consolidation: Consolidation,
    /// Share of the finer slots that must have a value.
    pub least: f64,
}

/// The points from `from` to `until` at `now`, out of the finest archive that reaches back to `from`. None: no archive
/// reaches there, or it lies ahead.
///
/// # Errors
/// `from` is behind `until`.
pub fn fetch(
    layout: &Layout<'_>,
    points: impl Iterator<Item = (i64, f64)>,
    now: i64,
    from: i64,
    until: i64,
) -> Result<Option<Slots>, Backwards> {
    if from > until {
        return Err(Backwards { from, until });
    }
    let Some(longest) = layout.archives.iter().map(Archive::retention).max() else { return Ok(None) };
    let oldest = now.saturating_sub(longest);
    if from > now || until < oldest {
        return Ok(None);
    }
    let (from, until) = (from.max(oldest), until.min(now));
    let age = now.saturating_sub(from);
    let number = layout.archives.iter().position(|archive| archive.retention() >= age);
    let Some((number, archive)) = number.and_then(|i| Some((i, layout.archives.get(i)?))) else {
        return Ok(None);
    };
    let (start, end) = bounds(from, until, archive.step);
    if (end - start) / archive.step > MAX_SLOTS {
        return Ok(None);
    }
    let filled = fill(layout, number, points);
    let steps = (end - start) / archive.step;
    let values = (0..steps).map(|i| filled.get(&(start + i * archive.step)).copied()).collect();
    Ok(Some(Slots { start, end, step: archive.step, values }))
}

/// Beginning of the first slot and end of the last.
#[must_use]
pub fn bounds(from: i64, until: i64, step: i64) -> (i64, i64) {
    let step = step.max(1);
    let next = |t: i64| t.saturating_sub(t.rem_euclid(step)).saturating_add(step);
    let (start, end) = (next(from), next(until));
    (start, if start == end { end.saturating_add(step) } else { end })
}

/// The slots of one archive after all points were written.
fn fill(layout: &Layout<'_>, number: usize, points: impl Iterator<Item = (i64, f64)>) -> BTreeMap<i64, f64> {
    let Some(finest) = layout.archives.first() else { return BTreeMap::new() };
    let mut slots = BTreeMap::new();
    for (time, value) in points {
        slots.insert(time - time.rem_euclid(finest.step.max(1)), value);
    }
    let mut step = finest.step.max(1);
    for archive in layout.archives.get(1..=number).unwrap_or_default() {
        let coarse = archive.step.max(1);
        let mut groups: BTreeMap<i64, Vec<Option<f64>>> = BTreeMap::new();
        for (time, value) in &slots {
            groups.entry(time - time.rem_euclid(coarse)).or_default().push(Some(*value));
        }
        let all = usize::try_from(coarse / step).unwrap_or(1);
        slots = groups
            .into_iter()
            .filter_map(|(time, mut values)| {
                values.resize(values.len().max(all), None);
                Some((time, layout.consolidation.of(&values, layout.least)?))
            })
            .collect();
        step = coarse;
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Archive = Archive { step: 60, slots: 1_440 };

    fn layout(archives: &[Archive]) -> Layout<'_> {
        Layout { archives, consolidation: Consolidation::Average, least: 0.0 }
    }

    #[test]
    fn slots_of_a_time() {
        let points = [(1_000, 1.0), (1_010, 2.0), (1_100, 3.0)];
        let of = |from, until| fetch(&layout(&[DAY]), points.into_iter(), 1_200, from, until);
        let slots = of(900, 1_150).unwrap().unwrap();
        assert_eq!((slots.start, slots.end), (960, 1_200));
        assert_eq!(slots.values, [Some(2.0), None, Some(3.0), None]);
        assert_eq!(of(1_201, 1_300), Ok(None));
        assert_eq!(of(10, 5), Err(Backwards { from: 10, until: 5 }));
        assert_eq!(of(1_020, 1_020).unwrap().unwrap().values, [Some(3.0)]);
    }

    #[test]
    fn older_times_come_from_coarser_slots() {
        let archives = [Archive { step: 10, slots: 60 }, Archive { step: 60, slots: 60 }];
        let points = [(1_000, 1.0), (1_010, 3.0), (1_100, 3.0)];
        let slots = fetch(&layout(&archives), points.into_iter(), 1_200, 500, 1_200).unwrap().unwrap();
        assert_eq!((slots.step, slots.start), (60, 540));
        assert_eq!(slots.values.get(7), Some(&Some(2.0)));
    }

    proptest! {
        #[test]
        fn slots_fit_their_bounds(now in 0_i64..1 << 33, back in 0_i64..200_000, length in 0_i64..200_000, step in 1_i64..4_000) {
            let archive = [Archive { step, slots: 100 }];
            let from = now - back;
            if let Ok(Some(slots)) = fetch(&layout(&archive), std::iter::empty(), now, from, from + length) {
                prop_assert_eq!(slots.values.len() as i64 * step, slots.end - slots.start);
                prop_assert_eq!(slots.start.rem_euclid(step), 0);
                prop_assert!(slots.values.len() <= 101);
            }
        }
    }
}
