//! `[alerting.slack]`: messages to Slack.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Messages to Slack. Off without a token.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slack {
    /// File whose first line is the bot's token; empty: none.
    pub token_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub token_env: String,
    /// Channel (its id) that gets what no rule gives to another.
    pub default_channel: String,
}

impl Slack {
    /// Whether messages go to Slack.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.token_file.as_os_str().is_empty() || !self.token_env.is_empty()
    }

    /// Who gets what no rule gives to anybody else.
    #[must_use]
    pub fn default_recipients(&self) -> Vec<String> {
        let channel = Some(&self.default_channel).filter(|channel| !channel.is_empty());
        channel.cloned().into_iter().collect()
    }
}
