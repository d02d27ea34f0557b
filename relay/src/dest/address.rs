//! A destination as it is written: `host:port[:instance][:protocol]`.

use super::identity::READER_PREFIX;
use skyline_conf::routing::{Protocol, Server};
use std::fmt;

/// The protocol that a word at the end of an address stands for.
fn from_word(word: &str) -> Option<Protocol> {
    match word {
        "plaintext" | "line" => Some(Protocol::Plaintext),
        "pickle" => Some(Protocol::Pickle),
        _ => None,
    }
}

/// A protocol's name.
#[must_use]
pub const fn label(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Plaintext => "plaintext",
        Protocol::Pickle => "pickle",
        Protocol::Protobuf => "protobuf",
    }
}

/// A parsed destination. Host, port and instance are its identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Tells apart carbon instances on one host.
    pub instance: Option<String>,
    /// How points are sent.
    pub protocol: Protocol,
}

/// A destination that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "destination `{text}`: {what}; write host:port[:instance][:protocol] with protocol plaintext or pickle"
)]
pub struct BadAddress {
    text: String,
    what: &'static str,
}

impl Address {
    /// Reads `host:port[:instance][:protocol]`. A last part that is a protocol's word is the protocol; everything
    /// else behind the port is the instance and may hold colons.
    ///
    /// # Errors
    /// [`BadAddress`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let mut address = Self::parse_identity(text)?;
        if let Some(rest) = address.instance.take() {
            let (instance, word) = match rest.rsplit_once(':') {
                Some((instance, word)) => (Some(instance), word),
                None => (None, rest.as_str()),
            };
            match from_word(word) {
                Some(protocol) => {
                    address.protocol = protocol;
                    address.instance = instance.map(str::to_owned);
                }
                None => address.instance = Some(rest),
            }
        }
        Ok(address)
    }

    /// Reads `host:port[:instance]`: all that is behind the port is the instance.
    ///
    /// # Errors
    /// [`BadAddress`] says what is wrong.
    fn parse_identity(text: &str) -> Result<Self, BadAddress> {
        let bad = |what| BadAddress { text: text.to_owned(), what };
        let trimmed = text.trim();
        let (host, rest) = match trimmed.strip_prefix('[') {
            Some(v6) => {
                let (host, rest) = v6.split_once(']').ok_or_else(|| bad("`[` without `]`"))?;
                (host, rest.strip_prefix(':').ok_or_else(|| bad("the port is missing"))?)
            }
            None => trimmed.split_once(':').ok_or_else(|| bad("the port is missing"))?,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(bad("the host is empty or has blanks"));
        }
        let (port, instance) = match rest.split_once(':') {
            Some((port, instance)) => (port, Some(instance)),
            None => (rest, None),
        };
        let port = port
            .parse()
            .ok()
            .filter(|p| *p > 0)
            .ok_or_else(|| bad("the port is not a number from 1 to 65535"))?;
        Ok(Self {
            host: host.to_owned(),
            port,
            instance: instance.map(str::to_owned),
            protocol: Protocol::Plaintext,
        })
    }

    /// The name of its reader in the journal: the same as long as host, port and instance are.
    #[must_use]
    pub fn reader(&self) -> String {
        format!("{READER_PREFIX}{self}")
    }
}

impl From<&Server> for Address {
    fn from(server: &Server) -> Self {
        Self {
            host: server.host.clone(),
            port: server.port,
            instance: server.instance.clone(),
            protocol: server.protocol,
        }
    }
}

impl From<Address> for Server {
    fn from(address: Address) -> Self {
        Self { protocol: address.protocol, ..Self::plain(address.host, address.port, address.instance) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        match &self.instance {
            Some(instance) => write!(f, ":{instance}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, host: &str, port, instance: Option<&str>, protocol| {
            let got = Address::parse(text).unwrap();
            let want = Address { host: host.into(), port, instance: instance.map(Into::into), protocol };
            assert_eq!(got, want, "{text}");
        };
        check("h:2003", "h", 2003, None, Protocol::Plaintext);
        check(" 10.0.0.1:2004:a:pickle ", "10.0.0.1", 2004, Some("a"), Protocol::Pickle);
        check("h:1:pickle", "h", 1, None, Protocol::Pickle);
        check("h:1:line", "h", 1, None, Protocol::Plaintext);
        check("h:1:a:b", "h", 1, Some("a:b"), Protocol::Plaintext);
        check("h:1:", "h", 1, Some(""), Protocol::Plaintext);
        check("[::1]:2003:x", "::1", 2003, Some("x"), Protocol::Plaintext);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["", "h", "h:", "h:0", "h:65536", ":1", "[::1", "[::1]", "h:x", "a b:1"] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("host:port"), "{error}");
        }
    }

    #[test]
    fn readers_are_told_apart() {
        let reader = |text| Address::parse(text).unwrap().reader();
        assert_eq!(reader("h:1"), "dest:h:1");
        assert_eq!(reader("h:1:a"), "dest:h:1:a");
        assert_eq!(reader("h:1:a"), reader("h:1:a:pickle"));
        assert_eq!(reader("[::1]:5"), "dest:[::1]:5");
    }
}
