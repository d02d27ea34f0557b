//! The keys of `[journal]`: the log.

use super::{GIB, MOST, key};
use crate::keys::{Key, Kind};
use Kind::{Choice, Number, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "journal.max_bytes",
        Whole(1 << 20, MOST),
        "bytes",
        "Disk budget of the journal. Files are removed as soon as every reader is past them.",
    ),
    key(
        "journal.segment_bytes",
        Whole(1 << 20, 16 * GIB),
        "bytes",
        "Size of a segment file. At most a quarter of the budget is used.",
    ),
    key(
        "journal.memory_bytes",
        Whole(0, 64 * GIB),
        "bytes",
        "Newest batches held in memory, at most, until every reader has taken them; who is further behind reads the files.",
    ),
    key(
        "journal.durability",
        Choice(&["process", "machine"]),
        "",
        "When a point counts as logged: process = once the kernel has it, which survives kill -9 but not a power loss; machine = once it is synced to the disk.",
    ),
    key(
        "journal.when_full",
        Choice(&["shed_oldest", "block"]),
        "",
        "When the budget is spent: shed_oldest = the oldest segment goes, and each reader that had not read it is charged; block = nothing is taken until readers catch up, and listeners act by their own when_full.",
    ),
    key(
        "journal.min_free_percent",
        Number(0.0, 90.0),
        "percent",
        "Share of the file system that the journal leaves free: it makes its budget smaller in time.",
    ),
];
