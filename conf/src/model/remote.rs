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
        host_and_port(self.url).0
    }

    /// Its port: that of the scheme if the address names none; none: what it names is no port.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match host_and_port(self.url).1 {
            "" if self.url.starts_with("https:") => Some(443),
            "" => Some(80),
            port => port.parse().ok().filter(|port| *port > 0),
        }
    }

    /// Whether a token is named.
    #[must_use]
    pub fn has_token(&self) -> bool {
        !self.token.file.as_os_str().is_empty() || !self.token.variable.is_empty()
    }
}

/// Host, without brackets, and port of an address, as it is written; empty: there is none. A user and password before
/// them, which have no place in an address, are not part of either.
pub(crate) fn host_and_port(url: &str) -> (&str, &str) {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, behind)| behind);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use crate::model::vista::Fetch;

    #[test]
    fn hosts_and_ports() {
        for (url, host, port) in [
            ("http://a.test:9090/x:1", "a.test", Some(9_090)),
            ("http://a.test", "a.test", Some(80)),
            ("https://[::1]/", "::1", Some(443)),
            ("https://[::1]:8443", "::1", Some(8_443)),
            ("http://u:secret@h.test:8080", "h.test", Some(8_080)),
            ("http://a:b", "a", None),
            ("http://a:0", "a", None),
            ("http://a:70000", "a", None),
            ("a", "", Some(80)),
        ] {
            let fetch = Fetch { url: url.into(), ..Fetch::default() };
            let remote = fetch.remote();
            assert_eq!((remote.host(), remote.port()), (host, port), "{url}");
        }
    }
}
