//! Addresses of servers: `host`, `host:port`, `[v6]`, `[v6]:port`, `v6:port`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Name or address of a host, with the port if one is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: Option<u16>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of = |host: &str, port: Option<u16>| Self { host: host.to_owned(), port };
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) =
                rest.split_once(']').ok_or_else(|| format!("the address `{text}` has no `]`"))?;
            if !is_v6(host) {
                return Err(format!("`{host}` is not an IPv6 address"));
            }
            return match rest.strip_prefix(':') {
                Some(port) => Ok(of(host, Some(parse_port(port)?))),
                None if rest.is_empty() => Ok(of(host, None)),
                None => Err(format!("behind the `]` of an address stands `:port` or nothing, not `{rest}`")),
            };
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return if is_name(text) { Ok(of(text, None)) } else { Err(format!("`{text}` is not a host")) };
        };
        // The last part is a port wherever what is before it is an address by itself.
        if host.contains(':') && !is_v6(host) {
            if is_v6(text) {
                return Ok(of(text, None));
            }
            return Err(format!("`{text}` is not an address: write IPv6 as `[address]:port`"));
        }
        if !host.contains(':') && !is_name(host) {
            return Err(format!("`{host}` is not a host"));
        }
        Ok(of(host, Some(parse_port(port)?)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A port: 1 to 65535.
pub(super) fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a port: write 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

/// An IPv6 address, with a zone or without.
fn is_v6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && is_name(zone)
}

/// A name of a host or an IPv4 address, as far as characters go.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, host: &str, port: Option<u16>, printed: &str| {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), printed);
            assert_eq!(printed.parse(), Ok(address));
        };
        check("graphite", "graphite", None, "graphite");
        check("10.0.0.1:2013", "10.0.0.1", Some(2013), "10.0.0.1:2013");
        check("[::1]", "::1", None, "[::1]");
        check("[::1]:2004", "::1", Some(2004), "[::1]:2004");
        check("::2:2004", "::2", Some(2004), "[::2]:2004");
        check("fd00::3", "fd00::3", None, "[fd00::3]");
        check("[fe80::1%eth0]:1", "fe80::1%eth0", Some(1), "[fe80::1%eth0]:1");
    }

    #[test]
    fn what_is_no_address() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "not a host");
        check("a:70000", "`70000` is not a port");
        check("a:0", "not a port");
        check("a:", "`` is not a port");
        check(":1", "`` is not a host");
        check("[::1", "no `]`");
        check("[::1]x", "behind the `]`");
        check("[a]", "not an IPv6 address");
        check("a:b:1", "not an address");
        check("a/b", "not a host");
    }
}
