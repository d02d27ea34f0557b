//! An explanation as a page of text.

use super::{Explanation, MuteSaid, Outcome, Said, To};
use skyline_conf::model::alerting::Alerting;
use std::fmt::{self, Write as _};

/// What would happen, whole sentences.
pub(super) fn outcome(said: &Explanation, settings: &Alerting) -> Vec<String> {
    let mut out = Vec::new();
    if !said.enabled {
        return vec!["Nobody would be told: alerting.enabled is false.".into()];
    }
    if settings.configured().is_empty() {
        return vec!["Nobody would be told: no channel is configured.".into()];
    }
    let verb = if said.dry_run { "would be written to the outbox and not sent" } else { "would be sent" };
    let mut told: Vec<(String, String)> = Vec::new();
    for rule in said.rules.iter().filter(|rule| rule.result == Outcome::Tells) {
        for to in &rule.targets {
            for recipient in &to.recipients {
                let lane = (to.channel.clone(), recipient.clone());
                if told.contains(&lane) {
                    continue;
                }
                out.push(format!(
                    "{} {verb} {}{}.",
                    message(to, recipient),
                    when(rule, settings),
                    again(rule)
                ));
                told.push(lane);
            }
        }
    }
    if out.is_empty() {
        let because = |result: Outcome, text: &str| {
            said.rules.iter().any(|rule| rule.result == result).then(|| text.to_owned())
        };
        let why = because(Outcome::Muted, "a mute holds")
            .or_else(|| because(Outcome::TellsNobody, "the rule that matches has nobody to tell"))
            .or_else(|| because(Outcome::Asleep, "the rules that match do not apply at this hour"))
            .unwrap_or_else(|| "no rule matches".to_owned());
        out.push(format!("Nobody would be told: {why}. The anomaly would be recorded all the same."));
        return out;
    }
    for rule in said.rules.iter().filter(|rule| rule.result == Outcome::Tells) {
        if let Some(after) = rule.escalate_after_seconds {
            let to: Vec<String> = rule.escalate_to.iter().map(shown).collect();
            out.push(format!(
                "Unless somebody acknowledges it within {}, {} would be told too.",
                span(after),
                to.join(" and ")
            ));
        }
    }
    out
}

fn message(to: &To, recipient: &str) -> String {
    match to.channel.as_str() {
        "email" => format!("An email to {}", escaped(recipient)),
        "slack" => format!("A message to Slack's channel {}", escaped(recipient)),
        "pagerduty" => "An event to PagerDuty".to_owned(),
        name => format!("A request to webhook {}", escaped(name)),
    }
}

fn when(rule: &Said, settings: &Alerting) -> String {
    if rule.minimum_seconds > 0.0 {
        format!("once it has lasted {}", span(rule.minimum_seconds))
    } else if settings.gather_milliseconds > 0 {
        format!("within {} ms", settings.gather_milliseconds)
    } else {
        "at once".to_owned()
    }
}

fn again(rule: &Said) -> String {
    let again = match rule.repeat_seconds {
        0.0 => ", once".to_owned(),
        seconds => format!(", and again every {} while it goes on", span(seconds)),
    };
    let end = if rule.recovery { "; its end is told too" } else { "" };
    format!("{again}{end}")
}

/// Seconds in words.
fn span(seconds: f64) -> String {
    let whole = seconds as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    if said.is_empty() { "0 s".to_owned() } else { said.join(" ") }
}

fn shown(to: &To) -> String {
    let recipients: Vec<String> = to.recipients.iter().map(|text| escaped(text)).collect();
    let recipients = recipients.join(", ");
    if recipients == to.channel { recipients } else { format!("{} ({recipients})", to.channel) }
}

/// Text from outside on a terminal: nothing in it acts.
fn escaped(text: &str) -> String {
    text.chars()
        .map(
            |c| {
                if c.is_control() || is_direction(c) { c.escape_default().to_string() } else { c.to_string() }
            },
        )
        .collect()
}

/// Characters that turn the direction of text or are not seen.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", escaped(&self.metric))?;
        if self.default_rule {
            writeln!(f, "The settings have no [[alerting.rule]]: one for every metric stands for them.\n")?;
        }
        for (place, rule) in (1..).zip(&self.rules) {
            write_rule(f, place, rule)?;
        }
        if !self.mutes_known {
            writeln!(
                f,
                "\nThe node is not running: mutes are not known, and the rules are those of the settings."
            )?;
        }
        if !self.limits.is_empty() {
            writeln!(f)?;
        }
        for limit in &self.limits {
            match limit.messages {
                Some(most) => writeln!(
                    f,
                    "limit   {}: {most} messages to one recipient within {}; more are held back and counted",
                    limit.channel,
                    span(limit.window_seconds)
                )?,
                None => writeln!(f, "limit   {}: none", limit.channel)?,
            }
        }
        writeln!(f, "\nIf it broke now:")?;
        for sentence in &self.outcome {
            writeln!(f, "  {sentence}")?;
        }
        Ok(())
    }
}

fn write_rule(f: &mut fmt::Formatter<'_>, place: usize, rule: &Said) -> fmt::Result {
    let mark = match rule.result {
        Outcome::Tells => "TELLS",
        Outcome::TellsNobody => "nobody",
        Outcome::Muted => "MUTED",
        Outcome::Asleep => "asleep",
        Outcome::NoMatch => "-",
        Outcome::NotReached => "not reached",
    };
    let line = rule.line.map_or_else(String::new, |line| format!(" (line {line})"));
    writeln!(f, "{place:>3}  {mark:<12} {}{line}: {}", escaped(&rule.name), escaped(&rule.why))?;
    if matches!(rule.result, Outcome::NoMatch | Outcome::NotReached) {
        return Ok(());
    }
    let mut facts = String::new();
    for to in &rule.targets {
        write!(facts, "{}; ", shown(to))?;
    }
    write!(facts, "severity {}", word(rule))?;
    if rule.repeat_seconds > 0.0 {
        write!(facts, ", again after {}", span(rule.repeat_seconds))?;
    }
    if rule.minimum_seconds > 0.0 {
        write!(facts, ", once it has lasted {}", span(rule.minimum_seconds))?;
    }
    if rule.stop {
        facts.push_str(", stops");
    }
    writeln!(f, "     {:<12} {facts}", "")?;
    match &rule.mute {
        Some(mute) => writeln!(f, "     {:<12} {}", "", muted(mute)),
        None => Ok(()),
    }
}

const fn word(rule: &Said) -> &'static str {
    use crate::message::Severity;
    match rule.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn muted(mute: &MuteSaid) -> String {
    let until = match mute.until.map(jiff::Timestamp::from_second) {
        Some(Ok(time)) => format!(" until {time}"),
        Some(Err(_)) => String::new(),
        None => " until somebody removes it".to_owned(),
    };
    let hours = mute.schedule.as_ref().map_or_else(String::new, |hours| {
        format!(", {} {}", escaped(hours), escaped(mute.zone.as_deref().unwrap_or_default()))
    });
    let reason = mute.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", escaped(reason)));
    format!(
        "mute {} ({} {}){until}{hours}, by {}{reason}",
        mute.id,
        mute.kind,
        escaped(&mute.pattern),
        escaped(&mute.by)
    )
}
