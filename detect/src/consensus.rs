//! From votes to a verdict.
//!
//! Anomalous if at least `consensus` of the ensemble vote yes. Asking stops as soon as that is out of reach;
//! the outcome does not depend on the order, so cheap votes that are often no come first. An
//! anomalous verdict has asked every algorithm.

use crate::settings::Settings;
use crate::vote::{self, Scratch, Vote};
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_store::view::WindowView;
use std::ops::ControlFlow;

/// Order of asking.
pub const ORDER: [Algorithm; 9] = [
    Algorithm::FirstHourAverage,
    Algorithm::StddevFromAverage,
    Algorithm::MeanSubtractionCumulation,
    Algorithm::StddevFromMovingAverage,
    Algorithm::Grubbs,
    Algorithm::LeastSquares,
    Algorithm::KsTest,
    Algorithm::HistogramBins,
    Algorithm::MedianAbsoluteDeviation,
];

/// Votes as they come in.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    asked: AlgorithmSet,
    yes: AlgorithmSet,
    no: u32,
    /// So many "no" may be, and consensus is still in reach.
    bearable: u32,
    /// More votes are needed than there are algorithms.
    hopeless: bool,
}

impl Tally {
    /// No vote yet.
    #[must_use]
    pub const fn new(settings: &Settings) -> Self {
        let all = settings.algorithms.len();
        Self {
            asked: AlgorithmSet::EMPTY,
            yes: AlgorithmSet::EMPTY,
            no: 0,
            bearable: all.saturating_sub(settings.consensus),
            hopeless: settings.consensus > all,
        }
    }

    /// Takes a vote; breaks when consensus is out of reach.
    pub const fn vote(&mut self, algorithm: Algorithm, yes: bool) -> ControlFlow<()> {
        self.asked.insert(algorithm);
        if yes {
            self.yes.insert(algorithm);
        } else {
            self.no += 1;
        }
        if self.is_anomalous() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Whether consensus is reached or, before all have been asked, still in reach.
    #[must_use]
    pub const fn is_anomalous(&self) -> bool {
        self.no <= self.bearable && !self.hopeless
    }

    /// Algorithms that have voted.
    #[must_use]
    pub const fn asked(&self) -> AlgorithmSet {
        self.asked
    }

    /// Those that voted yes.
    #[must_use]
    pub const fn yes(&self) -> AlgorithmSet {
        self.yes
    }
}

/// A verdict on a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether enough algorithms agree.
    pub anomalous: bool,
    /// Algorithms that were asked.
    pub asked: AlgorithmSet,
    /// Those that voted yes.
    pub yes: AlgorithmSet,
    /// The newest value, as it came; NaN for an empty window.
    pub datapoint: f64,
}

impl Verdict {
    fn new(tally: &Tally, view: WindowView<'_>) -> Self {
        Self {
            anomalous: tally.is_anomalous() && !view.is_empty(),
            asked: tally.asked(),
            yes: tally.yes(),
            datapoint: view.values.last().copied().unwrap_or(f64::NAN),
        }
    }

    /// One algorithm's vote.
    #[must_use]
    pub const fn vote(&self, algorithm: Algorithm) -> Vote {
        if !self.asked.contains(algorithm) {
            Vote::NotAsked
        } else if self.yes.contains(algorithm) {
            Vote::Yes
        } else {
            Vote::No
        }
    }
}

impl Verdict {
    /// The votes as the reference reports them, from a verdict that has asked all: in the `order` of
    /// `ALGORITHMS`, and false for those that it would not have run, once consensus was out of reach.
    #[must_use]
    pub fn ensemble_as_reference(&self, order: &[Algorithm], consensus: u32) -> Vec<bool> {
        let bearable = order.len().saturating_sub(consensus as usize);
        let mut no = 0;
        let votes = order.iter().map(|algorithm| {
            let yes = self.yes.contains(*algorithm) && no <= bearable;
            no += usize::from(!yes);
            yes
        });
        votes.collect()
    }
}

/// Judges a window whose gates are open; `now` in seconds. An empty window is not anomalous.
pub fn decide(view: WindowView<'_>, now: f64, settings: &Settings, scratch: &mut Scratch) -> Verdict {
    let mut tally = Tally::new(settings);
    for algorithm in ORDER.into_iter().filter(|a| settings.algorithms.contains(*a)) {
        let yes = vote::judge(algorithm, view, now, settings, scratch) == Vote::Yes;
        if tally.vote(algorithm, yes).is_break() {
            break;
        }
    }
    Verdict::new(&tally, view)
}

/// Asks every algorithm of the ensemble, as Mirage does (with its second-order resolution as
/// `full_duration`) and as an explanation wants it.
pub fn decide_all(view: WindowView<'_>, now: f64, settings: &Settings, scratch: &mut Scratch) -> Verdict {
    let mut tally = Tally::new(settings);
    for algorithm in settings.algorithms.iter() {
        let yes = vote::judge(algorithm, view, now, settings, scratch) == Vote::Yes;
        if tally.vote(algorithm, yes).is_break() {
            // Out of reach, but all are asked.
            continue;
        }
    }
    Verdict::new(&tally, view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn four_no_settle_it() {
        let mut tally = Tally::new(&Settings::default());
        for algorithm in [Algorithm::Grubbs, Algorithm::KsTest, Algorithm::LeastSquares] {
            assert!(tally.vote(algorithm, false).is_continue());
        }
        assert!(tally.vote(Algorithm::HistogramBins, true).is_continue());
        assert!(tally.vote(Algorithm::FirstHourAverage, false).is_break());
        assert!(!tally.is_anomalous());
        assert!(!Tally::new(&Settings { consensus: 10, ..Settings::default() }).is_anomalous());
    }

    #[test]
    fn ensembles_as_the_reference_reports_them() {
        let order = [Algorithm::Grubbs, Algorithm::KsTest, Algorithm::LeastSquares, Algorithm::HistogramBins];
        let check = |yes: &[Algorithm], consensus, expected: [bool; 4]| {
            let yes = yes.iter().copied().collect();
            let verdict = Verdict { anomalous: false, asked: AlgorithmSet::ALL, yes, datapoint: 0.0 };
            assert_eq!(verdict.ensemble_as_reference(&order, consensus), expected, "{yes:?} {consensus}");
        };
        check(&order, 3, [true; 4]);
        check(&[Algorithm::HistogramBins], 3, [false; 4]);
        check(&[Algorithm::HistogramBins], 1, [false, false, false, true]);
        check(&[Algorithm::Grubbs, Algorithm::HistogramBins], 3, [true, false, false, false]);
        check(&[Algorithm::Grubbs, Algorithm::HistogramBins], 2, [true, false, false, true]);
    }

    #[test]
    fn what_was_not_asked_is_no_vote() {
        let values: Vec<f64> = (0..300).map(|i| f64::from(i % 10)).collect();
        let ts: Vec<f64> = (0..300).map(|i| 1_700_000_000.0 + 60.0 * f64::from(i)).collect();
        let view = WindowView::new(&ts, &values);
        let verdict = decide(view, 1_700_018_000.0, &Settings::default(), &mut Scratch::default());
        assert!(!verdict.anomalous);
        assert_eq!(verdict.asked.len(), 4);
        assert_eq!(verdict.vote(Algorithm::FirstHourAverage), Vote::No);
        assert_eq!(verdict.vote(Algorithm::HistogramBins), Vote::NotAsked);
        assert_eq!(verdict.datapoint, 9.0);
        let empty = decide_all(WindowView::new(&[], &[]), 0.0, &Settings::default(), &mut Scratch::default());
        assert!(!empty.anomalous && empty.datapoint.is_nan());
    }

    proptest! {
        #[test]
        fn stopping_early_changes_nothing(mut values in prop::collection::vec(-5_i32..5, 1..400), jump in 0_i32..200, consensus in 1_u32..10) {
            let n = values.len();
            for v in values.iter_mut().skip(n.saturating_sub(3)) {
                *v += jump;
            }
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let ts: Vec<f64> = (0..n).map(|i| 1_700_000_000.0 + 300.0 * i as f64).collect();
            let settings = Settings { consensus, ..Settings::default() };
            let view = WindowView::new(&ts, &values);
            let now = ts[n - 1] + 3.0;
            let quick = decide(view, now, &settings, &mut Scratch::default());
            let whole = decide_all(view, now, &settings, &mut Scratch::default());
            prop_assert_eq!(quick.anomalous, whole.anomalous);
            prop_assert_eq!(quick.yes.bits() & !whole.yes.bits(), 0);
            if quick.anomalous {
                prop_assert_eq!(quick, whole);
            }
        }
    }
}
