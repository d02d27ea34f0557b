//! The keys of `[window]`: the windows.

use super::{DAY, MOST, key};
use crate::keys::{Key, Kind};
use Kind::{Number, Switch, Text, Texts, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "window.enabled",
        Switch,
        "",
        "Keep windows at all. Off makes the node a relay alone: nothing is judged.",
    ),
    key(
        "window.full_duration_seconds",
        Whole(7_200, 366 * 86_400),
        "seconds",
        "Length of the window (FULL_DURATION).",
    ),
    key(
        "window.grace_seconds",
        Whole(0, 7 * 86_400),
        "seconds",
        "What is kept and judged beyond it (ROOMBA_GRACE_TIME).",
    ),
    key(
        "window.max_future_seconds",
        Whole(0, 366 * 86_400),
        "seconds",
        "Points further ahead of the time of receipt are relayed, not stored.",
    ),
    key(
        "window.max_metrics",
        Whole(1, MOST),
        "metrics",
        "Metrics at most. Further names are relayed, not stored.",
    ),
    key(
        "window.max_new_names_per_minute",
        Whole(0, MOST),
        "names a minute",
        "New names at most. Those beyond it are relayed, not stored, until the next minute. 0: no limit.",
    ),
    key(
        "window.skip",
        Texts,
        "",
        "Names that are relayed, not stored (SKIP_LIST). An entry matches a name that contains it, or that has all of its dotted elements in any order.",
    ),
    key("window.keep", Texts, "", "Names that are stored although skip matches (DO_NOT_SKIP_LIST)."),
    key(
        "window.shards",
        Text,
        "",
        "Shards whose metrics this node keeps and judges, for example 0-511: several nodes that are all sent the same points share the work, and one Redis Cluster. Empty: all 1,024. Other points are only relayed.",
    ),
    key(
        "window.threads",
        Whole(0, 256),
        "threads",
        "Threads that own windows and judge. 0: one for every two cores.",
    ),
    key(
        "window.snapshot_seconds",
        Number(1.0, DAY),
        "seconds",
        "Every shard is saved once in so long; after a crash so much is read again from the journal.",
    ),
];
