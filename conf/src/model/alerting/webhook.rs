//! `[[alerting.webhook]]`: requests to other servers.

use serde::{Deserialize, Serialize};

/// A webhook; a channel by its name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// What rules call it.
    pub name: String,
    /// Where requests go.
    pub url: String,
}
