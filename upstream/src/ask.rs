//! One question.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use std::time::Duration;

/// One question to a server.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is wanted.
    pub method: Method,
    /// Path and query behind the server's address, as they are sent, byte for byte; empty: the address itself.
    pub target: Bytes,
    /// Headers beside those of the settings, which win.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Instead of the server's, for everything.
    pub total: Option<Duration>,
    /// Instead of the server's: longest body of the answer, bytes.
    pub max_body: Option<usize>,
    /// Whether the server is asked even while it is left alone because of failures.
    pub insist: bool,
}

impl Ask {
    /// A question of any method without a body.
    #[must_use]
    pub fn new(method: Method, target: impl Into<Bytes>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            total: None,
            max_body: None,
            insist: false,
        }
    }

    /// `GET`.
    #[must_use]
    pub fn get(target: impl Into<Bytes>) -> Self {
        Self::new(Method::GET, target)
    }

    /// `POST` of a body.
    #[must_use]
    pub fn post(target: impl Into<Bytes>, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut ask = Self::new(Method::POST, target);
        ask.headers.insert(CONTENT_TYPE, content_type);
        ask.body = body.into();
        ask
    }

    /// The same with another total time-out.
    #[must_use]
    pub const fn within(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// The same with another bound of the answer's body.
    #[must_use]
    pub const fn at_most(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }
}
