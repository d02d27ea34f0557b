//! Stretches of the journal that were shed: when the sender goes back behind them, it passes over
//! them instead of sending after all what is given up.

use std::collections::VecDeque;
use std::ops::Range;

/// Stretches that are remembered; beyond it the two oldest become one.
const REMEMBERED: usize = 64;

/// Sequence numbers, oldest first.
#[derive(Debug, Default)]
pub(super) struct Skipped(VecDeque<Range<u64>>);

impl Skipped {
    /// The cursor has jumped over `range`, which lies after all others.
    pub(super) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        match self.0.back_mut() {
            Some(last) if last.end >= range.start => last.end = range.end,
            _ => self.0.push_back(range),
        }
        if self.0.len() > REMEMBERED
            && let Some(oldest) = self.0.pop_front()
            && let Some(next) = self.0.front_mut()
        {
            next.start = oldest.start;
        }
    }

    /// The sender will not go back behind `seq`.
    pub(super) fn forget_before(&mut self, seq: u64) {
        while self.0.pop_front_if(|range| range.end <= seq).is_some() {}
    }

    /// Whether all of `range` was shed.
    pub(super) fn covers(&self, range: &Range<u64>) -> bool {
        self.0.iter().any(|shed| shed.start <= range.start && range.end <= shed.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_passed_over_until_they_are_behind() {
        let mut skipped = Skipped::default();
        for range in [10..20, 20..20, 20..30, 50..60] {
            skipped.add(range);
        }
        let check = |skipped: &Skipped, range: Range<u64>, expected| {
            assert_eq!(skipped.covers(&range), expected, "{range:?} in {skipped:?}");
        };
        check(&skipped, 10..30, true);
        check(&skipped, 15..25, true);
        check(&skipped, 9..11, false);
        check(&skipped, 25..55, false);
        check(&skipped, 50..60, true);
        skipped.forget_before(29);
        check(&skipped, 10..30, true);
        skipped.forget_before(30);
        check(&skipped, 10..30, false);
        check(&skipped, 50..60, true);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut skipped = Skipped::default();
        (0..1000).for_each(|i| skipped.add(i * 10..i * 10 + 5));
        assert_eq!(skipped.0.len(), REMEMBERED);
        assert!(skipped.covers(&(0..5)) && skipped.covers(&(9990..9995)) && !skipped.covers(&(9985..9990)));
    }
}
