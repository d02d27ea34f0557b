//! Requests that change something: only from this machine's own programs, and with a body that is understood.

use super::Alerts;
use crate::answer;
use crate::api::host::is_ours;
use crate::api::query::Bad;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

/// The request may change something.
#[derive(Debug)]
pub(super) struct Change;

impl FromRequestParts<Alerts> for Change {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, alerts: &Alerts) -> Result<Self, Response> {
        allowed(&parts.headers, &alerts.settings.public_url).map(|()| Self)
    }
}

/// Whether a request with these headers may change something; else the answer.
#[expect(clippy::result_large_err, reason = "the answer itself, made once a request")]
pub(in crate::api) fn allowed(headers: &HeaderMap, public_url: &str) -> Result<(), Response> {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let is_json = text(header::CONTENT_TYPE)
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        let problem = "what changes something needs the header Content-Type: application/json";
        return Err(answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    }
    if headers.get_all(header::HOST).iter().count() > 1
        || !text(header::HOST).is_some_and(|host| is_ours(host, public_url))
    {
        let problem = "what changes something is taken for this machine only: use 127.0.0.1, localhost or alerting.public_url in the address";
        return Err(answer::error(StatusCode::FORBIDDEN, problem));
    }
    Ok(())
}

/// The body of a request: an object whose keys are all in a list; nothing at all is an empty one.
#[derive(Debug)]
pub(in crate::api) struct Body {
    values: Map<String, Value>,
    allowed: &'static [&'static str],
}

impl Body {
    pub(in crate::api) fn read(bytes: &Bytes, allowed: &'static [&'static str]) -> Result<Self, Bad> {
        let bad = |parameter: &str, problem: String| Bad::new(parameter, problem, allowed);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { values: Map::new(), allowed });
        }
        let values: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|error| bad("", format!("the body is no JSON object: {error}")))?;
        if let Some(name) = values.keys().find(|name| !allowed.contains(&name.as_str())) {
            return Err(bad(name, format!("there is no parameter `{name}` here")));
        }
        Ok(Self { values, allowed })
    }

    /// A text; none: it is not given, null, or empty.
    pub(in crate::api) fn text(&self, name: &str) -> Result<Option<String>, Bad> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.bad(name, format!("`{name}` is not a text"))),
        }
    }

    /// A number; none: it is not given, or null.
    pub(in crate::api) fn number(&self, name: &str) -> Result<Option<f64>, Bad> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => Err(self.bad(name, format!("`{name}` is not a number"))),
        }
    }

    /// A complaint about a parameter.
    pub(in crate::api) fn bad(&self, name: &str, problem: impl Into<String>) -> Bad {
        Bad::new(name, problem, self.allowed)
    }
}

/// The number in a path.
#[expect(clippy::result_large_err, reason = "the answer itself, made once a request")]
pub(super) fn id(text: &str) -> Result<i64, Response> {
    let is_good = |id: &i64| *id > 0;
    text.parse()
        .ok()
        .filter(is_good)
        .ok_or_else(|| Bad::new("id", "`id` is not a whole number", &["id"]).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let read = |text: &str| Body::read(&Bytes::from(text.to_owned()), &["a", "b"]);
        assert!(read("").unwrap().text("a").unwrap().is_none());
        let body = read(r#"{"a": "x", "b": 1.5}"#).unwrap();
        assert_eq!(body.text("a").unwrap().as_deref(), Some("x"));
        assert_eq!(body.number("b").unwrap(), Some(1.5));
        assert!(body.text("b").is_err() && body.number("a").is_err());
        for bad in ["[]", "{", r#"{"c": 1}"#, "\u{0}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
