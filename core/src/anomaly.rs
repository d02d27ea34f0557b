//! What the detector found: one anomalous datapoint and why it was called so.

use crate::algorithm::AlgorithmSet;
use crate::point::Datapoint;

/// One anomalous datapoint. Immutable; it moves from the shard to the record and to the people.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    /// The metric's name (checked by [`crate::name::for_window`]).
    pub metric: String,
    /// The datapoint that was judged. Of a counter: the raw point; see `judged_value`.
    pub point: Datapoint,
    /// The value that the algorithms saw: equal to the point's, or for a counter its increase.
    pub judged_value: f64,
    /// When the point was received, seconds: the `now` of the verdict.
    pub received: f64,
    /// Algorithms that were asked.
    pub asked: AlgorithmSet,
    /// Those that voted yes.
    pub triggered: AlgorithmSet,
    /// Mean of the window that was judged (of the increases, for a counter).
    pub mean: f64,
    /// Sample standard deviation of that window.
    pub stddev: f64,
    /// Time of the oldest point of the window, seconds.
    pub window_from: f64,
    /// Points in the window.
    pub window_points: u32,
    /// The `FULL_DURATION` in force, seconds.
    pub full_duration: u32,
    /// Whether the metric was judged as a counter.
    pub counter: bool,
    /// Sequence number of the point in the journal.
    pub seq: u64,
}
