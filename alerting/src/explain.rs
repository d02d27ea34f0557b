//! What would be told of a metric, and why: rules in order, recipients, mutes and limits. For people and as JSON.

mod page;

use crate::message::Severity;
use crate::mute::Mutes;
use crate::rule::{Rule, Rules, Target, Verdict};
use serde::{Deserialize, Serialize};
use skyline_conf::matching::{By, Matching};
use skyline_conf::model::alerting::Alerting;
use skyline_sql::mute::Mute;

/// All that is said of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The metric.
    pub metric: String,
    /// For when it holds, seconds.
    pub at: f64,
    /// Whether anything is told at all (`alerting.enabled`).
    pub enabled: bool,
    /// Whether messages are written to the outbox and not sent (`alerting.dry_run`).
    pub dry_run: bool,
    /// Whether the settings have no rules, and one for everything stands for them.
    pub default_rule: bool,
    /// Whether mutes were looked at: without the node they are not known.
    pub mutes_known: bool,
    /// The rules, in order.
    pub rules: Vec<Said>,
    /// Limits of the channels that would be used.
    pub limits: Vec<Limit>,
    /// What would happen if the metric broke now, whole sentences.
    pub outcome: Vec<String>,
}

/// One rule, and what it makes of the metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Its name.
    pub name: String,
    /// Its line in the settings file; none: it stands in none.
    pub line: Option<usize>,
    /// What it is looked for with.
    pub patterns: Vec<Pattern>,
    /// What must not match.
    pub match_not: Vec<Pattern>,
    /// What it makes of the metric.
    pub result: Outcome,
    /// Why, a part of a sentence.
    pub why: String,
    /// Who is told by it.
    pub targets: Vec<To>,
    /// How bad it is.
    pub severity: Severity,
    /// Told again after so long, seconds; 0: never.
    pub repeat_seconds: f64,
    /// Told once it has lasted so long, seconds.
    pub minimum_seconds: f64,
    /// When it applies; none: always.
    pub active: Option<String>,
    /// Whether the end is told.
    pub recovery: bool,
    /// After how long without an acknowledgement others are told, seconds.
    pub escalate_after_seconds: Option<f64>,
    /// Who these are.
    pub escalate_to: Vec<To>,
    /// Whether rules below are not looked at.
    pub stop: bool,
    /// The mute that keeps it silent.
    pub mute: Option<MuteSaid>,
}

/// What a rule makes of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It applies, and somebody is told.
    Tells,
    /// It applies, and has nobody to tell.
    TellsNobody,
    /// It matches, and a mute holds.
    Muted,
    /// It matches, and does not apply at this hour.
    Asleep,
    /// It does not match.
    NoMatch,
    /// One above it stops.
    NotReached,
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// What it is.
    pub kind: String,
    /// Its text.
    pub text: String,
}

/// Who is told by a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct To {
    /// The channel.
    pub channel: String,
    /// Who.
    pub recipients: Vec<String>,
}

/// A mute that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteSaid {
    /// Its id.
    pub id: i64,
    /// `name`, `glob` or `rule`.
    pub kind: String,
    /// Its pattern.
    pub pattern: String,
    /// When it ends, seconds.
    pub until: Option<i64>,
    /// Its hours.
    pub schedule: Option<String>,
    /// Their zone.
    pub zone: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who made it.
    pub by: String,
}

/// How many messages a channel takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The channel.
    pub channel: String,
    /// Messages to one recipient; none: any number.
    pub messages: Option<u32>,
    /// Within so long, seconds.
    pub window_seconds: f64,
}

/// Says what would be told of a metric at a time (seconds). `mutes`: none where they are not known.
#[must_use]
pub fn explain(
    settings: &Alerting,
    rules: &Rules,
    mutes: Option<&Mutes>,
    metric: &str,
    now: f64,
) -> Explanation {
    let mut stopped_by: Option<String> = None;
    let mut said = Vec::new();
    for rule in rules.all() {
        let mute = mutes.and_then(|mutes| mutes.find(metric, &rule.name, now));
        let (result, why) = judge(rule, metric, now, mute.as_ref(), stopped_by.as_deref());
        let applies = matches!(result, Outcome::Tells | Outcome::TellsNobody | Outcome::Muted);
        if applies && rule.stop && stopped_by.is_none() {
            stopped_by = Some(rule.name.clone());
        }
        let mute = mute.filter(|_| result == Outcome::Muted);
        said.push(describe(rule, result, why, mute));
    }
    let mut explanation = Explanation {
        metric: metric.to_owned(),
        at: now,
        enabled: settings.enabled,
        dry_run: settings.dry_run,
        default_rule: rules.is_default(),
        mutes_known: mutes.is_some(),
        limits: limits(settings, &said),
        rules: said,
        outcome: Vec::new(),
    };
    explanation.outcome = page::outcome(&explanation, settings);
    explanation
}

fn judge(
    rule: &Rule,
    metric: &str,
    now: f64,
    mute: Option<&Mute>,
    stopped_by: Option<&str>,
) -> (Outcome, String) {
    let text = |patterns: &[Matching], place: usize| {
        patterns
            .get(place)
            .map(|pattern| format!("{} {}", pattern.kind().label(), pattern.as_str()))
            .unwrap_or_default()
    };
    let (pattern, by) = match rule.verdict(metric) {
        Verdict::NoPattern => return (Outcome::NoMatch, "none of its patterns matches".into()),
        Verdict::Excluded { pattern, by } => {
            let why = format!("match_not {}: the name {}", text(&rule.not, pattern), by.words());
            return (Outcome::NoMatch, why);
        }
        Verdict::Matches { pattern, by } => (text(&rule.patterns, pattern), by),
    };
    let matches = format!("{pattern}: the name {}", words(by));
    if let Some(name) = stopped_by {
        return (Outcome::NotReached, format!("it would match, but rule {name} stops"));
    }
    match &rule.active {
        Some(active) if !active.applies(now) => {
            return (Outcome::Asleep, format!("{matches}, but it applies only {active}"));
        }
        _ => {}
    }
    if let Some(mute) = mute {
        return (Outcome::Muted, format!("{matches}, but mute {} holds", mute.id));
    }
    let nobody = rule.targets.iter().all(|target| target.recipients.is_empty());
    (if nobody { Outcome::TellsNobody } else { Outcome::Tells }, matches)
}

const fn words(by: By) -> &'static str {
    by.words()
}

fn describe(rule: &Rule, result: Outcome, why: String, mute: Option<Mute>) -> Said {
    let patterns = |of: &[Matching]| {
        let said =
            |one: &Matching| Pattern { kind: one.kind().label().to_owned(), text: one.as_str().to_owned() };
        of.iter().map(said).collect()
    };
    let to = |targets: &[Target]| {
        let said = |one: &Target| To { channel: one.channel.clone(), recipients: one.recipients.clone() };
        targets.iter().map(said).collect::<Vec<_>>()
    };
    Said {
        name: rule.name.clone(),
        line: rule.line,
        patterns: patterns(&rule.patterns),
        match_not: patterns(&rule.not),
        result,
        why,
        targets: to(&rule.targets),
        severity: rule.severity,
        repeat_seconds: rule.repeat.unwrap_or_default(),
        minimum_seconds: rule.minimum,
        active: rule.active.as_ref().map(ToString::to_string),
        recovery: rule.recovery,
        escalate_after_seconds: rule.escalation.as_ref().map(|escalation| escalation.after),
        escalate_to: rule.escalation.as_ref().map(|escalation| to(&escalation.targets)).unwrap_or_default(),
        stop: rule.stop,
        mute: mute.map(|mute| MuteSaid {
            id: mute.id,
            kind: mute.what.kind.word().to_owned(),
            pattern: mute.what.pattern,
            until: mute.what.until,
            schedule: mute.what.schedule,
            zone: mute.what.zone,
            reason: mute.what.reason,
            by: mute.by,
        }),
    }
}

fn limits(settings: &Alerting, rules: &[Said]) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for to in rules.iter().filter(|rule| rule.result == Outcome::Tells).flat_map(|rule| &rule.targets) {
        if !limits.iter().any(|limit| limit.channel == to.channel) {
            limits.push(Limit {
                channel: to.channel.clone(),
                messages: settings.limits.of(&to.channel),
                window_seconds: settings.limits.window_seconds,
            });
        }
    }
    limits
}

#[cfg(test)]
mod tests;
