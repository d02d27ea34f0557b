//! `[alerting.slack]`: messages to Slack.

use crate::secret::{Credentials, Secret};
use serde::{Deserialize, Serialize};
use skyline_core::problem::Problem;
use std::path::PathBuf;

/// Messages to Slack. Off without a token or a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slack {
    /// File whose first line is the bot's token; empty: none.
    pub token_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub token_env: String,
    /// File whose first line is the address of an incoming webhook; empty: none.
    pub webhook_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub webhook_env: String,
    /// Channel (its id) that gets what no rule gives to another.
    pub default_channel: String,
    /// Where Slack's methods are.
    pub api_url: String,
    /// Each call takes so long at most, seconds.
    pub timeout_seconds: f64,
    /// Charts are posted into threads.
    pub pictures: bool,
    /// How often a picture, an edit or a reaction is tried.
    pub extra_tries: u32,
    /// Emoji that stands beside messages instead of the app's picture; empty: that one.
    pub icon_emoji: String,
    /// Reaction to an incident that somebody has acknowledged; empty: none.
    pub acknowledged_emoji: String,
    /// Reaction to an incident that has ended; empty: none.
    pub ended_emoji: String,
    /// Reaction to an incident that nobody has acknowledged in time; empty: none.
    pub escalated_emoji: String,
}

impl Slack {
    /// Whether messages go to Slack.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let (files, variables) =
            ([&self.token_file, &self.webhook_file], [&self.token_env, &self.webhook_env]);
        files.iter().any(|file| !file.as_os_str().is_empty()) || variables.iter().any(|name| !name.is_empty())
    }

    /// Who gets what no rule gives to anybody else.
    #[must_use]
    pub fn default_recipients(&self) -> Vec<String> {
        let channel = Some(&self.default_channel).filter(|channel| !channel.is_empty());
        channel.cloned().into_iter().collect()
    }

    /// The bot's token.
    ///
    /// # Errors
    /// What is named is not there.
    pub fn token(&self) -> Result<Option<Secret>, Problem> {
        Credentials { user: "", file: &self.token_file, variable: &self.token_env }.password()
    }

    /// The address of an incoming webhook, which is a secret as a whole.
    ///
    /// # Errors
    /// What is named is not there.
    pub fn webhook(&self) -> Result<Option<Secret>, Problem> {
        Credentials { user: "", file: &self.webhook_file, variable: &self.webhook_env }.password()
    }
}

impl Default for Slack {
    fn default() -> Self {
        Self {
            token_file: PathBuf::new(),
            token_env: String::new(),
            webhook_file: PathBuf::new(),
            webhook_env: String::new(),
            default_channel: String::new(),
            api_url: "https://slack.com/api".into(),
            timeout_seconds: 10.0,
            pictures: true,
            extra_tries: 4,
            icon_emoji: String::new(),
            acknowledged_emoji: "eyes".into(),
            ended_emoji: "heavy_check_mark".into(),
            escalated_emoji: "rotating_light".into(),
        }
    }
}
