//! `[detect]`: gates, algorithms and consensus.

use serde::{Deserialize, Serialize};

/// Detection. Names of the reference's settings are in brackets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detect {
    /// Judge at all (`ANALYZER_ENABLED`).
    pub enabled: bool,
    /// Algorithms of the ensemble (`ALGORITHMS`).
    pub algorithms: Vec<String>,
    /// Votes needed (`CONSENSUS`).
    pub consensus: u32,
    /// A point older than this when it arrives is stored, not judged, seconds (`STALE_PERIOD`).
    pub stale_seconds: u32,
    /// Fewer points are not judged (`MIN_TOLERABLE_LENGTH`).
    pub min_points: u32,
    /// Newest points looked at for boredom (`MAX_TOLERABLE_BOREDOM`).
    pub boredom_points: u32,
    /// So many distinct values among them or fewer are boring (`BOREDOM_SET_SIZE`); 0 switches the gate off.
    pub boredom_set_size: u32,
    /// Only surface anomalies whose interval is unusual (`ENABLE_SECOND_ORDER`).
    pub second_order: bool,
    /// Names that are never taken for counters (`NON_DERIVATIVE_MONOTONIC_METRICS`), matched as `window.skip`.
    pub never_counters: Vec<String>,
}

impl Default for Detect {
    fn default() -> Self {
        Self {
            enabled: true,
            algorithms: skyline_core::algorithm::Algorithm::ALL.iter().map(|a| a.name().to_owned()).collect(),
            consensus: 6,
            stale_seconds: 500,
            min_points: 1,
            boredom_points: 100,
            boredom_set_size: 1,
            second_order: false,
            never_counters: Vec::new(),
        }
    }
}
