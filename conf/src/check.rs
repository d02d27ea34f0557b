//! What one key alone cannot tell: settings that contradict each other or cannot work.

use crate::model::Settings;
use crate::model::relay::{DestinationEntry, Method};
use skyline_core::algorithm::Algorithm;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The node would not start, or not do what was meant.
    Problem,
    /// It works, but look at it.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The key, dotted.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// Whether the node would not start with it.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        self.severity == Severity::Problem
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_problem() { "problem" } else { "warning" };
        write!(f, "{word}: {}: {}", self.key, self.message)
    }
}

/// Checks across sections.
#[must_use]
pub fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    listeners(settings, &mut findings);
    journal(settings, &mut findings);
    relay(settings, &mut findings);
    window(settings, &mut findings);
    detect(settings, &mut findings);
    http(settings, &mut findings);
    let node = &settings.node;
    if !(0.1..=600.0).contains(&node.shutdown_seconds) {
        findings.problem("node.shutdown_seconds", "must be from 0.1 to 600");
    }
    if node.state_dir.as_os_str().is_empty() {
        findings.problem("node.state_dir", "must name a folder");
    }
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn problem(&mut self, key: &'static str, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Problem, key, message: message.into() });
    }

    fn warning(&mut self, key: &'static str, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, key, message: message.into() });
    }
}

/// All addresses of stream sockets, and all of datagram sockets, with their keys.
fn addresses(settings: &Settings) -> [Vec<(&'static str, SocketAddr)>; 2] {
    let listen = &settings.listen;
    let with = |key, list: &[SocketAddr]| list.iter().map(|a| (key, *a)).collect::<Vec<_>>();
    let stream = [
        with("listen.plaintext_tcp", &listen.plaintext_tcp),
        with("listen.pickle_tcp", &listen.pickle_tcp),
        with("http.api", &settings.http.api),
        with("http.status", &settings.http.status),
    ];
    let datagram =
        [with("listen.plaintext_udp", &listen.plaintext_udp), with("listen.msgpack_udp", &listen.msgpack_udp)];
    [stream.concat(), datagram.concat()]
}

fn listeners(settings: &Settings, findings: &mut Findings) {
    for list in addresses(settings) {
        let mut seen: HashMap<SocketAddr, &'static str> = HashMap::new();
        for (key, address) in list.into_iter().filter(|(_, a)| a.port() != 0) {
            if let Some(other) = seen.insert(address, key) {
                findings.problem(key, format!("{address} is used by {other} too; give each its own port"));
            }
        }
    }
    let listen = &settings.listen;
    if !(64..=32_768).contains(&listen.max_line_bytes) {
        findings.problem("listen.max_line_bytes", "must be from 64 to 32768");
    }
    if !(1..=64 << 20).contains(&listen.max_frame_bytes) {
        findings.problem("listen.max_frame_bytes", "must be from 1 to 67108864 (64 MiB)");
    }
    if listen.max_connections == 0 {
        findings.problem("listen.max_connections", "must be at least 1");
    }
    if listen.idle_seconds < 0.0 {
        findings.problem("listen.idle_seconds", "must be 0 (never) or more");
    }
    let none = listen.plaintext_tcp.is_empty()
        && listen.plaintext_udp.is_empty()
        && listen.plaintext_unix.is_empty()
        && listen.pickle_tcp.is_empty()
        && listen.msgpack_udp.is_empty();
    if none {
        findings.warning("listen", "no listener is on: no point can come in");
    }
}

fn journal(settings: &Settings, findings: &mut Findings) {
    let journal = &settings.journal;
    if journal.segment_bytes < 1 << 20 {
        findings.problem("journal.segment_bytes", "must be at least 1048576 (1 MiB)");
    }
    if journal.max_bytes < 2 * journal.segment_bytes {
        findings.problem("journal.max_bytes", "must be at least two segments (journal.segment_bytes)");
    }
    if !(0.0..100.0).contains(&journal.min_free_percent) {
        findings.problem("journal.min_free_percent", "must be from 0 to below 100");
    }
}

fn relay(settings: &Settings, findings: &mut Findings) {
    let relay = &settings.relay;
    let count = relay.destinations.len();
    if relay.method == Method::ConsistentHashing && (relay.replication_factor as usize) > count {
        findings.warning("relay.replication_factor", format!("{} replicas are asked for and there are {count} destinations", relay.replication_factor));
    }
    if relay.replication_factor == 0 {
        findings.problem("relay.replication_factor", "must be at least 1");
    }
    if count == 0 {
        findings.warning("relay.destinations", "empty: points are stored and judged but forwarded nowhere");
    }
    let own: Vec<SocketAddr> = addresses(settings).concat().into_iter().map(|(_, a)| a).collect();
    for entry in &relay.destinations {
        let text = match entry {
            DestinationEntry::Address(text) => text,
            DestinationEntry::Table(table) => &table.address,
        };
        destination(text, &own, findings);
    }
    let sending = &relay.sending;
    if sending.retry_min_seconds <= 0.0 || sending.retry_max_seconds < sending.retry_min_seconds {
        findings.problem("relay.sending.retry_max_seconds", "must not be below retry_min_seconds, which must be above 0");
    }
    if sending.points_per_frame == 0 {
        findings.problem("relay.sending.points_per_frame", "must be at least 1");
    }
    if sending.connect_seconds <= 0.0 || sending.stall_seconds <= 0.0 {
        findings.problem("relay.sending.connect_seconds", "connect_seconds and stall_seconds must be above 0");
    }
}

fn destination(text: &str, own: &[SocketAddr], findings: &mut Findings) {
    let parts: Vec<&str> = text.trim().trim_start_matches('[').splitn(2, if text.trim().starts_with('[') { "]:" } else { ":" }).collect();
    let (host, port) = match parts.as_slice() {
        [host, rest] => (*host, rest.split(':').next().and_then(|p| p.parse::<u16>().ok())),
        _ => ("", None),
    };
    let Some(port) = port.filter(|p| *p > 0 && !host.is_empty()) else {
        return findings.problem("relay.destinations", format!("`{text}`: write host:port[:instance][:protocol]"));
    };
    let here = |a: &SocketAddr| a.ip().to_string() == host || (matches!(host, "127.0.0.1" | "localhost" | "::1") && (a.ip().is_unspecified() || a.ip().is_loopback()));
    if own.iter().any(|a| a.port() == port && here(a)) {
        findings.problem("relay.destinations", format!("`{text}` is one of this node's own listeners: points would go round in a circle"));
    }
}

fn window(settings: &Settings, findings: &mut Findings) {
    let window = &settings.window;
    if window.full_duration_seconds < 7_200 {
        findings.problem("window.full_duration_seconds", "must be at least 7200: the first hour is compared with the rest");
    }
    if window.snapshot_seconds < 1.0 {
        findings.problem("window.snapshot_seconds", "must be at least 1");
    }
    if window.threads > 256 {
        findings.problem("window.threads", "must be at most 256");
    }
    for (key, list) in [("window.skip", &window.skip), ("window.keep", &window.keep), ("detect.never_counters", &settings.detect.never_counters)] {
        if list.iter().any(String::is_empty) {
            findings.problem(key, "an empty entry would match every name: remove it");
        }
    }
}

fn detect(settings: &Settings, findings: &mut Findings) {
    let detect = &settings.detect;
    for name in &detect.algorithms {
        if Algorithm::from_name(name).is_none() {
            let nearest = Algorithm::ALL.iter().map(|a| a.name()).max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            findings.problem("detect.algorithms", format!("no algorithm `{name}`; did you mean `{}`?", nearest.unwrap_or_default()));
        }
    }
    if detect.consensus == 0 || detect.consensus as usize > detect.algorithms.len() {
        findings.problem("detect.consensus", format!("must be from 1 to the number of algorithms, {}", detect.algorithms.len()));
    }
}

fn http(settings: &Settings, findings: &mut Findings) {
    for (key, list) in [("http.api", &settings.http.api), ("http.status", &settings.http.status)] {
        for address in list.iter().filter(|a| !a.ip().is_loopback()) {
            findings.problem(key, format!("{address} is not a loopback address; until there are accounts only those are served"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(change: impl FnOnce(&mut Settings), key: &str) {
        let mut settings = Settings::default();
        settings.relay.destinations = vec![DestinationEntry::Address("10.0.0.1:2004".into())];
        assert_eq!(check(&settings), [], "the defaults are fine");
        change(&mut settings);
        let findings = check(&settings);
        assert!(findings.iter().any(|f| f.key == key), "{key} in {findings:?}");
    }

    #[test]
    fn contradictions_are_found() {
        finds(|s| s.listen.pickle_tcp = s.listen.plaintext_tcp.clone(), "listen.pickle_tcp");
        finds(|s| s.listen.max_line_bytes = 40_000, "listen.max_line_bytes");
        finds(|s| s.journal.max_bytes = 1, "journal.max_bytes");
        finds(|s| s.relay.destinations.clear(), "relay.destinations");
        finds(|s| s.relay.destinations = vec![DestinationEntry::Address("h".into())], "relay.destinations");
        finds(|s| s.relay.destinations = vec![DestinationEntry::Address("localhost:2003".into())], "relay.destinations");
        finds(|s| s.relay.destinations = vec![DestinationEntry::Address("[::1]:2003:a".into())], "relay.destinations");
        finds(|s| s.relay.replication_factor = 0, "relay.replication_factor");
        finds(|s| s.detect.consensus = 10, "detect.consensus");
        finds(|s| s.detect.algorithms.push("grubs".into()), "detect.algorithms");
        finds(|s| s.window.skip.push(String::new()), "window.skip");
        finds(|s| s.http.api = vec![SocketAddr::from(([0, 0, 0, 0], 80))], "http.api");
        finds(|s| s.node.shutdown_seconds = 0.0, "node.shutdown_seconds");
    }
}
