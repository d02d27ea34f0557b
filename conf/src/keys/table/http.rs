//! The keys of `[http]`: API and health.

use super::key;
use crate::keys::{Key, Kind};
use Kind::Addresses;

pub(super) const KEYS: &[Key] = &[
    key("http.api", Addresses, "", "The JSON API: /api/v1/* and /anomalies.json. Empty list: off."),
    key(
        "http.status",
        Addresses,
        "",
        "/-/healthy, /-/ready, /-/status and /metrics (Prometheus text). Empty list: off.",
    ),
];
