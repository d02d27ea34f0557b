//! When the points in flight were received.

use std::collections::VecDeque;

/// Seconds between two marks.
const MARK_EVERY: f64 = 0.1;
/// Marks kept before every other is dropped.
const MAX_MARKS: usize = 4_096;

/// When points in flight were received, to a tenth of a second: marks of a sequence number and the
/// time of receipt of what was taken from there on.
#[derive(Debug, Default)]
pub(crate) struct Times(VecDeque<(u64, f64)>);

impl Times {
    /// What was received at `received` was taken with the cursor at `seq`.
    fn add_mark(&mut self, seq: u64, received: f64) {
        self.0.push_back((seq, received));
        if self.0.len() > MAX_MARKS {
            let mut kept = false;
            self.0.retain(|_| {
                kept = !kept;
                kept
            });
        }
    }

    /// The same, if the last mark is old enough. After a move back of the cursor it begins anew.
    pub(crate) fn add(&mut self, seq: u64, received: f64) {
        match self.0.back() {
            Some((last, _)) if seq < *last => {
                self.0.clear();
                self.add_mark(seq, received);
            }
            Some((_, at)) if received - at < MARK_EVERY => {}
            _ => self.add_mark(seq, received),
        }
    }

    /// Nothing before `seq` is in flight.
    pub(crate) fn forget_before(&mut self, seq: u64) {
        while self.0.get(1).is_some_and(|(next, _)| *next <= seq) {
            self.0.pop_front();
        }
    }

    /// About when point `seq` was received, rather too early than too late.
    pub(crate) fn at(&self, seq: u64) -> Option<f64> {
        let after = self.0.partition_point(|(mark, _)| *mark <= seq);
        self.0.get(after.checked_sub(1)?).map(|(_, received)| *received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_to_a_tenth_of_a_second() {
        let mut times = Times::default();
        for n in 0..100_u64 {
            times.add(n * 10, 1000.0 + n as f64 * 0.03);
        }
        let age = |times: &Times, seq: u64| 1000.0 + (seq / 10) as f64 * 0.03 - times.at(seq).unwrap();
        assert!((0..990).all(|seq| (0.0..0.121).contains(&age(&times, seq))));
        times.forget_before(500);
        assert!((0.0..0.121).contains(&age(&times, 500)) && times.at(0).is_none());
        times.add(700, 2000.0);
        assert_eq!((times.0.len(), times.at(699), times.at(750)), (1, None, Some(2000.0)));
        for n in 0..20_000_u64 {
            times.add(1000 + n, 3000.0 + n as f64);
        }
        assert!(times.0.len() <= MAX_MARKS);
    }
}
