//! A destination as it stands in `relay.destinations` and in a cluster's `destinations`.

use super::WhenBehind;
use crate::model::listen::{Packing, Protocol};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A destination: its address alone, or a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DestinationEntry {
    /// `host:port[:instance][:protocol]`; in a cluster also the name of a destination that is defined before.
    Address(String),
    /// In every detail.
    Table(Box<DestinationTable>),
}

/// A destination in every detail; what is left out of how points are sent is taken from `[relay.sending]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationTable {
    /// What it is called in clusters and to people; none: as `address`, or the path of the file.
    pub name: Option<String>,
    /// A server: `host:port[:instance][:protocol]`.
    pub address: Option<String>,
    /// In place of `address`: lines are added to the end of this file.
    pub file: Option<PathBuf>,
    /// In place of the one in `address`: what is behind the port there is an instance then, whatever it is.
    pub protocol: Option<Protocol>,
    /// How points travel.
    pub transport: Option<Transport>,
    /// What the stream is packed with.
    pub packing: Option<Packing>,
    /// TLS around the stream.
    pub tls: Option<DestinationTls>,
    /// Whether every address of the host's name is a destination of its own.
    pub every_address: Option<bool>,
    /// Destinations that stand in while this one cannot be reached, in this order.
    pub stand_ins: Option<Vec<DestinationEntry>>,
    /// See [`super::Sending::when_behind`].
    pub when_behind: Option<WhenBehind>,
    /// See [`super::Sending::mark_points`].
    pub mark_points: Option<u64>,
    /// See [`super::Sending::catch_up_points_per_second`].
    pub catch_up_points_per_second: Option<u64>,
}

/// How points travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A stream.
    #[default]
    Tcp,
    /// Datagrams of whole lines.
    Udp,
}

/// TLS towards a destination. Its name is always checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationTls {
    /// PEM file of the authorities that are trusted; none: the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of a certificate chain that is shown to the server (mTLS); `key` goes with it.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
}
