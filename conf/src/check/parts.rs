//! Node, journal, windows, detection and record.

use super::Findings;
use crate::model::Settings;
use crate::model::relay::WhenBehind;
use crate::nearest;
use skyline_core::algorithm::Algorithm;
use std::net::SocketAddr;
use std::path::Path;

/// Ends of service units are awaited for so long unless they say otherwise (systemd's TimeoutStopSec), seconds.
const USUAL_PATIENCE: f64 = 90.0;

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    node(settings, findings);
    journal(settings, findings);
    window(settings, findings);
    detect(settings, findings);
    record(settings, findings);
}

fn node(settings: &Settings, findings: &mut Findings) {
    let node = &settings.node;
    if node.state_dir.as_os_str().is_empty() {
        findings.problem(
            "node.state_dir",
            "it is empty",
            "name the folder that holds the journal and the windows",
        );
    } else {
        absolute("node.state_dir", &node.state_dir, findings);
    }
    if node.shutdown_seconds > USUAL_PATIENCE {
        let message = format!("{} s is longer than service managers usually wait", node.shutdown_seconds);
        findings.warning(
            "node.shutdown_seconds",
            message,
            "raise TimeoutStopSec of the unit as well, or lower this",
        );
    }
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if node.name.contains(odd) {
        let message =
            format!("`{}` has characters that do not belong into metric names", node.name.escape_debug());
        findings.problem("node.name", message, "use letters, digits, `_`, `-` and dots");
    }
    for directive in node.log.split(',') {
        log_directive(directive.trim(), findings);
    }
}

/// One part of `node.log`: LEVEL or TARGET=LEVEL. A lone word that is no level would be taken for a target,
/// and silence everything else.
fn log_directive(directive: &str, findings: &mut Findings) {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let (target, level) =
        directive.split_once('=').map_or(("", directive), |(t, level)| (t.trim(), level.trim()));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    if !target.chars().all(is_plain) || (directive.contains('=') && target.is_empty()) {
        let message = format!("`{}` does not name a part of the program", target.escape_debug());
        return findings.problem("node.log", message, "write it as in `info,skyline_relay=debug`");
    }
    if LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
        return;
    }
    let advice = match nearest::word(level, LEVELS.into_iter()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!("levels are {}; a part has its own as in `info,skyline_relay=debug`", LEVELS.join(", "))
        }
    };
    findings.problem("node.log", format!("`{}` is no level", level.escape_debug()), advice);
}

/// A path that depends on the folder from which the node is started.
fn absolute(key: &'static str, path: &Path, findings: &mut Findings) {
    if path.is_relative() {
        let message = format!("{} depends on the folder from which the node is started", path.display());
        findings.warning(key, message, "write the whole path");
    }
}

fn journal(settings: &Settings, findings: &mut Findings) {
    let journal = &settings.journal;
    if journal.segment_bytes > journal.max_bytes {
        let message = format!(
            "a segment of {} bytes is larger than the budget of {}",
            journal.segment_bytes, journal.max_bytes
        );
        findings.problem("journal.segment_bytes", message, "make it a quarter of journal.max_bytes or less");
    } else if journal.segment_bytes > journal.max_bytes / 4 {
        let message =
            format!("segments will have {} bytes, a quarter of journal.max_bytes", journal.max_bytes / 4);
        findings.warning("journal.segment_bytes", message, "make it a quarter of journal.max_bytes or less");
    }
    if journal.memory_bytes > journal.max_bytes {
        let message = "more is held in memory than the journal holds on disk";
        findings.warning("journal.memory_bytes", message, "make it smaller than journal.max_bytes");
    }
}

fn window(settings: &Settings, findings: &mut Findings) {
    let window = &settings.window;
    let lists = [
        ("window.skip", &window.skip),
        ("window.keep", &window.keep),
        ("detect.never_counters", &settings.detect.never_counters),
    ];
    for (key, list) in lists {
        if list.iter().any(|entry| entry.trim().is_empty()) {
            findings.problem(key, "an empty entry matches nothing", "remove it");
        }
    }
    if !window.keep.is_empty() && window.skip.is_empty() {
        findings.warning("window.keep", "it makes exceptions from window.skip, which is empty", "remove it");
    }
    let behind = window.snapshot_seconds > 0.75 * f64::from(window.full_duration_seconds);
    if window.enabled && behind {
        let message =
            format!("the journal must be kept for {} s for the windows alone", window.snapshot_seconds);
        findings.warning("window.snapshot_seconds", message, "3600 is a good value for a day");
    }
    if !settings.relay.has_destinations() && !settings.relay.files.is_any() {
        if window.enabled {
            let message = "there is none: points are judged here and forwarded to nobody";
            findings.warning(
                "relay.destinations",
                message,
                "name your carbon, for example destinations = [\"127.0.0.1:2004:pickle\"]",
            );
        } else {
            let message =
                "there is none and window.enabled is false: points are taken and nothing is done with them";
            findings.problem("relay.destinations", message, "name a destination or switch windows on");
        }
    }
}

fn detect(settings: &Settings, findings: &mut Findings) {
    let detect = &settings.detect;
    let mut seen: Vec<&str> = Vec::new();
    for name in &detect.algorithms {
        if Algorithm::from_name(name).is_none() {
            let advice = match nearest::word(name, Algorithm::ALL.iter().map(|a| a.name())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", Algorithm::ALL.map(Algorithm::name).join(", ")),
            };
            findings.problem("detect.algorithms", format!("there is no algorithm `{name}`"), advice);
        } else if seen.contains(&name.as_str()) {
            findings.problem("detect.algorithms", format!("`{name}` is there twice"), "remove one");
        }
        seen.push(name);
    }
    let voters = detect.algorithms.len();
    if voters == 0 {
        let advice = "name algorithms, or set detect.enabled = false";
        findings.problem("detect.algorithms", "nobody votes: the list is empty", advice);
    } else if detect.consensus as usize > voters {
        let message = format!(
            "{} votes are needed and {voters} algorithms vote: nothing could be anomalous",
            detect.consensus
        );
        findings.problem(
            "detect.consensus",
            message,
            format!("set it to {voters} or less, or name more algorithms"),
        );
    }
    if detect.boredom_set_size >= detect.boredom_points {
        let message = "every metric is boring: so many distinct values cannot be among so few points";
        findings.problem("detect.boredom_set_size", message, "make it smaller than detect.boredom_points");
    }
    if !settings.window.enabled {
        return;
    }
    if settings.window.full_duration_seconds <= detect.stale_seconds {
        let message = "points that old are no longer in the window";
        findings.warning(
            "detect.stale_seconds",
            message,
            "make it smaller than window.full_duration_seconds",
        );
    }
    let blocked = settings.relay.sending.when_behind == WhenBehind::Block;
    if blocked && detect.enabled && settings.relay.has_destinations() {
        let message = "a destination that is down stops the listeners, and with them detection";
        findings.warning("relay.sending.when_behind", message, "use spool unless senders must feel it");
    }
}

fn record(settings: &Settings, findings: &mut Findings) {
    let record = &settings.record;
    if !record.sqlite_file.as_os_str().is_empty() {
        absolute("record.sqlite_file", &record.sqlite_file, findings);
    }
    let syslog = &record.syslog;
    if !syslog.enabled {
        return;
    }
    let good = match syslog.address.strip_prefix("udp:") {
        Some(udp) => udp.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0),
        None => Path::new(&syslog.address).is_absolute(),
    };
    if !good {
        let message = format!("`{}` is neither a path nor an address", syslog.address);
        findings.problem(
            "record.syslog.address",
            message,
            "write \"/dev/log\", or \"udp:10.0.0.5:514\" with a numeric address",
        );
    }
}
