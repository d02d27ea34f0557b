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
    /// Its host, without a port and without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host_and_port().0
    }

    /// Its host and port; that of the scheme if the address has none, 0 if it is none.
    #[must_use]
    pub fn host_and_port(&self) -> (&str, u16) {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", ""));
        let authority = rest.split('/').next().unwrap_or_default();
        let usual = if scheme == "https" { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (host, if port.is_empty() { usual } else { port.parse().unwrap_or_default() })
    }

    /// Whether a token is named.
    #[must_use]
    pub fn has_token(&self) -> bool {
        !self.token.file.as_os_str().is_empty() || !self.token.variable.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crate::model::vista::Fetch;

    #[test]
    fn hosts_and_ports() {
        for (url, host, port) in [
            ("http://a.test:9090/x:1", "a.test", 9_090),
            ("http://a.test", "a.test", 80),
            ("https://[::1]/", "::1", 443),
            ("https://[::1]:8443", "::1", 8_443),
            ("http://a:b", "a", 0),
            ("a", "", 80),
        ] {
            let fetch = Fetch { url: url.into(), ..Fetch::default() };
            assert_eq!(fetch.remote().host_and_port(), (host, port), "{url}");
        }
    }
}
