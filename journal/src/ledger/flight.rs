//! What a reader has taken and not yet called done.

use std::collections::VecDeque;

/// Spans kept before neighbours are joined.
const MAX_SPANS: usize = 65_536;

/// A stretch of the log and how many points of it are the reader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) own: u64,
}

impl Span {
    /// Whether every point is the reader's, so that it can be cut anywhere without looking.
    const fn is_dense(&self) -> bool {
        self.own == self.end - self.start
    }

    /// The reader's points before `seq`, which lies within; `part` if that cannot be told.
    fn before(&self, seq: u64, part: u64) -> u64 {
        if self.is_dense() { seq - self.start } else { part.min(self.own) }
    }
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

    /// Joins every two neighbours: memory stays bounded, a cut must be counted in the log.
    fn join(&mut self) {
        let old = std::mem::take(&mut self.spans);
        let mut old = old.into_iter();
        while let Some(first) = old.next() {
            let joined = old.next().map_or(first, |second| Span {
                start: first.start,
                end: second.end,
                own: first.own + second.own,
            });
            self.spans.push_back(joined);
        }
    }

    /// The span that a cut at `seq` goes through, if its parts must be counted in the log.
    pub(crate) fn uneven_at(&self, seq: u64) -> Option<Span> {
        let at = self.spans.partition_point(|span| span.end <= seq);
        self.spans.get(at).copied().filter(|span| span.start < seq && !span.is_dense())
    }

    /// The reader's points before `seq`; a span that is cut counts as a whole.
    pub(crate) fn own_before(&self, seq: u64) -> u64 {
        self.spans.iter().take_while(|span| span.start < seq).map(|span| span.own).sum()
    }

    /// Removes what is before `seq` and returns how many points that are. `part`: those in the
    /// uneven span before the cut.
    pub(crate) fn take_before(&mut self, seq: u64, part: u64) -> u64 {
        let mut taken = 0;
        while let Some(first) = self.spans.front_mut().filter(|span| span.start < seq) {
            if first.end <= seq {
                taken += first.own;
                self.spans.pop_front();
                continue;
            }
            let before = first.before(seq, part);
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

    /// Removes what is at `seq` or later and returns how many points that are. `part`: those in
    /// the uneven span before the cut.
    pub(crate) fn take_from(&mut self, seq: u64, part: u64) -> u64 {
        let mut taken = 0;
        while let Some(last) = self.spans.back_mut().filter(|span| span.end > seq) {
            if last.start >= seq {
                taken += last.own;
                self.spans.pop_back();
                continue;
            }
            let before = last.before(seq, part);
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

    fn flight(spans: &[(u64, u64, u64)]) -> Flight {
        let mut flight = Flight::default();
        for (start, end, own) in spans {
            flight.push(Span { start: *start, end: *end, own: *own });
        }
        flight
    }

    #[test]
    fn cuts() {
        let check = |seq, part, before, from| {
            let spans = [(0, 10, 10), (10, 20, 10), (20, 30, 4), (35, 40, 5)];
            assert_eq!(flight(&spans).take_before(seq, part), before, "before {seq}");
            assert_eq!(flight(&spans).take_from(seq, part), from, "from {seq}");
        };
        check(0, 0, 0, 29);
        check(5, 0, 5, 24);
        check(15, 0, 15, 14);
        check(20, 0, 20, 9);
        check(25, 1, 21, 8);
        check(30, 0, 24, 5);
        check(33, 0, 24, 5);
        check(37, 0, 26, 3);
        check(99, 0, 29, 0);
    }

    #[test]
    fn only_uneven_spans_ask_to_be_counted() {
        let flight = flight(&[(0, 10, 10), (20, 30, 4)]);
        assert_eq!(flight.uneven_at(5), None);
        assert_eq!(flight.uneven_at(20), None);
        assert_eq!(flight.uneven_at(25), Some(Span { start: 20, end: 30, own: 4 }));
        assert_eq!(flight.uneven_at(30), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut flight = Flight::default();
        for n in 0..3 * MAX_SPANS as u64 {
            flight.push(Span { start: n * 10, end: n * 10 + 10, own: 3 });
        }
        assert!(flight.spans.len() <= MAX_SPANS);
        assert_eq!(flight.own(), 9 * MAX_SPANS as u64);
        let dense = self::flight(&(0..1000).map(|n| (n, n + 1, 1)).collect::<Vec<_>>());
        assert_eq!(dense.spans.len(), 1);
    }

    proptest! {
        #[test]
        fn a_cut_divides(lens in prop::collection::vec((1_u64..20, 0_u64..3), 1..20), cut in 0_u64..300) {
            let mut at = 0;
            let mut spans = Vec::new();
            for (len, gap) in lens {
                spans.push((at, at + len, len));
                at += len + gap;
            }
            let all: u64 = spans.iter().map(|(_, _, own)| own).sum();
            let before: u64 = spans.iter().map(|(s, e, _)| cut.clamp(*s, *e) - s).sum();
            let mut one = flight(&spans);
            prop_assert_eq!(one.take_before(cut, 0), before);
            prop_assert_eq!(one.own(), all - before);
            let mut two = flight(&spans);
            prop_assert_eq!(two.take_from(cut, 0), all - before);
            prop_assert_eq!(two.own(), before);
        }
    }
}
