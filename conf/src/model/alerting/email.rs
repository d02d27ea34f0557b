//! `[alerting.email]`: messages by email.

use serde::{Deserialize, Serialize};

/// Messages by email. Off without a sender.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Email {
    /// Address that they come from; empty: off.
    pub sender: String,
    /// Who gets what no rule gives to anybody else.
    pub default_recipients: Vec<String>,
}

impl Email {
    /// Whether messages go by email.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.sender.is_empty()
    }
}
