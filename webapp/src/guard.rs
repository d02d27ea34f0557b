//! What goes around every request: time-out, limit of the body, headers for browsers.

use crate::answer;
use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use std::time::Duration;

/// Longest body that is taken, bytes.
const MAX_BODY: usize = 64 << 10;

/// Headers of every answer. Most answers are data: a browser is to run, frame, sniff or embed nothing of them (a script
/// of another origin included), and to keep none. The few pages have a policy of their own, which allows no script.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// `router` with all of that around it.
pub(crate) fn around(router: Router, timeout: Duration) -> Router {
    let guard = move |request: Request, next: Next| async move {
        let mut answer = answer(request, next, timeout).await;
        for (name, value) in HEADERS {
            answer.headers_mut().entry(name).or_insert(value);
        }
        answer
    };
    router.layer(DefaultBodyLimit::max(MAX_BODY)).layer(from_fn(guard))
}

/// Headers of graphs and their data. Pictures may be shown in mails and pages of others; whatever Graphite says, a
/// browser is to run nothing of it.
const GRAPH_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Data is not for scripts of other origins: what is asked for with `jsonp` would tell them of it. Pictures may be embedded.
const OWN_ORIGIN: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));

/// `router`, which bounds bodies itself and only ever reads, with a time-out and headers around it.
pub(crate) fn around_graphs(router: Router, timeout: Duration) -> Router {
    let guard = move |request: Request, next: Next| async move {
        let mut answer = match tokio::time::timeout(timeout, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => answer::busy("this took too long: ask for less, or again in a moment"),
        };
        for (name, value) in GRAPH_HEADERS {
            answer.headers_mut().entry(name).or_insert(value);
        }
        let kind = answer.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if !kind.starts_with(b"image/") {
            answer.headers_mut().insert(OWN_ORIGIN.0, OWN_ORIGIN.1);
        }
        answer
    };
    router.layer(DefaultBodyLimit::disable()).layer(from_fn(guard))
}

async fn answer(request: Request, next: Next, timeout: Duration) -> Response {
    if request.body().size_hint().lower() > MAX_BODY as u64 {
        let problem = format!("a body has at most {MAX_BODY} bytes");
        let mut answer = answer::error(StatusCode::PAYLOAD_TOO_LARGE, &problem);
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return answer;
    }
    // There are no accounts: whatever a page that a browser has open could ask for is not done. Who has a signed link
    // may use it: no page can guess one.
    let is_link = request.uri().path().starts_with(skyline_alerting::link::PATH);
    if !request.method().is_safe() && !is_link && request.headers().contains_key(header::ORIGIN) {
        return answer::error(StatusCode::FORBIDDEN, "what changes something is not taken from web pages");
    }
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => answer::busy("this took too long: ask for less, or again in a moment"),
    }
}
