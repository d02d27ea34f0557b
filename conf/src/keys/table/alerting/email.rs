//! The keys of `[alerting.email]`.

use crate::keys::table::key;
use crate::keys::{Key, Kind};
use Kind::{Choice, Number, Path, Switch, Text, Texts, Whole};

pub(in crate::keys::table) const KEYS: &[Key] = &[
    key("alerting.email.sender", Text, "", "Address that messages come from (sender). Empty: off."),
    key("alerting.email.sender_name", Text, "", "Name that mail clients show for it."),
    key(
        "alerting.email.default_recipients",
        Texts,
        "",
        "Who gets what no rule gives to anybody else (default_recipient). Each gets a mail of their own.",
    ),
    key("alerting.email.host", Text, "", "Name or IP address of the mail server."),
    key("alerting.email.port", Whole(1, 65_535), "", "Its port: 25 or 587, 465 for tls."),
    key(
        "alerting.email.tls",
        Choice(&["none", "starttls", "tls"]),
        "",
        "How the connection is encrypted: none, starttls = by a command that the server must offer, tls = from the first byte. The server's certificate and name are checked.",
    ),
    key(
        "alerting.email.ca_file",
        Path,
        "",
        "PEM file of the authorities of the server's certificate. Empty: those of the system.",
    ),
    key("alerting.email.user", Text, "", "Who logs in. Empty: nobody."),
    key(
        "alerting.email.password_file",
        Path,
        "",
        "File whose first line is that user's password. Empty: none.",
    ),
    key(
        "alerting.email.password_env",
        Text,
        "",
        "Variable of the environment that holds the password instead.",
    ),
    key(
        "alerting.email.hello_name",
        Text,
        "",
        "What this machine calls itself to the server (EHLO). Empty: its host name.",
    ),
    key(
        "alerting.email.timeout_seconds",
        Number(0.1, 600.0),
        "seconds",
        "Connecting, and each answer of the server, take so long at most; the answer to a whole mail four times as long.",
    ),
    key(
        "alerting.email.pictures",
        Switch,
        "",
        "Charts are part of messages (embed-images, PLOT_REDIS_DATA).",
    ),
];
