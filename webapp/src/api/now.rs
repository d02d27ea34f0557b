//! `/anomalies.json`: what is anomalous now, in the form that the reference's dashboard polls.
//!
//! The reference writes the list anew with each run over all metrics, about once a minute. Here verdicts
//! fall as points come, so "now" is: the newest anomaly of each metric, if its point was received in
//! the last ten minutes ([`NOW_SECONDS`]; `?seconds=` sets another span, up to a day). That is long enough
//! for a person and for a poll every 30 s, and a metric that stays anomalous stays listed. The one
//! received last comes first, 1,000 at most. Other parameters are ignored: JSONP clients add some.

use super::query::Parameters;
use super::{Sources, record_failed};
use crate::answer::number;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use skyline_sql::{MAX_LIMIT, Row};

/// What "now" spans without `?seconds=`.
const NOW_SECONDS: f64 = 600.0;

/// The list as a script that calls `handle_data`.
pub(crate) async fn now(State(sources): State<Sources>, uri: Uri) -> Response {
    let span = match span(&uri) {
        Ok(span) => span,
        Err(bad) => return bad.into_response(),
    };
    match sources.store.latest(sources.clock.now() - span, MAX_LIMIT).await {
        Ok(rows) => {
            let kind = HeaderValue::from_static("application/javascript; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], script(&rows)).into_response()
        }
        Err(error) => record_failed(&error),
    }
}

fn span(uri: &Uri) -> Result<f64, super::query::Bad> {
    let only = uri.query().unwrap_or_default().split('&').filter(|pair| pair.starts_with("seconds="));
    let query = only.collect::<Vec<_>>().join("&");
    // A part of a query that was read before is one that can be read.
    let uri: Uri = format!("/?{query}").parse().unwrap_or_default();
    let parameters = Parameters::read(&uri, &["seconds"])?;
    let span = parameters.parse("seconds", "a number from 1 to 86400", |text| {
        text.parse().ok().filter(|n| (1.0..=86_400.0).contains(n))
    })?;
    Ok(span.unwrap_or(NOW_SECONDS))
}

/// `handle_data([[value, "name", timestamp], …])`. Names are text in a script: what could end it,
/// or a line of it, is escaped.
fn script(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let name = Value::from(row.anomaly.metric.as_str()).to_string();
        let value = serde_json::Number::from_f64(row.anomaly.judged_value).map_or(Value::Null, Value::Number);
        format!("[{value}, {}, {}]", in_script(&name), number(row.anomaly.point.ts))
    };
    format!("handle_data([{}])", rows.iter().map(row).collect::<Vec<_>>().join(", "))
}

fn in_script(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_in_scripts() {
        let check = |text: &str, expected: &str| assert_eq!(in_script(text), expected);
        check("\"a.b\"", "\"a.b\"");
        check("\"</script>\"", "\"\\u003c/script\\u003e\"");
        check("\"a&b\u{2028}\u{2029}\"", "\"a\\u0026b\\u2028\\u2029\"");
    }

    proptest! {
        #[test]
        fn it_stays_the_same_text(name in any::<String>()) {
            let text = in_script(&Value::from(name.as_str()).to_string());
            let signs = ['<', '>', '\u{2028}', '\u{2029}', '\n'];
            prop_assert!(!text.contains(signs));
            prop_assert_eq!(serde_json::from_str::<String>(&text).expect("json"), name);
        }
    }
}
