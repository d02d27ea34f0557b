//! The line of the back-fill: how far the one is that runs, or what became of the last.

use super::{duration, harmless, many, number, time};
use serde_json::Value;
use std::fmt::Write as _;

/// Nothing where there was none.
pub(super) fn write(out: &mut String, status: &Value) -> std::fmt::Result {
    match line(status) {
        Some(line) => writeln!(out, "back-fill      {line}"),
        None => Ok(()),
    }
}

/// The same without its title.
pub(in crate::cli) fn line(status: &Value) -> Option<String> {
    let report = status.get("backfill").filter(|report| report.is_object())?;
    let at = |path: &str| report.pointer(path);
    let plain = |path: &str| at(path).and_then(Value::as_f64).unwrap_or(0.0);
    let source = source(report);
    let seconds = plain("/seconds").max(1e-3);
    let metrics = many(&number(at("/metrics")), "metric", "metrics");
    let phase = at("/phase").and_then(Value::as_str).unwrap_or("?");
    let mut line = match phase {
        "listing" => format!("looks which metrics {source} has"),
        "filling" => format!("{} of {metrics} from {source}", number(at("/position"))),
        "done" => format!("done: {metrics} from {source}"),
        phase => format!("{}: {} of {metrics} from {source}", harmless(phase), number(at("/position"))),
    };
    // Writing to a string cannot fail.
    let _written = if phase == "filling" {
        write!(line, ", {}", rates(report))
    } else if phase == "listing" {
        Ok(())
    } else {
        let points = number(at("/counts/points"));
        let stored = number(at("/counts/stored"));
        write!(
            line,
            ", {points} points, {stored} stored, in {}, begun {}",
            duration(seconds),
            time(at("/began"))
        )
    };
    if plain("/counts/failed") > 0.0 {
        let _written = write!(line, "; {} could not be read", number(at("/counts/failed")));
    }
    if let Some(error) = at("/error").and_then(Value::as_str).filter(|error| !error.is_empty()) {
        let _written = write!(line, ": {}", harmless(error));
    }
    Some(line)
}

/// From where a back-fill takes its points.
fn source(report: &Value) -> String {
    match (report.pointer("/spec/source/whisper/folder"), report.pointer("/spec/source/graphite/url")) {
        (Some(folder), _) => format!("files in {}", harmless(folder.as_str().unwrap_or("?"))),
        (None, Some(Value::String(url))) => harmless(url),
        _ => "the Graphite of the settings".to_owned(),
    }
}

/// What a back-fill is to bring: from where, of which time, which metrics.
pub(in crate::cli) fn what(report: &Value) -> String {
    let at = |path: &str| report.pointer(path);
    let select = at("/spec/select").and_then(Value::as_str).map(|select| format!(", {}", harmless(select)));
    format!(
        "from {}, {} to {}{}",
        source(report),
        time(at("/spec/from")),
        time(at("/spec/until")),
        select.unwrap_or_default()
    )
}

/// How fast a back-fill is, and for how long it still takes at that rate.
pub(in crate::cli) fn rates(report: &Value) -> String {
    let plain = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
    let seconds = plain("/seconds").max(1e-3);
    let rate = |path: &str| number(Some(&Value::from((plain(path) / seconds * 10.0).round() / 10.0)));
    let (done, all) = (plain("/position"), plain("/metrics"));
    let left = if done > 0.0 {
        format!(", {} left", duration((all - done).max(0.0) * seconds / done))
    } else {
        String::new()
    };
    format!(
        "{} requests a second, {} points a second{left}",
        rate("/counts/requests"),
        rate("/counts/points")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(report: Value, expected: Option<&str>) {
        assert_eq!(line(&json!({ "backfill": report })).as_deref(), expected);
    }

    #[test]
    fn what_it_is_to_bring() {
        let spec = json!({ "source": { "graphite": { "url": "http://g:80" } }, "from": 1_700_000_000.5, "until": 1_700_003_600.0,
                           "select": null });
        let all = "from http://g:80, 2023-11-14T22:13:20Z to 2023-11-14T23:13:20Z";
        assert_eq!(what(&json!({ "spec": spec })), all);
        let mut spec = spec;
        spec["select"] = json!("a.*\u{1b}");
        assert_eq!(what(&json!({ "spec": spec })), format!("{all}, a.*\u{fffd}"));
    }

    #[test]
    fn how_far_it_is_and_what_became_of_it() {
        let graphite = json!({ "source": { "graphite": { "url": "http://g:80" } } });
        let files = json!({ "source": { "whisper": { "folder": "/var/w\u{1b}" } } });
        check(Value::Null, None);
        check(json!({ "phase": "listing", "spec": graphite }), Some("looks which metrics http://g:80 has"));
        check(
            json!({ "phase": "filling", "spec": { "source": { "graphite": { "url": null } } }, "metrics": 1500, "position": 500,
                    "seconds": 10.0, "counts": { "requests": 22, "points": 7_200, "failed": 1 } }),
            Some(
                "500 of 1,500 metrics from the Graphite of the settings, 2.20 requests a second, 720 points a second, 20s left; 1 could not be read",
            ),
        );
        check(
            json!({ "phase": "done", "spec": files, "metrics": 1, "position": 1, "seconds": 61.2, "began": 1_700_000_000,
                    "counts": { "points": 1440, "stored": 1400, "failed": 0 } }),
            Some(
                "done: 1 metric from files in /var/w\u{fffd}, 1,440 points, 1,400 stored, in 1m 1s, begun 2023-11-14T22:13:20Z",
            ),
        );
        check(
            json!({ "phase": "failed", "spec": graphite, "metrics": 0, "seconds": 1.0, "began": 0, "error": "g: refused" }),
            Some(
                "failed: 0 of 0 metrics from http://g:80, 0 points, 0 stored, in 1s, begun 1970-01-01T00:00:00Z: g: refused",
            ),
        );
    }
}
