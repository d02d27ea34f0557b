//! The lines of alerting: open incidents, and what became of messages by channel.

use super::{duration, many, number, rows, text};
use serde_json::Value;
use std::fmt::Write as _;

/// Nothing where alerting is switched off.
pub(super) fn write(out: &mut String, status: &Value) -> std::fmt::Result {
    let Some(alerting) = status.get("alerting").filter(|alerting| alerting.is_object()) else {
        return Ok(());
    };
    let open = number(alerting.get("incidents_open"));
    write!(out, "alerting       {} open", many(&open, "incident", "incidents"))?;
    if alerting.get("p99_ms").is_some_and(Value::is_number) {
        let ms = |key: &str| {
            number(alerting.get(key).and_then(Value::as_f64).map(|ms| Value::from(ms.round())).as_ref())
        };
        write!(out, "; bad point to message p50 {} ms, p99 {} ms", ms("p50_ms"), ms("p99_ms"))?;
    }
    writeln!(out)?;
    for row in rows(alerting, "/channels") {
        let of = |key: &str| number(row.get(key));
        write!(out, "  {:<12} {} sent", text(row, "channel"), of("sent"))?;
        if of("dead") != "0" {
            write!(out, ", {} GIVEN UP: skyline alert outbox --state dead", of("dead"))?;
        }
        if of("waiting") != "0" {
            let oldest = row.get("oldest_seconds").and_then(Value::as_f64).unwrap_or(0.0);
            let waits = many(&of("waiting"), "waits", "wait");
            write!(out, ", {waits}, the oldest for {}: {}", duration(oldest), text(row, "error"))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_channel_has_a_line() {
        let status = json!({"alerting": {"incidents_open": 2, "p50_ms": 312.4, "p99_ms": 498.9, "channels": [
            {"channel": "email", "sent": 3, "dead": 0, "waiting": 1, "oldest_seconds": 125.0, "error": "refused"},
            {"channel": "slack", "sent": 4, "dead": 1, "waiting": 0, "oldest_seconds": 0.0, "error": null},
        ]}});
        let mut out = String::new();
        write(&mut out, &status).unwrap();
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 3, "{out}");
        assert_eq!(lines[0], "alerting       2 incidents open; bad point to message p50 312 ms, p99 499 ms");
        assert!(
            lines[1].starts_with("  email        3 sent, 1 waits, the oldest for ")
                && lines[1].ends_with(": refused"),
            "{out}"
        );
        assert_eq!(lines[2], "  slack        4 sent, 1 GIVEN UP: skyline alert outbox --state dead");
    }

    #[test]
    fn nothing_of_what_is_off() {
        let mut out = String::new();
        write(&mut out, &json!({"alerting": null})).unwrap();
        assert_eq!(out, "");
    }
}
