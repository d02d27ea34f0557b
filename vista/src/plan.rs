//! Which times are asked for: from where the last fetch ended to the last minute that is whole, in pieces that the
//! server can give. No clock and no I/O.

use crate::graphite::beginning;
use crate::prometheus::MAX_POINTS;

/// A gap is filled so far back, seconds, where no longer history is wanted.
pub const LONGEST_GAP: i64 = 7 * 86_400;

/// The first fetch of a job without history reaches so far back, seconds.
const FIRST: i64 = 300;

/// What shows whether a job works reaches so far back at least, seconds.
const SHOWN: i64 = 600;

/// Times behind `from` up to `until`, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Not among them.
    pub from: i64,
    /// Among them.
    pub until: i64,
}

impl Range {
    /// Whether a time is among them.
    #[must_use]
    pub const fn has(&self, ts: i64) -> bool {
        self.from < ts && ts <= self.until
    }

    /// The first so many seconds, and the rest if there is one.
    #[must_use]
    pub const fn cut(self, longest: i64) -> (Self, Option<Self>) {
        let cut = self.from.saturating_add(longest);
        if longest < 1 || cut >= self.until {
            return (self, None);
        }
        (Self { from: self.from, until: cut }, Some(Self { from: cut, until: self.until }))
    }

    /// Seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.until.saturating_sub(self.from)
    }

    /// The first and the last multiple of `step` among them; none if there is none.
    #[must_use]
    pub const fn grid(&self, step: i64) -> Option<(i64, i64)> {
        let start = self.from.div_euclid(step).saturating_add(1).saturating_mul(step);
        let end = self.until.div_euclid(step).saturating_mul(step);
        if start <= end { Some((start, end)) } else { None }
    }
}

/// How the pieces are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// Graphite: where a finer archive begins, in seconds before now, coarse to fine.
    Archives(&'a [i64]),
    /// Prometheus: so many seconds lie between two points.
    Step(i64),
}

/// What a job wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants<'a> {
    /// How far back history reaches, coarse to fine, seconds.
    pub history: &'a [i64],
    /// How a span is cut.
    pub cut: Cut<'a>,
    /// From one fetch to the next, seconds.
    pub every: i64,
    /// Points may appear so much later than their time, seconds.
    pub late: i64,
    /// Whether the minute that is still filling is left out.
    pub skip_current_minute: bool,
}

impl Wants<'_> {
    /// The last second that is asked for.
    #[must_use]
    pub const fn end(&self, now: i64) -> i64 {
        if self.skip_current_minute { now.div_euclid(60) * 60 - 1 } else { now }
    }

    /// What is to be asked at `now`, oldest first, by a job that has asked for everything up to `asked`. Pieces lie
    /// side by side.
    #[must_use]
    pub fn ranges(&self, now: i64, asked: Option<i64>) -> Vec<Range> {
        let end = self.end(now);
        let reach = self.history.iter().copied().max().unwrap_or(0);
        let from = match asked {
            Some(asked) if asked >= end => return Vec::new(),
            Some(asked) => asked.saturating_sub(self.late).max(now.saturating_sub(reach.max(LONGEST_GAP))),
            None if reach > 0 => match self.cut {
                Cut::Archives(_) => beginning(now, reach),
                Cut::Step(_) => now.saturating_sub(reach),
            },
            None => end.saturating_sub(self.every.max(FIRST)),
        };
        let whole = Range { from: from.max(0), until: end };
        if whole.from >= whole.until {
            return Vec::new();
        }
        match self.cut {
            Cut::Archives(archives) => at_archives(whole, now, archives),
            Cut::Step(step) => by_points(whole, step.max(1)),
        }
    }

    /// The newest part of what is asked, short and never more than one question: what shows a person whether a job works.
    #[must_use]
    pub fn newest(&self, now: i64) -> Range {
        let end = self.end(now);
        let usual = SHOWN.max(self.every.saturating_mul(3));
        let span = match self.cut {
            Cut::Archives(_) => usual,
            // Three points at least, and no more than the server gives.
            Cut::Step(step) => usual.max(step.saturating_mul(3)).min(step.max(1).saturating_mul(MAX_POINTS)),
        };
        Range { from: end.saturating_sub(span).max(0), until: end }
    }

    /// The oldest time of points that are live at `now`, when something is fetched; what is older is history.
    #[must_use]
    pub fn live_from(&self, now: i64, live: i64) -> i64 {
        now.saturating_sub(live.max(self.every.saturating_mul(2)))
    }
}

fn at_archives(whole: Range, now: i64, archives: &[i64]) -> Vec<Range> {
    let mut cuts: Vec<i64> = archives.iter().map(|age| beginning(now, *age)).collect();
    cuts.retain(|cut| whole.from < *cut && *cut < whole.until);
    cuts.push(whole.until);
    cuts.sort_unstable();
    cuts.dedup();
    let mut from = whole.from;
    cuts.into_iter().map(|until| Range { from: std::mem::replace(&mut from, until), until }).collect()
}

fn by_points(whole: Range, step: i64) -> Vec<Range> {
    let mut pieces = Vec::new();
    let mut from = whole.from;
    while from < whole.until {
        // The last point of a full piece is a multiple of the step.
        let first = from.div_euclid(step).saturating_add(1).saturating_mul(step);
        let last = first.saturating_add(step.saturating_mul(MAX_POINTS - 1));
        let until = last.min(whole.until);
        pieces.push(Range { from, until });
        from = until;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_030;
    const DAY: i64 = 86_400;

    const fn graphite(history: &[i64]) -> Wants<'_> {
        Wants { history, cut: Cut::Archives(history), every: 60, late: 120, skip_current_minute: true }
    }

    #[track_caller]
    fn check(wants: &Wants<'_>, asked: Option<i64>, expected: &[(i64, i64)]) {
        let got: Vec<_> = wants.ranges(NOW, asked).iter().map(|r| (NOW - r.from, NOW - r.until)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn history_goes_from_coarse_to_fine() {
        // The current minute began 50 seconds ago.
        let history = [90 * DAY, 7 * DAY, DAY];
        let (weeks, day) = (7 * DAY - 60, DAY - 60);
        check(&graphite(&history), None, &[(90 * DAY - 60, weeks), (weeks, day), (day, 51)]);
        check(&graphite(&history), Some(NOW - 2 * DAY), &[(2 * DAY + 120, day), (day, 51)]);
        check(
            &graphite(&history),
            Some(NOW - 200 * DAY),
            &[(90 * DAY, 90 * DAY - 60), (90 * DAY - 60, weeks), (weeks, day), (day, 51)],
        );
        check(&Wants { cut: Cut::Step(DAY), ..graphite(&[90 * DAY]) }, None, &[(90 * DAY, 51)]);
        check(&graphite(&[]), None, &[(351, 51)]);
    }

    #[test]
    fn a_gap_is_asked_for_once() {
        check(&graphite(&[]), Some(NOW - 1_200), &[(1_320, 51)]);
        check(&graphite(&[]), Some(NOW - 51), &[]);
        check(&graphite(&[]), Some(NOW), &[]);
        check(&graphite(&[]), Some(NOW - 100 * DAY), &[(LONGEST_GAP, 51)]);
    }

    #[test]
    fn the_current_minute_is_left_out_if_it_is_to_be() {
        let wants = Wants { skip_current_minute: false, ..graphite(&[]) };
        check(&wants, Some(NOW - 60), &[(180, 0)]);
    }

    #[test]
    fn what_is_shown_of_a_job_is_one_question() {
        let check = |every, step, expected: i64, points: i64| {
            let cut = if step == 0 { Cut::Archives(&[90 * DAY]) } else { Cut::Step(step) };
            let newest = Wants { cut, every, ..graphite(&[90 * DAY]) }.newest(NOW);
            assert_eq!((newest.seconds(), NOW - newest.until), (expected, 51), "{every} {step}");
            if let Some((start, end)) = newest.grid(step.max(1)).filter(|_| step > 0) {
                assert_eq!((end - start) / step + 1, points, "{every} {step}");
            }
        };
        check(60, 0, 600, 0);
        check(DAY, 0, 3 * DAY, 0);
        check(60, 60, 600, 10);
        // Fewer points than that are no answer, more than so many are refused.
        check(60, 3_600, 3 * 3_600, 3);
        check(DAY, 1, MAX_POINTS, MAX_POINTS);
    }

    #[test]
    fn a_piece_is_cut() {
        let range = |from, until| Range { from, until };
        assert_eq!(range(10, 100).cut(60), (range(10, 70), Some(range(70, 100))));
        assert_eq!(range(10, 70).cut(60), (range(10, 70), None));
        assert_eq!(range(10, 100).cut(i64::MAX), (range(10, 100), None));
        assert_eq!(range(10, 100).cut(0), (range(10, 100), None));
        assert_eq!(range(10, 100).seconds(), 90);
    }

    proptest! {
        #[test]
        fn pieces_are_the_whole_span_and_no_piece_is_too_long(
            now in 1_000_000_000_i64..2_000_000_000, back in proptest::option::of(-DAY * 2..DAY * 200),
            history in prop::collection::vec(60..200 * DAY, 0..5), step in 1_i64..4_000, every in 1_i64..4_000,
            late in 0_i64..4_000, skip: bool, is_graphite: bool,
        ) {
            let cut = if is_graphite { Cut::Archives(&history) } else { Cut::Step(step) };
            let wants = Wants { history: &history, cut, every, late, skip_current_minute: skip };
            let asked = back.map(|back| now - back);
            let pieces = wants.ranges(now, asked);
            prop_assert!(pieces.windows(2).all(|w| w[0].until == w[1].from));
            prop_assert!(pieces.iter().all(|p| p.from < p.until));
            match (pieces.first(), pieces.last()) {
                (Some(first), Some(last)) => {
                    prop_assert_eq!(last.until, wants.end(now));
                    let floor = now - history.iter().copied().max().unwrap_or(0).max(LONGEST_GAP);
                    if let Some(asked) = asked.filter(|asked| *asked <= now) {
                        prop_assert_eq!(first.from, (asked - late).max(floor));
                    }
                }
                _ => prop_assert!(asked.is_some() || history.iter().all(|h| *h < 120)),
            }
            if !is_graphite {
                for (start, end) in pieces.iter().filter_map(|p| p.grid(step)) {
                    prop_assert!((end - start) / step < MAX_POINTS);
                }
                // Every multiple is in one of them.
                if let (Some(first), Some(last)) = (pieces.first(), pieces.last()) {
                    let whole = Range { from: first.from, until: last.until }.grid(step);
                    let points = |(start, end): (i64, i64)| (end - start) / step + 1;
                    prop_assert_eq!(whole.map_or(0, points), pieces.iter().filter_map(|p| p.grid(step)).map(points).sum::<i64>());
                }
            }
        }
    }
}
