//! What is not answered, and in which words; and bodies in two pieces.

use crate::local::NotHere;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use skyline_upstream::{Error, Failure, HeaderValue, Method, StatusCode, header};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// An error: what is wrong and what to do.
pub(super) fn error(status: StatusCode, problem: &str) -> Response {
    let mut text = serde_json::json!({ "error": problem }).to_string();
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What is said to a question in a form that only somebody who looks for another server sends.
pub(super) fn odd(request: &Request) -> Option<Response> {
    let uri = request.uri();
    if uri.authority().is_some() || uri.scheme().is_some() || request.method() == Method::CONNECT {
        let problem = "this answers for its own Graphite servers only: ask for a path";
        return Some(error(StatusCode::BAD_REQUEST, problem));
    }
    let path = uri.path().to_ascii_lowercase();
    // Servers behind others may decode it again, and some leave out what follows a semicolon.
    let plain = path.replace("%25", "%").replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    let leads_up = |part: &str| part.split([';', '%']).next() == Some("..");
    if plain.contains("//") || plain.split(['/', '\\']).any(leads_up) {
        return Some(error(StatusCode::BAD_REQUEST, "a path has no `..` and no `//`"));
    }
    let is_known = matches!(*request.method(), Method::GET | Method::HEAD | Method::POST | Method::OPTIONS);
    if !is_known {
        let mut refused = error(StatusCode::METHOD_NOT_ALLOWED, "ask by GET, HEAD or POST");
        refused.headers_mut().insert(header::ALLOW, ALLOWED);
        return Some(refused);
    }
    None
}

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");

/// What may be asked. Pages of other origins are not let in: answers come with the proxy's own credentials.
pub(super) fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, ALLOWED);
    response
}

pub(super) async fn elsewhere(request: Request) -> Response {
    match odd(&request) {
        Some(refused) => refused,
        None => {
            error(StatusCode::NOT_FOUND, "there is nothing at this path: ask for /render or /metrics/find")
        }
    }
}

pub(super) fn busy() -> Response {
    let mut refused =
        error(StatusCode::SERVICE_UNAVAILABLE, "too many questions at the same time: ask again in a moment");
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    refused
}

pub(super) fn login() -> Response {
    let mut refused = error(StatusCode::UNAUTHORIZED, "log in, or use a link of a message");
    let realm = HeaderValue::from_static("Basic realm=\"skyline graphs\", charset=\"UTF-8\"");
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    refused
}

pub(super) fn too_large(most: usize) -> Response {
    let mut refused =
        error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body of a question has at most {most} bytes"));
    refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    refused
}

pub(super) fn slow(limit: Duration) -> Response {
    let problem = format!("the body did not arrive within {} seconds", limit.as_secs());
    let mut refused = error(StatusCode::REQUEST_TIMEOUT, &problem);
    refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    refused
}

pub(super) fn nobody() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "this node has neither a Graphite server nor windows")
}

/// Why the windows do not answer.
pub(super) fn not_here(why: &NotHere) -> Response {
    let status = match why {
        NotHere::Function(_)
        | NotHere::Argument(_)
        | NotHere::TooMany
        | NotHere::TooManyNodes(_)
        | NotHere::TooLarge
        | NotHere::Jsonp => StatusCode::BAD_REQUEST,
        NotHere::NoMetric => StatusCode::NOT_FOUND,
        NotHere::TooOld => StatusCode::BAD_GATEWAY,
        NotHere::Windows(_) => StatusCode::SERVICE_UNAVAILABLE,
        NotHere::Picture(_) | NotHere::Written(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    error(status, &why.to_string())
}

/// Why Graphite does not answer.
pub(super) fn upstream(why: &Error) -> Response {
    let status = match why.kind() {
        Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Failure::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Question => StatusCode::BAD_REQUEST,
        _ => StatusCode::BAD_GATEWAY,
    };
    error(status, &why.to_string())
}

/// A body whose beginning was read already.
pub(super) struct Chained {
    start: Option<Bytes>,
    rest: skyline_upstream::Body,
}

impl Chained {
    pub(super) const fn new(start: Bytes, rest: skyline_upstream::Body) -> Self {
        Self { start: Some(start), rest }
    }
}

impl HttpBody for Chained {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this.start.take() {
            Some(start) => Poll::Ready(Some(Ok(Frame::data(start)))),
            None => Pin::new(&mut this.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // The header of the answer says it, where Graphite did.
        SizeHint::default()
    }
}
