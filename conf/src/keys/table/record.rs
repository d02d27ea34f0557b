//! The keys of `[record]`: the record of anomalies.

use super::{MOST, key};
use crate::keys::{Key, Kind};
use Kind::{Choice, Path, Switch, Text, Whole};

pub(super) const KEYS: &[Key] = &[
    key("record.sqlite_file", Path, "", "SQLite file of the record. Empty: anomalies.db in node.state_dir."),
    key(
        "record.server",
        Text,
        "",
        "MariaDB or MySQL instead of the file: mysql://HOST:PORT/DATABASE, or mysql:///DATABASE?socket=/run/mysqld/mysqld.sock. Empty: SQLite.",
    ),
    key("record.user", Text, "", "User of the server (PANORAMA_DBUSER)."),
    key(
        "record.password_file",
        Path,
        "",
        "File whose first line is that user's password (PANORAMA_DBUSERPASS). Empty: none.",
    ),
    key("record.password_env", Text, "", "Variable of the environment that holds the password instead."),
    key(
        "record.tls",
        Choice(&["off", "verified"]),
        "",
        "How the connection to the server is encrypted: off, or verified = TLS with the server's certificate and name checked.",
    ),
    key(
        "record.ca_file",
        Path,
        "",
        "PEM file of the authorities of the server's certificate. Empty: those of the system.",
    ),
    key(
        "record.join_seconds",
        Whole(0, 86_400),
        "seconds",
        "An anomaly of a metric that follows its last one within this time is counted with it instead of being a new one (PANORAMA_EXPIRY_TIME). 0: each is one.",
    ),
    key(
        "record.spill_bytes",
        Whole(1 << 20, MOST),
        "bytes",
        "While the record is away anomalies wait in a file of this size at most; what does not fit waits in the journal.",
    ),
    key("record.keep_days", Whole(0, 36_500), "days", "Anomalies older than this are removed. 0: never."),
    key("record.syslog.enabled", Switch, "", "Send these lines."),
    key(
        "record.syslog.address",
        Text,
        "",
        "Where to: the path of a Unix datagram socket, or udp:ADDRESS:PORT.",
    ),
];
