//! The keys of `[backfill]`: filling windows from Graphite or from whisper files.

use super::key;
use crate::keys::{Key, Kind};
use Kind::{Number, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "backfill.requests_per_second",
        Number(0.01, 10_000.0),
        "requests",
        "Questions to a Graphite server a second, so that others who ask it are served as before. `skyline backfill --rate` says it for one job.",
    ),
    key(
        "backfill.concurrency",
        Whole(1, 64),
        "requests",
        "Questions at the same time; of whisper files, groups that are read at the same time.",
    ),
    key(
        "backfill.metrics_per_request",
        Whole(1, 1_000),
        "metrics",
        "Metrics of one question. What is too long for an answer is asked for in halves.",
    ),
    key(
        "backfill.points_per_second",
        Number(1.0, 1e9),
        "points",
        "Points that go into the log a second, so that live ones are judged as soon as before.",
    ),
    key(
        "backfill.attempts",
        Whole(1, 100),
        "attempts",
        "Attempts of a question that fails. Then its metrics are asked for in halves (at once where the server answers 500, 413, 414 or 400), and one that fails alone is left out and told; where the server cannot be reached, the job ends.",
    ),
    key(
        "backfill.retry_seconds",
        Number(0.01, 3_600.0),
        "seconds",
        "Pause after the first failure. It doubles with each.",
    ),
];
