//! Servers that keep data for the node: Redis, the record's database, memcached.

use super::Findings;
use crate::model::Settings;
use crate::model::record::Tls;
use crate::model::redis::{Kind, Layout};
use crate::secret::{self, Credentials};
use skyline_core::shard::ShardSet;
use std::path::Path;

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    redis(settings, findings);
    record(settings, findings);
    memcached(settings, findings);
    if let Err(wrong) = settings.window.shards.parse::<ShardSet>() {
        let message = format!("`{}` names no shards", wrong.0.escape_debug());
        findings.problem("window.shards", message, "write numbers from 0 to 1023 as in `0-511,700`");
    }
}

/// Whether an address is `HOST:PORT`.
fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', '@']) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn redis(settings: &Settings, findings: &mut Findings) {
    let redis = &settings.redis;
    if !redis.is_on() {
        return;
    }
    for server in &redis.servers {
        let is_good = match server.split_once("://") {
            Some(("unix", path)) => path.starts_with('/') && path.len() > 1,
            Some(("redis" | "rediss", address)) => is_host_and_port(address),
            _ => false,
        };
        if !is_good {
            let shown = if server.contains('@') { "an address with a user or password" } else { server };
            let message = format!("`{}` is no address of a Redis server", shown.escape_debug());
            let advice = "write unix:///PATH, redis://HOST:PORT or rediss://HOST:PORT; user, password and database have keys of their own";
            findings.problem("redis.servers", message, advice);
        } else if server.starts_with("unix:") && redis.kind != Kind::Single {
            findings.problem(
                "redis.servers",
                "only a single server can be a socket",
                "write redis://HOST:PORT",
            );
        }
    }
    if redis.kind == Kind::Single && redis.servers.len() > 1 {
        let advice = "name one, or set redis.kind to cluster or sentinel";
        findings.problem("redis.servers", "there are several for a single server", advice);
    }
    if redis.kind == Kind::Sentinel && redis.sentinel_master.is_empty() {
        findings.problem(
            "redis.sentinel_master",
            "it is empty",
            "write the name that `sentinel monitor NAME ...` gives the master",
        );
    }
    if redis.kind == Kind::Cluster && redis.database != 0 {
        findings.problem("redis.database", "a cluster has only database 0", "set it to 0");
    }
    if redis.kind == Kind::Cluster && redis.layout == Layout::Compat {
        let advice = "use layout chunks with a cluster, or compat with a single server or sentinels";
        findings.problem("redis.layout", "the layout of Skyline's tools is not for a cluster", advice);
    }
    for (key, prefix) in [("redis.namespace", &redis.namespace), ("redis.prefix", &redis.prefix)] {
        if prefix.is_empty() || prefix.contains(|c: char| c.is_control() || matches!(c, '{' | '}' | ' ')) {
            let message = format!("`{}` cannot be the beginning of keys", prefix.escape_debug());
            findings.problem(key, message, "use letters, digits, dots, `:`, `_` and `-`");
        }
    }
    if !settings.window.enabled {
        findings.warning("redis.servers", "there are no windows to copy", "set window.enabled to true");
    }
    if redis.servers.iter().any(|server| server.starts_with("rediss:")) {
        authorities(&redis.ca_file, "redis.ca_file", findings);
    }
    credentials(redis.credentials(), ["redis.password_file", "redis.password_env"], findings);
}

fn record(settings: &Settings, findings: &mut Findings) {
    let record = &settings.record;
    if !record.is_remote() {
        return;
    }
    let is_good = record.server.strip_prefix("mysql://").and_then(|rest| rest.split_once('/')).is_some_and(
        |(address, database)| match database.split_once("?socket=") {
            Some((name, socket)) => address.is_empty() && !name.is_empty() && socket.starts_with('/'),
            None => {
                let is_name = !database.is_empty() && !database.contains(['?', '/']);
                is_name && (is_host_and_port(address) || is_host_and_port(&format!("{address}:3306")))
            }
        },
    );
    if !is_good {
        let shown = if record.server.contains('@') { "an address with a user" } else { &record.server };
        findings.problem(
            "record.server",
            format!("`{}` is no address of a database", shown.escape_debug()),
            "write mysql://HOST:PORT/DATABASE or mysql:///DATABASE?socket=/PATH; user and password have keys of their own",
        );
    }
    if record.tls == Tls::Verified && record.server.contains("?socket=") {
        findings.problem("record.tls", "a socket is not encrypted", "set it to off");
    }
    if !record.sqlite_file.as_os_str().is_empty() {
        let message = "anomalies go to record.server, the file is not used";
        findings.warning("record.sqlite_file", message, "take one of the two away");
    }
    if record.tls == Tls::Verified {
        authorities(&record.ca_file, "record.ca_file", findings);
    }
    credentials(record.credentials(), ["record.password_file", "record.password_env"], findings);
}

/// A file of certificates that is not there would be found when the server is.
pub(super) fn authorities(file: &Path, key: &'static str, findings: &mut Findings) {
    if file.as_os_str().is_empty() {
        return;
    }
    if let Err(error) = crate::bounded::bytes(file) {
        let message = format!("{} cannot be read: {error}", file.display());
        findings.problem(
            key,
            message,
            "name a PEM file, or leave it empty for the authorities of the system",
        );
    }
}

pub(super) fn credentials(of: Credentials<'_>, [file, variable]: [&'static str; 2], findings: &mut Findings) {
    let has_file = !of.file.as_os_str().is_empty();
    if let Err(missing) = of.password() {
        findings.problem(if has_file { file } else { variable }, missing.what, missing.advice);
    } else if has_file && secret::is_open_to_all(of.file) {
        let message = format!("everybody can read {}", of.file.display());
        findings.warning(file, message, format!("type chmod o= {}", of.file.display()));
    }
    if has_file && !of.variable.is_empty() {
        findings.warning(variable, "the password comes from the file", "take one of the two away");
    }
}

fn memcached(settings: &Settings, findings: &mut Findings) {
    let memcached = &settings.memcached;
    let address = &memcached.address;
    if !address.is_empty() && !address.starts_with('/') && !is_host_and_port(address) {
        let message = format!("`{}` is neither an address nor a path", address.escape_debug());
        findings.problem("memcached.address", message, "write 127.0.0.1:11211, or the path of a socket");
    }
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-');
    if memcached.namespace.len() > 100 || !memcached.namespace.chars().all(is_good) {
        let message = format!("`{}` cannot be the beginning of keys", memcached.namespace.escape_debug());
        let advice = "use up to 100 letters, digits, dots, `:`, `_` and `-`";
        findings.problem("memcached.namespace", message, advice);
    }
}
