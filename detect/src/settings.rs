//! What gates and consensus go by. Defaults are the reference's (`skyline:settings.py`).

use skyline_core::algorithm::AlgorithmSet;

/// How far the reference is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// Its verdicts, without its evident mistakes:
    /// - boring is `boredom_set_size` distinct values **or fewer** ([`crate::gate`]);
    /// - [`crate::boundary::Rule::LessThan`] and `GreaterThan` look at boring windows too;
    /// - a steady metric below 20 is no cliff ([`crate::boundary::Rule::DropOffCliff`]).
    #[default]
    Mended,
    /// To the letter: for its own case files.
    Reference,
}

/// Settings of the verdict on a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The ensemble (`ALGORITHMS`).
    pub algorithms: AlgorithmSet,
    /// Votes needed (`CONSENSUS`).
    pub consensus: u32,
    /// Older newest points are not judged, seconds (`STALE_PERIOD`).
    pub stale_seconds: f64,
    /// Fewer points are not judged (`MIN_TOLERABLE_LENGTH`).
    pub min_points: u32,
    /// Newest points looked at for boredom (`MAX_TOLERABLE_BOREDOM`).
    pub boredom_points: u32,
    /// So many distinct values among them, or fewer, are boring (`BOREDOM_SET_SIZE`); 0: no gate.
    pub boredom_set_size: u32,
    /// Length of the window, seconds (`FULL_DURATION`; Mirage: its second-order resolution).
    pub full_duration: f64,
    /// How far the reference is followed.
    pub manner: Manner,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            algorithms: AlgorithmSet::ALL,
            consensus: 6,
            stale_seconds: 500.0,
            min_points: 1,
            boredom_points: 100,
            boredom_set_size: 1,
            full_duration: 86_400.0,
            manner: Manner::Mended,
        }
    }
}
