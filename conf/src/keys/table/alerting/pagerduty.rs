//! The keys of `[alerting.pagerduty]`.

use crate::keys::table::key;
use crate::keys::{Key, Kind};
use Kind::{Path, Text};

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
];
