//! Rules of the settings as rules that are applied. The check of the settings says all of this at once and earlier.

use super::{Escalation, Rule, Rules, Target};
use crate::message::Severity;
use crate::schedule::{Active, BadActive};
use skyline_conf::matching::{BadMatching, Matching};
use skyline_conf::model::alerting::rule::{self, REPEAT_SECONDS};
use skyline_conf::model::alerting::{Alerting, Configured};
use skyline_conf::model::relay::rule::Names;
use std::sync::Arc;

/// A rule that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadRule {
    /// A pattern.
    #[error("alerting.rule `{rule}`: {source}")]
    Pattern {
        /// The rule.
        rule: String,
        /// What is wrong.
        source: BadMatching,
    },
    /// Its times.
    #[error("alerting.rule `{rule}`: {source}")]
    Active {
        /// The rule.
        rule: String,
        /// What is wrong.
        source: BadActive,
    },
    /// A channel that is not configured.
    #[error(
        "alerting.rule `{rule}`: there is no channel `{channel}`; configure it, or remove it from the rule"
    )]
    Channel {
        /// The rule.
        rule: String,
        /// The channel.
        channel: String,
    },
}

impl Rules {
    /// Compiles the rules of the settings; where there are none, one for every metric and every channel.
    ///
    /// # Errors
    /// [`BadRule`]: the first that cannot be used.
    pub fn compile(settings: &Alerting) -> Result<Self, BadRule> {
        let channels = settings.configured();
        let rules = settings.effective_rules();
        let compiled: Result<Vec<_>, _> = rules
            .iter()
            .enumerate()
            .map(|(i, rule)| one(rule, rule.called(i + 1), settings, &channels).map(Arc::new))
            .collect();
        Ok(Self { rules: compiled?, is_default: settings.rules.is_empty(), ..Self::default() })
    }
}

fn slice(names: Option<&Names>) -> &[String] {
    names.map(Names::as_slice).unwrap_or_default()
}

fn one(
    rule: &rule::Rule,
    name: String,
    settings: &Alerting,
    channels: &[Configured],
) -> Result<Rule, BadRule> {
    let kind = rule.match_kind.unwrap_or_default();
    let patterns = |names: Option<&Names>| {
        let read = slice(names).iter().map(|text| Matching::new(kind, text));
        read.collect::<Result<Vec<_>, _>>().map_err(|source| BadRule::Pattern { rule: name.clone(), source })
    };
    let (matching, not) = (patterns(rule.patterns.as_ref())?, patterns(rule.match_not.as_ref())?);
    let zone = rule.zone.as_deref().unwrap_or(&settings.zone);
    let active = rule.active.as_deref().map(|text| Active::read(text, zone)).transpose();
    let active = active.map_err(|source| BadRule::Active { rule: name.clone(), source })?;
    let repeat = rule.repeat_seconds.unwrap_or(REPEAT_SECONDS);
    Ok(Rule {
        targets: targets(rule, &name, channels)?,
        escalation: escalation(rule, &name, channels)?,
        name,
        patterns: matching,
        not,
        repeat: (repeat > 0).then_some(f64::from(repeat)),
        severity: match rule.severity.unwrap_or_default() {
            rule::Severity::Info => Severity::Info,
            rule::Severity::Warning => Severity::Warning,
            rule::Severity::Critical => Severity::Critical,
        },
        minimum: f64::from(rule.minimum_seconds.unwrap_or_default()),
        active,
        recovery: rule.recovery.unwrap_or(true),
        second_order_hours: rule.second_order_hours,
        stop: rule.stop.unwrap_or_default(),
        line: rule.line,
    })
}

fn configured<'c>(rule: &str, channel: &str, channels: &'c [Configured]) -> Result<&'c Configured, BadRule> {
    channels
        .iter()
        .find(|known| known.name == channel)
        .ok_or_else(|| BadRule::Channel { rule: rule.to_owned(), channel: channel.to_owned() })
}

fn targets(rule: &rule::Rule, name: &str, channels: &[Configured]) -> Result<Vec<Target>, BadRule> {
    let recipients = slice(rule.recipients.as_ref());
    let target = |channel: &Configured| {
        let told =
            if recipients.is_empty() { channel.default_recipients.clone() } else { recipients.to_vec() };
        Target { channel: channel.name.clone(), recipients: told }
    };
    match &rule.channel {
        None => Ok(channels.iter().map(target).collect()),
        Some(names) => {
            names.as_slice().iter().map(|text| Ok(target(configured(name, text, channels)?))).collect()
        }
    }
}

fn escalation(rule: &rule::Rule, name: &str, channels: &[Configured]) -> Result<Option<Escalation>, BadRule> {
    let Some(after) = rule.escalate_after_seconds else { return Ok(None) };
    let mut targets: Vec<Target> = Vec::new();
    for text in slice(rule.escalate_to.as_ref()) {
        let (channel, recipient) = text.split_once(':').unwrap_or((text, ""));
        let (channel, recipient) = (configured(name, channel.trim(), channels)?, recipient.trim());
        let recipients = match recipient {
            "" => channel.default_recipients.clone(),
            one => vec![one.to_owned()],
        };
        match targets.iter_mut().find(|target| target.channel == channel.name) {
            Some(target) => target.recipients.extend(recipients),
            None => targets.push(Target { channel: channel.name.clone(), recipients }),
        }
    }
    Ok(Some(Escalation { after: f64::from(after), targets }))
}
