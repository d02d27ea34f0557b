//! The keys of `[alerting.pagerduty]`.

use crate::keys::table::key;
use crate::keys::{Key, Kind};
use Kind::{Number, Path, Text};

pub(in crate::keys::table) const KEYS: &[Key] = &[
    key(
        "alerting.pagerduty.routing_key_file",
        Path,
        "",
        "File whose first line is the routing key of an integration by Events API v2. Empty: none.",
    ),
    key(
        "alerting.pagerduty.routing_key_env",
        Text,
        "",
        "Variable of the environment that holds the key instead.",
    ),
    key("alerting.pagerduty.url", Text, "", "Where events go."),
    key(
        "alerting.pagerduty.timeout_seconds",
        Number(0.1, 120.0),
        "seconds",
        "An event takes so long at most.",
    ),
];
