//! The keys of `[memcached]`: the shared cache.

use super::key;
use crate::keys::{Key, Kind};
use Kind::{Number, Text, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "memcached.address",
        Text,
        "",
        "HOST:PORT, or the path of a Unix socket (MEMCACHED_SERVER_IP, MEMCACHED_SERVER_PORT). Empty: off.",
    ),
    key("memcached.namespace", Text, "", "Beginning of all keys. Nodes that share a record have the same."),
    key(
        "memcached.timeout_seconds",
        Number(0.01, 5.0),
        "seconds",
        "Connecting, asking and the answer together take so long at most.",
    ),
    key(
        "memcached.keep_seconds",
        Whole(1, 2_592_000),
        "seconds",
        "Answers are kept for so long at most. What a node writes is seen by all at once; if that node cannot reach memcached, by the others after so long.",
    ),
];
