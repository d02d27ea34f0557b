//! The address of a server: scheme, host, port, and what every path begins with.

use std::fmt;

/// Why an address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `http://` or `https://`.
    #[error("it begins with neither http:// nor https://")]
    Scheme,
    /// No host, or one with odd characters.
    #[error("it has no host, or one that is none")]
    Host,
    /// No number from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// User or password before the host.
    #[error("it holds a user or password: they have keys of their own")]
    Credentials,
    /// Blanks, quotes and the like in the path or query.
    #[error("its path has characters that are to be percent-encoded")]
    Path,
    /// `#…`.
    #[error("it has a fragment (#), which no server sees")]
    Fragment,
}

/// An absolute address. Printed without its path and query, which may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether TLS is spoken.
    pub secure: bool,
    /// Name or number, lower case, numbers of IPv6 in brackets.
    pub host: String,
    /// Port; the scheme's where none is written.
    pub port: u16,
    /// Empty, or begins with a slash.
    pub path: String,
    /// What stands behind the `?`.
    pub query: Option<String>,
}

impl Address {
    /// Reads one. A final slash of the path is taken off.
    ///
    /// # Errors
    /// What is wrong with it; the text itself is not in the error.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut address = Self::parse_as_is(text)?;
        address.path.truncate(address.path.trim_end_matches('/').len());
        Ok(address)
    }

    /// Reads one and keeps a final slash.
    pub(crate) fn parse_as_is(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(AddressError::Scheme),
        };
        if rest.contains('#') {
            return Err(AddressError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        if authority.contains('@') {
            return Err(AddressError::Credentials);
        }
        let (host, port) = split_port(authority);
        if !is_host(host) {
            return Err(AddressError::Host);
        }
        let port = match port {
            None => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(port) => digits(port).filter(|p| *p > 0).ok_or(AddressError::Port)?,
        };
        if behind.bytes().any(|b| !is_target(b)) {
            return Err(AddressError::Path);
        }
        let (path, query) = behind.split_once('?').map_or((behind, None), |(p, q)| (p, Some(q.to_owned())));
        Ok(Self { secure, host: host.to_ascii_lowercase(), port, path: path.to_owned(), query })
    }

    /// Scheme, host and port, such as `https://graphite.internal`.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Host, and the port unless it is the scheme's.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// Whether both are the same server, spoken to in the same way.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.secure == other.secure && self.host == other.host && self.port == other.port
    }

    /// The whole of it, path and query included: for who sends it, not for texts.
    #[must_use]
    pub fn reveal(&self) -> String {
        let query = self.query.as_deref().map(|q| format!("?{q}")).unwrap_or_default();
        let path = if self.path.is_empty() { "/" } else { &self.path };
        format!("{}{path}{query}", self.origin())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let behind = authority.rfind(']').map_or(0, |i| i + 1);
    match authority.get(behind..).and_then(|rest| rest.rfind(':')) {
        Some(i) => {
            let (host, port) = authority.split_at(behind + i);
            // `host:` is what settings with an empty port make.
            (host, port.strip_prefix(':').filter(|p| !p.is_empty()))
        }
        None => (authority, None),
    }
}

fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// What may stand in a path or query: what is visible, but for `"`, `<` and `>`, and bytes that are not ASCII.
const fn is_target(b: u8) -> bool {
    b > b' ' && b != 0x7f && !matches!(b, b'"' | b'<' | b'>' | b'#' | b'\\' | b'^' | b'`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, expected: &str| assert_eq!(Address::parse(text).unwrap().reveal(), expected);
        check("http://a", "http://a/");
        check("http://a:80/", "http://a/");
        check("https://a:443/x/", "https://a/x");
        check("https://A.b:/x?y=1", "https://a.b/x?y=1");
        check("http://[::1]:8080/x", "http://[::1]:8080/x");
        check("http://[::1]", "http://[::1]/");
        check("HTTP://127.0.0.1?x", "http://127.0.0.1/?x");
    }

    #[test]
    fn what_is_none() {
        let check =
            |text: &str, expected: AddressError| assert_eq!(Address::parse(text), Err(expected), "{text}");
        check("a", AddressError::Scheme);
        check("ftp://a", AddressError::Scheme);
        check("http://", AddressError::Host);
        check("http:///x", AddressError::Host);
        check("http://a b/", AddressError::Host);
        check("http://[::x]/", AddressError::Host);
        check("http://a:0", AddressError::Port);
        check("http://a:+1", AddressError::Port);
        check("http://a:65536", AddressError::Port);
        check("http://u:p@a", AddressError::Credentials);
        check("http://a/ b", AddressError::Path);
        check("http://a/\r\nx", AddressError::Path);
        check("http://a/#x", AddressError::Fragment);
    }

    #[test]
    fn paths_are_not_shown() {
        let address = Address::parse("https://api.example.org/bot123:secret/send?token=hunter2").unwrap();
        assert_eq!(format!("{address} {address:?}"), "https://api.example.org https://api.example.org");
    }
}
