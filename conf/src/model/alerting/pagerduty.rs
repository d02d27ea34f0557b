//! `[alerting.pagerduty]`: events to PagerDuty.

use crate::secret::{Credentials, Secret};
use serde::{Deserialize, Serialize};
use skyline_core::problem::Problem;
use std::path::PathBuf;

/// Events to PagerDuty. Off without a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PagerDuty {
    /// File whose first line is the routing key of an integration by Events API v2; empty: none.
    pub routing_key_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub routing_key_env: String,
    /// Where events go.
    pub url: String,
    /// An event takes so long at most, seconds.
    pub timeout_seconds: f64,
}

impl PagerDuty {
    /// Whether events go to PagerDuty.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.routing_key_file.as_os_str().is_empty() || !self.routing_key_env.is_empty()
    }

    /// The routing key.
    ///
    /// # Errors
    /// What is named is not there.
    pub fn routing_key(&self) -> Result<Option<Secret>, Problem> {
        Credentials { user: "", file: &self.routing_key_file, variable: &self.routing_key_env }.password()
    }
}

impl Default for PagerDuty {
    fn default() -> Self {
        Self {
            routing_key_file: PathBuf::new(),
            routing_key_env: String::new(),
            url: "https://events.pagerduty.com/v2/enqueue".into(),
            timeout_seconds: 10.0,
        }
    }
}
