//! Whether Graphite's answer is behind what the windows know.

use bytes::Bytes;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Row {
    datapoints: Vec<(Option<f64>, i64)>,
}

/// Time of the newest value in a JSON answer, and the time between two values. None: no JSON of series.
/// A list without a value has no newest.
fn newest(body: &Bytes) -> Option<(Option<i64>, i64)> {
    let rows: Vec<Row> = serde_json::from_slice(body).ok()?;
    let last = rows.iter().filter_map(|row| row.datapoints.iter().rev().find(|(value, _)| value.is_some()));
    let steps = rows.iter().filter_map(|row| {
        let [(_, first), (_, second), ..] = row.datapoints.as_slice() else { return None };
        Some(second - first)
    });
    Some((last.map(|(_, time)| *time).max(), steps.max().unwrap_or(0)))
}

/// Whether the newest value of an answer is older than `window`, the window's newest, by more than `seconds` and the
/// answer's own step.
pub(super) fn is_behind(body: &Bytes, window: i64, seconds: f64) -> bool {
    let Some((newest, step)) = newest(body) else { return false };
    let late = newest.map(|newest| window.saturating_sub(newest).saturating_sub(step.max(0)));
    late.is_none_or(|late| late as f64 > seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_behind() {
        let check = |body: &'static str, window: i64, expected: bool| {
            assert_eq!(
                is_behind(&Bytes::from_static(body.as_bytes()), window, 60.0),
                expected,
                "{body} {window}"
            );
        };
        let body = r#"[{"target": "a", "datapoints": [[1.0, 60], [2.0, 120], [null, 180]]}]"#;
        check(body, 240, false);
        check(body, 241, true);
        check("[]", 0, true);
        check(r#"[{"datapoints": [[null, 60]]}]"#, 60, true);
        check("no json", 1_000, false);
        check("{}", 1_000, false);
    }
}
