//! A server of others that the node asks over HTTP: what every section that names one says of it in the same words.

use super::graphite::Header;
use crate::secret::Credentials;
use std::path::Path;

/// Where it is, who asks, and whom that one believes.
#[derive(Debug, Clone, Copy)]
pub struct Remote<'a> {
    /// `http://HOST:PORT` or `https://…`, with the prefix of its paths.
    pub url: &'a str,
    /// Headers of every question.
    pub headers: &'a [Header],
    /// User and password of HTTP basic authentication.
    pub credentials: Credentials<'a>,
    /// Where the bearer token is.
    pub token: Credentials<'a>,
    /// PEM file of the authorities for `https://`; empty: those of the system.
    pub ca_file: &'a Path,
    /// PEM file with the node's certificate and key for `https://`; empty: none is shown.
    pub certificate_file: &'a Path,
    /// Whether any certificate is taken, for any host.
    pub insecure: bool,
}

impl Remote<'_> {
    /// Its host, without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.url.split_once("://").map_or("", |(_, rest)| rest);
        authority.split(['/', ':']).next().unwrap_or_default()
    }

    /// Whether a token is named.
    #[must_use]
    pub fn has_token(&self) -> bool {
        !self.token.file.as_os_str().is_empty() || !self.token.variable.is_empty()
    }
}
