//! The keys of `[alerting]`: rules, digest of silent metrics, titles, limits.

pub(super) mod email;
pub(super) mod pagerduty;
mod rule;
pub(super) mod slack;
mod webhook;

use super::key;
use crate::keys::{Key, Kind};
use Kind::{List, Number, Switch, Text, Texts, Whole};
pub(in crate::keys) use rule::RULE;
pub(in crate::keys) use webhook::WEBHOOK;

const DAY: f64 = 86_400.0;

pub(super) const KEYS: &[Key] = &[
    key(
        "alerting.enabled",
        Switch,
        "",
        "Form incidents of anomalies and tell them (ENABLE_ALERTS). Anomalies are recorded all the same.",
    ),
    key(
        "alerting.dry_run",
        Switch,
        "",
        "Write every message to the outbox and send none. skyline alert outbox lists them.",
    ),
    key(
        "alerting.public_url",
        Text,
        "",
        "Where people reach this node, as in https://skyline.example.com. Empty: messages have no links to it.",
    ),
    key("alerting.zone", Text, "", "Time zone of messages, charts and rules, such as Europe/Berlin."),
    key(
        "alerting.join_seconds",
        Number(0.0, DAY),
        "seconds",
        "A metric that breaks within so long of an incident's opening belongs to that incident. 0: each metric has its own.",
    ),
    key(
        "alerting.end_seconds",
        Number(1.0, DAY),
        "seconds",
        "A metric that has had no anomalous point for so long is over. An incident ends when all of its metrics are over.",
    ),
    key(
        "alerting.gather_milliseconds",
        Whole(0, 60_000),
        "milliseconds",
        "The first message of an incident waits at most so long for company.",
    ),
    key(
        "alerting.update_seconds",
        Number(0.0, DAY),
        "seconds",
        "Later members of an incident are told so long after its last message at the earliest. What a channel can edit, as Slack can, is edited without delay.",
    ),
    key(
        "alerting.picture_milliseconds",
        Whole(0, 60_000),
        "milliseconds",
        "Pictures of a message are awaited for so long. It goes without those that are late.",
    ),
    key(
        "alerting.retry_seconds",
        Number(0.1, DAY),
        "seconds",
        "Longest wait between two attempts to send a message. The first waits are shorter.",
    ),
    key(
        "alerting.give_up_seconds",
        Number(1.0, 30.0 * DAY),
        "seconds",
        "A message that no attempt has brought to its channel is given up after the repeat time of its rule, and not before this. skyline alert outbox lists it then.",
    ),
    key(
        "alerting.keep_seconds",
        Number(3_600.0, 3_660.0 * DAY),
        "seconds",
        "Ended incidents, and messages that were sent or given up, are kept for so long. What a node that is gone left open goes 30 days later.",
    ),
    key(
        "alerting.link_seconds",
        Number(60.0, 366.0 * DAY),
        "seconds",
        "Links in messages that acknowledge or mute work for so long.",
    ),
    key("alerting.rule", List(&RULE), "", "Rules, from top to bottom; every one that matches applies."),
    key("alerting.webhook", List(&WEBHOOK), "", "Requests to other servers; each is a channel by its name."),
    key("alerting.stale.enabled", Switch, "", "Send the digest (ALERT_ON_STALE_METRICS)."),
    key(
        "alerting.stale.after_seconds",
        Whole(1, 86_400),
        "seconds",
        "A metric belongs to the digest when its newest point is so old (ALERT_ON_STALE_PERIOD), until detect.stale_seconds.",
    ),
    key(
        "alerting.stale.every_seconds",
        Number(1.0, DAY),
        "seconds",
        "Metrics are looked through once in so long. One digest at most comes of it.",
    ),
    key(
        "alerting.stale.exclude",
        Texts,
        "",
        "Names that are left out (DO_NOT_ALERT_ON_STALE_METRICS), matched as window.skip.",
    ),
    key(
        "alerting.stale.channels",
        Texts,
        "",
        "Channels of the digest. Empty list: email and slack, those of them that are configured.",
    ),
    key(
        "alerting.stale.recipients",
        Texts,
        "",
        "Who gets it; needs a single channel. Empty list: the first default recipient of each channel.",
    ),
    key("alerting.stale.tell_return", Switch, "", "Tell also that metrics send again."),
    key(
        "alerting.stale.most_names",
        Whole(1, 200),
        "names",
        "Names that a digest lists at most. The others are counted.",
    ),
    key("alerting.titles.main", Text, "", "How every title begins: [Skyline alert] (main_alert_title)."),
    key("alerting.titles.analyzer", Text, "", "What the window of a day found (analyzer_alert_heading)."),
    key("alerting.titles.mirage", Text, "", "What the longer window found (mirage_alert_heading)."),
    key("alerting.titles.ionosphere", Text, "", "What was learnt (ionosphere_alert_heading)."),
    key("alerting.titles.boundary", Text, "", "What rules of bounds found (boundary_alert_heading)."),
    key(
        "alerting.titles.environment",
        Text,
        "",
        "A word that every title has as well, such as staging (append_environment). Empty: none.",
    ),
    key("alerting.limits.window_seconds", Number(1.0, DAY), "seconds", "Length of the sliding window."),
    key("alerting.limits.email", Whole(0, 1_000_000), "messages", "To email. 0: any number."),
    key("alerting.limits.slack", Whole(0, 1_000_000), "messages", "To Slack. 0: any number."),
    key(
        "alerting.limits.pagerduty",
        Whole(0, 1_000_000),
        "messages",
        "To PagerDuty; what ends an incident there is never held back. 0: any number.",
    ),
    key("alerting.limits.webhook", Whole(0, 1_000_000), "messages", "To each webhook. 0: any number."),
];
