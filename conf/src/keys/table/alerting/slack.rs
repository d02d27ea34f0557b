//! The keys of `[alerting.slack]`.

use crate::keys::table::key;
use crate::keys::{Key, Kind};
use Kind::{Number, Path, Switch, Text, Whole};

pub(in crate::keys::table) const KEYS: &[Key] = &[
    key(
        "alerting.slack.token_file",
        Path,
        "",
        "File whose first line is the bot's token (bot_user_oauth_access_token). Empty: none.",
    ),
    key("alerting.slack.token_env", Text, "", "Variable of the environment that holds the token instead."),
    key(
        "alerting.slack.webhook_file",
        Path,
        "",
        "Instead of a token: file whose first line is the address of an incoming webhook. It has no threads, edits and pictures. Empty: none.",
    ),
    key(
        "alerting.slack.webhook_env",
        Text,
        "",
        "Variable of the environment that holds that address instead.",
    ),
    key(
        "alerting.slack.default_channel",
        Text,
        "",
        "Id of the channel that gets what no rule gives to another (default_channel_id). A webhook has a channel of its own.",
    ),
    key("alerting.slack.api_url", Text, "", "Where Slack's methods are."),
    key("alerting.slack.timeout_seconds", Number(0.1, 120.0), "seconds", "Each call takes so long at most."),
    key("alerting.slack.pictures", Switch, "", "Charts are posted into the threads of messages."),
    key(
        "alerting.slack.extra_tries",
        Whole(1, 10),
        "",
        "How often a picture, an edit or a reaction is tried. The text of a message is never sent again because of them.",
    ),
    key(
        "alerting.slack.icon_emoji",
        Text,
        "",
        "Emoji that stands beside messages instead of the app's picture (icon_emoji). Needs the scope chat:write.customize. Empty: the app's.",
    ),
    key(
        "alerting.slack.acknowledged_emoji",
        Text,
        "",
        "Reaction to the first message of an incident that somebody has acknowledged. Empty: none.",
    ),
    key(
        "alerting.slack.ended_emoji",
        Text,
        "",
        "Reaction to the first message of an incident that has ended. Empty: none.",
    ),
    key(
        "alerting.slack.escalated_emoji",
        Text,
        "",
        "Reaction to an incident that nobody has acknowledged in time. Empty: none.",
    ),
];
