//! The keys of `[alerting.slack]`.

use crate::keys::table::key;
use crate::keys::{Key, Kind};
use Kind::{Path, Text};

pub(in crate::keys::table) const KEYS: &[Key] = &[
    key("alerting.slack.token_file", Path, "", "File whose first line is the bot's token. Empty: none."),
    key("alerting.slack.token_env", Text, "", "Variable of the environment that holds the token instead."),
    key(
        "alerting.slack.default_channel",
        Text,
        "",
        "Id of the channel that gets what no rule gives to another.",
    ),
];
