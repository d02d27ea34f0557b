//! Answers: JSON documents and errors, with numbers as a reader expects them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A JSON answer.
pub(crate) fn document(status: StatusCode, body: &Value) -> Response {
    let mut text = body.to_string();
    text.push('\n');
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// An answer with status 200.
pub(crate) fn ok(body: &Value) -> Response {
    document(StatusCode::OK, body)
}

/// An error: what is wrong and what to do.
pub(crate) fn error(status: StatusCode, problem: &str) -> Response {
    document(status, &json!({ "error": problem }))
}

/// 503: the same question may be answered in a moment.
pub(crate) fn busy(problem: &str) -> Response {
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, problem);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// 404 that lists what there is.
pub(crate) fn no_such_route(routes: &[&str]) -> Response {
    document(StatusCode::NOT_FOUND, &json!({ "error": "there is nothing at this path", "routes": routes }))
}

/// 405 that lists what there is.
pub(crate) fn wrong_method(routes: &[&str]) -> Response {
    document(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({ "error": "this path does not take that method", "routes": routes }),
    )
}

/// A number: whole ones without a fraction, null if it is not finite (JSON has no word for those).
pub(crate) fn number(n: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if n.fract() == 0.0 && n.abs() < EXACT && !(n == 0.0 && n.is_sign_negative()) {
        Value::from(n as i64)
    } else {
        serde_json::Number::from_f64(n).map_or(Value::Null, Value::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |n: f64, expected: &str| assert_eq!(number(n).to_string(), expected);
        check(1_569_400_000.0, "1569400000");
        check(1.5, "1.5");
        check(-3.0, "-3");
        check(-0.0, "-0.0");
        check(1e300, "1e+300");
        check(9_007_199_254_740_993.0, "9007199254740992.0");
        check(f64::NAN, "null");
        check(f64::INFINITY, "null");
    }
}
