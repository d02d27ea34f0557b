//! The keys of `[vista]`: points that the node fetches from other servers.

use super::graphite::HEADER;
use super::key;
use crate::keys::{Item, Key, Kind};
use Kind::{Choice, List, Number, Path, Switch, Text, Texts, Whole};

pub(super) const KEYS: &[Key] = &[
    key("vista.enabled", Switch, "", "Whether anything is fetched (VISTA_ENABLED)."),
    key(
        "vista.concurrency",
        Whole(1, 256),
        "questions",
        "Questions at the same time, of all jobs together (VISTA_FETCHER_PROCESSES).",
    ),
    key(
        "vista.per_host",
        Whole(1, 256),
        "questions",
        "Of these, to one host: a slow one holds up nobody else.",
    ),
    key(
        "vista.run_timeout_seconds",
        Number(1.0, 3_600.0),
        "seconds",
        "A run of a job asks nothing more after so long; the next goes on where it was (VISTA_FETCHER_PROCESS_MAX_RUNTIME).",
    ),
    key(
        "vista.skip_current_minute",
        Switch,
        "",
        "Points of the minute that is still filling wait for the next fetch (VISTA_DO_NOT_SUBMIT_CURRENT_MINUTE).",
    ),
    key(
        "vista.live_seconds",
        Whole(1, 86_400),
        "seconds",
        "Points that are older when they are fetched are history: forwarded and stored, never judged. Twice the time between two fetches if that is more.",
    ),
    key(
        "vista.late_seconds",
        Whole(0, 86_400),
        "seconds",
        "So much later than its time a point may appear at the server and is still fetched.",
    ),
    key(
        "vista.fetch",
        List(&FETCH),
        "",
        "The jobs, each a table: one expression of one server (VISTA_FETCH_METRICS). docs/vista.md explains them.",
    ),
];

pub(in crate::keys) static FETCH: Item = Item {
    what: "a job",
    keys: FETCH_KEYS,
    or_text: false,
    example: "{ name = \"load\", kind = \"prometheus\", url = \"http://127.0.0.1:9090\", target = \"node_load1\", store_as = \"prom.load1\" }",
    missing: |table| {
        let needed = ["name", "url", "target", "store_as"];
        let message = "`name`, `url`, `target` and `store_as` are needed, for example `name = \"load\"`";
        needed.iter().any(|key| !table.contains_key(*key)).then_some(message)
    },
};

const FETCH_KEYS: &[Key] = &[
    key("vista.fetch.name", Text, "", "What logs and figures call it: letters, digits, `_`, `-` and `.`."),
    key(
        "vista.fetch.url",
        Text,
        "",
        "http://HOST:PORT or https://HOST:PORT of the server, with the prefix of its paths if it has one.",
    ),
    key(
        "vista.fetch.kind",
        Choice(&["graphite", "prometheus"]),
        "",
        "What the server speaks. Default: graphite.",
    ),
    key("vista.fetch.every_seconds", Whole(1, 86_400), "seconds", "From one fetch to the next. Default: 60."),
    key("vista.fetch.target", Text, "", "A metric, or an expression in the server's language."),
    key(
        "vista.fetch.store_as",
        Text,
        "",
        "Name to store under. An expression with several series needs a template: `{job}` is a label, `{target}` the server's name, `{0}` and `{-1}` its parts.",
    ),
    key(
        "vista.fetch.uri",
        Text,
        "",
        "Path behind the url; times and target in its query do not count. Default: /render or /api/v1/query_range.",
    ),
    key(
        "vista.fetch.step_seconds",
        Whole(1, 86_400),
        "seconds",
        "Prometheus: between two points. Default: 60.",
    ),
    key(
        "vista.fetch.history",
        Texts,
        "",
        "How far back the first fetch reaches, coarse to fine: [\"90days\", \"7days\", \"24hours\", \"6hours\"]. Left out: only what is live.",
    ),
    key(
        "vista.fetch.headers",
        List(&HEADER),
        "",
        "Headers of every question, each a table with a name and a value.",
    ),
    key("vista.fetch.user", Text, "", "User of HTTP basic authentication. Left out: none."),
    key("vista.fetch.password_file", Path, "", "File whose first line is the password."),
    key("vista.fetch.password_env", Text, "", "Variable of the environment that holds the password instead."),
    key(
        "vista.fetch.token_file",
        Path,
        "",
        "File whose first line is a bearer token, instead of user and password.",
    ),
    key("vista.fetch.token_env", Text, "", "Variable of the environment that holds the token instead."),
    key(
        "vista.fetch.ca_file",
        Path,
        "",
        "PEM file of the authorities for https://. Left out: those of the system.",
    ),
    key(
        "vista.fetch.certificate_file",
        Path,
        "",
        "PEM file with the node's own certificate and key for https://. Left out: none is shown.",
    ),
    key(
        "vista.fetch.insecure",
        Switch,
        "",
        "Take any certificate for any host: then anybody between may answer in its place and read its password.",
    ),
    key("vista.fetch.timeout_seconds", Number(0.1, 600.0), "seconds", "For a whole answer. Default: 30."),
    key(
        "vista.fetch.max_body_bytes",
        Whole(1_024, 1 << 30),
        "bytes",
        "Longest body of an answer; a longer one is refused. Default: 64 MiB.",
    ),
    key(
        "vista.fetch.max_series",
        Whole(1, 100_000),
        "series",
        "Most series of an answer; more are refused. Default: 1000.",
    ),
];
