//! The keys of `[graphite]`: the Graphite servers that render.

use super::key;
use crate::keys::{Item, Key, Kind};
use Kind::{List, Number, Path, Switch, Text, Whole};

pub(super) const KEYS: &[Key] = &[key(
    "graphite.server",
    List(&SERVER),
    "",
    "The Graphite servers that render, each a table with a url. The first that is well is asked, the next when it fails.",
)];

pub(in crate::keys) static SERVER: Item = Item {
    what: "a Graphite server",
    keys: SERVER_KEYS,
    or_text: false,
    example: "{ url = \"http://127.0.0.1:8080\" }",
    missing: |table| {
        let message = "the `url` is missing, for example `url = \"http://127.0.0.1:8080\"`";
        (!table.contains_key("url")).then_some(message)
    },
};

const SERVER_KEYS: &[Key] = &[
    key("graphite.server.name", Text, "", "What logs and figures call it. Left out: its host and port."),
    key(
        "graphite.server.url",
        Text,
        "",
        "http://HOST:PORT or https://HOST:PORT, with the prefix of its paths if it has one (GRAPHITE_PROTOCOL, GRAPHITE_HOST, GRAPHITE_PORT).",
    ),
    key(
        "graphite.server.render_path",
        Text,
        "",
        "Where it renders, behind the url: api/datasources/proxy/1/render for a data source of Grafana (GRAPHITE_RENDER_URI). Default: render.",
    ),
    key(
        "graphite.server.headers",
        List(&HEADER),
        "",
        "Headers of every question, each a table with a name and a value (GRAPHITE_CUSTOM_HEADERS).",
    ),
    key("graphite.server.user", Text, "", "User of HTTP basic authentication. Left out: none."),
    key("graphite.server.password_file", Path, "", "File whose first line is the password."),
    key(
        "graphite.server.password_env",
        Text,
        "",
        "Variable of the environment that holds the password instead.",
    ),
    key(
        "graphite.server.token_file",
        Path,
        "",
        "File whose first line is a bearer token, instead of user and password (GRAPHITE_AUTH_HEADER).",
    ),
    key("graphite.server.token_env", Text, "", "Variable of the environment that holds the token instead."),
    key(
        "graphite.server.ca_file",
        Path,
        "",
        "PEM file of the authorities for https://. Left out: those of the system.",
    ),
    key(
        "graphite.server.certificate_file",
        Path,
        "",
        "PEM file with the node's own certificate and key for https://. Left out: none is shown.",
    ),
    key(
        "graphite.server.insecure",
        Switch,
        "",
        "Take any certificate for any host: then anybody between may answer in its place and read its password.",
    ),
    key(
        "graphite.server.connect_timeout_seconds",
        Number(0.01, 300.0),
        "seconds",
        "For a connection, TLS included (GRAPHITE_CONNECT_TIMEOUT). Default: 5.",
    ),
    key(
        "graphite.server.read_timeout_seconds",
        Number(0.01, 600.0),
        "seconds",
        "For the head of an answer, and between two pieces of its body (GRAPHITE_READ_TIMEOUT). Default: 10.",
    ),
    key(
        "graphite.server.total_timeout_seconds",
        Number(0.01, 3_600.0),
        "seconds",
        "For a whole answer. Default: 60.",
    ),
    key(
        "graphite.server.max_body_bytes",
        Whole(1_024, 4 << 30),
        "bytes",
        "Longest body of an answer; a longer one is cut off. Default: 64 MiB.",
    ),
    key(
        "graphite.server.max_concurrent",
        Whole(1, 1_024),
        "questions",
        "Questions at the same time. Default: 16.",
    ),
];

pub(in crate::keys) static HEADER: Item = Item {
    what: "a header",
    keys: HEADER_KEYS,
    or_text: false,
    example: "{ name = \"X-Org-Id\", value = \"1\" }",
    missing: |table| {
        let message = "the `name` is missing, for example `name = \"X-Org-Id\"`";
        (!table.contains_key("name")).then_some(message)
    },
};

const HEADER_KEYS: &[Key] = &[
    key("graphite.server.headers.name", Text, "", "Its name, such as X-Org-Id."),
    key("graphite.server.headers.value", Text, "", "Its value, in clear."),
    key("graphite.server.headers.value_file", Path, "", "File whose first line is the value, for secrets."),
    key("graphite.server.headers.value_env", Text, "", "Variable of the environment that holds the value."),
];
