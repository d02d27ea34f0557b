//! The keys of `[flux]`: points over HTTP.

use super::{DAY, GIB, key};
use crate::keys::{Item, Key, Kind};
use Kind::{Addresses, Choice, List, Number, Path, Text, Texts, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "flux.listen",
        Addresses,
        "",
        "Addresses (FLUX_IP, FLUX_PORT). Beyond loopback, keys travel in the clear unless a proxy with TLS is in front. Empty list: off.",
    ),
    key("flux.api_keys", List(&KEY), "", "Who may send (FLUX_SELF_API_KEY). Empty list: flux is off."),
    key(
        "flux.max_connections",
        Whole(1, 65_536),
        "connections",
        "Connections at the same time. More wait in the system's queue.",
    ),
    key(
        "flux.max_body_bytes",
        Whole(1_024, 256 << 20),
        "bytes",
        "Longest body as it is sent. A longer one is refused with 413.",
    ),
    key(
        "flux.max_unpacked_bytes",
        Whole(1_024, GIB),
        "bytes",
        "Longest body once it is unpacked (gzip, deflate, snappy). A longer one is refused with 413.",
    ),
    key(
        "flux.memory_bytes",
        Whole(1 << 20, 64 * GIB),
        "bytes",
        "Memory for the bodies of all requests in hand. A request that finds none is refused with 503.",
    ),
    key(
        "flux.head_seconds",
        Number(0.1, 3_600.0),
        "seconds",
        "The head of a request must have come whole within so long, and a connection may rest so long. Else it is closed.",
    ),
    key(
        "flux.body_seconds",
        Number(0.1, 3_600.0),
        "seconds",
        "A body must have come whole within so long. Else the answer is 408.",
    ),
    key(
        "flux.wait_seconds",
        Number(0.0, 600.0),
        "seconds",
        "A request waits so long for room in the journal. Then the answer is 503.",
    ),
    key(
        "flux.max_age_seconds",
        Whole(0, 3_660 * DAY as u64),
        "seconds",
        "Older points are refused with 400. 0: those older than the window.",
    ),
    key(
        "flux.prometheus.template",
        Text,
        "",
        "Name of a series of Prometheus. {label}: the value of a label, a part without one is left out; {*}: all other labels.",
    ),
    key("flux.prometheus.escape", Choice(ESCAPES), "", ESCAPE),
    key("flux.prometheus.drop_labels", Texts, "", "Labels that are left out of {*}."),
    key(
        "flux.influx.template",
        Text,
        "",
        "Name of a field of InfluxDB's line protocol: the same, with {measurement} and {field}.",
    ),
    key("flux.influx.escape", Choice(ESCAPES), "", ESCAPE),
    key("flux.influx.drop_labels", Texts, "", "Tags that are left out of {*}."),
];

const ESCAPES: &[&str] = &["underscore", "percent"];
const ESCAPE: &str = "What characters become that a part of a name cannot have: underscore makes each _, percent makes each byte % and two digits, so that different labels stay different names.";

pub(in crate::keys) static KEY: Item = Item {
    what: "a key",
    keys: &[
        key("flux.api_keys.name", Text, "", "What figures and logs call it."),
        key(
            "flux.api_keys.key_file",
            Path,
            "",
            "File whose first line is the key, of 32 characters or more.",
        ),
        key("flux.api_keys.key_env", Text, "", "Variable of the environment that holds the key instead."),
        key(
            "flux.api_keys.prefix",
            Text,
            "",
            "Stands in front of every name that the key brings, with a dot between. Empty: nothing.",
        ),
        key(
            "flux.api_keys.points_per_second",
            Number(0.0, 1e9),
            "points",
            "Points a second that the key may send. More are answered with 429. 0: any number.",
        ),
        key(
            "flux.api_keys.burst_points",
            Whole(0, 1_000_000_000),
            "points",
            "Points of it that may come at once. 0: those of ten seconds.",
        ),
    ],
    or_text: false,
    example: "{ name = \"shop\", key_file = \"/etc/skyline/flux-shop.key\" }",
    missing: |table| {
        let has = |key| table.contains_key(key);
        let both = has("name") && (has("key_file") || has("key_env"));
        (!both).then_some("`name` and `key_file` (or key_env) are both needed")
    },
};
