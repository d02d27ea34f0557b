//! What a reader has taken and not yet called done.

use crate::share::Mine;
use std::collections::VecDeque;

/// Spans kept before neighbours are joined.
const MAX_SPANS: usize = 65_536;

/// A stretch of the log and which points of it are the reader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    start: u64,
    end: u64,
    own: u64,
    /// One bit a point from `base` on; empty when all points are the reader's (or, in a span that
    /// was joined from many, when it is no longer known which).
    bits: Vec<u64>,
    base: u64,
}

impl Span {
    /// The points from `start` on of a batch from `first_seq` to `end`.
    pub(crate) fn of_batch(first_seq: u64, end: u64, start: u64, mine: &Mine) -> Self {
        let (base, start) = (first_seq, start.clamp(first_seq, end));
        let Mine::Some(indexes) = mine else {
            return Self { start, end, own: end - start, bits: Vec::new(), base };
        };
        let from = start - base;
        let own = indexes.len() - indexes.partition_point(|index| u64::from(*index) < from);
        let mut span = Self { start, end, own: own as u64, bits: Vec::new(), base };
        if !span.is_dense() {
            span.bits = vec![0; (end - base).div_ceil(64) as usize];
            for index in indexes {
                if let Some(word) = span.bits.get_mut(*index as usize / 64) {
                    *word |= 1 << (index % 64);
                }
            }
        }
        span
    }

    /// Whether every point is the reader's.
    const fn is_dense(&self) -> bool {
        self.own == self.end - self.start
    }

    /// The reader's points before `seq`, which lies within. Where that is not known: all of them.
    fn before(&self, seq: u64) -> u64 {
        if self.is_dense() {
            return seq - self.start;
        }
        if self.bits.is_empty() {
            return self.own;
        }
        let (from, to) = (self.start - self.base, seq - self.base);
        // Only bits of the words that the range touches are looked at.
        let words = (0..).step_by(64).zip(&self.bits).filter(|(at, _)| at + 64 > from && *at < to);
        let ones = words.map(|(at, word)| {
            let low = from.saturating_sub(at).min(64);
            let high = to.saturating_sub(at).min(64);
            u64::from((word & below(high) & !below(low)).count_ones())
        });
        ones.sum()
    }
}

/// The lowest `n` bits, up to 64.
const fn below(n: u64) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

/// Spans in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    spans: VecDeque<Span>,
    own: u64,
}

impl Flight {
    /// The reader's points in it.
    pub(crate) const fn own(&self) -> u64 {
        self.own
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> Option<u64> {
        self.spans.front().map(|span| span.start)
    }

    /// Adds what was just taken.
    pub(crate) fn push(&mut self, span: Span) {
        if span.own == 0 {
            return;
        }
        self.own += span.own;
        match self.spans.back_mut() {
            Some(last) if last.is_dense() && span.is_dense() && last.end == span.start => {
                last.end = span.end;
                last.own += span.own;
            }
            _ => self.spans.push_back(span),
        }
        if self.spans.len() > MAX_SPANS {
            self.join();
        }
    }

    /// Joins every two neighbours: memory stays bounded, cuts within are no longer exact.
    fn join(&mut self) {
        let mut old = std::mem::take(&mut self.spans).into_iter();
        while let Some(first) = old.next() {
            let joined = old.next().map_or_else(
                || first.clone(),
                |second| Span {
                    end: second.end,
                    own: first.own + second.own,
                    bits: Vec::new(),
                    ..first.clone()
                },
            );
            self.spans.push_back(joined);
        }
    }

    /// The reader's points before `seq`.
    pub(crate) fn own_before(&self, seq: u64) -> u64 {
        let begun = self.spans.iter().take_while(|span| span.start < seq);
        begun.map(|span| if span.end <= seq { span.own } else { span.before(seq) }).sum()
    }

    /// Removes what is before `seq` and returns how many points that are.
    pub(crate) fn take_before(&mut self, seq: u64) -> u64 {
        let mut taken = 0;
        while let Some(first) = self.spans.front_mut().filter(|span| span.start < seq) {
            if first.end <= seq {
                taken += first.own;
                self.spans.pop_front();
                continue;
            }
            let before = first.before(seq);
            taken += before;
            first.own -= before;
            first.start = seq;
            if first.own == 0 {
                self.spans.pop_front();
            }
            break;
        }
        self.own -= taken;
        taken
    }

    /// Removes what is at `seq` or later and returns how many points that are.
    pub(crate) fn take_from(&mut self, seq: u64) -> u64 {
        let mut taken = 0;
        while let Some(last) = self.spans.back_mut().filter(|span| span.end > seq) {
            if last.start >= seq {
                taken += last.own;
                self.spans.pop_back();
                continue;
            }
            let before = last.before(seq);
            taken += last.own - before;
            last.own = before;
            last.end = seq;
            if last.own == 0 {
                self.spans.pop_back();
            }
            break;
        }
        self.own -= taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flight(spans: &[(u64, u64, Mine)]) -> Flight {
        let mut flight = Flight::default();
        for (start, end, mine) in spans {
            flight.push(Span::of_batch(*start, *end, *start, mine));
        }
        flight
    }

    #[test]
    fn cuts() {
        let check = |seq, before, from| {
            let mine = Mine::Some(vec![1, 2, 6, 7]);
            let spans = [(0, 10, Mine::All), (10, 20, Mine::All), (20, 30, mine), (35, 40, Mine::All)];
            assert_eq!(flight(&spans).own_before(seq), before, "before {seq}");
            assert_eq!(flight(&spans).take_before(seq), before, "before {seq}");
            assert_eq!(flight(&spans).take_from(seq), from, "from {seq}");
        };
        check(0, 0, 29);
        check(5, 5, 24);
        check(15, 15, 14);
        check(20, 20, 9);
        check(22, 21, 8);
        check(25, 22, 7);
        check(30, 24, 5);
        check(33, 24, 5);
        check(37, 26, 3);
        check(99, 29, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut flight = Flight::default();
        for n in 0..3 * MAX_SPANS as u64 {
            flight.push(Span::of_batch(n * 10, n * 10 + 10, 0, &Mine::Some(vec![1, 2, 3])));
        }
        assert!(flight.spans.len() <= MAX_SPANS);
        assert_eq!(flight.own(), 9 * MAX_SPANS as u64);
        let dense = self::flight(&(0..1000).map(|n| (n, n + 1, Mine::All)).collect::<Vec<_>>());
        assert_eq!(dense.spans.len(), 1);
    }

    proptest! {
        #[test]
        fn cuts_divide(
            batches in prop::collection::vec((prop::collection::vec(any::<bool>(), 1..200), 0_u64..3), 1..8),
            skipped in 0_u64..50,
            cuts in prop::collection::vec(0_u64..1000, 1..4),
        ) {
            let (mut at, mut flight, mut model) = (0, Flight::default(), Vec::new());
            for (owned, gap) in batches {
                let end = at + owned.len() as u64;
                let own: Vec<u32> = (0..).zip(&owned).filter(|(_, own)| **own).map(|(i, _)| i).collect();
                let start = at + skipped;
                model.extend(own.iter().map(|i| at + u64::from(*i)).filter(|seq| *seq >= start));
                flight.push(Span::of_batch(at, end, start, &Mine::Some(own)));
                at = end + gap;
            }
            for (n, cut) in cuts.into_iter().enumerate() {
                let (before, after): (Vec<u64>, Vec<u64>) = model.into_iter().partition(|seq| *seq < cut);
                if n % 2 == 0 {
                    prop_assert_eq!(flight.take_before(cut), before.len() as u64);
                    model = after;
                } else {
                    prop_assert_eq!(flight.take_from(cut), after.len() as u64);
                    model = before;
                }
                prop_assert_eq!(flight.own(), model.len() as u64);
            }
        }
    }
}
