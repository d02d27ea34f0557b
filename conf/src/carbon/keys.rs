//! Every key of `carbon.conf`: its default, who uses it, and what becomes of it here.
//!
//! The defaults are those of carbon 1.2 (`lib/carbon/conf.py`); the type of a value follows the type of its default.

use Fate::{Acts, Idle, Never, Translated};
use Preset::{Flag, List, Number, Text, Unset, Whole};

/// A program of carbon's, each with a section of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// carbon-relay, `[relay]`.
    Relay,
    /// carbon-aggregator, `[aggregator]`.
    Aggregator,
    /// carbon-cache, `[cache]`.
    Cache,
}

impl Program {
    /// Its section.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Aggregator => "aggregator",
            Self::Cache => "cache",
        }
    }
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// In capitals.
    pub name: &'static str,
    /// Its default.
    pub preset: Preset,
    /// Programs that use it; for others it is a key without use.
    pub used_by: &'static [Program],
    /// What becomes of it.
    pub fate: Fate,
}

/// A default, which says what type values have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Preset {
    /// True or false.
    Flag(bool),
    /// A number; like text and nothing, this lets values be numbers or text.
    Whole(i64),
    /// A number.
    Number(f64),
    /// Text.
    Text(&'static str),
    /// A list, empty.
    List,
    /// Nothing.
    Unset,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does what it does in carbon.
    Acts,
    /// Something else does what it is for: what, and how to have it otherwise.
    Translated(&'static str, &'static str),
    /// It does nothing here, for this reason.
    Idle(&'static str),
    /// It is never done, whatever its value, for this reason.
    Never(&'static str),
}

const ALL: &[Program] = &[Program::Relay, Program::Aggregator, Program::Cache];
const SENDERS: &[Program] = &[Program::Relay, Program::Aggregator];
const RELAY: &[Program] = &[Program::Relay];
const AGGREGATOR: &[Program] = &[Program::Aggregator];
const CACHE: &[Program] = &[Program::Cache];

const FILES: &str = "the node writes no whisper files";
const AMQP: &str = "points are not taken from AMQP";
const MANHOLE: &str = "there is no shell into the running process";
const LOGS: &str = "node.log says what is logged";
const DAEMON: &str = "the service manager (systemd, a container) does this";
const TAGS: &str = "tags are not told to graphite-web";
const QUERIES: &str = "there is no cache to ask; points are read over HTTP";
const RESET: &str = "a connection that is slow is kept, since a new one would send a part again and be no faster; \
                     one that stands still is given up after relay.sending.stall_seconds";
const CERES: &str = "there is no ceres database";

const fn key(name: &'static str, preset: Preset, used_by: &'static [Program], fate: Fate) -> Key {
    Key { name, preset, used_by, fate }
}

/// The table.
pub const KEYS: &[Key] = &[
    key("LINE_RECEIVER_INTERFACE", Text("0.0.0.0"), ALL, Acts),
    key("LINE_RECEIVER_PORT", Whole(2003), ALL, Acts),
    key("ENABLE_UDP_LISTENER", Flag(false), ALL, Acts),
    key("UDP_RECEIVER_INTERFACE", Text("0.0.0.0"), ALL, Acts),
    key("UDP_RECEIVER_PORT", Whole(2003), ALL, Acts),
    key("PICKLE_RECEIVER_INTERFACE", Text("0.0.0.0"), ALL, Acts),
    key("PICKLE_RECEIVER_PORT", Whole(2004), ALL, Acts),
    key("PICKLE_RECEIVER_MAX_LENGTH", Whole(1 << 20), ALL, Acts),
    key("PROTOBUF_RECEIVER_INTERFACE", Unset, ALL, Acts),
    key("PROTOBUF_RECEIVER_PORT", Unset, ALL, Acts),
    key("LINE_RECEIVER_BACKLOG", Unset, ALL, Idle("the system's limit, net.core.somaxconn, is used")),
    key("PICKLE_RECEIVER_BACKLOG", Unset, ALL, Idle("the system's limit, net.core.somaxconn, is used")),
    key("TCP_KEEPALIVE", Flag(true), ALL, Acts),
    key("TCP_KEEPIDLE", Whole(10), ALL, Acts),
    key("TCP_KEEPINTVL", Whole(30), ALL, Acts),
    key("TCP_KEEPCNT", Whole(2), ALL, Acts),
    key("MAX_RECEIVER_CONNECTIONS", Number(f64::INFINITY), ALL, Acts),
    key("METRIC_CLIENT_IDLE_TIMEOUT", Unset, ALL, Acts),
    key("MIN_TIMESTAMP_RESOLUTION", Whole(0), ALL, Acts),
    key("MIN_TIMESTAMP_LAG", Whole(0), CACHE, Idle(FILES)),
    key("USE_WHITELIST", Flag(false), ALL, Acts),
    key("WHITELISTS_DIR", Unset, ALL, Idle("whitelist.conf and blacklist.conf are read from CONF_DIR")),
    key("CONF_DIR", Unset, ALL, Acts),
    key("RELAY_METHOD", Text("rules"), RELAY, Acts),
    key("RELAY_RULES", Text("relay-rules.conf"), RELAY, Acts),
    key("AGGREGATION_RULES", Text("aggregation-rules.conf"), SENDERS, Acts),
    key("REWRITE_RULES", Text("rewrite-rules.conf"), AGGREGATOR, Acts),
    key("FORWARD_ALL", Flag(true), AGGREGATOR, Acts),
    key("MAX_AGGREGATION_INTERVALS", Whole(5), AGGREGATOR, Acts),
    key("WRITE_BACK_FREQUENCY", Unset, AGGREGATOR, Acts),
    key("LOG_AGGREGATOR_MISSES", Flag(true), AGGREGATOR, Idle("names that no rule takes are not logged")),
    key("DESTINATIONS", List, SENDERS, Acts),
    key("REPLICATION_FACTOR", Whole(1), SENDERS, Acts),
    key("DIVERSE_REPLICAS", Flag(true), SENDERS, Acts),
    key("ROUTER_HASH_TYPE", Unset, SENDERS, Acts),
    key("DESTINATION_PROTOCOL", Text("pickle"), SENDERS, Acts),
    key("DESTINATION_TRANSPORT", Text("none"), SENDERS, Acts),
    key("DESTINATION_SSL_CA", Unset, SENDERS, Acts),
    key("DESTINATION_POOL_REPLICAS", Flag(false), SENDERS, Acts),
    // As carbon's example file misspells it.
    key("DESTINATIONS_POOL_REPLICAS", Unset, SENDERS, Acts),
    // Its note depends on its value: see `conf`.
    key("DYNAMIC_ROUTER", Flag(false), SENDERS, Acts),
    key("DYNAMIC_ROUTER_MAX_RETRIES", Whole(5), SENDERS, Acts),
    key(
        "MAX_QUEUE_SIZE",
        Whole(10_000),
        SENDERS,
        Translated(
            "is how far behind a destination may be before it counts as behind; what waits is in the journal",
            "journal.max_bytes bounds what may wait",
        ),
    ),
    key(
        "QUEUE_LOW_WATERMARK_PCT",
        Number(0.8),
        SENDERS,
        Translated(
            "is where listeners go on once a destination that is behind has stopped them",
            "that is so with relay.sending.when_behind = \"block\"; else it does nothing",
        ),
    ),
    key(
        "MAX_QUEUE_SIZE_HARD_PCT",
        Number(1.25),
        SENDERS,
        Translated(
            "nothing is dropped above it: what waits is in the journal",
            "journal.max_bytes bounds what may wait",
        ),
    ),
    // Its note depends on its value: see `conf`.
    key("USE_FLOW_CONTROL", Flag(true), ALL, Acts),
    key("MAX_DATAPOINTS_PER_MESSAGE", Whole(500), SENDERS, Acts),
    key(
        "TIME_TO_DEFER_SENDING",
        Number(0.0001),
        SENDERS,
        Translated("what waits is sent together, without a delay of its own", ""),
    ),
    key("USE_RATIO_RESET", Flag(false), SENDERS, Never(RESET)),
    key("MIN_RESET_STAT_FLOW", Whole(1_000), SENDERS, Idle(RESET)),
    key("MIN_RESET_RATIO", Number(0.9), SENDERS, Idle(RESET)),
    key("MIN_RESET_INTERVAL", Whole(121), SENDERS, Idle(RESET)),
    key("TAG_RELAY_NORMALIZED", Flag(false), SENDERS, Acts),
    key("CARBON_METRIC_PREFIX", Text("carbon"), ALL, Acts),
    key("CARBON_METRIC_INTERVAL", Whole(60), ALL, Acts),
    key(
        "CACHE_METRIC_NAMES_MAX",
        Whole(0),
        SENDERS,
        Translated("the cache of names has a bound of its own, also where this is 0", ""),
    ),
    key(
        "CACHE_METRIC_NAMES_TTL",
        Whole(0),
        SENDERS,
        Translated("names leave the cache when it is full, not by age", ""),
    ),
    key("LOG_LISTENER_CONN_SUCCESS", Flag(true), ALL, Idle(LOGS)),
    key("LOG_LISTENER_CONN_LOST", Flag(false), ALL, Idle(LOGS)),
    key("ENABLE_LOGROTATION", Flag(true), ALL, Idle(DAEMON)),
    key("LOG_DIR", Unset, ALL, Idle(DAEMON)),
    key("USER", Text(""), ALL, Idle(DAEMON)),
    key("PID_DIR", Unset, ALL, Idle(DAEMON)),
    key("STORAGE_DIR", Unset, ALL, Idle("node.state_dir is the folder of everything that is kept")),
    key("LOCAL_DATA_DIR", Unset, ALL, Idle(FILES)),
    key(
        "USE_INSECURE_UNPICKLER",
        Flag(false),
        ALL,
        Never(
            "it would let whoever reaches the port run programs; numbers and text are all that pickles may hold",
        ),
    ),
    key("ENABLE_MANHOLE", Flag(false), ALL, Never(MANHOLE)),
    key("MANHOLE_INTERFACE", Text("127.0.0.1"), ALL, Idle(MANHOLE)),
    key("MANHOLE_PORT", Whole(7222), ALL, Idle(MANHOLE)),
    key("MANHOLE_USER", Text(""), ALL, Idle(MANHOLE)),
    key("MANHOLE_PUBLIC_KEY", Text(""), ALL, Idle(MANHOLE)),
    key("MANHOLE_HOST_KEY_DIR", Text(""), ALL, Idle(MANHOLE)),
    key("ENABLE_AMQP", Flag(false), ALL, Never(AMQP)),
    key("AMQP_VERBOSE", Flag(false), ALL, Idle(AMQP)),
    key("AMQP_SPEC", Unset, ALL, Idle(AMQP)),
    key("AMQP_HOST", Unset, ALL, Idle(AMQP)),
    key("AMQP_PORT", Unset, ALL, Idle(AMQP)),
    key("AMQP_VHOST", Unset, ALL, Idle(AMQP)),
    key("AMQP_USER", Unset, ALL, Idle(AMQP)),
    key("AMQP_PASSWORD", Unset, ALL, Idle(AMQP)),
    key("AMQP_EXCHANGE", Unset, ALL, Idle(AMQP)),
    key("AMQP_METRIC_NAME_IN_BODY", Flag(false), ALL, Idle(AMQP)),
    key("BIND_PATTERNS", List, ALL, Idle(AMQP)),
    key("RAVEN_DSN", Unset, ALL, Never("errors are logged, and told to nobody else")),
    key("RELAY_CACHE_METRICS", Flag(false), CACHE, Idle("the node's own metrics go to its destinations")),
    key("MAX_CACHE_SIZE", Number(f64::INFINITY), CACHE, Idle("windows are bounded by window.max_metrics")),
    key("MAX_UPDATES_PER_SECOND", Whole(500), CACHE, Idle(FILES)),
    key("MAX_UPDATES_PER_SECOND_ON_SHUTDOWN", Unset, CACHE, Idle(FILES)),
    key(
        "MAX_CREATES_PER_MINUTE",
        Number(f64::INFINITY),
        CACHE,
        Idle("window.max_new_names_per_minute bounds new metrics"),
    ),
    key("CACHE_WRITE_STRATEGY", Text("sorted"), CACHE, Idle(FILES)),
    key("CACHE_QUERY_INTERFACE", Text("0.0.0.0"), CACHE, Idle(QUERIES)),
    key("CACHE_QUERY_PORT", Whole(7002), CACHE, Idle(QUERIES)),
    key("LOG_UPDATES", Flag(true), CACHE, Idle(FILES)),
    key("LOG_CREATES", Flag(true), CACHE, Idle(FILES)),
    key("LOG_CACHE_HITS", Flag(true), CACHE, Idle(QUERIES)),
    key("LOG_CACHE_QUEUE_SORTS", Flag(true), CACHE, Idle(FILES)),
    key("DATABASE", Text("whisper"), CACHE, Idle(FILES)),
    key("WHISPER_AUTOFLUSH", Flag(false), CACHE, Idle(FILES)),
    key("WHISPER_SPARSE_CREATE", Flag(false), CACHE, Idle(FILES)),
    key("WHISPER_FALLOCATE_CREATE", Flag(false), CACHE, Idle(FILES)),
    key("WHISPER_LOCK_WRITES", Flag(false), CACHE, Idle(FILES)),
    key("WHISPER_FADVISE_RANDOM", Flag(false), CACHE, Idle(FILES)),
    key("CERES_MAX_SLICE_GAP", Whole(80), CACHE, Idle(CERES)),
    key("CERES_NODE_CACHING_BEHAVIOR", Text("all"), CACHE, Idle(CERES)),
    key("CERES_SLICE_CACHING_BEHAVIOR", Text("latest"), CACHE, Idle(CERES)),
    key("CERES_LOCK_WRITES", Flag(false), CACHE, Idle(CERES)),
    key("ENABLE_TAGS", Flag(true), CACHE, Idle(TAGS)),
    key("SKIP_TAGS_FOR_NONTAGGED", Flag(true), CACHE, Idle(TAGS)),
    key("GRAPHITE_URL", Text("http://127.0.0.1:80"), CACHE, Idle(TAGS)),
    key("TAG_UPDATE_INTERVAL", Whole(100), CACHE, Idle(TAGS)),
    key("TAG_BATCH_SIZE", Whole(100), CACHE, Idle(TAGS)),
    key("TAG_QUEUE_SIZE", Whole(10_000), CACHE, Idle(TAGS)),
    key("TAG_HASH_FILENAMES", Flag(true), CACHE, Idle(FILES)),
];

/// A key by its name in capitals.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that somebody may have meant.
pub(super) fn nearest(name: &str) -> Option<&'static Key> {
    let lower: Vec<String> = KEYS.iter().map(|key| key.name.to_lowercase()).collect();
    let found = crate::nearest::word(name, lower.iter().map(String::as_str))?;
    KEYS.iter().zip(&lower).find(|(_, lower)| *lower == found).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_there_once() {
        let mut names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
        assert!(names.iter().all(|name| *name == name.to_uppercase()));
    }

    #[test]
    fn nearest_keys() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name).map(|key| key.name), expected, "{name}");
        };
        check("DESTINATION", Some("DESTINATIONS"));
        check("LINE_RECIEVER_PORT", Some("LINE_RECEIVER_PORT"));
        check("WOMBATS", None);
    }
}
