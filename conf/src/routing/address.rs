//! A server as it is written: `host:port[:instance][:protocol]`, IPv6 addresses in brackets.

use super::{Protocol, Server};
use std::fmt;

/// The protocols' words.
pub const PROTOCOLS: [&str; 4] = ["plaintext", "line", "pickle", "protobuf"];

/// Reads `host:port[:instance][:protocol]`. A last part that is a protocol's word is the protocol;
/// everything else behind the port is the instance and may hold colons.
///
/// # Errors
/// What is wrong, in a few words.
pub fn read(text: &str) -> Result<Server, &'static str> {
    let server = without_protocol(text)?;
    let Some(rest) = server.instance.as_deref() else { return Ok(server) };
    let (instance, word) = match rest.rsplit_once(':') {
        Some((instance, word)) => (Some(instance.to_owned()), word),
        None => (None, rest),
    };
    Ok(match protocol(word) {
        Some(protocol) => Server { protocol, instance, ..server },
        None => server,
    })
}

/// Reads `host:port[:instance]`: all that is behind the port is the instance, and may be empty.
///
/// # Errors
/// What is wrong, in a few words.
pub fn without_protocol(text: &str) -> Result<Server, &'static str> {
    let text = text.trim();
    let (host, rest) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').ok_or("`[` without `]`")?;
            (host, rest.strip_prefix(':').ok_or("the port is missing")?)
        }
        None => text.split_once(':').ok_or("the port is missing")?,
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("the host is empty or has blanks");
    }
    let (port, instance) = rest.split_once(':').map_or((rest, None), |(port, rest)| (port, Some(rest)));
    // carbon reads the port as Python's `int` does, which takes blanks around it.
    let port = port.trim().parse().ok().filter(|port| *port > 0);
    let port = port.ok_or("the port is not a number from 1 to 65535")?;
    Ok(Server::plain(host, port, instance.map(str::to_owned)))
}

impl Server {
    /// `host:port`.
    #[must_use]
    pub fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// `host:port[:instance]`.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        self.instance.as_ref().map_or(Ok(()), |instance| write!(f, ":{instance}"))
    }
}

impl Protocol {
    /// Its word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Pickle => "pickle",
            Self::Protobuf => "protobuf",
        }
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "plaintext" | "line" => Some(Protocol::Plaintext),
        "pickle" => Some(Protocol::Pickle),
        "protobuf" => Some(Protocol::Protobuf),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_they_are_written() {
        let check = |text: &str, host: &str, port, instance: Option<&str>, protocol| {
            let server = Server { protocol, ..Server::plain(host, port, instance.map(str::to_owned)) };
            assert_eq!(read(text), Ok(server), "{text}");
        };
        check("h:2003", "h", 2003, None, Protocol::Plaintext);
        check(" 10.0.0.1:2004:a:pickle ", "10.0.0.1", 2004, Some("a"), Protocol::Pickle);
        check("h:1:pickle", "h", 1, None, Protocol::Pickle);
        check("h:1:protobuf", "h", 1, None, Protocol::Protobuf);
        check("h:1:line", "h", 1, None, Protocol::Plaintext);
        check("h:1:a:b", "h", 1, Some("a:b"), Protocol::Plaintext);
        check("h:1:", "h", 1, Some(""), Protocol::Plaintext);
        check("[::1]:2003:x", "::1", 2003, Some("x"), Protocol::Plaintext);
    }

    #[test]
    fn destinations_that_cannot_be_read() {
        let check =
            |text: &str, expected: &str| assert!(read(text).unwrap_err().contains(expected), "{text}");
        check("", "port is missing");
        check("h", "port is missing");
        check("h:", "not a number");
        check("h:0", "not a number");
        check("h:65536", "not a number");
        check(":1", "host is empty");
        check("a b:1", "has blanks");
        check("[::1", "without `]`");
        check("[::1]", "port is missing");
    }
}
