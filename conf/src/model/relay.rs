//! `[relay]`: where points are forwarded to.

pub mod cluster;
pub mod destination;
pub mod rule;

use super::keepalive::Keepalive;
use cluster::ClusterTable;
pub use destination::{DestinationEntry, DestinationTable};
use rule::{DialectWord, RuleTable};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
    /// How names are treated before the first rule.
    pub names: NamesWord,
    /// With [`NamesWord::Cleaned`]: what is allowed besides letters, digits and dots.
    pub allowed_characters: String,
    /// Whose regular expressions `regex` are, unless a pattern says otherwise.
    pub dialect: DialectWord,
    /// Where the node's own metrics enter: `top`, `nowhere`, or the rule of that name.
    pub own_metrics_at: String,
    /// In its place: clusters.
    pub own_metrics_to: Vec<String>,
    /// Destinations that share points.
    pub cluster: Vec<ClusterTable>,
    /// What happens to names, from top to bottom; none: all go to the destinations.
    pub rule: Vec<RuleTable>,
    /// A member of a ring that is down for so many seconds has new points of its names go to the others until it
    /// is back; 0: they wait for it.
    pub detour_seconds: f64,
    /// Whether the operator's relay files are read again when they change.
    pub reload_on_change: bool,
    /// Under whose names the relay tells of itself, besides the node's own.
    pub self_metrics: SelfMetrics,
    /// A point that another sender brought less than so many seconds ago is refused; 0: none is.
    pub deduplicate_seconds: u32,
    /// Points that are remembered for that at most.
    pub deduplicate_points: u32,
    /// A file of another relay that says how points are relayed, instead of the keys above.
    pub files: Files,
    /// How points are sent, unless a destination says otherwise.
    pub sending: Sending,
}

/// How names are treated before the first rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamesWord {
    /// As they were received.
    #[default]
    AsReceived,
    /// Tags in normal form.
    TagsNormalized,
    /// carbon-c-relay's cleaning.
    Cleaned,
}

impl Relay {
    /// Whether destinations are named anywhere in the settings themselves.
    #[must_use]
    pub fn has_destinations(&self) -> bool {
        !self.destinations.is_empty() || self.cluster.iter().any(|cluster| !cluster.destinations.is_empty())
    }
}

/// The file of another relay; at most one is named, the others are empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// carbon's `carbon.conf`; the files of rules lie beside it.
    pub carbon_conf: PathBuf,
    /// Which of carbon's programs it is read for.
    pub carbon_program: CarbonProgram,
    /// carbon's `--instance`.
    pub carbon_instance: String,
    /// A file in carbon-c-relay's language.
    pub c_relay_conf: PathBuf,
    /// carbon-c-relay's `-C`: a file, or a folder of files, of the authorities that its peers are checked with.
    pub c_relay_ca: PathBuf,
    /// carbon-c-relay's `-c`: characters of names besides letters, digits and dots.
    pub c_relay_characters: String,
    /// carbon-relay-ng's TOML.
    pub relay_ng_conf: PathBuf,
}

impl Files {
    /// Whether a file is named.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.named().next().is_some()
    }

    /// The files that are named.
    pub fn named(&self) -> impl Iterator<Item = &PathBuf> {
        let paths = [&self.carbon_conf, &self.c_relay_conf, &self.relay_ng_conf];
        paths.into_iter().filter(|path| !path.as_os_str().is_empty())
    }
}

/// Which of carbon's programs a `carbon.conf` is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CarbonProgram {
    /// carbon-relay.
    Relay,
    /// carbon-aggregator.
    Aggregator,
}

/// Under whose names a relay tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfMetrics {
    /// Those of the program whose file is read, as that file says; without such a file none.
    Auto,
    /// Nobody's.
    None,
    /// carbon's.
    Carbon,
    /// carbon-c-relay's.
    CarbonCRelay,
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
    /// Share of the mark below which listeners go on, with `block`.
    pub resume_share: f64,
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
    /// When a connection on which nothing moves is probed.
    pub keepalive: Keepalive,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            method: Method::Constant,
            replication_factor: 1,
            diverse_replicas: true,
            destinations: Vec::new(),
            names: NamesWord::AsReceived,
            allowed_characters: crate::crelay::clean::ALLOWED.to_owned(),
            dialect: DialectWord::Python,
            own_metrics_at: "top".to_owned(),
            own_metrics_to: Vec::new(),
            cluster: Vec::new(),
            rule: Vec::new(),
            detour_seconds: 0.0,
            reload_on_change: true,
            self_metrics: SelfMetrics::Auto,
            deduplicate_seconds: 0,
            deduplicate_points: 1_000_000,
            files: Files::default(),
            sending: Sending::default(),
        }
    }
}

impl Default for Files {
    fn default() -> Self {
        Self {
            carbon_conf: PathBuf::new(),
            carbon_program: CarbonProgram::Relay,
            carbon_instance: "a".to_owned(),
            c_relay_conf: PathBuf::new(),
            c_relay_ca: PathBuf::new(),
            c_relay_characters: crate::crelay::clean::ALLOWED.to_owned(),
            relay_ng_conf: PathBuf::new(),
        }
    }
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            when_behind: WhenBehind::Spool,
            mark_points: 1_000_000,
            resume_share: 0.8,
            catch_up_points_per_second: 1_000_000,
            resend_bytes: 8 << 20,
            points_per_frame: 500,
            connect_seconds: 5.0,
            stall_seconds: 60.0,
            retry_min_seconds: 0.2,
            retry_max_seconds: 5.0,
            keepalive: Keepalive::default(),
        }
    }
}
