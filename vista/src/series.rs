//! Series as any server gives them, once they are put in order.

use std::collections::BTreeMap;

/// Latest time that is taken, seconds: what Graphite's files can hold.
const LAST_TIME: f64 = u32::MAX as f64;

/// One point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Seconds since the epoch; at least 1.
    pub ts: i64,
    /// Finite.
    pub value: f64,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// What the server calls it.
    pub name: String,
    /// Its tags or labels.
    pub labels: BTreeMap<String, String>,
    /// By time, each time once.
    pub points: Vec<Point>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// In the order of the answer.
    pub series: Vec<Series>,
    /// What of it was not taken.
    pub skipped: Skipped,
}

/// Points that were not taken as they came, by the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// There was no value: the usual way of saying so.
    pub null: u64,
    /// NaN or infinite.
    pub not_finite: u64,
    /// No number, or no pair of two.
    pub not_a_number: u64,
    /// A time that is none: before the epoch, behind 2106, no number.
    pub time: u64,
    /// An earlier value of the same time; the last one is taken.
    pub duplicate: u64,
    /// Came behind a later one; it was put in its place.
    pub unsorted: u64,
}

impl Skipped {
    /// Each with the name of its counter.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, u64); 6] {
        [
            ("null", self.null),
            ("not_finite", self.not_finite),
            ("not_a_number", self.not_a_number),
            ("time", self.time),
            ("duplicate", self.duplicate),
            ("unsorted", self.unsorted),
        ]
    }

    /// Adds those of another answer.
    pub const fn add(&mut self, other: &Self) {
        self.null += other.null;
        self.not_finite += other.not_finite;
        self.not_a_number += other.not_a_number;
        self.time += other.time;
        self.duplicate += other.duplicate;
        self.unsorted += other.unsorted;
    }
}

/// How much of an answer is taken. Beyond that the answer is refused: half of it would look like the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Series.
    pub series: usize,
    /// Points of all series together.
    pub points: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { series: 1_000, points: 2_000_000 }
    }
}

/// A value as it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Came {
    Null,
    Number(f64),
    Other,
}

/// Gathers the points of one series.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    points: Vec<Point>,
    in_order: bool,
}

impl Gather {
    pub(crate) const fn new() -> Self {
        Self { points: Vec::new(), in_order: true }
    }

    pub(crate) fn push(&mut self, ts: Came, value: Came, skipped: &mut Skipped) {
        let ts = match ts {
            Came::Number(ts) if (1.0..=LAST_TIME).contains(&ts) => ts as i64,
            _ => return skipped.time += 1,
        };
        let value = match value {
            Came::Null => return skipped.null += 1,
            Came::Other => return skipped.not_a_number += 1,
            Came::Number(value) if !value.is_finite() => return skipped.not_finite += 1,
            Came::Number(value) => value,
        };
        match self.points.last_mut() {
            Some(last) if last.ts == ts => {
                last.value = value;
                skipped.duplicate += 1;
                return;
            }
            Some(last) if last.ts > ts => {
                self.in_order = false;
                skipped.unsorted += 1;
            }
            _ => {}
        }
        self.points.push(Point { ts, value });
    }

    /// The points in order.
    pub(crate) fn finish(mut self, skipped: &mut Skipped) -> Vec<Point> {
        if !self.in_order {
            // Stable, so that of several of one time the last one stays last.
            self.points.sort_by_key(|p| p.ts);
            let before = self.points.len();
            self.points.dedup_by(|later, earlier| {
                let same = later.ts == earlier.ts;
                if same {
                    earlier.value = later.value;
                }
                same
            });
            skipped.duplicate += (before - self.points.len()) as u64;
        }
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(came: &[(f64, f64)], expected: &[(i64, f64)], skipped: Skipped) {
        let (mut gather, mut found) = (Gather::new(), Skipped::default());
        for (ts, value) in came {
            gather.push(Came::Number(*ts), Came::Number(*value), &mut found);
        }
        let points: Vec<_> = gather.finish(&mut found).iter().map(|p| (p.ts, p.value)).collect();
        assert_eq!((points.as_slice(), found), (expected, skipped));
    }

    #[test]
    fn points_are_put_in_order_and_the_last_of_a_time_counts() {
        let none = Skipped::default();
        check(&[(60.0, 1.0), (120.0, 2.0)], &[(60, 1.0), (120, 2.0)], none);
        check(&[(60.0, 1.0), (60.0, 2.0)], &[(60, 2.0)], Skipped { duplicate: 1, ..none });
        check(
            &[(120.0, 1.0), (60.0, 2.0), (120.0, 3.0)],
            &[(60, 2.0), (120, 3.0)],
            Skipped { duplicate: 1, unsorted: 1, ..none },
        );
    }

    #[test]
    fn times_that_are_none() {
        let skipped = Skipped { time: 1, ..Skipped::default() };
        for ts in [-60.0, 0.0, 0.5, 1.7e12, 9.3e18, f64::NAN, f64::INFINITY] {
            check(&[(ts, 1.0)], &[], skipped);
        }
        check(&[(4_294_967_295.0, 1.0)], &[(4_294_967_295, 1.0)], Skipped::default());
    }

    #[test]
    fn values_that_are_none() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            check(&[(60.0, value)], &[], Skipped { not_finite: 1, ..Skipped::default() });
        }
    }
}
