//! `[alerting.limits]`: a storm becomes one message.

use serde::{Deserialize, Serialize};

/// Messages that a channel gets at most within a sliding window; 0: any number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Length of the window, seconds.
    pub window_seconds: f64,
    /// To email.
    pub email: u32,
    /// To Slack.
    pub slack: u32,
    /// To PagerDuty; what ends an incident there is never held back.
    pub pagerduty: u32,
    /// To each webhook.
    pub webhook: u32,
}

impl Limits {
    /// The limit of a channel by its name; names that are none of the others are webhooks. `None`: there is none.
    #[must_use]
    pub fn of(&self, channel: &str) -> Option<u32> {
        let limit = match channel {
            "email" => self.email,
            "slack" => self.slack,
            "pagerduty" => self.pagerduty,
            _ => self.webhook,
        };
        (limit > 0).then_some(limit)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { window_seconds: 1_800.0, email: 60, slack: 60, pagerduty: 30, webhook: 120 }
    }
}
