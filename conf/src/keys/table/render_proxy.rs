//! The keys of `[render_proxy]`: Graphite's render questions.

use super::key;
use crate::keys::{Key, Kind};
use Kind::{Addresses, Choice, Number, Path, Switch, Text, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "render_proxy.addresses",
        Addresses,
        "",
        "/render and /metrics/find as Graphite has them. Beyond loopback only with a user, a token or open_to_all. Empty list: off.",
    ),
    key(
        "render_proxy.user",
        Text,
        "",
        "User who may ask (HTTP basic authentication). Empty: none is asked for.",
    ),
    key("render_proxy.password_file", Path, "", "File whose first line is that user's password."),
    key(
        "render_proxy.password_env",
        Text,
        "",
        "Variable of the environment that holds the password instead.",
    ),
    key(
        "render_proxy.token_file",
        Path,
        "",
        "File whose first line is a token that may ask as well: Authorization: Bearer TOKEN. Empty: none.",
    ),
    key("render_proxy.token_env", Text, "", "Variable of the environment that holds the token instead."),
    key(
        "render_proxy.open_to_all",
        Switch,
        "",
        "Everybody who reaches an address may read every metric of Graphite, without a user or token.",
    ),
    key(
        "render_proxy.pass_credentials",
        Switch,
        "",
        "Authorization and Cookie of who asks go on to Graphite, where graphite.server has no user or token of its own.",
    ),
    key(
        "render_proxy.max_concurrent",
        Whole(1, 4_096),
        "questions",
        "Questions at the same time. More are refused with 503.",
    ),
    key(
        "render_proxy.max_request_bytes",
        Whole(1_024, 64 << 20),
        "bytes",
        "Longest body of a question. A longer one is refused with 413.",
    ),
    key(
        "render_proxy.cache_seconds",
        Number(0.0, 3_600.0),
        "seconds",
        "Answers of Graphite are given again for so long; cacheTimeout of a question makes it shorter, noCache refuses it. 0: never.",
    ),
    key("render_proxy.cache_bytes", Whole(0, 4 << 30), "bytes", "Memory for these answers."),
    key(
        "render_proxy.patience_seconds",
        Number(0.01, 60.0),
        "seconds",
        "When no Graphite has answered after so long, the window answers if it has all that is asked for.",
    ),
    key(
        "render_proxy.behind_seconds",
        Number(0.0, 86_400.0),
        "seconds",
        "When Graphite's newest point of a metric is so much older than the window's, the window answers; each question for a picture costs Graphite one more. 0: never.",
    ),
    key(
        "render_proxy.graph_settings",
        Text,
        "",
        "What links to graphs have besides times, target and title; begins with & (GRAPHITE_GRAPH_SETTINGS).",
    ),
    key("render_proxy.look", Choice(&["dark", "light"]), "", "Colours of graphs that the node draws itself."),
    key(
        "render_proxy.zone",
        Text,
        "",
        "Zone of the time axis of graphs that the node draws itself, such as Europe/Zurich, unless tz of the question names one.",
    ),
];
