//! What is told: everything that a message says, kept in the outbox as JSON until it is sent.

mod number;

use serde::{Deserialize, Serialize};

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An incident has begun.
    Opened,
    /// More metrics, or it goes on (the repeat time of its rule has passed).
    Updated,
    /// It is over.
    Ended,
    /// Nobody has acknowledged it in time.
    Escalated,
    /// Metrics that send no more.
    Stale,
    /// Metrics that were told as silent send again; no other has fallen silent meanwhile.
    Returned,
    /// Messages are held back, or no longer are, because there were too many.
    HeldBack,
    /// `skyline alert test`.
    Test,
}

impl Kind {
    /// Its name, in the outbox and for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Ended => "ended",
            Self::Escalated => "escalated",
            Self::Stale => "stale",
            Self::Returned => "returned",
            Self::HeldBack => "held_back",
            Self::Test => "test",
        }
    }
}

impl Kind {
    /// Whether its messages tell of metrics by their figures, not in lines.
    #[must_use]
    pub const fn is_about_metrics(self) -> bool {
        !matches!(self, Self::Stale | Self::Returned | Self::HeldBack)
    }
}

impl Severity {
    /// Its name, in the record and for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Which part of the detection found it; printed in titles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The window of a day.
    #[default]
    Analyzer,
    /// The longer window.
    Mirage,
    /// What was learnt.
    Ionosphere,
    /// A rule of bounds.
    Boundary,
}

/// How bad it is; of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody should look now.
    Critical,
}

/// One metric of an incident, as far as a message tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The metric's name: from outside, so every channel shows it literally.
    pub metric: String,
    /// Time of its first anomalous point in this incident, seconds.
    #[serde(with = "number")]
    pub since: f64,
    /// Time of its last one, seconds.
    #[serde(with = "number")]
    pub last: f64,
    /// The value that was judged, of the point at `last`.
    #[serde(with = "number")]
    pub value: f64,
    /// The point that was furthest from what was expected: time and value.
    #[serde(with = "number::pair")]
    pub peak: (f64, f64),
    /// Mean of the window that was judged.
    #[serde(with = "number")]
    pub mean: f64,
    /// Sample standard deviation of it.
    #[serde(with = "number")]
    pub stddev: f64,
    /// Length of that window, seconds.
    pub window_seconds: u32,
    /// Whether it is judged by its increases.
    pub counter: bool,
    /// Names of the algorithms that voted yes.
    pub triggered: Vec<String>,
    /// How many were asked.
    pub asked: u32,
    /// Anomalous points so far.
    pub points: u64,
    /// When it was over, seconds.
    pub ended: Option<f64>,
    /// For a rule of bounds: its algorithm, such as `less_than`, and the bound.
    pub bound: Option<(String, f64)>,
}

/// One message to one recipient of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Known by this for ever: the same message has the same key, however often it is made or sent.
    pub key: String,
    /// The incident's key; the messages of one incident are a thread. Empty: of none.
    pub incident: String,
    /// What it is about.
    pub kind: Kind,
    /// Number of the message within its incident, rule, channel and recipient, from 0.
    pub number: u32,
    /// The rule that sent it, as `skyline alert explain` names it.
    pub rule: String,
    /// Channel of `[alerting]`, such as `email`.
    pub channel: String,
    /// Address, channel of Slack, URL's name.
    pub recipient: String,
    /// Which part found it.
    pub origin: Origin,
    /// How bad it is.
    pub severity: Severity,
    /// When the message was made, seconds.
    pub created: f64,
    /// When the incident began, seconds.
    pub opened: f64,
    /// When it ended, seconds.
    pub ended: Option<f64>,
    /// The metrics, those furthest from what was expected first; at most [`MEMBERS`].
    pub members: Vec<Member>,
    /// How many there are in all; of a digest: that are silent, or that send again.
    pub member_count: u64,
    /// Seconds until the next message about it at the earliest.
    pub repeat_seconds: Option<u32>,
    /// What there is to say beside the members: who was silent, what was held back.
    pub lines: Vec<String>,
    /// Links, absolute; empty where `alerting.public_url` is not set.
    pub links: Links,
}

impl Message {
    /// What stays the same from the message that opens something to the one that says that it is over: the incident's key; of
    /// digests and notices, of which one opens and a later one ends, the key without its last part.
    #[must_use]
    pub fn matter(&self) -> &str {
        match self.kind {
            Kind::Test => &self.key,
            _ if !self.incident.is_empty() => &self.incident,
            _ => self.key.rsplit_once('-').map_or(self.key.as_str(), |(matter, _)| matter),
        }
    }
}

/// Metrics that a message holds at most.
pub const MEMBERS: usize = 200;

/// Where the reader can go from a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Links {
    /// The picture of the first member, answered by this node or through it.
    pub graph: String,
    /// The incident.
    pub incident: String,
    /// Signed: acknowledges the incident.
    pub acknowledge: String,
    /// Signed: mutes the first member for an hour.
    pub mute: String,
}

/// What a message shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pictures {
    /// PNG of the window of the first member.
    pub window: Option<Vec<u8>>,
    /// PNG of Graphite's own chart, where it answered in time.
    pub graphite: Option<Vec<u8>>,
    /// One sentence that says in words what the window's chart shows, for those who do not see it.
    pub description: String,
}
