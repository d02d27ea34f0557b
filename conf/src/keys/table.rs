//! The table of all sections and keys.

mod alerting;
mod backfill;
mod detect;
mod flux;
mod graphite;
mod http;
mod journal;
mod listen;
mod memcached;
mod node;
mod record;
mod redis;
mod relay;
mod render_proxy;
mod vista;
mod window;

use super::{Key, Kind, Section};
pub(super) use alerting::{RULE, WEBHOOK};
pub(super) use flux::KEY;
pub(super) use graphite::SERVER;
pub(super) use listen::STREAM;
use std::sync::LazyLock;
pub(super) use vista::FETCH;

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
        "alerting",
        "Who is told of anomalies, how, and how often. Without a channel nobody is; with one and no rule, every anomaly goes to its default recipients. docs/alert-rules.md explains rules.",
    ),
    section(
        "alerting.stale",
        "The digest of metrics that send no more: each is told once, and told again when it sends.",
    ),
    section("alerting.titles", "Words in the titles of messages (CUSTOM_ALERT_OPTS)."),
    section(
        "alerting.limits",
        "Messages that a channel gets at most within a sliding window. What is beyond is held back, and one message says how many there are.",
    ),
    section("alerting.email", "Messages by email. Off without a sender."),
    section("alerting.slack", "Messages to Slack. Off without a token."),
    section("alerting.pagerduty", "Events to PagerDuty. Off without a key."),
    section(
        "redis",
        "The copy of the windows in Redis, from which a node with an empty disk takes them. Off without a server. docs/stores.md says what it holds and how to secure it.",
    ),
    section("memcached", "A cache in front of the record that several nodes share. Never needed."),
    section(
        "graphite",
        "The Graphite servers that render: for graphs in messages and behind the render proxy.",
    ),
    section(
        "render_proxy",
        "Graphite's render questions, answered by Graphite, or from the windows while it is down or behind. docs/render-proxy.md.",
    ),
    section(
        "vista",
        "Points that the node fetches from Graphite and Prometheus servers. Off unless enabled. docs/vista.md.",
    ),
    section(
        "flux",
        "Points over HTTP: Skyline's Flux, remote-write of Prometheus, InfluxDB's line protocol. Off without a key. docs/flux.md.",
    ),
    section("flux.prometheus", "How series of Prometheus become names."),
    section("flux.influx", "How series of InfluxDB's line protocol become names."),
    section(
        "backfill",
        "Filling windows from Graphite or from whisper files, with `skyline backfill`. docs/backfill.md.",
    ),
    section("http", "API, health and metrics over HTTP. Until there are accounts, loopback addresses only."),
];
/// The keys of each section, in the order of the file.
const PARTS: &[&[Key]] = &[
    node::KEYS,
    listen::KEYS,
    journal::KEYS,
    relay::KEYS,
    window::KEYS,
    detect::KEYS,
    record::KEYS,
    alerting::KEYS,
    alerting::email::KEYS,
    alerting::slack::KEYS,
    alerting::pagerduty::KEYS,
    redis::KEYS,
    memcached::KEYS,
    graphite::KEYS,
    render_proxy::KEYS,
    vista::KEYS,
    flux::KEYS,
    backfill::KEYS,
    http::KEYS,
];

/// All keys, in the order of the file.
pub(super) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| PARTS.concat());
