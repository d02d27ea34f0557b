//! `[relay]`: where points are forwarded to.

use serde::{Deserialize, Serialize};

/// Where points are forwarded to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// How destinations are chosen for a metric.
    pub method: Method,
    /// Destinations a metric goes to, with `consistent-hashing`.
    pub replication_factor: u32,
    /// Whether replicas must be on different hosts, with `consistent-hashing`.
    pub diverse_replicas: bool,
    /// The destinations.
    pub destinations: Vec<DestinationEntry>,
    /// How points are sent, unless a destination says otherwise.
    pub sending: Sending,
}

/// How destinations are chosen for a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Every point to every destination.
    Constant,
    /// carbon's hash ring (`carbon_ch`) on the name.
    ConsistentHashing,
}

/// A destination: its address alone, or a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DestinationEntry {
    /// `host:port[:instance][:protocol]`.
    Address(String),
    /// With settings of its own.
    Table(DestinationTable),
}

/// A destination with settings of its own; each that is left out is taken from `[relay.sending]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationTable {
    /// `host:port[:instance][:protocol]`.
    pub address: String,
    /// See [`Sending::when_behind`].
    pub when_behind: Option<WhenBehind>,
    /// See [`Sending::mark_points`].
    pub mark_points: Option<u64>,
    /// See [`Sending::catch_up_points_per_second`].
    pub catch_up_points_per_second: Option<u64>,
}

/// What happens while a destination is further behind than its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenBehind {
    /// Its points stay in the log.
    Spool,
    /// Listeners pause until it is below 0.8 of the mark.
    Block,
    /// It skips its oldest points, counted.
    Shed,
}

/// How points are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sending {
    /// What happens while a destination is further behind than `mark_points`.
    pub when_behind: WhenBehind,
    /// How far behind is "behind", points.
    pub mark_points: u64,
    /// Points a second at most while catching up from the log's files; 0: no limit.
    pub catch_up_points_per_second: u64,
    /// After a broken connection, how far back the sender goes at most, bytes: what the socket
    /// buffers of both sides can hold.
    pub resend_bytes: u64,
    /// Points a pickle frame.
    pub points_per_frame: u32,
    /// Seconds for a connection attempt.
    pub connect_seconds: f64,
    /// Seconds without any progress on an open connection after which it is given up.
    pub stall_seconds: f64,
    /// First pause between attempts, seconds; doubles up to `retry_max_seconds`, with jitter.
    pub retry_min_seconds: f64,
    /// Longest pause between attempts, seconds.
    pub retry_max_seconds: f64,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            method: Method::Constant,
            replication_factor: 1,
            diverse_replicas: true,
            destinations: Vec::new(),
            sending: Sending::default(),
        }
    }
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            when_behind: WhenBehind::Spool,
            mark_points: 1_000_000,
            catch_up_points_per_second: 1_000_000,
            resend_bytes: 8 << 20,
            points_per_frame: 500,
            connect_seconds: 5.0,
            stall_seconds: 60.0,
            retry_min_seconds: 0.2,
            retry_max_seconds: 5.0,
        }
    }
}
