//! The settings file as types, one file a section. Every key has a default.

pub mod alerting;
pub mod backfill;
pub mod detect;
pub mod flux;
pub mod graphite;
pub mod http;
pub mod journal;
pub mod keepalive;
pub mod listen;
pub mod memcached;
pub mod node;
pub mod record;
pub mod redis;
pub mod relay;
pub mod remote;
pub mod render_proxy;
pub mod vista;
pub mod window;

use serde::{Deserialize, Serialize};

/// The whole of `skyline.toml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The process: where its state is, how it stops and logs.
    pub node: node::Node,
    /// Listeners.
    pub listen: listen::Listen,
    /// The log that every point goes through.
    pub journal: journal::Journal,
    /// Where points are forwarded to.
    pub relay: relay::Relay,
    /// The rolling window of each metric.
    pub window: window::Window,
    /// Detection.
    pub detect: detect::Detect,
    /// Where anomalies are recorded.
    pub record: record::Record,
    /// Who is told of anomalies, how, and how often.
    pub alerting: alerting::Alerting,
    /// The copy of the windows in Redis.
    pub redis: redis::Redis,
    /// A cache that several nodes share.
    pub memcached: memcached::Memcached,
    /// The Graphite servers that render.
    pub graphite: graphite::Graphite,
    /// Render questions, answered by Graphite or from the windows.
    pub render_proxy: render_proxy::RenderProxy,
    /// Points that the node fetches from other servers.
    pub vista: vista::Vista,
    /// Points over HTTP.
    pub flux: flux::Flux,
    /// Filling windows from Graphite or from whisper files.
    pub backfill: backfill::Backfill,
    /// Pages, API, health and metrics over HTTP.
    pub http: http::Http,
}
