//! Destinations: how they are written, that they differ, that none is this node itself.

use super::{Findings, own_listener};
use crate::model::Settings;
use crate::model::relay::{DestinationEntry, Method};
use crate::nearest;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

const DESTINATIONS: &str = "relay.destinations";
const FORM: &str = "write host:port[:instance][:protocol] with protocol plaintext or pickle";

/// What can be seen of a destination without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written<'t> {
    host: &'t str,
    port: u16,
    instance: Option<&'t str>,
    pickle: bool,
}

/// Reads `host:port[:instance][:protocol]` as the relay does.
fn read(text: &str) -> Result<Written<'_>, &'static str> {
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
    let protocol = |word: &str| match word {
        "pickle" => Some(true),
        "plaintext" | "line" => Some(false),
        _ => None,
    };
    let (instance, pickle) = match rest {
        None => (None, None),
        Some(rest) => match (protocol(rest), rest.rsplit_once(':')) {
            (Some(pickle), _) => (None, Some(pickle)),
            (None, Some((instance, word))) if protocol(word).is_some() => (Some(instance), protocol(word)),
            _ => (Some(rest), None),
        },
    };
    Ok(Written { host, port, instance, pickle: pickle.unwrap_or(false) })
}

fn text_of(entry: &DestinationEntry) -> &str {
    match entry {
        DestinationEntry::Address(text) => text,
        DestinationEntry::Table(table) => &table.address,
    }
}

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let relay = &settings.relay;
    let sending = &relay.sending;
    if sending.retry_min_seconds > sending.retry_max_seconds {
        let message = format!("{} s is more than relay.sending.retry_max_seconds", sending.retry_min_seconds);
        findings.problem("relay.sending.retry_min_seconds", message, "make it smaller");
    }
    if sending.resend_bytes == 0 && !relay.destinations.is_empty() {
        let message = "what a peer's socket buffer holds when its program dies is lost";
        findings.warning(
            "relay.sending.resend_bytes",
            message,
            "leave the default of 8 MiB; carbon overwrites equal points",
        );
    }
    let mut good = Vec::new();
    let mut seen = HashSet::new();
    for text in relay.destinations.iter().map(text_of) {
        match read(text) {
            Ok(written) => {
                if !seen.insert((written.host, written.port, written.instance)) {
                    let advice = "remove one; host, port and instance together must differ";
                    findings.problem(DESTINATIONS, format!("`{text}` is there twice"), advice);
                }
                itself(settings, text, &written, findings);
                protocol(text, &written, findings);
                good.push(written);
            }
            Err(what) => findings.problem(DESTINATIONS, format!("`{text}`: {what}"), FORM),
        }
    }
    method(settings, &good, findings);
}

/// A destination that is one of our own listeners.
fn itself(settings: &Settings, text: &str, written: &Written<'_>, findings: &mut Findings) {
    let ip = match written.host.to_ascii_lowercase().as_str() {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        host => host.parse::<IpAddr>().ok(),
    };
    let Some(ip) = ip else { return };
    // Loopback is this host for certain, and a connection to "any" goes there. Of another address only
    // its being listed by name shows that it is ours.
    let here = ip.is_loopback() || ip.is_unspecified();
    let listed = |list: &[SocketAddr]| list.iter().any(|own| own.ip() == ip && own.port() == written.port);
    let listen = &settings.listen;
    let by_name = listed(&listen.plaintext_tcp) || listed(&listen.pickle_tcp) || listed(&listen.protobuf_tcp);
    if (here || by_name)
        && let Some(key) = own_listener(settings, SocketAddr::new(ip, written.port))
    {
        let message = format!("`{text}` is this node's own {key}: every point would come back for ever");
        findings.problem(DESTINATIONS, message, "name the port of the carbon behind this node");
    }
}

/// Ports and instances that speak of another protocol than the one that is meant.
fn protocol(text: &str, written: &Written<'_>, findings: &mut Findings) {
    match (written.port, written.pickle) {
        (2004 | 2014 | 2024, false) => {
            let message =
                format!("`{text}` is sent plain lines, and {} is a usual port for pickles", written.port);
            findings.warning(
                DESTINATIONS,
                message,
                format!("write `{}:pickle` if it takes pickles", text.trim()),
            );
        }
        (2003 | 2013, true) => {
            let message =
                format!("`{text}` is sent pickles, and {} is a usual port for plain lines", written.port);
            findings.warning(DESTINATIONS, message, "leave `:pickle` out if it takes lines");
        }
        _ => {}
    }
    let Some(instance) = written.instance else { return };
    let word = instance.rsplit(':').next().unwrap_or(instance);
    let near = nearest::word(word, ["pickle", "plaintext", "line"].into_iter());
    let other =
        ["tcp", "udp", "ssl", "tls", "protobuf", "msgpack"].iter().any(|p| word.eq_ignore_ascii_case(p));
    let advice = match near {
        Some(near) => format!("did you mean `{near}`? The protocols are plaintext and pickle"),
        None => "the protocols are plaintext and pickle".to_owned(),
    };
    if instance.contains(':') {
        // The relay could take it, but lines sent to a pickle port because of a misspelt protocol are lost.
        let message = format!("`{text}`: `{word}` is no protocol, and an instance with a colon is not taken");
        findings.problem(DESTINATIONS, message, advice);
    } else if other || near.is_some() {
        let message = format!("`{text}`: `{instance}` is taken for the name of an instance");
        findings.warning(DESTINATIONS, message, advice);
    }
}

fn method(settings: &Settings, good: &[Written<'_>], findings: &mut Findings) {
    let relay = &settings.relay;
    let (factor, count) = (relay.replication_factor as usize, relay.destinations.len());
    if relay.method == Method::Constant {
        if factor > 1 {
            let message = "it has no effect: with method = \"constant\" every destination gets every point";
            findings.warning(
                "relay.replication_factor",
                message,
                "remove it, or set relay.method = \"consistent-hashing\"",
            );
        }
        return;
    }
    if factor > count {
        let message = format!("{factor} destinations for each metric are asked for and there are {count}");
        findings.problem("relay.replication_factor", message, "lower it or name more destinations");
        return;
    }
    let mut nodes = HashSet::new();
    for written in good {
        if !nodes.insert((written.host, written.instance)) {
            let message = format!("the ring cannot tell two destinations on {} apart", written.host);
            findings.problem(
                DESTINATIONS,
                message,
                "give each an instance, as in `host:2004:a` and `host:2104:b`",
            );
        }
    }
    let hosts: HashSet<&str> = good.iter().map(|written| written.host).collect();
    if relay.diverse_replicas && factor > hosts.len() && good.len() == count {
        let message = format!(
            "{factor} different hosts for each metric are asked for and there are {}: metrics get fewer copies",
            hosts.len()
        );
        findings.warning("relay.diverse_replicas", message, "set it to false, or add hosts");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_they_are_written() {
        let check = |text: &str, host: &str, port, instance: Option<&str>, pickle| {
            assert_eq!(read(text), Ok(Written { host, port, instance, pickle }), "{text}");
        };
        check("h:2003", "h", 2003, None, false);
        check(" 10.0.0.1:2004:a:pickle ", "10.0.0.1", 2004, Some("a"), true);
        check("h:1:pickle", "h", 1, None, true);
        check("h:1:line", "h", 1, None, false);
        check("h:1:a:b", "h", 1, Some("a:b"), false);
        check("h:1:", "h", 1, Some(""), false);
        check("[::1]:2003:x", "::1", 2003, Some("x"), false);
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
