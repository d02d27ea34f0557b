//! The keys of `[[alerting.webhook]]`.

use crate::keys::table::key;
use crate::keys::{Item, Kind};

pub(in crate::keys) static WEBHOOK: Item = Item {
    what: "a webhook",
    keys: &[
        key("alerting.webhook.name", Kind::Text, "", "What rules call it; a channel by this name."),
        key("alerting.webhook.url", Kind::Text, "", "Where requests go."),
    ],
    or_text: false,
    example: "{ name = \"chat\", url = \"https://chat.internal/hooks/1\" }",
    missing: |table| {
        let both = table.contains_key("name") && table.contains_key("url");
        (!both).then_some("`name` and `url` are both needed")
    },
};
