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
        host_and_port(self.place()).0
    }

    /// Its port: that of the scheme if the address names none; none: what it names is no port.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match host_and_port(self.place()).1 {
            "" if self.url.starts_with("https:") => Some(443),
            "" => Some(80),
            port => port.parse().ok().filter(|port| *port > 0),
        }
    }

    /// Its address without scheme, and without a user and password before it, which have no place there.
    fn place(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.rsplit_once('@').map_or(rest, |(_, behind)| behind)
    }

    /// What is wrong with its address; a verb and what follows.
    #[must_use]
    pub fn wrong(&self) -> Option<&'static str> {
        let Some(rest) = self.url.strip_prefix("http://").or_else(|| self.url.strip_prefix("https://"))
        else {
            return Some("begins with neither http:// nor https://");
        };
        if rest.contains('@') {
            Some("holds a user or password, which have keys of their own")
        } else if self.host().is_empty() {
            Some("has no host")
        } else if self.port().is_none() {
            Some("has a port that is none")
        } else if rest.contains(['?', '#', ' ']) || self.url.chars().any(char::is_control) {
            Some("has a query, a fragment or blanks")
        } else {
            None
        }
    }

    /// Its address as it may be shown. No address of a server has an `@`: what stands before one may be a password, whatever
    /// characters that has.
    #[must_use]
    pub fn shown(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", self.url));
        match rest.rsplit_once('@') {
            Some((_, behind)) if scheme.is_empty() => format!("(hidden)@{behind}"),
            Some((_, behind)) => format!("{scheme}://(hidden)@{behind}"),
            None => self.url.to_owned(),
        }
    }

    /// Whether a token is named.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_named()
    }
}

/// Host, without brackets, and port of an address without its scheme, as they are written; empty: there is none.
pub(crate) fn host_and_port(place: &str) -> (&str, &str) {
    let authority = place.split('/').next().unwrap_or_default();
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
    fn what_may_be_a_password_is_not_shown() {
        for (url, shown) in [
            ("http://a.test:1/x", "http://a.test:1/x"),
            ("http://u:secret@h", "http://(hidden)@h"),
            ("http://secret/x@h", "http://(hidden)@h"),
            ("http://u:1/secret@h/y", "http://(hidden)@h/y"),
            ("u:secret@h", "(hidden)@h"),
        ] {
            let fetch = Fetch { url: url.into(), ..Fetch::default() };
            assert_eq!(fetch.remote().shown(), shown);
            let label = crate::model::graphite::Server { url: url.into(), ..Default::default() }.label();
            assert!(!label.contains("secret"), "{label}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        for (url, host, port) in [
            ("http://a.test:9090/x:1", "a.test", Some(9_090)),
            ("http://a.test", "a.test", Some(80)),
            ("https://[::1]/", "::1", Some(443)),
            ("https://[::1]:8443", "::1", Some(8_443)),
            ("http://u:secret@h.test:8080", "h.test", Some(8_080)),
            ("http://u:secret/@h.test:8080/x", "h.test", Some(8_080)),
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
