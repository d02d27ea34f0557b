//! `[http]`: pages, API, health and metrics.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// HTTP listeners. Until there are accounts they must be loopback addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// `/api/v1/*`, `/anomalies.json`. Empty list: off.
    pub api: Vec<SocketAddr>,
    /// `/-/healthy`, `/-/ready`, `/metrics`. Empty list: off.
    pub status: Vec<SocketAddr>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            api: vec![SocketAddr::from(([127, 0, 0, 1], 1500))],
            status: vec![SocketAddr::from(([127, 0, 0, 1], 1501))],
        }
    }
}
