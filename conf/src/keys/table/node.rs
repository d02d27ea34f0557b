//! The keys of `[node]`: the process.

use super::key;
use crate::keys::{Key, Kind};
use Kind::{Choice, Number, Path, Text, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "node.name",
        Text,
        "",
        "Name of this node in its own metrics and in records. Empty: the host's name.",
    ),
    key(
        "node.state_dir",
        Path,
        "",
        "Folder of everything that the node keeps: journal, windows, record of anomalies.",
    ),
    key(
        "node.shutdown_seconds",
        Number(0.1, 600.0),
        "seconds",
        "Time that an orderly stop may take. What is not sent by then stays in the journal.",
    ),
    key(
        "node.log",
        Text,
        "",
        "Which log lines are written: error, warn, info, debug or trace, also by part: info,skyline_relay=debug.",
    ),
    key(
        "node.log_format",
        Choice(&["text", "json"]),
        "",
        "Form of the log lines: text, or one JSON object a line.",
    ),
    key(
        "node.self_metrics_seconds",
        Whole(0, 86_400),
        "seconds",
        "Time between the node's own metrics (skyline.<app>.<name>.*), which go to the destinations. 0: none.",
    ),
];
