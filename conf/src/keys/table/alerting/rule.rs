//! The keys of `[[alerting.rule]]`.

use crate::keys::table::key;
use crate::keys::{Item, Key, Kind};
use Kind::{Choice, Names, Switch, Text, Whole};

pub(in crate::keys) static RULE: Item = Item {
    what: "a rule",
    keys: KEYS,
    or_text: false,
    example: "{ match = \"stats.web.**\", channel = \"email\" }",
    missing: |table| {
        let message = "the `match` is missing, for example `match = \"stats.web.**\"`; `match = \"**\"` is every metric";
        (!table.contains_key("match")).then_some(message)
    },
};

const KEYS: &[Key] = &[
    key(
        "alerting.rule.name",
        Text,
        "",
        "What messages, mutes and skyline alert explain call it. Default: rule 1, rule 2 and so on.",
    ),
    key("alerting.rule.match", Names, "", "Pattern of names, or several of which one must match."),
    key("alerting.rule.match_not", Names, "", "Patterns of the same kind of which none may match."),
    key(
        "alerting.rule.match_kind",
        Choice(&["exact", "glob", "regex", "contains", "skyline"]),
        "",
        "What the patterns are: exact = the whole name; glob (default) = the whole name with *, ?, [..] and {..} within one element and ** for any number of elements; regex = an expression that is searched for; contains = what stands in the name; skyline = as Skyline matched: equal, or else a regular expression at the start of the name, or else contained.",
    ),
    key(
        "alerting.rule.channel",
        Names,
        "",
        "Channels: email, slack, pagerduty, or a webhook's name. Left out: every channel that is configured. Empty list: nobody is told.",
    ),
    key(
        "alerting.rule.recipients",
        Names,
        "",
        "Who is told: addresses for email, ids of channels for slack. Left out: the default recipients of the channel. Needs a single channel.",
    ),
    key(
        "alerting.rule.repeat_seconds",
        Whole(0, 31_622_400),
        "seconds",
        "While it goes on it is told again after so long (EXPIRATION_TIME). Default: 1800. 0: never again.",
    ),
    key(
        "alerting.rule.severity",
        Choice(&["info", "warning", "critical"]),
        "",
        "How bad it is. Default: warning.",
    ),
    key(
        "alerting.rule.minimum_seconds",
        Whole(0, 604_800),
        "seconds",
        "It is told once it has lasted so long. Default: 0, at once.",
    ),
    key(
        "alerting.rule.active",
        Text,
        "",
        "When the rule applies: days and hours, as in `mon-fri 09:00-17:00, sat 10:00-12:00`; `22:00-06:00` goes over midnight. Left out: always. An incident that is still open when the rule becomes active is told then.",
    ),
    key(
        "alerting.rule.zone",
        Text,
        "",
        "Time zone of active, such as Europe/Berlin. Left out: alerting.zone.",
    ),
    key("alerting.rule.recovery", Switch, "", "Whether the end of it is told. Default: true."),
    key(
        "alerting.rule.escalate_after_seconds",
        Whole(1, 604_800),
        "seconds",
        "Nobody has acknowledged it after so long: escalate_to is told as well.",
    ),
    key(
        "alerting.rule.escalate_to",
        Names,
        "",
        "Who is told then: a channel, or a channel and a recipient as in \"email:boss@example.com\".",
    ),
    key(
        "alerting.rule.second_order_hours",
        Whole(0, 17_568),
        "hours",
        "Hours of the longer window that confirms it (SECOND_ORDER_RESOLUTION_HOURS). Taken and kept; it has no effect yet.",
    ),
    key(
        "alerting.rule.stop",
        Switch,
        "",
        "Whether the rules below are not looked at for metrics that this one matches. Default: false: every rule that matches applies.",
    ),
];
