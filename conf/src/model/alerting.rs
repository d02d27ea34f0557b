//! `[alerting]`: who is told of anomalies, how, and how often.

pub mod email;
pub mod limits;
pub mod pagerduty;
pub mod rule;
pub mod slack;
pub mod stale;
pub mod titles;
pub mod webhook;

use rule::Rule;
use serde::{Deserialize, Serialize};

/// From anomalies to messages. Without a channel nobody is told, and incidents are kept all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerting {
    /// Whether incidents are formed and messages made at all (`ENABLE_ALERTS`).
    pub enabled: bool,
    /// Messages are written to the outbox and never sent.
    pub dry_run: bool,
    /// Where people reach this node's pages, `https://HOST`; empty: messages have no links to it.
    pub public_url: String,
    /// Time zone of messages and charts, such as `Europe/Berlin`.
    pub zone: String,
    /// Metrics that break within so long of an incident's opening belong to it, seconds.
    pub join_seconds: f64,
    /// A metric without an anomalous point for so long is over; an incident is when all of its metrics are, seconds.
    pub end_seconds: f64,
    /// The first message of an incident waits at most so long for company, milliseconds.
    pub gather_milliseconds: u32,
    /// Later members of an incident are told at the earliest so long after its last message, seconds. A channel that
    /// edits what it said (Slack) does so without delay.
    pub update_seconds: f64,
    /// Pictures of a message are awaited for so long, milliseconds.
    pub picture_milliseconds: u32,
    /// The longest wait between two attempts to send a message, seconds.
    pub retry_seconds: f64,
    /// A message that no attempt brought to its channel is given up after the repeat time of its rule, and not before
    /// this, seconds.
    pub give_up_seconds: f64,
    /// Ended incidents and messages that were sent or given up are kept for so long, seconds.
    pub keep_seconds: f64,
    /// Links in messages that acknowledge or mute work for so long, seconds.
    pub link_seconds: f64,
    /// Rules, from top to bottom; none: every anomaly goes to every channel's default recipients.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// Metrics that send no more.
    pub stale: stale::Stale,
    /// What messages call things.
    pub titles: titles::Titles,
    /// Messages that a channel gets at most.
    pub limits: limits::Limits,
    /// Email.
    pub email: email::Email,
    /// Slack.
    pub slack: slack::Slack,
    /// PagerDuty.
    pub pagerduty: pagerduty::PagerDuty,
    /// Requests to other servers.
    #[serde(rename = "webhook")]
    pub webhooks: Vec<webhook::Webhook>,
}

/// A channel that is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Its name in rules, in the outbox and in limits.
    pub name: String,
    /// Who is told where a rule names nobody; a channel that has one place only has that.
    pub default_recipients: Vec<String>,
}

/// Names of channels that are not webhooks. A webhook is a channel by its own name.
pub const CHANNELS: [&str; 4] = ["email", "slack", "pagerduty", "syslog"];

impl Alerting {
    /// The channels that are configured, in a fixed order. `syslog` is not among them: `[record.syslog]` says every
    /// anomaly to it, independent of rules.
    #[must_use]
    pub fn configured(&self) -> Vec<Configured> {
        let named = |name: &str, default_recipients: Vec<String>| Configured {
            name: name.to_owned(),
            default_recipients,
        };
        let mut all = Vec::new();
        if self.email.is_on() {
            all.push(named("email", self.email.default_recipients.clone()));
        }
        if self.slack.is_on() {
            all.push(named("slack", self.slack.default_recipients()));
        }
        if self.pagerduty.is_on() {
            all.push(named("pagerduty", vec!["pagerduty".to_owned()]));
        }
        all.extend(self.webhooks.iter().map(|hook| named(&hook.name, vec![hook.name.clone()])));
        all
    }

    /// The rules that count: those of the file, or one that sends everything to every channel.
    #[must_use]
    pub fn effective_rules(&self) -> Vec<Rule> {
        if self.rules.is_empty() { vec![Rule::everything()] } else { self.rules.clone() }
    }
}

impl Default for Alerting {
    fn default() -> Self {
        Self {
            enabled: true,
            dry_run: false,
            public_url: String::new(),
            zone: "UTC".into(),
            join_seconds: 120.0,
            end_seconds: 300.0,
            gather_milliseconds: 300,
            update_seconds: 300.0,
            picture_milliseconds: 400,
            retry_seconds: 60.0,
            give_up_seconds: 21_600.0,
            keep_seconds: 90.0 * 86_400.0,
            link_seconds: 7.0 * 86_400.0,
            rules: Vec::new(),
            stale: stale::Stale::default(),
            titles: titles::Titles::default(),
            limits: limits::Limits::default(),
            email: email::Email::default(),
            slack: slack::Slack::default(),
            pagerduty: pagerduty::PagerDuty::default(),
            webhooks: Vec::new(),
        }
    }
}
