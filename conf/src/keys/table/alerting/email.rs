//! The keys of `[alerting.email]`.

use crate::keys::table::key;
use crate::keys::{Key, Kind};
use Kind::{Text, Texts};

pub(in crate::keys::table) const KEYS: &[Key] = &[
    key("alerting.email.sender", Text, "", "Address that messages come from. Empty: off."),
    key(
        "alerting.email.default_recipients",
        Texts,
        "",
        "Who gets what no rule gives to anybody else (default_recipient).",
    ),
];
