//! A destination as the node's own settings write it: `host:port[:instance][:protocol]`.

use super::{Protocol, Server};

/// The protocols' words.
pub const PROTOCOLS: [&str; 4] = ["plaintext", "line", "pickle", "protobuf"];

/// Reads `host:port[:instance][:protocol]`. A last part that is a protocol's word is the protocol;
/// everything else behind the port is the instance and may hold colons. IPv6 addresses stand in brackets.
///
/// # Errors
/// What is wrong, in a few words.
pub fn read(text: &str) -> Result<Server, &'static str> {
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
    let (port, rest) = rest.split_once(':').map_or((rest, None), |(port, rest)| (port, Some(rest)));
    let port =
        port.parse().ok().filter(|port| *port > 0).ok_or("the port is not a number from 1 to 65535")?;
    let (instance, protocol) = match rest {
        None => (None, None),
        Some(rest) => match (protocol(rest), rest.rsplit_once(':')) {
            (Some(protocol), _) => (None, Some(protocol)),
            (None, Some((instance, word))) if protocol(word).is_some() => (Some(instance), protocol(word)),
            _ => (Some(rest), None),
        },
    };
    let server = Server::plain(host, port, instance.map(str::to_owned));
    Ok(Server { protocol: protocol.unwrap_or(Protocol::Plaintext), ..server })
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
