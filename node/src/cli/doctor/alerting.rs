//! Whether people are told: channels that take nothing, and messages that were given up.

use super::running::{Look, of, whole};
use crate::cli::output::program;
use crate::cli::report::Report;
use crate::cli::status;
use serde_json::Value;

/// A message that has waited for so long is worth a warning, seconds.
const LATE: f64 = 60.0;

/// The lines of a node that runs; none where alerting is switched off.
pub(super) fn lines(look: &Look, report: &mut Report) {
    let Some(alerting) = look.status.get("alerting").filter(|alerting| alerting.is_object()) else { return };
    let channels = status::rows(alerting, "/channels");
    if channels.is_empty() {
        report.ok("alerting", "incidents are kept, and nobody is told: no channel is configured".to_owned());
        return;
    }
    for row in channels {
        channel(row, report);
    }
    if let Some(why) = alerting.get("record_away").and_then(Value::as_str) {
        let message = format!("incidents and messages wait in a file: {}", status::harmless(why));
        report.warning("alerting", message, "messages leave all the same; mend the record");
    }
}

fn channel(row: &Value, report: &mut Report) {
    let name = status::text(row, "channel");
    let (sent, dead, waiting) = (whole(of(row, "sent")), of(row, "dead"), whole(of(row, "waiting")));
    let oldest = of(row, "oldest_seconds");
    if oldest > LATE {
        let since = status::duration(oldest);
        let why = status::text(row, "error");
        let message = format!("{waiting} messages wait for channel {name}, the oldest for {since}: {why}");
        report.warning("alerting", message, format!("{} alert test --channel {name}", program()));
    } else if dead > 0.0 {
        let message = format!("{} messages to channel {name} were given up", whole(dead));
        report.warning("alerting", message, format!("{} alert outbox --state dead", program()));
    } else {
        report.ok("alerting", format!("channel {name} took {sent} messages since start, {waiting} wait"));
    }
}
