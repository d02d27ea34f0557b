//! The keys of `[redis]`: the copy in Redis.

use super::key;
use crate::keys::{Key, Kind};
use Kind::{Choice, Number, Path, Switch, Text, Texts, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "redis.servers",
        Texts,
        "",
        "unix:///run/redis/redis-server.sock, redis://HOST:PORT, or rediss://HOST:PORT for TLS. Several: nodes of a cluster, or sentinels. Empty list: off (REDIS_SOCKET_PATH).",
    ),
    key(
        "redis.kind",
        Choice(&["single", "cluster", "sentinel"]),
        "",
        "What the servers are: one server, nodes of a Redis Cluster, or sentinels that know where the master is.",
    ),
    key("redis.sentinel_master", Text, "", "The name by which the sentinels know the master."),
    key("redis.database", Whole(0, 65_535), "", "Number of the database. A cluster has only 0."),
    key("redis.user", Text, "", "User (ACL). Empty: the default user."),
    key(
        "redis.password_file",
        Path,
        "",
        "File whose first line is the password (REDIS_PASSWORD). Empty: none.",
    ),
    key("redis.password_env", Text, "", "Variable of the environment that holds the password instead."),
    key("redis.ca_file", Path, "", "PEM file of the authorities for rediss://. Empty: those of the system."),
    key(
        "redis.certificate_file",
        Path,
        "",
        "PEM file with the node's own certificate and key for rediss://. Empty: none is shown.",
    ),
    key(
        "redis.layout",
        Choice(&["chunks", "compat"]),
        "",
        "How windows are written: chunks = blocks of many metrics in hash fields, a few commands for a thousand points; compat = each point appended to its metric's key, as Skyline's own tools read and write it. docs/redis-layout.md has both byte by byte.",
    ),
    key(
        "redis.namespace",
        Text,
        "",
        "Beginning of the keys of Skyline's windows (FULL_NAMESPACE): those of layout compat, and those that are taken over.",
    ),
    key(
        "redis.prefix",
        Text,
        "",
        "Beginning of the node's own keys: all of layout chunks, the marks of compat. Nodes that share windows have the same, others have others.",
    ),
    key(
        "redis.adopt",
        Switch,
        "",
        "Take windows that the node lacks from Redis, in either layout. Nothing that is there is changed by that.",
    ),
    key(
        "redis.write_seconds",
        Number(1.0, 86_400.0),
        "seconds",
        "Layout chunks: every shard is written once in this time. So much of the windows is lost at most if the node's disk is.",
    ),
    key(
        "redis.trim_seconds",
        Number(0.0, 86_400.0),
        "seconds",
        "Layout compat: every key is freed of old points once in this time, as Skyline's Roomba did. 0: never.",
    ),
    key("redis.timeout_seconds", Number(0.1, 60.0), "seconds", "An answer of Redis is awaited for so long."),
];
