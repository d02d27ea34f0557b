//! `[[relay.cluster]]`: destinations that share points.

use super::DestinationEntry;
use super::rule::Patterns;
use serde::{Deserialize, Serialize};

/// Destinations that share points.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterTable {
    /// What rules call it.
    pub name: String,
    /// How its destinations share.
    pub kind: ClusterKind,
    /// The hash of carbon's rings.
    pub hash: Option<RingHash>,
    /// Destinations that a metric goes to, with a ring.
    pub replication_factor: Option<u32>,
    /// Whether these must be on different hosts, with a ring.
    pub diverse_replicas: Option<bool>,
    /// What a ring hashes.
    pub hash_on: Option<HashOn>,
    /// With `aggregates`: what the names of their inputs become.
    pub hash_outputs: Option<Vec<NamingTable>>,
    /// Whether the others stand in for one that cannot be reached, with `any_of`.
    pub stand_ins: Option<bool>,
    /// Its destinations.
    pub destinations: Vec<DestinationEntry>,
    /// Where it stands in the settings file, counted from 1; none: in none.
    #[serde(skip_serializing)]
    pub line: Option<usize>,
}

/// How the destinations of a cluster share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterKind {
    /// Each gets all.
    #[default]
    #[serde(rename = "forward")]
    Forward,
    /// One each, by a hash of the name.
    #[serde(rename = "any_of")]
    AnyOf,
    /// The first that can be reached gets all.
    #[serde(rename = "failover")]
    Failover,
    /// One each, in turn.
    #[serde(rename = "lb")]
    InTurn,
    /// carbon-c-relay's ring of that name.
    #[serde(rename = "carbon_ch")]
    RelayCarbon,
    /// carbon-c-relay's ring of that name.
    #[serde(rename = "fnv1a_ch")]
    RelayFnv1a,
    /// carbon-c-relay's ring of that name.
    #[serde(rename = "jump_fnv1a_ch")]
    RelayJump,
    /// carbon's ring of that name.
    #[serde(rename = "consistent-hashing")]
    Carbon,
    /// carbon's ring of that name.
    #[serde(rename = "fast-hashing")]
    CarbonFast,
    /// carbon-relay-ng's `consistentHashing`.
    #[serde(rename = "ng-consistent-hashing")]
    Ng,
    /// carbon-relay-ng's `consistentHashing-v2`.
    #[serde(rename = "ng-consistent-hashing-v2")]
    NgV2,
}

/// The hash of carbon's rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RingHash {
    /// The first two bytes of MD5.
    Md5,
    /// FNV-1a, folded to 16 bits.
    Fnv1a,
    /// MurmurHash3.
    Mmh3,
}

/// What a ring hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// The name.
    Name,
    /// The name up to its tags.
    WithoutTags,
    /// The names of the aggregates that it is an input of.
    Aggregates,
}

/// What names of one form become.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamingTable {
    /// Names that it is about.
    #[serde(rename = "match")]
    pub when: Patterns,
    /// A template of the new name.
    pub name: String,
}
