//! A destination as carbon writes it: `host:port[:instance]`, `[v6]:port[:instance]`.

use crate::routing::Server;

/// Reads one destination. The instance is everything behind the second colon and may hold colons; `h:1:` has an
/// empty one, which is not the same as none.
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
    let (port, instance) = rest.split_once(':').map_or((rest, None), |(port, rest)| (port, Some(rest)));
    let port = port
        .trim()
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or("the port is not a number from 1 to 65535")?;
    Ok(Server::plain(host, port, instance.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let check = |text: &str, host: &str, port, instance: Option<&str>| {
            assert_eq!(read(text), Ok(Server::plain(host, port, instance.map(str::to_owned))), "{text}");
        };
        check("10.0.0.1:2004", "10.0.0.1", 2004, None);
        check("  h: 2004 :a ", "h", 2004, Some("a"));
        check("h:1:a:pickle", "h", 1, Some("a:pickle"));
        check("h:1:", "h", 1, Some(""));
        check("[fe80::1]:2004:x", "fe80::1", 2004, Some("x"));
        let refused = |text: &str, expected: &str| assert_eq!(read(text), Err(expected), "{text}");
        refused("", "the port is missing");
        refused("h", "the port is missing");
        refused("[::1]", "the port is missing");
        refused("[::1:2004", "`[` without `]`");
        refused("h:", "the port is not a number from 1 to 65535");
        refused("h:0", "the port is not a number from 1 to 65535");
        refused("h:65536", "the port is not a number from 1 to 65535");
        refused("h:-1", "the port is not a number from 1 to 65535");
    }
}
