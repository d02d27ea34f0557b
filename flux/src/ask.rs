//! What a request says beside its body: whose it is, what the body is, which answer is wanted.

use crate::access::Access;
use crate::answer::{self, Style};
use crate::figures::Endpoint;
use crate::influx::Precision;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use std::net::SocketAddr;

/// What a body is.
pub(crate) enum Form {
    Json,
    Lines,
    RemoteWrite,
    Influx(Precision),
}

/// What a request says beside its body.
pub(crate) struct Ask {
    pub(crate) endpoint: Endpoint,
    pub(crate) style: Style,
    pub(crate) peer: SocketAddr,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
}

impl Ask {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The number of the key that came in a header or the query. None: a body of JSON may bring it.
    #[expect(clippy::result_large_err, reason = "an answer")]
    pub(crate) fn key(&self, query: &[(String, String)], access: &Access) -> Result<Option<usize>, Response> {
        let name = if self.endpoint == Endpoint::Influx { "p" } else { "key" };
        let found = if let Some(value) = self.headers.get("x-api-key") {
            access.find(value.as_bytes())
        } else if self.headers.contains_key(header::AUTHORIZATION) {
            // One that cannot be read is a wrong one.
            access.find_authorization(self.header(header::AUTHORIZATION))
        } else if let Some((_, value)) = query.iter().find(|(n, _)| n == name) {
            access.find(value.as_bytes())
        } else if self.endpoint == Endpoint::Post && !self.is_lines() {
            return Ok(None);
        } else {
            None
        };
        found.map(Some).ok_or_else(|| answer::unauthorized(self.style))
    }

    fn kind(&self) -> String {
        let kind = self.header(header::CONTENT_TYPE);
        kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn is_lines(&self) -> bool {
        self.kind() == "text/plain"
    }

    pub(crate) fn wants_json(&self) -> bool {
        self.header(header::ACCEPT).split(',').any(|kind| {
            kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        })
    }

    #[expect(clippy::result_large_err, reason = "an answer")]
    pub(crate) fn form(&self, query: &[(String, String)]) -> Result<Form, Response> {
        let unknown = |text: &str| answer::problem(self.style, StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        match (self.endpoint, self.kind().as_str()) {
            (Endpoint::Post, "" | "application/json" | "text/json") => Ok(Form::Json),
            (Endpoint::Post, "text/plain") => Ok(Form::Lines),
            (Endpoint::Post, _) => {
                Err(unknown("Content-Type is to be application/json, or text/plain for lines"))
            }
            (Endpoint::RemoteWrite, "application/x-protobuf" | "")
                if !self.header(header::CONTENT_TYPE).contains("write.v2") =>
            {
                Ok(Form::RemoteWrite)
            }
            (Endpoint::RemoteWrite, _) => {
                Err(unknown("Content-Type is to be application/x-protobuf of remote-write 1.0"))
            }
            _ => {
                let given =
                    query.iter().find(|(n, _)| n == "precision").map_or("", |(_, value)| value.as_str());
                Precision::of(given).map(Form::Influx).ok_or_else(|| {
                    let text = "precision is to be ns, us, ms, s, m or h";
                    answer::problem(self.style, StatusCode::BAD_REQUEST, text)
                })
            }
        }
    }
}
