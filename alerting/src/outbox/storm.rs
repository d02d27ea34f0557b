//! Too many messages to one recipient: those beyond the limit are held back, and one message says so when that begins
//! and when it ends. It names the incidents, so that none is lost.

use super::Lane;
use crate::text::number;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Incidents that are named.
pub(super) const NAMED: usize = 200;

/// How many messages there may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Length of the sliding window, seconds.
    pub window: f64,
    /// Messages to one recipient within it, by channel.
    pub of: HashMap<String, u32>,
    /// The same of every other channel; none: any number.
    pub other: Option<u32>,
}

impl Limits {
    /// The limit of a channel.
    #[must_use]
    pub fn of(&self, channel: &str) -> Option<u32> {
        self.of.get(channel).copied().or(self.other)
    }

    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self { window: 1_800.0, of: HashMap::new(), other: None }
    }
}

/// A recipient from whom messages are held back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// Channel.
    pub channel: String,
    /// Recipient.
    pub recipient: String,
    /// Since when, seconds.
    pub since: f64,
    /// When the last one was held back, seconds.
    pub last: f64,
    /// How many were.
    pub count: u64,
    /// Key and first metric of their incidents; at most 200.
    pub incidents: Vec<(String, String)>,
}

impl Storm {
    pub(super) fn new((channel, recipient): &Lane, now: f64) -> Self {
        Self {
            channel: channel.clone(),
            recipient: recipient.clone(),
            since: now,
            last: now,
            count: 0,
            incidents: Vec::new(),
        }
    }

    pub(super) fn hold(&mut self, incident: &str, metric: &str, now: f64) {
        (self.last, self.count) = (now, self.count + 1);
        if self.incidents.len() < NAMED {
            self.incidents.push((incident.to_owned(), metric.to_owned()));
        }
    }

    /// What the message at its end says.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} held back within {}; `skyline alert list` has all incidents. These, each by its key and first metric:",
            number::counted(self.count, "message was", "messages were"),
            number::duration(((self.last - self.since) / 60.0).ceil().max(1.0) * 60.0),
        )];
        lines.extend(self.incidents.iter().map(|(key, metric)| format!("{key} {metric}")));
        let more = self.count.saturating_sub(self.incidents.len() as u64);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}
