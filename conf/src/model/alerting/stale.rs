//! `[alerting.stale]`: metrics that send no more.

use serde::{Deserialize, Serialize};

/// The digest of metrics that send no more, and of those that send again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stale {
    /// Whether it is sent (`ALERT_ON_STALE_METRICS`).
    pub enabled: bool,
    /// A metric belongs to it when its newest point is so old (`ALERT_ON_STALE_PERIOD`), seconds.
    pub after_seconds: u32,
    /// Metrics are looked through once in so long; one digest at most comes of it, seconds.
    pub every_seconds: f64,
    /// Names that are left out (`DO_NOT_ALERT_ON_STALE_METRICS`), matched as `window.skip`.
    pub exclude: Vec<String>,
    /// Channels; none: email and Slack, those of them that are configured.
    pub channels: Vec<String>,
    /// Who is told; none: the first default recipient of each channel.
    pub recipients: Vec<String>,
    /// Whether the return of data is told.
    pub tell_return: bool,
    /// Names that a digest lists at most; the others are counted.
    pub most_names: u32,
}

impl Default for Stale {
    fn default() -> Self {
        Self {
            enabled: true,
            after_seconds: 300,
            every_seconds: 60.0,
            exclude: Vec::new(),
            channels: Vec::new(),
            recipients: Vec::new(),
            tell_return: true,
            most_names: 200,
        }
    }
}
