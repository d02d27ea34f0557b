//! The keys above all sections, and which of them the node has no use for.

use super::command;
use super::document::{At, Log, Table, Word};
use super::section::{self, Found};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use toml::de::{DeTable, DeValue};

/// Keys that change nothing here: what becomes of them, and what to do.
const UNUSED: [(&str, &str, &str); 13] = [
    ("admin_addr", "there is no telnet interface", "the HTTP API of the node shows routes and destinations"),
    ("http_addr", "the node's own HTTP API takes its place", "set `http.api` in the settings"),
    ("spool_dir", "points wait in the log of the node", "set `node.state_dir` in the settings"),
    ("max_procs", "the node uses the processors that it is given", ""),
    ("pid_file", "no file with the process number is written", "let systemd follow the process"),
    ("log_level", "the node has a setting of its own", "set `node.log` in the settings"),
    ("log_format", "the node has a setting of its own", "set `node.log_format` in the settings"),
    ("bad_metrics_max_age", "refused points are counted by reason and not kept", ""),
    ("plain_read_timeout", "the node has a setting of its own", "set `listen.idle_seconds` in the settings"),
    ("pickle_read_timeout", "the node has a setting of its own", "set `listen.idle_seconds` in the settings"),
    ("tcp_workers", "the node uses the processors that it is given", ""),
    ("udp_workers", "the node uses the processors that it is given", ""),
    (
        "first_only",
        "carbon-relay-ng itself does not look at it any more",
        "use routes of the type sendFirstMatch",
    ),
];

/// Reads a document.
pub(super) fn read(document: &DeTable<'_>, log: &mut Log<'_>) -> Found {
    let whole = log.at(&(0..0));
    let mut table = Table::new(document, "", whole, log);
    let mut found = Found::default();
    found.own.plaintext = address(&mut table, "listen_addr", log);
    found.own.pickle = address(&mut table, "pickle_addr", log);
    found.own.instance = table.text("instance", log).map(|word| word.text);
    found.own.is_strict = validation(&mut table, log);
    for (key, message, advice) in UNUSED {
        if let Some((at, _)) = table.take(key) {
            log.note(at, key, message, advice);
        }
    }
    inputs(&mut table, log);
    // Commands are run before the sections are looked at.
    if let Some(mut init) = inner(&mut table, "init", log) {
        for command in init.texts("cmds", log) {
            command::read(&command, &mut found, log);
        }
        init.finish(log);
    }
    for key in ["blocklist", "blacklist"] {
        let entries = table.texts(key, log);
        found.blocks.extend(entries.iter().filter_map(|word| section::block(word, key, log)));
    }
    for (at, rewriter) in table.tables("rewriter", log) {
        found.rewriters.push(section::rewriter(at, rewriter, log));
    }
    for (at, aggregation) in table.tables("aggregation", log) {
        found.aggregations.push(section::aggregation(at, aggregation, log));
    }
    for (at, route) in table.tables("route", log) {
        found.routes.extend(section::route(at, route, log));
    }
    table.finish(log);
    found
}

/// A section that is there once.
fn inner<'d>(table: &mut Table<'d>, key: &'static str, log: &mut Log<'_>) -> Option<Table<'d>> {
    let (at, value) = table.take(key)?;
    match value.get_ref() {
        DeValue::Table(inner) => Some(Table::new(inner, key, at, log)),
        _ => {
            log.fault(at, key, format!("expected a section: `[{key}]` and its keys below"));
            None
        }
    }
}

/// How names are checked; whether strictly.
fn validation(table: &mut Table<'_>, log: &mut Log<'_>) -> bool {
    let mut is_strict = false;
    for key in ["legacy_metric_validation", "validation_level_legacy"] {
        let Some(Word { text, at }) = table.text(key, log) else { continue };
        match text.as_str() {
            "none" | "medium" => {}
            "strict" => {
                is_strict = true;
                log.note(at, key, "names that it refuses are counted as sent to a black hole", "");
            }
            other => log.fault(at, key, format!("`{other}`: use none, medium or strict")),
        }
    }
    if let Some(Word { text, at }) = table.text("validation_level_m20", log)
        && text != "none"
    {
        log.note(at, "validation_level_m20", "tags of metrics 2.0 are not looked at", "");
    }
    if let Some((true, at)) = table.flag("validate_order", log) {
        let message = "points that are not newer than the last one of their name are passed on as they are: a second \
                       point for the same moment is a correction, and destinations take the last one";
        log.note(at, "validate_order", message, "where a destination refuses such points, let it count them");
    }
    is_strict
}

/// Inputs that are not carbon's, and where the relay sent its own figures.
fn inputs(table: &mut Table<'_>, log: &mut Log<'_>) {
    for (section, key) in [("amqp", "amqp_enabled"), ("kafka", "kafka_enabled")] {
        if let Some(mut inner) = inner(table, section, log)
            && let Some((true, at)) = inner.flag(key, log)
        {
            let why = "this node does not read from there: set it to false and send the points to `listen_addr`, or \
                       let carbon-relay-ng read them and pass them on";
            log.fault(at, inner.path(key), why);
        }
    }
    if let Some((at, _)) = table.take("instrumentation") {
        let message = "the node's own metrics go through the routes, under names of their own";
        log.note(at, "instrumentation", message, "set `node.self_metrics_seconds` in the settings");
    }
}

/// An address that is listened on, as Go writes it: without a host it is every address.
fn address(table: &mut Table<'_>, key: &'static str, log: &mut Log<'_>) -> Option<SocketAddr> {
    let word = table.text(key, log).filter(|word| !word.text.is_empty())?;
    let parsed = parse_address(&word.text);
    if parsed.is_none() {
        wrong_address(&word, key, word.at, log);
    }
    parsed
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let ip = match host {
        "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return text.parse().ok(),
    };
    Some(SocketAddr::new(ip, port.parse().ok()?))
}

fn wrong_address(word: &Word, key: &str, at: At, log: &mut Log<'_>) {
    let why = format!(
        "`{}`: write an IP address of this host and a port, as in 0.0.0.0:2003 or [::]:2003",
        word.text
    );
    log.fault(at, key, why);
}
