//! `[alerting.pagerduty]`: events to PagerDuty.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Events to PagerDuty. Off without a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PagerDuty {
    /// File whose first line is the routing key of an integration by Events API v2; empty: none.
    pub routing_key_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub routing_key_env: String,
}

impl PagerDuty {
    /// Whether events go to PagerDuty.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.routing_key_file.as_os_str().is_empty() || !self.routing_key_env.is_empty()
    }
}
