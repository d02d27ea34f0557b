//! Alerting: channels that exist, patterns that compile, recipients that are not of an example.

use super::Findings;
use crate::matching::Matching;
use crate::model::Settings;
use crate::model::alerting::rule::{MatchKind, Rule};
use crate::model::alerting::{Alerting, CHANNELS, Configured};
use crate::schedule::Schedule;
use crate::secret::{Secret, guarded};
use crate::{nearest, placeholder};
use std::collections::HashSet;

const RULE: &str = "alerting.rule";

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let alerting = &settings.alerting;
    let channels = alerting.configured();
    top(alerting, findings);
    names_of_webhooks(alerting, findings);
    addresses(alerting, findings);
    secrets(alerting, findings);
    stale(settings, &channels, findings);
    let mut names = HashSet::new();
    findings.each(RULE, &alerting.rules, |number, rule, findings| {
        let name = rule.called(number + 1);
        let at = format!("`{}`", name.escape_debug());
        if !names.insert(name) {
            findings.problem(RULE, format!("{at}: another has that name"), "give each a name of its own");
        }
        one(rule, &at, alerting, &channels, findings);
    });
    if alerting.rules.is_empty() && alerting.enabled {
        defaults(&channels, findings);
    }
    if !alerting.rules.is_empty() && channels.is_empty() && alerting.enabled {
        let message = "there are rules and no channel: nobody is told";
        findings.warning(RULE, message, "configure [alerting.email], [alerting.slack] or another channel");
    }
}

fn top(alerting: &Alerting, findings: &mut Findings) {
    zone("alerting.zone", "", &alerting.zone, findings);
    let url = &alerting.public_url;
    if !url.is_empty() {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let is_good = rest.is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@', '"', '<', '>', ' '])
        });
        if !is_good {
            let message = format!("`{}` is no address of pages", guarded(url).escape_debug());
            findings.problem("alerting.public_url", message, "write https://HOST, a path may follow");
        } else if placeholder::is_address(url) {
            placeholders("alerting.public_url", url, findings);
        }
    }
    if alerting.update_seconds > 0.0
        && f64::from(alerting.gather_milliseconds) > alerting.update_seconds * 1e3
    {
        let message = "the first message waits longer for company than later ones";
        findings.warning("alerting.gather_milliseconds", message, "300 is a good value");
    }
}

fn placeholders(key: &'static str, text: &str, findings: &mut Findings) {
    let message = format!("`{}` is a placeholder of an example", text.escape_debug());
    findings.problem(key, message, "write your own, or remove it");
}

/// Whether a name is that of a time zone. `at`: where it stands, before it in the message.
pub(super) fn zone(key: &'static str, at: &str, name: &str, findings: &mut Findings) {
    if jiff::tz::TimeZone::get(name).is_err() {
        let near = ["UTC", "Europe/Berlin", "Europe/London", "America/New_York", "Asia/Tokyo"];
        let advice = match nearest::word(name, near.into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name of the time zone database, such as Europe/Berlin or UTC".to_owned(),
        };
        findings.problem(key, format!("{at}`{}` is no time zone", name.escape_debug()), advice);
    }
}

fn names_of_webhooks(alerting: &Alerting, findings: &mut Findings) {
    let mut seen: HashSet<&str> = HashSet::new();
    for hook in &alerting.webhooks {
        let name = hook.name.as_str();
        let shown = name.escape_debug();
        if name.is_empty()
            || name.len() > 60
            || name.contains(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
        {
            let message = format!("`{shown}` is no name of a channel");
            findings.problem("alerting.webhook", message, "use letters, digits, `_`, `-` and dots");
        } else if CHANNELS.contains(&name) {
            let message = format!("`{shown}` is the name of another channel");
            findings.problem("alerting.webhook", message, "call it otherwise");
        } else if !seen.insert(name) {
            findings.problem(
                "alerting.webhook",
                format!("`{shown}` is there twice"),
                "give each a name of its own",
            );
        }
    }
}

/// Addresses of examples: messages would reach nobody, or a stranger.
fn addresses(alerting: &Alerting, findings: &mut Findings) {
    let email = &alerting.email;
    if placeholder::is_address(&email.sender) {
        placeholders("alerting.email.sender", &email.sender, findings);
    }
    for address in email.default_recipients.iter().filter(|address| is_placeholder(address)) {
        placeholders("alerting.email.default_recipients", address, findings);
    }
    for address in email.default_recipients.iter().filter(|address| !address.contains('@')) {
        let message = format!("`{}` is no address of email", guarded(address).escape_debug());
        findings.problem("alerting.email.default_recipients", message, "write name@host");
    }
    if placeholder::is_token(&alerting.slack.default_channel) {
        placeholders("alerting.slack.default_channel", &alerting.slack.default_channel, findings);
    }
    for hook in alerting.webhooks.iter().filter(|hook| is_placeholder(&hook.url)) {
        placeholders("alerting.webhook", &hook.url, findings);
    }
    for address in alerting.stale.recipients.iter().filter(|address| is_placeholder(address)) {
        placeholders("alerting.stale.recipients", address, findings);
    }
}

/// Secrets that are still what an example has. They are not shown; one that cannot be read is told by its channel.
fn secrets(alerting: &Alerting, findings: &mut Findings) {
    let is_token =
        |secret: Option<Secret>| secret.is_some_and(|secret| placeholder::is_token(secret.reveal()));
    let is_bad = |secret: Option<Secret>| secret.is_some_and(|secret| is_placeholder(secret.reveal()));
    let (slack, pagerduty) = (&alerting.slack, &alerting.pagerduty);
    let mut found = |key: &'static str, what: &str| {
        let message = format!("{what} is a placeholder of an example");
        findings.problem(key, message, "write your own, or remove it");
    };
    if is_token(slack.token().ok().flatten()) {
        found("alerting.slack", "the token");
    }
    if is_bad(slack.webhook().ok().flatten()) {
        found("alerting.slack", "the address of the webhook");
    }
    if is_token(pagerduty.routing_key().ok().flatten()) {
        found("alerting.pagerduty", "the routing key");
    }
    if is_token(alerting.email.credentials().password().ok().flatten()) {
        found("alerting.email", "the password");
    }
    for hook in &alerting.webhooks {
        // Where it stands in the settings themselves it is shown.
        if hook.url.is_empty() && is_bad(hook.address().ok()) {
            found("alerting.webhook", &format!("the address of `{}`", hook.name.escape_debug()));
        }
        if is_token(hook.secret().ok().flatten()) {
            found("alerting.webhook", &format!("the secret of `{}`", hook.name.escape_debug()));
        }
    }
}

fn is_placeholder(text: &str) -> bool {
    placeholder::is_address(text) || placeholder::is_token(text)
}

fn stale(settings: &Settings, channels: &[Configured], findings: &mut Findings) {
    let (stale, detect) = (&settings.alerting.stale, &settings.detect);
    if !stale.enabled || !settings.alerting.enabled {
        return;
    }
    if stale.after_seconds >= detect.stale_seconds {
        let message = format!(
            "{} s is not less than detect.stale_seconds ({} s): no metric would ever be in the digest",
            stale.after_seconds, detect.stale_seconds
        );
        findings.problem(
            "alerting.stale.after_seconds",
            message,
            "make it smaller, or set alerting.stale.enabled = false",
        );
    }
    if stale.exclude.iter().any(|entry| entry.trim().is_empty()) {
        findings.problem("alerting.stale.exclude", "an empty entry matches nothing", "remove it");
    }
    for name in &stale.channels {
        channel("alerting.stale.channels", "", name, channels, findings);
    }
    if !stale.recipients.is_empty() && stale.channels.len() != 1 {
        let message = "recipients belong to a single channel";
        findings.problem("alerting.stale.recipients", message, "name one in alerting.stale.channels");
    }
}

/// Says whether a channel can be told anything, and if not what is wrong.
fn channel(
    key: &'static str,
    at: &str,
    name: &str,
    channels: &[Configured],
    findings: &mut Findings,
) -> bool {
    if channels.iter().any(|channel| channel.name == name) {
        return true;
    }
    let shown = name.escape_debug();
    let (message, advice) = match name {
        "email" | "slack" | "pagerduty" => (
            format!("{at}channel `{name}` is not configured"),
            format!("fill [alerting.{name}], or remove the channel here"),
        ),
        "syslog" => (
            format!("{at}`syslog` needs no rule"),
            "set record.syslog.enabled = true: every anomaly gives one line".to_owned(),
        ),
        "smtp" | "mail" | "stmp" => {
            (format!("{at}there is no channel `{shown}`"), "did you mean `email`?".to_owned())
        }
        "hipchat" => (
            format!("{at}there is no channel `hipchat`"),
            "that service no longer exists: remove it".to_owned(),
        ),
        _ => {
            let known = channels.iter().map(|channel| channel.name.as_str()).chain(CHANNELS);
            let advice = match nearest::word(name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let mut known: Vec<&str> = known.collect();
                    known.dedup();
                    let known: Vec<&str> = CHANNELS
                        .into_iter()
                        .chain(known.into_iter().filter(|name| !CHANNELS.contains(name)))
                        .collect();
                    format!("channels are {}", known.join(", "))
                }
            };
            (format!("{at}there is no channel `{shown}`"), advice)
        }
    };
    findings.problem(key, message, advice);
    false
}

/// One rule.
fn one(rule: &Rule, at: &str, alerting: &Alerting, channels: &[Configured], findings: &mut Findings) {
    let kind = rule.match_kind.unwrap_or_default();
    patterns(rule, kind, at, findings);
    let named = rule.channel.as_ref().map(|names| names.as_slice());
    let told: Vec<&Configured> = match named {
        None => channels.iter().collect(),
        Some(names) => {
            let good =
                names.iter().filter(|name| channel(RULE, &format!("{at}: "), name, channels, findings));
            let good: Vec<&String> = good.collect();
            channels.iter().filter(|channel| good.contains(&&channel.name)).collect()
        }
    };
    recipients(rule, at, &told, findings);
    if let Some(text) = &rule.active
        && let Err(error) = Schedule::read(text)
    {
        findings.problem(
            RULE,
            format!("{at}: active: {error}"),
            "days and hours, in parts with commas between",
        );
    }
    if let Some(name) = &rule.zone {
        zone(RULE, &format!("{at}: "), name, findings);
    }
    escalation(rule, at, channels, findings);
    let repeat = rule.repeat_seconds.unwrap_or(crate::model::alerting::rule::REPEAT_SECONDS);
    if repeat > 0 && f64::from(repeat) < alerting.gather_milliseconds as f64 / 1e3 {
        let message = format!("{at}: repeat_seconds is shorter than the first message waits for company");
        findings.warning(RULE, message, "1800 is a good value");
    }
}

fn patterns(rule: &Rule, kind: MatchKind, at: &str, findings: &mut Findings) {
    let given = rule.patterns.as_ref().map(|names| names.as_slice()).unwrap_or_default();
    if given.is_empty() {
        findings.problem(RULE, format!("{at}: match is empty"), "write \"**\" for every metric");
    }
    let not = rule.match_not.as_ref().map(|names| names.as_slice()).unwrap_or_default();
    for (key, text) in
        given.iter().map(|text| ("match", text)).chain(not.iter().map(|text| ("match_not", text)))
    {
        if let Err(error) = Matching::new(kind, text) {
            let why = error.why.clone();
            let (what, advice) = why.split_once("; ").unwrap_or((&why, "mend it"));
            findings.problem(RULE, format!("{at}: {key}: the pattern `{}` {what}", error.shown), advice);
        }
    }
}

fn recipients(rule: &Rule, at: &str, told: &[&Configured], findings: &mut Findings) {
    let given = rule.recipients.as_ref().map(|names| names.as_slice()).unwrap_or_default();
    for recipient in given {
        if is_placeholder(recipient) {
            placeholders(RULE, recipient, findings);
        } else if recipient.trim().is_empty() {
            findings.problem(RULE, format!("{at}: an empty recipient"), "remove it");
        }
    }
    if !given.is_empty() {
        if told.len() > 1 {
            let message =
                format!("{at}: recipients belong to a single channel, and the rule has {}", told.len());
            findings.problem(RULE, message, "name one channel, and write a rule for each of the others");
        } else if let [channel] = told
            && !matches!(channel.name.as_str(), "email" | "slack")
        {
            let message = format!("{at}: channel `{}` has no recipients to choose from", channel.name);
            findings.problem(RULE, message, "remove recipients");
        } else if let [channel] = told
            && channel.name == "email"
            && let Some(odd) = given.iter().find(|address| !address.contains('@'))
        {
            let message = format!("{at}: `{}` is no address of email", guarded(odd).escape_debug());
            findings.problem(RULE, message, "write name@host");
        }
        return;
    }
    for channel in told.iter().filter(|channel| channel.default_recipients.is_empty()) {
        let message = format!("{at}: nobody would be told by `{}`", channel.name);
        findings.problem(
            RULE,
            message,
            format!("name recipients in the rule, or the default of [alerting.{}]", channel.name),
        );
    }
}

fn escalation(rule: &Rule, at: &str, channels: &[Configured], findings: &mut Findings) {
    let to = rule.escalate_to.as_ref().map(|names| names.as_slice()).unwrap_or_default();
    match (rule.escalate_after_seconds, to.is_empty()) {
        (Some(_), true) => {
            findings.problem(
                RULE,
                format!("{at}: escalate_after_seconds without escalate_to"),
                "say who is told then",
            );
        }
        (None, false) => {
            findings.problem(
                RULE,
                format!("{at}: escalate_to without escalate_after_seconds"),
                "say after how long",
            );
        }
        _ => {}
    }
    for target in to {
        let (name, recipient) = match target.split_once(':') {
            Some((name, recipient)) => (name.trim(), Some(recipient.trim())),
            None => (target.trim(), None),
        };
        if !channel(RULE, &format!("{at}: escalate_to: "), name, channels, findings) {
            continue;
        }
        if recipient.is_some_and(is_placeholder) {
            placeholders(RULE, target, findings);
        }
        if name == "email" && recipient.is_some_and(|address| !address.is_empty() && !address.contains('@')) {
            let message =
                format!("{at}: escalate_to: `{}` is no address of email", guarded(target).escape_debug());
            findings.problem(RULE, message, "write email:name@host");
        }
        let has_default =
            channels.iter().any(|channel| channel.name == name && !channel.default_recipients.is_empty());
        if recipient.is_none_or(str::is_empty) && !has_default {
            let message = format!("{at}: escalate_to: `{name}` has no default recipient");
            findings.problem(RULE, message, format!("write \"{name}:RECIPIENT\""));
        }
    }
}

/// No rule: everything goes to every channel's default recipients, which must then be there.
fn defaults(channels: &[Configured], findings: &mut Findings) {
    for channel in channels.iter().filter(|channel| channel.default_recipients.is_empty()) {
        let key = if channel.name == "slack" {
            "alerting.slack.default_channel"
        } else {
            "alerting.email.default_recipients"
        };
        let message =
            format!("there is no rule, and `{}` has no default: nobody would be told", channel.name);
        findings.problem(key, message, "name a default, or write an [[alerting.rule]] with recipients");
    }
}

#[cfg(test)]
mod tests;
