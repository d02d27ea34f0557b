//! Windows and verdicts: whether metrics are judged, how soon, and what was found last.

use super::running::{Look, whole};
use crate::cli::http;
use crate::cli::report::Report;
use crate::cli::send::reachable;
use crate::cli::status::{backfill, harmless, rows, text, time};
use serde_json::Value;
use skyline_conf::model::Settings;

/// A verdict that takes longer is late, milliseconds.
const LATE: f64 = 1_000.0;

pub(super) async fn lines(look: &Look, settings: &Settings, report: &mut Report) {
    if !settings.window.enabled {
        return report.ok("window", "switched off: points are forwarded and not judged");
    }
    windows(look, report);
    verdicts(look, settings, report);
    backfill(&look.status, report);
    if let Some(api) = settings.http.api.first().copied().map(reachable) {
        last_anomaly(http::get(api, "/api/v1/anomalies?limit=1").await, report);
    }
}

fn windows(look: &Look, report: &mut Report) {
    let metrics = look.number("/window/metrics");
    let message = format!("{} metric{}", whole(metrics), if metrics == 1.0 { "" } else { "s" });
    if !look.is("/window/warm") {
        let message =
            format!("{message}; they are being restored, points are logged and forwarded meanwhile");
        return report.warning("window", message, "wait; the node says in its log when it is done");
    }
    let gone = look.number("/window/shed") + look.number("/window/lost");
    if gone > 0.0 {
        let message = format!("{message}; {} points never reached them", whole(gone));
        return report.warning(
            "window",
            message,
            "raise journal.max_bytes, and look whether the processor is busy",
        );
    }
    report.ok("window", message);
}

/// The back-fill that runs, or whose end leaves something to do.
fn backfill(status: &Value, report: &mut Report) {
    let Some(text) = backfill::line(status) else { return };
    let of = |path: &str| status.pointer(&format!("/backfill/{path}"));
    let count = |what: &str| of(&format!("counts/{what}")).and_then(Value::as_u64).unwrap_or(0);
    match of("phase").and_then(Value::as_str) {
        Some("failed") => {
            report.warning("backfill", text, "mend what it names and begin it again: what is filled stays")
        }
        Some("done") if count("failed") > 0 => {
            report.warning("backfill", text, "`skyline backfill --status` names them")
        }
        Some("done") if count("unread") > 0 => {
            let text = format!("{text}; folders that could not be read: {}", count("unread"));
            report.warning("backfill", text, "let the node's user read all folders, and begin it again")
        }
        Some("listing" | "filling") => report.ok("backfill", text),
        _ => {}
    }
}

/// Why points were not judged, those of late first.
fn not_judged(look: &Look, settings: &Settings) -> Vec<(f64, &'static str, Option<String>)> {
    let seconds = settings.window.full_duration_seconds;
    let wait = format!("wait until each metric has enough points in its window of {seconds} s");
    let mut all: Vec<_> = [
        ("too_short", "too few points", Some(wait)),
        ("stale", "too old when they came", Some("look at the clocks of the senders".to_owned())),
        // As it should be.
        ("boring", "flat for a long time", None),
        ("counter_reset", "counters that were reset", None),
    ]
    .into_iter()
    .map(|(key, words, advice)| (look.number(&format!("/window/not_judged/{key}")), words, advice))
    .filter(|(count, ..)| *count > 0.0)
    .collect();
    all.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    all
}

fn verdicts(look: &Look, settings: &Settings, report: &mut Report) {
    let (judged, rate) = (look.number("/window/judged"), look.rate("/window/judged"));
    let reasons = not_judged(look, settings);
    let why: Vec<_> = reasons.iter().map(|(count, words, _)| format!("{words} {}", whole(*count))).collect();
    let why = if why.is_empty() { String::new() } else { format!("; not judged: {}", why.join(", ")) };
    if judged == 0.0 {
        return match reasons.first() {
            Some((_, _, Some(advice))) => {
                report.warning(
                    "verdicts",
                    format!("nothing was judged since the start{why}"),
                    advice.as_str(),
                );
            }
            Some((_, _, None)) => {
                report.ok("verdicts", format!("nothing needed judging since the start{why}"))
            }
            None => report.ok("verdicts", "nothing to judge has come yet"),
        };
    }
    let p99 = look.number("/window/p99_ms");
    let message = format!(
        "{} since the start, {} a second now, {} anomalous; 99 of 100 within {p99:.0} ms of receipt{why}",
        whole(judged),
        whole(rate),
        whole(look.number("/window/anomalies")),
    );
    if p99 > LATE {
        let advice = "look whether the processor is busy (top), or the windows catch up after a restart";
        return report.warning("verdicts", message, advice);
    }
    report.ok("verdicts", message);
}

fn last_anomaly(answer: anyhow::Result<http::Answer>, report: &mut Report) {
    let answer = answer.and_then(|answer| answer.json());
    let answer = match answer {
        Ok(answer) if answer.get("anomalies").is_some() => answer,
        Ok(answer) if answer.get("error").is_some() => {
            let message = "it is not known, as the record does not answer";
            return report.warning("last anomaly", message, "see what is said of the record");
        }
        Ok(_) => {
            let message = "http.api answers something else";
            return report.problem("last anomaly", message, "look into the node's log");
        }
        Err(error) => {
            let message = format!("http.api does not answer: {}", crate::cli::sentence(&error));
            return report.problem("last anomaly", message, "look into the node's log");
        }
    };
    match rows(&answer, "/anomalies").first() {
        Some(row) => {
            let at = row.get("timestamp").map_or_else(|| "?".to_owned(), |ts| time(Some(ts)));
            let explained = row.get("explanation").and_then(Value::as_str).map(harmless).unwrap_or_default();
            report.ok("last anomaly", format!("{} at {at}: {explained}", text(row, "metric")));
        }
        None => report.ok(
            "last anomaly",
            format!("none is recorded; {} seed sends data that end in one", crate::cli::output::program()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_record_answers() {
        let check = |status: u16, body: &str, expected: &str| {
            let mut report = Report::new(true);
            last_anomaly(Ok(http::Answer { status, body: body.as_bytes().to_vec() }), &mut report);
            let said = report.lines[0].to_string();
            assert!(said.contains(expected), "{said}");
        };
        check(200, r#"{"anomalies":[],"next":null}"#, "ok       last anomaly: none");
        check(
            200,
            r#"{"anomalies":[{"metric":"a","timestamp":60,"explanation":"why"}]}"#,
            "a at 1970-01-01T00:01:00Z: why",
        );
        check(
            503,
            r#"{"error":"the record does not answer: ask again; `skyline doctor` says what is wrong"}"#,
            "warning  last anomaly: it is not known, as the record does not answer",
        );
        check(200, "<html>", "problem");
    }
}
