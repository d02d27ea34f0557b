//! Answers, in the words of each protocol.

use crate::points::Fault;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// Whose words an answer is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// JSON: `error`, `accepted`, `refused`, `errors`.
    Flux,
    /// A line of text: what Prometheus logs.
    Plain,
    /// JSON: `error`.
    Influx1,
    /// JSON: `code`, `message`.
    Influx2,
}

/// 204, or 200 with a count for who wants JSON.
pub(crate) fn accepted(style: Style, wants_json: bool, count: usize) -> Response {
    if style == Style::Flux && wants_json {
        return document(StatusCode::OK, &json!({ "accepted": count }));
    }
    StatusCode::NO_CONTENT.into_response()
}

/// Some points were refused; the others are in the journal.
pub(crate) fn partly(style: Style, accepted: usize, refused: usize, faults: &[Fault]) -> Response {
    let first =
        faults.first().map_or_else(String::new, |f| format!("point {}: {} {}", f.index, f.field, f.error));
    let text =
        format!("partial write: {accepted} accepted, {refused} refused and not to be sent again; {first}");
    if style != Style::Flux {
        return problem(style, StatusCode::BAD_REQUEST, &text);
    }
    let row = |f: &Fault| json!({ "index": f.index, "field": f.field, "error": f.error });
    let errors: Vec<Value> = faults.iter().map(row).collect();
    let body = json!({ "error": text, "accepted": accepted, "refused": refused, "errors": errors });
    document(StatusCode::BAD_REQUEST, &body)
}

/// Nothing was taken.
pub(crate) fn problem(style: Style, status: StatusCode, text: &str) -> Response {
    match style {
        Style::Flux => document(status, &json!({ "error": text, "accepted": 0 })),
        Style::Influx1 => document(status, &json!({ "error": text })),
        Style::Influx2 => {
            let code = match status.as_u16() {
                401 => "unauthorized",
                413 => "request too large",
                429 => "too many requests",
                500.. => "unavailable",
                _ => "invalid",
            };
            document(status, &json!({ "code": code, "message": text }))
        }
        Style::Plain => {
            let kind = HeaderValue::from_static("text/plain; charset=utf-8");
            (status, [(header::CONTENT_TYPE, kind)], format!("{text}\n")).into_response()
        }
    }
}

/// The same for what may be tried again.
pub(crate) fn later(style: Style, status: StatusCode, text: &str, seconds: u64) -> Response {
    let mut answer = problem(style, status, text);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// 401: what was wrong is not said.
pub(crate) fn unauthorized(style: Style) -> Response {
    let text = "there is no key, or not the right one; it comes in a header if the body is packed or longer than 64 KiB";
    let mut answer = problem(style, StatusCode::UNAUTHORIZED, text);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

pub(crate) fn document(status: StatusCode, body: &Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], format!("{body}\n")).into_response()
}
