//! The keys of `[[alerting.webhook]]`.

use crate::keys::table::key;
use crate::keys::{Item, Kind};
use Kind::{Number, Path, Text, Texts};

pub(in crate::keys) static WEBHOOK: Item = Item {
    what: "a webhook",
    keys: &[
        key("alerting.webhook.name", Text, "", "What rules call it; a channel by this name."),
        key("alerting.webhook.url", Text, "", "Where requests go."),
        key(
            "alerting.webhook.url_file",
            Path,
            "",
            "File whose first line is that address, if it is a secret.",
        ),
        key(
            "alerting.webhook.url_env",
            Text,
            "",
            "Variable of the environment that holds the address instead.",
        ),
        key(
            "alerting.webhook.template",
            Path,
            "",
            "File of the JSON that is sent; conf/templates has some. Empty: everything about the message.",
        ),
        key("alerting.webhook.headers", Texts, "", "Headers of each request, as `NAME: VALUE`."),
        key("alerting.webhook.headers_file", Path, "", "File of headers that are secrets, one a line."),
        key(
            "alerting.webhook.headers_env",
            Text,
            "",
            "Variable of the environment that holds such a header.",
        ),
        key(
            "alerting.webhook.secret_file",
            Path,
            "",
            "File whose first line is the secret that signs requests.",
        ),
        key("alerting.webhook.secret_env", Text, "", "Variable of the environment that holds that secret."),
        key(
            "alerting.webhook.ca_file",
            Path,
            "",
            "PEM file of the authorities of the server's certificate. Empty: those of the system.",
        ),
        key(
            "alerting.webhook.timeout_seconds",
            Number(0.1, 120.0),
            "seconds",
            "A request takes so long at most.",
        ),
    ],
    or_text: false,
    example: "{ name = \"chat\", url = \"https://chat.example.com/hooks/1\" }",
    missing: |table| {
        let has = |key| table.contains_key(key);
        let both = has("name") && (has("url") || has("url_file") || has("url_env"));
        (!both).then_some("`name` and `url` (or url_file, url_env) are both needed")
    },
};
