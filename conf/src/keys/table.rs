//! The table of all sections and keys.

use super::relay::{CLUSTER, DESTINATION, RULE};
use super::{Item, Key, Kind, Section};
use Kind::{Address, Addresses, Choice, List, Number, Path, Paths, Switch, Text, Texts, Whole};

/// The largest number that TOML can write.
pub(super) const MOST: u64 = i64::MAX as u64;
const DAY: f64 = 86_400.0;
const GIB: u64 = 1 << 30;

const fn section(name: &'static str, text: &'static str) -> Section {
    Section { name, text }
}

pub(super) const fn key(path: &'static str, kind: Kind, unit: &'static str, text: &'static str) -> Key {
    Key { path, kind, unit, text }
}

pub(super) const SECTIONS: &[Section] = &[
    section("node", "The process: where its state is, how it stops and logs."),
    section("listen", "Where points come in. An empty list switches a kind of listener off."),
    section("listen.keepalive", "Noticing senders that have gone without a word."),
    section("journal", "The log that every point goes through before anything else sees it."),
    section("relay", "Where points are forwarded to."),
    section(
        "relay.files",
        "The file of another relay that says how points are relayed, instead of all of the above. One at most.",
    ),
    section("relay.sending", "How points are sent, unless a destination says otherwise."),
    section("relay.sending.keepalive", "Noticing destinations that have gone without a word."),
    section("window", "The rolling window of each metric."),
    section(
        "detect",
        "Detection. Names in brackets are those of the same settings in Skyline's settings.py.",
    ),
    section("record", "Where anomalies are recorded."),
    section("record.syslog", "One syslog line for each anomaly: facility local4, severity warning."),
    section(
        "redis",
        "The copy of the windows in Redis, from which a node with an empty disk takes them. Off without a server. docs/stores.md says what it holds and how to secure it.",
    ),
    section("memcached", "A cache in front of the record that several nodes share. Never needed."),
    section("http", "API, health and metrics over HTTP. Until there are accounts, loopback addresses only."),
];

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
    key("listen.plaintext_tcp", Addresses, "", "Carbon lines over TCP."),
    key("listen.plaintext_udp", Addresses, "", "Carbon lines over UDP."),
    key("listen.plaintext_unix", Paths, "", "Carbon lines over Unix stream sockets."),
    key(
        "listen.pickle_tcp",
        Addresses,
        "",
        "Carbon pickles over TCP. 2024 is the port to which Skyline's documentation points carbon-relay.",
    ),
    key(
        "listen.protobuf_tcp",
        Addresses,
        "",
        "Carbon's protobuf over TCP. carbon's own example has it on port 2005.",
    ),
    key(
        "listen.msgpack_udp",
        Addresses,
        "",
        "msgpack [name, [timestamp, value]] over UDP, one a datagram. Skyline used port 2025.",
    ),
    key(
        "listen.stream",
        List(&STREAM),
        "",
        "Stream listeners that are compressed, encrypted, or have a protocol of their own, each a table.",
    ),
    key(
        "listen.max_connections",
        Whole(1, u32::MAX as u64),
        "connections",
        "Connections at once over all stream listeners. New ones beyond it wait until others end.",
    ),
    key(
        "listen.idle_seconds",
        Number(0.0, 365.0 * DAY),
        "seconds",
        "A connection that has sent nothing for so long is closed. 0: never.",
    ),
    key(
        "listen.max_line_bytes",
        Whole(64, 32_768),
        "bytes",
        "Longest line without its newline. Longer ones are refused and counted.",
    ),
    key(
        "listen.max_frame_bytes",
        Whole(64, 64 << 20),
        "bytes",
        "Longest frame (pickle, protobuf). A longer one closes its connection, as carbon does.",
    ),
    key(
        "listen.timestamp_resolution_seconds",
        Whole(0, 86_400),
        "seconds",
        "Timestamps are rounded down to a multiple of this. 0: they are left as they are.",
    ),
    key(
        "listen.udp_buffer_bytes",
        Whole(4_096, 2 * GIB - 1),
        "bytes",
        "Receive buffer asked for on each UDP socket. The system may grant less: net.core.rmem_max.",
    ),
    key(
        "listen.when_full",
        Choice(&["block", "shed"]),
        "",
        "Stream listeners, when the journal cannot take a batch: block = stop reading until it can; shed = refuse the batch and count it.",
    ),
    key(
        "listen.udp_when_full",
        Choice(&["block", "shed"]),
        "",
        "UDP listeners, when the journal cannot take a batch: as when_full. With block the system drops what its buffer does not hold.",
    ),
    key(
        "listen.keepalive.idle_seconds",
        Whole(0, 32_767),
        "seconds",
        "A TCP connection of a sender on which nothing moves for so long is probed. 0: it is not.",
    ),
    key("listen.keepalive.interval_seconds", Whole(1, 32_767), "seconds", "Time between probes."),
    key(
        "listen.keepalive.probes",
        Whole(1, 127),
        "probes",
        "The connection is given up when so many in a row are not answered.",
    ),
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
    key(
        "relay.method",
        Choice(&["constant", "consistent-hashing"]),
        "",
        "How destinations are chosen for a metric: constant = every point to every destination; consistent-hashing = carbon's hash ring (carbon_ch) on the name.",
    ),
    key(
        "relay.replication_factor",
        Whole(1, 1_000),
        "destinations",
        "How many destinations a metric goes to, with consistent-hashing.",
    ),
    key(
        "relay.diverse_replicas",
        Switch,
        "",
        "Whether these must be on different hosts, with consistent-hashing.",
    ),
    key(
        "relay.destinations",
        List(&DESTINATION),
        "",
        "The destinations, each host:port[:instance][:protocol] with protocol plaintext (default), pickle or protobuf, or a table with settings of its own.",
    ),
    key(
        "relay.names",
        Choice(&["as_received", "tags_normalized", "cleaned"]),
        "",
        "How names are treated before the first rule: tags_normalized = their tags in normal form, as carbon's TAG_RELAY_NORMALIZED; cleaned = as carbon-c-relay does: one dot for many, none at the ends, and _ for every character but ASCII letters, digits, dots and allowed_characters.",
    ),
    key(
        "relay.allowed_characters",
        Text,
        "",
        "With names = \"cleaned\": what is allowed besides ASCII letters, digits and dots.",
    ),
    key(
        "relay.dialect",
        Choice(&["python", "python_any_case", "posix", "go"]),
        "",
        "Whose regular expressions regex in a pattern is, unless the pattern has a dialect of its own.",
    ),
    key(
        "relay.cluster",
        List(&CLUSTER),
        "",
        "Destinations that share points, each a table with a name. relay.destinations are one more, called destinations, which shares by method.",
    ),
    key(
        "relay.rule",
        List(&RULE),
        "",
        "What happens to a name, from the first rule to the last: each is a table that sends it to clusters, discards, renames or aggregates it. None: all names go to relay.destinations.",
    ),
    key(
        "relay.own_metrics_at",
        Text,
        "",
        "Where the node's own metrics enter: top = before the first rule, nowhere, or the name of a rule.",
    ),
    key(
        "relay.own_metrics_to",
        Texts,
        "",
        "Clusters that the node's own metrics go to, past all rules, in place of own_metrics_at.",
    ),
    key(
        "relay.detour_seconds",
        Number(0.0, 86_400.0),
        "seconds",
        "A member of a ring (or of those that share points otherwise) that is down for so long has new points of its names go to the others until it is back; what was routed to it before waits for it. 0: they wait too. carbon.conf's DYNAMIC_ROUTER counts instead, if it is on.",
    ),
    key(
        "relay.self_metrics",
        Choice(&["auto", "none", "carbon", "carbon_c_relay"]),
        "",
        "Under whose names the relay tells of itself, besides node.self_metrics_seconds: carbon = carbon.relays.<host>-<instance>.*; carbon_c_relay = carbon.relays.<host>.*; auto = those of the program whose file relay.files names, at the interval of that file; none = nobody's.",
    ),
    key(
        "relay.deduplicate_seconds",
        Whole(0, 86_400),
        "seconds",
        "A point is refused as a duplicate if another sender (another IP address) brought the same name, time and value less than so long ago: for two feeds that bring the same. What one sender repeats goes on. 0: nothing is looked at.",
    ),
    key(
        "relay.deduplicate_points",
        Whole(1_000, 100_000_000),
        "points",
        "Newest points that are remembered for that, at most: those of deduplicate_seconds, or duplicates go on. About 50 bytes of memory each.",
    ),
    key(
        "relay.reload_on_change",
        Switch,
        "",
        "Read this file and the files of relay.files again when they have changed, as SIGHUP does. A file with a fault changes nothing.",
    ),
    key(
        "relay.files.carbon_conf",
        Path,
        "",
        "carbon's carbon.conf. relay-rules.conf, rewrite-rules.conf, aggregation-rules.conf, blacklist.conf and whitelist.conf are read from its folder. Its listeners count instead of those of [listen]. Empty: none.",
    ),
    key(
        "relay.files.carbon_program",
        Choice(&["relay", "aggregator"]),
        "",
        "Which sections of carbon.conf are read: relay = [relay], aggregator = [aggregator].",
    ),
    key(
        "relay.files.carbon_instance",
        Text,
        "",
        "Instance of carbon's --instance: the section [relay:INSTANCE] goes over [relay].",
    ),
    key(
        "relay.files.c_relay_conf",
        Path,
        "",
        "A file in carbon-c-relay's language. Its listen statements, if it has any, count instead of [listen]. Empty: none.",
    ),
    key(
        "relay.files.c_relay_ca",
        Path,
        "",
        "carbon-c-relay's -C: a PEM file, or a folder of them, of the authorities that servers are checked with, and clients of listeners with mtls. A certificate that is in it itself is trusted. Empty: servers with those of the system (or of the variable SSL_CERT_FILE), clients with the file that the listener names.",
    ),
    key(
        "relay.files.c_relay_characters",
        Text,
        "",
        "carbon-c-relay's -c: the characters of names besides letters, digits and dots. Others become _.",
    ),
    key("relay.files.relay_ng_conf", Path, "", "carbon-relay-ng's TOML. Empty: none."),
    key(
        "relay.sending.when_behind",
        Choice(&["spool", "block", "shed"]),
        "",
        "While a destination is further behind than its mark: spool = its points stay in the journal; block = listeners pause until it is below resume_share of the mark; shed = it skips its oldest points, counted.",
    ),
    key(
        "relay.sending.mark_points",
        Whole(1, MOST),
        "points",
        "How far behind a destination may be before when_behind applies.",
    ),
    key(
        "relay.sending.resume_share",
        Number(0.0, 1.0),
        "",
        "With when_behind = \"block\": share of the mark below which listeners go on.",
    ),
    key(
        "relay.sending.catch_up_points_per_second",
        Whole(0, MOST),
        "points a second",
        "Most that is sent while catching up from the journal's files. 0: no limit.",
    ),
    key(
        "relay.sending.resend_bytes",
        Whole(0, GIB),
        "bytes",
        "How far back the sender goes at most after a connection that the other side has ended or that broke, and after a crash of the node: what the socket buffers of both sides can hold, and what a carbon that is restarted has read and not yet written. Carbon overwrites equal points, so a second copy does no harm and a hole would. At most an eighth of journal.max_bytes counts.",
    ),
    key("relay.sending.points_per_frame", Whole(1, 100_000), "points", "Points in a pickle frame."),
    key("relay.sending.connect_seconds", Number(0.1, 600.0), "seconds", "Time for a connection attempt."),
    key(
        "relay.sending.stall_seconds",
        Number(0.1, DAY),
        "seconds",
        "An open connection on which nothing moves for so long is given up.",
    ),
    key(
        "relay.sending.retry_min_seconds",
        Number(0.01, 3_600.0),
        "seconds",
        "First pause between attempts. It doubles up to retry_max_seconds, with jitter.",
    ),
    key(
        "relay.sending.retry_max_seconds",
        Number(0.01, 3_600.0),
        "seconds",
        "Longest pause between attempts.",
    ),
    key(
        "relay.sending.keepalive.idle_seconds",
        Whole(0, 32_767),
        "seconds",
        "A TCP connection to a destination on which nothing moves for so long is probed. 0: it is not.",
    ),
    key("relay.sending.keepalive.interval_seconds", Whole(1, 32_767), "seconds", "Time between probes."),
    key(
        "relay.sending.keepalive.probes",
        Whole(1, 127),
        "probes",
        "The connection is given up when so many in a row are not answered.",
    ),
    key(
        "window.enabled",
        Switch,
        "",
        "Keep windows at all. Off makes the node a relay alone: nothing is judged.",
    ),
    key(
        "window.full_duration_seconds",
        Whole(7_200, 366 * 86_400),
        "seconds",
        "Length of the window (FULL_DURATION).",
    ),
    key(
        "window.grace_seconds",
        Whole(0, 7 * 86_400),
        "seconds",
        "What is kept and judged beyond it (ROOMBA_GRACE_TIME).",
    ),
    key(
        "window.max_future_seconds",
        Whole(0, 366 * 86_400),
        "seconds",
        "Points further ahead of the time of receipt are relayed, not stored.",
    ),
    key(
        "window.max_metrics",
        Whole(1, MOST),
        "metrics",
        "Metrics at most. Further names are relayed, not stored.",
    ),
    key(
        "window.max_new_names_per_minute",
        Whole(0, MOST),
        "names a minute",
        "New names at most. Those beyond it are relayed, not stored, until the next minute. 0: no limit.",
    ),
    key(
        "window.skip",
        Texts,
        "",
        "Names that are relayed, not stored (SKIP_LIST). An entry matches a name that contains it, or that has all of its dotted elements in any order.",
    ),
    key("window.keep", Texts, "", "Names that are stored although skip matches (DO_NOT_SKIP_LIST)."),
    key(
        "window.shards",
        Text,
        "",
        "Shards whose metrics this node keeps and judges, for example 0-511: several nodes that are all sent the same points share the work, and one Redis Cluster. Empty: all 1,024. Other points are only relayed.",
    ),
    key(
        "window.threads",
        Whole(0, 256),
        "threads",
        "Threads that own windows and judge. 0: one for every two cores.",
    ),
    key(
        "window.snapshot_seconds",
        Number(1.0, DAY),
        "seconds",
        "Every shard is saved once in so long; after a crash so much is read again from the journal.",
    ),
    key("detect.enabled", Switch, "", "Judge at all (ANALYZER_ENABLED)."),
    key("detect.algorithms", Texts, "", "Algorithms that vote (ALGORITHMS)."),
    key("detect.consensus", Whole(1, 9), "votes", "Votes that make a point anomalous (CONSENSUS)."),
    key(
        "detect.stale_seconds",
        Whole(1, 366 * 86_400),
        "seconds",
        "A point that is older than this when it arrives is stored, not judged (STALE_PERIOD).",
    ),
    key(
        "detect.min_points",
        Whole(0, u32::MAX as u64),
        "points",
        "A metric with fewer points is not judged (MIN_TOLERABLE_LENGTH).",
    ),
    key(
        "detect.boredom_points",
        Whole(1, u32::MAX as u64),
        "points",
        "Newest points that are looked at for boredom (MAX_TOLERABLE_BOREDOM).",
    ),
    key(
        "detect.boredom_set_size",
        Whole(0, u32::MAX as u64),
        "values",
        "A metric with so many distinct values among them, or fewer, is not judged (BOREDOM_SET_SIZE). 0: all are judged.",
    ),
    key(
        "detect.second_order",
        Switch,
        "",
        "Only surface anomalies that break their metric's rhythm: the interval since its last one differs from the earlier ones by more than three standard deviations (ENABLE_SECOND_ORDER). The first four surface; so does the first after a restart.",
    ),
    key(
        "detect.never_counters",
        Texts,
        "",
        "Names that are never taken for counters (NON_DERIVATIVE_MONOTONIC_METRICS), matched as window.skip.",
    ),
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
    key("http.api", Addresses, "", "The JSON API: /api/v1/* and /anomalies.json. Empty list: off."),
    key(
        "http.status",
        Addresses,
        "",
        "/-/healthy, /-/ready, /-/status and /metrics (Prometheus text). Empty list: off.",
    ),
];

pub(super) static STREAM: Item = Item {
    what: "a stream",
    keys: STREAM_KEYS,
    or_text: false,
    example: "{ address = \"0.0.0.0:2013\", packing = \"gzip\" }",
    missing: |table| {
        let both = table.contains_key("address") == table.contains_key("unix");
        both.then_some("either `address` or `unix` is needed, for example `address = \"0.0.0.0:2013\"`")
    },
};

const STREAM_KEYS: &[Key] = &[
    key("listen.stream.address", Address, "", "TCP: the IP address and port to listen on."),
    key("listen.stream.unix", Path, "", "Unix stream socket: its path. Either this or address."),
    key(
        "listen.stream.protocol",
        Choice(&["plaintext", "pickle", "protobuf"]),
        "",
        "What the bytes mean once they are decrypted and unpacked. Default: plaintext.",
    ),
    key(
        "listen.stream.packing",
        Choice(&["plain", "gzip", "lz4"]),
        "",
        "How the bytes are compressed, within TLS: gzip = one stream, flushed in pieces, or several one after the other; lz4 = frames, one after the other. Default: plain.",
    ),
    key("listen.stream.tls", Kind::One(&TLS), "", "How the bytes are encrypted. Left out: not at all."),
];

static TLS: Item = Item {
    what: "tls",
    keys: TLS_KEYS,
    or_text: false,
    example: "{ certificate = \"/etc/skyline/node.pem\" }",
    missing: |table| {
        let message = "the `certificate` is missing, for example `certificate = \"/etc/skyline/node.pem\"`";
        (!table.contains_key("certificate")).then_some(message)
    },
};

const TLS_KEYS: &[Key] = &[
    key(
        "listen.stream.tls.certificate",
        Path,
        "",
        "PEM file with the listener's certificate, then those between it and its authority. All files are read again when they change, at most a second later, for new connections.",
    ),
    key(
        "listen.stream.tls.key",
        Path,
        "",
        "PEM file with its private key. Left out: it is in the certificate's file.",
    ),
    key(
        "listen.stream.tls.client_ca",
        Path,
        "",
        "PEM file with the authorities of senders, which must then show a certificate of one of them (mTLS). Left out: none is asked for.",
    ),
    key(
        "listen.stream.tls.min_version",
        Choice(&["1.2", "1.3"]),
        "",
        "Oldest version of TLS that is spoken. Default: 1.2.",
    ),
];
