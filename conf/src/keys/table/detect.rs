//! The keys of `[detect]`: detection.

use super::key;
use crate::keys::{Key, Kind};
use Kind::{Switch, Texts, Whole};

pub(super) const KEYS: &[Key] = &[
    key("detect.enabled", Switch, "", "Judge at all (ANALYZER_ENABLED)."),
    key("detect.algorithms", Texts, "", "Algorithms that vote (ALGORITHMS)."),
    key("detect.consensus", Whole(1, 9), "votes", "Votes that make a point anomalous (CONSENSUS)."),
    key(
        "detect.stale_seconds",
        Whole(1, 366 * 86_400),
        "seconds",
        "A point that is older than this when it arrives is stored, not judged (STALE_PERIOD).",
    ),
    key(
        "detect.min_points",
        Whole(0, u32::MAX as u64),
        "points",
        "A metric with fewer points is not judged (MIN_TOLERABLE_LENGTH).",
    ),
    key(
        "detect.boredom_points",
        Whole(1, u32::MAX as u64),
        "points",
        "Newest points that are looked at for boredom (MAX_TOLERABLE_BOREDOM).",
    ),
    key(
        "detect.boredom_set_size",
        Whole(0, u32::MAX as u64),
        "values",
        "A metric with so many distinct values among them, or fewer, is not judged (BOREDOM_SET_SIZE). 0: all are judged.",
    ),
    key(
        "detect.second_order",
        Switch,
        "",
        "Only surface anomalies that break their metric's rhythm: the interval since its last one differs from the earlier ones by more than three standard deviations (ENABLE_SECOND_ORDER). The first four surface; so does the first after a restart.",
    ),
    key(
        "detect.never_counters",
        Texts,
        "",
        "Names that are never taken for counters (NON_DERIVATIVE_MONOTONIC_METRICS), matched as window.skip.",
    ),
];
