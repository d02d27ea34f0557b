//! The record, Redis, memcached and syslog: as the node sees them, and as they are found from here.

use super::points::since;
use super::running::{Look, of, whole};
use crate::cli::report::{Part, Report};
use crate::cli::status::text;
use serde_json::Value;
use skyline_conf::model::Settings;
use skyline_conf::model::memcached::Memcached;
use skyline_conf::model::record::Syslog;
use skyline_conf::model::redis::{Layout, Redis};
use skyline_conf::secret;
use std::os::unix::net::UnixDatagram;

/// How the node does with each.
pub(super) fn lines(look: &Look, report: &mut Report) {
    for row in look.rows("/stores") {
        line(row, report);
    }
    let unsent = look.number("/syslog_unsent");
    if unsent > 0.0 {
        let message = format!("{} lines could not be sent since the start", whole(unsent));
        report.warning("record.syslog", message, "look whether the daemon runs at record.syslog.address");
    }
}

fn line(row: &Value, report: &mut Report) {
    let (store, waiting) = (text(row, "store"), of(row, "waiting"));
    let (key, what) = match store.as_str() {
        "redis" => ("redis", "windows are not copied"),
        "memcached" => ("memcached", "the record is asked without it"),
        _ => ("record", "anomalies wait for it"),
    };
    let waits = if waiting > 0.0 { format!(", {} wait", whole(waiting)) } else { String::new() };
    match text(row, "state").as_str() {
        "up" => {
            let detail = text(row, "detail");
            // Behind its address: what is not right although it answers.
            match detail.split_once("; ") {
                Some((at, note)) => {
                    let message = format!("the node has it{}{waits}: {at}", since(row));
                    report.warning(key, message, note);
                }
                None => report.ok(key, format!("the node has it{}{waits}: {detail}", since(row))),
            }
        }
        "away" => {
            let message = format!(
                "the node is without it{}{waits}: {}; {what} meanwhile",
                since(row),
                text(row, "detail")
            );
            let advice = "see what is found from here, below";
            // Whoever reads from a cache is not worse off without it.
            if key == "memcached" {
                report.warning(key, message, advice)
            } else {
                report.problem(key, message, advice)
            }
        }
        _ => {}
    }
}

/// What is asked beside everything else.
pub(in crate::cli) fn probes(settings: &Settings) -> Vec<Part> {
    let mut parts = vec![Part::new("record", record(settings.clone()))];
    if settings.redis.is_on() {
        parts.push(Part::new("redis", redis(settings.redis.clone())));
    }
    if !settings.memcached.address.is_empty() {
        parts.push(Part::new("memcached", memcached(settings.memcached.clone())));
    }
    if settings.record.syslog.enabled {
        let syslog = settings.record.syslog.clone();
        parts.push(Part::new("record.syslog", async move { of_syslog(&syslog) }));
    }
    parts
}

async fn record(settings: Settings) -> Report {
    let mut report = Report::new(true);
    let own = crate::record::own_file(&settings);
    if let Some(file) = settings.record.file(&own).filter(|file| !file.exists()) {
        report.ok("record", format!("{} is made when the node starts", file.display()));
        return report;
    }
    let facts = match Box::pin(skyline_sql::probe(&settings.record, &own)).await {
        Ok(facts) => facts,
        Err(problem) => {
            report.problem("record", problem.what, problem.advice);
            return report;
        }
    };
    let anomalies =
        facts.anomalies.map_or_else(|| "no tables yet".to_owned(), |n| many(n, "anomaly", "anomalies"));
    let message = format!(
        "{}: {} {} answers in {:.1} ms; {anomalies}, {} MiB; schema {} of {}; {}",
        facts.place,
        facts.kind,
        facts.version,
        facts.latency.as_secs_f64() * 1e3,
        facts.bytes >> 20,
        facts.schema,
        facts.known,
        facts.rights.join(", ")
    );
    if facts.needs_migration {
        let advice = format!("type {} migrate, after a backup", crate::cli::output::program());
        report.problem(
            "record",
            format!("{message}: it is of an older version, and nothing is recorded"),
            advice,
        );
    } else {
        report.ok("record", message);
    }
    report
}

/// So many of something.
fn many(count: u64, one: &str, more: &str) -> String {
    format!("{} {}", whole(count as f64), if count == 1 { one } else { more })
}

async fn redis(settings: Redis) -> Report {
    let mut report = Report::new(true);
    let at = settings.servers.iter().map(|server| secret::shown(server)).collect::<Vec<_>>().join(", ");
    let layout = settings.layout;
    let facts = match Box::pin(skyline_mirror::server::probe(&settings)).await {
        Ok(facts) => facts,
        Err(problem) => {
            report.problem("redis", format!("{at}: {}", problem.what), problem.advice);
            return report;
        }
    };
    let kept = if facts.persistence.is_empty() {
        "not kept over a restart of it".to_owned()
    } else {
        facts.persistence
    };
    let bound = match facts.max_memory {
        0 => "without a bound".to_owned(),
        bytes => format!("of {} MiB", bytes >> 20),
    };
    report.ok(
        "redis",
        format!(
            "{at}: Redis {} answers in {:.1} ms; {} MiB used {bound}, {}; {kept}; {}",
            facts.version,
            facts.latency.as_secs_f64() * 1e3,
            facts.used_memory >> 20,
            if facts.policy.is_empty() { "policy not known" } else { &facts.policy },
            match layout {
                Layout::Chunks => many(facts.ours, "key of the copy", "keys of the copy"),
                Layout::Compat => many(facts.ours, "metric", "metrics"),
            }
        ),
    );
    for warning in facts.warnings {
        report.warning("redis", warning.what, warning.advice);
    }
    report
}

async fn memcached(settings: Memcached) -> Report {
    let mut report = Report::new(true);
    let at = &settings.address;
    match skyline_sql::cache::probe(&settings).await {
        Ok(version) => report.ok("memcached", format!("{at}: memcached {version} answers")),
        // Everything is right without it.
        Err(error) => report.warning(
            "memcached",
            format!("{at}: {}", error.problem),
            "start it, or take memcached.address out of the settings: nothing depends on it",
        ),
    }
    report
}

fn of_syslog(settings: &Syslog) -> Report {
    let mut report = Report::new(true);
    let (key, address) = ("record.syslog", &settings.address);
    if address.starts_with("udp:") {
        report.ok(key, format!("lines go to {address}; nobody says whether they arrive"));
        return report;
    }
    match UnixDatagram::unbound().and_then(|socket| socket.connect(address)) {
        Ok(()) => report.ok(key, format!("a daemon listens at {address}")),
        Err(error) => report.problem(
            key,
            format!("{address}: {error}"),
            "start rsyslog or systemd-journald, or name their socket in record.syslog.address",
        ),
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_node_says_of_its_stores() {
        let check = |store: &str, state: &str, expected: &str| {
            let mut report = Report::new(true);
            let row = json!({ "store": store, "state": state, "since": 60.0, "waiting": 3, "detail": "why" });
            line(&row, &mut report);
            let said: Vec<_> = report.lines.iter().map(ToString::to_string).collect();
            assert_eq!(said.join("\n"), expected);
        };
        check("redis", "off", "");
        check("record", "up", "ok       record: the node has it since 1970-01-01T00:01:00Z, 3 wait: why");
        let mut report = Report::new(true);
        let row = json!({ "store": "redis", "state": "up", "since": 60.0, "waiting": 0, "detail": "unix:///r; it is full; mend it" });
        line(&row, &mut report);
        let said: Vec<_> = report.lines.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["warning  redis: the node has it since 1970-01-01T00:01:00Z: unix:///r; it is full; mend it"]
        );
        let rest = "since 1970-01-01T00:01:00Z, 3 wait: why";
        let below = "see what is found from here, below";
        check(
            "redis",
            "away",
            &format!(
                "problem  redis: the node is without it {rest}; windows are not copied meanwhile; {below}"
            ),
        );
        check(
            "memcached",
            "away",
            &format!(
                "warning  memcached: the node is without it {rest}; the record is asked without it meanwhile; {below}"
            ),
        );
    }

    #[test]
    fn syslog_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let of = |address: &str| {
            of_syslog(&Syslog { enabled: true, address: address.to_owned() }).lines.remove(0).to_string()
        };
        assert!(of(path.to_str().unwrap()).starts_with("problem  record.syslog: "));
        let _daemon = UnixDatagram::bind(&path).unwrap();
        assert!(of(path.to_str().unwrap()).contains("a daemon listens"));
        assert!(of("udp:127.0.0.1:514").contains("nobody says"));
    }
}
